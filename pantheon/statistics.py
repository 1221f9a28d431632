"""Aggregate statistics over scenarios, after Agarwal et al., "Deep Reinforcement Learning at the Edge of the
Statistical Precipice" (NeurIPS 2021), which the `rliable` package implements.

The score of an episode is its mean reward a window on a scale of its scenario's own: 0 is the mean of
`random` there, 1 the mean of `oracle`, the best fixed window. A scheme that adapts may exceed 1. Means over
the anchors' episodes are taken as they are: intervals say how much the schemes vary, not the anchors.

Scores are matrices [scenario, episode]. All intervals are 95 % percentile intervals of the bootstrap that is
stratified by scenario: each resample draws, in every scenario, as many episodes as there are. Resamples are
the same for all schemes, and one drawn episode is the same network for each of them, so comparisons of two
schemes are paired by episode.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pantheon.metrics import CONFIDENCE, Interval

RANDOM, ORACLE = "random", "oracle"
RESAMPLES = 2_000
LEAST_ERRORS = 3.0
"""Standard errors of their paired difference by which oracle must beat random. Where it does not, a score
would be one noise divided by another, and the scenario is left out."""
_BLOCK = 4_000_000  # resampled scores held at once

Scores = NDArray[np.float64]
Statistic = Callable[[Scores], Scores]
"""Over the last axis of [..., runs]: all scores of a scheme, every scenario alike."""


@dataclass(frozen=True)
class Scored:
    """Normalised scores of every scheme, [scenario, episode], the same scenarios and episodes for each."""

    scenarios: list[str]
    scores: dict[str, Scores]
    left_out: dict[str, str]
    """Scenarios without scores, and why."""


def normalised_scores(table: pd.DataFrame) -> Scored:
    """Of the results table's observed flows. Scenarios count where both anchors and every scheme have played
    the same number of episodes, and where the anchors differ (`LEAST_ERRORS`)."""
    observed = table[table["flow"] == 0]
    schemes = list(dict.fromkeys(observed["scheme"]))
    scenarios, left_out = [], {}
    matrices: dict[str, list[Scores]] = {scheme: [] for scheme in schemes}
    for scenario, group in observed.groupby("scenario", sort=False):
        rewards = {
            str(scheme): part.sort_values("seed")["reward"].to_numpy(np.float64)
            for scheme, part in group.groupby("scheme", sort=False)
        }
        reason = _unusable(rewards, schemes)
        if reason:
            left_out[str(scenario)] = reason
            continue
        low, high = rewards[RANDOM].mean(), rewards[ORACLE].mean()
        scenarios.append(str(scenario))
        for scheme in schemes:
            matrices[scheme].append((rewards[scheme] - low) / (high - low))
    scores = {scheme: np.array(rows) for scheme, rows in matrices.items() if rows}
    return Scored(scenarios, scores, left_out)


def _unusable(rewards: Mapping[str, Scores], schemes: Sequence[str]) -> str:
    """Why a scenario has no scores; empty: it has."""
    for anchor in (RANDOM, ORACLE):
        if anchor not in rewards:
            return f"{anchor} was not played (test.anchors=true plays it)"
    missing = [scheme for scheme in schemes if scheme not in rewards]
    if missing:
        return f"not played by {', '.join(missing)}"
    if len({values.size for values in rewards.values()}) > 1:
        return "schemes have played different numbers of episodes"
    if not all(np.isfinite(values).all() for values in rewards.values()):
        return "a reward is no number"
    gains = rewards[ORACLE] - rewards[RANDOM]
    error = float(gains.std(ddof=1)) / float(np.sqrt(gains.size)) if gains.size > 1 else 0.0
    if gains.mean() <= LEAST_ERRORS * error:
        return f"oracle's mean reward exceeds random's by {gains.mean():.3f} only, +- {error:.3f}"
    return ""


def mean(scores: Scores) -> Scores:
    return np.asarray(scores.mean(axis=-1))


def median(scores: Scores) -> Scores:
    return np.asarray(np.median(scores, axis=-1))


def iqm(scores: Scores) -> Scores:
    """The interquartile mean: of the middle half, a quarter (rounded down) cut off at either end."""
    count = scores.shape[-1]
    cut = count // 4
    return np.asarray(np.sort(scores, axis=-1)[..., cut : count - cut].mean(axis=-1))


def optimality_gap(scores: Scores, target: float = 1.0) -> Scores:
    """By how much scores fall short of `target` on average; what exceeds it counts as having reached it."""
    return np.asarray(target - np.minimum(scores, target).mean(axis=-1))


def interval(
    scores: Scores,
    statistic: Statistic = iqm,
    *,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """`statistic` over all scores of a scheme [scenario, episode], with its interval."""
    parts = [statistic(_flat(scores, picks)) for picks in _resamples(scores.shape, resamples, seed)]
    return _interval(float(statistic(scores.reshape(-1))), np.concatenate(parts), confidence, scores.size)


def difference(
    first: Scores,
    second: Scores,
    statistic: Statistic = iqm,
    *,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """`statistic` of `first` less that of `second`, paired by episode: above zero, `first` is better."""
    _require_same_shape(first, second)
    parts = [
        statistic(_flat(first, picks)) - statistic(_flat(second, picks))
        for picks in _resamples(first.shape, resamples, seed)
    ]
    point = float(statistic(first.reshape(-1)) - statistic(second.reshape(-1)))
    return _interval(point, np.concatenate(parts), confidence, first.size)


def probability_of_improvement(
    first: Scores,
    second: Scores,
    *,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """How likely an episode of `first` scores above one of `second` in a scenario drawn at random; ties count
    half. Any episode meets any other, as in rliable (Mann and Whitney's U); `paired_improvement` compares
    equal episodes only."""
    _require_same_shape(first, second)
    wins = _wins(first[:, :, None], second[:, None, :])
    point = float(wins.mean())
    if point in (0.0, 1.0):
        return Interval(point, point, point, first.size)
    parts = []
    for picks in _resamples(first.shape, resamples, seed):
        # U of a resample needs only how often each episode was drawn: counts W counts / n^2.
        counts = _draws(picks, first.shape[1])
        inner = np.einsum("rsi,sij,rsj->rs", counts, wins, counts, optimize=True)
        parts.append(inner.mean(axis=1) / first.shape[1] ** 2)
    return _interval(point, np.concatenate(parts), confidence, first.size)


def paired_improvement(
    first: Scores,
    second: Scores,
    *,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """How likely `first` scores above `second` in one and the same episode; ties count half."""
    _require_same_shape(first, second)
    wins = _wins(first, second)
    return interval(wins, mean, confidence=confidence, resamples=resamples, seed=seed)


def performance_profile(
    scores: Scores,
    thresholds: NDArray[np.float64],
    *,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[Scores, Scores, Scores]:
    """The share of episodes that score above each threshold, every scenario alike: (share, low, high), bands
    pointwise."""
    above = scores[:, :, None] > thresholds
    parts = []
    for picks in _resamples(scores.shape, resamples, seed):
        counts = _draws(picks, scores.shape[1])
        parts.append(np.einsum("rsi,sit->rt", counts, above, optimize=True) / scores.size)
    tail = 50.0 * (1.0 - confidence)
    low, high = np.percentile(np.concatenate(parts), [tail, 100.0 - tail], axis=0)
    return above.mean(axis=(0, 1)), low, high


def _resamples(shape: tuple[int, ...], resamples: int, seed: int) -> Iterable[NDArray[np.int64]]:
    """Indices of drawn episodes, [resample, scenario, episode], in blocks."""
    if resamples < 1:
        raise ValueError(f"resamples must be positive, got {resamples}")
    scenarios, episodes = shape
    if scenarios == 0 or episodes == 0:
        raise ValueError("no scores to resample")
    rng = np.random.default_rng(seed)
    block = max(1, _BLOCK // (scenarios * episodes))
    for start in range(0, resamples, block):
        yield rng.integers(episodes, size=(min(block, resamples - start), scenarios, episodes))


def _flat(scores: Scores, picks: NDArray[np.int64]) -> Scores:
    """The drawn scores, [resample, all of them]."""
    rows = np.arange(scores.shape[0])[None, :, None]
    return scores[rows, picks].reshape(len(picks), -1)


def _draws(picks: NDArray[np.int64], episodes: int) -> Scores:
    """How often each episode was drawn: [resample, scenario, episode]."""
    resamples, scenarios, _ = picks.shape
    offsets = np.arange(resamples * scenarios).reshape(resamples, scenarios, 1) * episodes
    counts = np.bincount((picks + offsets).ravel(), minlength=resamples * scenarios * episodes)
    return counts.reshape(resamples, scenarios, episodes).astype(np.float64)


def _wins(first: Any, second: Any) -> Scores:
    return np.asarray((first > second) + 0.5 * (first == second), dtype=np.float64)


def _require_same_shape(first: Scores, second: Scores) -> None:
    if first.shape != second.shape:
        raise ValueError(f"schemes must have played the same episodes: {first.shape} against {second.shape}")


def _interval(point: float, values: Scores, confidence: float, count: int) -> Interval:
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence must be in (0, 1), got {confidence}")
    tail = 50.0 * (1.0 - confidence)
    low, high = np.percentile(values, [tail, 100.0 - tail])
    return Interval(point, float(low), float(high), count)
