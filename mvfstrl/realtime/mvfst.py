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
from typing import TYPE_CHECKING, Any, cast

from mvfstrl import _native
from mvfstrl.realtime.certificates import certificate_in
from mvfstrl.realtime.errors import RealtimeError
from mvfstrl.realtime.hosts import HANDSHAKE_S, PROGRESS_S, Played, Progress, episode_report, settled_memory
from mvfstrl.realtime.path import emulated_path, path_report

if TYPE_CHECKING:
    from mvfstrl._native import MvfstSender, PolicyModel
    from mvfstrl.realtime.policy import AskedPolicy, Step


class MvfstHost:
    """Plays episodes one after the other: threads of an emulator's, a receiver's and a sender's, and the
    caller's, which asks. A context manager; `folder` gets the certificates."""

    def __init__(self, folder: Path) -> None:
        self._certificate = certificate_in(folder)
        self._emulator = _native.Emulator()
        with _connection_errors():
            self._receiver = _native.MvfstReceiver(
                str(self._certificate.certificate), str(self._certificate.key)
            )

    def __enter__(self) -> MvfstHost:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._receiver.close()
        self._emulator.close()

    def play_episode(
        self,
        config: dict[str, Any],
        *,
        seed: int,
        scenario: int | str = 0,
        job: int = -1,
        policy: AskedPolicy | None = None,
        model: PolicyModel | None = None,
        guard: dict[str, Any] | None = None,
        log: Path | None = None,
        qlog: Path | None = None,
        progress: Progress | None = None,
    ) -> dict[str, Any]:
        """As `Host.play_episode`; `qlog`: where mvfst's log goes."""
        with (
            emulated_path(
                config,
                server=self._receiver.address,
                seed=seed,
                scenario=scenario,
                log=log,
                emulator=self._emulator,
                series=True,
            ) as path,
            _kept_log(qlog) as logs,
        ):
            with _connection_errors():
                sender = _native.MvfstSender(
                    config,
                    seed=seed,
                    server=path.client_address,
                    ca=str(self._certificate.certificate),
                    policy=model,
                    job=job,
                    guard=guard,
                    qlog=logs,
                )
            with closing(sender), settled_memory():
                zero = time.monotonic()
                path.start()
                with _connection_errors():
                    sender.connect(1000.0 * HANDSHAKE_S)
                handshake_ms = 1000.0 * (time.monotonic() - zero)
                episode = _Episode(sender, policy, zero, config["episode_ms"] / 1000.0)
                latencies_ms = episode.play(progress)
                played = Played(
                    path_report(path), sender.report(), handshake_ms, latencies_ms, sender.lateness(), None
                )
        return episode_report(config, seed, path.scenario, played)


class _Episode:
    """From the first data to the last window."""

    def __init__(self, sender: MvfstSender, policy: AskedPolicy | None, zero: float, length_s: float) -> None:
        self._sender, self._policy = sender, policy
        self._zero, self._length_s = zero, length_s
        self._asked_at = 0.0
        self._latencies_ms: list[float] = []

    def play(self, progress: Progress | None) -> list[float]:
        """The time from each question to its answer. Ends when the time is up, or a transfer is complete."""
        sender, policy = self._sender, self._policy
        if policy is not None:
            policy.begin(sender.wake)
        sender.start()
        told = time.monotonic()
        while (left := self._zero + self._length_s - time.monotonic()) > 0 and not sender.complete:
            sender.wait(1000.0 * min(left, PROGRESS_S))
            if policy is not None:
                self._ask_and_answer(policy)
            now = time.monotonic()
            if sender.ended is not None and not sender.complete:
                raise RealtimeError(f"the connection ended after {now - self._zero:.1f} s: {sender.ended}")
            if progress is not None and now - told >= PROGRESS_S:
                told = now
                progress(min((now - self._zero) / self._length_s, 1.0))
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
