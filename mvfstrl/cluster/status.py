"""How a sweep on a cluster stands: of each run what SLURM says and what the run says of itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from mvfstrl.cluster import scheduler
from mvfstrl.cluster.jobs import Job, read_jobs
from mvfstrl.metrics import read_metrics
from mvfstrl.outcome import OutcomeError, State, read_outcome

HEADER = ("run", "job", "SLURM", "state", "step", "return", "starts")
ENDED_WELL = (State.finished, State.pruned)


class Standing(NamedTuple):
    job: Job
    slurm: str
    reason: str
    """SLURM's, for which the job waits; empty: it gives none."""
    state: str
    """The run's own word; `waiting`: it has none yet; `lost`: it is gone without having ended itself."""
    step: int | None
    episode_return: float | None
    starts: int
    error: str | None

    @property
    def over(self) -> bool:
        return self.slurm not in scheduler.ALIVE

    @property
    def failed(self) -> bool:
        return self.over and self.state not in ENDED_WELL


def standings(sweep: Path) -> list[Standing]:
    """Of every run that was submitted. Raises SweepError, SchedulerError."""
    jobs = read_jobs(sweep)
    seen = scheduler.look([job.job_id for job in jobs])
    return [_standing(sweep, job, *seen[job.job_id]) for job in jobs]


def table(standings: Sequence[Standing]) -> str:
    rows = [HEADER, *(_cells(standing) for standing in standings)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEADER))]
    lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    lines += [f"run {s.job.number}: {s.error}" for s in standings if s.error is not None]
    return "\n".join(lines)


def summary(standings: Sequence[Standing]) -> str:
    """`2 running, 1 waiting, 3 finished`."""
    words = [s.state if s.over or s.state == "waiting" else s.slurm.lower() for s in standings]
    return ", ".join(f"{words.count(word)} {word}" for word in dict.fromkeys(words))


def _standing(sweep: Path, job: Job, slurm: str, reason: str) -> Standing:
    folder = sweep / job.folder
    rows = list(read_metrics(folder / "metrics.jsonl"))
    returns = [row["episode_return"] for row in rows if row.get("episode_return") is not None]
    try:
        outcome = read_outcome(folder)
    except OutcomeError as error:
        return Standing(job, slurm, reason, "broken", None, None, 0, str(error))
    state = "waiting" if outcome is None else str(outcome.state)
    if slurm not in scheduler.ALIVE and (outcome is None or outcome.state is State.running):
        state = "lost"
    return Standing(
        job,
        slurm,
        reason,
        state,
        rows[-1]["step"] if rows else None,
        returns[-1] if returns else None,
        outcome.starts if outcome else 0,
        f"{outcome.error['kind']}: {outcome.error['message']}" if outcome and outcome.error else None,
    )


def _cells(standing: Standing) -> tuple[str, ...]:
    step = "" if standing.step is None else str(standing.step)
    value = "" if standing.episode_return is None else f"{standing.episode_return:.2f}"
    job = standing.job
    waits = standing.slurm == "PENDING" and standing.reason
    slurm = f"{standing.slurm} ({standing.reason})" if waits else standing.slurm
    return (str(job.number), job.job_id, slurm, standing.state, step, value, str(standing.starts))
