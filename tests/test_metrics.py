"""Bootstrap intervals against known sampling distributions, and nearest-rank percentiles by hand."""

from __future__ import annotations

import numpy as np
import pytest

from pantheon.metrics import bootstrap_difference, bootstrap_mean, nearest_rank


def test_interval_matches_the_normal_approximation() -> None:
    values = np.random.default_rng(1).normal(5.0, 2.0, size=400)
    interval = bootstrap_mean(values)
    half = 1.96 * values.std() / np.sqrt(values.size)
    assert interval.mean == pytest.approx(values.mean(), abs=1e-12)
    assert interval.low == pytest.approx(values.mean() - half, abs=0.02)
    assert interval.high == pytest.approx(values.mean() + half, abs=0.02)
    assert interval.count == 400


def test_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(2)
    intervals = [bootstrap_mean(rng.exponential(1.0, size=30), resamples=500, seed=i) for i in range(300)]
    covered = sum(interval.low <= 1.0 <= interval.high for interval in intervals)
    assert 0.86 <= covered / 300 <= 0.97  # the percentile bootstrap undercovers a little on 30 skewed values


def test_same_values_same_interval_and_wider_confidence_is_wider() -> None:
    values = [1.0, 2.0, 4.0, 8.0, 16.0]
    assert bootstrap_mean(values) == bootstrap_mean(values)
    wide, narrow = bootstrap_mean(values, confidence=0.99), bootstrap_mean(values, confidence=0.5)
    assert wide.low < narrow.low < narrow.mean < narrow.high < wide.high


def test_strata_weigh_the_same_and_keep_their_spread_apart() -> None:
    # Two scenarios a hundred apart that hardly vary within: unstratified, the interval would span them.
    values = [0.0, 0.1, 100.0, 100.1, 100.0, 100.1]
    strata = ["slow", "slow", "fast", "fast", "fast", "fast"]
    interval = bootstrap_mean(values, strata)
    assert interval.mean == pytest.approx(50.05)
    assert interval.low <= interval.mean <= interval.high
    assert interval.high - interval.low < 0.2
    assert bootstrap_mean(values).high - bootstrap_mean(values).low > 50.0


def test_a_single_value_has_a_degenerate_interval() -> None:
    interval = bootstrap_mean([3.0])
    assert (interval.low, interval.mean, interval.high) == (3.0, 3.0, 3.0)


def test_paired_difference_sees_what_unpaired_intervals_hide() -> None:
    episode = np.random.default_rng(3).normal(0.0, 10.0, size=20)  # the path's luck, shared by both schemes
    better, worse = episode + 1.0, episode + np.linspace(-0.1, 0.1, 20)
    assert bootstrap_mean(better).overlaps(bootstrap_mean(worse))
    assert bootstrap_difference(better, worse).low > 0.9


def test_nearest_rank_returns_observed_values() -> None:
    assert nearest_rank(range(1, 21), 0.95) == 19.0
    assert nearest_rank(range(1, 22), 0.95) == 20.0
    assert nearest_rank([7.0], 0.95) == 7.0
    assert nearest_rank([2.0, 1.0], 0.5) == 1.0
    assert nearest_rank([2.0, 1.0], 1.0) == 2.0


@pytest.mark.parametrize(
    ("values", "strata", "message"),
    [
        ([], None, "no values"),
        ([1.0, float("nan")], None, "finite"),
        ([1.0, 2.0], ["a"], "1 strata for 2 values"),
    ],
)
def test_bad_values_are_named(values: list[float], strata: list[str] | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        bootstrap_mean(values, strata)


def test_bad_parameters_are_named() -> None:
    with pytest.raises(ValueError, match="confidence"):
        bootstrap_mean([1.0], confidence=1.0)
    with pytest.raises(ValueError, match="paired runs must match: 1 against 2"):
        bootstrap_difference([1.0], [1.0, 2.0])
    with pytest.raises(ValueError, match="fraction"):
        nearest_rank([1.0], 0.0)
