"""Siblings: the same episodes side by side, and a baseline that takes luck out of the policy gradient."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from mvfstrl.agents.impala.config import ImpalaConfig, NetworkConfig
from mvfstrl.agents.impala.learner import Learner
from mvfstrl.agents.impala.loss import impala_loss, sibling_baseline
from mvfstrl.agents.impala.network import NetworkShape
from mvfstrl.agents.impala.trajectory import Batch, Trajectory
from mvfstrl.config import compose
from mvfstrl.train import make_setup, sibling_count


def test_training_plays_siblings_side_by_side(tmp_path: Path) -> None:
    cfg = compose(
        ["agent=impala", "tracker=none", "actors.simulated=16", "actors.groups=2", "actors.threads=2"]
    )
    setup = make_setup(cfg, ImpalaConfig(siblings=4), tmp_path)
    assert setup.siblings == 4
    environment = setup.make_environment(5)
    assert (environment.num_envs, environment.group_size) == (16, 8)
    trajectory = Trajectory(
        30, 8, NetworkShape(environment.observation_size, environment.num_actions, 1), 0, 1
    )
    trajectory.batch.action[:] = torch.randint(5, (30, 8), generator=torch.Generator().manual_seed(0))
    environment.reset_into(0, trajectory.rows, 0)
    for t in range(30):
        environment.wait(0)
        environment.step_into(0, trajectory.rows, t)
    environment.wait(0)
    environment.close()
    rewards = trajectory.batch.reward[-20:].view(20, 2, 4)
    assert (rewards.std(dim=2) > 0).any(dim=0).all(), "siblings act on their own"
    among = rewards.mean(dim=0).std(dim=1).max()
    assert among < (rewards.mean(dim=(0, 2)).diff().abs()), "and have one link's luck"


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
    cfg = compose(["agent=impala", "tracker=none", f"actors.simulated={envs}", f"actors.groups={groups}"])
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
