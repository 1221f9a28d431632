"""Several learners: one a task, on two nodes, by submitit and by srun; arrays in a batch file."""

from __future__ import annotations

from pathlib import Path

from mvfstrl.checkpoint import load_checkpoint
from tests.slurm.conftest import ROOT, TINY, eventually, launch, outcome_of, sbatch, state_of

STEPS = "total_steps=1600"


def test_two_nodes_by_submitit(tmp_path: Path) -> None:
    done = launch(
        STEPS, "seed=1", "hydra.sweep.dir=sweep", "hydra.launcher.nodes=2", "hydra.launcher.tasks_per_node=1",
        folder=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    run = tmp_path / "sweep/0"
    assert load_checkpoint(run)["ranks"] == 2
    assert outcome_of(run)["starts"] == 1  # one rank writes
    assert not list(run.glob("*-1.*"))
    assert (run / "run.log").read_text().count("resumed") == 0


def test_two_nodes_by_a_batch_file(tmp_path: Path) -> None:
    job = sbatch(
        ROOT / "sweeps" / "two_nodes.sbatch", "--cpus-per-task=1", "--mem=1G", "--time=10", folder=tmp_path,
        MVFSTRL=str(ROOT), RUN=str(tmp_path / "run"), OVERRIDES=" ".join([*TINY, STEPS]),
    )  # fmt: skip
    eventually(lambda: state_of(job) in ("COMPLETED", "FAILED"), "the job does not end")
    assert state_of(job) == "COMPLETED", (tmp_path / f"slurm-{job}.out").read_text()
    assert load_checkpoint(tmp_path / "run")["ranks"] == 2
    assert outcome_of(tmp_path / "run") | {"starts": 1, "state": "finished"} == outcome_of(tmp_path / "run")


def test_an_array_over_combinations(tmp_path: Path) -> None:
    job = sbatch(
        ROOT / "sweeps" / "array.sbatch", "--array=1-2", "--cpus-per-task=1", "--mem=1G", "--time=10",
        folder=tmp_path, MVFSTRL=str(ROOT), SWEEP=str(tmp_path / "sweep"), OVERRIDES=" ".join([*TINY, STEPS]),
    )  # fmt: skip
    folders = [tmp_path / "sweep" / number for number in ("1", "2")]
    eventually(
        lambda: all(outcome_of(folder)["state"] not in (None, "running") for folder in folders),
        f"job {job} does not end",
    )
    overrides = [outcome_of(folder)["overrides"] for folder in folders]
    assert all(outcome_of(folder)["state"] == "finished" for folder in folders)
    assert [next(o for o in run if o.startswith("seed=")) for run in overrides] == ["seed=2", "seed=3"]
    assert {path.name for path in (tmp_path / "sweep").iterdir()} == {"1", "2"}
