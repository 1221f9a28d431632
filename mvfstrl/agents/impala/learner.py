"""Turns unrolls into parameters."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mvfstrl.agents.impala.config import ImpalaConfig, OptimizerConfig, OptimizerKind, Precision
from mvfstrl.agents.impala.loss import LossOutput, LossTerms, Sum, diagnostics, impala_loss, joined
from mvfstrl.agents.impala.network import ImpalaNetwork, NetworkShape, State
from mvfstrl.agents.impala.shares import Shares, default_threads, split
from mvfstrl.agents.impala.trajectory import Batch
from mvfstrl.agents.impala.value_scale import ValueScale
from mvfstrl.distributed import Ranks
from mvfstrl.errors import MvfstrlError

OBSERVED_ROWS = 4
"""Every so many rows enter the observation statistics: neighbours in time say much the same."""


class NonFiniteLossError(MvfstrlError):
    """A loss or gradient that is no number. Parameters are still those from before the batch."""


class Learner:
    """The network that learns, its optimiser and its running statistics.

    Of several ranks each has a learner and some columns of every batch. Gradients and statistics are summed
    before they are used, so that all do the same update, the one that a single learner would do.
    """

    def __init__(
        self,
        shape: NetworkShape,
        config: ImpalaConfig,
        *,
        total_steps: int,
        device: torch.device,
        siblings: int = 1,
        ranks: Ranks | None = None,
        threads: int = 1,
    ) -> None:
        """`siblings`: so many columns of a batch, side by side, play the same episodes. `threads` share the
        columns; 0: as many as are of use."""
        self.config = config
        self.ranks = ranks or Ranks()
        self.siblings = siblings
        self.device = device
        self.total_steps = total_steps
        self.network = ImpalaNetwork(shape, config.network).to(device)
        if threads == 0:
            weights = sum(parameter.numel() for parameter in self.network.parameters())
            threads = default_threads(config.batch_size // self.ranks.size, self.ranks.cores, weights)
        self._shares = Shares(threads if device.type == "cpu" else 1)
        self.scale = ValueScale(shape.jobs, self.network.value_jobs, enabled=config.loss.normalize_reward).to(
            device
        )
        self.optimizer = make_optimizer(self.network, config.optimizer)
        self.step = 0
        """Transitions learnt from."""
        self.version = 0
        """Updates of the parameters."""

    @property
    def remaining(self) -> float:
        """The part of training still to come."""
        return max(0.0, 1.0 - self.step / self.total_steps)

    @property
    def learning_rate(self) -> float:
        rate = self.config.optimizer.learning_rate
        return rate * self.remaining if self.config.optimizer.decay else rate

    @property
    def entropy_cost(self) -> float:
        start, end = self.config.loss.entropy_cost, self.config.loss.entropy_cost_final
        return start if end is None else end + (start - end) * self.remaining

    def learn(self, batch: Batch, siblings: int | None = None) -> dict[str, Tensor]:
        """One update, from this rank's columns of a batch. Raises NonFiniteLossError, with nothing changed,
        where the loss is no number. `siblings`: of this batch, if not as of all.
        """
        batch = batch.to(self.device)
        rate = self.learning_rate
        output, gradients = self._loss(batch, self.siblings if siblings is None else siblings)
        terms, scale_sums, observed_sums = self._sum_ranks(output, gradients, batch)
        norm = self._clip()
        if not bool(torch.isfinite(terms.total + norm)):
            raise NonFiniteLossError(
                f"loss {terms.total:.6g}, gradient norm {norm:.6g} after {self.step} steps"
            )
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        # Statistics move between updates only, so that a batch sees one scale from its targets to its
        # gradient.
        self.scale.apply_sums(scale_sums, self.network.value)
        self.network.normalizer.apply_sums(observed_sums)
        self.version += 1
        self.step += batch.action.numel() * self.ranks.size
        metrics = diagnostics(output._replace(terms=terms), batch)
        return {**metrics, "gradient_norm": norm, "learning_rate": torch.tensor(rate)}

    def _loss(self, batch: Batch, siblings: int) -> tuple[LossOutput, list[Tensor | None]]:
        """Of this rank's columns, with the gradient of each parameter: the work of all threads."""
        bounds = split(batch.action.shape[1], siblings, self._shares.threads)
        shares = [partial(self._share, batch.columns(*ends), siblings) for ends in bounds]
        done = self._shares.run(shares, lambda sums: self.ranks.sum([sums])[0])
        outputs, gradients = zip(*done, strict=True)
        return joined(outputs), [_added(parts) for parts in zip(*gradients, strict=True)]

    def _share(self, batch: Batch, siblings: int, total: Sum) -> tuple[LossOutput, Sequence[Tensor | None]]:
        output = impala_loss(
            self._forward, self.scale, batch, self.config.loss, self.entropy_cost, siblings, total
        )
        parameters = list(self.network.parameters())
        gradients = torch.autograd.grad(output.terms.total, parameters, allow_unused=True)
        return output.detach(), gradients

    def _forward(
        self, observation: Tensor, first: Tensor, job: Tensor, state: State
    ) -> tuple[Tensor, Tensor, State]:
        with torch.autocast(
            self.device.type, torch.bfloat16, enabled=self.config.precision is Precision.bf16
        ):
            outputs: tuple[Tensor, Tensor, State] = self.network(observation, first, job, state)
        return outputs

    def _sum_ranks(
        self, output: LossOutput, own: Sequence[Tensor | None], batch: Batch
    ) -> tuple[LossTerms, Tensor, Tensor]:
        """Gives each parameter the gradient of all ranks' columns; returns the loss and the sums that the
        statistics of values and of observations need, of all ranks too.
        """
        targets = output.targets
        scale = self.scale.sums(targets.targets, targets.advantages, batch.job[:-1], output.valid)
        observed = self.network.normalizer.sums(batch.observation[:-1:OBSERVED_ROWS])
        terms = torch.stack(list(output.terms))
        learnt = [(p, g) for p, g in zip(self.network.parameters(), own, strict=True) if g is not None]
        scale, observed, terms, *gradients = self.ranks.sum([scale, observed, terms, *(g for _, g in learnt)])
        for (parameter, _), gradient in zip(learnt, gradients, strict=True):
            parameter.grad = gradient
        return LossTerms(*terms.unbind()), scale, observed

    def _clip(self) -> Tensor:
        """Returns the gradient's norm from before clipping."""
        limit = self.config.optimizer.grad_clip or float("inf")
        return nn.utils.clip_grad_norm_(self.network.parameters(), limit)

    def require_equal_ranks(self) -> None:
        """Raises RankError where a rank's parameters or statistics are not those of rank 0."""
        tensors = {**self.network.state_dict(), **self.scale.state_dict(prefix="value_scale.")}
        self.ranks.require_equal(f"parameters after update {self.version}", tensors)

    def state_dict(self) -> dict[str, Any]:
        return {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "value_scale": self.scale.state_dict(),
            "step": self.step,
            "version": self.version,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scale.load_state_dict(state["value_scale"])
        self.step = state["step"]
        self.version = state["version"]

    def save_batch(self, batch: Batch, path: Path) -> None:
        """For the post-mortem of a loss that is no number: the batch, and the parameters that it met."""
        tensors = {name: tensor.to("cpu", copy=True) for name, tensor in batch.tensors().items()}
        torch.save({"batch": tensors, **self.state_dict()}, path)


def _added(parts: Sequence[Tensor | None]) -> Tensor | None:
    """A parameter's gradient from those of its shares, of which all or none use it."""
    present = [part for part in parts if part is not None]
    return functools.reduce(torch.add, present) if present else None


def make_optimizer(network: nn.Module, config: OptimizerConfig) -> torch.optim.Optimizer:
    if config.kind == OptimizerKind.adam:
        return torch.optim.Adam(
            network.parameters(),
            lr=config.learning_rate,
            betas=(config.beta1, config.beta2),
            eps=config.epsilon,
            fused=True,
        )
    return torch.optim.RMSprop(
        network.parameters(),
        lr=config.learning_rate,
        alpha=config.alpha,
        eps=config.epsilon,
        momentum=config.momentum,
        foreach=True,
    )
