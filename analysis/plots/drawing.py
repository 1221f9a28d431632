"""What the figures share: sizes, legends, units."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator
from numpy.typing import ArrayLike

from pantheon.metrics import Interval
from pantheon.report.album import MUTED

_UNITS = {
    "throughput_mbps": ("throughput", "Mbit/s"),
    "utilisation": ("utilisation", ""),
    "delay_mean_ms": ("mean one-way delay", "ms"),
    "delay_p95_ms": ("95th percentile one-way delay", "ms"),
    "queue_delay_mean_ms": ("mean queueing delay", "ms"),
    "queue_delay_p95_ms": ("95th percentile queueing delay", "ms"),
    "loss": ("loss", ""),
    "queue_loss": ("queue loss", ""),
    "reward": ("reward", "a window"),
    "episode_return": ("return of training episodes", ""),
    "objective": ("objective", ""),
    "steps_per_second": ("decisions learnt from", "per s"),
}
_ENDINGS = (("_mbps", "Mbit/s"), ("_ms", "ms"), ("_s", "s"))


def title_of(metric: str) -> str:
    """A metric as an axis names it, with its unit."""
    name, unit = _UNITS.get(metric, ("", ""))
    if not name:
        ending = next(((end, unit) for end, unit in _ENDINGS if metric.endswith(end)), ("", ""))
        name, unit = metric.removesuffix(ending[0]).replace("_", " ").replace("/", ", "), ending[1]
    return f"{name} ({unit})" if unit else name


def grid(count: int, *, columns: int, width: float, height: float) -> tuple[Figure, list[Axes]]:
    """A figure of `count` panels side by side, `columns` in a row; sizes of one panel in inches."""
    columns = min(columns, count)
    rows = -(-count // columns)
    figure = Figure(figsize=(width * columns, height * rows), layout="constrained")
    FigureCanvasAgg(figure)
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axis in axes[count:]:
        axis.set_visible(False)
    return figure, axes[:count]


def legend_below(figure: Figure, axis: Axes, *, title: str = "") -> None:
    """Under the panels, in as many columns as the width has room for; the figure grows by its height."""
    handles, labels = axis.get_legend_handles_labels()
    if not labels:
        return
    longest = max(len(label) for label in labels)
    room = figure.get_figwidth() * 72.0
    columns = int(np.clip(room // (4.2 * longest + 30.0), 1, len(labels)))
    rows = -(-len(labels) // columns)
    columns = -(-len(labels) // rows)  # rows of equal length
    figure.set_figheight(figure.get_figheight() + 0.17 * (rows + bool(title)))
    figure.legend(
        handles,
        labels,
        loc="outside lower center",
        ncols=columns,
        frameon=False,
        fontsize=8,
        handlelength=1.8,
        columnspacing=1.4,
        title=title or None,
        title_fontsize=8,
    )


def thousands(axis: Axes) -> None:
    """Steps as 200 k, 1.5 M."""
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: steps(value)))


def steps(value: float) -> str:
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:g} {letter}"
    return f"{value:g}"


def spread_axis(axis: Axes, values: ArrayLike) -> None:
    """Makes the horizontal axis logarithmic where the values span more than a factor of eight, all above
    zero."""
    array = np.asarray(values, dtype=np.float64)
    if array.min() > 0.0 and array.max() > 8.0 * array.min():
        axis.set_xscale("log")
        round_ticks(axis.xaxis, float(array.min()), float(array.max()))


def round_ticks(line: Axis, low: float, high: float) -> None:
    """A few round numbers on a logarithmic axis that shows these values."""
    span = high / low
    parts = (
        (1.0, 1.2, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0)
        if span < 8.0
        else (1.0, 2.0, 5.0)
        if span < 100.0
        else (1.0, 3.0)
    )
    line.set_major_locator(LogLocator(subs=parts if span < 3000.0 else (1.0,), numticks=9))
    line.set_minor_locator(NullLocator())
    line.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def reach(interval: Interval) -> list[list[float]]:
    """An interval's arms, as errorbar wants them."""
    return [[max(interval.mean - interval.low, 0.0)], [max(interval.high - interval.mean, 0.0)]]


def footnote(axis: Axes, text: str) -> None:
    """Small print under the axis's label, which has to be set."""
    axis.annotate(
        text,
        (0.0, 0.0),
        xycoords="axes fraction",
        xytext=(0, -32),
        textcoords="offset points",
        va="top",
        ha="left",
        fontsize=7,
        color=MUTED,
    )
