"""mvfst's real-time episodes: its client and server, each with a thread of its own in the native core.

Nothing of a connection's work is Python's: the caller's thread waits, hands questions to the policy and
answers to the connection.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, cast

from mvfstrl import _native
from mvfstrl.realtime.errors import RealtimeError
from mvfstrl.realtime.hosts import HANDSHAKE_S, PROGRESS_S, Episode, Host, Played
from mvfstrl.realtime.path import path_report

if TYPE_CHECKING:
    from mvfstrl._native import EmulatedPath, MvfstSender
    from mvfstrl.realtime.policy import AskedPolicy, Step


class MvfstHost(Host):
    """Four threads: the emulator's, the receiver's, the sender's, and the caller's, which asks."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        with _connection_errors():
            self._receiver = _native.MvfstReceiver(
                str(self._certificate.certificate), str(self._certificate.key)
            )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._receiver.close()
        super().__exit__(kind, error, trace)

    @property
    def _address(self) -> tuple[str, int]:
        return self._receiver.address

    def _play(self, episode: Episode, path: EmulatedPath) -> Played:
        with _kept_log(episode.qlog) as logs:
            with _connection_errors():
                sender = _native.MvfstSender(
                    episode.config,
                    seed=episode.seed,
                    server=path.client_address,
                    ca=str(self._certificate.certificate),
                    policy=episode.model,
                    job=episode.job,
                    guard=episode.guard,
                    qlog=logs,
                )
            with closing(sender):
                zero = time.monotonic()
                path.start()
                with _connection_errors():
                    sender.connect(1000.0 * HANDSHAKE_S)
                handshake_ms = 1000.0 * (time.monotonic() - zero)
                latencies_ms = _Connection(sender, episode, zero).play()
                report = path_report(path)
                return Played(report, sender.report(), handshake_ms, latencies_ms, sender.lateness(), None)


class _Connection:
    """From the first data to the last window."""

    def __init__(self, sender: MvfstSender, episode: Episode, zero: float) -> None:
        self._sender, self._episode, self._zero = sender, episode, zero
        self._asked_at = 0.0
        self._latencies_ms: list[float] = []

    def play(self) -> list[float]:
        """The time from each question to its answer. Ends when the time is up, or a transfer is complete."""
        sender, policy, progress = self._sender, self._episode.policy, self._episode.progress
        length_s = self._episode.length_s
        if policy is not None:
            policy.begin(sender.wake)
        sender.start()
        told = time.monotonic()
        while (left := self._zero + length_s - time.monotonic()) > 0 and not sender.complete:
            sender.wait(1000.0 * min(left, PROGRESS_S))
            if policy is not None:
                self._ask_and_answer(policy)
            now = time.monotonic()
            if sender.ended is not None and not sender.complete:
                raise RealtimeError(f"the connection ended after {now - self._zero:.1f} s: {sender.ended}")
            if progress is not None and now - told >= PROGRESS_S:
                told = now
                progress(min((now - self._zero) / length_s, 1.0))
        sender.finish()
        if policy is not None:
            policy.end(sender.observation, cast("Step", sender.step()))
        return self._latencies_ms

    def _ask_and_answer(self, policy: AskedPolicy) -> None:
        question = self._sender.take_question()
        if question is not None:
            self._asked_at = time.monotonic()
            policy.ask(question[0], cast("Step", question[1]))
        action = policy.poll()
        if action is not None:
            self._latencies_ms.append(1000.0 * (time.monotonic() - self._asked_at))
            self._sender.answer(action)


@contextmanager
def _connection_errors() -> Iterator[None]:
    try:
        yield
    except ConnectionError as error:
        raise RealtimeError(str(error)) from error


@contextmanager
def _kept_log(qlog: Path | None) -> Iterator[str | None]:
    """The folder where mvfst writes the log of one connection, under a name of its own; moved to `qlog`."""
    if qlog is None:
        yield None
        return
    qlog.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".qlog-", dir=qlog.parent) as folder:
        yield folder
        for written in Path(folder).iterdir():
            written.replace(qlog)
