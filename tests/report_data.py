"""A made-up test's folder for the report's tests: results and series of the right form, seeded."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from pantheon.results import frame, rows_of, series_frame, write_results

SCHEMES = ("impala", "cubic", "random", "oracle")
SCENARIOS = ("lte", "policer_12mbps_20ms")
QUALITY = {"impala": 0.9, "cubic": 0.6, "random": 0.1, "oracle": 1.0}
WINDOWS = 60
JOINS = 20  # the window in which further flows join


def write_folder(
    folder: Path,
    *,
    schemes: Sequence[str] = SCHEMES,
    scenarios: Sequence[str] = SCENARIOS,
    runs: int = 6,
    flows: int = 1,
    series: bool = True,
) -> Path:
    rng = np.random.default_rng(7)
    rows, recorded = [], []
    for scheme in schemes:
        for scenario in scenarios:
            for run in range(runs):
                played = _report(rng, scheme, 1_000_000 + run, flows)
                rows += rows_of(played, scheme, scenario)
                if run == 0:
                    recorded.append(_series(rng, played, scheme, scenario))
    folder.mkdir(parents=True, exist_ok=True)
    write_results(frame(rows), folder / "results.parquet")
    if series:
        write_results(series_frame(recorded), folder / "series.parquet")
    _write_records(folder, schemes, scenarios, runs)
    return folder


def _report(rng: np.random.Generator, scheme: str, seed: int, flows: int) -> dict[str, object]:
    quality = QUALITY.get(scheme, 0.5)
    return {
        "seed": seed,
        "steps": 300,
        "skipped_observations": 0,
        "return": 300 * (2.0 * quality - 3.0 + rng.normal(0.0, 0.1)),
        "flows": [
            {
                "flow": flow,
                "scheme": "external" if flow == 0 else "cubic",
                "throughput_mbps": 10.0 * quality * rng.normal(1.0, 0.03) / flows,
                "utilisation": quality / flows,
                "delay_mean_ms": 40.0,
                "delay_p95_ms": 60.0 + 400.0 * (1.05 - quality) * rng.uniform(0.8, 1.2),
                "loss": 0.01,
                "queue_loss": 0.005,
                "queue_delay_mean_ms": 20.0,
                "queue_delay_p95_ms": 40.0 + 400.0 * (1.05 - quality),
            }
            for flow in range(flows)
        ],
    }


def _series(
    rng: np.random.Generator, played: dict[str, object], scheme: str, scenario: str
) -> dict[str, object]:
    flows = played["flows"]
    assert isinstance(flows, list)
    parts = []
    for flow in range(len(flows)):
        window = 20.0 + np.abs(np.cumsum(rng.normal(0.0, 2.0, WINDOWS)))
        capacity = 10.0 + 2.0 * np.sin(np.arange(WINDOWS) / 9.0)
        active = np.arange(WINDOWS) >= (JOINS if flow else 0)
        parts.append(
            {
                "flow": np.full(WINDOWS, flow),
                "flow_scheme": np.full(WINDOWS, scheme if flow == 0 else "cubic", dtype=object),
                "time_ms": 100.0 * np.arange(1, WINDOWS + 1),
                "throughput_mbps": np.minimum(capacity, window / 4.0) / len(flows),
                "capacity_mbps": capacity,
                "queue_delay_ms": np.where(rng.random(WINDOWS) < 0.05, np.nan, 2.0 * window),
                "window_packets": window,
                "loss": np.where(rng.random(WINDOWS) < 0.1, 0.05, 0.0),
                "action": rng.integers(0, 5, WINDOWS) if scheme == "impala" else np.full(WINDOWS, -1),
            }
        )
        parts[-1] = {name: values[active] for name, values in parts[-1].items()}
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return {"scheme": scheme, "scenario": scenario, "seed": played["seed"], **columns}


def _write_records(folder: Path, schemes: Sequence[str], scenarios: Sequence[str], runs: int) -> None:
    link = {"kind": "constant", "mbps": 12.0}
    config = {
        "agent": {"name": schemes[0]},
        "env": {
            "scenarios": {name: {"uplink": link, "delay_ms": [5, 80]} for name in scenarios},
            "episode_ms": 30000.0,
        },
        "actions": {"choices": ["0", "/2", "-10", "+10", "*2"]},
        "test": {"schemes": list(schemes[1:]), "runs": runs, "seed": 1_000_000},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    versions = {
        "python": "3.11.7",
        "packages": {"torch": "2.13.0"},
        "git": {"revision": "abc", "dirty": False},
    }
    (folder / "versions.json").write_text(json.dumps(versions))


def results_of(folder: Path) -> pd.DataFrame:
    return pd.read_parquet(folder / "results.parquet")
