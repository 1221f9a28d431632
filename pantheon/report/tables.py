"""Tables of the page: figures as text with their intervals, ready to be laid out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pantheon import statistics
from pantheon.metrics import Interval, bootstrap_mean
from pantheon.results import Summary
from pantheon.statistics import Scored

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Cell:
    text: str
    note: str = ""
    """Below it, smaller: the interval."""
    best: bool = False
    shade: str = ""
    """A CSS colour behind it."""


@dataclass(frozen=True)
class Table:
    caption: str
    heads: list[tuple[str, str]]
    """Of the columns: name and unit."""
    rows: list[tuple[str, list[Cell]]]
    """A scheme (or another name) and its cells."""
    first: str = "scheme"
    compact: bool = False


def number(value: float, digits: int) -> str:
    """With a proper minus sign, and none before a zero."""
    if not np.isfinite(value):
        return "–"
    text = f"{value:.{digits}f}"
    return text.lstrip("-") if float(text) == 0.0 else text.replace("-", "−")


@dataclass(frozen=True)
class Quantity:
    name: str
    unit: str
    digits: int
    factor: float = 1.0
    larger_is_better: bool = True

    def text(self, value: float) -> str:
        return number(self.factor * value, self.digits)

    def column(self, values: Sequence[Interval | float | None]) -> list[Cell]:
        """A cell a value; the best one is marked, where they differ."""
        points = [_point(value) for value in values]
        present = [point for point in points if np.isfinite(point)]
        best = (max if self.larger_is_better else min)(present) if len(set(present)) > 1 else np.nan
        return [
            Cell(self.text(point), self._note(value), best=point == best)
            for value, point in zip(values, points, strict=True)
        ]

    def _note(self, value: Interval | float | None) -> str:
        return f"[{self.text(value.low)}, {self.text(value.high)}]" if isinstance(value, Interval) else ""


def _point(value: Interval | float | None) -> float:
    if value is None:
        return float("nan")
    return value.mean if isinstance(value, Interval) else value


THROUGHPUT = Quantity("throughput", "Mbit/s", 2)
UTILISATION = Quantity("utilisation", "%", 1, factor=100.0)
DELAY = Quantity("p95 delay", "ms, one way", 1, larger_is_better=False)
QUEUE_DELAY = Quantity("p95 queueing delay", "ms", 1, larger_is_better=False)
LOSS = Quantity("loss", "%", 2, factor=100.0, larger_is_better=False)
REWARD = Quantity("reward", "a window", 3)
SCORE = Quantity("score", "normalised", 2)
MEASURED = (
    (THROUGHPUT, "throughput_mbps"),
    (DELAY, "delay_p95_ms"),
    (LOSS, "loss"),
    (REWARD, "reward"),
)


@dataclass
class Columns:
    """Gathers columns of one table; `names` are its rows."""

    names: list[str]
    heads: list[tuple[str, str]] = field(default_factory=list)
    cells: list[list[Cell]] = field(default_factory=list)

    def add(self, quantity: Quantity, values: Mapping[str, Interval | float | None]) -> None:
        self.heads.append((quantity.name, quantity.unit))
        self.cells.append(quantity.column([values.get(name) for name in self.names]))

    def table(self, caption: str) -> Table:
        rows = [(name, [column[i] for column in self.cells]) for i, name in enumerate(self.names)]
        return Table(caption, self.heads, rows)


def ranking(scored: Scored, order: Sequence[str], queue_delays: Mapping[str, float]) -> Table:
    """Schemes by their aggregate score, the best first."""
    columns = Columns(list(order))
    columns.add(SCORE_IQM, {name: statistics.interval(scored.scores[name]) for name in order})
    columns.add(
        OPTIMALITY_GAP,
        {name: statistics.interval(scored.scores[name], statistics.optimality_gap) for name in order},
    )
    columns.add(MEAN_SCORE, {name: float(scored.scores[name].mean()) for name in order})
    columns.add(WORST_SCORE, {name: float(scored.scores[name].mean(axis=1).min()) for name in order})
    columns.add(QUEUE_DELAY, dict(queue_delays))
    count = len(scored.scenarios)
    over = "1 scenario" if count == 1 else f"{count} scenarios"
    return columns.table(f"Normalised scores over {over}, with 95 % stratified-bootstrap intervals")


SCORE_IQM = Quantity("score", "interquartile mean", 3)
OPTIMALITY_GAP = Quantity("optimality gap", "of the score", 3, larger_is_better=False)
MEAN_SCORE = Quantity("mean score", "", 3)
WORST_SCORE = Quantity("worst scenario", "mean score there", 3)


def by_reward(summaries: Sequence[Summary]) -> Table:
    """Where no score can be had: schemes by their mean reward."""
    ranked = sorted(summaries, key=lambda s: -s.metrics["reward"].mean)
    columns = Columns([s.scheme for s in ranked])
    for quantity, metric in (*MEASURED, (UTILISATION, "utilisation")):
        columns.add(quantity, {s.scheme: s.metrics.get(metric) for s in ranked})
    return columns.table("Means over all scenarios, each weighing the same, with 95 % bootstrap intervals")


def scenario_table(scenario: str, summaries: Sequence[Summary], scored: Scored) -> Table:
    """One scenario's observed flows, the largest reward first."""
    ranked = sorted(summaries, key=lambda s: -s.metrics["reward"].mean if "reward" in s.metrics else np.inf)
    columns = Columns([s.scheme for s in ranked])
    if scenario in scored.scenarios:
        index = scored.scenarios.index(scenario)
        columns.add(SCORE, {name: bootstrap_mean(scores[index]) for name, scores in scored.scores.items()})
    for quantity, metric in MEASURED:
        columns.add(quantity, {s.scheme: s.metrics.get(metric) for s in ranked})
    count = max(interval.count for s in ranked for interval in s.metrics.values())
    runs = "1 run" if count == 1 else f"{count} runs"
    return columns.table(f"{scenario}: {runs} a scheme, means and 95 % bootstrap intervals")


def score_matrix(scored: Scored, order: Sequence[str]) -> tuple[list[str], Floats]:
    """Mean score [scenario, scheme]; the schemes in `order`."""
    return list(order), np.column_stack([scored.scores[name].mean(axis=1) for name in order])


def improvement_matrix(scored: Scored, order: Sequence[str]) -> tuple[Floats, list[list[Interval | None]]]:
    """P(row scores above column), [scheme, scheme]: the numbers, and with their intervals."""
    cells = [
        [
            None
            if row == column
            else statistics.probability_of_improvement(scored.scores[row], scored.scores[column])
            for column in order
        ]
        for row in order
    ]
    return np.array([[np.nan if c is None else c.mean for c in row] for row in cells]), cells


def matrix_table(
    caption: str,
    first: str,
    rows: Sequence[str],
    columns: Sequence[str],
    values: Floats,
    *,
    neutral: float,
    reach: float,
    notes: Sequence[Sequence[Interval | None]] | None = None,
) -> Table:
    """Numbers on colours; the interval of each is in `notes`."""
    table = []
    for i, row in enumerate(rows):
        cells = []
        for j in range(len(columns)):
            note = notes[i][j] if notes else None
            text = f"[{note.low:.2f}, {note.high:.2f}]" if note else ""
            cells.append(_shaded(values[i, j], neutral, reach, text))
        table.append((row, cells))
    return Table(caption, [(column, "") for column in columns], table, first, compact=True)


def _shaded(value: float, neutral: float, reach: float, note: str) -> Cell:
    if not np.isfinite(value):
        return Cell("")
    strength = min(abs(value - neutral) / reach, 1.0)
    colour = "0, 114, 178" if value > neutral else "230, 159, 0"
    return Cell(number(value, 2), note, shade=f"rgba({colour}, {0.55 * strength:.2f})")
