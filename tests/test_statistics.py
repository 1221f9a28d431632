"""Aggregate statistics against plain renderings of their definitions, and against figures of rliable."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest

from pantheon import statistics
from pantheon.statistics import (
    difference,
    interval,
    iqm,
    normalised_scores,
    optimality_gap,
    paired_improvement,
    performance_profile,
    probability_of_improvement,
)


def scores(seed: int, scenarios: int = 6, episodes: int = 20, mean: float = 0.8) -> np.ndarray:
    return np.random.default_rng(seed).normal(mean, 0.3, size=(scenarios, episodes))


def table(rewards: dict[str, dict[str, list[float]]]) -> pd.DataFrame:
    """Rewards by scenario and scheme as rows of the results table."""
    rows = [
        {"scheme": scheme, "scenario": scenario, "seed": seed, "flow": 0, "reward": reward}
        for scenario, schemes in rewards.items()
        for scheme, values in schemes.items()
        for seed, reward in enumerate(values)
    ]
    return pd.DataFrame(rows)


def slow_bootstrap(matrix: np.ndarray, statistic: statistics.Statistic, count: int) -> tuple[float, float]:
    """The stratified bootstrap, a draw at a time."""
    rng = np.random.default_rng(99)
    found = []
    for _ in range(count):
        drawn = [rng.choice(row, size=row.size, replace=True) for row in matrix]
        found.append(float(statistic(np.concatenate(drawn))))
    low, high = np.percentile(found, [2.5, 97.5])
    return float(low), float(high)


def test_scores_put_the_anchors_at_zero_and_one() -> None:
    found = normalised_scores(
        table(
            {
                "slow": {"random": [1.0, 3.0], "oracle": [5.0, 7.0], "cubic": [4.0, 10.0]},
                "fast": {"random": [-9.0, -9.0], "oracle": [-1.0, -1.0], "cubic": [-5.0, 1.0]},
            }
        )
    )
    assert found.scenarios == ["slow", "fast"]
    assert found.scores["cubic"].tolist() == [[0.5, 2.0], [0.5, 1.25]]
    assert found.scores["random"].mean(axis=1).tolist() == [0.0, 0.0]
    assert found.scores["oracle"].mean(axis=1).tolist() == [1.0, 1.0]
    assert found.left_out == {}


def test_scores_are_in_the_order_of_the_seeds() -> None:
    shuffled = table({"a": {"random": [0.0, 0.1], "oracle": [1.0, 1.1], "x": [0.2, 0.8]}}).iloc[::-1]
    forward = table({"a": {"random": [0.0, 0.1], "oracle": [1.0, 1.1], "x": [0.2, 0.8]}})
    assert np.array_equal(normalised_scores(shuffled).scores["x"], normalised_scores(forward).scores["x"])


@pytest.mark.parametrize(
    ("rewards", "reason"),
    [
        ({"random": [1.0, 2.0, 3.0], "oracle": [1.1, 2.2, 2.8]}, "exceeds random's by"),
        ({"random": [1.0], "oracle": [1.0]}, "exceeds random's by 0.000 only"),
        ({"random": [2.0, 2.0], "oracle": [1.0, 1.0]}, "exceeds random's by -1.000 only"),
        ({"random": [0.0, 0.0]}, "oracle was not played"),
        ({"oracle": [0.0, 0.0]}, "random was not played"),
        ({"random": [0.0, 0.1], "oracle": [1.0]}, "different numbers of episodes"),
        ({"random": [0.0, 0.1], "oracle": [1.0, float("nan")]}, "no number"),
    ],
)
def test_scenarios_that_cannot_be_scored_are_left_out_and_said(
    rewards: dict[str, list[float]], reason: str
) -> None:
    good = {"random": [0.0, 0.1], "oracle": [1.0, 1.1]}
    found = normalised_scores(table({"bad": rewards, "good": good}))
    assert found.scenarios == ["good"]
    assert reason in found.left_out["bad"]


def test_a_scenario_that_a_scheme_has_not_played_is_left_out() -> None:
    anchors = {"random": [0.0, 0.1], "oracle": [1.0, 1.1]}
    found = normalised_scores(table({"a": anchors, "b": {**anchors, "cubic": [0.5, 0.5]}}))
    assert found.left_out == {"a": "not played by cubic"}


def test_iqm_is_the_mean_of_the_middle_half() -> None:
    assert iqm(np.array([100.0, 1.0, 2.0, 3.0, 4.0, -50.0, 5.0, 6.0])) == pytest.approx(3.5)
    assert iqm(np.array([9.0, 1.0, 2.0])) == pytest.approx(4.0)  # nothing to cut
    stacked = np.random.default_rng(0).normal(size=(5, 37))
    assert iqm(stacked) == pytest.approx(np.array([iqm(row) for row in stacked]))


def test_optimality_gap_counts_nothing_beyond_the_target() -> None:
    assert optimality_gap(np.array([0.5, 1.0, 3.0])) == pytest.approx(0.5 / 3)


def test_figures_are_those_of_rliable() -> None:
    """rliable 1.2.0 on exactly these scores: get_interval_estimates with 20 000 resamples, 2 000 for the
    probability and the profile. Points are equal; bounds differ by what two bootstraps differ by."""
    rng = np.random.default_rng(5)
    x, y = rng.normal(0.8, 0.3, size=(6, 20)), rng.normal(0.9, 0.4, size=(6, 20))
    found = {
        iqm: (0.73200559, 0.67797332, 0.78411406),
        statistics.median: (0.76661194, 0.68630204, 0.81106361),
        statistics.mean: (0.74519477, 0.69902389, 0.79216126),
        optimality_gap: (0.28296777, 0.24492603, 0.32161197),
    }
    for statistic, (point, low, high) in found.items():
        ours = interval(x, statistic, resamples=20_000)
        if statistic is not statistics.median:  # rliable's is the median of the scenarios' means
            assert ours.mean == pytest.approx(point, abs=1e-8)
            assert (ours.low, ours.high) == pytest.approx((low, high), abs=0.003)
    ours = probability_of_improvement(x, y)
    assert ours.mean == pytest.approx(0.35375, abs=1e-12)
    assert (ours.low, ours.high) == pytest.approx((0.28457292, 0.42666667), abs=0.01)
    share, low, high = performance_profile(x, np.linspace(0, 2, 5))
    assert share == pytest.approx([1.0, 0.79166667, 0.175, 0.00833333, 0.0], abs=1e-8)
    assert low == pytest.approx([1.0, 0.71666667, 0.10833333, 0.0, 0.0], abs=0.02)
    assert high == pytest.approx([1.0, 0.85833333, 0.24166667, 0.025, 0.0], abs=0.02)


def test_interval_is_the_stratified_bootstraps() -> None:
    # Scenarios apart from each other: drawing across them would widen the interval tenfold.
    matrix = scores(1) + np.arange(6)[:, None] * 5.0
    found = interval(matrix, statistics.mean, resamples=4_000)
    low, high = slow_bootstrap(matrix, statistics.mean, 4_000)
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.01)
    assert found.count == matrix.size
    assert interval(matrix) == interval(matrix)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = interval(scores(2), resamples=300)
    monkeypatch.setattr(statistics, "_BLOCK", 1_000)
    assert interval(scores(2), resamples=300) == whole


def test_differences_are_paired_by_episode() -> None:
    luck = np.random.default_rng(3).normal(0.0, 1.0, size=(4, 25))
    better, worse = luck + 0.1, luck
    found = difference(better, worse, statistics.mean)
    assert (found.low, found.high) == pytest.approx((0.1, 0.1))
    assert interval(better, statistics.mean).overlaps(interval(worse, statistics.mean))
    assert paired_improvement(better, worse).mean == 1.0
    assert 0.5 < probability_of_improvement(better, worse).mean < 0.6


def test_probability_of_improvement_by_hand() -> None:
    first, second = np.array([[1.0, 2.0], [5.0, 5.0]]), np.array([[1.0, 0.0], [9.0, 5.0]])
    by_hand = np.mean(
        [
            np.mean([(a > b) + 0.5 * (a == b) for a, b in itertools.product(*rows)])
            for rows in zip(first, second, strict=True)
        ]
    )
    found = probability_of_improvement(first, second)
    assert found.mean == pytest.approx(by_hand)
    assert found.low <= found.mean <= found.high


def test_improvement_of_the_better_is_one_less_that_of_the_worse() -> None:
    a, b = scores(4), scores(5, mean=0.9)
    forth, back = probability_of_improvement(a, b), probability_of_improvement(b, a)
    assert forth.mean + back.mean == pytest.approx(1.0)


def test_improvement_interval_is_the_bootstraps() -> None:
    a, b = scores(6, 3, 10), scores(7, 3, 10)
    rng = np.random.default_rng(1)
    found = []
    for _ in range(3_000):
        picks = rng.integers(10, size=(3, 10))
        x, y = np.take_along_axis(a, picks, 1), np.take_along_axis(b, picks, 1)
        found.append(np.mean(x[:, :, None] > y[:, None, :]))
    low, high = np.percentile(found, [2.5, 97.5])
    ours = probability_of_improvement(a, b, resamples=3_000)
    assert (ours.low, ours.high) == pytest.approx((low, high), abs=0.015)


def test_profile_falls_from_one_to_zero_between_its_bands() -> None:
    thresholds = np.linspace(-1.0, 3.0, 41)
    share, low, high = performance_profile(scores(8), thresholds)
    assert share[0] == 1.0
    assert share[-1] == 0.0
    assert (np.diff(share) <= 0).all()
    assert ((low <= share) & (share <= high)).all()
    assert share[18] == pytest.approx((scores(8) > thresholds[18]).mean())


def test_schemes_of_other_episodes_do_not_compare() -> None:
    with pytest.raises(ValueError, match="same episodes"):
        difference(scores(1), scores(1, episodes=3))
    with pytest.raises(ValueError, match="no scores"):
        interval(np.empty((0, 5)))
    with pytest.raises(ValueError, match="confidence"):
        interval(scores(1), confidence=1.0)
