"""The figure of `pantheon.learning_speed`: held-out reward against wall time, classic schemes as lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from pantheon.figures import style_of

if TYPE_CHECKING:
    from pantheon.learning_speed import Point

SPREAD = 0.5
"""Schemes further below the best one than this share of the curves' own range are left out: they would
squeeze everything that matters into a corner."""
LABEL = 0.035
"""Height of a scheme's name, as a share of the axis."""


def learning_curves(
    points: Sequence[Point], classics: Mapping[str, float], median_s: float | None, path: Path
) -> None:
    """A line a seed; a ring at each seed's first checkpoint that beats every classic scheme."""
    figure = Figure(figsize=(7.2, 4.4), dpi=160, layout="constrained")
    FigureCanvasAgg(figure)
    axis = figure.subplots()
    look = style_of("impala")
    for seed in dict.fromkeys(point.seed for point in points):
        mine = [point for point in points if point.seed == seed]
        axis.plot([p.wall_s for p in mine], [p.reward for p in mine], color=look.colour, lw=1.2, alpha=0.7)
        first = next((p for p in mine if p.beats), None)
        if first is not None:
            axis.plot(first.wall_s, first.reward, "o", mfc="white", mec=look.colour, ms=6, zorder=3)
    axis.set_xlim(0, max(point.wall_s for point in points) * 1.02)
    _classic_lines(axis, classics, [point.reward for point in points])
    if median_s is not None:
        axis.axvline(median_s, color="#999999", lw=0.8, ls=":")
        axis.annotate(
            f"{median_s:.0f} s (median)",
            (median_s, 0.02),
            xycoords=("data", "axes fraction"),
            xytext=(4, 0),
            textcoords="offset points",
            fontsize=8,
            color="#555555",
        )
    axis.set_xlabel("wall time since the start of run.py, s")
    axis.set_ylabel("mean reward a window, held-out episodes")
    axis.spines[["top", "right"]].set_visible(False)
    for suffix in (".png", ".pdf"):
        figure.savefig(path.with_suffix(suffix))


def _classic_lines(axis: Axes, classics: Mapping[str, float], rewards: Sequence[float]) -> None:
    top = max(*classics.values(), *rewards)
    bottom = min(max(classics.values()), *rewards)
    reach = (top - bottom) * (1 + SPREAD)
    shown = {name: value for name, value in classics.items() if value >= top - reach}
    axis.set_ylim(top - reach, top + 0.05 * reach)
    for (name, value), place in zip(shown.items(), _spread(list(shown.values()), LABEL * reach), strict=True):
        colour = style_of(name).colour
        axis.axhline(value, color=colour, lw=0.9, ls="--", zorder=1)
        axis.annotate(
            name,
            (1.0, place),
            xycoords=("axes fraction", "data"),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
            color=colour,
        )


def _spread(values: Sequence[float], gap: float) -> list[float]:
    """Places near the values, no two closer than `gap`: from the highest down."""
    places = [0.0] * len(values)
    free = float("inf")
    for index in sorted(range(len(values)), key=lambda i: -values[i]):
        places[index] = min(values[index], free)
        free = places[index] - gap
    return places
