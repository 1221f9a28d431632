"""Giving up runs whose intermediate results are poor. The run decides by itself, from the study's journal.

What is compared is the newest value of the training's metric that stands for the objective, at each percent
of `total_steps`: runs that write their rows at other steps are compared all the same. Under rewards of
different weights such values are no common measure, and a study that searches those should not prune by them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import optuna
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from mvfstrl.errors import ConfigError

STUDY = "sweep"
JOURNAL = "study.journal"

INTERMEDIATE = {
    "reward": "episode_return",
    "score": "episode_return",
    "episode_return": "episode_return",
    "throughput_mbps": "episode_throughput_mbps",
    "utilisation": "episode_utilisation",
    "queue_delay_p95_ms": "episode_queue_delay_p95_ms",
    "queue_loss": "episode_queue_loss",
}
"""Of objectives: which metric of the training stands for each."""
PRUNERS = ("none", "median", "hyperband")


def make_pruner(settings: Any) -> BasePruner:
    """`settings`: a PrunerConfig, or the same of a composed configuration."""
    if settings.kind not in PRUNERS:
        raise ConfigError(
            f"hydra.sweeper.pruner.kind: must be one of {', '.join(PRUNERS)}, got {settings.kind!r}"
        )
    for key, low, high in (
        ("startup_trials", 0, math.inf),
        ("warmup_percent", 0, 100),
        ("reduction_factor", 2, math.inf),
    ):
        if not low <= settings[key] <= high:
            bounds = f"{low} or more" if high == math.inf else f"from {low} to {high}"
            raise ConfigError(f"hydra.sweeper.pruner.{key}: must be {bounds}, got {settings[key]}")
    if settings.kind == "median":
        return MedianPruner(settings.startup_trials, n_warmup_steps=settings.warmup_percent)
    if settings.kind == "hyperband":
        least = max(1, settings.warmup_percent)
        return HyperbandPruner(least, max_resource=100, reduction_factor=settings.reduction_factor)
    return NopPruner()


def require_prunable(objectives: list[str]) -> None:
    if len(objectives) > 1:
        raise ConfigError(
            "hydra.sweeper.pruner: runs of several objectives cannot be pruned; name one in objective"
        )
    if objectives[0] not in INTERMEDIATE:
        known = ", ".join(INTERMEDIATE)
        raise ConfigError(
            f"hydra.sweeper.pruner: no metric of a training stands for {objectives[0]}; there are {known}"
        )


def open_storage(folder: Path) -> JournalStorage:
    """Of a sweep: a file that only grows, on shared file systems too."""
    return JournalStorage(JournalFileBackend(str(folder / JOURNAL)))


class RunPruner:
    """What a run asks at each row of its metrics."""

    def __init__(self, folder: Path, number: int, settings: Any, objective: str, total_steps: int) -> None:
        """`folder`: the sweep's. `number`: the trial's, and the run's."""
        self._storage = open_storage(folder)
        self._study = optuna.load_study(study_name=STUDY, storage=self._storage, pruner=make_pruner(settings))
        self._study_id = self._storage.get_study_id_from_name(STUDY)
        self._trial_id = self._storage.get_trial_id_from_study_id_trial_number(self._study_id, number)
        self._metric = INTERMEDIATE[objective]
        self._total_steps = total_steps
        self._percent = 0
        self.value: float | None = None
        """The newest intermediate one."""

    def __call__(self, metrics: Mapping[str, Any], step: int) -> bool:
        """Whether the run is to be given up."""
        self.value = metrics.get(self._metric, self.value)
        percent = 100 * step // self._total_steps
        if percent <= self._percent or percent >= 100 or self.value is None or not math.isfinite(self.value):
            return False
        self._percent = percent
        self._storage.set_trial_intermediate_value(self._trial_id, percent, self.value)
        return self._study.pruner.prune(self._study, self._storage.get_trial(self._trial_id))
