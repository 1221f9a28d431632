"""What a sweep's parameters do to its objective: `importance` over all of them, `slices` one by one.

Importance is an analysis of variance. Each parameter's levels (numbers of more than six values: quarters of
the runs) enter one additive model. A parameter's share is what the model explains with it beyond what it
explains without it (type II sums of squares, so that the design need not be a whole grid), less what as many
levels of a parameter without effect would explain on average (epsilon squared: Kelley, PNAS 1935), over the
total. What is left is divided between repetitions of equal configurations, where there are any, and
interactions. Intervals are those of the bootstrap of the model's residuals (Efron and Tibshirani, 1993,
chapter 9). No forest is fitted: sweeps of some dozens of runs do not feed one.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator, PercentFormatter
from numpy.typing import NDArray

from analysis.configurations import known_key, near, numeric, plain, says, short_names, varied
from analysis.plots.drawing import footnote, grid, reach, spread_axis, title_of
from analysis.plots.held_out import agent_rows, interval, metric_names
from analysis.study import Study, StudyError
from mvfstrl.outcome import MINIMIZE, OBJECTIVES
from pantheon.metrics import Interval, bootstrap_mean
from pantheon.report.album import INK, MUTED, panels

Floats = NDArray[np.float64]

OBJECTIVE = "objective"
_MOST_LEVELS = 6
_BINS = 4
_RESAMPLES = 2_000
_BLUE, _PALE = "#0072B2", "#B9BDC2"


@dataclass(frozen=True)
class Importance:
    """Shares of the objective's variance over the runs of a sweep."""

    parameters: dict[str, Interval]
    """By key, the largest first. A share may be below zero: less than chance would explain."""
    interactions: float
    """What no single parameter explains; where nothing was repeated, chance too."""
    repetitions: float | None
    """Between runs that differ in their seed alone; None: there are none."""
    runs: int


def importance(
    study: Study,
    metric: str = OBJECTIVE,
    *,
    parameters: Sequence[str] | None = None,
    width: float = 5.2,
    height: float | None = None,
) -> Figure:
    """A bar a parameter: its share of the variance of the metric, with its 95 % interval; grey where the
    interval holds zero."""
    found = importances(study, metric, parameters=parameters)
    names = short_names(list(found.parameters))
    rest = [
        ("interactions" if found.repetitions is not None else "interactions and chance", found.interactions)
    ]
    if found.repetitions is not None:
        rest.append(("repetitions", found.repetitions))
    rows = len(found.parameters) + len(rest)
    figure, (axis,) = panels(width=width, height=height or 1.1 + 0.3 * rows)
    for place, share in enumerate(found.parameters.values()):
        sure = share.low > 0.0
        axis.barh(place, max(share.mean, 0.0), height=0.62, color=_BLUE if sure else _PALE)
        middle = max(share.mean, 0.0)
        arms = [[middle - max(min(share.low, middle), 0.0)], [max(share.high - middle, 0.0)]]
        axis.errorbar(middle, place, xerr=arms, color=INK, elinewidth=1.0, capsize=2.5)
    for place, (_, left) in enumerate(rest, start=len(found.parameters)):
        axis.barh(place, left, height=0.62, color="none", edgecolor=MUTED, linewidth=0.8, hatch="////")
    labels = [names[key] for key in found.parameters] + [name for name, _ in rest]
    axis.set_yticks(range(rows), labels)
    axis.set_ylim(rows - 0.4, -0.6)
    axis.set_xlim(left=0.0)
    axis.tick_params(axis="y", length=0)
    axis.grid(axis="y", visible=False)
    axis.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axis.set_xlabel(f"share of the variance of {title_of(metric)}")
    footnote(axis, f"{found.runs} runs; 95 % intervals; grey: not told from chance")
    return figure


def importances(
    study: Study, metric: str = OBJECTIVE, *, parameters: Sequence[str] | None = None
) -> Importance:
    """The decomposition that `importance` draws."""
    keys, table, scores = _observations(study, metric, parameters)
    if len(scores) < 2 or np.ptp(scores) == 0.0:
        raise StudyError(f"{metric}: the same in all {len(scores)} runs: there is no variance to explain")
    levels = {key: _levels(table[key]) for key in keys}
    everything = _basis(list(levels.values()), len(scores))
    spare = len(scores) - everything.shape[1]
    if spare < 1:
        raise StudyError(
            f"{len(scores)} runs are too few for {len(keys)} parameters of {everything.shape[1] - len(keys)} "
            "levels beyond each one's first: name fewer (--parameter)"
        )
    fits = [
        (everything, _basis([other for k, other in levels.items() if k != key], len(scores))) for key in keys
    ]
    shares = _shares(scores[:, None], everything, fits)
    again = _shares(_resampled(scores, everything), everything, fits)
    found = {key: interval(float(shares[i, 0]), again[i], len(scores)) for i, key in enumerate(keys)}
    found = dict(sorted(found.items(), key=lambda item: -item[1].mean))
    rest = float(np.clip(1.0 - shares[:, 0].clip(min=0.0).sum(), 0.0, 1.0))
    noise = _repetitions(table, scores)
    if noise is None:
        return Importance(found, rest, None, len(scores))
    return Importance(found, max(rest - noise, 0.0), min(noise, rest), len(scores))


def slices(
    study: Study,
    metric: str = OBJECTIVE,
    *,
    parameters: Sequence[str] | None = None,
    columns: int = 3,
    width: float = 2.9,
    height: float = 2.6,
) -> Figure:
    """A panel a parameter: each run's score over its value, and each value's mean with its 95 % interval."""
    keys, table, scores = _observations(study, metric, parameters)
    names = short_names(keys)
    figure, axes = grid(len(keys), columns=columns, width=width, height=height)
    best = int((np.argmin if _smaller_is_better(study, metric) else np.argmax)(scores))
    for index, (axis, key) in enumerate(zip(axes, keys, strict=True)):
        _slice(axis, list(table[key]), scores, best)
        axis.set_xlabel(names[key])
        if index:
            axis.sharey(axes[0])
        if index % columns == 0:
            axis.set_ylabel(title_of(metric))
        else:
            axis.tick_params(labelleft=False)
    axes[0].set_title(
        "line: means, with 95 % intervals over runs; ring: the best run", fontsize=8, color=MUTED
    )
    return figure


def run_scores(study: Study, metric: str) -> pd.Series[float]:
    """A value a run that has one, by `run`: its objective, a `score.` of its outcome, or the mean over
    scenarios of a column of its results."""
    runs = study.runs.set_index("run")
    if metric in (OBJECTIVE, *(c for c in runs.columns if c.startswith("score."))):
        found = runs[metric].astype(np.float64).dropna()
        if found.empty:
            raise StudyError(f"{metric}: no run has one; a metric of the results may do (--metric reward)")
        return found
    names = [OBJECTIVE, *metric_names(study.results)]
    if metric not in names:
        raise StudyError(f"{metric}: no such metric in the results{near(metric, names)}")
    means = agent_rows(study).groupby(["run", "scenario"], observed=True)[metric].mean()
    return means.groupby("run", observed=True).mean().dropna().astype(np.float64)


def _observations(
    study: Study, metric: str, parameters: Sequence[str] | None
) -> tuple[list[str], pd.DataFrame, Floats]:
    """The parameters, their values a run, and the runs' scores."""
    keys = varied(study) if parameters is None else [known_key(study, key) for key in parameters]
    if not keys:
        raise StudyError("these runs differ in no parameter (their seeds aside)")
    scores = run_scores(study, metric)
    runs = study.runs.set_index("run")
    shown = [run for run in runs.index if run in scores.index]
    table = runs.loc[shown, keys].astype(object)
    values = table.apply(lambda column: [plain(value) for value in column])
    return keys, pd.DataFrame(values), np.asarray(scores.loc[shown], dtype=np.float64)


def _levels(values: pd.Series[Any]) -> NDArray[np.int64]:
    """Each run's level, as a number."""
    if numeric(values) and values.nunique() > _MOST_LEVELS:
        return np.asarray(
            pd.qcut(values.astype(float), _BINS, labels=False, duplicates="drop"), dtype=np.int64
        )
    return np.asarray(pd.factorize(values.map(str))[0], dtype=np.int64)


def _basis(levels: Sequence[NDArray[np.int64]], runs: int) -> Floats:
    """Orthonormal columns that span the additive model of these levels, the mean included."""
    columns = [np.ones((runs, 1))]
    columns += [np.eye(int(level.max()) + 1)[level][:, 1:] for level in levels]
    left, sizes, _ = np.linalg.svd(np.concatenate(columns, axis=1), full_matrices=False)
    return left[:, sizes > 1e-9 * sizes[0]]


def _residual(scores: Floats, basis: Floats) -> Floats:
    """Sums of squares that the model leaves of each column of scores."""
    return np.asarray(((scores - basis @ (basis.T @ scores)) ** 2).sum(axis=0))


def _shares(scores: Floats, everything: Floats, fits: Sequence[tuple[Floats, Floats]]) -> Floats:
    """Epsilon squared of each parameter, for each column of scores."""
    count = len(scores)
    total = ((scores - scores.mean(axis=0)) ** 2).sum(axis=0)
    left = _residual(scores, everything)
    chance = left / (count - everything.shape[1])
    rows = [
        (_residual(scores, without) - left - (whole.shape[1] - without.shape[1]) * chance) / total
        for whole, without in fits
    ]
    return np.array(rows)


def _resampled(scores: Floats, basis: Floats) -> Floats:
    """Scores as the model has them plus its residuals, drawn anew; a column a resample."""
    fit = basis @ (basis.T @ scores)
    residuals = (scores - fit) * np.sqrt(len(scores) / (len(scores) - basis.shape[1]))
    picks = np.random.default_rng(0).integers(len(scores), size=(len(scores), _RESAMPLES))
    return np.asarray(fit[:, None] + residuals[picks])


def _repetitions(table: pd.DataFrame, scores: Floats) -> float | None:
    """The share of the variance that is between runs of one configuration."""
    groups = pd.Series(scores).groupby(pd.factorize(table.astype(str).agg("|".join, axis=1))[0])
    spare = len(scores) - groups.ngroups
    if spare < 1:
        return None
    within = float(((scores - groups.transform("mean").to_numpy()) ** 2).sum()) / spare
    return within / float(np.var(scores, ddof=1))


def _smaller_is_better(study: Study, metric: str) -> bool:
    named = metric.removeprefix("score.")
    if metric == OBJECTIVE and "config.objective" in study.runs:  # what `objective=[...]` said
        said = study.runs["config.objective"].dropna()
        named = json.loads(said.iloc[0])[0] if len(said) else named
    return OBJECTIVES.get(named) == MINIMIZE


def _slice(axis: Axes, values: list[object], scores: Floats, best: int) -> None:
    numbers = numeric(values)
    order = sorted(set(values), key=lambda value: float(value) if numbers else str(value))  # type: ignore[arg-type]
    if numbers:
        at = np.array(values, dtype=np.float64)
        spread_axis(axis, at)
        if len(order) <= _MOST_LEVELS:
            axis.xaxis.set_minor_locator(NullLocator())
            axis.set_xticks(np.array(order, dtype=np.float64), [says(value) for value in order])
    else:
        at = np.array([order.index(value) for value in values], dtype=np.float64)
        axis.set_xticks(range(len(order)), [says(value) for value in order])
        axis.set_xlim(-0.5, len(order) - 0.5)
    axis.plot(at, scores, "o", color=_BLUE, alpha=0.4, markersize=4, markeredgewidth=0)
    axis.plot(at[best], scores[best], "o", markerfacecolor="none", markeredgecolor="#D55E00", markersize=8)
    _trend(axis, at, scores, numbers)


def _trend(axis: Axes, at: Floats, scores: Floats, joined: bool) -> None:
    """Means at the values, or of quarters of the runs where the values are many."""
    levels = _levels(pd.Series(list(at), dtype=object))
    places, means = [], []
    for level in np.unique(levels):
        mine = levels == level
        places.append(float(np.median(at[mine])))
        means.append(bootstrap_mean(scores[mine], resamples=_RESAMPLES))
    order = np.argsort(places)
    arms = np.hstack([reach(means[i]) for i in order])
    axis.errorbar(
        np.array(places)[order],
        [means[i].mean for i in order],
        yerr=arms,
        color=INK,
        linestyle="-" if joined else "none",
        marker="_" if not joined else "",
        markersize=12,
        linewidth=1.2,
        elinewidth=1.0,
        capsize=2.5,
    )
