"""The cellular links of conf/env against the recordings that they were fitted to, and the fit's own tools."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from pantheon import cellular_fit
from pantheon.cellular_fit import Parameters

PROJECT = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("MVFSTRL_SHARED", PROJECT / ".." / "shared"))

LINKS = [
    ("lte", "uplink", "Verizon-LTE-short.up"),
    ("lte", "downlink", "Verizon-LTE-short.down"),
    ("umts", "uplink", "TMobile-UMTS-driving.up"),
    ("umts", "downlink", "TMobile-UMTS-driving.down"),
]
# A steady link: 500 opportunities a second, whatever the seed.
STEADY = Parameters(
    level_mbps=6.0, max_mbps=12.0, volatility_mbps=0.0, reversion_ms=1_000.0, outage_ms=100.0, burst=1.0
)


def configured(env: str, direction: str) -> Parameters:
    composed = yaml.safe_load((PROJECT / "conf" / "env" / f"{env}.yaml").read_text())
    scenarios: dict[str, Any] = composed["env"]["scenarios"]
    rate = dict(scenarios[env][direction])
    assert rate.pop("kind") == "cellular"
    rate.pop("scale", None)
    return Parameters(**rate)


@pytest.mark.parametrize(("env", "direction", "trace"), LINKS)
def test_configured_link_resembles_its_recording(env: str, direction: str, trace: str) -> None:
    path = SHARED / "traces" / trace
    if not path.exists():
        pytest.skip("no reference data (MVFSTRL_SHARED)")
    times, duration_ms = cellular_fit.first_half(path)
    recorded = cellular_fit.statistics([times], duration_ms)
    synthetic = cellular_fit.synthetic_statistics(configured(env, direction), duration_ms)
    assert synthetic.mean_mbps == pytest.approx(recorded.mean_mbps, rel=0.12)
    assert synthetic.variation_100ms == pytest.approx(recorded.variation_100ms, rel=0.15)
    assert synthetic.variation_1s == pytest.approx(recorded.variation_1s, rel=0.15)
    assert synthetic.variation_10s == pytest.approx(recorded.variation_10s, rel=0.2)
    assert synthetic.autocorrelation_1s == pytest.approx(recorded.autocorrelation_1s, abs=0.1)
    assert synthetic.autocorrelation_5s == pytest.approx(recorded.autocorrelation_5s, abs=0.2)
    assert synthetic.outage_share == pytest.approx(recorded.outage_share, abs=0.08)


@pytest.mark.parametrize(("env", "direction"), [link[:2] for link in LINKS])
def test_each_seed_is_another_episode(env: str, direction: str) -> None:
    parameters = configured(env, direction)
    first, again, other = (cellular_fit.synthetic(parameters, 30_000, seed) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert np.all(np.diff(first) >= 0)


def test_statistics_of_a_known_process() -> None:
    # 500 Poisson opportunities a second: counts of 50 in 0.1 s and 500 in 1 s vary by 1/sqrt(count).
    runs = [cellular_fit.synthetic(STEADY, 100_000, seed) for seed in range(20)]
    found = cellular_fit.statistics(runs, 100_000)
    assert found.mean_mbps == pytest.approx(6, rel=0.01)
    assert found.variation_100ms == pytest.approx(50**-0.5, rel=0.03)
    assert found.variation_1s == pytest.approx(500**-0.5, rel=0.08)
    assert found.autocorrelation_1s == pytest.approx(0, abs=0.08)
    assert found.outage_share == 0


def test_outages_are_gaps_above_their_threshold() -> None:
    times = np.concatenate([np.arange(0, 1_000.0), np.arange(1_400.0, 2_000), np.arange(2_150.0, 3_000)])
    assert cellular_fit.gaps(times).tolist() == [401]


def test_search_finds_the_minimum_of_a_slanted_valley() -> None:
    def cost(x: list[float]) -> float:
        return (x[0] + x[1] - 3) ** 2 + 0.01 * (x[0] - x[1] - 1) ** 2 + (x[2] + 2) ** 2

    found = cellular_fit.pattern_search(cost, [0.0, 0.0, 0.0], step=0.4, smallest=0.001)
    assert found == pytest.approx([2, 1, -2], abs=0.02)


def test_missing_recordings_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cellular_fit.main(["--traces", str(tmp_path)]) == 2
    assert "Verizon-LTE-short.up: cannot be opened" in capsys.readouterr().err
