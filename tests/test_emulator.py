"""The real-time emulator from Python: over real sockets on loopback, held against virtual time and mahimahi's
rules. Bounds have slack for a machine that is busy with other things."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest

from mvfstrl._native import Emulator, path_departures
from mvfstrl.config import compose, native_config
from mvfstrl.realtime.path import emulated_path, path_report
from pantheon import emulator, emulator_check
from pantheon.linklog import read_log
from pantheon.replay import replay

ROOT = Path(__file__).resolve().parents[1]


def config_of(*overrides: str) -> dict[str, Any]:
    return native_config(compose(["agent=cubic", *overrides]))


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
        bound.bind(("127.0.0.1", 0))
        bound.settimeout(5)
        yield bound


@pytest.fixture
def client() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as unbound:
        unbound.settimeout(5)
        yield unbound


def send_evenly(client: socket.socket, to: tuple[str, int], seconds: float, every_ms: float) -> int:
    sent = 0
    start = time.monotonic()
    while (elapsed := time.monotonic() - start) < seconds:
        for _ in range(int(elapsed * 1e3 / every_ms) + 1 - sent):
            client.sendto(bytes(1252), to)
            sent += 1
        time.sleep(every_ms / 1e3)
    return sent


def test_datagrams_cross_in_both_directions(server: socket.socket, client: socket.socket) -> None:
    with emulated_path(config_of("env=constant"), server=server.getsockname(), seed=1) as path:
        client.sendto(b"question", path.client_address)
        text, back = server.recvfrom(100)
        server.sendto(b"answer", back)
        assert (text, client.recv(100)) == (b"question", b"answer")
        report = path_report(path)
    assert (report["delivered_packets"], report["acks"]["delivered_packets"]) == (1, 1)
    assert report["sent_packets"] == report["delivered_packets"] + report["in_flight_packets"]


def test_the_same_seed_is_the_same_path_as_in_virtual_time() -> None:
    """Random loss and a drop-tail queue: the fate of nearly every datagram, and when it arrives."""
    config = config_of("env=pantheon")
    comparison, report = emulator_check.compare(
        config, seed=3, scenario="nepal_india", mbps=1.2, seconds=2.0, burst=2
    )
    assert report["random_losses"] > 0
    assert report["queue_drops"] > 0
    # Sending times are known to some microseconds; the trace's rules are in milliseconds.
    assert comparison.same_fate > 0.9
    assert abs(comparison.delivered - comparison.delivered_virtual) <= 0.05 * comparison.sent
    assert comparison.difference_p50_ms < 3

    at_ns = emulator_check.sending_times(1.2, 2.0, 2)
    same, other = (
        path_departures(config, scenario="nepal_india", seed=seed, at_ns=at_ns, payload_bytes=1252)
        for seed in (3, 4)
    )
    assert not np.array_equal(same, other)


def test_its_log_follows_mahimahis_rules_line_by_line(
    tmp_path: Path, server: socket.socket, client: socket.socket
) -> None:
    """The log of a real-time run, replayed: every departure and drop at its millisecond."""
    trace = tmp_path / "trace"
    trace.write_text("".join(f"{ms}\n" for ms in (1, 1, 3, 8, 8, 8, 9, 15)))
    config = config_of("env=lte")
    [scenario] = config["scenarios"]
    link = {"kind": "trace", "file": str(trace), "random_offset": False, "offset_ms": 0.0}
    link |= {"from_fraction": 0.0, "to_fraction": 1.0}
    scenario["uplink"] = scenario["downlink"] = link
    scenario["queue"] |= {
        "kind": "droptail",
        "packets": {"low": 5, "high": 5, "log": False},
        "bytes": None,
        "bdp": None,
    }
    with emulated_path(config, server=server.getsockname(), seed=1, log=tmp_path / "path") as path:
        sent = send_evenly(client, path.client_address, 1.0, every_ms=1.0)
        time.sleep(0.1)  # what waits departs
        report = path_report(path)
    result = replay(tmp_path / "path.uplink.log", trace, "droptail", packets=5)
    assert result.mismatch is None
    assert result.arrivals == sent
    assert result.drops > 0
    assert report["queue_drops"] == result.drops
    log = read_log(tmp_path / "path.uplink.log")
    offered = log.opportunities[:, 1].sum()
    assert offered == pytest.approx(8 * 1504 * report["length_ms"] / 15, rel=0.05)
    assert "# init timestamp: " in (tmp_path / "path.downlink.log").read_text()


def test_many_paths_share_one_emulator(server: socket.socket, client: socket.socket) -> None:
    config = config_of("env=constant")
    with Emulator() as shared:
        paths = [
            shared.add_path(config, seed=seed, server=server.getsockname(), listen="127.0.0.1")
            for seed in range(20)
        ]
        assert len({path.client_address for path in paths}) == 20
        for path in paths:
            client.sendto(b"x", path.client_address)
        for _ in paths:
            server.recv(10)
        assert [path.report()["delivered_packets"] for path in paths] == [1] * 20


def test_a_stalled_path_loses_what_enters_it(server: socket.socket, client: socket.socket) -> None:
    with emulated_path(config_of("env=constant"), server=server.getsockname(), seed=1) as path:
        path.stall(200)
        client.sendto(b"lost", path.client_address)
        time.sleep(0.3)
        client.sendto(b"heard", path.client_address)
        assert server.recv(100) == b"heard"
        assert path.report()["stalled"] == 1


def test_a_closed_path_still_reports_and_a_closed_emulator_refuses(server: socket.socket) -> None:
    config = config_of("env=constant")
    with Emulator() as shared:
        path = shared.add_path(config, seed=1, server=server.getsockname())
        path.close()
        path.close()
        assert path.report()["sent_packets"] == 0
        with pytest.raises(RuntimeError, match="the path is closed"):
            path.stall(1)
    with pytest.raises(RuntimeError, match="the emulator is closed"):
        shared.add_path(config, seed=1, server=server.getsockname())


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"scenario": "lt"}, ValueError, "scenario: there is no 'lt' among lte"),
        ({"scenario": 1}, ValueError, "scenario: there is no number 1, the last is 0"),
        ({"listen": "127.0.0.1:99999"}, ValueError, "'99999' is no port"),
        ({"listen": "203.0.113.1"}, OSError, "cannot listen on 203.0.113.1:0"),
        ({"server": ("256.0.0.1", 9)}, ValueError, "'256.0.0.1' is no address"),
        ({"log": Path("no/such/folder/log")}, OSError, "cannot write no/such/folder/log.uplink.log"),
    ],
)
def test_bad_input_is_refused_by_name(
    arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    wanted: dict[str, Any] = {"server": ("127.0.0.1", 9), "seed": 1} | arguments
    with (
        pytest.raises(error, match=message.replace("[", r"\[")),
        emulated_path(config_of("env=lte"), **wanted),
    ):
        pass


def test_what_only_a_simulation_has_is_refused() -> None:
    config = config_of("env=lte", "env.cross_traffic=[{kind: constant}]")
    with (
        pytest.raises(ValueError, match="cross_traffic: an emulated path carries none"),
        emulated_path(config, server=("127.0.0.1", 9), seed=1),
    ):
        pass


def test_command_opens_a_path_until_interrupted(
    tmp_path: Path, server: socket.socket, client: socket.socket
) -> None:
    host, port = server.getsockname()
    command = [sys.executable, "-m", "pantheon.emulator", "env=constant", "--server", f"{host}:{port}"]
    command += ["--log", str(tmp_path / "logs" / "path")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        opened = json.loads(running.stdout.readline())
        client.sendto(b"through", tuple(opened["client_address"]))
        assert server.recv(100) == b"through"
        running.send_signal(signal.SIGTERM)
        report = json.loads(running.stdout.readline())
    assert running.returncode == 0
    assert report["delivered_packets"] == 1
    assert (tmp_path / "logs" / "path.uplink.log").is_file()


@pytest.fixture
def signals() -> Iterator[None]:
    """As they were: the command blocks some of them."""
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, set())
    yield
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)


@pytest.mark.usefixtures("signals")
def test_command_listens_on_loopback_and_ends_by_itself(capsys: pytest.CaptureFixture[str]) -> None:
    assert emulator.main(["env=[lte,s18]", "--server", "127.0.0.1:9", "--seconds", "0.1"]) == 0
    opened, report = map(json.loads, capsys.readouterr().out.splitlines())
    assert opened["scenario"] == "lte"  # the first
    assert opened["client_address"][0] == "127.0.0.1"
    assert report["sent_packets"] == 0


@pytest.mark.usefixtures("signals")
def test_the_path_is_the_one_that_was_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def noted(config: dict[str, Any], **asked: Any) -> NoReturn:
        raise ValueError(f"{len(config['scenarios'])} scenarios, {asked}")

    monkeypatch.setattr(emulator, "emulated_path", noted)
    monkeypatch.setattr(emulator_check, "compare", noted)
    which = ["env=[s18,lte]", "--scenario", "lte", "--seed", "7"]
    own = ["--server", "[::1]:9", "--listen", "::1", "--log", str(tmp_path / "new" / "log")]
    assert emulator.main([*which, *own]) == 2
    assert emulator_check.main([*which, "--mbps", "3", "--seconds", "2", "--burst", "4"]) == 2
    opened, checked = capsys.readouterr().err.splitlines()
    wanted = {"server": ("::1", 9), "seed": 7, "scenario": "lte", "listen": "::1"}
    assert opened == f"error: 2 scenarios, {wanted | {'log': tmp_path / 'new' / 'log'}}"
    wanted = {"seed": 7, "scenario": "lte", "mbps": 3.0, "seconds": 2.0, "burst": 4}
    assert checked == f"error: 2 scenarios, {wanted}"


@pytest.mark.usefixtures("signals")
def test_command_refuses_bad_input(capsys: pytest.CaptureFixture[str]) -> None:
    assert emulator.main(["env=lte", "--server", "127.0.0.1:9", "--scenario", "x"]) == 2
    assert capsys.readouterr().err == "error: scenario: there is no 'x' among lte\n"
    with pytest.raises(SystemExit):
        emulator.main(["env=lte", "--server", "localhost"])
    assert "'localhost' is not HOST:PORT" in capsys.readouterr().err
