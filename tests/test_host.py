"""A real connection's controller, observer and agent, as a transport in Python drives them."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from mvfstrl._native import HostedConnection, default_alternatives, default_config, observation_spec
from mvfstrl.agents.schemes import MVFST_OWN

MS = 1_000_000
PACKET = 1252


def config_of(kind: str = "external", **transport: Any) -> dict[str, Any]:
    config = default_config()
    alternatives = default_alternatives()["controller"]
    config["flows"][0]["controller"] = {"kind": kind, **alternatives[kind]}
    config["transport"].update(transport)
    return config


class Link:
    """A bulk sender over a link of `mbps`, `delay_ms` each way, with a queue of `queue` packets, in its own
    clock: what the event loop of a transport does, and no more."""

    def __init__(
        self, connection: HostedConnection, mbps: float = 12, delay_ms: int = 20, queue: int = 60
    ) -> None:
        self.connection = connection
        self.wire_ns = int(PACKET * 8 * 1000 / mbps)
        self.delay_ns = delay_ms * MS
        self.queue = queue
        self.now = 0
        self.free_at = 0  # the link
        self.number = 0
        self.sent_at: dict[int, int] = {}
        self.arrivals: list[tuple[int, int]] = []  # acknowledgements: when, number
        self.windows: list[int] = []
        self.next_send = 0

    def run(self, until_ms: int, answer: Callable[[HostedConnection], int] | None = None) -> None:
        connection = self.connection
        connection.start(self.now)
        while self.now < until_ms * MS:
            self.send()
            times = [until_ms * MS]
            if self.arrivals:
                times.append(self.arrivals[0][0])
            if connection.next_timer_ns is not None:
                times.append(connection.next_timer_ns)
            if connection.writable > 0 and self.next_send > self.now:
                times.append(self.next_send)
            self.now = max(self.now, min(times))
            self.receive()
            if connection.poll(self.now) and answer is not None:
                assert connection.answer(self.now, answer(connection))
            self.windows.append(connection.congestion_window)

    def send(self) -> None:
        while self.connection.writable > 0 and self.next_send <= self.now:
            self.connection.packet_sent(self.now, self.number, PACKET)
            self.sent_at[self.number] = self.now
            if (self.free_at - self.now) / self.wire_ns < self.queue:
                self.free_at = max(self.free_at, self.now) + self.wire_ns
                heapq.heappush(self.arrivals, (self.free_at + 2 * self.delay_ns, self.number))
            self.number += 1
            pacing = self.connection.pacing
            if pacing is not None and pacing[1] > 0:
                self.next_send = max(self.next_send, self.now) + PACKET * pacing[1] // max(pacing[0], PACKET)

    def receive(self) -> None:
        while self.arrivals and self.arrivals[0][0] <= self.now:
            when, number = heapq.heappop(self.arrivals)
            self.connection.bytes_received(40)
            self.connection.rtt_sample(when - self.sent_at[number])
            for missing in [n for n in self.sent_at if n < number - 3]:
                del self.sent_at[missing]
                self.connection.packet_lost(missing)
            del self.sent_at[number]
            self.connection.packet_acked(number)
            self.connection.flush(self.now)


@pytest.mark.parametrize("kind", MVFST_OWN)
def test_mvfsts_own_schemes_drive_none_but_mvfsts(kind: str) -> None:
    with pytest.raises(ValueError, match=f"{kind} runs inside mvfst alone"):
        HostedConnection(config_of(kind))


@pytest.mark.parametrize("kind", sorted(set(default_alternatives()["controller"]) - set(MVFST_OWN)))
def test_every_scheme_drives_a_connection(kind: str) -> None:
    connection = HostedConnection(config_of(kind), seed=3)
    link = Link(connection)
    link.run(3000, lambda _: 3)  # an agent's window grows by ten packets a window
    connection.finish(link.now)
    report = connection.report(link.now)
    assert report["scheme"] == kind
    assert report["steps"] == 29 if kind != "external" else report["steps"] >= 29
    assert report["sent_packets"] == (
        report["acked_packets"] + report["lost_packets"] + report["in_flight_packets"]
    )
    assert report["ignored_notifications"] == {"unknown": 0, "repeated": 0, "misnumbered": 0}
    # A fixed window is ten packets by default, and lots may leave it at two; the others fill the link.
    assert report["goodput_mbps"] > {"fixed": 1.9, "random": 0.1}.get(kind, 5), report
    assert report["goodput_mbps"] <= 12.01
    assert math.isfinite(report["return"])
    assert len(set(link.windows)) > 3 or kind == "fixed"


def test_an_agent_is_shown_what_the_spec_says_and_its_answers_change_the_window() -> None:
    config = config_of()
    spec = observation_spec(config)
    connection = HostedConnection(config)
    seen: list[dict[str, Any]] = []

    def double_then_keep(c: HostedConnection) -> int:
        observation = c.observation
        assert observation.dtype == np.float32
        assert observation.shape == (len(spec["observation"]),)
        low, high = (np.array([e[b] for e in spec["observation"]]) for b in ("low", "high"))
        assert (low <= observation).all()
        assert (observation <= high).all()
        seen.append(c.step())
        return 4 if len(seen) == 1 else 0

    link = Link(connection)
    link.run(1050, double_then_keep)
    assert connection.congestion_window == 20 * PACKET
    assert [step["first"] for step in seen] == [True] + [False] * 9
    assert set(seen[0]) == {"reward", "first", "terminated", "truncated", "skipped", "job", "active"}
    connection.finish(link.now, complete=True)
    last = connection.step()
    assert last["terminated"]
    assert not last["truncated"]
    report = connection.report(link.now)
    assert report["return"] == pytest.approx(sum(s["reward"] for s in [*seen, last]))
    assert sum(report["return_terms"].values()) == pytest.approx(report["return"])
    assert report["decision_latency_p99_ms"] == pytest.approx(0, abs=0.1)


def test_an_observation_that_falls_due_while_an_answer_is_outstanding_is_skipped_and_counted() -> None:
    connection = HostedConnection(config_of())
    connection.start(0)
    assert connection.poll(100 * MS)
    first = connection.observation
    for now in (200, 300):
        assert not connection.poll(now * MS)
    assert (connection.observation == first).all()  # the one that is to be answered
    assert connection.answer(310 * MS, 4)
    assert connection.poll(400 * MS)
    assert connection.step()["skipped"] == 2
    assert connection.observation_number == 2
    assert not connection.answer(410 * MS, 0, number=1)
    assert connection.answer(410 * MS, 0, number=2)
    report = connection.report(410 * MS)
    assert report["skipped_observations"] == 2
    assert report["unasked_answers"] == 1
    assert report["decision_latency_p99_ms"] == pytest.approx(210, rel=0.02)
    assert report["decision_latency_p50_ms"] == pytest.approx(10, rel=0.02)


def test_a_guard_takes_over_from_answers_that_are_late_or_none() -> None:
    connection = HostedConnection(config_of(), guard={"max_latency_ms": 50, "fallback": {"kind": "copa"}})
    connection.start(0)
    assert connection.poll(100 * MS)
    assert connection.next_timer_ns == 150 * MS
    connection.poll(150 * MS)
    assert not connection.answer(151 * MS, 4)
    guard = connection.report(200 * MS)["guard"]
    assert guard["fallbacks"]["late"] == 1
    assert guard["decisions"] == 1
    assert guard["fallback_share"] == pytest.approx(0.25)
    assert guard["events"][0]["driver"] == "fallback"
    assert guard["events"][0]["time_ms"] == 150
    connection = HostedConnection(config_of(), guard={})
    connection.start(0)
    connection.poll(100 * MS)
    assert connection.answer(101 * MS, -1)
    assert connection.report(200 * MS)["guard"]["fallbacks"]["non_finite"] == 1
    assert "guard" not in HostedConnection(config_of()).report(0)


def test_what_a_transport_says_wrongly_is_counted_and_does_no_harm() -> None:
    connection = HostedConnection(config_of("cubic"))
    connection.start(0)
    for number in range(50):
        connection.packet_sent(0, number, PACKET if number else 0)
    connection.packet_sent(0, 50, PACKET, ack_eliciting=False)
    connection.packet_sent(0, 7, PACKET)
    for number in (*range(40), 3, 2**60):
        connection.packet_acked(number)
    for number in (*range(30, 50), 51):
        connection.packet_lost(number)
    connection.rtt_sample(0)  # the clock stands still
    assert connection.flush(0)
    assert not connection.flush(0)
    connection.packet_discarded(49)
    report = connection.report(0)
    assert report["ignored_notifications"] == {"unknown": 2, "repeated": 12, "misnumbered": 1}
    assert (report["acked_packets"], report["lost_packets"], report["in_flight_packets"]) == (40, 10, 0)
    assert connection.bytes_in_flight == 0
    assert connection.writable == connection.congestion_window


def test_a_paced_transport_is_told_how_fast() -> None:
    for pacing, expected in (("auto", False), ("always", True), ("never", False)):
        connection = HostedConnection(config_of("newreno", pacing=pacing))
        Link(connection).run(300)
        assert (connection.pacing is not None) == expected, pacing
    assert connection.writable >= 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"flow": 1}, r"flow: must be 0 to 0, got 1"),
        ({"guard": {"max_latency": 3}}, r"guard\.max_latency"),
        ({"guard": {"fallback": {"kind": "external"}}}, r"guard\.fallback"),
    ],
)
def test_bad_arguments_are_refused_by_name(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        HostedConnection(config_of(), **arguments)


def test_bad_values_are_refused_by_name() -> None:
    connection = HostedConnection(config_of())
    with pytest.raises(ValueError, match="size_bytes: must not be negative, got -1"):
        connection.packet_sent(0, 0, -1)
    connection.start(0)
    connection.poll(100 * MS)
    with pytest.raises(ValueError, match="action: must be 0 to 4, got 9"):
        connection.answer(100 * MS, 9)
