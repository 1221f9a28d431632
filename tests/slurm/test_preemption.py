"""A run that must make room comes back and ends where it would have ended."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch

from mvfstrl.checkpoint import checkpoints_in, load_checkpoint
from mvfstrl.trackers.wandb_files import WandbFileError, files_below, read_file
from tests.slurm.conftest import (
    LIMIT_S,
    ROOT,
    SLURM,
    TINY,
    eventually,
    job_of,
    node_of,
    outcome_of,
    rows_of,
    sbatch,
    slurm,
    start,
    state_of,
    without_power,
)

STEPS, EVERY = 80_000, 16_000
WANDB, OFFLINE = ["tracker=wandb"], {"WANDB_MODE": "offline"}
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
    overrides = [*EXACT, *WANDB, "seed=1", "hydra.sweep.dir=sweep", "hydra.launcher.partition=graceful"]
    process = start("-m", *TINY, *SLURM, *overrides, folder=tmp_path, **OFFLINE)
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
    require_rows_once_in_wandb(run, starts=3)


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


def test_a_run_that_meets_its_time_limit_goes_on(tmp_path: Path) -> None:
    """SLURM looks at limits twice a minute. Nobody waits for the run's end: its rows are compared so far."""
    exact = ["deterministic=true", "total_steps=1_000_000", "agent.checkpoint_steps=1_000_000_000", "seed=1"]
    whole = start(*TINY, *exact, "hydra.run.dir=whole", folder=tmp_path)
    began = time.monotonic()
    process = start("-m", *TINY, *SLURM, *exact, "hydra.sweep.dir=sweep", folder=tmp_path)
    try:
        run, job = tmp_path / "sweep/0", job_of(tmp_path / "sweep")
        eventually(lambda: rows_of(run), "no metrics")
        minutes = int((time.monotonic() - began) // 60) + 2
        slurm("scontrol", "update", f"jobid={job}", f"timelimit={minutes}")
        eventually(lambda: outcome_of(run)["state"] == "interrupted", "not told of its limit", 90)
        slurm("scontrol", "update", f"jobid={job}", "timelimit=30")
        rows = len(rows_of(run))
        eventually(lambda: outcome_of(run)["starts"] == 2 and len(rows_of(run)) > rows + 1, "has not gone on")
        slurm("scancel", job)
        process.communicate(timeout=LIMIT_S)
        found = rows_of(run)
        eventually(lambda: len(rows_of(tmp_path / "whole")) >= len(found), "the other run is too slow")
    finally:
        whole.kill()
        process.kill()
    assert found == rows_of(tmp_path / "whole")[: len(found)]
    assert (run / "run.log").read_text().count("resumed from") == 1


def test_a_run_whose_node_failed_equals_an_uninterrupted_one(tmp_path: Path, whole: Path) -> None:
    """Nothing is saved when the power fails: the job goes on at the other node from its last checkpoint."""
    overrides = [*EXACT, f"agent.checkpoint_steps={EVERY}", *WANDB, "seed=1", "hydra.sweep.dir=sweep"]
    process = start("-m", *TINY, *SLURM, *overrides, folder=tmp_path, **OFFLINE)
    try:
        run, job = tmp_path / "sweep/0", job_of(tmp_path / "sweep")
        eventually(lambda: checkpoints_in(run / "checkpoints"), "no checkpoint")
        eventually(lambda: rows_of(run)[-1]["step"] % EVERY > EVERY // 4, "no rows after it")
        with without_power(job) as node:
            rows = len(rows_of(run))
            eventually(lambda: node_of(job), "not started again")
            assert node_of(job) != node
            output, _ = process.communicate(timeout=LIMIT_S)
    finally:
        process.kill()
    assert process.returncode == 0, output
    assert rows < len(rows_of(whole)), "the run was over before its node failed"
    assert outcome_of(run)["starts"] == 2
    assert (run / "run.log").read_text().count("resumed from") == 1
    require_equal_runs(run, whole)
    require_rows_once_in_wandb(run, starts=2)


def require_rows_once_in_wandb(run: Path, starts: int) -> None:
    """Each row of the run's own record, in its order, over the files of all starts; one more has what was
    kept at the end. A start that was killed may have left nothing that can be read."""
    files = files_below(run / "wandb")
    assert len(files) == starts + 1
    sent: list[dict[str, Any]] = []
    for file in files:
        with suppress(WandbFileError):
            sent += [row for row in read_file(file).rows if "loss" in row]
    recorded = rows_of(run)
    assert [row["step"] for row in sent] == [row["step"] for row in recorded]
    assert [row["loss"] for row in sent] == [row["loss"] for row in recorded]


def _script(folder: Path) -> Path:
    script = folder / "urgent.sh"
    script.write_text("#!/bin/bash\nsleep 300\n")
    return script
