"""Figures of one scenario: throughput against delay over its runs, and a run of each scheme over time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator
from numpy.typing import NDArray

from pantheon.figures import name_points, style_of, trade_off_axes
from pantheon.report.album import GRID, MUTED, panels

Floats = NDArray[np.float64]

_LONGEST = 400  # windows drawn; longer runs are averaged down to as many
_LOG_SPREAD = 12.0  # a quantity whose largest value is this many times its smallest gets a logarithmic axis


def trade_off(observed: pd.DataFrame, scenario: str) -> Figure:
    """A dot a run, a mark at each scheme's mean, and the ellipse of one standard deviation around it."""
    figure, (axis,) = panels(width=4.7, height=3.7)
    clouds = {
        str(scheme): rows[["delay_p95_ms", "throughput_mbps"]].to_numpy(dtype=np.float64)
        for scheme, rows in observed.groupby("scheme", sort=False)
    }
    delays = np.concatenate([cloud[:, 0] for cloud in clouds.values()])
    throughputs = np.concatenate([cloud[:, 1] for cloud in clouds.values()])
    trade_off_axes(axis, (float(delays.min()), float(delays.max())), float(throughputs.max()))
    axis.set_title(scenario)
    for scheme, cloud in clouds.items():
        _cloud(axis, scheme, cloud)
    figure.canvas.draw()  # settles the layout, by which names find their places
    centres = [(scheme, cloud[:, 0].mean(), cloud[:, 1].mean()) for scheme, cloud in clouds.items()]
    name_points(axis, [(scheme, float(delay), float(throughput)) for scheme, delay, throughput in centres])
    return figure


def _cloud(axis: Axes, scheme: str, cloud: Floats) -> None:
    style = style_of(scheme)
    axis.plot(*cloud.T, ".", color=style.colour, alpha=0.35, markersize=4, markeredgewidth=0, zorder=2)
    if len(cloud) > 2:
        outline = one_sigma(cloud, log_delay=axis.get_xscale() == "log")
        axis.fill(*outline.T, facecolor=style.colour, alpha=0.2, linewidth=0, zorder=1)
        axis.plot(*outline.T, color=style.colour, linewidth=0.9, zorder=2)
    axis.plot(
        *cloud.mean(axis=0),
        style.marker,
        color=style.colour,
        markersize=11 if style.marker == "*" else 7,
        markeredgecolor="white",
        markeredgewidth=0.7,
        zorder=3,
    )


def one_sigma(cloud: Floats, *, log_delay: bool) -> Floats:
    """The outline of the one-standard-deviation ellipse of points (delay, throughput), as points; on a
    logarithmic delay axis it is the ellipse of the delays' logarithms."""
    points = np.column_stack([np.log(cloud[:, 0]), cloud[:, 1]]) if log_delay else cloud
    values, vectors = np.linalg.eigh(np.cov(points.T))
    turn = np.linspace(0.0, 2.0 * np.pi, 49)
    circle = np.column_stack([np.cos(turn), np.sin(turn)])
    outline: Floats = points.mean(axis=0) + (circle * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    if log_delay:
        outline[:, 0] = np.exp(outline[:, 0])
    return outline


@dataclass(frozen=True)
class Scales:
    """Bounds of a scenario's time series, the same for every scheme, so that panels can be compared."""

    end_s: float
    throughput_mbps: float
    queue_delay_ms: tuple[float, float]
    window_packets: tuple[float, float]
    loss: float

    @staticmethod
    def of(series: pd.DataFrame) -> Scales:
        top = np.nanmax(series[["throughput_mbps", "capacity_mbps"]].quantile(0.995).to_numpy())
        return Scales(
            end_s=float(series["time_ms"].max()) / 1000.0,
            throughput_mbps=1.08 * max(float(top), 0.01),
            queue_delay_ms=_bounds(series["queue_delay_ms"], floor=1.0),
            window_packets=_bounds(series["window_packets"], floor=1.0),
            loss=max(1.05 * float(series["loss"].max()), 0.01),
        )


def _bounds(values: pd.Series[float], floor: float) -> tuple[float, float]:
    """Of an axis for these values; from zero where they are of one size, else logarithmic."""
    present = values[values.notna()].clip(lower=floor)
    if present.empty:
        return 0.0, floor
    low, high = float(present.quantile(0.05)), float(present.max())
    return (max(floor, 0.7 * low), 1.3 * high) if high > _LOG_SPREAD * low else (0.0, 1.08 * high)


def time_series(run: pd.DataFrame, scheme: str, scenario: str, scales: Scales, actions: list[str]) -> Figure:
    """The observed flow of one run: throughput on the link's capacity, queueing delay, window, loss, and what
    the policy did, where there is one."""
    played = bool((run["action"] >= 0).any())
    ratios = [3.0, 2.0, 2.0, 1.0] + [1.7] * played
    figure, axes = panels(len(ratios), width=4.4, height=4.9 if played else 4.2, ratios=ratios)
    colour = style_of(scheme).colour
    shown = thin(run)
    seconds = shown["time_ms"].to_numpy(dtype=np.float64) / 1000.0
    figure.suptitle(
        f"{scheme} in {scenario}", x=0.02, ha="left", fontsize=10, fontweight="bold", color=colour
    )
    throughput, delay, window, loss = axes[:4]
    under(throughput, seconds, shown["capacity_mbps"].to_numpy(dtype=np.float64))
    throughput.plot(seconds, shown["throughput_mbps"], color=colour, linewidth=1.1)
    panel(throughput, "throughput on capacity (Mbit/s)", (0.0, scales.throughput_mbps))
    delay.plot(seconds, shown["queue_delay_ms"].clip(lower=scales.queue_delay_ms[0]), color=colour, lw=1.1)
    panel(delay, "queueing delay (ms)", scales.queue_delay_ms)
    window.plot(seconds, shown["window_packets"], color=colour, linewidth=1.1)
    panel(window, "congestion window (packets)", scales.window_packets)
    loss.plot(
        *_spikes(seconds, 100.0 * shown["loss"].to_numpy()), color="#B3261E", lw=1.0, solid_capstyle="butt"
    )
    panel(loss, "loss (%)", (0.0, 100.0 * scales.loss))
    if played:
        _action_rows(axes[4], run, actions, colour)
    axes[-1].set_xlim(0.0, scales.end_s)
    axes[-1].set_xlabel("time (s)")
    return figure


def thin(run: pd.DataFrame) -> pd.DataFrame:
    """At most `_LONGEST` windows: neighbours averaged, the time that of the last among them."""
    group = int(np.ceil(len(run) / _LONGEST))
    if group <= 1:
        return run
    index = np.arange(len(run)) // group
    numbers = run.select_dtypes("number")
    averaged = numbers.groupby(index).mean()
    averaged["time_ms"] = numbers["time_ms"].groupby(index).max()
    return averaged


def under(axis: Axes, seconds: Floats, capacity_mbps: Floats) -> None:
    """Shades what the link could carry."""
    ends = [[seconds[-1], 0.0], [seconds[0], 0.0]]
    axis.fill(*np.vstack([np.column_stack([seconds, capacity_mbps]), ends]).T, color=GRID, linewidth=0)


def _spikes(seconds: Floats, heights: Floats) -> tuple[Floats, Floats]:
    """One broken line: a piece from zero to each height above it."""
    kept = heights > 0.0
    gap = np.full(int(kept.sum()), np.nan)
    xs = np.column_stack([seconds[kept], seconds[kept], gap]).ravel()
    return xs, np.column_stack([np.zeros_like(gap), heights[kept], gap]).ravel()


def panel(axis: Axes, title: str, bounds: tuple[float, float]) -> None:
    axis.set_title(title, fontsize=8, color=MUTED, pad=2.5)
    if bounds[0] > 0.0:
        axis.set_yscale("log")
        steps = (1.0, 3.0) if bounds[1] < 100.0 * bounds[0] else (1.0,)
        axis.yaxis.set_major_locator(LogLocator(subs=steps, numticks=5))
        axis.yaxis.set_minor_locator(NullLocator())
        axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    else:
        axis.yaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 5, 10]))
    axis.set_ylim(*bounds)


def _action_rows(axis: Axes, run: pd.DataFrame, actions: list[str], colour: str) -> None:
    """A row an action, the strongest increase on top; a bar where it was taken."""
    count = max(len(actions), int(run["action"].max()) + 1)
    names = [actions[index] if index < len(actions) else f"action {index}" for index in range(count)]
    order = sorted(range(count), key=lambda index: effect_of(names[index]))
    row_of = np.empty(count)
    row_of[order] = np.arange(count)
    xs, ys = _bars(run["time_ms"].to_numpy(dtype=np.float64) / 1000.0, run["action"].to_numpy(), row_of)
    axis.plot(xs, ys, color=colour, linewidth=4.0, solid_capstyle="butt")
    axis.set_title("the policy's actions", fontsize=8, color=MUTED, pad=2.5)
    axis.set_yticks(range(count), [names[index] for index in order], fontsize=7.5)
    axis.set_ylim(-0.6, count - 0.4)


def _bars(seconds: Floats, taken: NDArray[np.int64], row_of: Floats) -> tuple[Floats, Floats]:
    """One broken line: a piece for each stretch of equal actions."""
    starts = np.concatenate([[0.0], seconds[:-1]])
    change = np.flatnonzero(np.diff(taken)) + 1
    first, last = np.concatenate([[0], change]), np.concatenate([change, [len(taken)]]) - 1
    kept = taken[first] >= 0
    first, last = first[kept], last[kept]
    gap = np.full(len(first), np.nan)
    rows = row_of[taken[first]]
    return np.column_stack([starts[first], seconds[last], gap]).ravel(), np.column_stack(
        [rows, rows, gap]
    ).ravel()


def effect_of(action: str, window: float = 100.0) -> float:
    """What the action leaves of a window of so many packets; names of another form leave it as it is."""
    try:
        value = float(action[1:] or 0.0)
    except ValueError:
        return window
    effects = {"*": window * value, "/": window / (value or 1.0), "+": window + value, "-": window - value}
    return effects.get(action[:1], window)
