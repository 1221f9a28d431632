"""What becomes of a run in a SLURM job that must end early: it goes back into the queue, and goes on from its
checkpoint when it is started again.

SLURM sends SIGUSR2 some time before the end, where the job asked for that (`--signal=USR2@120`; submitit
does), and SIGTERM before it kills. Training finishes its step at either, saves and records itself
(`stopping`); only then comes `leave`. What happens outside of training needs no care and ends at once.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Collection
from types import FrameType

from mvfstrl.cluster import scheduler

logger = logging.getLogger(__name__)

GIVEN_BACK = 75
"""Exit status of a run that is to be started again (EX_TEMPFAIL)."""


def prepare() -> None:
    """In a SLURM job that is not submitit's, which does the same: gets ready for signals outside of training.
    Of several ranks only the first acts, and the others wait for it, or to be killed."""
    if "SLURM_JOB_ID" not in os.environ:
        return
    rank = os.environ.get("RANK") or os.environ.get("SLURM_PROCID") or "0"
    handler = _give_back if rank == "0" else _wait_for_rank_0
    signal.signal(signal.SIGUSR2, handler)
    signal.signal(signal.SIGTERM, handler)


def leave(signals: Collection[signal.Signals]) -> None:
    """Ends this process as the signals that interrupted its run ask; returns where they ask no more."""
    if signal.SIGUSR2 in signals and callable(signal.getsignal(signal.SIGUSR2)):
        signal.raise_signal(signal.SIGUSR2)  # to submitit, or to _give_back, who were to hear it first
    elif signal.SIGTERM in signals and "SLURM_JOB_ID" in os.environ:
        _give_back(signal.SIGTERM, None)


def _give_back(number: int, frame: FrameType | None) -> None:
    """Never returns. A SIGTERM alone may be of `scancel`, or of a preemption after which SLURM requeues
    itself: then the job is left to it."""
    job = os.environ["SLURM_JOB_ID"]
    try:
        if number == signal.SIGUSR2 or scheduler.makes_room(job):
            logger.warning("job %s goes back into the queue", job)
            scheduler.requeue(job)
            sys.exit(GIVEN_BACK)
    except scheduler.SchedulerError as error:
        logger.error("job %s could not be requeued: %s", job, error)
    sys.exit(128 + number)


def _wait_for_rank_0(number: int, frame: FrameType | None) -> None:
    """It decides; to end first might take the job along."""
