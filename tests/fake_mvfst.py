"""Stands in for the native classes of mvfst's: numbered datagrams and echoes over loopback, and a
`HostedConnection` that drives them, behind the same calls."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mvfstrl._native import HostedConnection
from mvfstrl.realtime.policy import Floats

SIZE = 1252
REORDERED = 3
PROBE_S = 0.3


def udp(host: str, port: int = 0) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    made.bind((host, port))
    return made


class FakeReceiver:
    """Sends the number of every datagram back."""

    def __init__(
        self, certificate: str, key: str, *, host: str = "127.0.0.1", port: int = 0, qlog: str | None = None
    ) -> None:
        assert Path(certificate).is_file()
        assert Path(key).is_file()
        self._socket = udp(host, port)
        self._socket.settimeout(0.05)
        self.address: tuple[str, int] = self._socket.getsockname()
        self._open = True
        self._thread = threading.Thread(target=self._echo)
        self._thread.start()

    def _echo(self) -> None:
        while self._open:
            try:
                datagram, sender = self._socket.recvfrom(2048)
            except TimeoutError:
                continue
            self._socket.sendto(datagram[:8], sender)

    def close(self) -> None:
        self._open = False
        self._thread.join()
        self._socket.close()


class FakeSender:
    """Numbers from 1; 0 is the handshake."""

    def __init__(
        self,
        config: dict[str, Any],
        *,
        seed: int = 0,
        server: tuple[str, int],
        ca: str,
        policy: Any = None,
        job: int = -1,
        guard: dict[str, Any] | None = None,
        qlog: str | None = None,
    ) -> None:
        assert Path(ca).is_file()
        (flow,) = config["flows"]
        self._kind = flow["controller"]["kind"]
        if self._kind.startswith("mvfst_"):
            config = {**config, "flows": [{**flow, "controller": {"kind": "cubic"}}]}
        self._left = flow["app"].get("size_bytes", 1 << 60)
        self._hosted = HostedConnection(config, seed=seed, policy=policy, job=job, guard=guard, series=True)
        self._qlog = qlog
        self._socket = udp("127.0.0.1")
        self._server = server
        self._changed = threading.Condition()
        self._woken = False
        self._question: tuple[Floats, dict[str, Any]] | None = None
        self._actions: list[int] = []
        self._flight: dict[int, tuple[float, int]] = {}
        self._number = 0
        self._stop = False
        self._thread: threading.Thread | None = None
        self._zero = time.monotonic()
        self.ended: str | None = None
        self.complete = False

    def connect(self, patience_ms: float) -> None:
        self._socket.settimeout(patience_ms / 1000)
        self._socket.sendto(bytes(SIZE), self._server)
        try:
            self._socket.recv(8)
        except TimeoutError as error:
            raise ConnectionError(f"no answer for {patience_ms:g} ms") from error

    def start(self) -> None:
        self._zero = time.monotonic()
        self._hosted.start(0)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def wait(self, patience_ms: float) -> bool:
        def any_news() -> bool:
            return self._woken or self._question is not None or self.ended is not None or self.complete

        with self._changed:
            news = self._changed.wait_for(any_news, patience_ms / 1000)
            self._woken = False
            return news

    def wake(self) -> None:
        with self._changed:
            self._woken = True
            self._changed.notify_all()

    def take_question(self) -> tuple[Floats, dict[str, Any]] | None:
        with self._changed:
            question, self._question = self._question, None
            return question

    def answer(self, action: int) -> None:
        with self._changed:
            self._actions.append(action)

    def finish(self) -> None:
        self._join()
        self._end_ns = self._now()
        self._hosted.finish(self._end_ns, self.complete)

    def close(self) -> None:
        self._join()
        self._socket.close()
        if self._qlog is not None:
            (Path(self._qlog) / "0a1b.qlog").write_text("{}")

    @property
    def observation(self) -> Floats:
        return self._hosted.observation

    def step(self) -> dict[str, Any]:
        return self._hosted.step()

    def report(self) -> dict[str, Any]:
        return {**self._hosted.report(self._end_ns), "scheme": self._kind}

    def lateness(self) -> dict[str, float]:
        return {"late_p50_ms": 0.1, "late_p99_ms": 0.2, "late_max_ms": 0.3}

    def _join(self) -> None:
        self._stop = True
        if self._thread is not None:
            self._thread.join()

    def _now(self) -> int:
        return int((time.monotonic() - self._zero) * 1e9)

    def _tell(self, change: Callable[[], None]) -> None:
        with self._changed:
            change()
            self._changed.notify_all()

    def _run(self) -> None:
        self._socket.settimeout(0.002)
        while not (self._stop or self.complete):
            self._hear()
            self._lose()
            with self._changed:
                actions, self._actions = self._actions, []
            for action in actions:
                self._hosted.answer(self._now(), action)
            if self._hosted.poll(self._now()):
                asked = (self._hosted.observation, self._hosted.step())
                self._tell(lambda asked=asked: setattr(self, "_question", asked))
            self._send()

    def _hear(self) -> None:
        try:
            number = int.from_bytes(self._socket.recv(8), "big")
        except TimeoutError:
            return
        if number not in self._flight:
            return
        sent_at, size = self._flight.pop(number)
        self._left -= size
        self._hosted.rtt_sample(int((time.monotonic() - sent_at) * 1e9))
        self._hosted.packet_acked(number)
        for old in [each for each in self._flight if each < number - REORDERED]:
            del self._flight[old]
            self._hosted.packet_lost(old)
        self._hosted.flush(self._now())
        if self._left <= 0:
            self._tell(lambda: setattr(self, "complete", True))

    def _lose(self) -> None:
        before = time.monotonic() - PROBE_S
        for number in [each for each, (sent_at, _) in self._flight.items() if sent_at < before]:
            del self._flight[number]
            self._hosted.packet_lost(number)
        self._hosted.flush(self._now())

    def _send(self) -> None:
        while self._hosted.writable > 0:
            self._number += 1
            self._socket.sendto(self._number.to_bytes(8, "big") + bytes(SIZE - 8), self._server)
            self._hosted.packet_sent(self._now(), self._number, SIZE)
            self._flight[self._number] = (time.monotonic(), SIZE)
