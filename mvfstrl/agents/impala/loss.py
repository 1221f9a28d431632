"""The IMPALA loss of one batch: policy gradient, baseline and entropy, weighted by V-trace."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from mvfstrl.agents.impala.config import LossConfig
from mvfstrl.agents.impala.network import State
from mvfstrl.agents.impala.trajectory import Batch
from mvfstrl.agents.impala.value_scale import ValueScale
from mvfstrl.agents.impala.vtrace import VTrace, vtrace

Forward = Callable[[Tensor, Tensor, Tensor, State], tuple[Tensor, Tensor, State]]
"""The network, as `ImpalaNetwork.forward`."""
Sum = Callable[[Tensor], Tensor]
"""The sum over all who each have some columns of the batch: threads and ranks."""


def alone(tensor: Tensor) -> Tensor:
    """The `Sum` of a single rank."""
    return tensor


class LossTerms(NamedTuple):
    """Means over the transitions that happened; of several ranks each has its share, and their sum is the
    mean."""

    total: Tensor
    policy_gradient: Tensor
    baseline: Tensor
    entropy: Tensor
    """Of the policy, in nats: not yet multiplied by its cost."""


class LossOutput(NamedTuple):
    terms: LossTerms
    targets: VTrace
    """In raw reward units."""
    values: Tensor
    """[T, B], raw."""
    valid: Tensor
    """[T, B]: the transitions that happened; the step out of a final observation is none."""
    log_policy: Tensor
    """[T, B, A], of the policy that learns."""
    log_behaviour: Tensor

    def detach(self) -> LossOutput:
        """Without what a gradient would need."""
        terms = LossTerms(*(term.detach() for term in self.terms))
        return self._replace(terms=terms, log_policy=self.log_policy.detach())


def joined(shares: Sequence[LossOutput]) -> LossOutput:
    """Of all columns, from outputs of some each, in their order."""
    if len(shares) == 1:
        return shares[0]
    terms = LossTerms(
        *(torch.stack(term).sum(dim=0) for term in zip(*(s.terms for s in shares), strict=True))
    )
    targets = VTrace(*(torch.cat(part, dim=1) for part in zip(*(s.targets for s in shares), strict=True)))
    columns = zip(*(s[2:] for s in shares), strict=True)
    return LossOutput(terms, targets, *(torch.cat(part, dim=1) for part in columns))


def impala_loss(
    forward: Forward,
    scale: ValueScale,
    batch: Batch,
    config: LossConfig,
    entropy_cost: float,
    siblings: int = 1,
    sum_ranks: Sum = alone,
) -> LossOutput:
    """`siblings`: so many columns side by side play the same episodes."""
    logits, values, _ = forward(batch.observation, batch.first, batch.job, (batch.h, batch.c))
    log_policy = functional.log_softmax(logits[:-1], dim=-1)
    log_behaviour = functional.log_softmax(batch.logits, dim=-1)
    action = batch.action.long().unsqueeze(-1)
    taken = log_policy.gather(-1, action).squeeze(-1)
    taken_behaviour = log_behaviour.gather(-1, action).squeeze(-1)

    valid = ~(batch.terminated[:-1] | batch.truncated[:-1])
    raw = scale.raw(values.detach(), batch.job)
    log_ratios = taken.detach() - taken_behaviour
    if not config.vtrace:
        log_ratios = torch.zeros_like(log_ratios)  # as if the policy that learns had acted
    targets = vtrace(
        log_ratios=log_ratios,
        rewards=batch.reward[1:],
        discounts=config.discount * (~batch.terminated[1:]).to(raw.dtype),
        values=raw,
        valid=valid,
        rho_clip=config.rho_clip,
        c_clip=config.c_clip,
        pg_rho_clip=config.pg_rho_clip,
        trace_lambda=config.trace_lambda,
    )

    merits = targets.advantages
    count = valid.sum().to(raw.dtype)
    if siblings > 1:
        mean, common, square = sibling_means(merits, valid, siblings)
        count, common, square = sum_ranks(torch.stack([count, common, square])).unbind()
        ratios = log_ratios.exp().clamp(max=config.pg_rho_clip)
        merits = merits - ratios * sibling_multiple(common, square) * mean
        targets = targets._replace(advantages=merits)
    else:
        count = sum_ranks(count.unsqueeze(0)).squeeze(0)

    weight = valid.to(raw.dtype) / count.clamp(min=1)
    advantages = scale.normalized_advantages(merits, batch.job[:-1])
    policy_gradient = -(taken * advantages * weight).sum()
    errors = scale.normalized(targets.targets, batch.job[:-1]) - values[:-1]
    baseline = 0.5 * (errors.square() * weight).sum()
    entropy = -((log_policy.exp() * log_policy).sum(-1) * weight).sum()
    total = policy_gradient + config.baseline_cost * baseline - entropy_cost * entropy
    terms = LossTerms(total, policy_gradient, baseline, entropy)
    return LossOutput(terms, targets, raw[:-1], valid, log_policy, log_behaviour)


@torch.no_grad()
def sibling_baseline(advantages: Tensor, valid: Tensor, siblings: int) -> Tensor:
    """What luck explains of each advantage [T, B]: a multiple of its siblings' mean advantage at the time.

    Siblings meet the same link at the same time, and none knows another's action: their mean advantage is a
    baseline that takes the link's part out of the policy gradient and leaves its mean where it was: an
    input-dependent baseline (Mao et al. 2019), from rollouts instead of a network. The multiple is the one
    that fits the batch: near one where the link decides, near zero where siblings have nothing in common.
    """
    mean, common, square = sibling_means(advantages, valid, siblings)
    return sibling_multiple(common, square) * mean


@torch.no_grad()
def sibling_means(advantages: Tensor, valid: Tensor, siblings: int) -> tuple[Tensor, Tensor, Tensor]:
    """The mean advantage of each one's siblings [T, B]; and, summed, its product with one's own and its
    square.
    """
    steps, batch = advantages.shape
    sets = (steps, batch // siblings, siblings)
    mine = torch.where(valid, advantages, torch.zeros_like(advantages)).view(sets)
    there = valid.view(sets).to(advantages.dtype)
    others = there.sum(-1, keepdim=True) - there
    mean = (mine.sum(-1, keepdim=True) - mine) / others.clamp(min=1)
    both = there * (others > 0)
    return mean.view(steps, batch), (mine * mean * both).sum(), (mean.square() * both).sum()


def sibling_multiple(common: Tensor, square: Tensor) -> Tensor:
    return (common / square.clamp(min=1e-12)).clamp(0.0, 1.0)


@torch.no_grad()
def diagnostics(output: LossOutput, batch: Batch) -> dict[str, Tensor]:
    """How well learning goes, as scalars; the histogram has one number an action."""
    valid = output.valid
    weight = valid.to(output.values.dtype) / valid.sum().clamp(min=1)
    divergence = (output.log_behaviour.exp() * (output.log_behaviour - output.log_policy)).sum(-1)
    targets, values = output.targets.targets[valid], output.values[valid]
    spread = targets.var(correction=0).clamp(min=1e-12)
    counts = torch.bincount(batch.action[valid].long(), minlength=output.log_policy.shape[-1])
    return {
        "loss": output.terms.total.detach(),
        "policy_gradient_loss": output.terms.policy_gradient.detach(),
        "baseline_loss": output.terms.baseline.detach(),
        "entropy": output.terms.entropy.detach(),
        "kl": (divergence * weight).sum(),
        "explained_variance": 1 - (targets - values).var(correction=0) / spread,
        "reward": (batch.reward[1:] * weight).sum(),
        "value": values.mean(),
        "action_histogram": counts / counts.sum().clamp(min=1),
    }
