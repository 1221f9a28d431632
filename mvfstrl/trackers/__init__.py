"""Trackers: where a run's metrics go. The run directory always has them; `tracker=` adds one more place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from mvfstrl.config.schema import Config, TensorboardConfig, WandbConfig
from mvfstrl.rundir import RunDirectory
from mvfstrl.trackers.background import BackgroundTracker
from mvfstrl.trackers.base import Tracker, newest_checkpoint
from mvfstrl.trackers.local import LocalTracker

__all__ = ["RunTracker", "Tracker", "keep_artifacts", "open_tracker", "show_comparison"]


class RunTracker:
    """Several trackers as one."""

    def __init__(self, trackers: list[Tracker]) -> None:
        self._trackers = trackers

    def log(self, metrics: Mapping[str, Any], step: int) -> None:
        for tracker in self._trackers:
            tracker.log(metrics, step)

    def log_figure(self, name: str, image: Path, step: int) -> None:
        for tracker in self._trackers:
            tracker.log_figure(name, image, step)

    def log_table(self, name: str, table: pd.DataFrame, step: int) -> None:
        for tracker in self._trackers:
            tracker.log_table(name, table, step)

    def log_artifact(self, kind: str, files: Sequence[Path], step: int) -> None:
        for tracker in self._trackers:
            tracker.log_artifact(kind, files, step)

    def close(self) -> None:
        for tracker in self._trackers:
            tracker.close()

    def __enter__(self) -> RunTracker:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def open_tracker(cfg: Config, run: RunDirectory, *, after: int = -1) -> RunTracker:
    """The run directory's metrics and the chosen tracker. `after`: the step of the checkpoint that the run
    resumes from; rows that an interrupted start wrote beyond it are dropped. -1: a fresh start."""
    return RunTracker([LocalTracker(run.metrics(after=after)), *_chosen(cfg, run, after)])


def show_comparison(cfg: Config, run: RunDirectory, table: pd.DataFrame, figure: Path) -> None:
    """Puts a finished test beside the training's metrics in the chosen tracker."""
    for tracker in _chosen(cfg, run, -1):
        tracker.log_table("test/comparison", table, cfg.total_steps)
        tracker.log_figure("test/throughput_and_delay", figure, cfg.total_steps)
        tracker.close()


def keep_artifacts(cfg: Config, run: RunDirectory) -> None:
    """Puts a finished training's newest checkpoint and its exported policy into the chosen tracker, where
    `tracker.artifacts` asks for it."""
    kept = newest_checkpoint(run.checkpoints)
    if not isinstance(cfg.tracker, WandbConfig) or not cfg.tracker.artifacts or kept is None:
        return
    checkpoint, step = kept
    policy = sorted(file for file in run.path.glob("policy.*") if file.is_file())
    for tracker in _chosen(cfg, run, -1):
        tracker.log_artifact("checkpoint", [checkpoint], step)
        if policy:
            tracker.log_artifact("policy", policy, step)
        tracker.close()


def _chosen(cfg: Config, run: RunDirectory, after: int) -> list[Tracker]:
    if isinstance(cfg.tracker, WandbConfig):
        return [BackgroundTracker("wandb", lambda: _wandb(cfg, run, after))]
    if isinstance(cfg.tracker, TensorboardConfig):
        return [BackgroundTracker("tensorboard", lambda: _tensorboard(run, after))]
    return []


# Imported when made, on the tracker's thread: wandb and TensorBoard take seconds to import.
def _wandb(cfg: Config, run: RunDirectory, after: int) -> Tracker:
    from mvfstrl.trackers.wandb import WandbTracker

    return WandbTracker(cfg, run, after=after)


def _tensorboard(run: RunDirectory, after: int) -> Tracker:
    from mvfstrl.trackers.tensorboard import TensorboardTracker

    return TensorboardTracker(run, after=after)
