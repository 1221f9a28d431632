"""mode=train: builds the training that the configuration describes, resumes it if need be, and runs it."""

from __future__ import annotations

import json
import logging
import math
import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch

from mvfstrl.agents.impala.config import ImpalaConfig
from mvfstrl.agents.impala.remote import RemoteConfig
from mvfstrl.agents.impala.training import Setup, Training
from mvfstrl.checkpoint import checkpoints_in
from mvfstrl.config import Config, Resume, native_config
from mvfstrl.config.actors import counted
from mvfstrl.distributed import Launch, RankError, Ranks, launched
from mvfstrl.errors import ConfigError
from mvfstrl.live import LiveLine
from mvfstrl.rank_environment import worker_threads
from mvfstrl.rpc.security import LOOPBACK, Address, ServerSecurity
from mvfstrl.rundir import RunDirectory
from mvfstrl.stopping import StopRequest
from mvfstrl.trackers import RunTracker, open_tracker
from mvfstrl.vector_environment import VectorEnvironment

logger = logging.getLogger(__name__)

PATIENCE_S = 5.0
"""Of several ranks with repeated interrupts: torchrun sends them on."""


class Job(NamedTuple):
    """What the first of several ranks tells the others."""

    cfg: Config
    folder: Path


def train(cfg: Config, run: RunDirectory) -> float:
    """Trains to `total_steps` or until asked to stop; returns the mean return of the newest episodes.

    Leaves `checkpoints/` and `metrics.jsonl` in the run directory, and goes on from them where it finds them.
    """
    launch = launched()
    if launch is None:
        with StopRequest() as stop:
            return _train(cfg, run.path, Ranks(), stop, run)
    launch.announce(Job(cfg, run.path))
    with StopRequest(patience_s=PATIENCE_S) as stop, _group(launch, cfg) as ranks:
        return _train(cfg, run.path, ranks, stop, run)


def follow(launch: Launch) -> None:
    """What all ranks but the first do: train what that one announces, until nothing follows."""
    logging.basicConfig(format=f"[rank {launch.rank}] %(message)s")
    with StopRequest(patience_s=PATIENCE_S) as stop:
        try:
            while (job := launch.next_job()) is not None:
                with _group(launch, job.cfg) as ranks:
                    _train(job.cfg, job.folder, ranks, stop)
        except RankError:
            if stop.requested:  # then rank 0 ended as it was asked to, and took the job along
                sys.exit(128 + max(stop.signals))
            raise


def _group(launch: Launch, cfg: Config) -> AbstractContextManager[Ranks]:
    return launch.group(cuda=pick_device(cfg.device).type == "cuda", timeout_s=cfg.ranks.timeout_s)


def _train(
    cfg: Config, folder: Path, ranks: Ranks, stop: StopRequest, run: RunDirectory | None = None
) -> float:
    """`run`: for the first rank, which alone writes."""
    if not isinstance(cfg.agent, ImpalaConfig):
        raise ConfigError(f"agent: {cfg.agent.name} has nothing to train; run it with mode=test")
    training = Training(make_setup(cfg, cfg.agent, folder, ranks=ranks))
    resumed = _restore(training, cfg, folder / "checkpoints")
    after = training.learner.step if resumed else -1
    if run is None:
        return training.run(lambda metrics, step: None, lambda: stop.requested)
    live = LiveLine(cfg.total_steps)
    with open_tracker(cfg, run, after=after) as tracker, live:
        objective = training.run(_reporter(tracker, live, run, stop), lambda: stop.requested)
    run.scores["episode_return"] = objective
    if ranks.agree_to_stop(stop.requested) and run.pruned is None:
        run.interrupted = True
        run.signals = stop.signals
        logger.warning("stopped at step %d; the same run directory goes on", training.learner.step)
    return objective


def make_setup(
    cfg: Config,
    agent: ImpalaConfig,
    folder: Path,
    make_environment: Callable[[int], VectorEnvironment] | None = None,
    ranks: Ranks | None = None,
) -> Setup:
    """`make_environment` replaces the native environments: a test's seam."""
    from mvfstrl._native import observation_spec

    ranks = ranks or Ranks()
    record = asdict(cfg)
    cfg = replace(cfg, actors=counted(cfg))
    _require_shares(cfg, agent, ranks.size)
    device = pick_device(cfg.device, ranks.local_rank)
    ranks.claim(device)
    native = native_config(cfg)
    siblings = sibling_count(cfg, agent, ranks.size)
    return Setup(
        agent=agent,
        make_environment=make_environment or (lambda seed: _environment(cfg, native, siblings, seed, ranks)),
        jobs=list(cfg.env.scenarios),
        spec=observation_spec(native),
        config=record,
        folder=folder,
        seed=cfg.seed,
        total_steps=cfg.total_steps,
        device=device,
        deterministic=cfg.deterministic,
        siblings=siblings if make_environment is None else 1,
        # How an update is split decides the last bits of its sums: no machine may where those count.
        learner_threads=agent.learner_threads or int(cfg.deterministic),
        ranks=ranks,
        simulated=cfg.actors.simulated > 0,
        remote=remote_config(cfg, agent, native) if cfg.actors.remote else None,
    )


def remote_config(cfg: Config, agent: ImpalaConfig, native: dict[str, Any]) -> RemoteConfig:
    """Of the real-time actors; `native` is what they play."""
    from mvfstrl._native import observation_spec

    actors = cfg.actors
    address = None if actors.listen is None else Address(actors.listen)
    return RemoteConfig(
        play=json.dumps({"host": cfg.realtime.host, "config": native}),
        spec_hash=observation_spec(native)["hash"],
        jobs=list(cfg.env.scenarios),
        weights=[scenario.weight for scenario in cfg.env.scenarios.values()],
        processes=actors.realtime,
        columns=min(agent.batch_size, actors.realtime or agent.batch_size),
        batch=actors.batch,
        batch_ms=actors.batch_ms,
        listen=address,
        security=ServerSecurity.of(
            address or Address(LOOPBACK), actors.token_file, actors.tls_cert, actors.tls_key
        ),
        token_file=actors.token_file,
    )


def _require_shares(cfg: Config, agent: ImpalaConfig, ranks: int) -> None:
    """Environments and batches are those of all ranks, and split evenly."""
    simulated, groups = cfg.actors.simulated, cfg.actors.groups
    if (simulated // groups) % ranks:
        raise ConfigError(f"actors.simulated: {simulated} in {groups} groups do not split over {ranks} ranks")
    if agent.batch_size % ranks:
        raise ConfigError(f"agent.batch_size: {agent.batch_size} unrolls do not split over {ranks} ranks")
    if ranks > 1 and cfg.actors.remote:
        key = "actors.realtime" if cfg.actors.realtime else "actors.listen"
        raise ConfigError(f"{key}: {ranks} ranks learn from simulated actors only")


def pick_device(name: str, local_rank: int = 0) -> torch.device:
    """`auto` is CUDA where there is one. Of several ranks on a host each takes the next CUDA device."""
    if name in ("auto", "cuda") and torch.cuda.is_available():
        return torch.device("cuda", local_rank % torch.cuda.device_count())
    device = torch.device("cpu" if name == "auto" else name)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ConfigError(f"device: {name} asked for, but torch sees no CUDA device")
    return device


def _environment(
    cfg: Config, native: dict[str, Any], siblings: int, seed: int, ranks: Ranks
) -> VectorEnvironment:
    """This rank's share of the environments."""
    from mvfstrl import _native

    return _native.VectorEnvironment(
        native,
        num_envs=max(cfg.actors.simulated // ranks.size, 1),
        num_groups=cfg.actors.groups if cfg.actors.simulated else 1,
        num_threads=worker_threads(cfg.actors.threads, ranks.cores, os.environ),
        seed=seed,
        siblings=siblings,
    )


def sibling_count(cfg: Config, agent: ImpalaConfig, ranks: int = 1) -> int:
    """As many as the agent asks for, or as a rank's groups and batches split into."""
    group = cfg.actors.simulated // cfg.actors.groups // ranks
    if group == 0:
        return 1
    return math.gcd(agent.siblings, group, min(group, agent.batch_size // ranks))


def _restore(training: Training, cfg: Config, checkpoints: Path) -> bool:
    """Goes on from the run directory's newest checkpoint as `resume` says; true if it did."""
    found = training.ranks.broadcast(bool(checkpoints_in(checkpoints)))
    if cfg.resume is Resume.never and found:
        raise ConfigError(f"resume: never, but {checkpoints} has checkpoints; choose another run directory")
    if cfg.resume is Resume.always and not found:
        raise ConfigError(f"resume: always, but {checkpoints} holds no checkpoint")
    if found:
        training.resume(checkpoints)
        return True
    if cfg.checkpoint is not None:
        training.start_from(Path(cfg.checkpoint))
    return False


def _reporter(
    tracker: RunTracker, live: LiveLine, run: RunDirectory, stop: StopRequest
) -> Callable[[dict[str, Any], int], None]:
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
        if run.prune(metrics, step):
            stop.request()

    return report
