"""Flows of one episode side by side: stacked on the capacity, each for itself, and how even they are."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from pantheon.fairness import SMOOTHING_MS, Sharing
from pantheon.figures import style_of
from pantheon.report.album import INK, MUTED, panels
from pantheon.report.scenario_figures import panel, thin, under

_LEGEND_ROW = 4


def flows_over_time(run: pd.DataFrame, found: Sharing, scheme: str, scenario: str) -> Figure:
    """`run` has the rows of all flows of one episode."""
    figure, axes = panels(3, width=4.4, height=4.3, ratios=[3.0, 2.4, 1.6])
    colour = style_of(scheme).colour
    figure.suptitle(
        f"{scheme} in {scenario}", x=0.02, ha="left", fontsize=10, fontweight="bold", color=colour
    )
    rates = run.pivot(index="time_ms", columns="flow", values="throughput_mbps")
    first = run.drop_duplicates("flow").sort_values("flow")
    drivers = {int(flow): str(name) for flow, name in zip(first["flow"], first["flow_scheme"], strict=True)}
    colours = flow_colours(drivers)
    capacity = run.drop_duplicates("time_ms").set_index("time_ms")["capacity_mbps"].sort_index()
    top = 1.08 * max(float(capacity.quantile(0.995)), float(rates.sum(axis=1).quantile(0.995)), 0.01)
    _stack(axes[0], rates, capacity, colours, top)
    window = float(np.median(np.diff(rates.index))) if len(rates) > 1 else SMOOTHING_MS
    smooth = rates.rolling(max(1, round(SMOOTHING_MS / window)), min_periods=1).mean().where(rates.notna())
    shown = thin(smooth.reset_index())
    for flow in rates.columns:
        axes[1].plot(shown["time_ms"] / 1000.0, shown[flow], color=colours[int(flow)], linewidth=1.2)
    panel(axes[1], "each flow, mean over a second (Mbit/s)", (0.0, top))
    axes[2].plot(found.jain.index / 1000.0, found.jain, color=INK, linewidth=1.1)
    panel(axes[2], f"Jain's index; its mean is {found.mean_jain:.2f}", (0.0, 1.05))
    for event in found.events:
        for axis in axes:
            axis.axvline(event.time_ms / 1000.0, color=MUTED, linewidth=0.8, linestyle=":")
    axes[-1].set_xlim(0.0, float(run["time_ms"].max()) / 1000.0)
    axes[-1].set_xlabel("time (s)")
    handles = [Patch(color=colour, label=f"{flow} {drivers[flow]}") for flow, colour in colours.items()]
    figure.legend(
        handles=handles[: 2 * _LEGEND_ROW],
        loc="upper right",
        ncols=min(_LEGEND_ROW, len(handles)),
        frameon=False,
        fontsize=7.5,
        handlelength=0.8,
        columnspacing=0.9,
        borderaxespad=0.1,
    )
    return figure


def _stack(
    axis: Axes, rates: pd.DataFrame, capacity: pd.Series[float], colours: dict[int, str], top: float
) -> None:
    table = rates.fillna(0.0).assign(capacity=capacity).reset_index()
    shown = thin(table)
    seconds = shown["time_ms"].to_numpy(dtype=np.float64) / 1000.0
    under(axis, seconds, shown["capacity"].to_numpy(dtype=np.float64))
    axis.stackplot(
        seconds,
        *(shown[flow] for flow in rates.columns),
        colors=[colours[int(flow)] for flow in rates.columns],
        linewidth=0,
    )
    panel(axis, "throughput, stacked on capacity (Mbit/s)", (0.0, top))


def flow_colours(drivers: dict[int, str]) -> dict[int, str]:
    """Each flow in its scheme's colour; further flows of a scheme in lighter and lighter tints."""
    seen: dict[str, int] = {}
    colours = {}
    for flow, scheme in drivers.items():
        count = seen.get(scheme, 0)
        seen[scheme] = count + 1
        white = 1.0 - 0.66**count
        tint = [(1.0 - white) * part + white for part in to_rgb(style_of(scheme).colour)]
        colours[flow] = "#" + "".join(f"{round(255 * part):02x}" for part in tint)
    return colours
