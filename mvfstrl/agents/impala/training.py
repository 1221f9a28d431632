"""The training loop: actors and learner side by side, or in turns where the run must be deterministic."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mvfstrl.agents.impala.actor import Actor
from mvfstrl.agents.impala.config import ImpalaConfig
from mvfstrl.agents.impala.learner import Learner, NonFiniteLossError
from mvfstrl.agents.impala.network import NetworkShape
from mvfstrl.agents.impala.players import Players
from mvfstrl.agents.impala.progress import Progress
from mvfstrl.agents.impala.remote import RemoteConfig
from mvfstrl.agents.impala.trajectory import Batch, Trajectory, TrajectoryRing, buffers_within
from mvfstrl.agents.impala.transfer import make_feed, make_store
from mvfstrl.checkpoint import load_checkpoint, plain, require_same_spec, save_checkpoint
from mvfstrl.distributed import Ranks
from mvfstrl.errors import CheckpointError
from mvfstrl.parameters import ParameterStore
from mvfstrl.vector_environment import VectorEnvironment

logger = logging.getLogger(__name__)

ROWS = 200
"""Rows of metrics over a whole run, at least..."""
STEPS_A_ROW = 20_000
"""...and steps between two rows, at most: a long run shows signs of life as often as a short one."""
CHECK_UPDATES = 100
"""Updates between two comparisons of all ranks' parameters."""


@dataclass(frozen=True)
class Setup:
    """Everything that training needs to know, and that a checkpoint records."""

    agent: ImpalaConfig
    make_environment: Callable[[int], VectorEnvironment]
    """From a seed; that of the simulated actors."""
    jobs: list[str]
    """Names of the scenarios, in the order of their index."""
    spec: Mapping[str, Any]
    """What observations, actions and reward mean: checkpoints of another spec are refused."""
    config: Mapping[str, Any]
    """The whole resolved configuration, for the record."""
    folder: Path
    """The run directory."""
    seed: int
    total_steps: int
    device: torch.device
    deterministic: bool = False
    siblings: int = 1
    """Environments side by side that play the same episodes; divides the batch and the group."""
    learner_threads: int = 1
    """They share each update; 0: as many as are of use."""
    ranks: Ranks = field(default_factory=Ranks)
    """Who learns along: each with environments of its own, as many as `make_environment` makes, and its share
    of `agent.batch_size`."""
    simulated: bool = True
    """Whether there are simulated actors."""
    remote: RemoteConfig | None = None
    """The real-time ones."""


class Training:
    """One run, from its beginning or from a checkpoint, to `total_steps` or to a stop request.

    A deterministic run lets actors and learner take turns in one thread. Its checkpoints also hold every
    action so far: a resumed run replays them into new environments, which brings those to exactly where they
    were. An asynchronous run resumes with new episodes, seeded by the step at which it resumes.

    Of several ranks each does all of this, and all do the same updates; the first one reads and writes.
    """

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.ranks = setup.ranks
        # Cores are shared out by columns and by role: OpenMP's spinning costs more than it gives.
        torch.set_num_threads(1)
        torch.manual_seed(setup.seed)
        self._resumed: dict[str, Any] | None = None
        probe = setup.make_environment(setup.seed)
        self.shape = NetworkShape(probe.observation_size, probe.num_actions, len(setup.jobs))
        probe.close()
        self.learner = Learner(
            self.shape,
            setup.agent,
            total_steps=setup.total_steps,
            device=setup.device,
            siblings=setup.siblings,
            ranks=setup.ranks,
            threads=setup.learner_threads,
        )
        self.progress = Progress(setup.jobs)
        self._actions: list[Tensor] = []
        """Deterministic runs: of each round, [group, T, n] int8."""

    # Checkpoints

    @property
    def checkpoints(self) -> Path:
        return self.setup.folder / "checkpoints"

    def resume(self, path: Path) -> None:
        """Continues where the checkpoint at `path` (or the newest whole one in it) was taken."""
        content = self.ranks.broadcast(self._load(path) if self.ranks.first else None)
        if content["deterministic"] != self.setup.deterministic:
            raise CheckpointError(
                f"{path} is of a run with deterministic={content['deterministic']}: it cannot go on otherwise"
            )
        ranks = content.get("ranks", 1)
        if self.setup.deterministic and ranks != self.ranks.size:
            raise CheckpointError(
                f"{path} is of a deterministic run of {ranks} ranks: it goes on with as many, not"
                f" {self.ranks.size}"
            )
        self.learner.load_state_dict(content["learner"])
        self.progress = Progress(self.setup.jobs, content["returns"])
        if "unreported" in content and self.ranks.first:
            self.progress.take_up(content["unreported"])
        self._resumed = content
        logger.info("resumed from %s at step %d", path, self.learner.step)

    def start_from(self, path: Path) -> None:
        """Takes the weights and statistics of a checkpoint, and nothing else."""
        content = self.ranks.broadcast(self._load(path) if self.ranks.first else None)
        self.learner.network.load_state_dict(content["learner"]["network"])
        self.learner.scale.load_state_dict(content["learner"]["value_scale"])

    def _load(self, path: Path) -> dict[str, Any]:
        content = load_checkpoint(path)
        require_same_spec(self.setup.spec, content["spec"], f"checkpoint {path}")
        mine = self._description()
        for key in ("jobs", "network"):
            if content[key] != mine[key]:
                raise CheckpointError(
                    f"checkpoint {path}: {key} is {content[key]}, this configuration has {mine[key]}"
                )
        return content

    def _description(self) -> dict[str, Any]:
        return {
            "spec": self.setup.spec,
            "config": self.setup.config,
            "jobs": self.setup.jobs,
            "shape": self.shape._asdict(),
            "network": plain(asdict(self.setup.agent.network)),
            "deterministic": self.setup.deterministic,
        }

    def save(self, actor: Actor | None = None) -> None:
        """All ranks meet here after an update. `actor`: whose state a deterministic run goes on with."""
        self._hear()
        self.learner.require_equal_ranks()
        playing = self.ranks.gather(None if actor is None else self._playing(actor))
        if self.ranks.first:
            self._write(playing)

    def _playing(self, actor: Actor) -> dict[str, Any]:
        """Where a deterministic run's actor and environments are."""
        return {
            "rng": actor.generator.get_state(),
            "states": [list(state) for state in actor.states],
            "actions": torch.stack(self._actions) if self._actions else None,
        }

    def _write(self, playing: list[dict[str, Any] | None]) -> None:
        """`playing`: one a rank, or none."""
        content = {
            **self._description(),
            "step": self.learner.step,
            "ranks": self.ranks.size,
            "learner": self.learner.state_dict(),
            "returns": {name: list(values) for name, values in self.progress.returns.items()},
            "unreported": self.progress.unreported(),
            "rng": {"torch": torch.get_rng_state()},
        }
        if any(playing):
            content["actors"] = playing
        save_checkpoint(
            self.checkpoints, content, step=self.learner.step, keep=self.setup.agent.checkpoints_kept
        )

    def _save_or_warn(self, actor: Actor | None = None) -> None:
        try:
            self.save(actor)
        except CheckpointError as error:
            logger.error("%s; training goes on", error)  # a full disk may have room by the next one

    def _save_alone(self) -> None:
        """At an error, when the other ranks may not come to meet."""
        try:
            if self.ranks.first:
                self._write([])
        except CheckpointError as error:
            logger.error("%s", error)

    def _hear(self) -> None:
        """The first rank hears what the others have gathered since it last asked."""
        if self.ranks.size > 1:
            for part in self.ranks.gather(None if self.ranks.first else self.progress.take())[1:]:
                self.progress.add(part)

    # The loop

    def run(
        self,
        log: Callable[[dict[str, Any], int], None],
        stop: Callable[[], bool] = lambda: False,
    ) -> float:
        """Trains, and leaves a checkpoint however it ends. Returns the mean return of the newest episodes."""
        if self.learner.step >= self.setup.total_steps:
            logger.info("nothing to train: the checkpoint has %d steps", self.learner.step)
            return self.progress.objective
        if self.ranks.size > 1:
            self.learner.load_state_dict(self.ranks.broadcast(plain(self.learner.state_dict())))
        self._next_row = _Every(min(self.setup.total_steps / ROWS, STEPS_A_ROW), self.learner.step)
        self._next_save = _Every(self.setup.agent.checkpoint_steps, self.learner.step)
        environment = self.setup.make_environment(self._environment_seed())
        try:
            if self.setup.deterministic:
                self._take_turns(environment, log, stop)
            else:
                self._side_by_side(environment, log, stop)
        finally:
            environment.close()
        return self.progress.objective

    def _environment_seed(self) -> int:
        """A resumed asynchronous run draws new episodes instead of those that it began with."""
        resumed = self._resumed is not None and not self.setup.deterministic
        if not resumed and self.ranks.size == 1:
            return self.setup.seed
        entropy = [self.setup.seed, self.learner.step if resumed else 0]
        if self.ranks.size > 1:  # no two ranks play the same
            entropy.append(self.ranks.rank)
        return int(np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0] >> np.uint64(1))

    def _make_buffer(self, columns: int) -> Trajectory:
        network = self.learner.network
        return Trajectory(
            self.setup.agent.unroll_length,
            columns,
            self.shape,
            network.lstm_layers,
            network.hidden_size,
            pinned=self.setup.device.type == "cuda",
        )

    def _make_store(self) -> ParameterStore:
        store = make_store(self.learner.network, self.setup.device)
        store.publish(self.learner.network, self.learner.version)
        return store

    def _make_actor(
        self, environment: VectorEnvironment, store: ParameterStore, buffers: int
    ) -> tuple[Actor, TrajectoryRing]:
        ring = TrajectoryRing([self._make_buffer(environment.group_size) for _ in range(buffers)])
        actor = Actor(
            environment,
            self.learner.network,
            store,
            ring,
            seed=self._environment_seed(),
            precision=self.setup.agent.precision,
        )
        actor.reset(lambda: self._make_buffer(environment.group_size))
        return actor, ring

    def _side_by_side(
        self,
        environment: VectorEnvironment,
        log: Callable[[dict[str, Any], int], None],
        stop: Callable[[], bool],
    ) -> None:
        store = self._make_store()
        ring, players = self._make_players(environment, store)
        feed = make_feed(ring, self.setup.device)
        self.progress.begin(self.learner.step)
        try:
            players.start()
            while not self._over(stop):
                unroll = feed.take(timeout_s=0.2)
                if unroll is None:
                    continue
                players.add_lag(unroll.buffer, self._learn(unroll.batch, unroll.buffer))
                store.publish(self.learner.network, self.learner.version)
                feed.release(unroll)
                self.progress.add_episodes(players.episodes())
                self._log(log, players.figures)
                if self._next_save.due(self.learner.step):
                    self._save_or_warn()
        except BaseException:
            self._save_alone()
            raise
        finally:
            players.stop(over=self.learner.step >= self.setup.total_steps)
        self.save()

    def _make_players(
        self, environment: VectorEnvironment, store: ParameterStore
    ) -> tuple[TrajectoryRing, Players]:
        """All who act beside the learner, and the ring that brings their unrolls."""
        actor, ring = None, TrajectoryRing([])
        if self.setup.simulated:
            updates = -(-environment.group_size // self._batch_size)
            buffers = buffers_within(self.setup.agent.max_policy_lag, updates, environment.num_groups)
            actor, ring = self._make_actor(environment, store, buffers)
        players = Players(ring)
        if actor is not None:
            players.add_simulated(actor, environment)
        if self.setup.remote is not None:
            players.add_remote(
                self.setup.remote,
                store,
                self.learner.network,
                self._make_buffer,
                precision=self.setup.agent.precision,
                seed=self._environment_seed(),
            )
        return ring, players

    def _take_turns(
        self,
        environment: VectorEnvironment,
        log: Callable[[dict[str, Any], int], None],
        stop: Callable[[], bool],
    ) -> None:
        store = self._make_store()
        actor, ring = self._make_actor(environment, store, environment.num_groups)
        self.progress.begin(self.learner.step)
        self._restore(actor, environment)
        while not self._over(stop):
            buffers = actor.round()
            assert buffers is not None, "nobody closes this ring"
            self._actions.append(torch.stack([b.batch.action for b in buffers]).to(torch.int8))
            for buffer in buffers:
                self._learn(buffer.batch, buffer)
                ring.release(buffer)
            store.publish(self.learner.network, self.learner.version)
            self.progress.add_episodes(environment.drain_episodes())
            self._hear()  # in every round: the order of episodes must not depend on what is written when
            self._log(log)
            if self._next_save.due(self.learner.step):
                self._save_or_warn(actor)
        self.save(actor)

    def _restore(self, actor: Actor, environment: VectorEnvironment) -> None:
        """Brings a deterministic run's actor and environments to where the checkpoint left them."""
        if self._resumed is None:
            return
        # Until version 0.2 a checkpoint had one actor, in another form.
        one = [{"rng": self._resumed["rng"].get("actor"), **self._resumed.get("actor", {})}]
        saved = self._resumed.get("actors", one)[self.ranks.rank]
        if saved["actions"] is not None:
            self._actions = list(saved["actions"])
            actor.replay(saved["actions"])
            environment.drain_episodes()  # known already
        actor.states = [(h, c) for h, c in saved["states"]]
        actor.generator.set_state(saved["rng"])
        torch.set_rng_state(self._resumed["rng"]["torch"])

    def _over(self, stop: Callable[[], bool]) -> bool:
        return self.learner.step >= self.setup.total_steps or self.ranks.agree_to_stop(stop())

    @property
    def _batch_size(self) -> int:
        """This rank's share."""
        return self.setup.agent.batch_size // self.ranks.size

    def _learn(self, unroll: Batch, buffer: Trajectory) -> int:
        """`unroll`: what `buffer` holds, where the learner is. Returns the lag of the policy that acted."""
        size = unroll.action.shape[1]
        width = min(self._batch_size, size)
        for start in range(0, size, width):
            batch = unroll.columns(start, min(start + width, size))
            lag = self.learner.version - buffer.version
            try:
                self.progress.add_update(self.learner.learn(batch, buffer.siblings), lag)
            except NonFiniteLossError as error:
                raise NonFiniteLossError(f"{error}; {self._keep_for_post_mortem(batch)}") from None
            if self.learner.version % CHECK_UPDATES == 0:
                self.learner.require_equal_ranks()
        return lag

    def _keep_for_post_mortem(self, batch: Batch) -> str:
        numbers = [tensor for tensor in batch.tensors().values() if tensor.is_floating_point()]
        if not self.ranks.first and all(bool(tensor.isfinite().all()) for tensor in numbers):
            return "no fault in this rank's batch"
        rank = "" if self.ranks.size == 1 else f"_rank{self.ranks.rank}"
        path = self.setup.folder / f"non_finite_batch_{self.learner.step:012d}{rank}.pt"
        self.learner.save_batch(batch, path)
        return f"the batch and the parameters are in {path}"

    def _log(
        self,
        log: Callable[[dict[str, Any], int], None],
        extra: Callable[[], dict[str, float]] = dict,
    ) -> None:
        if not self._next_row.due(self.learner.step) and self.learner.step < self.setup.total_steps:
            return
        self._hear()
        if self.ranks.first:
            log(
                {**self.progress.row(self.learner.step), **extra(), **self.ranks.waiting()}, self.learner.step
            )


class _Every:
    """True once for each multiple of an interval that a count passes, wherever the count started."""

    def __init__(self, interval: float, start: int) -> None:
        self._interval = interval
        self._passed = start // interval

    def due(self, count: int) -> bool:
        passed = count // self._interval
        due = passed > self._passed
        self._passed = passed
        return due
