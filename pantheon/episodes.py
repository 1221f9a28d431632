"""Plays a scheme over given episodes, all of them in parallel in one vectorised environment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

if TYPE_CHECKING:
    from mvfstrl._native import StepBatch, VectorEnvironment
    from mvfstrl.policy import Policy

Floats = NDArray[np.float32]
Progress = Callable[[int], None]
"""Told the number of steps that all episodes have taken by now."""


@dataclass(frozen=True)
class Played:
    """One report an episode, in the order of the seeds; observations [step, episode, field] if recorded."""

    reports: list[dict[str, Any]]
    observations: Floats | None = None


def play(
    config: dict[str, Any],
    seeds: Sequence[int],
    *,
    scenario: int = 0,
    threads: int = 1,
    policy: Policy | None = None,
    record: bool = False,
    shown: Floats | None = None,
    progress: Progress | None = None,
) -> Played:
    """Plays the episodes of `seeds` to their ends and returns their reports.

    `policy` answers every observation; without one the configured controller decides alone. `shown` replaces
    what the policy sees: `shown[t, b]` is for step t of episode b, round and round.
    """
    environment = _environment(config, len(seeds), threads)
    try:
        scenarios = np.full(len(seeds), scenario, dtype=np.int32)
        environment.reset_with(0, np.asarray(seeds, dtype=np.uint64), scenarios)
        observations = _step_to_the_end(environment, policy, record, shown, progress)
        reports = _first_reports(environment.drain_episodes(), len(seeds))
    finally:
        environment.close()
    return Played(reports, observations)


def training_seeds(config: dict[str, Any], count: int, *, seed: int, threads: int = 1) -> list[int]:
    """Seeds of the first episodes that training under `seed` plays."""
    environment = _environment(config, count, threads, seed)
    try:
        environment.reset(0)
        _step_to_the_end(environment, None, False, None, None)
        reports = _first_reports(environment.drain_episodes(), count)
    finally:
        environment.close()
    return [int(report["seed"]) for report in reports]


def _environment(config: dict[str, Any], count: int, threads: int, seed: int = 0) -> VectorEnvironment:
    from mvfstrl._native import VectorEnvironment

    return VectorEnvironment(config, num_envs=count, num_threads=min(threads, count), seed=seed)


def _step_to_the_end(
    environment: VectorEnvironment,
    policy: Policy | None,
    record: bool,
    shown: Floats | None,
    progress: Progress | None,
) -> Floats | None:
    """Steps until every environment has ended its first episode. Those that are done earlier go on with
    further episodes, whose reports nobody reads."""
    count = environment.num_envs
    state = policy.initial_state(count) if policy else None
    actions = np.zeros(count, dtype=np.int32)
    recorded: list[Floats] = []
    ended = np.zeros(count, dtype=np.bool_)
    step = 0
    while True:
        batch = environment.recv(0)
        ended |= batch.terminated | batch.truncated
        if progress:
            progress(step)
        if ended.all():
            break
        if record:
            recorded.append(np.array(batch.observation))
        if policy:
            view = batch.observation if shown is None else shown[step % len(shown)]
            actions, state = _ask(policy, view, batch, state)
        environment.send(0, actions)
        step += 1
    return np.stack(recorded) if recorded else None


def _ask(policy: Policy, view: Floats, batch: StepBatch, state: Any) -> tuple[NDArray[np.int32], Any]:
    with torch.no_grad():
        actions, state = policy.act(
            torch.from_numpy(np.array(view)),
            torch.from_numpy(np.array(batch.first)),
            torch.from_numpy(np.array(batch.job)),
            state,
        )
    return actions.numpy().astype(np.int32), state


def _first_reports(reports: list[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    first: dict[int, dict[str, Any]] = {}
    for report in reports:
        first.setdefault(int(report["env"]), report)
    missing = [env for env in range(count) if env not in first]
    if missing:
        raise RuntimeError(f"no report of the episodes {missing}")
    return [first[env] for env in range(count)]
