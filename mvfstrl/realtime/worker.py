"""A process that plays real-time episodes for another one, which answers for the policy.

A sender shares its interpreter with nothing else: several connections at once are several processes, and a
policy's arithmetic runs in the process that started them. Between the two goes a pipe of plain tuples:
`Task`, then questions and answers, then ("done", report) or ("failed", text).

An episode that a policy server answers has one server from its start to its end. Where that is lost, what it
remembered of the connection is lost too: the episode is broken off, and played again when there is a server.
"""

from __future__ import annotations

import asyncio
import itertools
import multiprocessing
import queue
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mvfstrl.errors import MvfstrlError
from mvfstrl.realtime.errors import RealtimeError
from mvfstrl.realtime.hosts import Episode, Host, host_of
from mvfstrl.realtime.policy import AskedPolicy, Floats, Step

if TYPE_CHECKING:
    from mvfstrl.rpc.client import RemotePolicy

SERVER_S = 15.0  # until the policy server must have answered
LOST_SERVER_S = 600.0  # until one that was lost must be back
CHECK_S = 0.25  # how often it is looked for
ENDED = (EOFError, OSError)  # what a pipe raises whose other end is gone


@dataclass(frozen=True)
class LocalModel:
    """An exported policy that the connection plays by itself."""

    path: str
    instructions: str
    guard: dict[str, Any]


@dataclass(frozen=True)
class RemoteServer:
    """The policy server that answers instead of the process that started the worker."""

    address: str
    scenarios: tuple[str, ...]
    """Of the test, as their numbers count them."""
    token_file: str | None = None
    tls_ca: str | None = None


@dataclass(frozen=True)
class Task:
    """One episode."""

    config: dict[str, Any]
    seed: int
    job: int = -1
    asks: bool = False
    """Whether a policy answers, here by questions through the pipe, or `remote`'s."""
    local: LocalModel | None = None
    remote: RemoteServer | None = None
    log: Path | None = None
    qlog: Path | None = None


class PipedPolicy:
    """An `AskedPolicy` whose answers come through a pipe; for a connection on an event loop."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._open = 0  # questions whose answer has not come, the void ones too

    def begin(self, wake: Callable[[], None]) -> None:
        asyncio.get_running_loop().add_reader(self._pipe.fileno(), wake)

    def ask(self, observation: Floats, step: Step) -> None:
        self._open += 1
        self._pipe.send(("ask", observation.tobytes(), step))

    def poll(self) -> int | None:
        if not self._pipe.poll():
            return None
        self._open -= 1
        return int(self._pipe.recv())

    def end(self, observation: Floats, step: Step) -> None:
        asyncio.get_running_loop().remove_reader(self._pipe.fileno())
        for _ in range(self._open):  # void, but not to be taken for the next episode's
            self._pipe.recv()
        self._open = 0


class WaitingPolicy:
    """The same for a connection without one: a thread waits for the answers."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._open = 0
        self._expected: queue.SimpleQueue[bool] = queue.SimpleQueue()
        """An entry an answer to wait for; False: no more."""
        self._answers: queue.SimpleQueue[int | BaseException] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def begin(self, wake: Callable[[], None]) -> None:
        self._thread = threading.Thread(target=self._wait, args=(wake,), name="answers", daemon=True)
        self._thread.start()

    def ask(self, observation: Floats, step: Step) -> None:
        self._open += 1
        self._pipe.send(("ask", observation.tobytes(), step))
        self._expected.put(True)

    def poll(self) -> int | None:
        try:
            return self._take(block=False)
        except queue.Empty:
            return None

    def end(self, observation: Floats, step: Step) -> None:
        assert self._thread is not None
        while self._open:  # void, but not to be taken for the next episode's
            self._take(block=True)
        self._expected.put(False)
        self._thread.join()

    def _take(self, *, block: bool) -> int:
        answer = self._answers.get(block)
        self._open -= 1
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def _wait(self, wake: Callable[[], None]) -> None:
        while self._expected.get():
            try:
                self._answers.put(int(self._pipe.recv()))
            except ENDED as error:
                self._answers.put(error)
                self._expected.put(False)
            wake()


class WorkerProcess:
    """The other process, as its starter sees it."""

    def __init__(self, host: str, folder: Path, packet_size: int) -> None:
        """`host`: as `realtime.host`."""
        spawn = multiprocessing.get_context("spawn")  # a fork would inherit torch's threads
        self._pipe, theirs = spawn.Pipe()
        self._process = spawn.Process(target=work, args=(theirs, host, folder, packet_size))
        self._process.start()
        theirs.close()

    def play(
        self,
        task: Task,
        answer: Callable[[Floats, Step], int] | None = None,
        progress: Callable[[float], None] | None = None,
        lost: Callable[[str], None] | None = None,
    ) -> dict[str, Any]:
        """The episode's report. `answer` is called for every question, `progress` with the part that is
        over, `lost` when the policy server is, with the reason; what they raise goes through, and leaves a
        worker that is good for nothing but close()."""
        try:
            self._pipe.send(task)
            while True:
                kind, *content = self._pipe.recv()
                if kind == "ask":
                    assert answer is not None
                    self._pipe.send(answer(np.frombuffer(content[0], dtype=np.float32), content[1]))
                elif kind == "progress":
                    if progress is not None:
                        progress(content[0])
                elif kind == "lost":
                    if lost is not None:
                        lost(content[0])
                elif kind == "failed":
                    raise RealtimeError(content[0])
                else:
                    report: dict[str, Any] = content[0]
                    return report
        except ENDED as error:
            self._process.join()
            status = self._process.exitcode
            raise RealtimeError(f"a sender's process ended with status {status}") from error

    def close(self) -> None:
        """Ends the process: at once if it is idle, else within a moment of its next word."""
        self._pipe.close()
        self._process.join()


def work(pipe: Connection, name: str, folder: Path, packet_size: int) -> None:
    """The worker's life: episodes until the pipe ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started it ends it
    with host_of(name, folder, packet_size) as host:
        player = _Player(host, pipe, PipedPolicy if name == "aioquic" else WaitingPolicy)
        try:
            while True:
                player.play(pipe.recv())
        except ENDED:
            pass
        finally:
            player.close()


def _asking(server: RemoteServer, config: dict[str, Any]) -> RemotePolicy:
    """A stream to the policy server."""
    from mvfstrl._native import observation_spec
    from mvfstrl.rpc.client import RemotePolicy
    from mvfstrl.rpc.security import Address, ClientSecurity

    address = Address(server.address)
    security = ClientSecurity.of(address, server.token_file, server.tls_ca)
    seen = str(observation_spec(config)["hash"])
    return RemotePolicy(address, security, lambda welcome: seen, scenarios=list(server.scenarios))


class _LostServerError(Exception):
    pass


class _Player:
    def __init__(
        self, host: Host, pipe: Connection, make_policy: Callable[[Connection], AskedPolicy]
    ) -> None:
        self._host, self._pipe, self._make_policy = host, pipe, make_policy
        self._models: dict[str, Any] = {}
        self._remotes: dict[RemoteServer, RemotePolicy] = {}

    def play(self, task: Task) -> None:
        self._served: tuple[RemotePolicy, int] | None = None
        """Who answers this episode, and on which of its streams."""
        try:
            report = self._played(task)
        except (MvfstrlError, ValueError) as error:
            self._pipe.send(("failed", str(error)))
        else:
            self._pipe.send(("done", report))

    def _played(self, task: Task) -> dict[str, Any]:
        """How often it had to be begun again is in the report: `replayed`."""
        for replayed in itertools.count():
            try:
                report = self._host.play_episode(self._episode(task))
                self._check_server()
            except _LostServerError as error:
                self._pipe.send(("lost", str(error)))
            else:
                report["realtime"]["replayed"] = replayed
                break
        return report

    def _episode(self, task: Task) -> Episode:
        return Episode(
            task.config,
            seed=task.seed,
            job=task.job,
            policy=self._policy(task),
            model=self._model(task.local),
            guard=None if task.local is None else task.local.guard,
            log=task.log,
            qlog=task.qlog,
            progress=self._progress,
        )

    def close(self) -> None:
        for remote in self._remotes.values():
            remote.close()

    def _progress(self, part: float) -> None:
        self._check_server()
        self._pipe.send(("progress", part))

    def _check_server(self) -> None:
        if self._served is not None:
            remote, session = self._served
            remote.check()
            if not remote.connected or remote.sessions != session:
                raise _LostServerError(remote.problem)

    def _await(self, remote: RemotePolicy) -> None:
        """Until there is a server."""
        end = time.monotonic() + LOST_SERVER_S
        while not remote.connected:
            remote.check()
            if time.monotonic() > end:
                raise RealtimeError(f"no policy server for {LOST_SERVER_S:g} s: {remote.problem}")
            self._pipe.send(("progress", 0.0))  # whoever waits for us may have ended
            time.sleep(CHECK_S)

    def _policy(self, task: Task) -> AskedPolicy | None:
        if not task.asks:
            return None
        if task.remote is None:
            return self._make_policy(self._pipe)
        if task.remote not in self._remotes:
            self._remotes[task.remote] = _asking(task.remote, task.config)
        remote = self._remotes[task.remote]
        remote.wait_ready(SERVER_S)
        self._await(remote)
        self._served = remote, remote.sessions
        return remote

    def _model(self, local: LocalModel | None) -> Any:
        if local is None:
            return None
        if local.path not in self._models:
            from mvfstrl._native import PolicyModel

            self._models[local.path] = PolicyModel(local.path, instructions=local.instructions)
        return self._models[local.path]
