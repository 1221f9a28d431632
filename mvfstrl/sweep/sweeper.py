"""What our sweepers share: checked runs, one record, a table meanwhile, and a word on each that failed."""

from __future__ import annotations

import logging
import os
import signal
import sys
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from mvfstrl.errors import MvfstrlError
from mvfstrl.outcome import State, outcome_of
from mvfstrl.rank_environment import available_cores
from mvfstrl.sweep.plan import Job, Planner
from mvfstrl.sweep.record import SweepRecord, read_record
from mvfstrl.sweep.table import Row, SweepTable, labels, look
from mvfstrl.sweep.task import CONSOLE, STOP, RunFailedError, SweepStoppedError, SweepTask

logger = logging.getLogger(__name__)

FAILED, USER_ERROR = 1, 2
LOST_STARTS = 2
"""A run whose process was killed is started again, so often in all."""


@contextmanager
def told_in_one_line() -> Iterator[None]:
    """The user's errors, as run.py tells them: Hydra would print a traceback."""
    try:
        yield
    except MvfstrlError as error:
        if os.environ.get("HYDRA_FULL_ERROR") == "1":
            raise
        print(f"error: {error}", file=sys.stderr)
        sys.exit(USER_ERROR)


class StudySweeper(Sweeper):
    """Base of the sweepers. A sweep that is started again in its folder goes on."""

    NAME = ""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        with told_in_one_line():
            self.master = config
            self.folder = Path(str(config.hydra.sweep.dir))
            self.planner = Planner(hydra_context, config)
            self.launcher: Launcher = Plugins.instance().instantiate_launcher(
                hydra_context=hydra_context,
                task_function=SweepTask(task_function, self.folder),
                config=config,
            )
        self.console = Console(stderr=True)
        self.failures: dict[int, str] = {}
        self.interrupted = False
        self._lost: dict[int, int] = {}
        self._began_utc = datetime.now(UTC).isoformat(timespec="seconds")

    def sweep(self, arguments: list[str]) -> Any:
        with told_in_one_line():
            return self.search(arguments)

    @abstractmethod
    def search(self, arguments: list[str]) -> Any:
        """The sweep, from the command line's words to its end."""

    @property
    def launcher_name(self) -> str:
        choice = OmegaConf.select(self.master, "hydra.runtime.choices.hydra/launcher")
        return str(choice or "basic")

    @property
    def detached(self) -> bool:
        """Whether runs are submitted and left (`cluster.detach=true`)."""
        return bool(OmegaConf.select(self.master, "cluster.detach"))

    def side_by_side(self, count: int) -> int:
        """How many of `count` runs share the cores of this machine at a time."""
        if self.launcher_name == "joblib":
            asked = int(self.master.hydra.launcher.n_jobs)
            workers = asked if asked > 0 else available_cores(os.environ)
            return min(count, workers)
        return count if self.launcher_name == "submitit_local" else 1

    # The record

    def open_record(self) -> SweepRecord:
        earlier = read_record(self.folder)
        runs = [] if earlier is None else earlier.runs
        return SweepRecord(self.NAME, self.launcher_name, list(sys.argv), runs)

    def save_record(self, record: SweepRecord) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        OmegaConf.save(self.master, self.folder / "multirun.yaml")
        record.write(self.folder)

    # Launching

    def play(self, jobs: Sequence[Job], shown: Sequence[Job]) -> list[Row]:
        """Launches `jobs` and waits for them. How each stands then. `shown`: what the table has.

        Failures are noted and stop nothing. A launcher may lose workers that were killed: what they left is
        started again.
        """
        (self.folder / STOP).unlink(missing_ok=True)
        names = list(jobs[0].cfg.objective) if jobs else []
        in_process = self.launcher_name == "basic"  # the runs' own live lines take the terminal
        table = SweepTable(shown, names, since_utc=self._began_utc, live=not in_process, console=self.console)
        todo = list(jobs)
        with self._stoppable(), table:
            while todo:
                todo = self._launch(todo)
        return [look(job, self._began_utc) for job in jobs]

    def _launch(self, jobs: Sequence[Job]) -> list[Job]:
        """One call of the launcher. Returns the runs that are to be launched again."""
        returns: Sequence[JobReturn] = []
        broken = ""
        try:
            returns = self.launcher.launch([job.arguments for job in jobs], initial_job_idx=jobs[0].number)
        except MvfstrlError:
            raise
        except Exception as error:  # noqa: BLE001 - joblib's pool breaks in many ways when a worker is killed
            broken = f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error) else ''}"
        if self.detached:
            return []
        for job, result in zip(jobs, returns, strict=False):
            self._judge(job, result)
        if not broken or self.interrupted:
            return []
        return [job for job in jobs if self._lost_again(job, broken)]

    def _judge(self, job: Job, result: JobReturn) -> None:
        self.failures.pop(job.number, None)
        if result.status is JobStatus.COMPLETED:
            return
        error = result._return_value
        if isinstance(error, SweepStoppedError):
            self.interrupted = True
        else:
            told = str(error) if isinstance(error, RunFailedError) else f"{type(error).__name__}: {error}"
            self.failures[job.number] = told

    def _lost_again(self, job: Job, reason: str) -> bool:
        """Whether a run is to be started again after its launcher broke down."""
        state = look(job, self._began_utc).state
        if state == State.failed:
            outcome = outcome_of(job.folder)
            error = None if outcome is None else outcome.error
            self.failures[job.number] = "" if error is None else f"{error['kind']}: {error['message']}"
        elif state == State.running:
            self._lost[job.number] = self._lost.get(job.number, 0) + 1
            if self._lost[job.number] >= LOST_STARTS:
                self.failures[job.number] = f"its process was killed ({reason})"
                return False
        return state not in (State.failed, State.finished, State.pruned)

    @contextmanager
    def _stoppable(self) -> Iterator[None]:
        """The first Ctrl-C lets runs end with a checkpoint and starts no others; a second ends at once."""

        def stop(number: int, frame: FrameType | None) -> None:
            if self.interrupted:
                raise KeyboardInterrupt
            self.interrupted = True
            (self.folder / STOP).touch()
            self.console.print("stopping: runs end with a checkpoint (Ctrl-C again ends them at once)")

        before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            if (self.folder / STOP).exists():
                self.interrupted = True
                (self.folder / STOP).unlink()

    # The end

    def end(self, jobs: Sequence[Job]) -> None:
        """Lists what failed, and ends the program where something did, or where it was asked to stop."""
        names = labels(jobs)
        failed = [job for job in jobs if job.number in self.failures]
        if failed:
            self.console.print(f"{len(failed)} of {len(jobs)} runs failed:", style="bold red")
        for job in failed:
            self._say(f"  #{job.number} {names[job.number]}: {self.failures[job.number]}")
            self._say(f"     {_log_of(job)}")
        if self.interrupted:
            self._leave(128 + signal.SIGINT, "stopped;")
        self._say(f"sweep: {self.folder}")
        if failed:
            self._leave(FAILED, "to start the failed runs again,")

    def _say(self, line: str) -> None:
        self.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def _leave(self, status: int, why: str) -> NoReturn:
        how = f"the same command with hydra.sweep.dir={self.folder} goes on"
        self._say(f"{why} {how}")
        sys.exit(status)


def _log_of(job: Job) -> Path:
    """Where to read on."""
    for name in ("outcome.json", CONSOLE):
        if (job.folder / name).exists():
            return job.folder / name
    return job.folder
