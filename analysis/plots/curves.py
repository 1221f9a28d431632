"""Learning curves: a metric of training over steps or time, seeds aggregated by configuration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from analysis.configurations import Configuration, configurations, near
from analysis.plots.drawing import footnote, legend_below, thousands, title_of
from analysis.plots.held_out import statistic_of
from analysis.study import Study, StudyError
from pantheon import statistics
from pantheon.report.album import panels

Floats = NDArray[np.float64]
Along = Literal["step", "time"]
POINTS = 60
"""Places of a curve: each is the mean of the rows in its stretch, so that seeds that report at slightly
different steps can be averaged."""
_DASHES = ("-", (0, (5, 1.6)), (0, (1.2, 1.2)), (0, (6, 1.5, 1.2, 1.5)))


def curves(
    study: Study,
    metric: str = "episode_return",
    *,
    by: Sequence[str] | None = None,
    x: Along = "step",
    statistic: str = "mean",
    points: int = POINTS,
    seeds: bool = False,
    width: float = 5.2,
    height: float = 3.6,
) -> Figure:
    """A line a configuration: mean, IQM or median over its runs, with the 95 % bootstrap band over runs.
    Dotted where not all of its runs have been; `seeds` draws each run too."""
    rows = _rows(study, metric, x)
    groups = [g for g in configurations(study, by) if rows["run"].isin(g.runs).any()]
    edges = np.linspace(0.0, float(rows["at"].max()), points + 1)
    figure, (axis,) = panels(width=width, height=height)
    bands = False
    for index, group in enumerate(groups):
        table = np.array(
            [
                _binned(part, edges)
                for _, part in rows[rows["run"].isin(group.runs)].groupby("run", observed=True)
            ]
        )
        curve = _aggregate(table, statistic)
        bands |= bool((curve.runs > 1).any())
        _draw(axis, edges, table, curve, group, len(groups), index, seeds)
    axis.set_xlim(0.0, edges[-1])
    axis.set_ylabel(title_of(metric))
    axis.set_xlabel("decisions learnt from" if x == "step" else "time in training (minutes)")
    if x == "step":
        thousands(axis)
    if len(groups) > 1 or groups[0].values:
        legend_below(figure, axis)
    if bands:
        names = {"mean": "means", "iqm": "interquartile means", "median": "medians"}
        footnote(axis, f"{names[statistic]} over runs, with 95 % bootstrap intervals")
    return figure


@dataclass(frozen=True)
class _Curve:
    """A configuration's aggregate, a value a stretch; NaN where no run has been."""

    value: Floats
    low: Floats
    high: Floats
    runs: NDArray[np.int64]


def _rows(study: Study, metric: str, x: Along) -> pd.DataFrame:
    """Run, place (`at`) and value of every row that has the metric."""
    metrics = study.metrics
    if metrics.empty:
        raise StudyError("no run has metrics of a training (metrics.jsonl)")
    names = [name for name in metrics.columns if name not in ("run", "step")]
    if metric not in names:
        raise StudyError(f"{metric}: no such metric in the trainings' records{near(metric, names)}")
    if x not in ("step", "time"):
        raise StudyError(f"x: {x} is neither step nor time")
    at = metrics["step"].astype(np.float64) if x == "step" else _minutes(metrics)
    rows = pd.DataFrame({"run": metrics["run"], "at": at, "value": metrics[metric]}).dropna()
    rows = rows[np.isfinite(rows["value"].astype(np.float64))]
    if rows.empty:
        raise StudyError(f"{metric}: no run has a value of it")
    return rows


def _minutes(metrics: pd.DataFrame) -> pd.Series[float]:
    """Time in training up to each row: what its steps took at the row's own rate. Stops between a run's
    starts do not count."""
    steps = metrics.groupby("run", observed=True)["step"].diff().fillna(metrics["step"])
    return (steps / metrics["steps_per_second"] / 60.0).groupby(metrics["run"], observed=True).cumsum()


def _binned(rows: pd.DataFrame, edges: Floats) -> Floats:
    """A run's mean in each stretch; stretches without a row lie between their neighbours, those beyond the
    run's own rows are NaN."""
    place = np.clip(np.digitize(rows["at"], edges, right=True) - 1, 0, len(edges) - 2)
    means = rows["value"].astype(np.float64).groupby(place).mean()
    every = np.arange(len(edges) - 1)
    return np.interp(every, means.index, means.to_numpy(), left=np.nan, right=np.nan)


def _aggregate(table: Floats, statistic: str) -> _Curve:
    function = statistic_of(statistic)
    columns = [column[np.isfinite(column)] for column in table.T]
    nothing = (np.nan, np.nan, np.nan)
    found = []
    for column in columns:
        if not column.size:
            found.append(nothing)
            continue
        one = statistics.interval(column[None, :], function)
        found.append((one.mean, one.low, one.high))
    value, low, high = np.array(found).T
    return _Curve(value, low, high, np.array([column.size for column in columns]))


def _draw(
    axis: Axes,
    edges: Floats,
    table: Floats,
    curve: _Curve,
    group: Configuration,
    groups: int,
    index: int,
    seeds: bool,
) -> None:
    middle = (edges[:-1] + edges[1:]) / 2.0
    colour = group.look.colour
    if seeds:
        axis.plot(middle, table.T, color=colour, linewidth=0.6, alpha=0.45)
    if len(table) > 1:
        axis.fill_between(middle, curve.low, curve.high, color=colour, alpha=0.18, linewidth=0)
    whole = curve.runs == len(table)
    line = axis.plot(
        middle,
        np.where(whole, curve.value, np.nan),
        color=colour,
        linewidth=1.7,
        linestyle=_DASHES[index // 8 % len(_DASHES)],
        label=f"{group.label} (n={len(table)})",
    )[0]
    if groups <= 8:
        line.set_marker(group.look.marker)
        line.set_markersize(4.5)
        line.set_markevery((3 + 2 * index, max(len(middle) // 5, 1)))
    rest = ~whole & np.isfinite(curve.value)
    if whole.any():  # the pieces meet
        rest |= whole & np.append(rest[1:], False) | whole & np.append(False, rest[:-1])
    axis.plot(middle, np.where(rest, curve.value, np.nan), color=colour, linewidth=1.2, linestyle=":")
