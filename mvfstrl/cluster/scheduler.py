"""SLURM as its commands tell it: states of jobs, cancelling, requeueing, and what a refusal means."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from mvfstrl.errors import ConfigError, MvfstrlError

COMMANDS = ("sbatch", "squeue", "scancel", "scontrol")
ANSWER_S = 60.0
"""A controller that has not answered by then is not there."""
IDS_A_CALL = 500
GONE = "GONE"
"""Our word for a job that SLURM no longer knows."""

ALIVE = frozenset(
    [
        *("PENDING", "CONFIGURING", "RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "RESIZING", "SIGNALING"),
        *("STAGE_OUT", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "RESV_DEL_HOLD", "SPECIAL_EXIT"),
    ]
)
"""A job in one of these may yet go on."""

# What sbatch says, and the key of hydra.launcher to look at.
REFUSALS = (
    (r"invalid partition|partition.*(not available|inactive|down)", "partition"),
    (r"invalid account", "account"),
    (r"invalid qos", "qos"),
    (r"invalid feature|invalid constraint", "constraint"),
    (r"time limit|TimeLimit", "timeout_min"),
    (r"memory (specification|required)", "mem_gb"),
    (r"gres|gpus?\b", "gpus_per_node"),
    (r"cpu count|more processors", "cpus_per_task, tasks_per_node"),
    (r"node count|node configuration", "nodes, cpus_per_task, mem_gb, gpus_per_node, constraint"),
)
FULL = r"temporarily una|queue full|job submit limit|MaxSubmitJob|AssocMax"


class SchedulerError(MvfstrlError):
    """SLURM does not answer, or not as expected."""


class SubmissionError(MvfstrlError):
    """SLURM refused a job."""


class Seen(NamedTuple):
    """A job, as SLURM tells it."""

    state: str
    reason: str = ""
    """Why it waits; empty where SLURM gives none."""


def require_slurm() -> None:
    """Raises ConfigError where there is no SLURM, or none that answers."""
    missing = [name for name in COMMANDS if shutil.which(name) is None]
    if missing:
        raise ConfigError(
            f"hydra/launcher: slurm needs SLURM's commands, and {', '.join(missing)} is not on PATH: submit"
            " on a login node of the cluster, or choose hydra/launcher=submitit_local or joblib"
        )
    try:
        array_limit()
    except SchedulerError as error:
        raise ConfigError(
            f"hydra/launcher: slurm's commands are here, but no cluster answers them: {error}"
        ) from error


def states(job_ids: Iterable[str]) -> dict[str, str]:
    """Each job's state, as `look` finds it."""
    return {job: seen.state for job, seen in look(job_ids).items()}


def look(job_ids: Iterable[str]) -> dict[str, Seen]:
    """How each job stands. One that the controller has forgotten is looked up in the accounting, where there
    is any; else it is GONE. Raises SchedulerError where the controller does not answer."""
    wanted = list(dict.fromkeys(job_ids))
    found: dict[str, Seen] = {}
    for begin in range(0, len(wanted), IDS_A_CALL):
        found |= _queued(wanted[begin : begin + IDS_A_CALL])
    forgotten = [job for job in wanted if job not in found]
    return found | _accounted(forgotten)


def cancel(job_ids: Sequence[str]) -> None:
    for begin in range(0, len(job_ids), IDS_A_CALL):
        _answer("scancel", *job_ids[begin : begin + IDS_A_CALL])


def requeue(job_id: str) -> None:
    """Ends the job and puts it back into the queue, unless SLURM has done so."""
    try:
        _answer("scontrol", "requeue", job_id)
    except SchedulerError as error:
        if "pending execution" not in str(error):
            raise


def makes_room(job_id: str) -> bool:
    """Whether the job is being preempted, and still has some time: SLURM requeues it only once that is over,
    and takes a job that ends meanwhile for finished."""
    said = _answer("scontrol", "--oneliner", "show", "job", job_id)
    told = dict(re.findall(r"(\w+)=(\S*)", said))
    return told.get("JobState") == "RUNNING" and told.get("PreemptTime", "None") != "None"


def array_limit() -> int:
    """The largest number of jobs in an array."""
    match = re.search(r"^MaxArraySize\s*=\s*(\d+)", _answer("scontrol", "show", "config"), re.MULTILINE)
    return max(1, int(match[1])) if match else 1001


def refusal(said: str) -> str:
    """sbatch's message, and the key to change."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    told = "; ".join(dict.fromkeys(lines)) or "no reason given"
    if re.search(FULL, said, re.IGNORECASE):
        return (
            f"SLURM takes no more jobs now: {told}. Submit fewer runs, or the same command again with"
            " hydra.sweep.dir=FOLDER when the queue is shorter"
        )
    for pattern, keys in REFUSALS:
        if re.search(pattern, said, re.IGNORECASE):
            named = ", ".join(f"hydra.launcher.{key}" for key in keys.split(", "))
            return f"{named}: SLURM refused the job: {told}"
    return f"hydra.launcher: SLURM refused the job: {told}"


def _queued(job_ids: list[str]) -> dict[str, Seen]:
    command = [
        "squeue",
        "--noheader",
        "--array",
        "--states=all",
        "--format=%i|%T|%r",
        f"--jobs={','.join(job_ids)}",
    ]
    ended = _run(command)
    if ended.returncode and "Invalid job id" not in ended.stderr:
        raise SchedulerError(f"squeue does not answer: {_last(ended.stderr)}")
    told = (line.split("|", 2) for line in ended.stdout.splitlines() if line.count("|") >= 2)
    return {job: Seen(state, "" if reason == "None" else reason) for job, state, reason in told}


def _accounted(job_ids: list[str]) -> dict[str, Seen]:
    found = dict.fromkeys(job_ids, Seen(GONE))
    if not job_ids or shutil.which("sacct") is None:
        return found
    command = ["sacct", "--noheader", "--parsable2", "--allocations", "--format=JobID,State"]
    ended = _run([*command, f"--jobs={','.join(job_ids)}"])
    for line in ended.stdout.splitlines():
        job, _, state = line.partition("|")
        if job in found and state:
            found[job] = Seen(state.split()[0])  # `CANCELLED by 1000`
    return found


def _answer(*command: str) -> str:
    ended = _run(list(command))
    if ended.returncode:
        raise SchedulerError(f"{' '.join(command[:3])}: {_last(ended.stderr)}")
    return ended.stdout


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=ANSWER_S, check=False)
    except FileNotFoundError as error:
        raise SchedulerError(f"{command[0]}: not found; is this a host of the cluster?") from error
    except subprocess.TimeoutExpired as error:
        raise SchedulerError(
            f"{command[0]}: SLURM's controller has not answered for {ANSWER_S:g} s"
        ) from error


def _last(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "no reason given")
