"""The throughput-delay frontier: configurations with intervals, their Pareto front, classic schemes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.configurations import AGENT, Configuration, configurations, near, says, short_names
from analysis.plots.drawing import legend_below, reach, title_of
from analysis.plots.held_out import Unit, held_out, mean
from analysis.study import Study, StudyError
from pantheon.figures import Style, name_points, style_of, trade_off_axes
from pantheon.metrics import Interval, bootstrap_mean
from pantheon.report.album import MUTED, panels

HIDDEN = ("random", "oracle")
"""Anchors of scores, drawn only where asked for."""
_LONGEST = 14  # letters of a name beside its point; longer ones, or too many, go into the legend
_NAMED = 14


@dataclass(frozen=True)
class Place:
    name: str
    delay: Interval
    throughput: Interval
    look: Style
    configuration: bool


def frontier(
    study: Study,
    *,
    by: Sequence[str] | None = None,
    scenarios: Sequence[str] | None = None,
    schemes: Sequence[str] | None = None,
    delay: str = "delay_p95_ms",
    throughput: str = "throughput_mbps",
    width: float = 5.4,
    height: float = 4.2,
) -> Figure:
    """A point a configuration at its means over scenarios, with 95 % intervals over runs (over episodes,
    where one has a single run), and a point a classic scheme (`schemes`: these alone; if empty: none)."""
    places, unit = points(
        study, by=by, scenarios=scenarios, schemes=schemes, delay=delay, throughput=throughput
    )
    own = [place for place in places if place.configuration]
    figure, (axis,) = panels(width=width, height=height)
    _axes(axis, places)
    axis.set_xlabel(title_of(delay))
    axis.set_ylabel(title_of(throughput))
    front(axis, own)
    for place in places:
        _point(axis, place)
    short, title = _short_labels(study, own, by)
    beside = len(own) <= _NAMED and all(len(short.get(p.name, p.name)) <= _LONGEST for p in own)
    if not beside:
        legend_below(figure, axis)
    figure.canvas.draw()  # settles the layout, by which names find their places
    shown = places if beside else [place for place in places if not place.configuration]
    named = [(short.get(p.name, p.name), p.delay.mean, p.throughput.mean) for p in shown]
    name_points(axis, named, looks={short.get(p.name, p.name): p.look for p in shown})
    axis.set_title(f"{title}95 % intervals over {unit}; grey: Pareto front", fontsize=8, color=MUTED)
    return figure


def points(
    study: Study,
    *,
    by: Sequence[str] | None = None,
    scenarios: Sequence[str] | None = None,
    schemes: Sequence[str] | None = None,
    delay: str = "delay_p95_ms",
    throughput: str = "throughput_mbps",
) -> tuple[list[Place], Unit]:
    """What `frontier` draws, configurations first."""
    groups = configurations(study, by)
    delays = held_out(study, groups, delay, scenarios)
    throughputs = held_out(study, groups, throughput, scenarios)
    places = [
        Place(
            group.label,
            mean(delays.scores[group.label]),
            mean(throughputs.scores[group.label]),
            group.look,
            True,
        )
        for group in groups
        if group.label in delays.scores
    ]
    for scheme, rows in classic_rows(study, delays.scenarios, schemes, (delay, throughput)):
        strata = list(rows["scenario"])
        places.append(
            Place(
                scheme,
                bootstrap_mean(rows[delay], strata, resamples=2_000),
                bootstrap_mean(rows[throughput], strata, resamples=2_000),
                style_of(scheme),
                False,
            )
        )
    return places, delays.unit


def classic_rows(
    study: Study, scenarios: Sequence[str], schemes: Sequence[str] | None, metrics: Sequence[str]
) -> list[tuple[str, pd.DataFrame]]:
    """The episodes of the schemes beside which the runs were tested, each once: several tests play the same
    ones, and must have come to the same figures."""
    agents = set(study.runs[AGENT])
    rows = study.results[(study.results["flow"] == 0) & ~study.results["scheme"].isin(list(agents))]
    known = list(rows["scheme"].unique())
    for scheme in schemes or ():
        if scheme not in known:
            raise StudyError(f"scheme {scheme}: none of these runs was tested beside it{near(scheme, known)}")
    ablated = tuple(f"{agent} (" for agent in agents)
    wanted = (
        [s for s in known if s not in HIDDEN and not s.startswith(ablated)] if schemes is None else schemes
    )
    rows = rows[rows["scheme"].isin(list(wanted)) & rows["scenario"].isin(list(scenarios))]
    found = []
    for name, part in rows.groupby("scheme", sort=False, observed=True):
        _require_equal(str(name), part, metrics)
        found.append((str(name), part.drop_duplicates(["scenario", "seed"])))
    return found


def _require_equal(scheme: str, rows: pd.DataFrame, metrics: Sequence[str]) -> None:
    """That a scheme has fared alike wherever it played the same episode: else the paths were not the same."""
    for metric in metrics:
        spread = rows.groupby(["scenario", "seed"], observed=True)[metric].agg(["min", "max"])
        odd = spread[spread["max"] - spread["min"] > 1e-3 * spread["max"].abs().clip(lower=1e-9)]
        if len(odd):
            scenario, seed = odd.index[0]
            raise StudyError(
                f"runs cannot be compared: in episode {seed} of {scenario}, {metric} of {scheme} is "
                f"{odd['min'].iloc[0]:g} in one test and {odd['max'].iloc[0]:g} in another, so that they did "
                "not play the same paths (draw fewer runs, or no classic schemes: --schemes none)"
            )


def _axes(axis: Axes, places: Sequence[Place]) -> None:
    """Throughput from zero, unless the points fill but a small part of that."""
    delays = [bound for place in places for bound in (place.delay.low, place.delay.high)]
    low, high = min(p.throughput.low for p in places), max(p.throughput.high for p in places)
    trade_off_axes(axis, (min(delays), max(delays)), high)
    if low > 0.5 * high:
        axis.set_ylim(
            max(low - 0.5 * (high - low) - 0.02 * high, 0.0), high + 0.6 * (high - low) + 0.02 * high
        )


def front(axis: Axes, places: Sequence[Place]) -> None:
    """A step line through the configurations that no other beats in both, and on to longer delays."""
    best = pareto([(place.delay.mean, place.throughput.mean) for place in places])
    bottom, longest = axis.get_ylim()[0], axis.get_xlim()[0]
    xs = np.array([best[0][0], *(delay for delay, _ in best), longest])
    ys = np.array([bottom, *(throughput for _, throughput in best), best[-1][1]])
    axis.plot(xs, ys, drawstyle="steps-post", color=MUTED, linewidth=1.0, zorder=1.5)
    axis.fill_between(xs, bottom, ys, step="post", color=MUTED, alpha=0.07, linewidth=0, zorder=0.5)


def pareto(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The points (delay, throughput) that none exceeds in throughput at no more delay; the shortest first."""
    best: list[tuple[float, float]] = []
    for delay, throughput in sorted(points, key=lambda point: (point[0], -point[1])):
        if not best or throughput > best[-1][1]:
            best.append((delay, throughput))
    return best


def _point(axis: Axes, place: Place) -> None:
    axis.errorbar(
        place.delay.mean,
        place.throughput.mean,
        xerr=reach(place.delay),
        yerr=reach(place.throughput),
        color=place.look.colour,
        marker=place.look.marker,
        markersize=13 if place.look.marker == "*" else 8.5 if place.configuration else 6.5,
        markerfacecolor=place.look.colour if place.configuration else "white",
        markeredgecolor="white" if place.configuration else place.look.colour,
        markeredgewidth=0.8 if place.configuration else 1.3,
        elinewidth=1.2,
        capsize=2.0,
        label=place.name if place.configuration else None,
        zorder=4 if place.configuration else 3,
    )


def _short_labels(
    study: Study, places: Sequence[Place], by: Sequence[str] | None
) -> tuple[dict[str, str], str]:
    """Names for points: the value alone where a single key differs, and the key for the title."""
    groups: list[Configuration] = configurations(study, by)
    keys = list(groups[0].values)
    if len(keys) != 1 or keys == [AGENT]:
        return {}, ""
    shown = {place.name for place in places}
    short = {group.label: says(group.values[keys[0]]) for group in groups if group.label in shown}
    return short, f"{short_names(keys)[keys[0]]} at the points; "
