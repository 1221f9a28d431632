"""Environments in sets that meet the same episodes: what differs between siblings is what they did.

On a random link most of what an episode earns is decided by the link. Siblings play one link at one time,
each with actions of its own, so that the learner can tell luck from merit (`sibling_baseline` in
agents/impala/loss.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mvfstrl.vector_environment import VectorEnvironment


@dataclass(frozen=True)
class SiblingStep:
    """A `StepBatch` over memory that the group keeps."""

    observation: NDArray[np.float32]
    reward: NDArray[np.float32]
    terminated: NDArray[np.bool_]
    truncated: NDArray[np.bool_]
    first: NDArray[np.bool_]
    job: NDArray[np.int32]


FIELDS = ("observation", "reward", "terminated", "truncated", "first", "job")


class SiblingEnvironments:
    """Equal environments of one seed as one environment; row i * siblings + j is row i of the j-th."""

    def __init__(self, parts: Sequence[VectorEnvironment]) -> None:
        assert parts
        one = parts[0]
        self._parts = list(parts)
        self.siblings = len(parts)
        self.num_envs = one.num_envs * len(parts)
        self.num_groups = one.num_groups
        self.group_size = one.group_size * len(parts)
        self.observation_size = one.observation_size
        self.num_actions = one.num_actions
        self._steps = [self._memory() for _ in range(self.num_groups)]

    def reset(self, group: int) -> None:
        for part in self._parts:
            part.reset(group)

    def send(self, group: int, actions: NDArray[np.int32]) -> None:
        for j, part in enumerate(self._parts):
            part.send(group, np.ascontiguousarray(actions[j :: self.siblings]))

    def recv(self, group: int) -> SiblingStep:
        step = self._steps[group]
        for j, part in enumerate(self._parts):
            received = part.recv(group)
            for name in FIELDS:
                getattr(step, name)[j :: self.siblings] = getattr(received, name)
        return step

    def drain_episodes(self) -> list[dict[str, Any]]:
        """Finished episodes, of the first of each set before the second; `env` counts over all rows."""
        return [
            {**episode, "env": episode["env"] * self.siblings + j}
            for j, part in enumerate(self._parts)
            for episode in part.drain_episodes()
        ]

    def close(self) -> None:
        for part in self._parts:
            part.close()

    def _memory(self) -> SiblingStep:
        n = self.group_size
        return SiblingStep(
            observation=np.zeros((n, self.observation_size), np.float32),
            reward=np.zeros(n, np.float32),
            terminated=np.zeros(n, np.bool_),
            truncated=np.zeros(n, np.bool_),
            first=np.zeros(n, np.bool_),
            job=np.zeros(n, np.int32),
        )
