"""Asks a policy server, and never waits for it: the connection that is driven goes on, whatever the server,
or the way there, does. A stream that breaks is taken up again, with the question that was open."""

from __future__ import annotations

import logging
import queue
import random
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import grpc
import numpy as np
from grpc import StatusCode

from mvfstrl import rpc
from mvfstrl.errors import MvfstrlError
from mvfstrl.realtime.policy import Floats, Step
from mvfstrl.rpc import actors_pb2 as messages
from mvfstrl.rpc.security import Address, ClientSecurity

logger = logging.getLogger(__name__)

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 5.0
"""Before a broken stream is tried again; twice as long after each try in vain."""
REFUSALS = frozenset(
    {
        StatusCode.UNAUTHENTICATED,
        StatusCode.PERMISSION_DENIED,
        StatusCode.FAILED_PRECONDITION,
        StatusCode.INVALID_ARGUMENT,
        StatusCode.RESOURCE_EXHAUSTED,
        StatusCode.UNIMPLEMENTED,
    }
)
"""What is not tried again."""
OPTIONS = [
    ("grpc.use_local_subchannel_pool", 1),  # a new try is one, not the wait of the last
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.max_receive_message_length", 4 * rpc.MESSAGE_BYTES),
]

Message = messages.FromActor
Outbox = queue.SimpleQueue[Message | None]


class ServerError(MvfstrlError):
    """A policy server that refuses, or that is not there."""


class Link:
    """A stream to the server, held by a thread of its own."""

    def __init__(
        self,
        address: Address,
        security: ClientSecurity,
        hello: messages.Hello,
        on_said: Callable[[messages.FromServer], None],
        on_end: Callable[[], None],
    ) -> None:
        """`on_said` and `on_end`, which tells that the server refused, are called by the thread."""
        self.sessions = 0
        """Streams on which the server has said something."""
        self.refused: ServerError | None = None
        self.problem = ""
        """Why the latest stream broke."""
        self._address, self._security, self._hello = address, security, hello
        self._on_said, self._on_end = on_said, on_end
        self._lock = threading.Lock()
        self._outbox: Outbox | None = None
        self._open = False
        self._heard = False
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="policy-link", daemon=True)
        self._thread.start()

    @property
    def connected(self) -> bool:
        """Whether there is a stream on which the server has said something."""
        return self._heard

    def send(self, message: Message, *, opens: bool = False) -> None:
        """Drops what cannot be sent because there is no stream, or none that a message has opened: the server
        has to be known first."""
        with self._lock:
            self._open |= opens
            if self._outbox is not None and self._open:
                self._outbox.put(message)

    def close(self, timeout_s: float = 5.0) -> None:
        """What was sent still arrives, if the server takes it in time."""
        self._closed.set()
        with self._lock:
            if self._outbox is not None:
                self._outbox.put(Message(leave=messages.Leave()))
                self._outbox.put(None)
        self._thread.join(timeout_s)

    def _run(self) -> None:
        pause = FIRST_PAUSE_S
        while not self._closed.is_set() and self.refused is None:
            before = self.sessions
            self._stream()
            if self.sessions > before:
                pause = FIRST_PAUSE_S
            self._closed.wait(pause * random.uniform(0.75, 1.25))
            pause = min(2 * pause, LONGEST_PAUSE_S)
        if self.refused is not None:
            self._on_end()

    def _stream(self) -> None:
        """One stream from its hello to its end."""
        outbox: Outbox = queue.SimpleQueue()
        hello = messages.Hello()
        hello.CopyFrom(self._hello)
        hello.sessions = self.sessions
        outbox.put(Message(hello=hello))
        with self._lock:
            if self._closed.is_set():
                return
            self._outbox, self._open = outbox, False
        try:
            with self._security.channel(self._address, OPTIONS) as channel:
                play = channel.stream_stream(
                    rpc.METHOD, Message.SerializeToString, messages.FromServer.FromString
                )
                for said in play(iter(outbox.get, None), metadata=self._security.metadata):
                    if not self._heard:
                        self.sessions += 1
                        self._heard = True
                    self._on_said(said)
        except grpc.RpcError as error:
            self._note(error)
        finally:
            with self._lock:
                self._outbox = None
                self._heard = False
            outbox.put(None)

    def _note(self, error: Any) -> None:
        """`error`: also a grpc.Call."""
        self.problem = f"{error.details() or error.code().name}"
        if error.code() in REFUSALS:
            self.refused = ServerError(f"{self._address.text} refuses: {self.problem}")
        elif not self._closed.is_set():
            logger.info("%s: %s; trying again", self._address.text, self.problem)


class RemotePolicy:
    """An `AskedPolicy` on a server; and, for an actor in training, what to play (`next_episode`)."""

    def __init__(
        self,
        address: Address,
        security: ClientSecurity,
        spec_hash: Callable[[messages.Welcome], str],
        *,
        purpose: messages.Purpose = messages.EVALUATE,
        name: str = "",
        scenarios: Sequence[str] | None = None,
    ) -> None:
        """`spec_hash`: what the observations to come mean, given the server's welcome. `scenarios`: names of
        those that a step's `job` counts; None: counted as by the server."""
        self._spec_hash = spec_hash
        self._scenarios = scenarios
        self._lock = threading.RLock()  # who is woken may poll at once
        self._wake: Callable[[], None] = _nobody
        self._welcome: messages.Welcome | None = None
        self._ready = threading.Event()
        self._episodes: queue.SimpleQueue[messages.Episode | None] = queue.SimpleQueue()
        self._number = 0
        self._asked: messages.Row | None = None
        self._asked_at = 0.0
        self._waited_ms = 0.0
        self._action: int | None = None
        self._void = False
        """The server has come to play something else: what is left of the episode is nobody's."""
        self._over = False
        hello = messages.Hello(protocol=rpc.PROTOCOL, purpose=purpose, name=name)
        self._link = Link(address, security, hello, self._on_said, self._on_refused)

    # AskedPolicy

    def begin(self, wake: Callable[[], None]) -> None:
        with self._lock:
            self._wake = wake
            self._asked = self._action = None
            self._void = False

    def ask(self, observation: Floats, step: Step) -> None:
        row = self._row(observation, step, asks=True)
        with self._lock:
            self._asked, self._asked_at = row, time.monotonic()
            self._send(row)

    def poll(self) -> int | None:
        with self._lock:
            action, self._action = self._action, None
        return action

    def end(self, observation: Floats, step: Step) -> None:
        row = self._row(observation, step, asks=False)
        with self._lock:
            self._asked = self._action = None
            self._wake = _nobody
            self._send(row)

    def _row(self, observation: Floats, step: Step, *, asks: bool) -> messages.Row:
        self._number += 1
        waited, self._waited_ms = self._waited_ms, 0.0
        return messages.Row(
            number=self._number,
            observation=np.ascontiguousarray(observation, "<f4").tobytes(),
            reward=step["reward"],
            first=step["first"],
            terminated=step["terminated"],
            truncated=step["truncated"],
            skipped=step["skipped"],
            job=self._job(step["job"]),
            asks=asks,
            waited_ms=waited,
        )

    def _job(self, job: int) -> int:
        if self._scenarios is None or self._welcome is None or job < 0:
            return job
        name = self._scenarios[job]
        return list(self._welcome.jobs).index(name) if name in self._welcome.jobs else -1

    def _send(self, row: messages.Row) -> None:
        if not self._void:
            self._link.send(Message(row=row))

    # What it is in training, and its life

    def wait_ready(self, timeout_s: float) -> messages.Welcome:
        """The server's welcome. Raises ServerError where it refuses or does not answer in time."""
        self._ready.wait(timeout_s)
        self.check()
        if self._welcome is None:
            raise ServerError(
                f"no answer from the policy server within {timeout_s:g} s: {self._link.problem or 'silence'}"
            )
        return self._welcome

    def check(self) -> None:
        """Raises what the server refused."""
        if self._link.refused is not None:
            raise self._link.refused

    @property
    def welcome(self) -> messages.Welcome:
        """The newest; there is one, once it was ready."""
        assert self._welcome is not None
        return self._welcome

    @property
    def connected(self) -> bool:
        return self._link.connected

    @property
    def problem(self) -> str:
        """Why the latest stream broke; empty if none did."""
        return self._link.problem

    @property
    def sessions(self) -> int:
        """Streams that it has had; one, where none broke."""
        return self._link.sessions

    @property
    def over(self) -> bool:
        """The server has nothing more to play."""
        return self._over

    def next_episode(self, timeout_s: float) -> messages.Episode | None:
        """What to play next, the newest that was offered; None when there is nothing (yet, or any more)."""
        try:
            episode = self._episodes.get(timeout=timeout_s)
            while not self._episodes.empty():
                episode = self._episodes.get()
        except queue.Empty:
            episode = None
        self.check()
        return None if self._over else episode

    def report(self, json: str = "", *, failed: str = "") -> None:
        """Of the episode that was played; or why it could not be."""
        with self._lock:
            if not self._void:
                self._link.send(Message(report=messages.Report(json=json, failed=failed)))

    def close(self) -> None:
        self._link.close()

    # The link's thread

    def _on_said(self, said: messages.FromServer) -> None:
        what = said.WhichOneof("said")
        if what == "answer":
            self._on_answer(said.answer)
        elif what == "welcome":
            self._on_welcome(said.welcome)
        elif what == "episode":
            self._episodes.put(said.episode)
        elif what == "over":
            self._over = True
            self._episodes.put(None)

    def _on_welcome(self, welcome: messages.Welcome) -> None:
        spec_hash = self._spec_hash(welcome)
        with self._lock:
            if self._welcome is not None and self._welcome.play != welcome.play:
                self._void = True
            self._welcome = welcome
            self._link.send(Message(ready=messages.Ready(spec_hash=spec_hash)), opens=True)
            self._ready.set()
            if self._asked is not None and not self._void:
                self._link.send(Message(row=self._asked))

    def _on_answer(self, answer: messages.Answer) -> None:
        with self._lock:
            if self._asked is None or answer.number != self._asked.number:
                return  # to a question of a stream, or an episode, that is over
            self._asked, self._action = None, answer.action
            self._waited_ms = 1e3 * (time.monotonic() - self._asked_at)
            self._wake_up()

    def _on_refused(self) -> None:
        self._ready.set()
        self._episodes.put(None)
        with self._lock:
            self._wake_up()

    def _wake_up(self) -> None:
        try:
            self._wake()
        except RuntimeError as error:  # an event loop that was closed without a word to us
            logger.debug("nobody to wake up: %s", error)
            self._wake = _nobody


def _nobody() -> None:
    pass
