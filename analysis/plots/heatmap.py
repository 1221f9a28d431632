"""The policy as a map: what it did to its window, over the RTT inflation and the window that it saw."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, PercentFormatter
from numpy.typing import NDArray

from analysis.configurations import configurations
from analysis.plots.decisions import EFFECTS, choices, taken
from analysis.plots.drawing import grid, round_ticks
from analysis.plots.held_out import of_scenarios
from analysis.study import Study, StudyError
from pantheon.report.album import GRID
from pantheon.report.scenario_figures import effect_of

Floats = NDArray[np.float64]

LEAST = 5
"""Decisions that a cell needs to be shown."""


def heatmap(
    study: Study,
    *,
    by: Sequence[str] | None = None,
    scenarios: Sequence[str] | None = None,
    action: str | None = None,
    cells: int = 14,
    columns: int = 3,
    width: float = 3.7,
    height: float = 3.2,
) -> Figure:
    """A panel a configuration: by how much decisions changed the window on average, over what the policy saw,
    RTT inflation and window; or how often it took `action`. Grey: fewer than five decisions there."""
    decisions = of_scenarios(taken(study), scenarios).dropna(subset=["rtt_inflation", "window"])
    groups = [g for g in configurations(study, by) if decisions["run"].isin(g.runs).any()]
    names = choices(study, groups)
    if action is not None and action not in names:
        raise StudyError(f"action {action}: the runs' actions are {', '.join(names)}")
    values = _changes(decisions, names) if action is None else decisions["action"] == names.index(action)
    decisions = decisions.assign(value=np.asarray(values, dtype=np.float64))
    xs, ys = (_edges(decisions[name], cells) for name in ("rtt_inflation", "window"))
    figure, axes = grid(len(groups), columns=columns, width=width, height=height)
    tables = [_cells(decisions[decisions["run"].isin(group.runs)], xs, ys) for group in groups]
    norm = _norm(tables, action)
    palette = EFFECTS if action is None else "cividis"
    for index, (axis, group, table) in enumerate(zip(axes, groups, tables, strict=True)):
        mesh = axis.pcolormesh(xs, ys, table.T, cmap=palette, norm=norm, rasterized=False, linewidth=0)
        _log_axes(axis, xs, ys)
        if len(groups) > 1 or group.values:
            axis.set_title(group.label, fontsize=9)
        axis.set_xlabel("RTT over propagation delay")
        if index % columns == 0:
            axis.set_ylabel("congestion window (packets)")
    bar = figure.colorbar(mesh, ax=axes, shrink=0.9, aspect=28, pad=0.015)
    if action is None:
        bar.set_label("mean change of the window")
        bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"×{2.0**value:.3g}"))
    else:
        bar.set_label(f"share of the action {action}")
        bar.ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    return figure


def _changes(decisions: pd.DataFrame, names: Sequence[str]) -> Floats:
    """log2 of the factor by which each decision would change the window that it met."""
    pairs = zip(decisions["action"], decisions["window"], strict=True)
    after = np.array([max(effect_of(names[number], window), 1e-9) for number, window in pairs])
    return np.asarray(np.log2(after / decisions["window"].to_numpy(np.float64)))


def _norm(tables: Sequence[Floats], action: str | None) -> Normalize:
    present = np.concatenate([table[np.isfinite(table)] for table in tables])
    if not present.size:
        raise StudyError(f"no cell has {LEAST} decisions: record more episodes (test.series_runs)")
    if action is not None:
        return Normalize(0.0, float(present.max()) or 1.0)
    bound = max(float(np.quantile(np.abs(present), 0.98)), 0.05)
    return Normalize(-bound, bound)


def _edges(values: pd.Series[float], cells: int) -> Floats:
    """Bounds of cells that are equally wide on a logarithmic axis; the outermost hundredth is left out."""
    low, high = (float(values.quantile(q)) for q in (0.005, 0.995))
    return np.geomspace(max(low, 1e-3), max(high, low * 1.05) * 1.0001, cells + 1)


def _cells(decisions: pd.DataFrame, xs: Floats, ys: Floats) -> Floats:
    """The mean value of each cell's decisions, [inflation, window]; NaN where there are too few."""
    place = decisions[["rtt_inflation", "window"]].to_numpy(np.float64)
    counts, _ = np.histogramdd(place, bins=[xs, ys])
    sums, _ = np.histogramdd(place, bins=[xs, ys], weights=decisions["value"].to_numpy(np.float64))
    return np.where(counts >= LEAST, sums / np.maximum(counts, 1.0), np.nan)


def _log_axes(axis: Axes, xs: Floats, ys: Floats) -> None:
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.set_xlim(xs[0], xs[-1])
    axis.set_ylim(ys[0], ys[-1])
    axis.set_facecolor(GRID)
    axis.grid(visible=False)
    round_ticks(axis.xaxis, float(xs[0]), float(xs[-1]))
    round_ticks(axis.yaxis, float(ys[0]), float(ys[-1]))
