"""The live table of a sweep, read from the folders of its runs: it works for runs on other hosts too."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table

from mvfstrl.outcome import State, outcome_of
from mvfstrl.sweep.plan import Job

INTERVAL_S = 1.0
PLAIN_INTERVAL_S = 30.0
TAIL_BYTES = 16_384
WAITING = "waiting"
STYLES = {
    WAITING: "dim",
    State.running: "cyan",
    State.finished: "green",
    State.failed: "bold red",
    State.interrupted: "yellow",
    State.pruned: "magenta",
}
FIRST = (State.running, State.failed, State.finished, State.pruned, State.interrupted, WAITING)
"""Where there is not room for all runs."""


@dataclass(frozen=True)
class Row:
    """How one run stands."""

    job: Job
    state: str
    step: int | None = None
    episode_return: float | None = None
    objective: float | list[float] | None = None


def look(job: Job, since_utc: str = "") -> Row:
    """`since_utc`: what the run was in before that counts as waiting, unless it is finished."""
    outcome = outcome_of(job.folder)
    step, newest = latest(job.folder / "metrics.jsonl")
    state = WAITING if outcome is None else str(outcome.state)
    if outcome is not None and outcome.state is not State.finished and outcome.started_utc < since_utc:
        state = WAITING
    return Row(job, state, step, newest, None if outcome is None else outcome.objective)


def latest(metrics: Path) -> tuple[int | None, float | None]:
    """The newest step, and the newest return of an episode, from the end of a run's metrics."""
    try:
        with metrics.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - TAIL_BYTES))
            lines = file.read().split(b"\n")
    except OSError:
        return None, None
    step = episode_return = None
    for line in reversed(lines):
        row = _parsed(line)
        step = row.get("step") if step is None else step
        episode_return = row.get("episode_return")
        if episode_return is not None:
            break
    return step, episode_return


def _parsed(line: bytes) -> dict[str, Any]:
    """Empty for a line that is cut, or being written."""
    try:
        row = json.loads(line)
    except ValueError:
        return {}
    return row if isinstance(row, dict) else {}


def labels(jobs: Sequence[Job]) -> dict[int, str]:
    """What sets each run apart: the overrides that not all have, by the last part of their keys."""
    common = set.intersection(*(set(job.overrides) for job in jobs)) if len(jobs) > 1 else set()
    told = {}
    for job in jobs:
        own = [override for override in job.overrides if override not in common]
        told[job.number] = job.label or " ".join(short(override) for override in own) or "defaults"
    return told


def short(override: str) -> str:
    key, equals, value = override.partition("=")
    return f"{key.rsplit('.', 1)[-1]}{equals}{value}"


class SweepTable:
    """`with SweepTable(jobs, console, names): launcher.launch(...)`."""

    def __init__(
        self, jobs: Sequence[Job], names: Sequence[str], *, since_utc: str, live: bool, console: Console
    ) -> None:
        self._jobs = list(jobs)
        self._names = list(names)
        self._labels = labels(jobs)
        self._since_utc = since_utc
        self._console = console
        self._live = live and console.is_terminal
        self._told = {row.job.number: row.state for row in self.rows()}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> SweepTable:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def rows(self) -> list[Row]:
        return [look(job, self._since_utc) for job in self._jobs]

    def _watch(self) -> None:
        if self._live:
            with Live(console=self._console, auto_refresh=False, transient=False) as live:
                while True:
                    over = self._over.wait(INTERVAL_S)
                    live.update(self.render(self.rows()), refresh=True)
                    if over:
                        return
        next_line = time.monotonic() + PLAIN_INTERVAL_S
        while True:
            over = self._over.wait(INTERVAL_S)
            rows = self.rows()
            self._tell_changes(rows)
            if over or time.monotonic() >= next_line:
                next_line = time.monotonic() + PLAIN_INTERVAL_S
                self._console.print(summary(rows), highlight=False)
            if over:
                return

    def _tell_changes(self, rows: Sequence[Row]) -> None:
        for row in rows:
            number = row.job.number
            if row.state not in (WAITING, self._told.get(number)):
                result = f", {self._objective(row)}" if row.objective is not None else ""
                self._console.print(
                    f"#{number} {self._labels[number]}: {row.state}{result}", highlight=False, markup=False
                )
            self._told[number] = row.state

    def _objective(self, row: Row) -> str:
        values = row.objective if isinstance(row.objective, list) else [row.objective]
        return ", ".join(f"{name} {value:.4g}" for name, value in zip(self._names, values, strict=False))

    def render(self, rows: Sequence[Row]) -> Table:
        table = Table(title=summary(rows), title_justify="left", title_style="")
        table.add_column("#", justify="right")
        table.add_column("run", overflow="fold")
        table.add_column("state")
        for name in ("steps", "return", *self._names):
            table.add_column(name, justify="right")
        room = max(5, self._console.height - 8)
        shown = sorted(rows, key=lambda row: FIRST.index(row.state))[:room]
        for row in sorted(shown, key=lambda row: row.job.number):
            values = row.objective if isinstance(row.objective, list) else [row.objective] * len(self._names)
            table.add_row(
                str(row.job.number),
                self._labels[row.job.number],
                f"[{STYLES[row.state]}]{row.state}[/]",
                _progress(row),
                _number(row.episode_return),
                *(_number(value) for value in values),
            )
        if len(shown) < len(rows):
            table.caption = f"{len(rows) - len(shown)} more runs"
        return table


def summary(rows: Sequence[Row]) -> str:
    """`12 runs: 3 finished, 2 running, 7 waiting`."""
    counts = Counter(row.state for row in rows)
    parts = [f"{counts[state]} {state}" for state in reversed(FIRST) if counts[state]]
    return f"{len(rows)} runs: {', '.join(reversed(parts))}"


def _progress(row: Row) -> str:
    if row.step is None:
        return ""
    return f"{row.step:,} ({min(1.0, row.step / row.job.cfg.total_steps):.0%})"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
