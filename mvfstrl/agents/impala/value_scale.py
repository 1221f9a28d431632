"""Per-job scale of returns: the value head learns on a unit scale while V-trace works in raw reward units."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ValueScale(nn.Module):
    """Running mean and deviation of each job's value targets (PopArt, Hessel et al. 2018).

    Rewards are never rescaled: raw value = deviation * normalised value + mean, bootstraps and targets are
    raw, and only the regression is on the unit scale. When the statistics move, the value head is corrected
    so that every raw value stays exactly what it was; old unrolls and final observations therefore bootstrap
    on one consistent scale. Advantages are divided by their own running root mean square, so that the entropy
    cost means the same in each job.
    """

    MIN_DEVIATION = 1e-4

    weight: Tensor
    mean: Tensor
    square: Tensor
    advantage_weight: Tensor
    advantage_square: Tensor

    def __init__(self, jobs: int, value_jobs: int, *, enabled: bool, rate: float = 3e-3) -> None:
        """Of `jobs` scenarios the critic tells `value_jobs` apart: all, or 1 where it may not see the job."""
        super().__init__()
        self.enabled = enabled
        self.rate = rate
        # Exponential averages; `weight` is the share of data in them, which corrects the bias towards their
        # start.
        self.register_buffer("weight", torch.zeros(value_jobs))
        self.register_buffer("mean", torch.zeros(value_jobs))
        self.register_buffer("square", torch.ones(value_jobs))
        self.register_buffer("advantage_weight", torch.zeros(jobs))
        self.register_buffer("advantage_square", torch.ones(jobs))

    def deviation(self) -> Tensor:
        return (self.square - self.mean.square()).clamp(min=self.MIN_DEVIATION**2).sqrt()

    def raw(self, value: Tensor, job: Tensor) -> Tensor:
        index = self._value_job(job)
        return value * self.deviation()[index] + self.mean[index]

    def normalized(self, raw: Tensor, job: Tensor) -> Tensor:
        index = self._value_job(job)
        return (raw - self.mean[index]) / self.deviation()[index]

    def normalized_advantages(self, advantages: Tensor, job: Tensor) -> Tensor:
        if not self.enabled:
            return advantages
        scale = self.advantage_square.sqrt().clamp(min=self.MIN_DEVIATION)
        return advantages / scale[job.long()]

    def update(
        self, targets: Tensor, advantages: Tensor, job: Tensor, valid: Tensor, head: nn.Linear
    ) -> None:
        """Learns from one batch's raw targets and advantages, and corrects `head` so that raw values do not
        move.
        """
        if self.enabled:
            self.apply_sums(self.sums(targets, advantages, job, valid), head)

    @torch.no_grad()
    def sums(self, targets: Tensor, advantages: Tensor, job: Tensor, valid: Tensor) -> Tensor:
        """Of a batch what the statistics need, flat: sums of several parts of a batch add up to the whole's.
        Empty where nothing is scaled.
        """
        if not self.enabled:
            return self.mean.new_empty(0)
        mask = valid.to(targets.dtype)
        ones = torch.ones_like(targets)
        values = _by_job(self._value_job(job), mask, [ones, targets, targets.square()], len(self.mean))
        merits = _by_job(job.long(), mask, [ones, advantages.square()], len(self.advantage_square))
        return torch.cat([*values, *merits])

    @torch.no_grad()
    def apply_sums(self, sums: Tensor, head: nn.Linear) -> None:
        if not self.enabled:
            return
        jobs = len(self.advantage_square)
        value_count, target, square, count, merit = torch.split(sums, [len(self.mean)] * 3 + [jobs] * 2)
        old_mean, old_deviation = self.mean.clone(), self.deviation()
        self._average(value_count, [(self.mean, target), (self.square, square)], self.weight)
        self._average(count, [(self.advantage_square, merit)], self.advantage_weight)
        new_deviation = self.deviation()
        ratio = old_deviation / new_deviation
        head.weight.mul_(ratio.unsqueeze(1))
        head.bias.mul_(ratio).add_((old_mean - self.mean) / new_deviation)

    def _average(self, count: Tensor, pairs: list[tuple[Tensor, Tensor]], weight: Tensor) -> None:
        """Moves each job's averages towards its mean over the batch; a job absent from the batch stays."""
        weight.add_(torch.where(count > 0, self.rate * (1 - weight), torch.zeros_like(weight)))
        step = torch.where(count > 0, self.rate / weight.clamp(min=self.rate), torch.zeros_like(weight))
        for average, total in pairs:
            average.add_(step * (total / count.clamp(min=1) - average))

    def _value_job(self, job: Tensor) -> Tensor:
        return job.long() if len(self.mean) > 1 else torch.zeros_like(job, dtype=torch.long)


def _by_job(job: Tensor, mask: Tensor, samples: list[Tensor], jobs: int) -> list[Tensor]:
    """Each sample's sum over the transitions of each job."""
    flat, mask = job.flatten(), mask.flatten()
    return [mask.new_zeros(jobs).index_add_(0, flat, sample.flatten() * mask) for sample in samples]
