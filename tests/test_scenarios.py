"""The scenarios of docs/scenarios.md: all compose and run, episodes differ, options change what happens."""

from __future__ import annotations

import re
from typing import Any

import pytest

from mvfstrl.config import compose, native_config
from mvfstrl.config.validate import validate
from mvfstrl.errors import ConfigError
from pantheon.episodes import play

CHANGING = ["step_2x", "step_4x", "sawtooth", "random_walk", "satellite", "wifi", "evdo", "lte_driving"]
FLOW_TALLY = ("delivered_packets", "queue_drops", "random_losses", "in_flight_packets")


def outcomes(*overrides: str, seeds: tuple[int, ...] = (1, 2)) -> list[dict[str, Any]]:
    """The flow's report of an episode of CUBIC for each seed."""
    cfg = compose(["agent=cubic", "env.episode_ms=4000", *overrides])
    flows = [report["flows"][0] for report in play(native_config(cfg), seeds).reports]
    for flow in flows:
        assert flow["sent_packets"] == sum(flow[name] for name in FLOW_TALLY)
    return flows


def scenario(*overrides: str) -> dict[str, Any]:
    (only,) = native_config(compose(list(overrides)))["scenarios"]
    assert isinstance(only, dict)
    return only


@pytest.mark.parametrize("env", CHANGING)
def test_episodes_run_and_are_reproducible_and_differ(env: str) -> None:
    first, second = outcomes(f"env={env}")
    assert min(first["throughput_mbps"], second["throughput_mbps"]) > 0.01
    assert max(first["utilisation"], second["utilisation"]) <= 1
    assert first != second
    assert outcomes(f"env={env}") == [first, second]


@pytest.mark.parametrize(
    ("env", "override"),
    [
        ("step_2x", "env.rate_mbps=20"),
        ("step_4x", "env.scenarios.step_4x.uplink.factors=[1,8]"),
        ("step_4x", "env.scenarios.step_4x.uplink.every_ms=500"),
        ("sawtooth", "env.scenarios.sawtooth.uplink.factor=2"),
        ("sawtooth", "env.scenarios.sawtooth.uplink.period_ms=1000"),
        ("sawtooth", "env.scenarios.sawtooth.uplink.step_ms=500"),
        ("random_walk", "env.rate_scale=0.5"),
        ("random_walk", "env.scenarios.random_walk.uplink.span=2"),
        ("random_walk", "env.scenarios.random_walk.uplink.deviation=0.5"),
        ("random_walk", "env.scenarios.random_walk.uplink.every_ms=20"),
        ("satellite", "env.scenarios.satellite.uplink.interval_ms=1000"),
        ("satellite", "env.scenarios.satellite.uplink.low_factor=0.1"),
        ("satellite", "env.scenarios.satellite.uplink.high_factor=3"),
        ("satellite", "env.scenarios.satellite.delay_variation.every_ms=1000"),
        ("satellite", "env.scenarios.satellite.delay_variation.step_ms=[20,40]"),
        ("satellite", "env.delay_variation.jitter_ms=9"),
        ("wifi", "env.rate_scale=2"),
        ("wifi", "env.scenarios.wifi.uplink.phy_mbps=[13]"),
        ("wifi", "env.scenarios.wifi.uplink.hold_ms=20"),
        ("wifi", "env.scenarios.wifi.uplink.gap_ms=9"),
        ("wifi", "env.scenarios.wifi.uplink.overhead_ms=2"),
        ("wifi", "env.scenarios.wifi.uplink.airtime_ms=1"),
        ("wifi", "env.scenarios.wifi.uplink.aggregate_packets=4"),
        ("constant", "env.delay_variation.jitter_ms=3"),
        ("constant", "env.delay_variation.step_ms=[0,30]"),
        ("constant", "env.reordering.probability=0.02"),
        ("constant", "+env.scenarios.constant.reordering.probability=0.02"),
    ],
)
def test_option_changes_the_outcome(env: str, override: str) -> None:
    overrides = [f"env={env}"] if env != "wifi" else ["env=wifi", "env.scenarios.wifi.uplink.scale=1"]
    assert outcomes(*overrides, override) != outcomes(*overrides)


def test_outage_makes_packets_wait() -> None:
    fixed = ["env=satellite", "env.loss=0", "env.delay_ms=15", "env.rate_mbps=100"]
    fixed += ["env.scenarios.satellite.uplink.interval_ms=2000", "env.queue.kind=infinite"]
    steady = outcomes(*fixed, "env.scenarios.satellite.uplink.outage_ms=0")
    broken = outcomes(*fixed, "env.scenarios.satellite.uplink.outage_ms=400")
    for flow, reference in zip(broken, steady, strict=True):
        assert flow["throughput_mbps"] < 0.9 * reference["throughput_mbps"]


def test_copies_change_nothing_for_a_connection() -> None:
    """A receiver does not process a packet again (RFC 9000 section 12.3); nor does a copy count."""
    copied = scenario("env=constant", "env.duplication=[0.5,1]")
    assert copied["duplication"] == {"low": 0.5, "high": 1, "log": False}
    assert outcomes("env=constant", "env.duplication=0.5") == outcomes("env=constant")


def test_reordering_needs_both_a_chance_and_a_time() -> None:
    plain = outcomes("env=constant")
    assert outcomes("env=constant", "env.reordering.extra_ms=50") == plain
    short = outcomes("env=constant", "env.reordering={probability: 0.02, extra_ms: 0.1}")
    late = outcomes("env=constant", "env.reordering={probability: 0.02, extra_ms: 60}")
    assert short != late


def test_overrides_keep_what_they_do_not_name() -> None:
    satellite = scenario("env=satellite")
    changed = scenario("env=satellite", "env.delay_variation.jitter_ms=[1,4]")
    assert changed["delay_variation"]["jitter_ms"] == {"low": 1, "high": 4, "log": False}
    assert changed["delay_variation"]["step_ms"] == satellite["delay_variation"]["step_ms"]
    assert changed["delay_variation"]["every_ms"] == {"low": 15_000, "high": 15_000, "log": False}


def test_nothing_is_disturbed_unless_asked() -> None:
    never = {"low": 0.0, "high": 0.0, "log": False}
    built = scenario("env=constant")
    variation = built["delay_variation"]
    assert (variation["step_ms"], variation["jitter_ms"]) == (never, never)
    assert (built["reordering"]["probability"], built["duplication"]) == (never, never)


def test_random_draws_from_the_ranges_that_were_agreed() -> None:
    random = scenario("env=random")
    assert random["uplink"] == {"kind": "constant", "mbps": {"low": 0.5, "high": 200, "log": True}}
    assert random["delay_ms"] == {"low": 5, "high": 200, "log": True}
    assert random["queue"]["bdp"] == {"low": 0.1, "high": 10, "log": True}
    assert random["loss"] == {"low": 0, "high": 0.05, "log": False}
    assert random["loss_probability"] == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["env=constant", "env.duplication=1.5"], "env.duplication: must be at most 1"),
        (["env=constant", "env.reordering.probability=-1"], "env.reordering.probability: must be at least 0"),
        (
            ["env=constant", "env.delay_variation.jitter_ms=fast"],
            "env.delay_variation.jitter_ms: must be a number",
        ),
        (
            ["env=satellite", "env.delay_variation.step_ms={low: 1, high: 2, log: true}"],
            "env.scenarios.satellite.delay_variation.step_ms.log: is not offered",
        ),
        (
            ["env=constant", "+env.scenarios.constant.reordering.chance=1"],
            "env.scenarios.constant.reordering.chance: unknown key",
        ),
        (
            ["env=step_2x", "env.scenarios.step_2x.uplink.factors=[]"],
            "env.scenarios.step_2x.uplink.factors: must",
        ),
        (
            ["env=wifi", "env.scenarios.wifi.uplink.phy_mbps=[2,1]"],
            "env.scenarios.wifi.uplink.phy_mbps: must rise",
        ),
        (["env=wifi", "env.rate_mbps=5"], "env.rate_mbps: env.scenarios.wifi.uplink is a wifi link"),
        (
            ["env=satellite", "env.scenarios.satellite.uplink.outage_ms=20000"],
            "env.scenarios.satellite.uplink.outage_ms: must be shorter",
        ),
        (
            ["env=sawtooth", "env.scenarios.sawtooth.uplink.period_ms=-1"],
            "env.scenarios.sawtooth.uplink.period_ms: must be at least 0",
        ),
    ],
)
def test_bad_values_are_refused_by_their_key(overrides: list[str], message: str, tmp_path: Any) -> None:
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}"):
        validate(compose(["agent=cubic", "mode=test", *overrides]), tmp_path)


def test_page_names_every_option_and_every_kind(project_root: Any) -> None:
    page = (project_root / "docs" / "scenarios.md").read_text(encoding="utf-8")
    kinds = scenario_kinds()
    assert not [kind for kind in kinds if f"`{kind}`" not in page]
    for kind in ("steps", "sawtooth", "random_walk", "satellite", "wifi"):
        row = next(line for line in page.splitlines() if line.startswith(f"| `{kind}` | `"))
        told = set(re.findall(r"`(\w+)`", row.split("|")[2]))
        assert told == set(kinds[kind]) - {"kind"}
    assert not [env for env in CHANGING if f"`{env}`" not in page]


def scenario_kinds() -> dict[str, dict[str, Any]]:
    from mvfstrl._native import default_alternatives

    return default_alternatives()["rate"]
