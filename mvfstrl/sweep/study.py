"""The study in a sweep's folder: Optuna's ask-and-tell, by trial numbers."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from mvfstrl.errors import ConfigError
from mvfstrl.sweep.pruning import STUDY, make_pruner, open_storage
from mvfstrl.sweep.space import Space


class Study:
    """Opens the folder's study, or makes it."""

    def __init__(
        self,
        folder: Path,
        space: Space,
        *,
        directions: Sequence[str],
        sampler: Callable[[int], Any],
        pruner: Any,
    ) -> None:
        """`sampler`: makes one, from the number of trials so far."""
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        warnings.simplefilter("ignore", ExperimentalWarning)
        self._space = space
        storage = open_storage(folder)
        self._study = optuna.create_study(
            study_name=STUDY,
            storage=storage,
            directions=[StudyDirection[name.upper()] for name in directions],
            load_if_exists=True,
        )
        known = [direction.name.lower() for direction in self._study.directions]
        if known != list(directions):
            raise ConfigError(
                f"objective: the study in {folder} has directions {known}, not {list(directions)};"
                " choose another hydra.sweep.dir"
            )
        self._require_same_space(folder)
        self._study.sampler = sampler(self.asked())
        self._study.pruner = make_pruner(pruner)

    def _require_same_space(self, folder: Path) -> None:
        for trial in self._study.get_trials(deepcopy=False)[-1:]:
            known, asked = trial.distributions, self._space.distributions
            for key in dict.fromkeys([*known, *asked]):
                if known.get(key) != asked.get(key):
                    searches = f"searches {known[key]}" if key in known else "does not search it"
                    other = "choose another hydra.sweep.dir"
                    raise ConfigError(f"{key}: the study in {folder} {searches}; {other}")

    def asked(self) -> int:
        return len(self._study.get_trials(deepcopy=False))

    def ask(self) -> tuple[int, dict[str, Any]]:
        """The next trial's number and point."""
        trial = self._study.ask(self._space.distributions)
        return trial.number, dict(trial.params)

    def running(self) -> list[tuple[int, dict[str, Any]]]:
        """Trials that were asked for and not told."""
        trials = self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        return [(trial.number, dict(trial.params)) for trial in trials]

    def tell(self, number: int, values: float | Sequence[float]) -> None:
        self._study.tell(number, values)

    def tell_pruned(self, number: int) -> None:
        """Its value is the newest intermediate one."""
        self._study.tell(number, state=TrialState.PRUNED)

    def tell_failed(self, number: int) -> None:
        self._study.tell(number, state=TrialState.FAIL)

    def states(self) -> list[str]:
        return [trial.state.name.lower() for trial in self._study.get_trials(deepcopy=False)]

    def best(self) -> list[dict[str, Any]]:
        """For the summary, best first: complete trials, of several objectives those that none beats."""
        complete = self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        if not complete:
            return []
        if len(self._study.directions) > 1:
            return [self._told(trial) for trial in sorted(self._study.best_trials, key=lambda t: t.values)]
        sign = -1 if self._study.direction.name == "MAXIMIZE" else 1
        return [self._told(trial) for trial in sorted(complete, key=lambda trial: sign * trial.values[0])]

    def _told(self, trial: FrozenTrial) -> dict[str, Any]:
        return {
            "number": trial.number,
            "folder": str(trial.number),
            "objective": list(trial.values),
            "overrides": self._space.searched(trial.params),
        }
