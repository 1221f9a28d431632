"""The configurations of a study beside each other, in numbers: means over their runs with intervals, what
each gains on the baseline, and the classic schemes that the runs were tested beside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.configurations import Configuration
from analysis.plots.frontier import classic_rows
from analysis.plots.held_out import HeldOut, difference, held_out, improvement, mean
from analysis.study import Study, StudyError
from mvfstrl.outcome import MAXIMIZE, OBJECTIVES
from pantheon.metrics import Interval, bootstrap_mean
from pantheon.report.tables import (
    DELAY,
    LOSS,
    REWARD,
    THROUGHPUT,
    UTILISATION,
    Cell,
    Columns,
    Quantity,
    Table,
    matrix_table,
    number,
)

COMPARED: tuple[tuple[Quantity, str], ...] = (
    (REWARD, "reward"),
    (THROUGHPUT, "throughput_mbps"),
    (UTILISATION, "utilisation"),
    (DELAY, "delay_p95_ms"),
    (LOSS, "loss"),
)
GAINS = ("reward", "throughput_mbps", "delay_p95_ms")
"""Metrics in which the configurations are held against the baseline."""
_RUNS = Quantity("runs", "with results", 0)
_RESAMPLES = 2_000


@dataclass(frozen=True)
class Baseline:
    """What the other configurations are held against."""

    configuration: Configuration
    default: bool
    """It is what `run.py` would run, the rest of the command line being the report's; else the first one."""


def baseline_of(groups: Sequence[Configuration], default: Mapping[str, Any]) -> Baseline:
    """`default`: a configuration by dotted key, in the runs' own form."""
    for group in groups:
        if group.values and all(_same(value, default.get(key)) for key, value in group.values.items()):
            return Baseline(group, True)
    return Baseline(groups[0], False)


def _same(value: Any, default: Any) -> bool:
    numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in (value, default))
    return bool(value == default) if numbers else str(value) == str(default)


@dataclass(frozen=True)
class Comparison:
    """What was measured on held-out episodes."""

    metrics: dict[str, HeldOut]
    order: list[str]
    """Labels of the configurations that have results, the best first."""
    rewards_compare: bool
    """Whether a reward means the same in all of them."""

    @property
    def unit(self) -> str:
        return next(iter(self.metrics.values())).unit

    @property
    def scenarios(self) -> list[str]:
        return next(iter(self.metrics.values())).scenarios

    @property
    def first(self) -> str:
        """The metric by which configurations are ranked."""
        return "reward" if self.rewards_compare else "utilisation"


def compare(study: Study, groups: Sequence[Configuration]) -> Comparison:
    """Raises StudyError where there is nothing to compare, or no scenario that all runs have played."""
    scenarios = shared_scenarios(study)
    metrics = {metric: held_out(study, groups, metric, scenarios) for _, metric in COMPARED}
    keys = [key for group in groups for key in group.values]
    same_reward = not any(key.startswith("reward.") for key in keys)
    ranked = metrics["reward" if same_reward else "utilisation"].scores
    return Comparison(metrics, sorted(ranked, key=lambda label: -float(ranked[label].mean())), same_reward)


def shared_scenarios(study: Study) -> list[str]:
    """Those that every run with results has played."""
    played = study.results.groupby("run", observed=True)["scenario"].unique()
    if played.empty:
        raise StudyError("no run has results of held-out episodes (results.parquet)")
    shared = [name for name in played.iloc[0] if all(name in names for names in played)]
    if not shared:
        raise StudyError("no scenario was played by all of the runs, so that nothing can be compared")
    return [str(name) for name in shared]


def means(found: Comparison) -> Table:
    """A row a configuration, the best first."""
    columns = Columns(found.order)
    runs = next(iter(found.metrics.values())).runs
    columns.heads.append((_RUNS.name, _RUNS.unit))
    columns.cells.append([Cell(str(runs[label])) for label in found.order])
    for quantity, metric in COMPARED:
        scores = found.metrics[metric].scores
        column = Columns(found.order)
        column.add(quantity, {label: _interval(scores[label]) for label in found.order})
        plain = metric == "reward" and not found.rewards_compare
        columns.heads += column.heads
        columns.cells.append([Cell(c.text, c.note) for c in column.cells[0]] if plain else column.cells[0])
    over = "1 scenario" if len(found.scenarios) == 1 else f"{len(found.scenarios)} scenarios"
    table = columns.table(f"Held-out episodes of {over}: means and 95 % intervals over {found.unit}")
    return Table(table.caption, table.heads, table.rows, "configuration")


def _interval(scores: np.ndarray[Any, np.dtype[np.float64]]) -> Interval | float:
    """One unit a scenario says nothing of how much it varies."""
    return mean(scores) if scores.shape[1] > 1 else float(scores.mean())


def gains(found: Comparison, baseline: str) -> Table | None:
    """What each configuration gains on the baseline, and how likely one of its units is the better one."""
    others = [label for label in found.order if label != baseline]
    if not others or baseline not in found.order:
        return None
    heads: list[tuple[str, str]] = []
    cells: list[list[Cell]] = []
    for quantity, metric in COMPARED:
        if metric not in GAINS or (metric == "reward" and not found.rewards_compare):
            continue
        scores = found.metrics[metric].scores
        heads.append((quantity.name, f"difference, {quantity.unit}"))
        heads.append(("probability", f"of better {quantity.name}"))
        cells.append([_difference(quantity, scores[label], scores[baseline]) for label in others])
        cells.append([_probability(metric, scores[label], scores[baseline]) for label in others])
    rows = [(label, [column[index] for column in cells]) for index, label in enumerate(others)]
    caption = f"Against {baseline}: differences and probability of improvement, with 95 % intervals"
    return Table(caption, heads, rows, "configuration")


def _difference(quantity: Quantity, own: Any, baseline: Any) -> Cell:
    found = difference(own, baseline)
    text = quantity.text(found.mean)
    sign = "" if text.startswith("−") or float(text) == 0.0 else "+"
    if own.shape[1] < 2 or baseline.shape[1] < 2:
        return Cell(sign + text)
    sure = found.low > 0.0 or found.high < 0.0
    return Cell(sign + text, f"[{quantity.text(found.low)}, {quantity.text(found.high)}]", best=sure)


def _probability(metric: str, own: Any, baseline: Any) -> Cell:
    larger = OBJECTIVES[metric] == MAXIMIZE
    found = improvement(own, baseline) if larger else improvement(-own, -baseline)
    note = f"[{found.low:.2f}, {found.high:.2f}]"
    return Cell(number(found.mean, 2), note if min(own.shape[1], baseline.shape[1]) > 1 else "")


def by_scenario(found: Comparison) -> Table | None:
    """Where there are several: each configuration's mean in each."""
    if len(found.scenarios) < 2:
        return None
    scores = found.metrics[found.first].scores
    values = np.column_stack([scores[label].mean(axis=1) for label in found.order])
    centre = values.mean(axis=1, keepdims=True)
    reach = float(np.abs(values - centre).max()) or 1.0
    shaded = matrix_table("", "", found.scenarios, found.order, values - centre, neutral=0.0, reach=reach)
    rows = [
        (name, [Cell(number(value, 2), shade=cell.shade) for value, cell in zip(line, cells, strict=True)])
        for line, (name, cells) in zip(values, shaded.rows, strict=True)
    ]
    what = next(quantity.name for quantity, metric in COMPARED if metric == found.first)
    caption = f"Mean {what} by scenario; colours tell how far from the scenario's mean"
    return Table(caption, [(label, "") for label in found.order], rows, "scenario", compact=True)


def classics(study: Study, found: Comparison) -> Table | None:
    """The schemes beside which the runs were tested, each episode once. A reward is theirs only if it is the
    same in all runs."""
    metrics = [m for _, m in COMPARED if m != "reward" or found.rewards_compare]
    rows = dict(classic_rows(study, found.scenarios, None, metrics))
    if not rows:
        return None
    grouped = {name: part.groupby("scenario", observed=True)[found.first] for name, part in rows.items()}
    order = sorted(rows, key=lambda name: -float(grouped[name].mean().mean()))
    columns = Columns(order)
    for quantity, metric in COMPARED:
        if metric in metrics:
            columns.add(
                quantity,
                {
                    name: bootstrap_mean(part[metric], list(part["scenario"]), resamples=_RESAMPLES)
                    for name, part in rows.items()
                },
            )
    return columns.table("Classic schemes in the same episodes: means and 95 % intervals over episodes")
