"""Actors: unrolls join without a gap, memory is handed over, errors reach the learner."""

from __future__ import annotations

import threading
from itertools import pairwise

import pytest
import torch

from mvfstrl.agents.impala.actor import Actor, ActorThread
from mvfstrl.agents.impala.config import NetworkConfig
from mvfstrl.agents.impala.network import ImpalaNetwork, NetworkShape
from mvfstrl.agents.impala.trajectory import ActorError, Batch, Trajectory, TrajectoryRing
from mvfstrl.parameters import ParameterStore
from tests.fake_environment import ACTIONS, FakeVectorEnvironment

LENGTH = 5


def make_network() -> ImpalaNetwork:
    torch.manual_seed(0)
    shape = NetworkShape(FakeVectorEnvironment().observation_size, ACTIONS, 1)
    network = ImpalaNetwork(shape, NetworkConfig(hidden_size=8))
    torch.nn.init.normal_(network.policy.weight)
    return network


def make_actor(
    environment: FakeVectorEnvironment, network: ImpalaNetwork, buffers: int | None = None, seed: int = 0
) -> tuple[Actor, TrajectoryRing, ParameterStore]:
    def make_buffer() -> Trajectory:
        return Trajectory(LENGTH, environment.group_size, network.shape, 1, 8)

    store = ParameterStore(network)
    ring = TrajectoryRing([make_buffer() for _ in range(buffers or environment.num_groups)])
    actor = Actor(environment, network, store, ring, seed=seed)
    actor.reset(make_buffer)
    return actor, ring, store


def collect(actor: Actor, ring: TrajectoryRing, rounds: int) -> list[list[Batch]]:
    """Copies of each group's unrolls."""
    unrolls: list[list[Batch]] = []
    for _ in range(rounds):
        buffers = actor.round()
        assert buffers is not None
        unrolls.append([Batch(**{k: v.clone() for k, v in b.batch.tensors().items()}) for b in buffers])
        for buffer in buffers:
            ring.release(buffer)
    return unrolls


def test_unrolls_overlap_by_one_row() -> None:
    actor, ring, _ = make_actor(FakeVectorEnvironment(num_envs=6), make_network())
    unrolls = collect(actor, ring, 4)
    for group in range(2):
        assert unrolls[0][group].first[0].all()
        for before, after in pairwise(unrolls):
            for name in ("observation", "reward", "terminated", "truncated", "first", "job"):
                torch.testing.assert_close(getattr(before[group], name)[-1], getattr(after[group], name)[0])


def test_behaviour_logits_and_states_are_what_the_network_says() -> None:
    network = make_network()
    actor, ring, _ = make_actor(FakeVectorEnvironment("memory", num_envs=6, length=7), network)
    for unrolls in collect(actor, ring, 4):
        for batch in unrolls:
            logits, _, _ = network(batch.observation, batch.first, batch.job, (batch.h, batch.c))
            torch.testing.assert_close(logits[:-1], batch.logits, rtol=1e-4, atol=1e-5)


def test_actions_are_drawn_from_the_policy() -> None:
    network = make_network()
    torch.nn.init.zeros_(network.policy.weight)
    network.policy.bias.data = torch.tensor([0.5, 0.3, 0.2]).log()
    actor, ring, _ = make_actor(FakeVectorEnvironment(num_envs=40), network)
    actions = torch.cat([b.action.flatten() for unrolls in collect(actor, ring, 50) for b in unrolls])
    shares = torch.bincount(actions, minlength=3) / len(actions)
    torch.testing.assert_close(shares, torch.tensor([0.5, 0.3, 0.2]), rtol=0, atol=0.02)


def test_each_unroll_is_of_one_version() -> None:
    network = make_network()
    actor, _, store = make_actor(FakeVectorEnvironment(num_envs=4), network, buffers=4)
    first = actor.round()
    network.policy.bias.data[0] = 50.0
    store.publish(network, 7)
    second = actor.round()
    assert first is not None
    assert second is not None
    assert [b.version for b in first] == [0, 0]
    assert [b.version for b in second] == [7, 7]
    assert (second[0].batch.action == 0).all()


def test_replay_reaches_the_same_place() -> None:
    network = make_network()
    actor, ring, _ = make_actor(FakeVectorEnvironment(num_envs=6), network)
    unrolls = collect(actor, ring, 3)
    played = torch.stack([torch.stack([b.action for b in groups]) for groups in unrolls]).to(torch.int8)
    other, other_ring, _ = make_actor(FakeVectorEnvironment(num_envs=6), network)
    other.replay(played)
    other.states = list(actor.states)
    other.generator.set_state(actor.generator.get_state())
    for mine, theirs in zip(collect(actor, ring, 1)[0], collect(other, other_ring, 1)[0], strict=True):
        for name, tensor in mine.tensors().items():
            torch.testing.assert_close(tensor, theirs.tensors()[name], rtol=0, atol=0)


def take_until_empty(ring: TrajectoryRing) -> None:
    while (buffer := ring.take(timeout_s=10)) is not None:
        ring.release(buffer)


def test_a_dying_actor_reaches_the_learner() -> None:
    actor, ring, _ = make_actor(FakeVectorEnvironment(num_envs=4, fail_after=12), make_network())
    thread = ActorThread(actor, ring, lambda: None)
    thread.start()
    with pytest.raises(ActorError, match="worker 3 was killed") as info:
        take_until_empty(ring)
    assert isinstance(info.value.__cause__, RuntimeError)
    ring.close()
    thread.join()


def test_a_closed_ring_ends_an_actor_that_waits() -> None:
    actor, ring, _ = make_actor(FakeVectorEnvironment(num_envs=4), make_network())
    thread = ActorThread(actor, ring, lambda: None)
    thread.start()
    assert ring.take(timeout_s=10) is not None  # never released: the actor runs out of buffers
    ring.close()
    thread.join()


def test_parameters_are_pulled_whole() -> None:
    """A writer publishes constant networks; a reader must never see two values in one."""
    source, target = make_network(), make_network()
    store = ParameterStore(source)
    done = threading.Event()

    def write() -> None:
        for version in range(1, 300):
            with torch.no_grad():
                for tensor in source.state_dict().values():
                    tensor.fill_(version)
            store.publish(source, version)
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    held = 0
    while not done.is_set():
        before = held
        held = store.pull(target, held)
        if held != before:
            assert {float(v) for t in target.state_dict().values() for v in t.flatten()} == {float(held)}
    writer.join()
    assert store.pull(target, held) == 299
