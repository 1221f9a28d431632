"""The computed upper bound: what the link offers at no queue, rewarded by the core's own formula."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from mvfstrl.config import Config, compose
from mvfstrl.errors import ConfigError
from mvfstrl.rundir import RunDirectory
from pantheon.evaluate import evaluate
from pantheon.oracle import find_oracle, search
from pantheon.results import reward_of
from pantheon.schemes import classic_scheme, native_of, schemes_of

WIRE, PAYLOAD = 1280, 1252  # bytes of a full packet on the link: IPv4 and UDP headers


def config(*overrides: str) -> Config:
    basic = ["mode=test", "agent=cubic", "env=constant", "test.schemes=[omniscient]", "test.anchors=false"]
    return compose([*basic, "test.runs=2", "env.episode_ms=5000", *overrides])


def play(cfg: Config, folder: Path) -> Any:
    table = evaluate(cfg, schemes_of(cfg, RunDirectory(folder)), folder)
    return table[table["scheme"] == "omniscient"]


def test_a_constant_link_is_filled_without_a_queue(tmp_path: Path) -> None:
    row = play(config(), tmp_path).iloc[0]
    service_ms = WIRE * 8 / 12_000
    assert row["throughput_mbps"] == pytest.approx(12.0, rel=1e-6)
    assert row["utilisation"] == 1.0
    assert row["delay_p95_ms"] == pytest.approx(20 + service_ms, abs=1e-3)
    assert row["queue_delay_mean_ms"] == pytest.approx(service_ms)
    megabytes = 1.5 * PAYLOAD / WIRE
    assert row["reward"] == pytest.approx(math.log(megabytes + 1e-5) - 0.2 * math.log(1e-5), abs=1e-3)
    assert (row["loss"], row["flow_scheme"]) == (0.0, "omniscient")


@pytest.mark.parametrize("env", ["lte", "poisson", "nepal_india", "policer_12mbps_20ms"])
def test_no_scheme_carries_more_or_waits_less(env: str, tmp_path: Path) -> None:
    cfg = config(f"env={env}", "test.schemes=[omniscient,fixed,oracle]")
    table = evaluate(cfg, schemes_of(cfg, RunDirectory(tmp_path)), tmp_path)
    rows = table.set_index(["scheme", "seed"])
    for seed in table["seed"].unique():
        bound = rows.loc[("omniscient", seed)]
        for scheme in ("cubic", "fixed", "oracle"):
            played = rows.loc[(scheme, seed)]
            assert bound["throughput_mbps"] >= played["throughput_mbps"]
            assert bound["queue_delay_mean_ms"] <= played["queue_delay_mean_ms"]
            assert bound["reward"] > played["reward"]


def test_flows_that_share_the_path_have_no_such_bound(tmp_path: Path) -> None:
    cfg = config("history.window_kind=count")
    with pytest.raises(ConfigError, match="omniscient needs windows of time"):
        schemes_of(cfg, RunDirectory(tmp_path))


def test_the_oracle_is_the_best_of_all_windows() -> None:
    """Every window of a small link, one by one."""
    cfg = config("env.episode_ms=3000", "actions.max_window_packets=120")
    from pantheon.episodes import play as play_episodes

    def reward(window: int) -> float:
        native = native_of(cfg, classic_scheme("oracle").with_window(window), "constant")
        return reward_of(play_episodes(native, [1]).reports[0])

    every = {window: reward(window) for window in range(2, 121)}
    best = max(every, key=lambda window: every[window])
    found = find_oracle(cfg, "constant")
    assert not found.pacing
    assert found.window_packets == best
    assert found.reward.mean == pytest.approx(every[best])
    assert len(found.tried) < 20


def test_the_oracle_is_paced_where_bursts_are_lost() -> None:
    cfg = config("env=policer_12mbps_20ms", "env.episode_ms=3000", "actions.max_window_packets=200")
    found = find_oracle(cfg, "policer_12mbps_20ms")
    assert found.pacing
    assert max(found.tried.values()) == found.reward.mean


def test_search_needs_few_windows_and_stays_in_its_limits() -> None:
    asked: list[int] = []

    def flat(window: int) -> list[float]:
        asked.append(window)
        return [0.0]

    search(flat, 2, 2000)
    assert len(asked) == len(set(asked)) <= 25
    assert (min(asked), max(asked)) == (2, 2000)
