"""Real-time actors in training: their rows become columns of unrolls, and their questions are answered with
the learner's newest parameters. The server runs in a thread beside the learner; actors are processes, started
here or come from elsewhere."""

from __future__ import annotations

import asyncio
import copy
import logging
import tempfile
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import torch

from mvfstrl import _native
from mvfstrl.agents.impala.config import Precision
from mvfstrl.agents.impala.network import ImpalaNetwork
from mvfstrl.agents.impala.trajectory import Batch, Trajectory, TrajectoryRing
from mvfstrl.parameters import ParameterStore
from mvfstrl.policy_file import network_arrays, network_sizes
from mvfstrl.rpc import actors_pb2 as messages
from mvfstrl.rpc.answers import BatchPolicy, Floats, Memory, Model
from mvfstrl.rpc.processes import ActorProcesses
from mvfstrl.rpc.security import Address, ServerSecurity
from mvfstrl.rpc.service import Service, close, listen

logger = logging.getLogger(__name__)

BUFFERS = 3
"""One that columns are copied into, one that waits for the learner, one that it learns from."""
STOP_S = 5.0


@dataclass(frozen=True)
class RemoteConfig:
    """What a training's real-time actors are and play."""

    play: str
    """JSON that they are sent: see mvfstrl/actor.py."""
    spec_hash: str
    jobs: list[str]
    weights: list[float]
    """Of each scenario, to be drawn."""
    processes: int
    """Started, and kept alive, on this host."""
    columns: int
    """Of one real-time batch."""
    batch: int
    batch_ms: float
    listen: Address | None = None
    """Where others join."""
    security: ServerSecurity = field(default_factory=ServerSecurity)
    token_file: str | None = None
    program: Sequence[str] = ("-m", "mvfstrl.actor")
    """What Python runs as an actor: a test's seam."""


class LearnerParameters:
    """A store's newest parameters, as the native kernel takes them."""

    def __init__(self, store: ParameterStore, network: ImpalaNetwork, precision: Precision) -> None:
        self._store = store
        self._network = copy.deepcopy(network).to("cpu").requires_grad_(False).eval()
        self._precision = precision

    def newer(self, held: int) -> Model | None:
        version = self._store.pull(self._network, held)
        if version == held:
            return None
        weights = _native.PolicyModel.from_network(
            network_sizes(self._network), network_arrays(self._network), precision=self._precision.value
        )
        return Model(weights, version)


class Gatherer:
    """Fills unrolls of several columns with whatever actor's unroll comes next, for the learner's ring."""

    def __init__(self, ring: TrajectoryRing) -> None:
        self._ring = ring
        self._buffer: Trajectory | None = None
        self._filled = 0
        self.dropped = 0
        """Unrolls that no buffer was free for: the learner is too slow."""
        self.unfinished = 0
        """Those that their actor left."""

    def add(self, unroll: Trajectory) -> None:
        if self._buffer is None:
            self._buffer, self._filled = self._ring.acquire_at_once(), 0
        buffer = self._buffer
        if buffer is None:
            self.dropped += 1
            return
        for entry in fields(Batch):
            getattr(buffer.batch, entry.name)[:, self._filled] = getattr(unroll.batch, entry.name)[:, 0]
        buffer.version = unroll.version if self._filled == 0 else min(buffer.version, unroll.version)
        self._filled += 1
        if self._filled == buffer.batch.action.shape[1]:
            self._ring.publish(buffer)
            self._buffer = None


class ActorColumn:
    """One actor's unroll, row by row. An answer belongs to the last row."""

    def __init__(self, unroll: Trajectory, gatherer: Gatherer) -> None:
        self._unroll = unroll
        self._gatherer = gatherer
        self._t = -1
        """The last row; -1: there is none."""
        self._final = False
        """The last row ended an episode."""
        self._new = True
        """No answer is in the unroll yet."""

    def add_row(self, row: messages.Row, observation: Floats, memory: Memory) -> None:
        unroll = self._unroll
        if row.first and self._t >= 0 and not self._final:
            self.drop()  # the episode before broke off: its last row does not lead here
        t = self._t + 1
        if t == 0:
            self._begin(memory)
        self._write(t, row, observation)
        if t == unroll.length:
            self._gatherer.add(unroll)
            unroll.begin_after(unroll)
            self._begin(memory)
            t = 0
        self._t, self._final = t, not row.asks
        if self._final:  # no action follows, and none of an unroll before is to stand there
            unroll.batch.action[t] = 0
            unroll.batch.logits[t] = 0.0

    def add_answer(self, action: int, logits: Floats, version: int) -> None:
        if self._new:
            self._unroll.version, self._new = version, False
        decision = self._unroll.decisions[self._t]
        decision.action[0] = action
        decision.logits[0] = logits

    def drop(self) -> None:
        self._gatherer.unfinished += self._t > 0
        self._t, self._final = -1, False

    def _begin(self, memory: Memory) -> None:
        self._new = True
        self._unroll.batch.h.copy_(torch.from_numpy(memory.h))
        self._unroll.batch.c.copy_(torch.from_numpy(memory.c))

    def _write(self, t: int, row: messages.Row, observation: Floats) -> None:
        batch = self._unroll.batch
        batch.observation[t, 0] = torch.from_numpy(observation)
        batch.reward[t, 0] = row.reward
        batch.terminated[t, 0] = row.terminated
        batch.truncated[t, 0] = row.truncated
        batch.first[t, 0] = row.first
        batch.job[t, 0] = row.job


class RemoteActors:
    """The server in a thread, the processes on this host, and what both have counted. The service's
    `Trainer`."""

    def __init__(
        self,
        config: RemoteConfig,
        store: ParameterStore,
        network: ImpalaNetwork,
        ring: TrajectoryRing,
        make_buffer: Callable[[int], Trajectory],
        *,
        precision: Precision,
        seed: int,
        add_episodes: Callable[[list[dict[str, Any]]], None],
    ) -> None:
        """`make_buffer`: of so many columns. `ring`: the learner's."""
        self.play = config.play
        self._config = config
        self._ring = ring
        self._make_buffer = make_buffer
        self._add_episodes = add_episodes
        self._buffers = [make_buffer(config.columns) for _ in range(BUFFERS)]
        for buffer in self._buffers:
            buffer.siblings = 1
        self.gatherer = Gatherer(ring.beside(self._buffers))
        self._random = np.random.default_rng(seed)
        self._lags: list[int] = []
        self._broken_off = 0
        self.service = Service(
            BatchPolicy(LearnerParameters(store, network, precision), seed=seed),
            spec_hash=config.spec_hash,
            jobs=config.jobs,
            security=config.security,
            trainer=self,
            batch=config.batch,
            batch_ms=config.batch_ms,
        )
        self._folder = tempfile.TemporaryDirectory(prefix="mvfstrl-")  # nobody else may enter it
        own = Address(f"unix:{self._folder.name}/actors")
        self._addresses = [own] if config.listen is None else [own, config.listen]
        self._processes = ActorProcesses(self._command(own), config.processes, ring.fail)
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._over = False
        self._listening = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="actor-server", daemon=True)

    def start(self) -> None:
        """Raises where it cannot listen."""
        self._thread.start()
        self._listening.wait()
        if self._failure is not None:
            raise self._failure
        self._processes.start()

    def stop(self, *, over: bool) -> None:
        """`over`: the training has come to its end, and nobody need wait for it to go on."""
        self._over = over
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(STOP_S)
        self._processes.stop()
        self._folder.cleanup()

    def filled(self, buffer: Trajectory) -> bool:
        """Whether this buffer is of real-time columns."""
        return any(buffer is mine for mine in self._buffers)

    def add_lag(self, lag: int) -> None:
        """Of a batch that was learnt from, in updates since its first row."""
        self._lags.append(lag)

    def figures(self) -> dict[str, float]:
        """For a row of metrics: counts since the start, times and lags since the last row."""
        counts = self.service.counts
        figures: dict[str, float] = {
            "realtime/actors": counts.actors,
            "realtime/answers": counts.answers,
            "realtime/skipped": counts.skipped,
            "realtime/lost_actors": counts.lost,
            "realtime/replaced": self._processes.replaced,
            "realtime/rejoined": counts.rejoined,
            "realtime/refused": counts.refused,
            "realtime/broken_episodes": self._broken_off,
            "realtime/unfinished_unrolls": self.gatherer.unfinished,
            "realtime/dropped_unrolls": self.gatherer.dropped,
        }
        waited = counts.take_waited()
        if waited:
            p50, p99 = np.percentile(waited, [50, 99])
            figures |= {"realtime/answer_ms_p50": float(p50), "realtime/answer_ms_p99": float(p99)}
        if self._lags:
            figures["realtime/policy_lag"] = sum(self._lags) / len(self._lags)
            self._lags = []
        return figures

    # What the service asks of a trainer

    def next_episode(self) -> tuple[int, int]:
        weights = np.asarray(self._config.weights)
        scenario = self._random.choice(len(weights), p=weights / weights.sum())
        return int(self._random.integers(2**63)), int(scenario)

    def column(self) -> ActorColumn:
        return ActorColumn(self._make_buffer(1), self.gatherer)

    def add_episode(self, report: dict[str, Any]) -> None:
        self._add_episodes([report])

    def episode_broke_off(self) -> None:
        self._broken_off += 1

    # The server's thread

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        except BaseException as error:  # noqa: BLE001 - whoever waits raises it
            self._failure = error
            if self._listening.is_set():
                self._ring.fail(error)
        finally:
            self._listening.set()
            self._loop.close()

    async def _serve(self) -> None:
        torch.set_num_threads(1)  # each thread has its own setting
        server, addresses = await listen(self.service, self._config.security, self._addresses)
        logger.info("real-time actors may join at %s", " and ".join(a.text for a in addresses))
        self._listening.set()
        await self._stop.wait()
        if self._over:
            self.service.say_over()
        await close(server, grace_s=1.0 if self._over else 0.0)

    def _command(self, address: Address) -> Callable[[int], list[str]]:
        arguments = [*self._config.program, "--server", address.text, "--with-parent"]
        if self._config.token_file is not None:
            arguments += ["--token-file", self._config.token_file]
        return lambda number: [*arguments, "--name", f"actor-{number}"]
