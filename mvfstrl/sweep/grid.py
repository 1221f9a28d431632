"""hydra/sweeper=grid: every combination of the listed values. What an earlier start has finished is kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mvfstrl.errors import ConfigError
from mvfstrl.outcome import State
from mvfstrl.sweep.plan import Job, combinations, parse
from mvfstrl.sweep.record import Run, SweepRecord
from mvfstrl.sweep.sweeper import StudySweeper
from mvfstrl.sweep.table import look


class GridSweeper(StudySweeper):
    NAME = "grid"

    def __init__(self, params: Mapping[str, Any] | None = None, max_batch_size: int | None = None) -> None:
        self._params = params or {}
        self._max_batch_size = max_batch_size

    def search(self, arguments: list[str]) -> list[float | list[float] | None]:
        """The objectives, in the order of the runs."""
        size = self._max_batch_size
        if size is not None and size < 1:
            raise ConfigError(f"hydra.sweeper.max_batch_size: must be null or at least 1, got {size}")
        record = self.open_record()
        points = combinations(parse(self._params, arguments, self.planner.loader))
        jobs = self._jobs(record, points, self.side_by_side(min(len(points), size or len(points))))
        todo = [job for job in jobs if look(job).state != State.finished]
        self.save_record(record)
        if len(todo) < len(jobs):
            self.console.print(f"{len(jobs) - len(todo)} of {len(jobs)} runs are finished already")
        for batch in _batches(todo, size):
            if not self.interrupted:
                self.play(batch, jobs)
        if self.detached:
            status = f"python -m mvfstrl.cluster status {self.folder}"
            self.console.print(f"{len(todo)} runs submitted; {status}", soft_wrap=True)
            return []
        self.end(jobs)
        return [look(job).objective for job in jobs]

    def _jobs(self, record: SweepRecord, points: Sequence[list[str]], share: int) -> list[Job]:
        """All of them, checked. A run keeps the number and the folder of an earlier start of the sweep."""
        known = {run.number: run.folder for run in record.runs}
        jobs = []
        for overrides in points:
            number = record.number_for(overrides)
            number = record.next_number if number is None else number
            job = self.planner.job(number, overrides, folder=known.get(number), share=share)
            record.put(Run(number, str(job.folder.relative_to(self.folder)), overrides))
            jobs.append(job)
        return jobs


def _batches(jobs: Sequence[Job], size: int | None) -> list[Sequence[Job]]:
    size = size or max(1, len(jobs))
    return [jobs[start : start + size] for start in range(0, len(jobs), size)]
