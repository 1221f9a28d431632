"""The time series of a real-time episode: virtual time's columns, and virtual time's course of events."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from mvfstrl.config import compose, native_config
from mvfstrl.realtime.episode import RealtimeHost
from mvfstrl.realtime.hosts import Episode
from mvfstrl.realtime.series import joined
from pantheon.episodes import play

SIZE = 1252


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealtimeHost]:
    with RealtimeHost(tmp_path_factory.mktemp("certificates"), packet_size=SIZE) as host:
        yield host


def both(host: RealtimeHost, *overrides: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The real and the virtual episode's report."""
    config = native_config(compose(["transport=aioquic", "env.episode_ms=2000", *overrides]))
    return host.play_episode(Episode(config, seed=3)), play(config, [3], series=True).reports[0]


def test_a_real_episode_takes_the_course_of_the_virtual_one(host: RealtimeHost) -> None:
    path = ["env=constant", "env.rate_mbps=6", "env.delay_ms=10", "env.queue.packets=50"]
    real, virtual = both(host, *path, "agent=fixed", "agent.controller.window_packets=40")
    mine, expected = real["series"], virtual["series"]
    assert set(mine) == set(expected)
    assert len({len(column) for column in mine.values()}) == 1
    assert 17 <= len(mine["time_ms"]) <= 20
    assert mine["time_ms"][0] <= 300
    assert set(np.diff(mine["time_ms"])) == {100.0}
    settled = slice(4, 17)  # a standing queue of about 28 packets, 48 ms: a late machine does not empty it
    tolerances = {"throughput_mbps": 0.3, "queue_delay_ms": 10.0, "rtt_ms": 10.0, "sent_packets": 4.0}
    for column, within in tolerances.items():
        mean = np.mean(expected[column][settled])
        assert np.mean(mine[column][settled]) == pytest.approx(mean, abs=within), column
    assert mine["window_packets"][settled] == expected["window_packets"][settled]
    assert mine["capacity_mbps"][settled] == pytest.approx(expected["capacity_mbps"][settled])
    flow = real["flows"][0]
    assert np.mean(mine["throughput_mbps"]) == pytest.approx(flow["throughput_mbps"], rel=0.1)
    assert sum(mine["sent_packets"]) == pytest.approx(flow["sent_packets"], rel=0.15)
    assert (set(mine["action"]), set(mine["loss"]), set(mine["cross_mbps"])) == ({-1}, {0.0}, {0.0})


def test_capacity_is_the_very_same(host: RealtimeHost) -> None:
    real, virtual = both(host, "env=lte", "agent=cubic")
    mine = real["series"]
    capacity = dict(zip(virtual["series"]["time_ms"], virtual["series"]["capacity_mbps"], strict=True))
    assert mine["capacity_mbps"] == pytest.approx([capacity[time] for time in mine["time_ms"]])
    assert len(set(mine["capacity_mbps"])) > 5
    outage = mine["capacity_mbps"].index(0.0)
    assert mine["throughput_mbps"][outage] == 0.0
    assert math.isnan(mine["queue_delay_ms"][outage])
    assert len(set(mine["window_packets"])) > 5


def told(windows: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """A path's series and a sender's, whose every number says which window it is of."""
    numbers = list(range(windows))
    path = {"time_ms": [100.0 * (i + 1) for i in numbers]}
    path |= dict.fromkeys(("throughput_mbps", "capacity_mbps", "queue_delay_ms"), numbers)
    names = ("window_packets", "sent_packets", "lost_packets", "action", "reward", "rtt_ms", "skipped")
    return path, {"window_ms": 100.0, **dict.fromkeys(names, numbers)}


@pytest.mark.parametrize(
    ("handshake_ms", "first"), [(0, 0), (40, 0), (60, 1), (149, 1), (151, 2), (5000, 10)]
)
def test_windows_stand_beside_those_that_they_share_most_with(handshake_ms: float, first: int) -> None:
    path, sender = told(10)
    columns = joined(path, sender, handshake_ms)
    assert columns["throughput_mbps"] == list(range(first, 10))
    assert columns["window_packets"] == list(range(10 - first))
    assert all(len(column) == 10 - first for column in columns.values())


def test_loss_is_of_what_was_sent() -> None:
    path, sender = told(4)
    sender |= {"sent_packets": [10, 10, 1, 0], "lost_packets": [0, 5, 4, 0]}
    assert joined(path, sender, 0)["loss"] == [0.0, 0.5, 1.0, 0.0]
    assert not any(map(math.isnan, joined(path, sender, 0)["loss"]))
