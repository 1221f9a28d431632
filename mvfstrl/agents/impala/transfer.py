"""Between actors in the host's memory and a learner on a GPU: unrolls go up and parameters come down beside
the learner's own work.

A `Lane` is a queue of copies next to the learner's queue of kernels. Its events tell one when the other may
go on, so that no thread waits: but for an actor that asks for parameters which are still on their way. With a
learner on the CPU there is nothing to carry: it reads the unroll where the actor wrote it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from mvfstrl.agents.impala.trajectory import Batch, Trajectory, TrajectoryRing
from mvfstrl.parameters import ParameterStore


class Event(Protocol):
    """A place in a queue of work."""

    def synchronize(self) -> None:
        """Waits, in this thread, until all before it is done."""


class Lane(Protocol):
    def mark(self) -> Event:
        """What the learner has been given to do so far."""

    def copy(self, targets: Sequence[Tensor], sources: Sequence[Tensor], after: Event) -> Event:
        """Copies in this lane, once `after` is reached."""

    def hold_learner(self, event: Event) -> None:
        """The learner's further work starts once `event` is reached."""


class CudaLane:
    """A side stream. Host memory must be pinned, or copies wait for each other."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def mark(self) -> Event:
        event = torch.cuda.Event()  # type: ignore[no-untyped-call]
        event.record(torch.cuda.current_stream(self._device))
        return event

    def copy(self, targets: Sequence[Tensor], sources: Sequence[Tensor], after: Event) -> Event:
        done = torch.cuda.Event()  # type: ignore[no-untyped-call]
        with torch.cuda.stream(self._stream), torch.no_grad():
            assert isinstance(after, torch.cuda.Event)
            self._stream.wait_event(after)
            for target, source in zip(targets, sources, strict=True):
                target.copy_(source, non_blocking=True)
            done.record(self._stream)
        return done

    def hold_learner(self, event: Event) -> None:
        assert isinstance(event, torch.cuda.Event)
        torch.cuda.current_stream(self._device).wait_event(event)


class Unroll(NamedTuple):
    """What the learner is given."""

    batch: Batch
    """Where the learner is."""
    buffer: Trajectory
    """Where the actor wrote it, to be released."""


class Feed:
    """Full buffers in their order, for a learner on the CPU."""

    def __init__(self, ring: TrajectoryRing) -> None:
        self._ring = ring

    def take(self, timeout_s: float) -> Unroll | None:
        """The oldest full buffer, or None if there is none in time."""
        buffer = self._ring.take(timeout_s)
        return None if buffer is None else Unroll(buffer.batch, buffer)

    def release(self, unroll: Unroll) -> None:
        """It was learnt from, and the parameters are published."""
        self._ring.release(unroll.buffer)


class _Places:
    """Two places for unrolls of one size: one is learnt from while the other is filled."""

    def __init__(self, sources: Sequence[Tensor], device: torch.device, lane: Lane) -> None:
        self.batches = [Batch(*(torch.empty_like(t, device=device) for t in sources)) for _ in range(2)]
        self.learnt = [lane.mark()] * 2  # new memory may have been the learner's
        self._turn = 1

    def next(self) -> tuple[Batch, Event]:
        """The place whose turn it is, and until when it is in use."""
        self._turn = 1 - self._turn
        return self.batches[self._turn], self.learnt[self._turn]

    def release(self, batch: Batch, learnt: Event) -> None:
        index = next(i for i, mine in enumerate(self.batches) if mine is batch)
        self.learnt[index] = learnt


class UploadingFeed(Feed):
    """For a learner elsewhere: while it learns from one unroll the next goes up to another place."""

    def __init__(self, ring: TrajectoryRing, device: torch.device, lane: Lane) -> None:
        super().__init__(ring)
        self._device = device
        self._lane = lane
        self._places: dict[int, _Places] = {}
        """By the number of columns: real-time actors and simulated ones fill unrolls of different sizes."""
        self._rising: deque[tuple[Unroll, Event]] = deque()
        self._arrived: Event | None = None
        """Of the unroll that is being learnt from."""

    def take(self, timeout_s: float) -> Unroll | None:
        if not self._rising:
            self._start(timeout_s)
        if not self._rising:
            return None
        unroll, self._arrived = self._rising.popleft()
        self._start(0.0)
        self._lane.hold_learner(self._arrived)
        return unroll

    def release(self, unroll: Unroll) -> None:
        assert self._arrived is not None, "it was taken"
        self._arrived.synchronize()  # long ago, but the actor is about to write there
        self._places[_columns(unroll.batch)].release(unroll.batch, self._lane.mark())
        super().release(unroll)

    def _start(self, timeout_s: float) -> None:
        """The next full buffer, if there is one, goes up to the place that is not being learnt from."""
        buffer = self._ring.take(timeout_s)
        if buffer is None:
            return
        sources = list(buffer.batch.tensors().values())
        columns = _columns(buffer.batch)
        if columns not in self._places:
            self._places[columns] = _Places(sources, self._device, self._lane)
        place, learnt = self._places[columns].next()
        arrived = self._lane.copy(list(place.tensors().values()), sources, learnt)
        self._rising.append((Unroll(place, buffer), arrived))


def _columns(batch: Batch) -> int:
    return batch.action.shape[1]


class DownloadingStore(ParameterStore):
    """Parameters of a network elsewhere. `publish` only puts copies in the lane; an actor that pulls waits
    for the newest to arrive, so that its lag is what it is on the CPU.
    """

    def __init__(self, network: nn.Module, lane: Lane, *, pinned: bool) -> None:
        super().__init__(network)
        self._lane = lane
        sizes = list(network.state_dict().values())
        self._staged = [[torch.empty_like(t) for t in sizes] for _ in range(2)]
        """Where the network is: the learner may go on to change its own."""
        self._landed = [
            [torch.empty(t.shape, dtype=t.dtype, pin_memory=pinned) for t in sizes] for _ in range(2)
        ]
        self._arrived: list[Event | None] = [None, None]
        self._turn = 0
        self.publish(network, 0)

    @torch.no_grad()
    def publish(self, network: nn.Module, version: int) -> None:
        assert version >= self._version, "versions never decrease"
        with self._lock:
            turn = 1 - self._turn
            before = self._arrived[turn]
            if before is not None:
                self._lane.hold_learner(before)
            for mine, theirs in zip(self._staged[turn], network.state_dict().values(), strict=True):
                mine.copy_(theirs)
            self._arrived[turn] = self._lane.copy(self._landed[turn], self._staged[turn], self._lane.mark())
            self._turn, self._version = turn, version

    @torch.no_grad()
    def pull(self, network: nn.Module, held: int) -> int:
        if held == self._version:
            return held
        with self._lock:
            arrived = self._arrived[self._turn]
            assert arrived is not None, "something was published when the store was made"
            arrived.synchronize()
            for mine, theirs in zip(self._landed[self._turn], network.state_dict().values(), strict=True):
                theirs.copy_(mine)
            return self._version


def make_feed(ring: TrajectoryRing, device: torch.device) -> Feed:
    """For a learner on this device."""
    return UploadingFeed(ring, device, CudaLane(device)) if device.type == "cuda" else Feed(ring)


def make_store(network: nn.Module, device: torch.device) -> ParameterStore:
    if device.type == "cuda":
        return DownloadingStore(network, CudaLane(device), pinned=True)
    return ParameterStore(network)
