"""pantheon.learning_speed: what counts as beating, and one whole small study."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from pantheon.figures_learning import _spread
from pantheon.learning_speed import (
    CLASSICS,
    Point,
    Timing,
    _point,
    median_or_none,
    seconds_for_good,
    seconds_to_beat,
)

ROOT = Path(__file__).parents[1]
TINY = [
    "env=constant",
    "env.rate_mbps=12",
    "env.delay_ms=30",
    "env.episode_ms=3000",
    "total_steps=640",
    "actors.simulated=8",
    "agent.unroll_length=10",
    "agent.batch_size=4",
    "agent.network.hidden_size=8",
]


def curve(seed: int, *beats: bool) -> list[Point]:
    return [Point(seed, 100 * i, 10.0 * i, -1.0, 0.0, b) for i, b in enumerate(beats, start=1)]


def test_first_and_lasting_times_are_told_apart() -> None:
    points = curve(1, False, True, False, True, True) + curve(2, True, True) + curve(3, True, False)
    assert [seconds_to_beat(points, seed) for seed in (1, 2, 3)] == [20, 10, 10]
    assert [seconds_for_good(points, seed) for seed in (1, 2, 3)] == [40, 10, None]


def test_a_seed_that_never_gets_there_is_the_slowest() -> None:
    assert median_or_none([10, None, 30]) == 30
    assert median_or_none([10, None, None]) is None


def rewards(own: list[float], best: list[float]) -> tuple[pd.Series[float], pd.DataFrame]:
    index = pd.MultiIndex.from_tuples([("s", i) for i in range(len(own))], names=["scenario", "seed"])
    table = pd.DataFrame({name: [-9.0] * len(own) for name in CLASSICS}, index=index)
    table["sprout"] = best
    return pd.Series(own, index=index), table


def test_beating_needs_a_paired_interval_above_zero() -> None:
    timing = Timing(1, 0.0, 1.0, 1.0, 1)
    # Episodes differ by far more than schemes do, but own is above sprout in each.
    own, table = rewards([-1.0, -5.0, -3.0, -7.0], [-1.1, -5.1, -3.2, -7.1])
    assert _point(timing, 100, 1.0, own, table).beats
    own, table = rewards([-1.0, -5.0, -3.0, -7.0], [-1.1, -5.1, -2.0, -7.1])  # better on the whole it is not
    point = _point(timing, 100, 1.0, own, table)
    assert not point.beats
    assert point.margin_low < 0


def test_names_of_schemes_do_not_cover_each_other() -> None:
    places = _spread([1.0, 2.0, 1.95, 1.9], gap=0.2)
    ordered = sorted(places)
    assert all(b - a >= 0.2 - 1e-9 for a, b in itertools.pairwise(ordered))
    assert _spread([1.0, 2.0], gap=0.2) == [1.0, 2.0]


def study(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pantheon.learning_speed", "--folder", str(folder), *options, *TINY]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280)


def test_a_study_is_told_drawn_and_not_repeated(tmp_path: Path) -> None:
    options = ["--seeds", "1", "--every", "300", "--runs", "2", "--json"]
    done = study(tmp_path, *options)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "learning.json").read_text())
    assert set(found["classic_rewards"]) == set(CLASSICS)
    (seed,) = found["seeds"]
    assert seed["steps"] == 640
    assert seed["cpu_s"] > 0
    points = pd.read_parquet(tmp_path / "learning.parquet")
    assert len(points) >= 2
    assert points["step"].is_monotonic_increasing
    assert points["wall_s"].is_monotonic_increasing
    assert points["wall_s"].iloc[0] > 0
    assert points["wall_s"].iloc[-1] <= seed["wall_s"]
    assert (tmp_path / "learning.png").stat().st_size > 10_000
    for line in done.stdout.splitlines():
        assert set(json.loads(line)) == {"name", "value", "unit", "goal"}

    before = (tmp_path / "seed-1" / "timing.json").stat().st_mtime_ns
    again = study(tmp_path, *options)
    assert again.returncode == 0, again.stderr
    assert (tmp_path / "seed-1" / "timing.json").stat().st_mtime_ns == before
    assert json.loads((tmp_path / "learning.json").read_text()) == found


def test_a_training_that_fails_is_named(tmp_path: Path) -> None:
    done = study(tmp_path, "--seeds", "1", "agent.loss.discount=2")
    assert done.returncode == 2
    assert "agent.loss.discount: must be in [0, 1)" in done.stderr
    assert "seed 1: training failed" in done.stderr


@pytest.mark.parametrize("options", [["--seeds", "0"], ["--runs", "none"]])
def test_bad_options_are_refused(tmp_path: Path, options: list[str]) -> None:
    done = study(tmp_path, *options)
    assert done.returncode == 2
    assert options[0] in done.stderr
