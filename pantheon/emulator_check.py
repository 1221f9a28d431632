"""Holds the real-time emulator against virtual time: the same open-loop sender over the same path, twice.

    python -m pantheon.emulator_check env=lte --mbps 12 --seconds 10
    python -m pantheon.emulator_check env=s15 --mbps 12 --burst 20

A sender sends datagrams through an emulated path at a given rate, evenly or `--burst` at a time, and notes
when it sent each; a receiver has the kernel note when each arrives. Then the path of the same seed is given
the same sending times in virtual time. Prints as JSON how many datagrams met the same fate in both, and how
much later than in virtual time those that arrived came: what clocks, the emulator and the host's network add.
"""

from __future__ import annotations

import argparse
import json
import socket
import struct
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mvfstrl._native import path_departures
from mvfstrl.config import compose, native_config
from mvfstrl.errors import MvfstrlError
from mvfstrl.realtime.path import PathReport, emulated_path, path_report
from pantheon.emulator import path_parser
from pantheon.metrics import nearest_rank

PAYLOAD_BYTES = 1252
LINK_BYTES = 1280  # what --mbps counts: payload, UDP and IPv4 headers
SO_TIMESTAMPNS = 35
QUIET_SECONDS = 1.0  # after which nothing more is expected

Times = NDArray[np.int64]


@dataclass(frozen=True)
class Comparison:
    """Real time against virtual time; differences are real minus virtual, in ms."""

    sent: int
    delivered: int
    delivered_virtual: int
    same_fate: float  # share of what was sent
    difference_p50_ms: float
    difference_p95_ms: float
    difference_p99_ms: float
    lateness_p99_ms: float
    late: bool


class Receiver(threading.Thread):
    """Notes when each datagram arrived, by the number in its first bytes."""

    def __init__(self, count: int) -> None:
        super().__init__(daemon=True)
        self.arrived_ns: Times = np.full(count, -1, dtype=np.int64)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self._socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self._socket.settimeout(QUIET_SECONDS)
        self.address: tuple[str, int] = self._socket.getsockname()
        self.sending = threading.Event()
        self.sending.set()

    def run(self) -> None:
        offset = time.monotonic_ns() - time.time_ns()
        with self._socket:
            while True:
                try:
                    data, ancillary, _, _ = self._socket.recvmsg(2048, 64)
                except TimeoutError:
                    if self.sending.is_set():
                        continue
                    return
                number = struct.unpack_from("!I", data)[0]
                seconds, nanoseconds = struct.unpack("qq", ancillary[0][2])
                if self.arrived_ns[number] < 0:
                    self.arrived_ns[number] = seconds * 1_000_000_000 + nanoseconds + offset


def send(to: tuple[str, int], planned_ns: Times) -> Times:
    """Sends a datagram at each of these times from now on; returns when they were sent."""
    sent_ns = np.empty_like(planned_ns)
    datagram = bytearray(PAYLOAD_BYTES)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.connect(to)
        start = time.monotonic_ns()
        for number, planned in enumerate(planned_ns.tolist()):
            wait_ns = start + planned - time.monotonic_ns()
            if wait_ns > 0:
                time.sleep(wait_ns / 1e9)
            struct.pack_into("!I", datagram, 0, number)
            sent_ns[number] = time.monotonic_ns()
            sender.send(datagram)
    return sent_ns


def sending_times(mbps: float, seconds: float, burst: int) -> Times:
    gap_ns = LINK_BYTES * 8 * 1e3 / mbps
    bursts = int(seconds * 1e9 / (gap_ns * burst))
    return np.repeat((np.arange(bursts) * gap_ns * burst).astype(np.int64), burst)


def compare(
    config: dict[str, Any], *, seed: int, scenario: str | int, mbps: float, seconds: float, burst: int = 1
) -> tuple[Comparison, PathReport]:
    planned = sending_times(mbps, seconds, burst)
    receiver = Receiver(planned.size)
    receiver.start()
    with emulated_path(config, server=receiver.address, seed=seed, scenario=scenario) as path:
        sent = send(path.client_address, planned)
        receiver.sending.clear()
        receiver.join()
        report = path_report(path)
    virtual = path_departures(
        config, scenario=scenario, seed=seed, at_ns=sent - sent[0], payload_bytes=PAYLOAD_BYTES
    )
    arrived = receiver.arrived_ns >= 0
    both = arrived & (virtual >= 0)
    late_ms = np.sort((receiver.arrived_ns - sent[0] - virtual)[both]) / 1e6
    return (
        Comparison(
            sent=planned.size,
            delivered=int(arrived.sum()),
            delivered_virtual=int((virtual >= 0).sum()),
            same_fate=float((arrived == (virtual >= 0)).mean()),
            difference_p50_ms=nearest_rank(late_ms, 0.50),
            difference_p95_ms=nearest_rank(late_ms, 0.95),
            difference_p99_ms=nearest_rank(late_ms, 0.99),
            lateness_p99_ms=report["lateness_p99_ms"],
            late=report["late"],
        ),
        report,
    )


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = path_parser("emulator_check", __doc__)
    parser.add_argument("--mbps", type=float, default=12.0, help="offered, headers included")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--burst", type=int, default=1, help="datagrams at a time")
    options = parser.parse_intermixed_args(arguments)
    for name in ("mbps", "seconds", "burst"):
        if getattr(options, name) <= 0:
            parser.error(f"--{name}: must be positive")
    return options


def main(arguments: Sequence[str]) -> int:
    options = parse(arguments)
    try:
        comparison, _ = compare(
            native_config(compose(options.overrides)),
            seed=options.seed,
            scenario=options.scenario,
            mbps=options.mbps,
            seconds=options.seconds,
            burst=options.burst,
        )
    except (MvfstrlError, ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(json.dumps(asdict(comparison)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
