"""Means with percentile-bootstrap intervals (Efron and Tibshirani, "An Introduction to the
Bootstrap", 1993, chapter 13).

A stratum is a group of runs that belong together, here one scenario: each resample draws as many runs as the
stratum holds, from that stratum alone, and the statistic is the mean over strata of the stratum means, so
every scenario weighs the same however many runs it had (the stratified bootstrap of rliable: Agarwal et al.,
"Deep Reinforcement Learning at the Edge of the Statistical Precipice", NeurIPS 2021). Everything is seeded:
the same values give the same interval.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

CONFIDENCE = 0.95
RESAMPLES = 10_000
_CHUNK = 4_000_000  # resampled values held at once


@dataclass(frozen=True)
class Interval:
    """A mean with the bounds of its confidence interval; `count` values stand behind it."""

    mean: float
    low: float
    high: float
    count: int

    def overlaps(self, other: Interval) -> bool:
        return self.low <= other.high and other.low <= self.high

    def __str__(self) -> str:
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"


def bootstrap_mean(
    values: ArrayLike,
    strata: Sequence[str] | None = None,
    *,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """The mean of `values` with its percentile-bootstrap interval, stratified by `strata` where given.

    A single value (or one in each stratum) cannot say how much it varies: its interval is the mean itself.
    """
    groups = _stratify(np.asarray(values, dtype=np.float64), strata)
    _check(confidence, resamples)
    means = _resampled_means(groups, resamples, np.random.default_rng(seed))
    low, high = _percentiles(means, confidence)
    mean = float(np.mean([group.mean() for group in groups]))
    return Interval(mean, low, high, sum(group.size for group in groups))


def bootstrap_difference(
    first: ArrayLike,
    second: ArrayLike,
    strata: Sequence[str] | None = None,
    *,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """The mean of `first` - `second` over paired runs (same episodes): above zero, `first` is better."""
    left, right = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if left.shape != right.shape:
        raise ValueError(f"paired runs must match: {left.size} against {right.size}")
    return bootstrap_mean(left - right, strata, confidence=confidence, resamples=resamples, seed=seed)


def nearest_rank(values: ArrayLike, fraction: float) -> float:
    """The smallest value that at least `fraction` of all values do not exceed; always one of the values."""
    ordered = np.sort(np.asarray(values, dtype=np.float64).ravel())
    if ordered.size == 0:
        raise ValueError("no values to rank")
    if not 0.0 < fraction <= 1.0:
        raise ValueError(f"fraction must be in (0, 1], got {fraction}")
    # The tolerance keeps 0.95 * 20 = 19.000000000000004 from asking for the 20th value.
    rank = int(np.ceil(fraction * ordered.size - 1e-9))
    return float(ordered[max(rank, 1) - 1])


def _stratify(values: NDArray[np.float64], strata: Sequence[str] | None) -> list[NDArray[np.float64]]:
    values = values.ravel()
    if values.size == 0:
        raise ValueError("no values to average")
    if not np.isfinite(values).all():
        raise ValueError("values must be finite")
    if strata is None:
        return [values]
    if len(strata) != values.size:
        raise ValueError(f"{len(strata)} strata for {values.size} values")
    labels = np.asarray(strata, dtype=object)
    return [values[labels == label] for label in dict.fromkeys(strata)]


def _check(confidence: float, resamples: int) -> None:
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence must be in (0, 1), got {confidence}")
    if resamples < 1:
        raise ValueError(f"resamples must be positive, got {resamples}")


def _resampled_means(
    groups: list[NDArray[np.float64]], resamples: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    total = np.zeros(resamples)
    for group in groups:
        block = max(1, _CHUNK // group.size)
        for start in range(0, resamples, block):
            count = min(block, resamples - start)
            picks = rng.integers(group.size, size=(count, group.size))
            total[start : start + count] += group[picks].mean(axis=1)
    return total / len(groups)


def _percentiles(means: NDArray[np.float64], confidence: float) -> tuple[float, float]:
    tail = 50.0 * (1.0 - confidence)
    low, high = np.percentile(means, [tail, 100.0 - tail])
    return float(low), float(high)
