"""Siblings: the same episodes side by side, and a baseline that takes luck out of the policy gradient."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mvfstrl.agents.impala.config import ImpalaConfig, NetworkConfig
from mvfstrl.agents.impala.learner import Learner
from mvfstrl.agents.impala.loss import impala_loss, sibling_baseline
from mvfstrl.agents.impala.network import NetworkShape
from mvfstrl.agents.impala.trajectory import Batch
from mvfstrl.config import compose
from mvfstrl.siblings import SiblingEnvironments
from mvfstrl.train import sibling_count
from tests.fake_environment import FakeVectorEnvironment


def make(siblings: int = 3) -> SiblingEnvironments:
    return SiblingEnvironments([FakeVectorEnvironment("memory", num_envs=4, seed=5) for _ in range(siblings)])


def test_rows_side_by_side_meet_the_same_episodes() -> None:
    environment = make()
    assert (environment.num_envs, environment.group_size, environment.siblings) == (12, 6, 3)
    actions = np.random.default_rng(0)
    for group in (0, 1):
        environment.reset(group)
    differed = False
    for _ in range(40):
        for group in (0, 1):
            step = environment.recv(group)
            sets = step.observation.reshape(2, 3, -1)
            np.testing.assert_array_equal(sets, np.broadcast_to(sets[:, :1], sets.shape))
            assert (step.first.reshape(2, 3).std(axis=1) == 0).all()
            differed = differed or bool(step.reward.reshape(2, 3).std() > 0)
            environment.send(group, actions.integers(0, 3, 6).astype(np.int32))
    assert differed, "siblings act on their own"
    episodes = environment.drain_episodes()
    assert {episode["env"] for episode in episodes} == set(range(12))
    environment.close()


def test_each_sibling_gets_its_own_actions() -> None:
    environment = make()
    environment.reset(0)
    goals = environment.recv(0).observation[:, :3].argmax(axis=1)
    actions = np.where(np.arange(6) % 3 == 1, goals, (goals + 1) % 3).astype(np.int32)
    environment.send(0, actions)
    np.testing.assert_array_equal(environment.recv(0).reward, [-1, 1, -1, -1, 1, -1])


def test_baseline_removes_what_siblings_share() -> None:
    generator = torch.Generator().manual_seed(0)
    luck = 10.0 * torch.randn(50, 8, 1, generator=generator).expand(50, 8, 4)
    merit = torch.randn(50, 8, 4, generator=generator)
    advantages = (luck + merit).reshape(50, 32)
    left = advantages - sibling_baseline(advantages, torch.ones(50, 32) > 0, 4)
    assert advantages.std() > 8
    assert left.std() < 1.5
    assert torch.corrcoef(torch.stack([left.flatten(), merit.flatten()]))[0, 1] > 0.8


def test_baseline_leaves_what_siblings_do_not_share() -> None:
    advantages = torch.randn(200, 32, generator=torch.Generator().manual_seed(0))
    baseline = sibling_baseline(advantages, torch.ones(200, 32) > 0, 4)
    assert baseline.abs().max() < 0.1


def test_an_advantage_is_not_in_its_own_baseline() -> None:
    """Else the policy gradient would change its mean. The multiple is the batch's, and hardly moves."""
    advantages = torch.randn(500, 8, generator=torch.Generator().manual_seed(0))
    advantages = advantages.repeat_interleave(4, dim=1)
    valid = torch.ones(500, 32) > 0
    before = sibling_baseline(advantages, valid, 4)
    advantages[7, 9] += 1.0
    change = sibling_baseline(advantages, valid, 4) - before
    assert change[7, 9].abs() < 0.01
    torch.testing.assert_close(change[7, [8, 10, 11]], torch.full((3,), 1 / 3), rtol=0, atol=0.01)


def test_steps_that_were_none_do_not_count() -> None:
    advantages = torch.tensor([[4.0, 4.0, 4.0, 1e6]])
    valid = torch.tensor([[True, True, True, False]])
    torch.testing.assert_close(sibling_baseline(advantages, valid, 4)[0, :3], torch.full((3,), 4.0))


@pytest.mark.parametrize(
    ("envs", "groups", "batch", "siblings"),
    [(64, 2, 32, 4), (64, 2, 16, 4), (12, 2, 32, 2), (4, 2, 2, 2), (6, 2, 32, 1)],
)
def test_sets_fit_groups_and_batches(envs: int, groups: int, batch: int, siblings: int) -> None:
    cfg = compose(["agent=impala", "tracker=none", f"actors.envs={envs}", f"actors.groups={groups}"])
    assert sibling_count(cfg, ImpalaConfig(batch_size=batch, siblings=4)) == siblings


def test_the_learner_asks_siblings() -> None:
    """Where siblings had the same luck and did the same, nothing is left to learn from."""
    learner = Learner(
        NetworkShape(2, 2, 1),
        ImpalaConfig(network=NetworkConfig(hidden_size=8, lstm=False)),
        total_steps=10**9,
        device=torch.device("cpu"),
        siblings=4,
    )
    rows, generator = (6, 8), torch.Generator().manual_seed(0)
    batch = Batch(
        observation=torch.ones(*rows, 2),
        reward=(10 * torch.randn(6, 2, 1, generator=generator)).expand(6, 2, 4).reshape(rows).clone(),
        terminated=torch.ones(rows, dtype=torch.bool),
        truncated=torch.zeros(rows, dtype=torch.bool),
        first=torch.zeros(rows, dtype=torch.bool),
        job=torch.zeros(rows, dtype=torch.int32),
        action=torch.zeros(5, 8, dtype=torch.int32),
        logits=torch.zeros(5, 8, 2),
        h=torch.zeros(0, 8, 8),
        c=torch.zeros(0, 8, 8),
    )
    batch.terminated[:-1] = False
    alone = impala_loss(learner.network, learner.scale, batch, learner.config.loss, 0.0, 1).targets.advantages
    among = impala_loss(learner.network, learner.scale, batch, learner.config.loss, 0.0, 4).targets.advantages
    assert alone.abs().mean() > 5
    assert among.abs().mean() < 0.1
    learner.learn(batch)
    seen = float(learner.scale.advantage_square[0])
    assert seen == pytest.approx(float(among.square().mean()), rel=1e-3)
