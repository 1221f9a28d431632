"""The loss of a batch: what is masked, what bootstraps, what a job's scale does, what ends a run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from mvfstrl.agents.impala.config import (
    ImpalaConfig,
    LossConfig,
    NetworkConfig,
    OptimizerConfig,
    OptimizerKind,
)
from mvfstrl.agents.impala.learner import Learner, NonFiniteLossError
from mvfstrl.agents.impala.loss import LossOutput, diagnostics, impala_loss
from mvfstrl.agents.impala.network import ImpalaNetwork, NetworkShape
from mvfstrl.agents.impala.trajectory import Batch
from mvfstrl.agents.impala.value_scale import ValueScale

SHAPE = NetworkShape(observation_size=3, num_actions=2, jobs=2)
PLAIN = LossConfig(discount=0.5, trace_lambda=1.0, normalize_reward=False)


def make_batch(steps: int = 4, batch: int = 2, seed: int = 0) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    rows = (steps + 1, batch)
    return Batch(
        observation=torch.randn(*rows, 3, generator=generator),
        reward=torch.randn(rows, generator=generator),
        terminated=torch.zeros(rows, dtype=torch.bool),
        truncated=torch.zeros(rows, dtype=torch.bool),
        first=torch.zeros(rows, dtype=torch.bool),
        job=torch.zeros(rows, dtype=torch.int32),
        action=torch.randint(0, 2, (steps, batch), generator=generator, dtype=torch.int32),
        logits=torch.randn(steps, batch, 2, generator=generator),
        h=torch.zeros(0, batch, 8),
        c=torch.zeros(0, batch, 8),
    )


def make_network(seed: int = 0) -> ImpalaNetwork:
    torch.manual_seed(seed)
    network = ImpalaNetwork(SHAPE, NetworkConfig(hidden_size=8, layers=1, lstm=False))
    nn.init.normal_(network.value.weight)
    nn.init.normal_(network.policy.weight)
    return network


def compute(batch: Batch, network: ImpalaNetwork, config: LossConfig = PLAIN) -> LossOutput:
    scale = ValueScale(2, network.value_jobs, enabled=config.normalize_reward)
    return impala_loss(network, scale, batch, config, entropy_cost=config.entropy_cost)


def values_of(network: ImpalaNetwork, batch: Batch) -> Tensor:
    return network(batch.observation, batch.first, batch.job, (batch.h, batch.c))[1].detach()


def on_policy(batch: Batch, network: ImpalaNetwork) -> None:
    logits, _, _ = network(batch.observation, batch.first, batch.job, (batch.h, batch.c))
    batch.logits = logits[:-1].detach()


def test_truncation_inside_an_unroll() -> None:
    """Row 2 is a truncated episode's final observation, row 3 the first of the next. Discount 1/2."""
    batch, network = make_batch(), make_network()
    batch.truncated[2] = True
    batch.first[3] = True
    on_policy(batch, network)
    v, r = values_of(network, batch), batch.reward
    got = compute(batch, network).targets
    torch.testing.assert_close(got.targets[3], r[4] + 0.5 * v[4])
    torch.testing.assert_close(got.targets[2], v[2])
    torch.testing.assert_close(got.targets[1], r[2] + 0.5 * v[2])
    torch.testing.assert_close(got.targets[0], r[1] + 0.5 * r[2] + 0.25 * v[2])
    assert got.advantages[2].abs().max() == 0


def test_termination_inside_an_unroll() -> None:
    batch, network = make_batch(), make_network()
    batch.terminated[2] = True
    batch.first[3] = True
    on_policy(batch, network)
    r = batch.reward
    got = compute(batch, network).targets
    torch.testing.assert_close(got.targets[1], r[2])
    torch.testing.assert_close(got.targets[0], r[1] + 0.5 * r[2])


def test_the_step_out_of_a_final_observation_is_in_no_loss() -> None:
    """Its action, reward and behaviour may be anything."""
    first, second = make_batch(), make_batch()
    for batch in (first, second):
        batch.truncated[2] = True
        batch.first[3] = True
    second.action[2] = 1 - second.action[2]
    second.reward[3] = 100.0
    second.logits[2] = 7.0
    network = make_network()
    one, two = compute(first, network), compute(second, network)
    torch.testing.assert_close(one.terms, two.terms)
    for key, value in diagnostics(one, first).items():
        torch.testing.assert_close(value, diagnostics(two, second)[key])


def test_without_vtrace_the_policy_that_acted_does_not_matter() -> None:
    """Advantages are those of a batch that the learning policy played itself; with V-trace they are not."""
    batch, network = make_batch(), make_network()
    uncorrected = replace(PLAIN, vtrace=False)
    off_policy = compute(batch, network, uncorrected).targets
    corrected = compute(batch, network).targets
    on_policy(batch, network)
    as_if = compute(batch, network).targets
    torch.testing.assert_close(off_policy.advantages, as_if.advantages)
    torch.testing.assert_close(off_policy.targets, as_if.targets)
    assert not torch.allclose(corrected.advantages, as_if.advantages)


def test_entropy_and_costs_add_up() -> None:
    batch, network = make_batch(), make_network()
    config = LossConfig(normalize_reward=False, baseline_cost=0.25, entropy_cost=0.1)
    terms = compute(batch, network, config).terms
    total = terms.policy_gradient + 0.25 * terms.baseline - 0.1 * terms.entropy
    torch.testing.assert_close(terms.total, total)
    network.policy.weight.data.zero_()
    torch.testing.assert_close(compute(batch, network).terms.entropy, torch.tensor(2.0).log())


def test_policy_gradient_raises_a_better_action() -> None:
    batch, network = make_batch(steps=1, batch=2), make_network()
    batch.observation[:] = 1.0
    batch.action[0] = torch.tensor([0, 1], dtype=torch.int32)
    batch.reward[1] = torch.tensor([5.0, -5.0])
    on_policy(batch, network)
    compute(batch, network, LossConfig(normalize_reward=False, entropy_cost=0.0)).terms.total.backward()  # type: ignore[no-untyped-call]
    assert network.policy.bias.grad is not None
    assert network.policy.bias.grad[0] < 0 < network.policy.bias.grad[1]


def test_value_scale_keeps_raw_values_while_statistics_move() -> None:
    network = make_network()
    scale = ValueScale(2, 2, enabled=True)
    batch = make_batch(steps=6, batch=4)
    batch.job[:, 2:] = 1
    before = scale.raw(values_of(network, batch), batch.job)
    for round_ in range(3):
        targets = 50.0 + 20.0 * torch.randn(6, 4, generator=torch.Generator().manual_seed(round_))
        valid = torch.ones(6, 4, dtype=torch.bool)
        scale.update(targets, targets, batch.job[:-1], valid, network.value)
    assert (scale.mean - 50).abs().max() < 10
    torch.testing.assert_close(scale.raw(values_of(network, batch), batch.job), before, rtol=1e-4, atol=1e-4)


def test_value_scale_is_each_jobs_own_and_ignores_steps_that_were_none() -> None:
    network = make_network()
    scale = ValueScale(2, 2, enabled=True)
    job = torch.tensor([[0, 1, 1]])
    targets = torch.tensor([[4.0, 1000.0, 1e9]])
    valid = torch.tensor([[True, True, False]])
    scale.update(targets, targets, job, valid, network.value)
    torch.testing.assert_close(scale.mean, torch.tensor([4.0, 1000.0]))
    normal = scale.normalized_advantages(targets[:, :2], job[:, :2])
    torch.testing.assert_close(normal, torch.ones(1, 2))
    # A batch without job 1 leaves job 1 alone.
    scale.update(targets[:, :1], targets[:, :1], job[:, :1], valid[:, :1], network.value)
    assert scale.mean[1] == 1000.0


def test_scaled_and_unscaled_targets_agree() -> None:
    """Normalisation may not change what the value of an observation is, only the units it is learnt in."""
    batch, network = make_batch(), make_network()
    batch.truncated[2] = True
    plain = compute(batch, network).targets
    scale = ValueScale(2, 2, enabled=True)
    scale.update(
        torch.full((1, 2), 9.0), torch.ones(1, 2), torch.tensor([[0, 1]]), torch.ones(1, 2) > 0, network.value
    )
    scaled = impala_loss(
        network, scale, batch, LossConfig(discount=0.5, trace_lambda=1.0), entropy_cost=0.0
    ).targets
    torch.testing.assert_close(scaled.targets, plain.targets, rtol=1e-4, atol=1e-4)


def make_learner(total_steps: int = 100, **optimizer: object) -> Learner:
    torch.manual_seed(0)
    config = ImpalaConfig(
        network=NetworkConfig(hidden_size=8, layers=1, lstm=False),
        optimizer=OptimizerConfig(**optimizer),  # type: ignore[arg-type]
    )
    return Learner(SHAPE, config, total_steps=total_steps, device=torch.device("cpu"))


def weights(learner: Learner) -> Tensor:
    return torch.cat([p.detach().flatten() for p in learner.network.parameters()]).clone()


@pytest.mark.parametrize("kind", list(OptimizerKind))
def test_learning_fits_values(kind: OptimizerKind) -> None:
    """Without discount a value is its reward; a strong entropy cost keeps the policy in place."""
    learner = make_learner(total_steps=10**9, kind=kind, learning_rate=1e-2)
    learner.config.loss = LossConfig(discount=0.0, entropy_cost=100.0)
    batch = make_batch()
    batch.logits.zero_()
    losses = [float(learner.learn(batch)["baseline_loss"]) for _ in range(400)]
    assert losses[-1] < 0.2 * losses[0]
    raw = learner.scale.raw(values_of(learner.network, batch), batch.job)
    torch.testing.assert_close(raw[:-1], batch.reward[1:], rtol=0, atol=0.5)


def test_learning_rate_falls_linearly_to_zero() -> None:
    learner = make_learner(total_steps=16, learning_rate=0.1)
    rates = [float(learner.learn(make_batch())["learning_rate"]) for _ in range(3)]
    assert rates == pytest.approx([0.1, 0.05, 0.0])
    assert make_learner(decay=False, learning_rate=0.1).learning_rate == 0.1


def test_gradient_norm_is_clipped() -> None:
    free, clipped = make_learner(grad_clip=0.0), make_learner(grad_clip=1e-3)
    batch = make_batch()
    reported = [float(learner.learn(batch)["gradient_norm"]) for learner in (free, clipped)]
    assert reported[0] == pytest.approx(reported[1])  # from before clipping
    norms = [
        float(torch.stack([p.grad.norm() for p in x.network.parameters() if p.grad is not None]).norm())
        for x in (free, clipped)
    ]
    assert norms[0] == pytest.approx(reported[0], rel=1e-4)
    assert norms[1] == pytest.approx(1e-3, rel=1e-3)


@pytest.mark.parametrize("where", ["reward", "observation"])
def test_a_loss_that_is_no_number_changes_nothing(where: str, tmp_path: Path) -> None:
    learner = make_learner()
    learner.learn(make_batch())
    before, mean = weights(learner), learner.network.normalizer.mean.clone()
    batch = make_batch()
    getattr(batch, where)[1, 0] = float("nan")
    with pytest.raises(NonFiniteLossError, match="loss nan"):
        learner.learn(batch)
    torch.testing.assert_close(weights(learner), before)
    torch.testing.assert_close(learner.network.normalizer.mean, mean)
    learner.save_batch(batch, tmp_path / "batch.pt")
    saved = torch.load(tmp_path / "batch.pt", weights_only=True)
    assert saved["batch"][where][1, 0].isnan().any()


def test_diagnostics() -> None:
    batch, network = make_batch(), make_network()
    on_policy(batch, network)
    figures = diagnostics(compute(batch, network), batch)
    assert abs(float(figures["kl"])) < 1e-6
    torch.testing.assert_close(figures["action_histogram"].sum(), torch.tensor(1.0))
    assert float(figures["explained_variance"]) <= 1.0
    batch.logits = batch.logits + torch.tensor([3.0, 0.0])
    assert float(diagnostics(compute(batch, network), batch)["kl"]) > 0.01
