"""The server's side of actors.proto: checks who asks and what, answers in batches, hands rows to a trainer.

All of it runs in one event loop. A batch is answered as soon as it is full, its deadline has come, or there
is nobody left who could still ask.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import grpc
import numpy as np
from google.protobuf.message import DecodeError
from grpc import StatusCode
from grpc.aio import EOF
from grpc.aio import server as make_server

from mvfstrl import rpc
from mvfstrl.rpc import actors_pb2 as messages
from mvfstrl.rpc.answers import BatchPolicy, Floats, Memory, Question
from mvfstrl.rpc.security import Address, ServerSecurity

logger = logging.getLogger(__name__)

SILENT_S = 60.0
"""An actor in training that says nothing for so long is given up."""
HELLO_S = 10.0
"""So long may a peer take to say who it is."""
ANSWERS_KEPT = 100_000


class Column(Protocol):
    """One actor's rows on their way to the learner."""

    def add_row(self, row: messages.Row, observation: Floats, memory: Memory) -> None:
        """`memory`: from before the row."""

    def add_answer(self, action: int, logits: Floats, version: int) -> None:
        """To the last row."""

    def drop(self) -> None:
        """The actor is gone: what is unfinished is of no use."""


class Trainer(Protocol):
    """Who learns from what actors play."""

    play: str
    """JSON: what they play with."""

    def next_episode(self) -> tuple[int, int]:
        """Seed and scenario, never the same again."""

    def column(self) -> Column: ...

    def add_episode(self, report: dict[str, Any]) -> None: ...

    def episode_broke_off(self) -> None:
        """An actor could not play to the end."""


@dataclass
class Counts:
    """Since the server's start, but for `actors` and `waited_ms`."""

    actors: int = 0
    """Connected now."""
    joined: int = 0
    rejoined: int = 0
    """Of them, those that had been connected before."""
    lost: int = 0
    """That went without a word."""
    refused: int = 0
    answers: int = 0
    skipped: int = 0
    """Observations that fell due before the answer to the last one was there."""
    waited_ms: deque[float] = field(default_factory=lambda: deque(maxlen=ANSWERS_KEPT))
    """How long the newest answers took, as actors saw it."""

    def take_waited(self) -> list[float]:
        """From any thread: those since the last call."""
        return [self.waited_ms.popleft() for _ in range(len(self.waited_ms))]


class Refusal(Exception):
    """What ends a peer's stream, told to both sides."""

    def __init__(self, code: StatusCode, message: str) -> None:
        super().__init__(message)
        self.code = code


class Connection:
    """A peer that has said hello."""

    def __init__(self, peer: str, hello: messages.Hello, memory: Memory, column: Column | None) -> None:
        self.peer = peer
        self.name = f"{hello.name or 'an actor'} ({peer})"
        self.memory = memory
        self.column = column
        """None in evaluation."""
        self.ready = False
        self.asked: tuple[messages.Row, Floats] | None = None
        self.outbox: asyncio.Queue[messages.FromServer] = asyncio.Queue()


class Service:
    """Answers all peers of one server."""

    def __init__(
        self,
        policy: BatchPolicy,
        *,
        spec_hash: str,
        jobs: list[str],
        security: ServerSecurity,
        trainer: Trainer | None = None,
        batch: int = 32,
        batch_ms: float = 1.0,
    ) -> None:
        """So many questions are answered at once, `batch`, or those that came within `batch_ms`."""
        self.counts = Counts()
        self._policy = policy
        self._spec_hash = spec_hash
        self._jobs = jobs
        self._security = security
        self._trainer = trainer
        self._batch, self._batch_ms = batch, batch_ms
        self._connections: set[Connection] = set()
        self._waiting: list[Connection] = []
        self._deadline: asyncio.TimerHandle | None = None

    # One stream

    async def play(self, _: object, context: Any) -> None:
        """The handler of one peer's stream, of undecoded messages."""
        connection: Connection | None = None
        lost = True
        try:
            connection = await self._meet(context)
            lost = not await self._serve(connection, context)
        except Refusal as refusal:
            lost = refusal.code is StatusCode.DEADLINE_EXCEEDED
            self.counts.refused += not lost
            logger.warning("refused %s: %s", connection.name if connection else context.peer(), refusal)
            await context.abort(refusal.code, str(refusal))
        finally:
            if connection is not None:
                self._part(connection, lost)

    async def _meet(self, context: Any) -> Connection:
        reason = self._security.refusal(context.invocation_metadata() or ())
        if reason is not None:
            raise Refusal(StatusCode.UNAUTHENTICATED, reason)
        said = await self._read(context, HELLO_S)
        if said is None or said.WhichOneof("said") != "hello":
            raise Refusal(StatusCode.INVALID_ARGUMENT, "a stream begins with hello")
        hello = said.hello
        if hello.protocol != rpc.PROTOCOL:
            raise Refusal(
                StatusCode.FAILED_PRECONDITION,
                f"this server speaks version {rpc.PROTOCOL} of the protocol, the actor {hello.protocol}",
            )
        training = hello.purpose == messages.TRAIN
        if not training and hello.purpose != messages.EVALUATE:
            raise Refusal(StatusCode.INVALID_ARGUMENT, f"unknown purpose {hello.purpose}")
        if training and self._trainer is None:
            raise Refusal(StatusCode.FAILED_PRECONDITION, "this server only answers: it has nothing to train")
        column = self._trainer.column() if self._trainer is not None and training else None
        connection = Connection(context.peer(), hello, Memory(self._policy.network), column)
        self._connections.add(connection)
        self.counts.joined += 1
        self.counts.rejoined += hello.sessions > 0
        self.counts.actors = len(self._connections)
        logger.info("%s joins%s", connection.name, " again" if hello.sessions else "")
        play = self._trainer.play if self._trainer is not None and training else ""
        welcome = messages.Welcome(
            protocol=rpc.PROTOCOL, spec_hash=self._spec_hash, jobs=self._jobs, play=play
        )
        await context.write(messages.FromServer(welcome=welcome))
        return connection

    async def _serve(self, connection: Connection, context: Any) -> bool:
        """Until the peer goes; whether it said so."""
        writer = asyncio.create_task(_write(connection, context))
        silent_s = None if connection.column is None else SILENT_S
        try:
            while (said := await self._read(context, silent_s)) is not None:
                if said.WhichOneof("said") == "leave":
                    return True
                self._hear(connection, said)
        finally:
            writer.cancel()
        return False

    async def _read(self, context: Any, timeout_s: float | None) -> messages.FromActor | None:
        """The peer's next message; None when it leaves. Raises Refusal."""
        try:
            data = await asyncio.wait_for(context.read(), timeout_s)
        except TimeoutError:
            raise Refusal(
                StatusCode.DEADLINE_EXCEEDED, f"not a word for {timeout_s:g} s: the actor is given up"
            ) from None
        if data is EOF:
            return None
        if len(data) > rpc.MESSAGE_BYTES:
            raise Refusal(
                StatusCode.RESOURCE_EXHAUSTED,
                f"a message of {len(data)} bytes, and at most {rpc.MESSAGE_BYTES} are taken",
            )
        try:
            return messages.FromActor.FromString(data)
        except DecodeError as error:
            raise Refusal(StatusCode.INVALID_ARGUMENT, f"a message that cannot be read: {error}") from error

    def _part(self, connection: Connection, lost: bool) -> None:
        """`lost`: it went without a word."""
        logger.info("%s %s", connection.name, "is lost" if lost else "leaves")
        self.counts.lost += lost
        self._connections.discard(connection)
        self.counts.actors = len(self._connections)
        if connection in self._waiting:
            self._waiting.remove(connection)
        if connection.column is not None:
            connection.column.drop()
        self._answer_if_due()

    # What a peer says

    def _hear(self, connection: Connection, said: messages.FromActor) -> None:
        what = said.WhichOneof("said")
        if what == "ready" and not connection.ready:
            self._on_ready(connection, said.ready)
        elif what == "row" and connection.ready:
            self._on_row(connection, said.row)
        elif what == "report" and connection.ready:
            self._on_report(connection, said.report)
        else:
            raise Refusal(StatusCode.INVALID_ARGUMENT, f"{what or 'nothing'} where it has no place")

    def _on_ready(self, connection: Connection, ready: messages.Ready) -> None:
        if ready.spec_hash != self._spec_hash:
            raise Refusal(
                StatusCode.FAILED_PRECONDITION,
                f"observations and actions of spec {ready.spec_hash}, where the policy's are of spec"
                f" {self._spec_hash}: history, actions or reward differ, or the version of mvfst-rl does",
            )
        connection.ready = True
        self._offer_episode(connection)

    def _on_report(self, connection: Connection, report: messages.Report) -> None:
        if self._trainer is None or connection.column is None:
            return
        if report.failed:
            logger.warning("%s could not play on: %s", connection.name, report.failed[:500])
            self._trainer.episode_broke_off()
            self._offer_episode(connection)
            return
        try:
            episode = json.loads(report.json)
            if episode["scenario"] not in self._jobs or not isinstance(episode["flows"], list):
                raise ValueError(f"scenario {episode['scenario']!r}")
            numbers = float(episode["return"]), float(episode["steps"])
        except (ValueError, TypeError, KeyError) as error:
            message = f"an episode's report without sense: {error!r}"
            raise Refusal(StatusCode.INVALID_ARGUMENT, message) from error
        if not all(map(math.isfinite, numbers)):
            raise Refusal(StatusCode.INVALID_ARGUMENT, f"an episode's return and steps of {numbers}")
        self._trainer.add_episode(episode)

    def _offer_episode(self, connection: Connection) -> None:
        if self._trainer is not None and connection.column is not None:
            seed, scenario = self._trainer.next_episode()
            episode = messages.Episode(seed=seed, scenario=scenario)
            connection.outbox.put_nowait(messages.FromServer(episode=episode))

    def _on_row(self, connection: Connection, row: messages.Row) -> None:
        observation = self._checked(connection, row)
        if connection in self._waiting:  # the episode's end, before its last question had an answer
            self._answer()
        self.counts.skipped += row.skipped
        if row.waited_ms > 0:
            self.counts.waited_ms.append(row.waited_ms)
        if connection.column is not None:
            connection.column.add_row(row, observation, connection.memory)
        if not row.asks:
            self._offer_episode(connection)
            return
        connection.asked = row, observation
        self._waiting.append(connection)
        self._answer_if_due()

    def _checked(self, connection: Connection, row: messages.Row) -> Floats:
        """The row's observation. Raises Refusal."""
        size = self._policy.network["observation_size"]
        problem = None
        if len(row.observation) != 4 * size:
            problem = f"an observation of {len(row.observation)} bytes, where {size} numbers have {4 * size}"
        elif row.asks and connection in self._waiting:
            problem = "a question before the last one was answered"
        elif not -1 <= row.job < len(self._jobs):
            problem = f"job {row.job} of {len(self._jobs)}"
        elif not math.isfinite(row.reward) or not math.isfinite(row.waited_ms):
            problem = f"a reward of {row.reward}, waited {row.waited_ms} ms"
        elif row.asks == (row.terminated or row.truncated):
            problem = "a row asks exactly where the episode goes on"
        observation = np.frombuffer(row.observation, "<f4") if problem is None else np.empty(0)
        if not np.isfinite(observation).all():
            problem = "an observation with numbers that are none"
        if problem is not None:
            raise Refusal(StatusCode.INVALID_ARGUMENT, problem)
        return observation.astype(np.float32)  # a copy: what a message holds cannot be written to

    # Answers

    def _answer_if_due(self) -> None:
        waiting = len(self._waiting)
        if waiting >= min(self._batch, len(self._connections)) and waiting > 0:
            self._answer()
        elif waiting > 0 and self._deadline is None:
            self._deadline = asyncio.get_running_loop().call_later(self._batch_ms / 1e3, self._answer)

    def _answer(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        batch, self._waiting = self._waiting[: self._batch], self._waiting[self._batch :]
        if not batch:
            return
        questions = []
        for connection in batch:
            assert connection.asked is not None
            row, observation = connection.asked
            questions.append(Question(observation, row.first, row.job, connection.memory))
        answers = self._policy.act(questions, [c.column is not None for c in batch])
        for connection, action, logits in zip(batch, answers.actions, answers.logits, strict=True):
            assert connection.asked is not None
            number = connection.asked[0].number
            connection.asked = None
            answer = messages.Answer(number=number, action=int(action), version=answers.version)
            connection.outbox.put_nowait(messages.FromServer(answer=answer))
            if connection.column is not None:
                connection.column.add_answer(int(action), logits, answers.version)
        self.counts.answers += len(batch)
        asyncio.get_running_loop().call_soon(self._policy.refresh)  # once the answers are on their way
        self._answer_if_due()

    def say_over(self) -> None:
        """Tells all actors in training that there is nothing more to play."""
        for connection in self._connections:
            if connection.column is not None:
                connection.outbox.put_nowait(messages.FromServer(over=messages.Over()))


async def _write(connection: Connection, context: Any) -> None:
    while True:
        await context.write(await connection.outbox.get())


class _Handler(grpc.GenericRpcHandler):
    """Gives streams to a service; tells whoever calls anything else what is spoken here."""

    def __init__(self, service: Service) -> None:
        self._play: grpc.RpcMethodHandler[Any, Any] = grpc.stream_stream_rpc_method_handler(
            service.play, response_serializer=messages.FromServer.SerializeToString
        )
        self._service = service

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any]:
        if details.method == rpc.METHOD:
            return self._play

        async def refuse(_: object, context: Any) -> None:
            message = f"{details.method} is not known here: this server speaks {rpc.METHOD}"
            self._service.counts.refused += 1
            logger.warning("refused %s: %s", context.peer(), message)
            await context.abort(StatusCode.UNIMPLEMENTED, message)

        handler: grpc.RpcMethodHandler[Any, Any] = grpc.stream_stream_rpc_method_handler(refuse)
        return handler


async def listen(
    service: Service, security: ServerSecurity, addresses: Sequence[Address]
) -> tuple[Any, list[Address]]:
    """Starts a server; returns it and where it listens, a port 0 resolved."""
    server = make_server(
        options=[
            ("grpc.max_receive_message_length", 4 * rpc.MESSAGE_BYTES),
            ("grpc.so_reuseport", 0),
            ("grpc.keepalive_time_ms", 10_000),
            ("grpc.keepalive_timeout_ms", 20_000),
            ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
        ]
    )
    server.add_generic_rpc_handlers((_Handler(service),))
    found = [address.at(security.bind(server, address)) for address in addresses]
    await server.start()
    return server, found


async def close(server: Any, grace_s: float) -> None:
    """Stops a server, and all that is left to do in this loop."""
    await server.stop(grace_s)
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)
