"""Steps groups of environments with a frozen copy of the policy, and fills unrolls."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mvfstrl import _native
from mvfstrl.agents.impala.config import Precision
from mvfstrl.agents.impala.network import ImpalaNetwork, State
from mvfstrl.agents.impala.trajectory import Trajectory, TrajectoryRing
from mvfstrl.parameters import ParameterStore
from mvfstrl.policy_file import network_arrays, network_sizes
from mvfstrl.vector_environment import VectorEnvironment

Episodes = list[dict[str, object]]


class Actor:
    """Fills one unroll a group in each `round`. Groups take turns: one steps while the other's policy is
    asked.

    The policy is the native kernel, with the newest parameters at the start of a round. Its logits are not
    quite torch's to the last bit, nor at all with bf16 weights: they are recorded, and V-trace corrects for
    what acted.
    """

    def __init__(
        self,
        environment: VectorEnvironment,
        network: ImpalaNetwork,
        store: ParameterStore,
        ring: TrajectoryRing,
        *,
        seed: int,
        precision: Precision = Precision.fp32,
    ) -> None:
        self._environment = environment
        self._network = copy.deepcopy(network).to("cpu").requires_grad_(False).eval()
        self._store = store
        self._ring = ring
        self._precision = precision
        self._version = store.pull(self._network, held=-1)
        self.generator = torch.Generator().manual_seed(seed)
        model = self._model()
        self._policies = [
            _native.Policy(model, environment.group_size) for _ in range(environment.num_groups)
        ]
        self._last: list[Trajectory] = []

    @property
    def states(self) -> list[State]:
        """Each group's memory, h and c."""
        return [
            (torch.from_numpy(h), torch.from_numpy(c))
            for h, c in (policy.state() for policy in self._policies)
        ]

    @states.setter
    def states(self, states: Sequence[State]) -> None:
        for policy, (h, c) in zip(self._policies, states, strict=True):
            policy.set_state(h.numpy(), c.numpy())

    def reset(self, make_buffer: Callable[[], Trajectory]) -> None:
        """Starts every group's first episodes."""
        self._last = [make_buffer() for _ in self._policies]
        for group, carry in enumerate(self._last):
            self._environment.reset_into(group, carry.rows, carry.length)
        for group in range(len(self._last)):
            self._environment.wait(group)

    def replay(self, actions: Tensor) -> None:
        """Brings freshly reset environments to where `actions` [round, group, T, n] left them, without a
        policy.
        """
        for played in actions:
            for t in range(played.shape[1]):
                for group, carry in enumerate(self._last):
                    carry.batch.action[-1] = played[group, t]
                    self._environment.step_into(group, carry.rows, carry.length - 1)
                    self._environment.wait(group)

    @torch.inference_mode()
    def round(self) -> list[Trajectory] | None:
        """One unroll of every group, not yet published; None if the ring was closed meanwhile."""
        buffers: list[Trajectory] = []
        for _ in self._last:
            buffer = self._ring.acquire()
            if buffer is None:
                return None
            buffers.append(buffer)
        self._pull()  # only now: the lag of these unrolls counts from here
        noise = [
            self._begin(buffer, last, state)
            for buffer, last, state in zip(buffers, self._last, self.states, strict=True)
        ]
        environment = self._environment
        for t in range(buffers[0].length):
            for group, buffer in enumerate(buffers):
                if t > 0:
                    environment.wait(group)
                self._act(group, buffer, t, noise[group][t])
                environment.step_into(group, buffer.rows, t)
        for group, buffer in enumerate(buffers):
            environment.wait(group)
            self._last[group].copy_last_row(buffer)
        return buffers

    def _pull(self) -> None:
        """Takes over the newest parameters."""
        held, self._version = self._version, self._store.pull(self._network, self._version)
        if self._version != held:
            model = self._model()
            for policy in self._policies:
                policy.set_model(model)

    def _model(self) -> _native.PolicyModel:
        return _native.PolicyModel.from_network(
            network_sizes(self._network), network_arrays(self._network), precision=self._precision.value
        )

    def _begin(self, buffer: Trajectory, last: Trajectory, state: State) -> NDArray[np.float32]:
        """Makes `buffer` go on where `last` ended. Returns what to add to its logits: the largest sum is a
        draw from softmax(logits), for this is Gumbel noise.
        """
        buffer.begin_after(last)
        buffer.version = self._version
        buffer.batch.h.copy_(state[0])
        buffer.batch.c.copy_(state[1])
        noise = torch.empty_like(buffer.batch.logits).exponential_(generator=self.generator).log_().neg_()
        return noise.numpy()

    def _act(self, group: int, buffer: Trajectory, t: int, noise: NDArray[np.float32]) -> None:
        row = buffer.decisions[t]
        self._policies[group].act(
            row.observation, row.first, row.job, noise=noise, logits=row.logits, actions=row.action
        )


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
        if self._thread.ident is not None:
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
