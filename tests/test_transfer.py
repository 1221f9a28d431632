"""Copies between actors and a learner on a GPU: what must wait for what, on a lane that does nothing until it
must; and, where there is a GPU, the same there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from mvfstrl.agents.impala.network import NetworkShape
from mvfstrl.agents.impala.trajectory import Trajectory, TrajectoryRing
from mvfstrl.agents.impala.transfer import CudaLane, DownloadingStore, Lane, UploadingFeed
from mvfstrl.checkpoint import load_checkpoint
from mvfstrl.train import pick_device

SHAPE = NetworkShape(observation_size=3, num_actions=2, jobs=1)
ON_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


class LazyLane:
    """A lane without a GPU, as late as a lane may be: it copies when somebody waits for it."""

    def __init__(self) -> None:
        self.waiting: list[tuple[int, Callable[[], None]]] = []
        self.copies = 0
        self.log: list[str] = []
        self.marks: list[LazyLane.Event] = []
        """What each copy waits for."""

    class Event:
        def __init__(self, lane: LazyLane, after: int, name: str) -> None:
            self.lane = lane
            self.after = after
            self.name = name

        def synchronize(self) -> None:
            self.lane.catch_up(self.after)

    def catch_up(self, to: int) -> None:
        while self.waiting and self.waiting[0][0] < to:
            self.waiting.pop(0)[1]()

    def mark(self) -> LazyLane.Event:
        self.log.append("mark")
        return LazyLane.Event(self, 0, "mark")

    def copy(
        self, targets: Sequence[Tensor], sources: Sequence[Tensor], after: LazyLane.Event
    ) -> LazyLane.Event:
        def work() -> None:
            for target, source in zip(targets, sources, strict=True):
                target.copy_(source)

        self.waiting.append((self.copies, work))
        self.copies += 1
        self.log.append(f"copy after {after.name}")
        self.marks.append(after)
        return LazyLane.Event(self, self.copies, "copy")

    def hold_learner(self, event: LazyLane.Event) -> None:
        self.log.append("hold learner")
        event.synchronize()


def lanes() -> list[object]:
    return ["lazy", pytest.param("cuda", marks=ON_GPU)]


def make_lane(kind: str) -> tuple[Lane, torch.device]:
    if kind == "lazy":
        return LazyLane(), torch.device("cpu")  # type: ignore[return-value]
    device = torch.device("cuda")
    return CudaLane(device), device


def make_ring(size: int, *, pinned: bool) -> tuple[TrajectoryRing, list[Trajectory]]:
    buffers = [Trajectory(4, 2, SHAPE, 0, 8, pinned=pinned) for _ in range(size)]
    return TrajectoryRing(buffers), buffers


def fill(ring: TrajectoryRing, value: float) -> None:
    buffer = ring.acquire()
    assert buffer is not None
    buffer.batch.observation.fill_(value)
    ring.publish(buffer)


@pytest.mark.parametrize("kind", lanes())
def test_unrolls_arrive_whole_and_in_order(kind: str) -> None:
    lane, device = make_lane(kind)
    ring, _ = make_ring(3, pinned=kind == "cuda")
    feed = UploadingFeed(ring, device, lane)
    assert feed.take(0.0) is None
    for value in (1.0, 2.0, 3.0):
        fill(ring, value)
    seen = []
    for following in (4.0, 5.0, None, None, None):
        unroll = feed.take(0.0)
        assert unroll is not None
        assert unroll.batch.observation.device.type == device.type
        seen.append(unroll.batch.observation.unique().tolist())
        feed.release(unroll)
        if following is not None:
            fill(ring, following)  # into the buffer that was just released
    assert seen == [[1.0], [2.0], [3.0], [4.0], [5.0]]
    assert feed.take(0.0) is None


@pytest.mark.parametrize("kind", lanes())
def test_unrolls_of_two_sizes_arrive_whole_and_in_order(kind: str) -> None:
    lane, device = make_lane(kind)
    ring, _ = make_ring(3, pinned=kind == "cuda")
    narrow = ring.beside([Trajectory(4, 1, SHAPE, 0, 8, pinned=kind == "cuda") for _ in range(2)])
    feed = UploadingFeed(ring, device, lane)
    for value in (1.0, 2.0):
        fill(ring, value)
        fill(narrow, -value)
    assert narrow.acquire_at_once() is None
    fill(ring, 3.0)
    seen = []
    for _ in range(5):
        unroll = feed.take(0.0)
        assert unroll is not None
        seen.append((unroll.batch.action.shape[1], unroll.batch.observation.unique().tolist()))
        feed.release(unroll)
    assert seen == [(2, [1.0]), (1, [-1.0]), (2, [2.0]), (1, [-2.0]), (2, [3.0])]
    assert (ring.free, narrow.free) == (3, 2)  # each went home


def test_the_next_unroll_goes_up_before_the_learner_starts_on_this_one() -> None:
    lane = LazyLane()
    ring, _ = make_ring(3, pinned=False)
    feed = UploadingFeed(ring, torch.device("cpu"), lane)  # type: ignore[arg-type]
    for value in (1.0, 2.0, 3.0):
        fill(ring, value)
    first = feed.take(0.0)
    assert first is not None
    assert lane.log == ["mark", "copy after mark", "copy after mark", "hold learner"]
    assert len(lane.waiting) == 1  # the second is not waited for
    feed.release(first)
    feed.take(0.0)
    # The third goes where the first was: not before the learner is done with that.
    assert lane.log[4:] == ["mark", "copy after mark", "hold learner"]
    assert len(set(lane.marks[-2:])) == 2


@pytest.mark.parametrize("kind", lanes())
def test_an_actor_pulls_whole_versions_and_the_newest(kind: str) -> None:
    lane, device = make_lane(kind)
    learner, actor = nn.Linear(64, 64).to(device), nn.Linear(64, 64)
    store = DownloadingStore(learner, lane, pinned=kind == "cuda")
    held = -1
    for version in range(1, 8):
        with torch.no_grad():
            for parameter in learner.parameters():
                parameter.fill_(float(version))
        store.publish(learner, version)
        with torch.no_grad():  # the learner goes on at once; what was published must not follow
            for parameter in learner.parameters():
                parameter.fill_(-1.0)
        if version % 3 == 0:  # not every version is asked for
            held = store.pull(actor, held)
            assert held == store.version == version
            assert all(bool((p == version).all()) for p in actor.parameters())
    assert store.pull(actor, 7) == 7
    assert actor.weight[0, 0] == 6.0  # it said that it had 7


def test_publishing_waits_for_nothing() -> None:
    lane = LazyLane()
    network = nn.Linear(2, 2)
    store = DownloadingStore(network, lane, pinned=False)  # type: ignore[arg-type]
    lane.log.clear()
    store.publish(network, 1)
    assert lane.log == ["mark", "copy after mark"]
    store.publish(network, 2)  # where version 0 was staged: after that has left
    assert lane.log[2:] == ["hold learner", "mark", "copy after mark"]


@ON_GPU
def test_ranks_of_a_host_take_the_next_gpu() -> None:
    count = torch.cuda.device_count()
    assert [pick_device("auto", rank).index for rank in range(count)] == list(range(count))


@ON_GPU
def test_a_learner_on_a_gpu_learns_and_leaves_a_checkpoint(tmp_path: Path) -> None:
    from tests.test_impala_training import make_setup, run

    setup = make_setup(tmp_path, deterministic=False, device=torch.device("cuda"), steps=2000)
    rows = run(setup)
    assert rows[-1]["step"] >= 2000
    assert math.isfinite(rows[-1]["loss"])
    assert load_checkpoint(tmp_path)["learner"]["network"]["policy.weight"].device.type == "cpu"
