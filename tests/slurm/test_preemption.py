"""A run that must make room comes back and ends where it would have ended."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
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
    state_of,
)

STEPS = 80_000
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


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run that nobody disturbs; not in a job."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    output, _ = start(*TINY, *EXACT, "seed=1", "hydra.run.dir=run", folder=folder).communicate(
        timeout=LIMIT_S
    )
    assert outcome_of(folder / "run")["state"] == "finished", output
    return folder / "run"


def make_room(run: Path, folder: Path) -> None:
    """An urgent job takes all of both nodes until the run has given way."""
    job = sbatch(_script(folder), "--partition=urgent", "--nodes=2", "--exclusive", "--time=5", folder=folder)
    eventually(lambda: outcome_of(run)["state"] == "interrupted", "the run has not given way")
    eventually(lambda: state_of(job) == "RUNNING", "the urgent job does not run")
    slurm("scancel", job)


def test_a_launched_run_asked_twice_equals_an_uninterrupted_one(tmp_path: Path, whole: Path) -> None:
    """By SIGUSR2 to submitit's job, then by an urgent job with a warning before it."""
    overrides = [*EXACT, "seed=1", "hydra.sweep.dir=sweep", "hydra.launcher.partition=graceful"]
    process = start("-m", *TINY, *SLURM, *overrides, folder=tmp_path)
    try:
        run = tmp_path / "sweep/0"
        eventually(lambda: rows_of(run), "no metrics")
        slurm("scancel", "--signal=USR2", job_of(tmp_path / "sweep"))
        eventually(lambda: outcome_of(run)["state"] == "interrupted", "not interrupted")
        rows = len(rows_of(run))
        eventually(lambda: outcome_of(run)["starts"] == 2 and len(rows_of(run)) > rows, "not started again")
        make_room(run, tmp_path)
        output, _ = process.communicate(timeout=LIMIT_S)
    finally:
        process.kill()
    assert process.returncode == 0, output
    assert outcome_of(run)["starts"] == 3
    require_equal_runs(run, whole)


def test_a_batch_files_run_stopped_at_once_equals_an_uninterrupted_one(tmp_path: Path, whole: Path) -> None:
    """No warning: SIGTERM, and SIGKILL soon."""
    run = tmp_path / "run"
    job = sbatch(
        ROOT / "sweeps" / "one_run.sbatch", "--cpus-per-task=1", "--mem=1G", "--time=30", folder=tmp_path,
        MVFSTRL=str(ROOT), RUN=str(run), OVERRIDES=" ".join([*TINY, *EXACT, "seed=1"]),
    )  # fmt: skip
    eventually(lambda: rows_of(run), "no metrics")
    make_room(run, tmp_path)
    eventually(lambda: outcome_of(run)["state"] == "finished", f"job {job} has not finished")
    assert outcome_of(run)["starts"] == 2
    require_equal_runs(run, whole)


def _script(folder: Path) -> Path:
    script = folder / "urgent.sh"
    script.write_text("#!/bin/bash\nsleep 300\n")
    return script
