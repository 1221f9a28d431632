"""What the peers that train share: the task, one clock, one evaluation. A library's own script does the rest.

    race = Race.from_arguments()
    while not race.over(steps, make_player): ...train...; steps += ...
    race.finish()

Two races (`--measure`): `speed`, steps per CPU-second at 12 Mbit/s, and `reward`, the CPU time until the
greedy policy is paid more than CUBIC in the same held-out episodes, in two evaluations in a row; the first
counts. CPU time is that of the whole tree of processes, what evaluations take left out. Every library sees
the same observations: symlog, then standardised by what a random policy sees before the race.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
from numpy.typing import NDArray

import mvfstrl.gym
from mvfstrl.bench_networks import NETWORKS
from mvfstrl.config import compose, native_config
from pantheon.episodes import play
from pantheon.results import reward_of

Floats = NDArray[np.float32]
Actions = NDArray[np.integer[Any]]
Player = Callable[[Floats, NDArray[np.bool_]], Actions]
"""Observations [N, D] and where an episode begins [N] -> the likeliest actions [N]; remembers if it can."""
MakePlayer = Callable[[int], Player]
"""For so many connections, with empty memory."""

ENVS = 64
DISCOUNT = 0.9
"""A decision lasts 100 ms: a second ahead, as our own agent looks."""
TOTAL_STEPS = 5_000_000
"""Where schedules end, in those libraries that have them."""
SPEED_TASK = [
    "env.rate_mbps=12",
    "env.delay_ms=30",
    "env.queue.packets=60",
    "actions.max_window_packets=120",
]
"""As `mvfstrl.bench_train` measures ours."""
HELD_OUT_SEED = 1_000_000
EPISODES = 32


def make_envs(measure: str, num_envs: int = ENVS) -> mvfstrl.gym.CongestionControlVectorEnv:
    """The vector environment of a race."""
    env, overrides = ("constant", SPEED_TASK) if measure == "speed" else ("lte", [])
    envs = gymnasium.make_vec(mvfstrl.gym.ENV_ID, num_envs=num_envs, env=env, overrides=overrides)
    assert isinstance(envs, mvfstrl.gym.CongestionControlVectorEnv)
    return envs


class Standard:
    """Raw observations -> what the networks see."""

    FLOOR, LIMIT = 0.02, 10.0

    def __init__(self, measure: str) -> None:
        envs = make_envs(measure)
        rng = np.random.default_rng(0)
        seen = [envs.reset(seed=0)[0]]
        for _ in range(150):
            seen.append(envs.step(rng.integers(0, 5, size=ENVS))[0])
        envs.close()
        x = self._symlog(np.concatenate(seen))
        self.mean: Floats = x.mean(axis=0)
        self.scale: Floats = 1 / np.maximum(x.std(axis=0), self.FLOOR)

    @staticmethod
    def _symlog(x: Floats) -> Floats:
        return np.copysign(np.log1p(np.abs(x)), x)

    def __call__(self, observation: Floats) -> Floats:
        x: Floats = (self._symlog(observation) - self.mean) * self.scale
        np.clip(x, -self.LIMIT, self.LIMIT, out=x)
        return x


def tree_cpu_seconds() -> float:
    """Of this process, its descendants, and those that it has waited for."""
    children = os.times()
    total = time.process_time() + children.children_user + children.children_system
    parents: dict[int, list[tuple[int, float]]] = {}
    tick = os.sysconf("SC_CLK_TCK")
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended meanwhile
        seconds = sum(int(ticks) for ticks in fields[11:15]) / tick
        parents.setdefault(int(fields[1]), []).append((int(folder.name), seconds))
    waiting = [os.getpid()]
    while waiting:
        for pid, seconds in parents.get(waiting.pop(), []):
            total += seconds
            waiting.append(pid)
    return total


def cubic_reward() -> float:
    """CUBIC's mean reward a window in the held-out episodes, as mode=test plays them."""
    config = native_config(compose(["env=lte", "agent=cubic"]))
    return mean_reward(play(config, range(HELD_OUT_SEED, HELD_OUT_SEED + EPISODES)).reports)


def mean_reward(reports: Sequence[dict[str, Any]]) -> float:
    return float(np.mean([reward_of(report) for report in reports]))


def evaluate(make_player: MakePlayer) -> float:
    """The greedy policy's mean reward a window in the held-out episodes."""
    envs = make_envs("reward", EPISODES)
    seeds = range(HELD_OUT_SEED, HELD_OUT_SEED + EPISODES)
    observation, _ = envs.reset(options={"episode_seeds": list(seeds)})
    player = make_player(EPISODES)
    first = np.ones(EPISODES, dtype=np.bool_)
    reports: dict[int, dict[str, Any]] = {}
    while len(reports) < EPISODES:
        observation, _, terminated, truncated, infos = envs.step(player(observation, first))
        first = np.zeros(EPISODES, dtype=np.bool_)
        for env in np.flatnonzero(terminated | truncated):
            reports.setdefault(int(env), infos["report"][env])
    envs.close()
    return mean_reward(list(reports.values()))


@dataclass
class Race:
    measure: str
    network: str = "h128_mlp"
    seconds: float = 20.0
    limit: float = 120.0
    every: float = 2.5
    cubic: float = float("nan")
    seed: int = 0
    result: dict[str, tuple[float, str]] = field(default_factory=dict)
    """The figures: name -> value, unit."""

    @classmethod
    def from_arguments(cls, arguments: Sequence[str] | None = None) -> Race:
        parser = argparse.ArgumentParser(description="one library in one race; see tools/peers/race.py")
        parser.add_argument("--measure", choices=["speed", "reward"], default="speed")
        parser.add_argument("--network", choices=NETWORKS, default="h128_mlp")
        parser.add_argument("--seconds", type=float, default=20.0, help="speed: CPU time measured")
        parser.add_argument(
            "--limit", type=float, default=120.0, help="reward: CPU time until it is given up"
        )
        parser.add_argument(
            "--every", type=float, default=2.5, help="reward: CPU time between two evaluations"
        )
        parser.add_argument("--cubic", type=float, help="reward: CUBIC's, if known already")
        parser.add_argument("--seed", type=int, default=0)
        options = parser.parse_args(arguments)
        if options.measure == "reward" and options.cubic is None:
            options.cubic = cubic_reward()
        return cls(**{key: value for key, value in vars(options).items() if value is not None})

    def __post_init__(self) -> None:
        torch.set_num_threads(1)
        torch.manual_seed(self.seed)
        network = NETWORKS[self.network]
        self.hidden_size, self.lstm = network.hidden_size, network.lstm
        self._wall = time.monotonic()
        self._begin = tree_cpu_seconds()
        self._excluded = 0.0
        self._next_evaluation = self.every
        self._start: tuple[int, float] | None = None
        self._checked = 0.0
        self._ahead: tuple[float, float, int] | None = None
        """Where the latest evaluation was the first above CUBIC: CPU seconds, seconds, steps."""

    def cpu_seconds(self) -> float:
        """Since the race began, evaluations left out."""
        return tree_cpu_seconds() - self._begin - self._excluded

    def over(self, steps: int, make_player: MakePlayer) -> bool:
        """To be called between learner steps, with the environment's steps that have been learnt from."""
        if time.monotonic() - self._checked < 0.1:
            return False
        self._checked = time.monotonic()
        now = self.cpu_seconds()
        if self.measure == "speed":
            return self._speed_over(steps, now)
        if now < self._next_evaluation and now < self.limit:
            return False
        self._next_evaluation = now + self.every
        return self._reward_over(steps, now, make_player)

    def _speed_over(self, steps: int, now: float) -> bool:
        if self._start is None:
            if steps > 0 and now >= min(5.0, self.seconds / 4):
                self._start = steps, now
            return False
        steps_before, before = self._start
        if now - before < self.seconds or steps == steps_before:
            return False
        rate = (steps - steps_before) / (now - before)
        self.result[f"train_steps_per_cpu_second_{self.network}"] = round(rate), "steps/CPU-s"
        return True

    def _reward_over(self, steps: int, now: float, make_player: MakePlayer) -> bool:
        begin = time.thread_time()
        reward = evaluate(make_player)
        self._excluded += time.thread_time() - begin
        print(
            f"{now:7.1f} CPU-s {steps:9,} steps: reward {reward:.4f}, CUBIC {self.cubic:.4f}", file=sys.stderr
        )
        figure = f"best_reward_lte_{self.network}"
        best = max(reward, self.result.get(figure, (reward, ""))[0])
        self.result[figure] = round(best, 4), "a window"
        if reward <= self.cubic:
            self._ahead = None
        elif self._ahead is None:
            self._ahead = now, time.monotonic() - self._wall, steps
        else:
            return self._arrived(*self._ahead)
        return now >= self.limit and self._arrived(math.inf, math.inf, math.inf)

    def _arrived(self, cpu: float, wall: float, steps: float) -> bool:
        self.result[f"cpu_seconds_to_cubic_lte_{self.network}"] = round(cpu, 1), "CPU-s"
        self.result[f"wall_seconds_to_cubic_lte_{self.network}"] = round(wall, 1), "s"
        self.result[f"steps_to_cubic_lte_{self.network}"] = steps, "steps"
        return True

    def finish(self) -> None:
        for name, (value, unit) in self.result.items():
            print(json.dumps({"name": name, "value": value, "unit": unit}), flush=True)
