"""Gymnasium's view of the native environments, so that any other library can train here:

    import gymnasium, mvfstrl.gym
    env = gymnasium.make("mvfstrl/CongestionControl-v0", env="lte", overrides=["reward=power"])
    envs = gymnasium.make_vec("mvfstrl/CongestionControl-v0", num_envs=64, env=["lte", "umts"])

`env` and `overrides` are what `run.py` takes on its command line. An episode is truncated at its time limit
and terminated where a fixed-size transfer completes; the last step's info has its `report`.
`reset(options={"episode_seeds": [...]})`, one number an environment, plays given episodes: those from
`test.seed` on are the held-out ones that `mode=test` plays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, SupportsInt

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from mvfstrl._native import StepBatch, VectorEnvironment, observation_spec
from mvfstrl.config import compose, native_config
from mvfstrl.errors import ConfigError

ENV_ID = "mvfstrl/CongestionControl-v0"

_VECTOR_METADATA: dict[str, Any] = {"render_modes": [], "autoreset_mode": AutoresetMode.NEXT_STEP}

_DRAWN = -1  # the native code for a scenario drawn by weight


@dataclass(frozen=True)
class Task:
    """One configuration as Gymnasium sees it."""

    config: dict[str, Any]
    """The native core's."""
    spec: dict[str, Any]
    scenarios: list[str]
    observation_space: Box[np.float32]
    action_space: Discrete


def make_task(env: str | Sequence[str] = "lte", overrides: Sequence[str] = ()) -> Task:
    """What `run.py env=ENV OVERRIDES...` would have an agent learn."""
    names = env if isinstance(env, str) else f"[{','.join(env)}]"
    config = native_config(compose([f"env={names}", *overrides]))
    driver = config["flows"][0]["controller"]["kind"]
    if driver != "external":
        raise ConfigError(f"agent: {driver} drives the flow by itself and takes no actions")
    if any(flow["controller"]["kind"] in ("external", "random") for flow in config["flows"][1:]):
        raise ConfigError(
            "env.flows: a Gymnasium environment has one agent; let classic schemes drive the others"
        )
    spec = observation_spec(config)
    elements = spec["observation"]
    space = Box(
        low=np.array([element["low"] for element in elements], dtype=np.float32),
        high=np.array([element["high"] for element in elements], dtype=np.float32),
        dtype=np.float32,
    )
    names_of_scenarios = [scenario["name"] for scenario in config["scenarios"]]
    return Task(config, spec, names_of_scenarios, space, Discrete(len(spec["actions"])))


def _episode_seeds(options: dict[str, Any] | None, count: int) -> NDArray[np.uint64] | None:
    """What `reset` was asked to play, if it was."""
    unknown = sorted(set(options or {}) - {"episode_seeds"})
    if unknown:
        raise ValueError(f"options: {unknown[0]!r} is unknown; there is 'episode_seeds'")
    if not options:
        return None
    seeds = list(options["episode_seeds"])
    if len(seeds) != count or not all(0 <= seed < 2**64 for seed in seeds):
        raise ValueError(f"options['episode_seeds']: must be {count} numbers from 0 to 2^64 - 1, got {seeds}")
    return np.array(seeds, dtype=np.uint64)


class CongestionControlEnv(gymnasium.Env[NDArray[np.float32], SupportsInt]):
    """One connection. An episode depends on the seed given to `reset` and on nothing else."""

    def __init__(
        self,
        env: str | Sequence[str] = "lte",
        overrides: Sequence[str] = (),
        render_mode: str | None = None,
    ) -> None:
        self.render_mode = render_mode
        self.task = make_task(env, overrides)
        self.observation_space = self.task.observation_space
        self.action_space = self.task.action_space
        self._native = VectorEnvironment(self.task.config, num_envs=1, num_threads=0)
        self._running = False

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        super().reset(seed=seed)
        seeds = _episode_seeds(options, 1)
        if seeds is None:
            seeds = self.np_random.integers(2**63, size=1, dtype=np.uint64)
        self._native.reset_with(0, seeds, np.array([_DRAWN], dtype=np.int32))
        batch = self._native.recv(0)
        self._running = True
        return batch.observation[0].copy(), self._info(batch)

    def step(self, action: SupportsInt) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        if not self._running:
            raise gymnasium.error.ResetNeeded("the episode is over: call reset() first")
        self._native.send(0, np.array([int(action)], dtype=np.int32))
        batch = self._native.recv(0)
        info = self._info(batch)
        terminated, truncated = bool(batch.terminated[0]), bool(batch.truncated[0])
        if terminated or truncated:
            self._running = False
            [info["report"]] = self._native.drain_episodes()
        return batch.observation[0].copy(), float(batch.reward[0]), terminated, truncated, info

    def close(self) -> None:
        self._native.close()

    def _info(self, batch: StepBatch) -> dict[str, Any]:
        return {
            "scenario": self.task.scenarios[batch.job[0]],
            "skipped": int(batch.skipped[0]),
            "window_packets": float(batch.window_packets[0]),
        }


class CongestionControlVectorEnv(
    gymnasium.vector.VectorEnv[NDArray[np.float32], NDArray[np.integer[Any]], NDArray[Any]]
):
    """Many connections, stepped by native threads (0: in the calling one; results are the same).

    The step after an episode's last ignores its action and brings the next episode's first observation."""

    metadata = _VECTOR_METADATA

    def __init__(
        self,
        num_envs: int,
        env: str | Sequence[str] = "lte",
        overrides: Sequence[str] = (),
        threads: int = 0,
        render_mode: str | None = None,
    ) -> None:
        self.num_envs = num_envs
        self.render_mode = render_mode
        self.task = make_task(env, overrides)
        self.single_observation_space = self.task.observation_space
        self.single_action_space = self.task.action_space
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._threads = threads
        self._native: VectorEnvironment | None = None
        # Made once: a step must not cost more than what it returns.
        self._scenarios = np.array(self.task.scenarios, dtype=object)
        self._present = np.ones(num_envs, dtype=np.bool_)
        self._present.flags.writeable = False

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """A seed (or one an environment) starts every series of episodes anew; without one they go on."""
        episode_seeds = _episode_seeds(options, self.num_envs)
        if seed is not None or self._native is None:
            self._start(seed)
        assert self._native is not None
        if episode_seeds is None:
            self._native.reset(0)
        else:
            drawn = np.full(self.num_envs, _DRAWN, dtype=np.int32)
            self._native.reset_with(0, episode_seeds, drawn)
        batch = self._native.recv(0)
        return batch.observation.copy(), self._infos(batch)

    def step(
        self, actions: NDArray[np.integer[Any]]
    ) -> tuple[
        NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]
    ]:
        if self._native is None:
            raise gymnasium.error.ResetNeeded("call reset() first")
        self._native.send(0, np.asarray(actions, dtype=np.int32))
        batch = self._native.recv(0)
        infos = self._infos(batch)
        self._add_reports(infos)
        return (
            batch.observation.copy(),
            batch.reward.copy(),
            batch.terminated.copy(),
            batch.truncated.copy(),
            infos,
        )

    def close_extras(self, **kwargs: Any) -> None:
        if self._native is not None:
            self._native.close()

    def _start(self, seed: int | Sequence[int | None] | None) -> None:
        if isinstance(seed, Sequence):
            if len(seed) != self.num_envs or any(one is None for one in seed):
                raise ValueError(f"seed: must be one number or {self.num_envs} of them, got {seed!r}")
            entropy: Any = list(seed)
        else:
            entropy = seed
        self.close_extras()
        [native_seed] = np.random.SeedSequence(entropy).generate_state(1, np.uint64)
        self._native = VectorEnvironment(
            self.task.config, num_envs=self.num_envs, num_threads=self._threads, seed=int(native_seed)
        )

    def _infos(self, batch: StepBatch) -> dict[str, Any]:
        present = self._present
        return {
            "scenario": self._scenarios[batch.job],
            "_scenario": present,
            "skipped": batch.skipped.copy(),
            "_skipped": present,
            "window_packets": batch.window_packets.copy(),
            "_window_packets": present,
        }

    def _add_reports(self, infos: dict[str, Any]) -> None:
        assert self._native is not None
        reports = self._native.drain_episodes()
        if not reports:
            return
        infos["report"] = np.full(self.num_envs, None, dtype=object)
        infos["_report"] = np.zeros(self.num_envs, dtype=np.bool_)
        for report in reports:
            infos["report"][report["env"]] = report
            infos["_report"][report["env"]] = True


def register_envs() -> None:
    """Puts the environment into Gymnasium's registry; importing this module does it."""
    if ENV_ID not in gymnasium.registry:
        gymnasium.register(
            id=ENV_ID,
            entry_point="mvfstrl.gym:CongestionControlEnv",
            vector_entry_point="mvfstrl.gym:CongestionControlVectorEnv",
        )


register_envs()
