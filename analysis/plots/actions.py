"""How often each action was taken: in the recorded episodes of tests, and over training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray

from analysis.configurations import Configuration, configurations
from analysis.plots.decisions import choices, colours_of, ordered, taken
from analysis.plots.drawing import footnote, grid, legend_below, reach, thousands
from analysis.plots.held_out import of_scenarios
from analysis.study import Study, StudyError
from pantheon.metrics import bootstrap_mean
from pantheon.report.album import panels

Floats = NDArray[np.float64]
Per = Literal["run", "scenario", "training"]

_MOST_BARS = 6
_STEPS = 50


def actions(
    study: Study,
    *,
    by: Sequence[str] | None = None,
    per: Per = "run",
    scenarios: Sequence[str] | None = None,
    width: float = 4.6,
    height: float | None = None,
) -> Figure:
    """How often each action was taken: by configuration, by scenario (a panel a configuration), both in the
    recorded episodes of tests, or over training."""
    if per == "training":
        return _over_training(study, configurations(study, by), width, height or 2.6)
    if per not in ("run", "scenario"):
        raise StudyError(f"per: {per} is none of run, scenario, training")
    decisions = of_scenarios(taken(study), scenarios)
    groups = [g for g in configurations(study, by) if decisions["run"].isin(g.runs).any()]
    names = choices(study, groups)
    if per == "scenario":
        return _by_scenario(decisions, groups, names, width, height)
    figure, (axis,) = panels(width=width, height=height or 3.1)
    if len(groups) <= _MOST_BARS:
        _bars(axis, decisions, groups, names)
        several = any(decisions.loc[decisions["run"].isin(g.runs), "run"].nunique() > 1 for g in groups)
        told = "; 95 % intervals over runs" if several else ""
        footnote(axis, f"of the decisions in recorded held-out episodes{told}")
        if len(groups) > 1 or groups[0].values:
            legend_below(figure, axis)
    else:
        figure.set_size_inches(
            width + 0.05 * max(len(g.label) for g in groups), height or 1.2 + 0.24 * len(groups)
        )
        tables = {g.label: decisions[decisions["run"].isin(g.runs)] for g in groups}
        _stacked(axis, {label: _shares(table, len(names)) for label, table in tables.items()}, names)
        legend_below(figure, axis, title="action")
    return figure


def _shares(decisions: pd.DataFrame, count: int) -> Floats:
    taken_ = np.bincount(decisions["action"].to_numpy(np.int64), minlength=count)
    return np.asarray(taken_ / max(int(taken_.sum()), 1), dtype=np.float64)


def _bars(axis: Axes, decisions: pd.DataFrame, groups: Sequence[Configuration], names: Sequence[str]) -> None:
    order = ordered(names)
    width = 0.8 / len(groups)
    for index, group in enumerate(groups):
        mine = decisions[decisions["run"].isin(group.runs)]
        table = np.array([_shares(part, len(names)) for _, part in mine.groupby("run")])[:, order]
        intervals = [bootstrap_mean(column, resamples=2_000) for column in table.T]
        at = np.arange(len(order)) + (index - (len(groups) - 1) / 2.0) * width
        means = [one.mean for one in intervals]
        axis.bar(
            at, means, width=0.92 * width, color=group.look.colour, label=f"{group.label} (n={len(table)})"
        )
        if len(table) > 1:
            arms = np.hstack([reach(one) for one in intervals])
            axis.errorbar(
                at, means, yerr=arms, color="#000000", elinewidth=0.8, linestyle="none", capsize=1.5
            )
    axis.set_xticks(range(len(order)), [names[i] for i in order])
    axis.set_xlabel("action, by its effect on the window")
    axis.set_ylabel("share of decisions")
    axis.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axis.grid(axis="x", visible=False)


def _stacked(axis: Axes, rows: dict[str, Floats], names: Sequence[str]) -> None:
    """A bar a row, its pieces the actions."""
    colours = colours_of(names)
    left = np.zeros(len(rows))
    table = np.array(list(rows.values()))
    for index in ordered(names):
        axis.barh(
            range(len(rows)), table[:, index], left=left, height=0.8, color=colours[index], label=names[index]
        )
        left = left + table[:, index]
    axis.set_yticks(range(len(rows)), list(rows))
    axis.set_ylim(len(rows) - 0.4, -0.6)
    axis.set_xlim(0.0, 1.0)
    axis.tick_params(axis="y", length=0)
    axis.grid(visible=False)
    axis.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axis.set_xlabel("share of decisions")


def _by_scenario(
    decisions: pd.DataFrame,
    groups: Sequence[Configuration],
    names: Sequence[str],
    width: float,
    height: float | None,
) -> Figure:
    scenarios = list(dict.fromkeys(decisions["scenario"]))
    size = height or 1.0 + 0.21 * len(scenarios)
    figure, axes = grid(len(groups), columns=3, width=(0.8 if len(groups) > 1 else 1.0) * width, height=size)
    for index, (axis, group) in enumerate(zip(axes, groups, strict=True)):
        mine = decisions[decisions["run"].isin(group.runs)]
        rows = {name: _shares(mine[mine["scenario"] == name], len(names)) for name in scenarios}
        _stacked(axis, rows, names)
        if len(groups) > 1 or group.values:
            axis.set_title(group.label, fontsize=9)
        axis.tick_params(labelleft=index % 3 == 0)
    legend_below(figure, axes[0], title="action")
    return figure


def _over_training(study: Study, groups: Sequence[Configuration], width: float, height: float) -> Figure:
    metrics = study.metrics
    if metrics.empty or "action_0" not in metrics.columns:
        raise StudyError("no run has metrics of a training with shares of actions (action_0, ...)")
    groups = [group for group in groups if metrics["run"].isin(group.runs).any()]
    names = choices(study, groups)
    colours = colours_of(names)
    figure, axes = grid(
        len(groups),
        columns=2 if len(groups) == 4 else 3,
        width=(0.75 if len(groups) > 1 else 1.0) * width,
        height=height,
    )
    for axis, group in zip(axes, groups, strict=True):
        rows = metrics[metrics["run"].isin(group.runs)]
        columns = [f"action_{index}" for index in range(len(names))]
        edges = np.linspace(0.0, float(rows["step"].max()), _STEPS + 1)
        place = np.clip(np.digitize(rows["step"], edges, right=True) - 1, 0, _STEPS - 1)
        means = rows[columns].groupby(place).mean().dropna()
        at = (edges[:-1] + edges[1:])[means.index] / 2.0
        order = ordered(names)
        axis.stackplot(
            at,
            *(means[f"action_{i}"] for i in order),
            colors=[colours[i] for i in order],
            labels=[names[i] for i in order],
            linewidth=0,
        )
        axis.set_xlim(at[0], at[-1])
        axis.set_ylim(0.0, 1.0)
        axis.grid(visible=False)
        axis.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        thousands(axis)
        axis.set_xlabel("decisions learnt from")
        if len(groups) > 1 or group.values:
            axis.set_title(f"{group.label} (n={rows['run'].nunique()})", fontsize=9)
    axes[0].set_ylabel("share of decisions")
    legend_below(figure, axes[0], title="action")
    return figure
