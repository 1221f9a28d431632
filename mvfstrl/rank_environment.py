"""What started this process says of it: which of several ranks it is, where they meet, its share of cores.

torchrun says so in RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT, SLURM's srun in variables of its own.
Nothing here needs torch.
"""

from __future__ import annotations

import logging
import os
import re
import subprocess
from collections.abc import Mapping
from typing import NamedTuple

from mvfstrl.errors import ConfigError

logger = logging.getLogger(__name__)

FIRST_PORT, PORTS = 20_000, 12_000
"""Of ranks that SLURM started, if MASTER_PORT does not say otherwise: below those that systems give away."""
SCONTROL_S = 20.0
TORCHRUN = "env://"


class Started(NamedTuple):
    """One of several ranks."""

    rank: int
    size: int
    url: str
    """Where they meet, as torch's rendezvous has it."""


def ranks_started(environment: Mapping[str, str]) -> int:
    """How many processes were started as one; 1: this is all. Raises ConfigError."""
    if environment.get("WORLD_SIZE"):
        return _number(environment, "WORLD_SIZE", "1")
    return _number(environment, "SLURM_STEP_NUM_TASKS", "1") if _in_step(environment) else 1


def started(environment: Mapping[str, str]) -> Started | None:
    """This process's place; None where it is all. torchrun's word goes before SLURM's. Raises ConfigError."""
    if environment.get("WORLD_SIZE"):
        place = from_environment(environment)
        return None if place is None else Started(*place, TORCHRUN)
    return from_slurm(environment)


def from_environment(environment: Mapping[str, str]) -> tuple[int, int] | None:
    """(RANK, WORLD_SIZE); None where one process is all."""
    size = _number(environment, "WORLD_SIZE", "1")
    if size == 1:
        return None
    for name in ("RANK", "MASTER_ADDR", "MASTER_PORT"):
        if not environment.get(name):
            raise ConfigError(f"{name}: not set, though WORLD_SIZE={size}; torchrun sets all of them")
    _number(environment, "MASTER_PORT", "")
    rank = _number(environment, "RANK", "")
    if not 0 <= rank < size:
        raise ConfigError(f"RANK: must be from 0 to {size - 1}, as WORLD_SIZE={size}, got {rank}")
    return rank, size


def from_slurm(environment: Mapping[str, str]) -> Started | None:
    """The place among the tasks of a job step, which srun started. MASTER_ADDR and MASTER_PORT may say where
    to meet; else it is the node of the first task, at a port that is the step's own."""
    size = _number(environment, "SLURM_STEP_NUM_TASKS", "1") if _in_step(environment) else 1
    if size == 1:
        return None
    rank = _number(environment, "SLURM_PROCID", "")
    address = environment.get("MASTER_ADDR") or _first_node(environment.get("SLURM_STEP_NODELIST", ""))
    job = _number(environment, "SLURM_JOB_ID", "")
    step = _number(environment, "SLURM_STEP_ID", "0")
    own_port = FIRST_PORT + (16 * job + step) % PORTS
    port = _number(environment, "MASTER_PORT", str(own_port))
    return Started(rank, size, f"tcp://{address}:{port}?rank={rank}&world_size={size}")


def available_cores(environment: Mapping[str, str]) -> int:
    """That this process may use: those that it is bound to, and of a SLURM job no more than it was given,
    also where the cluster binds nothing."""
    bound = len(os.sched_getaffinity(0))
    given = environment.get("SLURM_CPUS_ON_NODE", "")
    if "SLURM_JOB_ID" not in environment or not given.isdigit():
        return bound
    # A batch script's own process has all that the job has on its node; tasks of a step share theirs.
    sharing = _tasks_on_this_node(environment) if _in_step(environment) else 1
    return max(1, min(bound, int(given) // sharing))


def worker_threads(asked: int, cores: int, environment: Mapping[str, str]) -> int:
    """As many as asked for, 0: one a core; in a SLURM job never more than its cores."""
    if "SLURM_JOB_ID" in environment and asked > cores:
        logger.warning("%d threads asked for, but the job has %d core(s) for them: taking that", asked, cores)
        return cores
    return asked or cores


def _in_step(environment: Mapping[str, str]) -> bool:
    """A batch script is told of the job's tasks too, but it is only itself."""
    return bool(environment.get("SLURM_STEP_NUM_TASKS")) and bool(environment.get("SLURM_JOB_ID"))


def _tasks_on_this_node(environment: Mapping[str, str]) -> int:
    """From `2(x3),1`: two on each of three nodes, one on the fourth."""
    counts: list[int] = []
    for part in environment.get("SLURM_STEP_TASKS_PER_NODE", "1").split(","):
        match = re.fullmatch(r"(\d+)(?:\(x(\d+)\))?", part)
        if match is None:
            return 1
        counts += [int(match[1])] * int(match[2] or 1)
    node = environment.get("SLURM_NODEID", "0")
    return counts[int(node)] if node.isdigit() and int(node) < len(counts) else max(counts)


def _first_node(nodes: str) -> str:
    """The address at which SLURM itself reaches the first of `n[1-3,7]`; its name where that is not told."""
    try:
        first = _scontrol("show", "hostnames", nodes).splitlines()[0].strip()
        match = re.search(r"\bNodeAddr=(\S+)", _scontrol("--oneliner", "show", "node", first))
    except (OSError, subprocess.SubprocessError, IndexError) as error:
        raise ConfigError(
            f"MASTER_ADDR: not set, and scontrol does not tell the first of the nodes {nodes!r}: {error}"
        ) from error
    return match[1] if match else first


def _scontrol(*arguments: str) -> str:
    command = ["scontrol", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=SCONTROL_S).stdout


def _number(environment: Mapping[str, str], name: str, default: str) -> int:
    text = environment.get(name) or default
    if not text.isascii() or not text.isdigit() or (name == "WORLD_SIZE" and int(text) < 1):
        raise ConfigError(f"{name}: must be a whole number, got {text!r}")
    return int(text)
