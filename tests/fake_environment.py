"""A vector environment in Python with the native one's interface, for two small tasks.

memory    the first observation of an episode shows a cue; every later action earns 1 if it repeats the cue,
which
          is not shown again: only a policy with memory beats chance
tracking  every observation shows which action earns 1 now; episodes differ in their reward's scale
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mvfstrl._native import StepRows

ACTIONS = 3
NOISE = 2


@dataclass
class FakeStep:
    observation: NDArray[np.float32]
    reward: NDArray[np.float32]
    terminated: NDArray[np.bool_]
    truncated: NDArray[np.bool_]
    first: NDArray[np.bool_]
    job: NDArray[np.int32]


class _Episode:
    def __init__(self, seed: int, env: int, number: int, jobs: int, length: int) -> None:
        self.rng = np.random.default_rng([seed, env, number])
        self.job = int(self.rng.integers(jobs))
        # Lengths differ so that resets fall on different rows of a batch.
        self.length = int(self.rng.integers(length // 2, length + 1))
        self.goal = int(self.rng.integers(ACTIONS))
        self.steps = 0
        self.total = 0.0


class FakeVectorEnvironment:
    """See mvfstrl.vector_environment. `fail_after` sends make `recv` raise; `nan_after` sends make rewards
    NaN.
    """

    def __init__(
        self,
        task: Literal["memory", "tracking"] = "tracking",
        *,
        num_envs: int = 8,
        num_groups: int = 2,
        seed: int = 0,
        jobs: int = 1,
        length: int = 12,
        terminates: bool = False,
        fail_after: int | None = None,
        nan_after: int | None = None,
    ) -> None:
        assert num_envs % num_groups == 0
        self.task = task
        self.num_envs = num_envs
        self.num_groups = num_groups
        self.group_size = num_envs // num_groups
        self.observation_size = ACTIONS + NOISE
        self.num_actions = ACTIONS
        self.seed = seed
        self.jobs = jobs
        self.length = length
        self.terminates = terminates
        self.fail_after = fail_after
        self.nan_after = nan_after
        self.sends = 0
        self.closed = False
        self._numbers = [0] * num_envs
        self._episodes: list[_Episode | None] = [None] * num_envs
        self._steps: list[FakeStep | None] = [None] * num_groups
        self._finished: list[dict[str, Any]] = []
        self._targets: dict[int, tuple[StepRows, int]] = {}

    def reset(self, group: int) -> None:
        size = self.group_size
        self._steps[group] = self._blank()
        for column in range(size):
            self._start(group * size + column, column, self._step(group))

    def send(self, group: int, actions: NDArray[np.int32]) -> None:
        assert actions.dtype == np.int32
        assert actions.shape == (self.group_size,)
        self.sends += 1
        size = self.group_size
        before = self._step(group)
        step = self._steps[group] = self._blank()
        for column, action in enumerate(actions):
            env = group * size + column
            if before.terminated[column] or before.truncated[column]:
                self._start(env, column, step)
            else:
                self._advance(env, column, int(action), step)

    def recv(self, group: int) -> FakeStep:
        if self.fail_after is not None and self.sends > self.fail_after:
            raise RuntimeError("worker 3 was killed")
        return self._step(group)

    def reset_into(self, group: int, rows: StepRows, t: int) -> None:
        self.reset(group)
        self._targets[group] = rows, t

    def step_into(self, group: int, rows: StepRows, t: int) -> None:
        self.send(group, rows.action[t])
        self._targets[group] = rows, t + 1

    def wait(self, group: int) -> None:
        step = self.recv(group)
        rows, t = self._targets.pop(group)
        rows.observation[t], rows.reward[t] = step.observation, step.reward
        rows.terminated[t], rows.truncated[t] = step.terminated, step.truncated
        rows.first[t], rows.job[t] = step.first, step.job

    def drain_episodes(self) -> list[dict[str, Any]]:
        finished, self._finished = self._finished, []
        return finished

    def close(self) -> None:
        self.closed = True

    def _step(self, group: int) -> FakeStep:
        step = self._steps[group]
        assert step is not None, "reset comes first"
        return step

    def _blank(self) -> FakeStep:
        n = self.group_size
        return FakeStep(
            observation=np.zeros((n, self.observation_size), np.float32),
            reward=np.zeros(n, np.float32),
            terminated=np.zeros(n, np.bool_),
            truncated=np.zeros(n, np.bool_),
            first=np.zeros(n, np.bool_),
            job=np.zeros(n, np.int32),
        )

    def _start(self, env: int, column: int, step: FakeStep) -> None:
        episode = _Episode(self.seed, env, self._numbers[env], self.jobs, self.length)
        self._episodes[env] = episode
        self._numbers[env] += 1
        step.first[column] = True
        self._observe(episode, column, step)

    def _advance(self, env: int, column: int, action: int, step: FakeStep) -> None:
        episode = self._episodes[env]
        assert episode is not None
        episode.steps += 1
        # Job j pays 10^j, and loses as much where the action is wrong.
        reward = 10.0**episode.job * (1.0 if action == episode.goal else -1.0)
        episode.total += reward
        step.reward[column] = reward
        if self.nan_after is not None and self.sends > self.nan_after:
            step.reward[column] = np.nan
        if self.task == "tracking":
            episode.goal = int(episode.rng.integers(ACTIONS))
        self._observe(episode, column, step)
        if episode.steps == episode.length:
            (step.terminated if self.terminates else step.truncated)[column] = True
            self._report(env, episode)

    def _observe(self, episode: _Episode, column: int, step: FakeStep) -> None:
        observation = step.observation[column]
        observation[ACTIONS:] = 100.0 * episode.rng.random(NOISE)  # large, and of no use
        if self.task == "tracking" or episode.steps == 0:
            observation[episode.goal] = 1.0
        step.job[column] = episode.job

    def _report(self, env: int, episode: _Episode) -> None:
        self._finished.append(
            {
                "env": env,
                "episode": self._numbers[env] - 1,
                "scenario": f"job{episode.job}",
                "steps": episode.steps,
                "return": episode.total,
                "flows": [],
            }
        )
