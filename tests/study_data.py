"""Made-up run folders of the real form: written by the program's own writers, seeded."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from omegaconf import OmegaConf

from mvfstrl.config import compose
from mvfstrl.files import write_whole
from mvfstrl.metrics import MetricsLog
from mvfstrl.outcome import Outcome, State, write_outcome
from tests.report_data import write_folder

METRICS = (
    *(
        "loss",
        "policy_gradient_loss",
        "baseline_loss",
        "entropy",
        "kl",
        "explained_variance",
        "reward",
        "value",
    ),
    *(f"action_{index}" for index in range(5)),
    *("gradient_norm", "learning_rate", "policy_lag", "policy_lag_max", "episodes", "episode_return"),
    *("episode_length", "episode_throughput_mbps", "episode_utilisation", "episode_queue_delay_p95_ms"),
    *(
        "steps_per_second",
        "steps_per_cpu_second",
        "full_queue",
        "free_queue",
        "learner_waiting",
        "actor_waiting",
    ),
)


def write_run(
    folder: Path,
    overrides: Sequence[str] = (),
    *,
    rows: int = 5,
    number: int | None = None,
    state: State = State.finished,
) -> Path:
    """A finished training with its closing test."""
    write_folder(folder, runs=2, scenarios=("lte",))
    cfg = json.loads(json.dumps(asdict(compose(["tracker=none", *overrides]))))
    (folder / "config.yaml").write_text(OmegaConf.to_yaml(OmegaConf.create(cfg)))
    rng = np.random.default_rng(cfg["seed"])
    with MetricsLog(folder / "metrics.jsonl") as log:
        for row in range(rows):
            values = dict(zip(METRICS, rng.normal(size=len(METRICS)), strict=True))
            log.append({**values, "episodes": row}, (row + 1) * 1000)
        log.to_parquet()
    outcome = Outcome(
        state,
        "train",
        objective=0.5,
        scores={"reward": 0.5, "throughput_mbps": 9.0},
        started_utc="2026-11-22T10:00:00+00:00",
        ended_utc="2026-11-22T10:01:30+00:00",
        overrides=list(overrides),
        sweep={"number": number},
    )
    write_outcome(folder, outcome)
    return folder


def write_sweep(folder: Path, count: int, *, rows: int = 200) -> Path:
    """One run, copied: each copy with a discount and a seed of its own."""
    model = write_run(folder / "0", rows=rows, number=0)
    for number in range(1, count):
        copy = folder / str(number)
        shutil.copytree(model, copy, copy_function=os.link)
        config = (model / "config.yaml").read_text().replace("seed: 0\n", f"seed: {number}\n", 1)
        write_whole(copy / "config.yaml", config.replace("discount: 0.9\n", f"discount: 0.{number % 10}\n"))
        outcome = (model / "outcome.json").read_text().replace('"number": 0', f'"number": {number}')
        write_whole(copy / "outcome.json", outcome)
    runs = [{"number": number, "folder": str(number), "overrides": []} for number in range(count)]
    (folder / "sweep.json").write_text(json.dumps({"runs": runs}))
    return folder
