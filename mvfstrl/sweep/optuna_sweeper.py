"""hydra/sweeper=optuna: asks Optuna for runs, launches them, and tells what came of them.

The study is a journal in the sweep's folder; trial, run and folder have one number. Started again, the sweep
goes on: what is finished counts, and what was on when it ended is started again, from its checkpoint.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from mvfstrl.config.schema import Config, Mode
from mvfstrl.errors import ConfigError
from mvfstrl.files import write_whole
from mvfstrl.outcome import OBJECTIVES, TRAINING_OBJECTIVE, Outcome, State, outcome_of
from mvfstrl.sweep.plan import Job, parse
from mvfstrl.sweep.record import Run
from mvfstrl.sweep.sweeper import StudySweeper, told_in_one_line
from mvfstrl.sweep.table import short

SUMMARY = "optimization.json"
SAMPLERS = ("tpe", "cmaes", "nsgaii", "random")
SHOWN = 5


class OptunaSweeper(StudySweeper):
    NAME = "optuna"

    def __init__(
        self,
        params: Mapping[str, Any],
        n_trials: int,
        n_jobs: int | None,
        sampler: str,
        startup_trials: int,
        population: int,
        seed: int | None,
        pruner: Any,
    ) -> None:
        self._params = params
        self._n_trials = n_trials
        self._n_jobs = n_jobs
        self._sampler = sampler
        self._startup_trials = startup_trials
        self._population = population
        self._seed = seed
        self._pruner = OmegaConf.create(pruner)

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        with told_in_one_line():
            self._require_numbers()
        super().setup(hydra_context=hydra_context, task_function=task_function, config=config)

    def _require_numbers(self) -> None:
        for key, value in (
            ("n_trials", self._n_trials),
            ("n_jobs", 1 if self._n_jobs is None else self._n_jobs),
            ("population", self._population - 1),
        ):
            if value < 1:
                raise ConfigError(f"hydra.sweeper.{key}: must be at least {2 if key == 'population' else 1}")
        if self._sampler not in SAMPLERS:
            raise ConfigError(
                f"hydra.sweeper.sampler: must be one of {', '.join(SAMPLERS)}, got {self._sampler!r}"
            )

    def search(self, arguments: list[str]) -> Any:
        from mvfstrl.sweep.space import search_space
        from mvfstrl.sweep.study import Study

        if self.detached:
            raise ConfigError("cluster.detach: a search waits for its runs' results; use hydra/sweeper=grid")
        self._space = search_space(parse(self._params, arguments, self.planner.loader))
        cfg = self._require_corners()
        self._record = self.open_record()
        self.save_record(self._record)
        self._study = Study(
            self.folder,
            self._space,
            directions=[OBJECTIVES[name] for name in cfg.objective],
            sampler=self._make_sampler,
            pruner=self._pruner,
        )
        at_a_time = self._n_jobs or self.side_by_side(self._capacity())
        jobs: list[Job] = []
        lost = self._settle_lost()
        while not self.interrupted:
            batch = self._next(lost, at_a_time)
            if not batch:
                break
            jobs += batch
            self.save_record(self._record)
            self.play(batch, jobs)
            for job in batch:
                self._tell(job.number, outcome_of(job.folder))
        self._finish(cfg.objective)
        self.end(jobs)
        return [trial["objective"] for trial in self._study.best()]

    def _capacity(self) -> int:
        """submitit_local would start any number at once: one, unless n_jobs says more."""
        return self._n_trials if self.launcher_name == "joblib" else 1

    def _require_corners(self) -> Config:
        """Refuses a search space whose ends cannot be run; returns one of its configurations."""
        from mvfstrl.sweep.pruning import make_pruner, require_prunable

        make_pruner(self._pruner)
        corners = [self.planner.job(0, self._space.overrides(point)) for point in self._space.corners()]
        cfg = corners[0].cfg
        tested = cfg.mode is not Mode.train or cfg.test_after_train
        for name in cfg.objective:
            if name != TRAINING_OBJECTIVE and not tested:
                raise ConfigError(f"objective: {name} comes of the test; add test_after_train=true")
            if name == TRAINING_OBJECTIVE and cfg.mode is not Mode.train:
                raise ConfigError(f"objective: {name} comes of a training, and mode is {cfg.mode}")
        if self._pruner.kind != "none":
            require_prunable(list(cfg.objective))
        return cfg

    def _make_sampler(self, told: int) -> Any:
        """`told`: trials so far. A sampler that starts again must not draw what it drew before."""
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        seed = None if self._seed is None else self._seed + told
        if self._sampler == "tpe":
            return optuna.samplers.TPESampler(n_startup_trials=self._startup_trials, seed=seed)
        if self._sampler == "cmaes":
            return optuna.samplers.CmaEsSampler(
                n_startup_trials=self._startup_trials, seed=seed, warn_independent_sampling=False
            )
        if self._sampler == "nsgaii":
            return optuna.samplers.NSGAIISampler(population_size=self._population, seed=seed)
        return optuna.samplers.RandomSampler(seed=seed)

    # Asking and telling

    def _settle_lost(self) -> list[tuple[int, dict[str, Any]]]:
        """Trials that an earlier start left running: told, where their runs ended, or to be run again."""
        again = []
        folders = {run.number: run.folder for run in self._record.runs}
        for number, point in self._study.running():
            folder = folders.get(number)
            outcome = None if folder is None else outcome_of(self.folder / folder)
            if outcome is not None and outcome.state in (State.finished, State.failed, State.pruned):
                self._tell(number, outcome)
            else:
                again.append((number, point))
        return again

    def _next(self, lost: list[tuple[int, dict[str, Any]]], count: int) -> list[Job]:
        jobs: list[Job] = []
        while len(jobs) < count:
            if lost:
                number, point = lost.pop(0)
            elif self._study.asked() < self._n_trials:
                number, point = self._study.ask()
            else:
                break
            job = self._job(number, point, count)
            if job is not None:
                jobs.append(job)
        return jobs

    def _job(self, number: int, point: dict[str, Any], share: int) -> Job | None:
        """None for a point whose combination cannot be run, which is told as failed."""
        label = " ".join(short(override) for override in self._space.searched(point))
        try:
            job = self.planner.job(
                number,
                self._space.overrides(point),
                folder=str(number),
                share=self.side_by_side(share),
                label=label,
            )
        except ConfigError as error:
            self.console.print(f"#{number} {label}: {error}", markup=False, highlight=False)
            self._study.tell_failed(number)
            return None
        self._record.put(Run(number, str(number), job.overrides))
        return job

    def _tell(self, number: int, outcome: Outcome | None) -> None:
        """A run that was interrupted, or lost with the sweep, stays as it is: the next start runs it on."""
        state = None if outcome is None else outcome.state
        if outcome is not None and state is State.finished and outcome.objective is not None:
            self._study.tell(number, outcome.objective)
        elif outcome is not None and state is State.pruned:
            assert isinstance(outcome.objective, float | int)
            self._study.tell_pruned(number)
        elif state in (State.failed, State.finished) or number in self.failures:
            self._study.tell_failed(number)

    # The end

    def _finish(self, names: Sequence[str]) -> None:
        """Prints the best trials (of several objectives those that none beats), and writes the summary."""
        best = self._study.best()
        states = Counter(self._study.states())
        self.console.print(
            f"{sum(states.values())} trials: "
            + ", ".join(f"{count} {state}" for state, count in states.items())
        )
        for trial in best[:SHOWN]:
            told = ", ".join(
                f"{name} {value:.4g}" for name, value in zip(names, trial["objective"], strict=True)
            )
            words = " ".join(short(override) for override in trial["overrides"])
            self.console.print(f"  #{trial['number']} {told}: {words}", markup=False, highlight=False)
        content = {
            "sampler": self._sampler,
            "objective": list(names),
            "directions": [OBJECTIVES[name] for name in names],
            "trials": dict(states),
            "best": best,
        }
        write_whole(self.folder / SUMMARY, json.dumps(content, indent=2) + "\n")
