"""From a command line to runs that will start: composed and checked before any of them is launched."""

from __future__ import annotations

import dataclasses
import itertools
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from hydra.types import HydraContext
from omegaconf import DictConfig, open_dict, read_write
from omegaconf.errors import OmegaConfBaseException

from mvfstrl.cluster.preflight import require_launcher
from mvfstrl.config.compose import to_config
from mvfstrl.config.schema import Config
from mvfstrl.config.validate import validate
from mvfstrl.errors import ConfigError, MvfstrlError
from mvfstrl.rank_environment import available_cores


@dataclass(frozen=True)
class Job:
    """A run that is ready to be launched."""

    number: int
    folder: Path
    overrides: list[str]
    """The user's."""
    arguments: list[str]
    """These, and where the run writes, and its share of the cores."""
    cfg: Config
    label: str = ""
    """What sets it apart; empty: the overrides that not all runs have."""


def parse(params: Mapping[str, Any], arguments: Sequence[str], loader: ConfigLoader | None) -> list[Override]:
    """What is said of each key, once: the command line goes before the sweep file."""
    said: dict[str, Override] = {}
    parser = OverridesParser.create(config_loader=loader)
    for where, text in [
        *(("hydra.sweeper.params", f"{key}={value}") for key, value in params.items()),
        *(("command line", argument) for argument in arguments),
    ]:
        try:
            override = parser.parse_override(text)
        except HydraException as error:
            key = text.partition("=")[0]
            raise ConfigError(f"{key}: not understood in the {where}: {_first_line(error)}") from error
        said[override.get_key_element()] = override
    return list(said.values())


def combinations(overrides: Sequence[Override]) -> list[list[str]]:
    """Every combination of the listed values, the last key changing fastest."""
    axes = []
    for override in overrides:
        key = override.get_key_element()
        if not override.is_sweep_override():
            axes.append([f"{key}={override.get_value_element_as_str()}"])
        elif override.is_discrete_sweep():
            axes.append([f"{key}={value}" for value in override.sweep_string_iterator()])
        else:
            rule = "a grid needs values to list; hydra/sweeper=optuna searches intervals"
            raise ConfigError(f"{key}: {rule}, got {override.input_line}")
    return [list(combination) for combination in itertools.product(*axes)]


class Planner:
    """Composes and checks runs of one sweep."""

    def __init__(self, context: HydraContext, master: DictConfig) -> None:
        self._context = context
        self._master = master
        self.folder = Path(str(master.hydra.sweep.dir))
        self._valid: set[str] = set()

    @property
    def loader(self) -> ConfigLoader:
        return self._context.config_loader

    def job(
        self,
        number: int,
        overrides: list[str],
        *,
        folder: str | None = None,
        share: int = 1,
        label: str = "",
    ) -> Job:
        """`folder`: below the sweep's, where the run has one already. `share`: runs side by side on these
        cores. Raises ConfigError for what cannot be run."""
        cfg, subdir = self._compose(number, overrides)
        folder = folder or subdir
        path = self.folder / folder
        self._check(cfg, path, overrides)
        arguments = [
            *overrides,
            *_threads(cfg, share),
            f"hydra.sweep.dir={_quoted(str(self.folder))}",
            f"hydra.sweep.subdir={_quoted(folder)}",
        ]
        return Job(number, path, overrides, arguments, cfg, label)

    def _compose(self, number: int, overrides: list[str]) -> tuple[Config, str]:
        """The run's configuration, and its folder."""
        try:
            composed = self.loader.load_sweep_config(self._master, overrides)
            with read_write(composed), open_dict(composed):
                composed.hydra.job.num = number
                composed.hydra.job.id = str(number)
                subdir = str(composed.hydra.sweep.subdir)
                del composed["hydra"]
            return to_config(composed), subdir
        except (HydraException, OmegaConfBaseException) as error:
            raise ConfigError(_refusal(overrides, error)) from error

    def _check(self, cfg: Config, path: Path, overrides: list[str]) -> None:
        """Runs that differ in their seed alone are checked once: what they need of the core is the same."""
        text = repr(dataclasses.replace(cfg, seed=0))
        if text in self._valid and cfg.seed >= 0:
            return
        try:
            target = str(self._master.hydra.launcher["_target_"])
            require_launcher(target, multirun=True, detach=cfg.cluster.detach)
            validate(cfg, path)
        except MvfstrlError as error:
            raise ConfigError(f"{error} (in the run {' '.join(overrides)})") from error
        self._valid.add(text)


def _refusal(overrides: list[str], error: Exception) -> str:
    """Hydra's word, which key and what it may have meant."""
    from mvfstrl.help import hints

    near = " ".join(hints(overrides))
    said = _first_line(error).rstrip(".")
    if error.__cause__ is not None:
        said += f": {_first_line(error.__cause__)}"
    return f"{said} (in the run {' '.join(overrides)}){'. ' if near else ''}{near}"


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n")[0]


def _threads(cfg: Config, share: int) -> list[str]:
    """Runs side by side divide the cores where the configuration says `one a core`."""
    if share == 1:
        return []
    threads = max(1, available_cores(os.environ) // share)
    asked = {"actors.threads": cfg.actors.threads, "test.threads": cfg.test.threads}
    return [f"{key}={threads}" for key, value in asked.items() if value == 0]


def _quoted(value: str) -> str:
    """For Hydra's grammar."""
    return "'" + value.replace("'", "\\'") + "'"
