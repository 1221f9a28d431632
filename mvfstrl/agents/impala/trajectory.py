"""Preallocated unrolls, and the ring that carries them between actors and learner."""

from __future__ import annotations

import queue
import time
from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mvfstrl import _native
from mvfstrl.agents.impala.network import NetworkShape
from mvfstrl.errors import ConfigError

ROW_FIELDS = ("observation", "reward", "terminated", "truncated", "first", "job")
"""What an environment writes in a step."""


@dataclass
class Batch:
    """T transitions of B environments: row t + 1 is what the action of row t led to.

    Row T is the next unroll's row 0. A row that ends an episode (`terminated` or `truncated`) holds its final
    observation; the action of that row never took effect.
    """

    observation: Tensor  # [T + 1, B, D]
    reward: Tensor  # [T + 1, B], of the action of the row before; row 0's belongs to the unroll before
    terminated: Tensor  # [T + 1, B] bool
    truncated: Tensor  # [T + 1, B] bool
    first: Tensor  # [T + 1, B] bool
    job: Tensor  # [T + 1, B] int32
    action: Tensor  # [T, B] int32
    logits: Tensor  # [T, B, A], of the policy that acted
    h: Tensor  # [layers, B, H], before row 0
    c: Tensor

    def columns(self, start: int, end: int) -> Batch:
        return Batch(*(getattr(self, field.name)[:, start:end] for field in fields(self)))

    def to(self, device: torch.device) -> Batch:
        if device.type == "cpu":
            return self
        return Batch(*(getattr(self, field.name).to(device) for field in fields(self)))

    def tensors(self) -> dict[str, Tensor]:
        return {field.name: getattr(self, field.name) for field in fields(self)}


class Decision(NamedTuple):
    """numpy's views of one row of a trajectory: what a policy is asked, and where its answer goes."""

    observation: NDArray[np.float32]
    first: NDArray[np.bool_]
    job: NDArray[np.int32]
    logits: NDArray[np.float32]
    action: NDArray[np.int32]


class Trajectory:
    """A buffer for one unroll of one group. Environments and policies write into its memory in place."""

    def __init__(
        self,
        length: int,
        size: int,
        shape: NetworkShape,
        lstm_layers: int,
        hidden_size: int,
        *,
        pinned: bool = False,
    ) -> None:
        """`pinned`: in memory that a GPU copies from while other work goes on."""
        rows = (length + 1, size)
        self.length = length
        self.batch = Batch(
            observation=torch.zeros(*rows, shape.observation_size),
            reward=torch.zeros(rows),
            terminated=torch.zeros(rows, dtype=torch.bool),
            truncated=torch.zeros(rows, dtype=torch.bool),
            first=torch.zeros(rows, dtype=torch.bool),
            job=torch.zeros(rows, dtype=torch.int32),
            action=torch.zeros(length, size, dtype=torch.int32),
            logits=torch.zeros(length, size, shape.num_actions),
            h=torch.zeros(lstm_layers, size, hidden_size),
            c=torch.zeros(lstm_layers, size, hidden_size),
        )
        if pinned:
            self.batch = Batch(*(tensor.pin_memory() for tensor in self.batch.tensors().values()))
        arrays = {name: getattr(self.batch, name).numpy() for name in ROW_FIELDS}
        action, logits = self.batch.action.numpy(), self.batch.logits.numpy()
        self.rows = _native.StepRows(**arrays, action=action)
        self.decisions = [
            Decision(arrays["observation"][t], arrays["first"][t], arrays["job"][t], logits[t], action[t])
            for t in range(length)
        ]
        self._arrays = list(arrays.values())
        self.version = 0
        """Of the parameters that acted; the oldest, where they changed meanwhile."""
        self.siblings: int | None = None
        """So many of these columns, side by side, play the same episodes; None: as the learner was told."""
        self.home: queue.SimpleQueue[Trajectory | None] | None = None
        """Where the ring keeps it while it is free."""

    def begin_after(self, previous: Trajectory) -> None:
        """Takes the last row of the unroll before as row 0."""
        for mine, theirs in zip(self._arrays, previous._arrays, strict=True):
            mine[0] = theirs[previous.length]

    def copy_last_row(self, other: Trajectory) -> None:
        """Keeps another buffer's last row: that buffer comes back from the learner with other contents."""
        for mine, theirs in zip(self._arrays, other._arrays, strict=True):
            mine[self.length] = theirs[other.length]


class TrajectoryRing:
    """A fixed set of buffers in two queues. An actor that runs ahead waits for a free one: lag is bounded.

    With N buffers, of U updates each, the policy that acted is at most N U - 1 updates behind the learner:
    who acquires a buffer takes the newest parameters after that, who releases one has published before, and
    until the unroll is learnt from there are only the updates of the other buffers and its own.
    """

    def __init__(self, buffers: list[Trajectory]) -> None:
        self._free: queue.SimpleQueue[Trajectory | None] = queue.SimpleQueue()
        self._full: queue.SimpleQueue[Trajectory | BaseException] = queue.SimpleQueue()
        self._waited = {"learner_waiting": 0.0, "actor_waiting": 0.0}
        self._since = time.monotonic()
        for buffer in buffers:
            buffer.home = self._free
            self._free.put(buffer)

    def beside(self, buffers: list[Trajectory]) -> TrajectoryRing:
        """A ring of other buffers, which come to the same learner: this ring's `take` gives them, and its
        `release` gives them back.
        """
        ring = TrajectoryRing(buffers)
        ring._full = self._full
        return ring

    @property
    def free(self) -> int:
        return self._free.qsize()

    @property
    def full(self) -> int:
        return self._full.qsize()

    def waiting(self) -> dict[str, float]:
        """Shares of the time since the last call that the learner waited for a full buffer, and the actor for
        a free one.
        """
        now = time.monotonic()
        elapsed, self._since = max(now - self._since, 1e-9), now
        shares = {who: min(1.0, waited / elapsed) for who, waited in self._waited.items()}
        self._waited = dict.fromkeys(shares, 0.0)
        return shares

    def acquire(self) -> Trajectory | None:
        """A buffer to fill, waiting for one; None when the ring was closed."""
        begin = time.monotonic()
        buffer = self._free.get()
        self._waited["actor_waiting"] += time.monotonic() - begin
        if buffer is None:
            self._free.put(None)  # for the next who asks
        return buffer

    def acquire_at_once(self) -> Trajectory | None:
        """A buffer to fill, if there is one."""
        try:
            return self._free.get_nowait()
        except queue.Empty:
            return None

    def publish(self, buffer: Trajectory) -> None:
        self._full.put(buffer)

    def fail(self, error: BaseException) -> None:
        """Makes the learner's next `take` raise: an actor died."""
        self._full.put(error)

    def take(self, timeout_s: float) -> Trajectory | None:
        """The oldest full buffer, or None if there is none in time. Raises what an actor died of."""
        begin = time.monotonic()
        try:
            item = self._full.get(timeout=timeout_s)
        except queue.Empty:
            return None
        finally:
            self._waited["learner_waiting"] += time.monotonic() - begin
        if isinstance(item, BaseException):
            raise ActorError(f"an actor died: {type(item).__name__}: {item}") from item
        return item

    def release(self, buffer: Trajectory) -> None:
        """After the parameters that were learnt from it were published."""
        assert buffer.home is not None, "it is some ring's"
        buffer.home.put(buffer)

    def close(self) -> None:
        """Wakes up actors that wait for a buffer."""
        self._free.put(None)


def buffers_within(max_lag: int | None, updates: int, groups: int) -> int:
    """How many buffers, of so many updates each, keep the policy's lag within `max_lag`. Each group fills one
    while the others wait for the learner: two of these unless told, as more would only add lag. Raises
    ConfigError where not even one could wait.
    """
    if max_lag is None:
        return groups + 2
    buffers = (max_lag + 1) // updates
    if buffers <= groups:
        raise ConfigError(
            f"agent.max_policy_lag: must be at least {(groups + 1) * updates - 1} for {groups} groups"
            f" that play unrolls of {updates} updates, got {max_lag}"
        )
    return buffers


class ActorError(RuntimeError):
    """An actor thread ended with an error; its cause is attached."""
