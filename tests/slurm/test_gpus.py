"""hydra/launcher=slurm_gpu: what a run asks for, and what SLURM gives it. The GPUs are device files that
compute nothing; the handing out is SLURM's own."""

from __future__ import annotations

from pathlib import Path

from tests.slurm.conftest import ENDLESS, cluster_command, eventually, job_of, launch, processes_of, slurm

GPU = ["hydra/launcher=slurm_gpu", "hydra.launcher.cpus_per_task=1", "hydra.launcher.mem_gb=1"]


def tasks_of(job: str) -> list[dict[str, str]]:
    """The environment of what srun has started."""
    told = slurm("scontrol", "--oneliner", "show", "job", job)
    number = next(word.removeprefix("JobId=") for word in told.split() if word.startswith("JobId="))
    processes = processes_of(number).values()
    return [variables for variables in processes if variables.get("SLURM_STEP_ID") == "0"]


def test_each_run_has_a_gpu_of_its_own_and_the_others_wait(tmp_path: Path) -> None:
    """Two nodes with a GPU each, and three runs."""
    done = launch(
        *GPU, *ENDLESS, "seed=1,2,3", "hydra.sweep.dir=sweep", "cluster.detach=true", folder=tmp_path
    )
    assert done.returncode == 0, done.stdout
    sweep = tmp_path / "sweep"
    for number in (0, 1):
        job = job_of(sweep, number)
        told = slurm("scontrol", "--oneliner", "show", "job", job)
        assert "TresPerNode=gres:gpu:1" in told
        seen = eventually(lambda job=job: tasks_of(job), f"job {job} does not start")
        assert {variables.get("CUDA_VISIBLE_DEVICES") for variables in seen} == {"0"}
    nodes = slurm("squeue", "--noheader", "--states=RUNNING", "--format=%N").split()
    assert sorted(nodes) == ["n1", "n2"]
    table = cluster_command("status", "sweep", folder=tmp_path).stdout
    (waiting,) = (line for line in table.splitlines() if "PENDING" in line)
    assert "PENDING (Resources)" in waiting or "PENDING (Priority)" in waiting


def test_more_gpus_than_a_node_has_are_refused_by_the_key(tmp_path: Path) -> None:
    done = launch(
        *GPU, "hydra.launcher.gpus_per_node=2", "seed=1,2", "hydra.sweep.dir=sweep", folder=tmp_path
    )
    assert done.returncode == 2, done.stdout
    last = done.stdout.strip().splitlines()[-1]
    assert last.startswith("error: ")
    assert "hydra.launcher.gpus_per_node" in last
    assert "Requested node configuration is not available" in last
