"""Steps groups of environments with a frozen copy of the policy, and fills unrolls."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable

import torch
from torch import Tensor

from mvfstrl.agents.impala.network import ImpalaNetwork
from mvfstrl.agents.impala.trajectory import Trajectory, TrajectoryRing
from mvfstrl.parameters import ParameterStore
from mvfstrl.vector_environment import VectorEnvironment

Episodes = list[dict[str, object]]


class Actor:
    """Fills one unroll a group in each `round`. Groups take turns: one steps while the other's policy is
    asked.
    """

    def __init__(
        self,
        environment: VectorEnvironment,
        network: ImpalaNetwork,
        store: ParameterStore,
        ring: TrajectoryRing,
        *,
        seed: int,
    ) -> None:
        self._environment = environment
        self._network = copy.deepcopy(network).to("cpu").requires_grad_(False).eval()
        self._store = store
        self._ring = ring
        self._version = store.pull(self._network, held=-1)
        self.generator = torch.Generator().manual_seed(seed)
        size = environment.group_size
        self.states = [self._network.initial_state(size) for _ in range(environment.num_groups)]
        self._last: list[Trajectory] = []

    def reset(self, make_buffer: Callable[[], Trajectory]) -> None:
        """Starts every group's first episodes."""
        for group in range(self._environment.num_groups):
            self._environment.reset(group)
        self._last = [make_buffer() for _ in range(self._environment.num_groups)]
        for group, carry in enumerate(self._last):
            carry.write_row(carry.length, self._environment.recv(group))

    def replay(self, actions: Tensor) -> None:
        """Brings freshly reset environments to where `actions` [round, group, T, n] left them, without a
        policy.
        """
        for played in actions:
            for t in range(played.shape[1]):
                for group in range(len(played)):
                    self._environment.send(group, played[group, t].to(torch.int32).numpy())
                    step = self._environment.recv(group)
                    self._last[group].write_row(self._last[group].length, step)

    @torch.inference_mode()
    def round(self) -> list[Trajectory] | None:
        """One unroll of every group, not yet published; None if the ring was closed meanwhile."""
        buffers: list[Trajectory] = []
        for _ in self._last:
            buffer = self._ring.acquire()
            if buffer is None:
                return None
            buffers.append(buffer)
        # Only now: the lag of these unrolls counts from here.
        self._version = self._store.pull(self._network, self._version)
        for group, buffer in enumerate(buffers):
            buffer.begin_after(self._last[group])
            buffer.version = self._version
            buffer.batch.h.copy_(self.states[group][0])
            buffer.batch.c.copy_(self.states[group][1])
        noise = [self._gumbel(buffer) for buffer in buffers]
        for t in range(buffers[0].length):
            for group, buffer in enumerate(buffers):
                if t > 0:
                    buffer.write_row(t, self._environment.recv(group))
                self._act(group, buffer, t, noise[group][t])
        for group, buffer in enumerate(buffers):
            buffer.write_row(buffer.length, self._environment.recv(group))
            self._last[group].copy_last_row(buffer)
        return buffers

    def _act(self, group: int, buffer: Trajectory, t: int, noise: Tensor) -> None:
        rows = buffer.batch
        h, c = self.states[group]
        logits, h, c = self._network.step(rows.observation[t], rows.first[t], rows.job[t], h, c)
        self.states[group] = (h, c)
        rows.logits[t] = logits
        action = rows.action[t]
        action.copy_(torch.argmax(logits + noise, dim=-1))
        self._environment.send(group, action.numpy())

    def _gumbel(self, buffer: Trajectory) -> Tensor:
        """argmax(logits + Gumbel noise) samples from softmax(logits): the noise of a whole unroll in one
        call.
        """
        return torch.empty_like(buffer.batch.logits).exponential_(generator=self.generator).log_().neg_()


class ActorThread:
    """Runs an actor beside the learner until the ring is closed. What it dies of reaches the learner."""

    def __init__(
        self, actor: Actor, ring: TrajectoryRing, after_round: Callable[[], None], name: str = "actor-0"
    ) -> None:
        self._actor = actor
        self._ring = ring
        self._after_round = after_round
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def join(self) -> None:
        """The ring must have been closed."""
        self._thread.join()

    def _run(self) -> None:
        torch.set_num_threads(1)  # each thread has its own setting
        try:
            while (buffers := self._actor.round()) is not None:
                for buffer in buffers:
                    self._ring.publish(buffer)
                self._after_round()
        except BaseException as error:  # noqa: BLE001 - the learner raises it
            self._ring.fail(error)
