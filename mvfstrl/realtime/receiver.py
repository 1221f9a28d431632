"""The receiver of real connections: a QUIC server that takes all and keeps nothing, in a process of its own,
so that it shares neither interpreter nor event loop with the senders.

`python -m mvfstrl.realtime.receiver` is that process. It listens on a free port, tells it on its standard
output as a line of JSON, answers each line of its standard input with one about its timers, and ends with
the input.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.asyncio.server import QuicServer
from aioquic.quic.events import QuicEvent

from mvfstrl.realtime.certificates import Certificate
from mvfstrl.realtime.clock import Lateness, precise_loop, udp_socket
from mvfstrl.realtime.endpoints import receiver_configuration
from mvfstrl.realtime.errors import RealtimeError

START_S = 30.0
STOP_S = 5.0


class Receiver(QuicConnectionProtocol):
    """Acknowledges as aioquic does, and drops what it gets."""

    lateness = Lateness()  # of all connections of the process

    def quic_event_received(self, event: QuicEvent) -> None:
        pass

    def _handle_timer(self) -> None:
        if self._timer_at is not None:
            Receiver.lateness.note(self._timer_at, self._loop.time())
        super()._handle_timer()


async def receive(certificate: Certificate, packet_size: int, host: str) -> None:
    """Until the standard input ends."""
    loop = asyncio.get_running_loop()
    sock = udp_socket(host)
    configuration = receiver_configuration(certificate, packet_size)
    _, server = await loop.create_datagram_endpoint(
        lambda: QuicServer(configuration=configuration, create_protocol=Receiver), sock=sock
    )
    asked = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(asked), sys.stdin)
    _tell({"port": sock.getsockname()[1]})
    while await asked.readline():
        _tell(Receiver.lateness.take())
    server.close()


def _tell(what: dict[str, Any]) -> None:
    print(json.dumps(what), flush=True)


class ReceiverProcess:
    """A receiver's process, as a context manager."""

    def __init__(self, certificate: Certificate, packet_size: int, host: str = "127.0.0.1") -> None:
        self._command = [
            sys.executable, "-m", "mvfstrl.realtime.receiver", str(certificate.certificate),
            str(certificate.key), "--packet-size", str(packet_size), "--host", host,
        ]  # fmt: skip
        self._host = host
        self._process: subprocess.Popen[str] | None = None
        self.address = (host, 0)

    def __enter__(self) -> ReceiverProcess:
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.address = (self._host, int(self._told()["port"]))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        self._process.communicate()

    def report(self) -> dict[str, float]:
        """How late its timers were since the last report."""
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write("\n")
            self._process.stdin.flush()
        except OSError as error:
            raise RealtimeError("the receiver's process has died") from error
        told: dict[str, float] = self._told()
        return told

    def _told(self) -> dict[str, Any]:
        assert self._process is not None
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RealtimeError(f"the receiver's process ended with status {self._process.wait(STOP_S)}")
        told: dict[str, Any] = json.loads(line)
        return told


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Receives QUIC connections and keeps nothing.")
    parser.add_argument("certificate", type=Path)
    parser.add_argument("key", type=Path)
    parser.add_argument("--packet-size", type=int, default=1252, help="bytes of UDP payload")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    given = parser.parse_args(arguments)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started it ends it
    loop = precise_loop()
    loop.run_until_complete(receive(Certificate(given.certificate, given.key), given.packet_size, given.host))


if __name__ == "__main__":
    main()
