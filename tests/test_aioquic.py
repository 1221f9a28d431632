"""One real QUIC connection over an emulated path: loopback, free ports, no root, a second or two each."""

from __future__ import annotations

import asyncio
import json
import stat
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from aioquic.quic.packet import QuicPacketType
from aioquic.quic.packet_builder import QuicSentPacket
from aioquic.quic.stream import QuicStreamSender
from aioquic.tls import Epoch
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from mvfstrl._native import EmulatedPath
from mvfstrl.config import compose, native_config
from mvfstrl.realtime.certificates import SERVER_NAME, Certificate, certificate_in
from mvfstrl.realtime.clock import Lateness, precise_loop
from mvfstrl.realtime.congestion import HostedCongestionControl, HostedPacer
from mvfstrl.realtime.endpoints import sender_configuration
from mvfstrl.realtime.episode import RealtimeHost
from mvfstrl.realtime.errors import RealtimeError
from mvfstrl.realtime.hosts import Episode
from mvfstrl.realtime.path import emulated_path, path_report
from mvfstrl.realtime.receiver import ReceiverProcess
from mvfstrl.realtime.sender import connected_sender
from pantheon.episodes import play
from tests.recorded_policy import Recorded

SIZE = 1252
PATH = ["transport=aioquic", "env=constant", "env.rate_mbps=6", "env.delay_ms=10", "env.queue.packets=50"]


def configured(*overrides: str) -> dict[str, Any]:
    return native_config(compose([*PATH, "env.episode_ms=1500", *overrides]))


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealtimeHost]:
    with RealtimeHost(tmp_path_factory.mktemp("certificates"), packet_size=SIZE) as host:
        yield host


# --- Whole episodes ---------------------------------------------------------------------------------


def test_a_classic_scheme_fills_a_real_path(host: RealtimeHost) -> None:
    config = configured("agent=cubic")
    real = host.play_episode(Episode(config, seed=3))
    virtual = play(config, [3]).reports[0]
    flow, simulated = real["flows"][0], virtual["flows"][0]
    assert set(virtual) <= set(real)
    assert set(simulated) <= set(flow)
    assert flow["scheme"] == "cubic"
    assert real["seed"] == 3
    assert 0.6 * simulated["throughput_mbps"] < flow["throughput_mbps"] < 1.1 * simulated["throughput_mbps"]
    assert flow["delay_mean_ms"] > 10
    assert flow["sent_packets"] >= flow["delivered_packets"] + flow["queue_drops"]
    assert 12 <= real["steps"] + real["skipped_observations"] <= 16
    assert flow["sent_bytes"] > 0.97 * SIZE * flow["acked_packets"]  # whole packets
    assert flow["goodput_mbps"] < flow["throughput_mbps"]  # headers
    assert real["realtime"]["handshake_ms"] > 20
    assert real["realtime"]["acks"]["delivered_packets"] > 50


def test_the_window_bounds_what_is_in_flight(host: RealtimeHost) -> None:
    rates = {}
    for window in (4, 12):
        config = configured("agent=fixed", f"agent.controller.window_packets={window}")
        rates[window] = host.play_episode(Episode(config, seed=1))["flows"][0]["throughput_mbps"]
    assert rates[4] < 4 * 1280 * 8 / 20_000  # a window each round trip, of 20 ms at least
    assert rates[12] > 1.5 * rates[4]


def test_an_episode_has_the_path_that_virtual_time_draws_for_its_seed(host: RealtimeHost) -> None:
    config = configured("agent=fixed", "agent.controller.window_packets=2", "env.delay_ms=[5,100]")
    seeds = [1, 2, 3]
    drawn = [report["flows"][0]["delay_p50_ms"] for report in play(config, seeds).reports]
    assert max(drawn) - min(drawn) > 20
    for seed, delay_ms in zip(seeds, drawn, strict=True):
        delay = host.play_episode(Episode(config, seed=seed))["flows"][0]["delay_p50_ms"]
        assert delay == pytest.approx(delay_ms, abs=5)


def test_a_policy_is_asked_at_every_window_and_its_answers_take_effect(host: RealtimeHost) -> None:
    double, halve = (configured("actions.choices=[0,*2,/2]"),) * 2, 2
    config = double[0]
    up, down = Recorded(1), Recorded(halve)
    opened = host.play_episode(Episode(config, seed=5, policy=up))
    closed = host.play_episode(Episode(config, seed=5, policy=down))
    assert len(up.steps) >= 10
    assert [step["first"] for step in up.steps[:3]] == [True, False, False]
    assert up.last is not None
    assert up.last["truncated"]
    assert opened["skipped_observations"] == 0
    assert opened["flows"][0]["throughput_mbps"] > 2 * closed["flows"][0]["throughput_mbps"]
    assert len(opened["realtime"]["latencies_ms"]) == len(up.steps)
    assert all(np.isfinite(seen).all() for seen in up.observations)


def test_packets_flow_while_an_answer_is_outstanding(host: RealtimeHost) -> None:
    silent = Recorded(None)
    report = host.play_episode(Episode(configured(), seed=5, policy=silent))
    assert len(silent.steps) == 1
    assert report["skipped_observations"] >= 10
    assert report["flows"][0]["acked_packets"] > 100
    assert report["realtime"]["latencies_ms"] == []


@pytest.mark.slow
def test_a_connection_survives_ten_seconds_without_a_network(
    host: RealtimeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths: list[EmulatedPath] = []

    @contextmanager
    def remembered(*given: Any, **named: Any) -> Iterator[EmulatedPath]:
        with emulated_path(*given, **named) as path:
            paths.append(path)
            yield path

    monkeypatch.setattr("mvfstrl.realtime.hosts.emulated_path", remembered)
    policy, stalled, delivered = Recorded(0), [], []

    def progress(_: float) -> None:
        (path,) = paths
        delivered.append(path_report(path)["delivered_packets"])
        if not stalled and delivered[-1] > 20:
            path.stall(10_000)
            stalled.append(len(delivered))

    # Round trips of 57 ms and ACKs up to 25 ms late: a probe after 0.09 s, the next after twice as long;
    # the seventh leaves after 11 s.
    config = configured("env.delay_ms=27", "env.episode_ms=14500", "actions.initial_window_packets=2")
    report = host.play_episode(Episode(config, seed=5, policy=policy, progress=progress))
    flow, faults = report["flows"][0], report["realtime"]["faults"]
    silent = stalled[0] + 2  # what was on its way has arrived
    assert delivered[silent] == delivered[silent + 36]  # quarters of a second
    assert delivered[-1] > delivered[silent] + 20
    assert 6 <= flow["probe_timeouts"] <= 9
    assert 4 <= faults["stalled"] <= 20
    assert flow["lost_packets"] >= 1
    assert len(policy.steps) > 120  # asked in every window, the empty ones too
    assert report["skipped_observations"] < 5


def test_logs_of_aioquic_and_of_the_links_are_kept(host: RealtimeHost, tmp_path: Path) -> None:
    config = configured("agent=cubic", "env.episode_ms=600")
    host.play_episode(Episode(config, seed=1, log=tmp_path / "link", qlog=tmp_path / "deep" / "own.qlog"))
    (trace,) = json.loads((tmp_path / "deep" / "own.qlog").read_text())["traces"]
    assert {"transport:packet_sent", "recovery:metrics_updated"} <= {one["name"] for one in trace["events"]}
    assert "+" in (tmp_path / "link.uplink.log").read_text()


def test_progress_may_stop_an_episode(host: RealtimeHost) -> None:
    class Enough(Exception):
        pass

    def stop(part: float) -> None:
        assert 0 < part < 0.9
        raise Enough

    with pytest.raises(Enough):
        host.play_episode(Episode(configured("agent=cubic"), seed=1, progress=stop))


# --- Certificates, processes -------------------------------------------------------------------------


def test_a_runs_certificate_is_made_once_and_its_key_is_private(tmp_path: Path) -> None:
    made = certificate_in(tmp_path / "new")
    before = made.certificate.read_bytes()
    assert stat.S_IMODE(made.key.stat().st_mode) == 0o600
    assert certificate_in(tmp_path / "new").certificate.read_bytes() == before
    made.certificate.write_bytes(b"torn")
    assert certificate_in(tmp_path / "new").certificate.read_bytes() not in (before, b"torn")


def test_several_processes_may_ask_for_the_certificate_at_once(tmp_path: Path) -> None:
    for attempt in range(20):
        folder = tmp_path / str(attempt)
        with ThreadPoolExecutor(8) as pool:
            found = set(pool.map(lambda _: pair_of(certificate_in(folder)), range(8)))  # noqa: B023
        assert len(found) == 1
        ((certificate, key),) = found
        mine = load_pem_private_key(key, None).public_key()
        assert x509.load_pem_x509_certificate(certificate).public_key() == mine


def pair_of(made: Certificate) -> tuple[bytes, bytes]:
    return made.certificate.read_bytes(), made.key.read_bytes()


def test_a_sender_trusts_its_runs_receiver_alone(tmp_path: Path) -> None:
    mine, other = certificate_in(tmp_path / "mine"), certificate_in(tmp_path / "other")
    configuration = sender_configuration(mine.certificate, SIZE)
    assert configuration.server_name == SERVER_NAME
    with ReceiverProcess(other, SIZE) as receiver:
        assert receiver.address[0] == "127.0.0.1"
        loop = precise_loop()
        with pytest.raises(RealtimeError, match="no QUIC connection through"):
            loop.run_until_complete(connected_sender(receiver.address, configuration))
        loop.close()
        process = receiver._process
    assert process is not None
    assert process.returncode == 0


def test_a_receiver_that_died_is_named(tmp_path: Path) -> None:
    with ReceiverProcess(certificate_in(tmp_path), SIZE) as receiver:
        assert receiver.report()["late_max_ms"] >= 0
        assert receiver._process is not None
        receiver._process.kill()
        receiver._process.wait()
        with pytest.raises(RealtimeError, match="receiver's process"):
            receiver.report()


# --- The adapter --------------------------------------------------------------------------------------


class Told:
    """A hosted connection that writes down what it is told."""

    congestion_window = 10 * SIZE

    def __init__(self, pacing: tuple[int, int] | None = None) -> None:
        self.pacing = pacing
        self.calls: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *given: self.calls.append((name, *given))


def packet(number: int, start: int, stop: int, at: float = 1.5) -> QuicSentPacket:
    sent = QuicSentPacket(
        Epoch.ONE_RTT, True, True, False, number, QuicPacketType.ONE_RTT, sent_time=at, sent_bytes=SIZE
    )
    sent.delivery_handlers.append((QuicStreamSender(2, True).on_data_delivery, (start, stop, False)))
    return sent


def attached(told: Told) -> HostedCongestionControl:
    control = HostedCongestionControl(max_datagram_size=SIZE)
    control.attach(cast(Any, told), began=1.0)
    return control


def test_the_core_is_told_of_packets_in_its_own_time_and_of_what_is_sent_again() -> None:
    told = Told()
    control = attached(told)
    first, second, again = packet(1, 0, 1200), packet(2, 1200, 2400), packet(3, 600, 1800)
    for sent in (first, second, again):
        control.on_packet_sent(packet=sent)
    assert control.bytes_in_flight == 3 * SIZE
    assert told.calls == [
        ("packet_sent", 500_000_000, 1, SIZE, True, False, 0),
        ("packet_sent", 500_000_000, 2, SIZE, True, False, 0),
        ("packet_sent", 500_000_000, 3, SIZE, True, False, 1200),
    ]
    told.calls.clear()
    control.ack_delay = 0.002
    control.on_packet_acked(now=2.0, packet=second)
    control.on_rtt_measurement(now=2.0, rtt=0.5)
    control.on_packets_lost(now=2.0, packets=[first])
    control.on_packets_expired(packets=[again])
    assert told.calls == [
        ("packet_acked", 2),
        ("rtt_sample", 500_000_000, 2_000_000),
        ("packet_lost", 1),
        ("packet_discarded", 3),
    ]
    assert control.bytes_in_flight == 0


def test_a_rest_of_the_window_admits_a_whole_packet() -> None:
    told = Told()
    control = attached(told)
    control.on_packet_sent(packet=packet(1, 0, 1200))
    told.congestion_window = 2 * SIZE + 1
    control.open_window()
    assert control.congestion_window == 3 * SIZE
    told.congestion_window = SIZE // 2
    control.open_window()
    assert control.congestion_window == SIZE


def sent_within(pacer: HostedPacer, seconds: float, every: float) -> int:
    """Packets that a sender sends that is woken that often."""
    sent, now = 0, 0.0
    pacer.update_bucket(now)
    while now < seconds:
        while pacer.next_send_time(now) is None and sent < 10_000:
            pacer.update_after_send(now)
            sent += 1
        now += every
    return sent


@pytest.mark.parametrize("every", [0.0001, 0.00035, 0.0017])
def test_however_often_it_is_woken_a_paced_sender_keeps_its_pace(every: float) -> None:
    pacer = HostedPacer(max_datagram_size=SIZE)
    pacer.hosted = cast(Any, SimpleNamespace(pacing=(1000 * SIZE, 1_000_000_000)))
    pacer.update_rate(0, 0.0)
    assert sent_within(pacer, 1.0, every) == pytest.approx(1000, rel=0.01)
    soon = pacer.next_send_time(1.0)
    assert soon is None or 1.0 < soon <= 1.0011


def test_a_pause_is_not_made_up_for_by_a_burst() -> None:
    pacer = HostedPacer(max_datagram_size=SIZE)
    pacer.hosted = cast(Any, SimpleNamespace(pacing=(1000 * SIZE, 1_000_000_000)))
    pacer.update_rate(0, 0.0)
    pacer.update_bucket(5.0)
    burst = 0
    while pacer.next_send_time(5.0) is None:
        pacer.update_after_send(5.0)
        burst += 1
    assert burst == 3


def test_unpaced_packets_leave_as_acks_let_them() -> None:
    pacer = HostedPacer(max_datagram_size=SIZE)
    pacer.hosted = cast(Any, SimpleNamespace(pacing=None))
    pacer.update_rate(10 * SIZE, 0.1)
    assert pacer.next_send_time(0.0) is None
    assert sent_within(pacer, 0.0001, 0.0001) == 10_000


def test_timers_are_finer_than_milliseconds() -> None:
    late: list[float] = []

    async def wait() -> None:
        loop = asyncio.get_running_loop()
        for _ in range(30):
            due = loop.time() + 0.0002
            done = loop.create_future()
            loop.call_at(due, done.set_result, None)
            await done
            late.append(loop.time() - due)

    loop = precise_loop()
    loop.run_until_complete(wait())
    loop.close()
    assert 0 < min(late) < 0.0006  # a loop that waits in milliseconds needs 0.8 ms and more


def test_lateness_is_told_of_what_came_since_the_last_time() -> None:
    lateness = Lateness()
    for late in (0.001, 0.002, 0.009):
        lateness.note(5.0, 5.0 + late)
    told = lateness.take()
    assert told["late_p50_ms"] == pytest.approx(2.0)
    assert told["late_p50_ms"] < told["late_p99_ms"] <= told["late_max_ms"] == pytest.approx(9.0)
    assert lateness.take()["late_max_ms"] == 0.0
