"""V-trace targets (Espeholt et al. 2018, "IMPALA", section 4.1), as one pure function."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class VTrace(NamedTuple):
    """Per transition [T, B]; no gradient flows through either."""

    targets: Tensor
    """v_s, what the value function regresses to."""
    advantages: Tensor
    """rho_s (r_s + gamma v_{s+1} - V(x_s)), the weight of the policy gradient."""


@torch.no_grad()
def vtrace(
    *,
    log_ratios: Tensor,
    rewards: Tensor,
    discounts: Tensor,
    values: Tensor,
    valid: Tensor | None = None,
    rho_clip: float = 1.0,
    c_clip: float = 1.0,
    pg_rho_clip: float = 1.0,
    trace_lambda: float = 1.0,
) -> VTrace:
    """Targets and advantages of T transitions; `values` has T + 1 rows, the last is the bootstrap.

    `log_ratios` is log(target / behaviour) of the action taken. `rewards` and `discounts` belong to the
    transition: what it earned, and the weight of the value of where it led (0 where the episode terminated
    there). A transition whose `valid` is false never happened (its observation ended an episode): its target
    is its own value and its advantage is zero, so that a truncated episode bootstraps from the value of its
    final observation.
    """
    steps, batch = rewards.shape
    assert log_ratios.shape == discounts.shape == (steps, batch), "one ratio and discount a transition"
    assert values.shape == (steps + 1, batch), "one value more than transitions"

    ratios = log_ratios.exp()
    if valid is not None:
        assert valid.shape == (steps, batch)
        ratios = torch.where(valid, ratios, torch.zeros_like(ratios))
    deltas = ratios.clamp(max=rho_clip) * (rewards + discounts * values[1:] - values[:-1])
    corrections = _discounted_sum(deltas, discounts * ratios.clamp(max=c_clip) * trace_lambda)
    targets = values[:-1] + corrections

    following = torch.cat([targets[1:], values[-1:]])
    advantages = ratios.clamp(max=pg_rho_clip) * (rewards + discounts * following - values[:-1])
    return VTrace(targets, advantages)


def _discounted_sum(terms: Tensor, weights: Tensor) -> Tensor:
    """x[t] = terms[t] + weights[t] x[t + 1] with x[T] = 0, as a parallel scan: log2(T) passes instead of T
    steps.
    """
    total, weight = terms.clone(), weights.clone()
    span = 1
    while span < len(total):
        # Row t covers `span` terms; joining row t + span doubles that. Right-hand sides are evaluated before
        # the write.
        total[:-span] += weight[:-span] * total[span:]
        weight[:-span] = weight[:-span] * weight[span:]
        span *= 2
    return total
