"""All who act beside a learner: the thread of the simulated actors, the server of those in real time."""

from __future__ import annotations

import queue
from collections.abc import Callable
from typing import Any

from mvfstrl.agents.impala.actor import Actor, ActorThread
from mvfstrl.agents.impala.config import Precision
from mvfstrl.agents.impala.network import ImpalaNetwork
from mvfstrl.agents.impala.remote import RemoteActors, RemoteConfig
from mvfstrl.agents.impala.trajectory import Trajectory, TrajectoryRing
from mvfstrl.parameters import ParameterStore
from mvfstrl.vector_environment import VectorEnvironment


class Players:
    """Fill the learner's ring from `start` to `stop`."""

    def __init__(self, ring: TrajectoryRing) -> None:
        self._ring = ring
        self._episodes: queue.SimpleQueue[list[dict[str, Any]]] = queue.SimpleQueue()
        self._thread: ActorThread | None = None
        self._remote: RemoteActors | None = None

    def add_simulated(self, actor: Actor, environment: VectorEnvironment) -> None:
        """Its groups were reset, and the ring has buffers for them."""
        self._thread = ActorThread(
            actor, self._ring, lambda: self._episodes.put(environment.drain_episodes())
        )

    def add_remote(
        self,
        config: RemoteConfig,
        store: ParameterStore,
        network: ImpalaNetwork,
        make_buffer: Callable[[int], Trajectory],
        *,
        precision: Precision,
        seed: int,
    ) -> None:
        self._remote = RemoteActors(
            config,
            store,
            network,
            self._ring,
            make_buffer,
            precision=precision,
            seed=seed,
            add_episodes=self._episodes.put,
        )

    def start(self) -> None:
        if self._remote is not None:
            self._remote.start()
        if self._thread is not None:
            self._thread.start()

    def stop(self, *, over: bool) -> None:
        """`over`: the training has come to its end."""
        self._ring.close()
        if self._remote is not None:
            self._remote.stop(over=over)
        if self._thread is not None:
            self._thread.join()

    def episodes(self) -> list[dict[str, Any]]:
        """Reports of those that ended since the last call."""
        ended = []
        while not self._episodes.empty():
            ended += self._episodes.get()
        return ended

    def add_lag(self, buffer: Trajectory, lag: int) -> None:
        """Of a buffer that was learnt from."""
        if self._remote is not None and self._remote.filled(buffer):
            self._remote.add_lag(lag)

    def figures(self) -> dict[str, float]:
        """For a row of metrics."""
        ring = self._ring
        figures = {"full_queue": ring.full, "free_queue": ring.free, **ring.waiting()}
        return figures if self._remote is None else {**figures, **self._remote.figures()}
