"""A run that must make room comes back and ends where it would have ended."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from mvfstrl.checkpoint import load_checkpoint
from tests.slurm.conftest import (
    LIMIT_S,
    ROOT,
    SLURM,
    TINY,
    eventually,
    job_of,
    outcome_of,
    rows_of,
    sbatch,
    slurm,
    start,
)

STEPS = 60_000
EXACT = ["deterministic=true", f"total_steps={STEPS}", "agent.checkpoint_steps=1_000_000_000"]


def same(a: Any, b: Any) -> bool:
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return bool(a == b)


def require_equal_runs(run: Path, whole: Path) -> None:
    """Checkpoints to the bit, and rows of metrics: none is missing, none is twice."""
    assert rows_of(run) == rows_of(whole)
    mine, theirs = load_checkpoint(run), load_checkpoint(whole)
    for content in (mine, theirs):
        content.pop("config")  # where the run lies
    assert mine["step"] == STEPS
    assert same(mine, theirs)


def test_preempted_runs_equal_an_uninterrupted_one(tmp_path: Path) -> None:
    """A launcher's run: by SIGUSR2, then by an urgent job with a warning; a plain batch file's: by the same
    urgent job without one."""
    sweep = tmp_path / "sweep"
    process = start(
        "-m", *TINY, *SLURM, *EXACT, "seed=1", "hydra.sweep.dir=sweep", "hydra.launcher.partition=graceful",
        folder=tmp_path,
    )  # fmt: skip
    batch = tmp_path / "batch"
    single = ROOT / "sweeps" / "one_run.sbatch"
    job = sbatch(
        single, "--cpus-per-task=1", "--mem=1G", "--time=30", folder=tmp_path,
        MVFSTRL=str(ROOT), RUN=str(batch), OVERRIDES=" ".join([*TINY, *EXACT, "seed=1"]),
    )  # fmt: skip
    whole = start(*TINY, *EXACT, "seed=1", "hydra.run.dir=whole", folder=tmp_path)
    try:
        run = sweep / "0"
        eventually(lambda: rows_of(run), "no metrics")
        slurm("scancel", "--signal=USR2", job_of(sweep))
        eventually(lambda: outcome_of(run)["state"] == "interrupted", "not interrupted")
        eventually(lambda: rows_of(batch), "no metrics")
        # All CPUs of both nodes, at once: whoever runs must go.
        eventually(lambda: outcome_of(run)["starts"] == 2 and len(rows_of(run)) > 3, "not started again")
        urgent = sbatch(
            _script(tmp_path), "--partition=urgent", "--nodes=2", "--exclusive", "--time=5", folder=tmp_path
        )
        eventually(lambda: outcome_of(batch)["state"] == "interrupted", "the batch file's run was not asked")
        eventually(lambda: outcome_of(run)["state"] == "interrupted", "the launcher's run was not asked")
        slurm("scancel", urgent)
        output, _ = process.communicate(timeout=LIMIT_S)
        assert process.returncode == 0, output
        whole.communicate(timeout=LIMIT_S)
        eventually(lambda: outcome_of(batch)["state"] == "finished", f"job {job} has not finished")
    finally:
        process.kill()
        whole.kill()
    assert outcome_of(run)["starts"] == 3
    assert outcome_of(batch)["starts"] == 2
    require_equal_runs(run, tmp_path / "whole")
    require_equal_runs(batch, tmp_path / "whole")


def _script(folder: Path) -> Path:
    script = folder / "urgent.sh"
    script.write_text("#!/bin/bash\nsleep 300\n")
    return script
