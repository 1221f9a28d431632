"""What runs scored on held-out episodes, as matrices [scenario, unit], and their intervals.

A unit is a run where every configuration has at least two: then intervals say how a configuration varies from
training to training. Where one has a single run, units are episodes, and intervals say no more than how well
the trained policies at hand were measured. Trainings are independent of each other, so that resamples are
drawn for each configuration by itself; each scenario is a stratum.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.configurations import AGENT, Configuration, near
from analysis.study import Study, StudyError
from pantheon import statistics
from pantheon.metrics import CONFIDENCE, Interval
from pantheon.results import KEYS

Floats = NDArray[np.float64]
Unit = Literal["runs", "episodes"]
RESAMPLES = 2_000
REWARD_KIND = "reward.kind"

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class HeldOut:
    """The scores of a metric, [scenario, unit] a configuration."""

    metric: str
    unit: Unit
    scenarios: list[str]
    scores: dict[str, Floats]
    """By the configuration's label."""
    runs: dict[str, int]
    """How many runs stand behind them."""


def agent_rows(study: Study, scenarios: Sequence[str] | None = None) -> pd.DataFrame:
    """The rows of results of what each run tested for its own sake: flow 0 of the run's agent."""
    results = study.results
    if results.empty:
        raise StudyError("no run has results of held-out episodes (results.parquet)")
    agents = dict(zip(study.runs["run"], study.runs[AGENT].astype(object), strict=True))
    own = results["run"].astype(object).map(agents) == results["scheme"].astype(object)
    return of_scenarios(results[(results["flow"] == 0) & own], scenarios)


def of_scenarios(rows: pd.DataFrame, scenarios: Sequence[str] | None) -> pd.DataFrame:
    if scenarios is None:
        return rows
    known = list(rows["scenario"].unique())
    for name in scenarios:
        if name not in known:
            raise StudyError(f"scenario {name}: no results of it{near(name, known)}")
    return rows[rows["scenario"].isin(list(scenarios))]


def metric_names(results: pd.DataFrame) -> list[str]:
    """What can be compared of results."""
    named = {"run", *KEYS}
    return [name for name in results.columns if name not in named and results[name].dtype.kind in "fiu"]


def known_metric(results: pd.DataFrame, metric: str) -> str:
    names = metric_names(results)
    if metric not in names:
        raise StudyError(f"{metric}: no such metric in the results{near(metric, names)}")
    return metric


def held_out(
    study: Study, groups: Sequence[Configuration], metric: str, scenarios: Sequence[str] | None = None
) -> HeldOut:
    """The scores of each configuration that has any. All runs must have played the same scenarios."""
    rows = agent_rows(study, scenarios)
    known_metric(rows, metric)
    tables = {group.label: rows[rows["run"].isin(group.runs)] for group in groups}
    silent = [label for label, table in tables.items() if table.empty]
    if len(silent) == len(tables):
        raise StudyError("no run has results of held-out episodes (results.parquet)")
    if silent:
        _LOG.warning("without results and left out: %s", "; ".join(silent))
    tables = {label: table for label, table in tables.items() if not table.empty}
    names = _common_scenarios(rows)
    counts = {label: int(table["run"].nunique()) for label, table in tables.items()}
    unit: Unit = "runs" if min(counts.values()) > 1 else "episodes"
    scores = {label: _matrix(table, metric, names, unit, label) for label, table in tables.items()}
    return HeldOut(metric, unit, names, scores, counts)


def reward_differences(study: Study) -> list[str]:
    """The keys in which runs were rewarded differently, the reward's kind first; none: one common measure."""
    keys = [key for key in study.varied() if key.startswith("reward.")]
    return sorted(keys, key=lambda key: key != REWARD_KIND)


def _common_scenarios(rows: pd.DataFrame) -> list[str]:
    played = {str(run): set(part["scenario"]) for run, part in rows.groupby("run", sort=False, observed=True)}
    first, expected = next(iter(played.items()))
    for run, names in played.items():
        if names != expected:
            odd = ", ".join(sorted(names ^ expected)[:3])
            raise StudyError(
                f"runs {first} and {run} cannot be compared: only one of them has played {odd} "
                "(choose scenarios that all have: --scenario)"
            )
    return list(dict.fromkeys(rows["scenario"]))


def _matrix(table: pd.DataFrame, metric: str, scenarios: Sequence[str], unit: Unit, label: str) -> Floats:
    if unit == "runs":
        means = table.groupby(["scenario", "run"], observed=True)[metric].mean().unstack("run")
        matrix = means.loc[list(scenarios)].to_numpy(np.float64)
    else:
        rows = [table.loc[table["scenario"] == name, metric].to_numpy(np.float64) for name in scenarios]
        if len({len(row) for row in rows}) > 1:
            raise StudyError(
                f"{label}: scenarios have different numbers of episodes; choose one (--scenario)"
            )
        matrix = np.array(rows)
    if not np.isfinite(matrix).all():
        raise StudyError(f"{label}: {metric} is no number in some episodes")
    return matrix


def resampled_means(scores: Floats, *, seed: int, resamples: int = RESAMPLES) -> Floats:
    """The mean over scenarios and units of `resamples` stratified resamples."""
    rng = np.random.default_rng(seed)
    total = np.zeros(resamples)
    for row in scores:
        block = max(1, 2_000_000 // row.size)
        for start in range(0, resamples, block):
            count = min(block, resamples - start)
            total[start : start + count] += row[rng.integers(row.size, size=(count, row.size))].mean(axis=1)
    return total / len(scores)


def interval(point: float, values: Floats, count: int) -> Interval:
    """The percentile interval of resampled `values` around a point estimate."""
    tail = 50.0 * (1.0 - CONFIDENCE)
    low, high = np.percentile(values, [tail, 100.0 - tail])
    return Interval(point, float(low), float(high), count)


def mean(scores: Floats) -> Interval:
    """A single unit cannot say how much it varies: its interval is the mean itself."""
    return interval(float(scores.mean()), resampled_means(scores, seed=0), scores.size)


def difference(first: Floats, second: Floats) -> Interval:
    """The mean of `first` less that of `second`; the two are independent samples."""
    values = resampled_means(first, seed=0) - resampled_means(second, seed=1)
    return interval(float(first.mean() - second.mean()), values, first.size)


def improvement(first: Floats, second: Floats) -> Interval:
    """How likely a unit of `first` exceeds one of `second` in a scenario drawn at random; ties count half
    (Agarwal et al., NeurIPS 2021). Their numbers of units may differ."""
    wins = np.asarray(
        (first[:, :, None] > second[:, None, :]) + 0.5 * (first[:, :, None] == second[:, None, :])
    )
    rng = np.random.default_rng(0)
    values = np.zeros(RESAMPLES)
    for matrix in wins:  # U of a resample needs only how often each unit was drawn
        a, b = (_draws(rng, size) for size in matrix.shape)
        values += np.einsum("ri,ij,rj->r", a, matrix, b, optimize=True)
    return interval(float(wins.mean()), values / len(wins), first.size)


def _draws(rng: np.random.Generator, size: int) -> Floats:
    """How often each of `size` units is drawn, as shares, [resample, unit]."""
    return rng.multinomial(size, np.full(size, 1.0 / size), size=RESAMPLES) / size


def statistic_of(name: str) -> statistics.Statistic:
    known = {"mean": statistics.mean, "iqm": statistics.iqm, "median": statistics.median}
    if name not in known:
        raise StudyError(f"statistic {name}: no such one (there are {', '.join(known)})")
    return known[name]
