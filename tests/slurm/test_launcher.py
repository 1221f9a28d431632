"""hydra/launcher=slurm and python -m mvfstrl.cluster against a real SLURM."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from tests.slurm.conftest import (
    ENDLESS,
    ROOT,
    SLURM,
    TINY,
    cluster_command,
    configured,
    eventually,
    job_of,
    launch,
    outcome_of,
    rows_of,
    slurm,
    start,
)


def test_a_sweep_in_arrays_as_large_as_the_cluster_takes(tmp_path: Path) -> None:
    """MaxArraySize is 3: the fourth run is a job of its own."""
    done = launch("seed=1,2,3", "hydra.sweep.dir=sweep", "total_steps=800",
                  "hydra.launcher.comment=hello", "agent.nonsense=1", folder=tmp_path)  # fmt: skip
    assert done.returncode != 0
    assert not (tmp_path / "sweep").exists(), "an unknown key is refused before anything is submitted"
    done = launch("seed=1,2,3,4", "hydra.sweep.dir=sweep", "total_steps=800", "hydra.launcher.comment=hello",
                  folder=tmp_path)  # fmt: skip
    assert done.returncode == 0, done.stdout
    jobs = json.loads((tmp_path / "sweep/jobs.json").read_text())["jobs"]
    assert [job["number"] for job in jobs] == [0, 1, 2, 3]
    assert [job["job_id"].partition("_")[2] for job in jobs] == ["0", "1", "2", ""]
    for number in range(4):
        assert outcome_of(tmp_path / f"sweep/{number}")["state"] == "finished"
    batch_file = next((tmp_path / "sweep/.submitit").glob("*/*_submission.sh")).read_text()
    assert "--comment=hello" in batch_file
    assert "--requeue" in batch_file
    assert {path.name for path in tmp_path.iterdir()} == {"sweep"}  # logs too lie in the sweep's directory
    left = {path.name for path in (tmp_path / "sweep").iterdir()} - {"0", "1", "2", "3"}
    assert left == {"sweep.json", "multirun.yaml", "jobs.json", ".submitit"}  # docs/outputs.md lists them


def test_refusals_are_told_in_slurms_words(tmp_path: Path) -> None:
    for override, key, said in (
        ("partition=nowhere", "hydra.launcher.partition", "invalid partition specified"),
        ("partition=closed", "hydra.launcher.partition", "Required partition not available"),
        ("partition=theirs", "hydra.launcher.account", "Invalid account"),
        ("cpus_per_task=64", "hydra.launcher.cpus_per_task", "More processors requested"),
    ):
        done = launch(f"hydra.launcher.{override}", "hydra.sweep.dir=sweep", "seed=1,2", folder=tmp_path)
        assert done.returncode == 2, done.stdout
        last = done.stdout.strip().splitlines()[-1]
        assert last.startswith("error: "), done.stdout
        assert key in last
        assert said.lower() in last.lower()
    assert not slurm("squeue", "--noheader")


def test_no_slurm_is_told_before_anything_is_written(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "run.py"), "-m", *TINY, *SLURM, "seed=1,2", "hydra.sweep.dir=sweep"],
        cwd=tmp_path,
        env={**os.environ, "PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 2, done.stderr
    assert (
        done.stderr.strip().splitlines()[-1].startswith("error: hydra/launcher: slurm needs SLURM's commands")
    )
    assert list(tmp_path.iterdir()) == []


def test_a_slurm_that_does_not_answer_is_told_before_anything_is_written(tmp_path: Path) -> None:
    configuration = tmp_path / "slurm.conf"
    configuration.touch()
    done = launch("seed=1,2", "hydra.sweep.dir=sweep", folder=tmp_path, SLURM_CONF=str(configuration))
    assert done.returncode == 2, done.stdout
    last = done.stdout.strip().splitlines()[-1]
    assert last.startswith("error: hydra/launcher: slurm's commands are here, but no cluster answers them:")
    assert "Unable to process configuration file" in last
    assert list(tmp_path.iterdir()) == [configuration]


def test_a_full_share_of_the_queue_is_told_at_once(tmp_path: Path) -> None:
    """Three runs go in an array, and the fourth would be the second job within the hour."""
    settings = Path(os.environ["SLURM_CONF"]).read_text()
    (scheduling,) = re.findall("^SchedulerParameters=.*$", settings, re.MULTILINE)
    with configured("JobSubmitPlugins=throttle", f"{scheduling},jobs_per_user_per_hour=1"):
        done = launch(*ENDLESS, "seed=1,2,3,4", "hydra.sweep.dir=sweep", folder=tmp_path)
    assert done.returncode == 2, done.stdout
    last = done.stdout.strip().splitlines()[-1]
    assert last.startswith("error: SLURM takes no more jobs now: "), done.stdout
    assert "Reached jobs per hour limit" in last
    assert "The 3 jobs submitted before it were cancelled" in last
    eventually(
        lambda: not slurm("squeue", "--noheader", "--states=RUNNING,PENDING"), "jobs were left behind", 60
    )
    assert not (tmp_path / "sweep/jobs.json").exists()


def test_a_job_killed_hard_is_noticed(tmp_path: Path) -> None:
    process = start("-m", *TINY, *SLURM, *ENDLESS, "seed=1,2", "hydra.sweep.dir=sweep", folder=tmp_path)
    try:
        sweep = tmp_path / "sweep"
        for number in (0, 1):
            eventually(lambda n=number: rows_of(sweep / str(n)), "no metrics")
        # The other one is ended in order, so that the sweep can end.
        killed, other = job_of(sweep, 0), job_of(sweep, 1)
        slurm("scancel", "--signal=KILL", "--full", killed)
        slurm("scancel", other)
        output, _ = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 1, output
    assert f"job {killed} ended without a result" in output
    assert outcome_of(sweep / "1")["state"] == "interrupted"


def test_a_sweep_left_alone_is_watched_and_cancelled(tmp_path: Path) -> None:
    done = launch(
        "seed=1,2", "hydra.sweep.dir=sweep", "total_steps=800", "cluster.detach=true", folder=tmp_path
    )
    assert done.returncode == 0, done.stdout
    assert job_of(tmp_path / "sweep")
    waited = cluster_command("wait", "sweep", "--every=1", folder=tmp_path)
    assert waited.returncode == 0, waited.stdout + waited.stderr
    assert "2 finished" in waited.stdout
    done = launch(*ENDLESS, "seed=1,2", "hydra.sweep.dir=endless", "cluster.detach=true", folder=tmp_path)
    assert done.returncode == 0, done.stdout
    endless = tmp_path / "endless"
    eventually(lambda: all(rows_of(endless / str(n)) for n in (0, 1)), "no metrics")
    again = launch(*ENDLESS, "seed=1,2", "hydra.sweep.dir=endless", "cluster.detach=true", folder=tmp_path)
    assert again.returncode == 2, again.stdout
    assert "in SLURM's hands already" in again.stdout
    table = cluster_command("status", "endless", folder=tmp_path).stdout
    assert table.count("RUNNING") == 2
    assert cluster_command("cancel", "endless", folder=tmp_path).stdout.startswith("cancelled: run 0")
    waited = cluster_command("wait", "endless", "--every=1", folder=tmp_path)
    assert waited.returncode == 1
    assert "2 interrupted" in waited.stdout
    assert "CANCELLED" in waited.stdout
    assert len(list(endless.glob("0/checkpoints/*.pt"))) == 1  # written when it was asked to stop


def test_wrong_directories_are_told(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign/file").touch()
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn/jobs.json").write_text('{"jobs": [')
    for name, said in (
        ("empty", "is empty"),
        ("foreign", "not the directory of a sweep"),
        ("torn", "torn"),
        ("nowhere", "no such directory"),
    ):
        for command in ("status", "wait", "cancel"):
            done = cluster_command(command, name, folder=tmp_path)
            assert done.returncode == 2
            assert done.stderr.startswith("error: ")
            assert said in done.stderr
