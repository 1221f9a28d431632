"""Plays a scheme over given episodes, all of them in step in one vectorised environment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from pantheon.local import LocalPolicy

if TYPE_CHECKING:
    from mvfstrl._native import StepBatch, VectorEnvironment
    from mvfstrl.policy import Policy

Floats = NDArray[np.float32]
Progress = Callable[[int], None]
"""Told now and then the number of steps that all episodes have taken; may raise to stop the play."""
PROGRESS_STEPS = 20


@dataclass(frozen=True)
class Played:
    """One report an episode, in the order of the seeds; observations [step, episode, field] if recorded."""

    reports: list[dict[str, Any]]
    observations: Floats | None = None


def play(
    config: dict[str, Any],
    seeds: Sequence[int],
    *,
    job: int = 0,
    threads: int = 0,
    policy: Policy | LocalPolicy | None = None,
    series: bool = False,
    events: bool = False,
    record: bool = False,
    shown: Floats | None = None,
    progress: Progress | None = None,
) -> Played:
    """Plays the episodes of `seeds` in the configuration's only scenario and returns their reports.

    `policy` answers every observation, knowing the scenario as number `job`; without one the configured
    controller decides alone. `threads=0` steps in the calling thread. With `series`, reports hold one;
    with `events`, what happened on each flow (mvfstrl/_native.pyi).
    `shown` replaces what the policy sees: `shown[t, b]` is for step t of episode b, round and round.

    A local policy is not asked: it plays by itself, so that nothing can be recorded or shown instead.
    """
    if isinstance(policy, LocalPolicy):
        assert not record
        assert shown is None
        return Played(
            policy.play(
                config, seeds, job=job, threads=threads, series=series, events=events, progress=progress
            )
        )
    recorded = {"record_series": series, "record_events": events}
    environment = _environment(config, len(seeds), threads, **recorded)
    try:
        scenarios = np.zeros(len(seeds), dtype=np.int32)
        environment.reset_with(0, np.asarray(seeds, dtype=np.uint64), scenarios)
        asked = _Asked(policy, environment.group_size, job, shown) if policy else None
        observations = _step_to_the_end(environment, asked, record, progress)
        reports = _first_reports(environment.drain_episodes(), len(seeds))
    finally:
        environment.close()
    return Played(reports, observations)


def training_seeds(count: int, seed: int) -> list[int]:
    """Seeds of the first episodes that training under `seed` plays, whatever it plays."""
    from mvfstrl._native import default_config

    environment = _environment(default_config(), count, 0, seed)
    try:
        environment.reset(0)
        _step_to_the_end(environment, None, False, None)
        reports = _first_reports(environment.drain_episodes(), count)
    finally:
        environment.close()
    return [int(report["seed"]) for report in reports]


def _environment(
    config: dict[str, Any], count: int, threads: int, seed: int = 0, **recorded: bool
) -> VectorEnvironment:
    from mvfstrl._native import VectorEnvironment

    return VectorEnvironment(config, num_envs=count, num_threads=min(threads, count), seed=seed, **recorded)


class _Asked:
    """A policy with its memory of the episodes that it plays, a row for each agent of each."""

    def __init__(self, policy: Policy, count: int, job: int, shown: Floats | None) -> None:
        self._policy, self._shown = policy, shown
        self._job = torch.full((count,), job, dtype=torch.int32)
        self._state = policy.initial_state(count)

    def __call__(self, batch: StepBatch, step: int) -> NDArray[np.int32]:
        view = batch.observation if self._shown is None else self._shown[step % len(self._shown)]
        with torch.no_grad():
            actions, self._state = self._policy.act(
                torch.from_numpy(np.array(view)),
                torch.from_numpy(np.array(batch.first)),
                self._job,
                self._state,
            )
        return actions.numpy().astype(np.int32)


def _step_to_the_end(
    environment: VectorEnvironment, asked: _Asked | None, record: bool, progress: Progress | None
) -> Floats | None:
    """Steps until every environment has ended its first episode. Those that are done earlier go on with
    further episodes, whose reports nobody reads."""
    count = environment.group_size
    actions = np.zeros(count, dtype=np.int32)
    recorded: list[Floats] = []
    ended = np.zeros(count, dtype=np.bool_)
    step = 0
    while True:
        batch = environment.recv(0)
        ended |= batch.over
        if progress and step % PROGRESS_STEPS == 0:
            progress(step)
        if ended.all():
            break
        if record:
            recorded.append(np.array(batch.observation))
        if asked:
            actions = asked(batch, step)
        environment.send(0, actions)
        step += 1
    return np.stack(recorded) if recorded else None


def _first_reports(reports: list[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    first: dict[int, dict[str, Any]] = {}
    for report in reports:
        first.setdefault(int(report["env"]), report)
    missing = [env for env in range(count) if env not in first]
    if missing:
        raise RuntimeError(f"no report of the episodes {missing}")
    return [first[env] for env in range(count)]
