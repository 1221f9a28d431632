"""Figures over all scenarios, after Agarwal et al. (NeurIPS 2021): intervals, profiles, matrices."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray

from pantheon import statistics
from pantheon.figures import name_points, style_of, trade_off_axes
from pantheon.metrics import Interval
from pantheon.report.album import INK, panels
from pantheon.report.tables import number
from pantheon.results import Summary
from pantheon.statistics import Scored

Floats = NDArray[np.float64]

_MOST_BANDS = 6  # more would hide each other
_DIVERGING = LinearSegmentedColormap.from_list("report", ["#E69F00", "#FFFFFF", "#0072B2"])


def intervals(rows: Sequence[tuple[str, Interval]], title: str, label: str) -> Figure:
    """A line a scheme, the first on top: its point estimate and its 95 % interval."""
    figure, (axis,) = panels(width=4.6, height=0.8 + 0.25 * len(rows))
    for index, (scheme, interval) in enumerate(rows):
        style = style_of(scheme)
        axis.plot([interval.low, interval.high], [index, index], color=style.colour, linewidth=5, alpha=0.35)
        axis.plot(interval.mean, index, style.marker, color=style.colour, markersize=7)
    axis.set_yticks(range(len(rows)), [scheme for scheme, _ in rows])
    axis.set_ylim(len(rows) - 0.4, -0.6)
    axis.tick_params(axis="y", length=0)
    axis.grid(axis="y", visible=False)
    axis.spines["left"].set_visible(False)
    axis.set_title(title)
    axis.set_xlabel(label)
    return figure


def profiles(scored: Scored, order: Sequence[str]) -> Figure:
    """The share of episodes that score above a threshold, over the threshold; of a few schemes with 95 %
    bands."""
    figure, (axis,) = panels(width=4.9, height=4.0)
    everything = np.concatenate([scores.ravel() for scores in scored.scores.values()])
    low, high = (float(np.clip(v, -1.0, 2.0)) for v in (everything.min(), everything.max()))
    thresholds = np.linspace(min(low, 0.0), max(high, 1.0), 121)
    for place, scheme in enumerate(order):
        style = style_of(scheme)
        share, band_low, band_high = statistics.performance_profile(scored.scores[scheme], thresholds)
        if len(order) <= _MOST_BANDS:
            axis.fill_between(thresholds, band_low, band_high, color=style.colour, alpha=0.15, linewidth=0)
        axis.plot(
            thresholds,
            share,
            color=style.colour,
            linewidth=1.4,
            marker=style.marker,
            markersize=5.5,
            markevery=(3 * place % 24, 24),
            label=scheme,
        )
    axis.set_xlim(thresholds[0], thresholds[-1])
    axis.set_ylim(0.0, 1.02)
    axis.yaxis.set_major_formatter(PercentFormatter(1.0))
    axis.set_title("Performance profiles: further right is better")
    axis.set_xlabel("normalised score")
    axis.set_ylabel("episodes that score above it")
    figure.legend(
        loc="outside lower center", ncols=min(4, len(order)), frameon=False, fontsize=8, handlelength=2.2
    )
    return figure


def matrix(
    rows: Sequence[str], columns: Sequence[str], values: Floats, *, title: str, neutral: float, reach: float
) -> Figure:
    """Numbers on colours: white at `neutral`, full at `reach` from it. NaN stays empty."""
    width = 1.5 + 0.47 * len(columns)
    figure, (axis,) = panels(width=width, height=1.15 + 0.27 * len(rows))
    axis.imshow(
        values, cmap=_DIVERGING, norm=Normalize(neutral - reach, neutral + reach), aspect="auto", alpha=0.85
    )
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            far = value - neutral > 0.7 * reach
            axis.text(
                column,
                row,
                number(value, 2),
                ha="center",
                va="center",
                fontsize=8,
                color="white" if far else INK,
            )
    axis.set_xticks(range(len(columns)), columns, rotation=45, ha="right", rotation_mode="anchor")
    axis.set_yticks(range(len(rows)), rows)
    axis.tick_params(length=0)
    axis.grid(visible=False)
    axis.spines[:].set_visible(False)
    axis.set_title(title)
    return figure


def trade_off(summaries: Sequence[Summary], queue_delays: dict[str, float]) -> Figure:
    """Each scheme's mean utilisation over the mean of its 95th percentile queueing delays, every scenario
    alike."""
    figure, (axis,) = panels(width=4.7, height=3.7)
    places = [(s.scheme, queue_delays[s.scheme], s.metrics["utilisation"].mean) for s in summaries]
    delays = [max(delay, 0.1) for _, delay, _ in places]
    trade_off_axes(axis, (min(delays), max(delays)), max(top for *_, top in places))
    axis.set_xlabel("95th percentile queueing delay (ms), mean over scenarios")
    axis.set_ylabel("utilisation of the link")
    axis.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    for scheme, delay, utilisation in places:
        style = style_of(scheme)
        axis.plot(
            max(delay, 0.1),
            utilisation,
            style.marker,
            color=style.colour,
            markersize=11 if style.marker == "*" else 8,
            markeredgecolor="white",
            markeredgewidth=0.7,
        )
    axis.set_title("Throughput and delay over all scenarios")
    figure.canvas.draw()
    name_points(axis, [(scheme, max(delay, 0.1), top) for scheme, delay, top in places])
    return figure
