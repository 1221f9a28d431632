"""Commands in a network namespace behind an emulated path: kernel TCP over the path classes."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, NoReturn

import pytest

from mvfstrl.config import compose, native_config
from mvfstrl.realtime.path import path_report
from pantheon import shell
from pantheon.linklog import read_log

needs_root = pytest.mark.skipif(shell.why_not() is not None, reason=f"no root: it {shell.why_not()}")

SUBNET = f"10.{100 + os.getpid() % 100}.{os.getpid() // 100 % 250}"
DOWNLOAD = """
import socket, sys, time
with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=10) as connection:
    connection.sendall(bytes(100_000))
    connection.shutdown(socket.SHUT_WR)
    print(connection.recv(100).decode())
"""


def serve_once(address: str) -> int:
    """A TCP server that tells one client how many bytes it sent; returns the port."""
    listening = socket.create_server((address, 0))
    listening.settimeout(10)

    def answer() -> None:
        with listening, listening.accept()[0] as connection:
            size = 0
            while chunk := connection.recv(65536):
                size += len(chunk)
            connection.sendall(str(size).encode())

    threading.Thread(target=answer, daemon=True).start()
    port: int = listening.getsockname()[1]
    return port


@needs_root
def test_kernel_tcp_crosses_the_path(tmp_path: Path) -> None:
    config = native_config(compose(["env=s18", "agent=cubic"]))  # 12 Mbps, 30 ms one way
    with shell.inside(config, seed=1, log=tmp_path / "path", subnet=SUBNET) as inside:
        port = serve_once(inside.outside_address)
        command = inside.command([sys.executable, "-c", DOWNLOAD, inside.outside_address, str(port)])
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        report = path_report(inside.path)
    assert done.stdout == "100000\n"
    # The handshake, the request and its answer: three round trips of 60 ms at least.
    assert report["length_ms"] > 150
    assert report["delivered_packets"] >= 70
    assert report["acks"]["delivered_packets"] >= 2
    sizes = read_log(tmp_path / "path.uplink.log").arrivals[:, 1]
    assert sizes.max() == 1504  # an IP packet of 1500 bytes and the tunnel's header, as mahimahi counts


@needs_root
def test_command_exits_as_its_command_does(capfd: pytest.CaptureFixture[str]) -> None:
    script = "echo base=$MAHIMAHI_BASE; ip route show default; ip -brief address show lo; exit 3"
    assert shell.main(["env=constant", "--subnet", SUBNET, "--", "sh", "-c", script]) == 3
    out, err = capfd.readouterr()
    base, route, loopback = out.splitlines()
    assert base == f"base={SUBNET}.1"
    assert route.startswith(f"default via {SUBNET}.1 ")  # all that leaves the namespace crosses the path
    assert "127.0.0.1/8" in loopback
    assert json.loads(err)["sent_packets"] == 0
    listed = subprocess.run(["ip", "netns"], capture_output=True, text=True, check=True).stdout
    assert f"mvrl{os.getpid()}" not in listed


@needs_root
def test_what_the_host_refuses_is_named_and_leaves_nothing_behind(capsys: pytest.CaptureFixture[str]) -> None:
    assert shell.main(["env=constant", "--subnet", "10.300.1", "--", "true"]) == 2
    assert "error: ip address add 10.300.1.1 peer 10.300.1.2 " in capsys.readouterr().err
    listed = subprocess.run(["ip", "netns"], capture_output=True, text=True, check=True).stdout
    assert f"mvrl{os.getpid()}" not in listed


def test_the_path_is_the_one_that_was_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def noted(config: dict[str, Any], **asked: Any) -> NoReturn:
        raise ValueError(f"{len(config['scenarios'])} scenarios, {asked}")

    monkeypatch.setattr(shell, "inside", noted)
    options = ["--scenario", "lte", "--seed", "7", "--log", "logs/a", "--subnet", "10.9.8"]
    assert shell.main(["env=[s18,lte]", *options, "--", "true"]) == 2
    assert shell.main(["env=s18", "--", "true"]) == 2
    asked, usual = capsys.readouterr().err.splitlines()
    wanted = {"seed": 7, "scenario": "lte", "log": Path("logs/a"), "subnet": "10.9.8"}
    assert asked == f"error: 2 scenarios, {wanted}"
    defaults = {"seed": 0, "scenario": 0, "log": None, "subnet": "10.77.0"}
    assert usual == f"error: 1 scenarios, {defaults}"


def test_what_follows_the_first_dashes_is_the_command() -> None:
    assert shell.parse(["env=lte", "--", "sh", "--", "-c"]).command == ["sh", "--", "-c"]


def test_what_the_host_lacks_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with monkeypatch.context() as patch:
        patch.setattr("shutil.which", lambda name: None)
        assert shell.why_not() == "needs the program ip (iproute2)"
    monkeypatch.setattr("shutil.which", lambda name: f"/sbin/{name}")
    monkeypatch.setattr(Path, "exists", lambda path: False)
    assert shell.why_not() == "needs /dev/net/tun"


def test_without_root_it_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert shell.main(["env=constant", "--", "true"]) == 2
    assert capsys.readouterr().err == "error: a shell behind a path needs root\n"


def test_a_command_must_be_given(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        shell.main(["env=constant"])
    assert "Give it after --" in capsys.readouterr().err
