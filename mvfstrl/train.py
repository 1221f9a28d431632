"""mode=train: builds the training that the configuration describes, resumes it if need be, and runs it."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from mvfstrl.agents.impala.config import ImpalaConfig
from mvfstrl.agents.impala.training import Setup, Training
from mvfstrl.checkpoint import checkpoints_in
from mvfstrl.config import Config, Resume, native_config
from mvfstrl.errors import ConfigError
from mvfstrl.live import LiveLine
from mvfstrl.rundir import RunDirectory
from mvfstrl.siblings import SiblingEnvironments
from mvfstrl.stopping import StopRequest
from mvfstrl.trackers import RunTracker, open_tracker
from mvfstrl.vector_environment import VectorEnvironment

logger = logging.getLogger(__name__)


def train(cfg: Config, run: RunDirectory) -> float:
    """Trains to `total_steps` or until asked to stop; returns the mean return of the newest episodes.

    Leaves `checkpoints/` and `metrics.jsonl` in the run directory, and goes on from them where it finds them.
    """
    if not isinstance(cfg.agent, ImpalaConfig):
        raise ConfigError(f"agent: {cfg.agent.name} has nothing to train; run it with mode=test")
    training = Training(make_setup(cfg, cfg.agent, run.path))
    resumed = _restore(training, cfg, run)
    after = training.learner.step if resumed else -1
    live = LiveLine(cfg.total_steps, max(after, 0))
    with StopRequest() as stop, open_tracker(cfg, run, after=after) as tracker, live:
        objective = training.run(_reporter(tracker, live), lambda: stop.requested)
    if stop.requested:
        run.interrupted = True
        logger.warning("stopped at step %d; the same run directory goes on", training.learner.step)
    return objective


def make_setup(
    cfg: Config,
    agent: ImpalaConfig,
    folder: Path,
    make_environment: Callable[[int], VectorEnvironment] | None = None,
) -> Setup:
    """`make_environment` replaces the native environments: a test's seam."""
    from mvfstrl._native import observation_spec

    native = native_config(cfg)
    siblings = sibling_count(cfg, agent)
    return Setup(
        agent=agent,
        make_environment=make_environment or (lambda seed: _environment(cfg, native, siblings, seed)),
        jobs=list(cfg.env.scenarios),
        spec=observation_spec(native),
        config=asdict(cfg),
        folder=folder,
        seed=cfg.seed,
        total_steps=cfg.total_steps,
        device=pick_device(cfg.device),
        deterministic=cfg.deterministic,
        siblings=siblings if make_environment is None else 1,
    )


def pick_device(name: str) -> torch.device:
    """`auto` is CUDA where there is one."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(name)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ConfigError(f"device: {name} asked for, but torch sees no CUDA device")
    return device


def _environment(cfg: Config, native: dict[str, Any], siblings: int, seed: int) -> VectorEnvironment:
    from mvfstrl import _native

    threads = cfg.actors.threads or os.cpu_count() or 1
    parts = [
        _native.VectorEnvironment(
            native,
            num_envs=cfg.actors.envs // siblings,
            num_groups=cfg.actors.groups,
            num_threads=max(1, threads // siblings),
            seed=seed,
        )
        for _ in range(siblings)
    ]
    return parts[0] if siblings == 1 else SiblingEnvironments(parts)


def sibling_count(cfg: Config, agent: ImpalaConfig) -> int:
    """As many as the agent asks for, or as groups and batches split into."""
    group = cfg.actors.envs // cfg.actors.groups
    return math.gcd(agent.siblings, group, min(group, agent.batch_size))


def _restore(training: Training, cfg: Config, run: RunDirectory) -> bool:
    """Goes on from the run directory's newest checkpoint as `resume` says; true if it did."""
    found = bool(checkpoints_in(run.checkpoints))
    if cfg.resume is Resume.never and found:
        raise ConfigError(
            f"resume: never, but {run.checkpoints} has checkpoints; choose another run directory"
        )
    if cfg.resume is Resume.always and not found:
        raise ConfigError(f"resume: always, but {run.checkpoints} holds no checkpoint")
    if found:
        training.resume(run.checkpoints)
        return True
    if cfg.checkpoint is not None:
        training.start_from(Path(cfg.checkpoint))
    return False


def _reporter(tracker: RunTracker, live: LiveLine) -> Callable[[dict[str, Any], int], None]:
    latest: dict[str, float] = {}

    def report(metrics: dict[str, Any], step: int) -> None:
        latest.update(metrics)
        tracker.log(metrics, step)
        live.update(
            step,
            steps_per_second=metrics["steps_per_second"],
            episode_return=latest.get("episode_return"),
            policy_lag=latest.get("policy_lag"),
        )

    return report
