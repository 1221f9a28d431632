"""Sweeps whose runs are SLURM jobs: how they stand, waiting for them, cancelling them."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from mvfstrl.cluster import scheduler
from mvfstrl.cluster.status import standings, summary, table
from mvfstrl.errors import MvfstrlError

POLL_S = 10.0
USER_ERROR = 2


def status(sweep: Path) -> int:
    print(table(standings(sweep)))
    return 0


def wait(sweep: Path, poll_s: float = POLL_S) -> int:
    """1 where a run failed, was interrupted for good or lost."""
    told = ""
    unsettled = True
    while True:
        found = standings(sweep)
        if (line := summary(found)) != told:
            print(f"{time.strftime('%H:%M:%S')}  {line}", flush=True)
            told = line
        if all(standing.over for standing in found):
            failed = any(standing.failed for standing in found)
            if not failed or not unsettled:
                print(table(found))
                return int(failed)
            unsettled = False  # a job may be over in SLURM before its last file is seen here
        time.sleep(poll_s)


def cancel(sweep: Path) -> int:
    alive = [standing.job for standing in standings(sweep) if not standing.over]
    if not alive:
        print("no job of this sweep is waiting or running")
        return 0
    scheduler.cancel([job.job_id for job in alive])
    print(f"cancelled: {', '.join(f'run {job.number} (job {job.job_id})' for job in alive)}")
    print("the same sweep started again with hydra.sweep.dir goes on from their checkpoints")
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m mvfstrl.cluster", description=__doc__)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for function, text in (
        (status, "a table of the runs: SLURM's state, and the run's own state, step and return"),
        (wait, "shows progress until all jobs are over; exit status 1: a run has failed"),
        (cancel, "cancels the jobs that wait or run; each saves a checkpoint first"),
    ):
        command = commands.add_parser(function.__name__, help=text, description=text)
        command.add_argument("sweep", metavar="SWEEP_DIR", type=Path, help="hydra.sweep.dir of the sweep")
        command.set_defaults(function=function)
        if function is wait:
            command.add_argument(
                "--every", type=float, default=POLL_S, metavar="S", help="seconds between looks"
            )
    options = parser.parse_args(arguments)
    extra = (options.every,) if options.function is wait else ()
    try:
        return int(options.function(options.sweep, *extra))
    except MvfstrlError as error:
        print(f"error: {error}", file=sys.stderr)
        return USER_ERROR
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
