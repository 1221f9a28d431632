"""The network: memory across resets, job inputs, normalisation, tracing."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from mvfstrl.agents.impala.config import JobInput, NetworkConfig, Normalization
from mvfstrl.agents.impala.network import ImpalaNetwork, NetworkShape, ObservationNormalizer

SHAPE = NetworkShape(observation_size=6, num_actions=4, jobs=3)


def make(seed: int = 0, **options: object) -> ImpalaNetwork:
    torch.manual_seed(seed)
    network = ImpalaNetwork(SHAPE, NetworkConfig(hidden_size=16, **options))  # type: ignore[arg-type]
    for head in (network.policy, network.value):  # fresh heads are zero: nothing would show
        nn.init.normal_(head.weight)
    return network


def inputs(steps: int, batch: int, reset_probability: float, seed: int = 1) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    observation = torch.randn(steps, batch, 6, generator=generator)
    first = torch.rand(steps, batch, generator=generator) < reset_probability
    job = torch.randint(0, 3, (steps, batch), generator=generator, dtype=torch.int32)
    return observation, first, job


def random_state(layers: int, batch: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(2)
    return tuple(torch.randn(layers, batch, 16, generator=generator) for _ in range(2))  # type: ignore[return-value]


@pytest.mark.parametrize("reset_probability", [0.0, 0.05, 0.5, 1.0])
@pytest.mark.parametrize("layers", [1, 2])
def test_fused_memory_equals_a_loop_over_cells(layers: int, reset_probability: float) -> None:
    network = make(lstm_layers=layers)
    observation, first, job = inputs(20, 5, reset_probability)
    h, c = random_state(layers, 5)
    logits, value, (h_end, c_end) = network(observation, first, job, (h, c))

    assert network.lstm is not None
    for t in range(20):
        x = network.torso(network.normalizer(observation[t]))
        for layer in range(layers):
            cell = nn.LSTMCell(16, 16)
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
                setattr(cell, name, getattr(network.lstm, f"{name}_l{layer}"))
            mine, theirs = h[layer].clone(), c[layer].clone()
            mine[first[t]] = 0.0
            theirs[first[t]] = 0.0
            x, cell_state = cell(x, (mine, theirs))
            h = torch.cat([h[:layer], x[None], h[layer + 1 :]])
            c = torch.cat([c[:layer], cell_state[None], c[layer + 1 :]])
        torch.testing.assert_close(logits[t], network.policy(x))
        torch.testing.assert_close(value[t], network.value(x).gather(1, job[t, :, None].long())[:, 0])
    torch.testing.assert_close(h_end, h)
    torch.testing.assert_close(c_end, c)


@pytest.mark.parametrize("lstm", [True, False])
def test_single_steps_equal_the_unroll(lstm: bool) -> None:
    network = make(lstm=lstm, job_id=JobInput.actor_critic)
    observation, first, job = inputs(12, 5, 0.2)
    state = network.initial_state(5)
    logits, _, (h_end, c_end) = network(observation, first, job, state)
    h, c = state
    for t in range(12):
        step_logits, h, c = network.step(observation[t], first[t], job[t], h, c)
        torch.testing.assert_close(step_logits, logits[t])
    torch.testing.assert_close(h, h_end)
    torch.testing.assert_close(c, c_end)


def test_a_reset_forgets_in_its_column_only_and_gradients_stop_there() -> None:
    network = make()
    observation, first, job = inputs(10, 2, 0.0)
    first[6, 0] = True
    observation.requires_grad_()
    logits, _, _ = network(observation, first, job, network.initial_state(2))
    logits[9].sum().backward()
    assert observation.grad is not None
    assert observation.grad[:6, 0].abs().max() == 0
    assert observation.grad[6:, 0].abs().min() > 0
    assert observation.grad[:6, 1].abs().min() > 0


def outputs(network: ImpalaNetwork, jobs: list[int]) -> tuple[Tensor, Tensor]:
    observation = torch.ones(1, len(jobs), 6)
    first = torch.zeros(1, len(jobs), dtype=torch.bool)
    state = network.initial_state(len(jobs))
    logits, value, _ = network(observation, first, torch.tensor([jobs], dtype=torch.int32), state)
    return logits[0], value[0]


@pytest.mark.parametrize(
    ("who", "actor_sees", "critic_sees"),
    [(JobInput.none, False, False), (JobInput.critic, False, True), (JobInput.actor_critic, True, True)],
)
def test_the_job_reaches_whom_it_may(who: JobInput, actor_sees: bool, critic_sees: bool) -> None:
    logits, value = outputs(make(job_id=who), [0, 1, 2])
    assert torch.allclose(logits[0], logits[1], atol=1e-5) != actor_sees
    assert torch.allclose(value[0], value[1], atol=1e-5) != critic_sees


def test_an_unknown_job_has_no_one_hot() -> None:
    network = make(job_id=JobInput.actor_critic)
    logits, _ = outputs(network, [-1, 0])
    assert logits.isfinite().all()
    network.torso[0].weight.data[:, 6:] = 0.0  # type: ignore[union-attr, index]
    torch.testing.assert_close(*outputs(network, [-1, 0])[0])


def test_running_normalisation_matches_all_data_seen() -> None:
    generator = torch.Generator().manual_seed(0)
    normalizer = ObservationNormalizer(3, running=True)
    chunks = [
        torch.randn(7, n, 3, generator=generator) * torch.tensor([1.0, 50.0, 3.0]) + 2 for n in (4, 1, 30)
    ]
    for chunk in chunks:
        normalizer.update(chunk)
    x = torch.cat([chunk.flatten(0, 1) for chunk in chunks])
    y = x.sign() * x.abs().log1p()
    torch.testing.assert_close(normalizer.mean, y.mean(0))
    torch.testing.assert_close(normalizer.variance, y.var(0, correction=0))
    z = normalizer(x)
    torch.testing.assert_close(z.mean(0), torch.zeros(3), atol=1e-4, rtol=0)
    torch.testing.assert_close(z.std(0, correction=0), torch.ones(3))


def test_normalisation_never_clips() -> None:
    normalizer = ObservationNormalizer(1, running=True)
    normalizer.update(torch.zeros(10, 1))  # constant so far: amplified by the floor, not infinitely
    z = normalizer(torch.tensor([[0.0], [1.0], [10.0], [1e4], [1e6]])).flatten()
    assert z.isfinite().all()
    assert (z.diff() > 0).all()


def test_symlog_alone_has_no_statistics() -> None:
    network = make(normalization=Normalization.symlog)
    network.normalizer.update(torch.randn(5, 2, 6))
    assert network.normalizer.count == 0
    torch.testing.assert_close(network.normalizer(torch.tensor([[-1.0]])), -torch.tensor([[2.0]]).log())


@pytest.mark.parametrize("lstm", [True, False])
def test_a_traced_step_equals_the_eager_one_for_any_batch(lstm: bool) -> None:
    from mvfstrl.policy import PolicyStep

    network = make(lstm=lstm, job_id=JobInput.actor_critic)
    scripted = PolicyStep(network).traced()
    for batch in (1, 5):
        observation, first, job = inputs(6, batch, 0.3)
        h, c = network.initial_state(batch)
        h2, c2 = h.clone(), c.clone()
        for t in range(6):
            logits, h, c = network.step(observation[t], first[t], job[t], h, c)
            logits2, h2, c2 = scripted(observation[t], first[t], job[t], h2, c2)
            torch.testing.assert_close(logits, logits2)
            torch.testing.assert_close(c, c2)
