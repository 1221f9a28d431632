"""Knobs of the sweepers: Hydra's group `hydra/sweeper`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class GridConfig:
    """Every combination of the listed values."""

    _target_: str = "hydra_plugins.mvfst_rl.GridSweeper"
    params: dict[str, Any] = field(default_factory=dict)
    """Values by key, as on the command line; what that says of a key goes before."""
    max_batch_size: int | None = None
    """So many runs are handed to the launcher at a time; the next ones when all of these have ended. null:
    all at once."""


@dataclass
class PrunerConfig:
    """Gives runs up whose intermediate results are poor: see mvfstrl.sweep.pruning."""

    kind: str = "none"
    """none | median: worse than the median of the runs before, at the same part of the training |
    hyperband: successive halving, many runs get little and few get all."""
    startup_trials: int = 5
    """median: so many runs are let through, to compare with."""
    warmup_percent: int = 20
    """median: of its training, before a run may be given up; hyperband: before the first rung."""
    reduction_factor: int = 3
    """hyperband: one in so many goes on at a rung."""


@dataclass
class OptunaConfig:
    """Asks Optuna for the next runs, and tells it what came of them."""

    _target_: str = "hydra_plugins.mvfst_rl.OptunaSweeper"
    params: dict[str, Any] = field(default_factory=dict)
    """The search space, in Hydra's words: `choice(a, b)`, `interval(0, 1)`, `tag(log, interval(1e-5, 1e-3))`,
    `int(interval(1, 9))`, `range(20, 100, step=20)`."""
    n_trials: int = 30
    """Runs in all, over all starts of the sweep, those that failed included."""
    n_jobs: int | None = None
    """Runs asked for at a time; null: as many as the launcher runs side by side."""
    sampler: str = "tpe"
    """tpe | cmaes (numbers only) | nsgaii (for several objectives) | random."""
    startup_trials: int = 10
    """tpe, cmaes: runs at random before the model has its say."""
    population: int = 20
    """nsgaii: runs of a generation."""
    seed: int | None = 0
    """Of the sampler; null: another one each time."""
    pruner: PrunerConfig = field(default_factory=PrunerConfig)


SWEEPERS: dict[str, type] = {"grid": GridConfig, "optuna": OptunaConfig}
