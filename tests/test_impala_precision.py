"""agent.precision=bf16: other numbers in matrix products, the same learning."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from mvfstrl.agents.impala.actor import Actor
from mvfstrl.agents.impala.config import ImpalaConfig, NetworkConfig, OptimizerConfig, Precision
from mvfstrl.agents.impala.learner import Learner
from mvfstrl.agents.impala.network import NetworkShape
from mvfstrl.agents.impala.trajectory import Batch, Trajectory, TrajectoryRing
from mvfstrl.parameters import ParameterStore
from tests.fake_environment import FakeVectorEnvironment
from tests.test_impala_actor import make_network
from tests.test_impala_training import make_setup, run

T, B, D, A, H = 6, 16, 9, 3, 32


def make_batch() -> Batch:
    generator = torch.Generator().manual_seed(1)
    rows = (T + 1, B)
    return Batch(
        observation=torch.randn(*rows, D, generator=generator),
        reward=torch.randn(rows, generator=generator),
        terminated=torch.zeros(rows, dtype=torch.bool),
        truncated=torch.rand(rows, generator=generator) < 0.1,
        first=torch.rand(rows, generator=generator) < 0.1,
        job=torch.zeros(rows, dtype=torch.int32),
        action=torch.randint(A, (T, B), generator=generator, dtype=torch.int32),
        logits=torch.zeros(T, B, A),
        h=torch.zeros(1, B, H),
        c=torch.zeros(1, B, H),
    )


def update(precision: Precision) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """Figures of one update, and its gradient."""
    torch.manual_seed(0)
    config = ImpalaConfig(network=NetworkConfig(hidden_size=H), precision=precision)
    config.optimizer.grad_clip = 0.0
    learner = Learner(NetworkShape(D, A, 1), config, total_steps=1000, device=torch.device("cpu"))
    torch.nn.init.normal_(learner.network.policy.weight)
    torch.nn.init.normal_(learner.network.value.weight)
    metrics = learner.learn(make_batch())
    gradient = [p.grad.flatten() for p in learner.network.parameters() if p.grad is not None]
    assert all(g.dtype == torch.float32 for g in gradient)
    return metrics, torch.cat(gradient)


def test_bf16_rounds_the_gradient_and_no_more() -> None:
    (exact, single), (rounded, half) = update(Precision.fp32), update(Precision.bf16)
    error = (half - single).norm() / single.norm()
    assert 1e-4 < error < 0.05
    assert rounded["loss"] != exact["loss"]
    torch.testing.assert_close(rounded["loss"], exact["loss"], rtol=0.02, atol=0.01)
    assert rounded["kl"].dtype == torch.float32


def test_bf16_rounds_the_weights_that_act() -> None:
    network = make_network()
    environment = FakeVectorEnvironment(num_envs=6)
    store = ParameterStore(network)

    def make_buffer() -> Trajectory:
        return Trajectory(5, environment.group_size, network.shape, 1, 8)

    ring = TrajectoryRing([make_buffer() for _ in range(2)])
    actor = Actor(environment, network, store, ring, seed=0, precision=Precision.bf16)
    actor.reset(make_buffer)
    buffers = actor.round()
    assert buffers is not None
    for buffer in buffers:
        batch = buffer.batch
        logits, _, _ = network(batch.observation, batch.first, batch.job, (batch.h, batch.c))
        error = (logits[:-1] - batch.logits).norm() / batch.logits.norm()
        assert 1e-4 < error < 0.05


@pytest.mark.parametrize("lstm", [True, False])
def test_learns_in_bf16(tmp_path: Path, lstm: bool) -> None:
    agent = ImpalaConfig(
        network=NetworkConfig(hidden_size=32, layers=1, lstm=lstm),
        optimizer=OptimizerConfig(learning_rate=5e-3),
        unroll_length=20,
        batch_size=8,
        precision=Precision.bf16,
    )
    setup = make_setup(
        tmp_path,
        agent=agent,
        steps=30_000,
        deterministic=False,
        make_environment=lambda seed: FakeVectorEnvironment("tracking", num_envs=32, seed=seed),
    )
    rows = run(setup)
    end = [row["reward"] for row in rows[-len(rows) // 10 :]]
    assert sum(end) / len(end) > 0.8  # chance: -1/3
