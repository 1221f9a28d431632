"""A real SLURM cluster, which tools/slurm/with_cluster.sh has started, and what these tests do with it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests import tiny_run

ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 600.0
"""Nothing here takes minutes; a machine under load may."""
TINY = [*tiny_run.TINY, "test_after_train=false", "device=cpu"]
SLURM = [
    "hydra/launcher=slurm",
    "hydra.launcher.cpus_per_task=1",
    "hydra.launcher.mem_gb=1",
    "hydra.launcher.timeout_min=30",
]
ENDLESS = ["total_steps=1_000_000_000", "agent.checkpoint_steps=1_000_000"]


@pytest.fixture(scope="session", autouse=True)
def cluster() -> None:
    """Nothing here is skipped: without a cluster the tests fail."""
    answer = slurm("scontrol", "show", "config")
    assert "ClusterName             = throwaway" in answer, "start these tests by: make test-slurm"


@pytest.fixture(autouse=True)
def no_jobs_left() -> Any:
    yield
    jobs = slurm("squeue", "--noheader", "--format=%A").split()
    if jobs:
        slurm("scancel", "--quiet", *jobs)
    eventually(lambda: not slurm("squeue", "--noheader", "--states=RUNNING,PENDING"), "jobs do not go away")


def slurm(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


def start(*arguments: str, folder: Path, **variables: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(ROOT / "run.py"), *arguments],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo", **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def launch(*arguments: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """`run.py -m` with SLURM's launcher, to its end."""
    ours = [] if any(argument.startswith("hydra/launcher=") for argument in arguments) else SLURM
    process = start("-m", *TINY, *ours, *arguments, folder=folder, **variables)
    try:
        output, _ = process.communicate(timeout=LIMIT_S)
    finally:
        process.kill()
    return subprocess.CompletedProcess(process.args, process.returncode, output)


def sbatch(script: Path | str, *options: str, folder: Path, **variables: str) -> str:
    """Submits a batch file; the job's id."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo", **variables}
    done = subprocess.run(
        ["sbatch", "--parsable", *options, str(script)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def cluster_command(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mvfstrl.cluster", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=LIMIT_S)


def eventually(condition: Callable[[], Any], otherwise: str, limit_s: float = LIMIT_S) -> Any:
    deadline = time.monotonic() + limit_s
    while not (found := condition()):
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.3)
    return found


def job_of(sweep: Path, number: int = 0) -> str:
    path = eventually(lambda: (sweep / "jobs.json").exists() and sweep / "jobs.json", "no jobs.json")
    jobs = {job["number"]: job["job_id"] for job in json.loads(path.read_text())["jobs"]}
    return str(jobs[number])


def outcome_of(run: Path) -> dict[str, Any]:
    path = run / "outcome.json"
    return dict(json.loads(path.read_text())) if path.exists() else {"state": None, "starts": 0}


def rows_of(run: Path) -> list[dict[str, Any]]:
    """Without what depends on the clock."""
    path = run / "metrics.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    rows = [json.loads(line) for line in lines]
    return [{k: v for k, v in row.items() if not k.startswith("steps_per_")} for row in rows]


def state_of(job: str) -> str:
    return slurm("squeue", "--noheader", "--states=all", "--array", "--format=%T", f"--jobs={job}").strip()


def node_of(job: str) -> str:
    return slurm("squeue", "--noheader", "--format=%N", f"--jobs={job}").strip()


def processes_of(job: str) -> dict[int, dict[str, str]]:
    """The environment of each process that runs in the job, by its number."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            text = (folder / "environ").read_bytes().decode(errors="replace")
            variables = dict(item.split("=", 1) for item in text.split("\0") if "=" in item)
            if variables.get("SLURM_JOB_ID") == job:
                found[int(folder.name)] = variables
    return found


@contextmanager
def without_power(job: str) -> Iterator[str]:
    """The job's node fails: nothing that runs there says another word. Gives its name. Nothing else may run
    there: all nodes are one machine."""
    node, configuration = node_of(job), os.environ["SLURM_CONF"]
    daemon = int((Path(configuration).parent / f"slurmd.{node}.pid").read_text())
    for pid in (daemon, *_guards_of(job), *processes_of(job)):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    slurm("scontrol", "update", f"nodename={node}", "state=down", "reason=power")
    try:
        yield node
    finally:
        slurm("slurmd", "-N", node, "-f", configuration)  # once it answers it is used again
        eventually(
            lambda: "idle" in slurm("sinfo", "--noheader", f"--nodes={node}", "--format=%T"), "no node"
        )


def _guards_of(job: str) -> list[int]:
    """SLURM's own processes, one a step of the job."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (folder / "cmdline").read_bytes().startswith(f"slurmstepd: [{job}.".encode()):
                found.append(int(folder.name))
    return found


@contextmanager
def configured(*lines: str) -> Iterator[None]:
    """The cluster under other settings; later ones go before earlier ones in one line's list."""
    path = Path(os.environ["SLURM_CONF"])
    before = path.read_text()
    try:
        path.write_text("\n".join([*before.splitlines(), *lines]) + "\n")
        slurm("scontrol", "reconfigure")
        yield
    finally:
        path.write_text(before)
        slurm("scontrol", "reconfigure")
