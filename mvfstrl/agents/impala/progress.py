"""What training reports: averages of the learner's figures and of finished episodes between two rows."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

EPISODE_FIGURES = {
    "throughput_mbps": "episode_throughput_mbps",
    "utilisation": "episode_utilisation",
    "queue_delay_p95_ms": "episode_queue_delay_p95_ms",
    "queue_loss": "episode_queue_loss",
}
"""Figures of the observed flow in an episode's report, and the metric that averages each."""


@dataclass(frozen=True)
class Part:
    """What one of several ranks has gathered."""

    updates: list[dict[str, Tensor]]
    lags: list[int]
    episodes: list[Mapping[str, Any]]
    cpu_s: float


class Progress:
    """Gathers between two `row` calls, which empty it."""

    def __init__(self, jobs: Sequence[str], returns: Mapping[str, Sequence[float]] | None = None) -> None:
        self._jobs = list(jobs)
        self.returns = {name: deque((returns or {}).get(name, ()), maxlen=100) for name in jobs}
        """The newest episodes' returns by scenario."""
        self._updates: list[dict[str, Tensor]] = []
        self._lags: list[int] = []
        self._episodes: list[Mapping[str, Any]] = []
        self._start(0)

    def _start(self, step: int) -> None:
        self._step = step
        self._wall = time.monotonic()
        self._cpu = time.process_time()
        self._cpu_s = 0.0

    def begin(self, step: int) -> None:
        """Starts the clocks: training goes on from `step`."""
        self._start(step)

    def add_update(self, metrics: dict[str, Tensor], lag: int) -> None:
        self._updates.append(metrics)
        self._lags.append(lag)

    def add_episodes(self, episodes: Sequence[Mapping[str, Any]]) -> None:
        for episode in episodes:
            self._episodes.append(episode)
            self.returns[str(episode["scenario"])].append(float(episode["return"]))

    def take(self) -> Part:
        """Hands over what was gathered, for the rank that writes the row."""
        cpu = time.process_time()
        part = Part([_on_cpu(u) for u in self._updates], self._lags, self._episodes, cpu - self._cpu)
        self._updates, self._lags, self._episodes, self._cpu = [], [], [], cpu
        return part

    def add(self, part: Part) -> None:
        """What another rank handed over."""
        self._updates += part.updates
        self._lags += part.lags
        self._cpu_s += part.cpu_s
        self.add_episodes(part.episodes)

    def unreported(self) -> dict[str, Any]:
        """What was gathered since the last row; a run that goes on from a checkpoint tells of it too."""
        updates = [_on_cpu(update) for update in self._updates]
        return {
            "updates": {key: torch.stack([u[key] for u in updates]) for key in updates[0]} if updates else {},
            "lags": list(self._lags),
            "episodes": list(self._episodes),
        }

    def take_up(self, unreported: Mapping[str, Any]) -> None:
        columns = unreported["updates"]
        self._lags = list(unreported["lags"])
        self._updates = [{key: column[i] for key, column in columns.items()} for i in range(len(self._lags))]
        self._episodes = list(unreported["episodes"])

    @property
    def objective(self) -> float:
        """Mean return of each scenario's newest episodes, averaged over scenarios; NaN before the first."""
        means = [sum(values) / len(values) for values in self.returns.values() if values]
        return sum(means) / len(means) if means else float("nan")

    def row(self, step: int) -> dict[str, Any]:
        """One row of metrics, over what happened since the last one."""
        row: dict[str, Any] = {}
        if self._updates:
            row |= _averages(self._updates)
            row["policy_lag"] = sum(self._lags) / len(self._lags)
            row["policy_lag_max"] = max(self._lags)
        row |= self._episode_figures()
        wall, cpu = time.monotonic() - self._wall, time.process_time() - self._cpu + self._cpu_s
        row["steps_per_second"] = (step - self._step) / max(wall, 1e-9)
        row["steps_per_cpu_second"] = (step - self._step) / max(cpu, 1e-9)
        self._updates, self._lags, self._episodes = [], [], []
        self._start(step)
        return row

    def _episode_figures(self) -> dict[str, Any]:
        figures: dict[str, Any] = {"episodes": len(self._episodes)}
        if not self._episodes:
            return figures
        figures["episode_return"] = _mean([e["return"] for e in self._episodes])
        figures["episode_length"] = _mean([e["steps"] for e in self._episodes])
        if len(self._jobs) > 1:
            for name in self._jobs:
                mine = [e["return"] for e in self._episodes if e["scenario"] == name]
                if mine:
                    figures[f"episode_return/{name}"] = _mean(mine)
        flows = [e["flows"][0] for e in self._episodes if e["flows"]]
        for key, metric in EPISODE_FIGURES.items():
            values = [flow[key] for flow in flows if key in flow]
            if values:
                figures[metric] = _mean(values)
        return figures


def _on_cpu(update: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key: value.detach().cpu() for key, value in update.items()}


def _averages(updates: list[dict[str, Tensor]]) -> dict[str, float]:
    row: dict[str, float] = {}
    for key in updates[0]:
        mean = torch.stack([update[key].detach().cpu() for update in updates]).mean(0)
        if mean.ndim == 0:
            row[key] = float(mean)
        else:  # the action histogram: a column an action
            row |= {f"action_{i}": share for i, share in enumerate(mean.tolist())}
    return row


def _mean(values: Sequence[float]) -> float:
    return float(sum(values) / len(values))
