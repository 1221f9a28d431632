"""Figures of a comparison. `comparison` has Pantheon's form: throughput against the 95th percentile of the
one-way delay, the delay axis reversed, so that up and to the right is better."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from pantheon.metrics import Interval
from pantheon.results import ALL_SCENARIOS, Summary

if TYPE_CHECKING:
    from pantheon.fidelity import Comparison


@dataclass(frozen=True)
class Style:
    colour: str
    marker: str


# Two colour-blind-safe palettes, Okabe and Ito's ("Color universal design", 2008) and Tol's muted one
# ("Colour schemes", SRON/EPS/TN/09-002, 2021). A scheme looks the same in every figure; no two share a
# shape, which tells them apart where colour cannot.
_STYLES = {
    "impala": Style("#D55E00", "*"),
    "impala (shuffled)": Style("#CC79A7", "X"),
    "cubic": Style("#0072B2", "o"),
    "newreno": Style("#009E73", "s"),
    "fixed": Style("#E69F00", "D"),
    "random": Style("#7F7F7F", "v"),
    "oracle": Style("#000000", "P"),
    "omniscient": Style("#000000", "H"),
    "copa": Style("#56B4E9", "^"),
    "bbr": Style("#8C564B", "<"),
    "bbr3": Style("#CC6677", ">"),
    "vegas": Style("#999933", "p"),
    "ledbat": Style("#44AA99", "h"),
    "vivace": Style("#AA4499", "d"),
    "sprout": Style("#332288", "8"),
}
_SPARE = [
    Style(colour, marker) for marker in "ph8d" for colour in ("#6699CC", "#B15928", "#F781BF", "#666633")
]


def style_of(scheme: str) -> Style:
    """The scheme's own look; schemes without one get a spare look by name, always the same."""
    known = _STYLES.get(scheme)
    return known if known else _SPARE[sum(map(ord, scheme)) % len(_SPARE)]


def comparison(summaries: Sequence[Summary], path: Path) -> None:
    """A panel a scenario: a point a scheme at its means, with its 95 % intervals as a cross."""
    observed = [s for s in summaries if s.flow == 0 and s.scenario != ALL_SCENARIOS]
    scenarios = dict.fromkeys(s.scenario for s in observed)
    panels = [(scenario, [s for s in observed if s.scenario == scenario]) for scenario in scenarios]
    if not panels:
        raise ValueError("nothing to draw")
    columns = min(len(panels), 3)
    rows = math.ceil(len(panels) / columns)
    width, height = (6.8, 4.6) if len(panels) == 1 else (4.3 * columns, 3.5 * rows)
    figure = Figure(figsize=(width, height), dpi=160, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False)
    for axis, (scenario, group) in zip(axes.flat, panels, strict=False):
        _panel(axis, scenario, group)
    for axis in axes.flat[len(panels) :]:
        axis.set_visible(False)
    figure.canvas.draw()  # settles the layout, by which names find their places
    for axis, (_, group) in zip(axes.flat, panels, strict=False):
        name_points(axis, [_named(summary) for summary in group])
    figure.savefig(path)


def _panel(axis: Axes, scenario: str, summaries: list[Summary]) -> None:
    delays = [s.metrics["delay_p95_ms"] for s in summaries]
    throughputs = [s.metrics["throughput_mbps"] for s in summaries]
    spread = min(d.low for d in delays), max(d.high for d in delays)
    trade_off_axes(axis, spread, max(t.high for t in throughputs))
    axis.set_title(scenario, loc="left", fontsize=11)
    for summary in summaries:
        _point(axis, summary)


def trade_off_axes(axis: Axes, delays: tuple[float, float], top_throughput: float) -> None:
    """Throughput over the reversed delay: room for `delays`, the smallest and the largest, and the top."""
    low, high = delays
    if high > 8 * low > 0:  # one bufferbloated scheme would crush the rest into a corner
        axis.set_xscale("log")
        axis.set_xlim(high * 1.25, low / 1.25)
        axis.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=7))
        axis.xaxis.set_minor_locator(NullLocator())
        axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    else:
        margin = 0.12 * max(high - low, 0.1 * high, 1.0)
        axis.set_xlim(high + margin, max(low - margin, 0.0))
        axis.xaxis.set_major_locator(MaxNLocator(7))
    axis.set_ylim(0.0, 1.18 * top_throughput if top_throughput > 0 else 1.0)
    axis.set_xlabel("95th percentile one-way delay (ms)")
    axis.set_ylabel("throughput (Mbit/s)")
    axis.grid(color="#E6E6E6", linewidth=0.7)
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)
    axis.annotate(
        "better",
        xy=(0.985, 0.975),
        xytext=(0.90, 0.90),
        xycoords="axes fraction",
        textcoords="axes fraction",
        ha="right",
        va="top",
        color="#888888",
        fontsize=9,
        arrowprops={"arrowstyle": "-|>", "color": "#888888", "lw": 1.2},
    )


def _point(axis: Axes, summary: Summary) -> None:
    delay, throughput, style = _place(summary)
    axis.errorbar(
        delay.mean,
        throughput.mean,
        xerr=_reach(delay),
        yerr=_reach(throughput),
        color=style.colour,
        marker=style.marker,
        markersize=13 if style.marker == "*" else 8,
        markeredgecolor="white",
        markeredgewidth=0.8,
        elinewidth=1.4,
        capsize=2.5,
        zorder=3,
    )


def name_points(
    axis: Axes, named: Sequence[tuple[str, float, float]], looks: Mapping[str, Style] | None = None
) -> None:
    """Writes each name (and its point's place) where it covers least: beside its point, else a line further
    up or down. The layout has to be settled. `looks` are those of names that are no schemes'."""
    pixel = axis.figure.dpi / 72
    points = [axis.transData.transform((x, y)) for _, x, y in named]
    taken = [(x - 6 * pixel, y - 6 * pixel, x + 6 * pixel, y + 6 * pixel) for x, y in points]
    frame = axis.get_window_extent()
    taken.append((frame.x1 - 75 * pixel, frame.y1 - 35 * pixel, frame.x1, frame.y1))  # "better" and its arrow
    for (name, *place), (x, y) in zip(named, points, strict=True):
        size = (5.6 * len(name) * pixel, 10 * pixel)
        (dx, dy, right), box = min(
            (
                ((dx, dy, right), _label_box(x + dx * pixel, y + dy * pixel, size, right))
                for dx, dy, right in _SPOTS
            ),
            key=lambda spot: _covered(spot[1], taken) + _outside(spot[1], axis),
        )
        taken.append(box)
        axis.annotate(
            name,
            (place[0], place[1]),
            xytext=(dx, dy),
            textcoords="offset points",
            ha="left" if right else "right",
            va="center",
            color=(looks or {}).get(name, style_of(name)).colour,
            fontsize=9.5,
            fontweight="bold" if name.startswith("impala") else "normal",
            zorder=4,
        )


Box = tuple[float, float, float, float]
# Offsets of a name from its point in points, and whether it runs to the right; the best ones first.
_SPOTS = tuple(
    (side * (8 if dy else 10), dy, side > 0) for dy in (8, -8, 0, 19, -19, 30, -30) for side in (1, -1)
)


def _label_box(x: float, y: float, size: tuple[float, float], right: bool) -> Box:
    width, height = size
    left = x if right else x - width
    return left, y - height / 2, left + width, y + height / 2


def _covered(box: Box, taken: list[Box]) -> float:
    return sum(
        max(0.0, min(box[2], other[2]) - max(box[0], other[0]))
        * max(0.0, min(box[3], other[3]) - max(box[1], other[1]))
        for other in taken
    )


def _outside(box: Box, axis: Axes) -> float:
    frame = axis.get_window_extent()
    inside = _covered(box, [(frame.x0, frame.y0, frame.x1, frame.y1)])
    return 10.0 * ((box[2] - box[0]) * (box[3] - box[1]) - inside)


def _place(summary: Summary) -> tuple[Interval, Interval, Style]:
    return summary.metrics["delay_p95_ms"], summary.metrics["throughput_mbps"], style_of(summary.scheme)


def _named(summary: Summary) -> tuple[str, float, float]:
    delay, throughput, _ = _place(summary)
    return summary.scheme, delay.mean, throughput.mean


def _reach(interval: Interval) -> list[list[float]]:
    return [[max(interval.mean - interval.low, 0.0)], [max(interval.high - interval.mean, 0.0)]]


def fidelity(comparisons: Sequence[Comparison], path: Path) -> None:
    """Truth (hollow) and ours (filled) side by side: a line a row, a panel a figure."""
    panels = (
        ("throughput_mbps", "throughput (Mbit/s)"),
        ("delay_mean_ms", "mean queueing delay (ms)"),
        ("delay_p95_ms", "p95 queueing delay (ms)"),
        ("loss", "queue loss (fraction)"),
    )
    figure = Figure(figsize=(14.0, 1.2 + 0.22 * len(comparisons)), dpi=140, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axis, (metric, title) in zip(axes, panels, strict=True):
        for index, comparison in enumerate(comparisons):
            _fidelity_line(axis, index, comparison, metric)
        axis.set_title(title, loc="left", fontsize=10)
        axis.set_xscale("symlog", linthresh=1e-3) if metric == "loss" else axis.set_xscale("log")
        axis.grid(axis="x", color="#E6E6E6", linewidth=0.7)
        axis.spines[["top", "right", "left"]].set_visible(False)
        axis.tick_params(left=False)
    labels = [f"{c.row.scenario}  {c.row.scheme}  {c.row.repeat}" for c in comparisons]
    axes[0].set_yticks(range(len(comparisons)), labels, fontsize=8)
    axes[0].invert_yaxis()
    figure.suptitle(
        "real runs (hollow) and virtual time (filled); red: further apart than a row may be", fontsize=10
    )
    figure.savefig(path)


def _fidelity_line(axis: Axes, index: int, comparison: Comparison, metric: str) -> None:
    difference = comparison.metrics[metric]
    colour = "#D55E00" if difference.marked else style_of(comparison.row.scheme).colour
    axis.plot([difference.truth, difference.ours], [index, index], color=colour, linewidth=1.0, zorder=2)
    axis.plot(difference.truth, index, "o", markerfacecolor="white", markeredgecolor=colour, markersize=6)
    axis.plot(difference.ours, index, "o", color=colour, markersize=4, zorder=3)
