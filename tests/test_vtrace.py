"""V-trace against the paper's formula, against torchrl, and against hand-computed truncation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from mvfstrl.agents.impala.vtrace import VTrace, vtrace

Array = NDArray[np.float64]


def paper_targets(
    ratios: Array, rewards: Array, discounts: Array, values: Array, rho_bar: float, c_bar: float, lam: float
) -> Array:
    """Equation 1, term by term: v_s = V(x_s) + sum_t gamma^{t-s} (prod_{i=s}^{t-1} c_i) delta_t V."""
    steps, batch = rewards.shape
    rho = np.minimum(rho_bar, ratios)
    c = lam * np.minimum(c_bar, ratios)
    targets = np.empty_like(rewards)
    for b in range(batch):
        for s in range(steps):
            total = values[s, b]
            for t in range(s, steps):
                weight = np.prod(discounts[s:t, b]) * np.prod(c[s:t, b])
                delta = rho[t, b] * (rewards[t, b] + discounts[t, b] * values[t + 1, b] - values[t, b])
                total += weight * delta
            targets[s, b] = total
    return targets


def sample(seed: int, steps: int, batch: int) -> dict[str, Array]:
    rng = np.random.default_rng(seed)
    # Ratios from 0.05 to 20 so that both clips bind on some transitions and neither on others.
    ratios = np.exp(rng.uniform(-3.0, 3.0, (steps, batch)))
    discounts = np.where(rng.random((steps, batch)) < 0.1, 0.0, 0.95)
    return {
        "ratios": ratios,
        "rewards": rng.normal(size=(steps, batch)),
        "discounts": discounts,
        "values": rng.normal(size=(steps + 1, batch)),
    }


def run(data: dict[str, Array], **options: float) -> VTrace:
    tensors = {k: torch.from_numpy(v) for k, v in data.items()}
    log_ratios = tensors.pop("ratios").log()
    return vtrace(log_ratios=log_ratios, **tensors, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("steps", [1, 2, 3, 7, 20, 33])
@pytest.mark.parametrize(
    ("rho_bar", "c_bar", "pg_bar", "lam"), [(1.0, 1.0, 1.0, 1.0), (3.7, 2.2, 1.5, 0.9), (1e9, 1e9, 1e9, 1.0)]
)
def test_equals_the_papers_formula(
    steps: int, rho_bar: float, c_bar: float, pg_bar: float, lam: float
) -> None:
    data = sample(steps, steps, 5)
    got = run(data, rho_clip=rho_bar, c_clip=c_bar, pg_rho_clip=pg_bar, trace_lambda=lam)
    targets = paper_targets(**data, rho_bar=rho_bar, c_bar=c_bar, lam=lam)
    following = np.concatenate([targets[1:], data["values"][-1:]])
    advantages = np.minimum(pg_bar, data["ratios"]) * (
        data["rewards"] + data["discounts"] * following - data["values"][:-1]
    )
    np.testing.assert_allclose(got.targets, targets, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(got.advantages, advantages, rtol=1e-10, atol=1e-10)


def test_the_sample_spans_both_clips() -> None:
    ratios = sample(20, 20, 5)["ratios"]
    for clip in (1.0, 2.2, 3.7):
        assert 0.1 < (ratios > clip).mean() < 0.9


def test_on_policy_without_clips_is_the_n_step_return() -> None:
    data = sample(1, 6, 3)
    data["ratios"][:] = 1.0
    data["discounts"][:] = 0.9
    expected = data["values"][-1]
    for reward in data["rewards"][::-1]:
        expected = reward + 0.9 * expected
    np.testing.assert_allclose(run(data).targets[0], expected)


def test_equals_torchrl() -> None:
    functional = pytest.importorskip("torchrl.objectives.value.functional", reason="torchrl is not installed")
    data = sample(4, 25, 4)
    gamma = 0.97
    terminated = data["discounts"] == 0.0
    data["discounts"] = np.where(terminated, 0.0, gamma)

    def shaped(x: Array) -> torch.Tensor:  # torchrl wants [B, T, 1]
        return torch.from_numpy(x).transpose(0, 1).unsqueeze(-1)

    behaviour = torch.zeros(4, 25, 1, dtype=torch.float64)
    advantages, targets = functional.vtrace_advantage_estimate(
        gamma,
        shaped(np.log(data["ratios"])),
        behaviour,
        shaped(data["values"][:-1]),
        shaped(data["values"][1:]),
        shaped(data["rewards"]),
        shaped(terminated),
        shaped(terminated),
        rho_thresh=1.6,
        c_thresh=1.2,
    )
    # torchrl clips the policy gradient's weight with rho_thresh as well.
    got = run(data, rho_clip=1.6, c_clip=1.2, pg_rho_clip=1.6)
    close = {"rtol": 1e-4, "atol": 1e-5}  # torchrl holds gamma in single precision
    torch.testing.assert_close(got.targets, targets.squeeze(-1).transpose(0, 1), **close)
    torch.testing.assert_close(got.advantages, advantages.squeeze(-1).transpose(0, 1), **close)


def test_truncation_bootstraps_from_the_final_observation() -> None:
    """Observations 0..4; 2 is the final one of a truncated episode, 3 the first of the next. By hand, gamma
    1/2.
    """
    column = lambda *x: torch.tensor(x, dtype=torch.float64).unsqueeze(1)  # noqa: E731
    got = vtrace(
        log_ratios=column(0.0, 0.0, 5.0, 0.0),
        rewards=column(1.0, 2.0, 0.0, 3.0),
        discounts=column(0.5, 0.5, 0.5, 0.5),
        values=column(10.0, 20.0, 40.0, 80.0, 160.0),
        valid=torch.tensor([[True], [True], [False], [True]]),
    )
    # v3 = 3 + 160/2 = 83; v2 = V2 = 40 (no transition); v1 = 2 + 40/2 = 22; v0 = 1 + 22/2 = 12.
    torch.testing.assert_close(got.targets, column(12.0, 22.0, 40.0, 83.0))
    torch.testing.assert_close(got.advantages, column(12.0 - 10.0, 22.0 - 20.0, 0.0, 83.0 - 80.0))


def test_termination_does_not_bootstrap() -> None:
    column = lambda *x: torch.tensor(x, dtype=torch.float64).unsqueeze(1)  # noqa: E731
    got = vtrace(
        log_ratios=column(0.0, 0.0, 5.0, 0.0),
        rewards=column(1.0, 2.0, 0.0, 3.0),
        discounts=column(0.5, 0.0, 0.5, 0.5),
        values=column(10.0, 20.0, 40.0, 80.0, 160.0),
        valid=torch.tensor([[True], [True], [False], [True]]),
    )
    # v1 = 2, whatever the network says of observation 2; v0 = 1 + 2/2 = 2.
    torch.testing.assert_close(got.targets, column(2.0, 2.0, 40.0, 83.0))


def test_no_gradient_flows_through_the_targets() -> None:
    values = torch.zeros(4, 2, requires_grad=True)
    zeros = torch.zeros(3, 2)
    got = vtrace(log_ratios=zeros, rewards=zeros, discounts=zeros, values=values)
    assert not got.targets.requires_grad
    assert not got.advantages.requires_grad
