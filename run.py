"""Starts every run: composes the configuration and picks the mode. `python run.py --help` explains."""

from __future__ import annotations

import importlib
import os
import signal
import sys
from pathlib import Path
from typing import cast

import hydra
from hydra.conf import HydraConf
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from mvfstrl.cluster.preemption import leave, prepare
from mvfstrl.cluster.preflight import require_launcher
from mvfstrl.config import Config, Mode, config_folder, register, to_config
from mvfstrl.config.validate import validate
from mvfstrl.errors import ConfigError, MvfstrlError
from mvfstrl.help import hints
from mvfstrl.outcome import State, objective_of, recorded
from mvfstrl.rank_environment import ranks_started
from mvfstrl.rundir import Pruner, RunDirectory

# Imported only when chosen. Each is called with (Config, RunDirectory), and leaves its scores in the latter.
MODES = {
    Mode.train: ("mvfstrl.train", "train"),
    Mode.test: ("pantheon.evaluate", "test"),
    Mode.test_local: ("pantheon.evaluate", "test"),
    Mode.trace: ("mvfstrl.export", "trace"),
    Mode.report: ("pantheon.report", "report"),
}
STUDY = ("analysis.report", "report")  # mode=report runs=...

USER_ERROR = 2


def run(composed: DictConfig) -> float | list[float] | None:
    """One run, as Hydra starts it. Returns its objective, for sweepers."""
    hydra_cfg = HydraConfig.get()
    try:
        cfg = to_config(composed)
        directory = RunDirectory(hydra_cfg.runtime.output_dir)
        _require_one_rank_unless_training(cfg.mode)
        require_launcher(
            hydra_cfg.launcher["_target_"],
            multirun=hydra_cfg.mode == RunMode.MULTIRUN,
            detach=cfg.cluster.detach,
        )
        if cfg.mode is Mode.report:  # it tells a run that is over, whose own records stay
            _report(cfg, directory, hydra_cfg)
            return None
        if hydra_cfg.mode == RunMode.RUN:
            validate(cfg, directory.path)  # a refusal leaves the folder as it was
        with recorded(directory.path, cfg.mode, hydra_cfg.overrides.task, sweep_number(hydra_cfg)) as outcome:
            if hydra_cfg.mode == RunMode.MULTIRUN:
                validate(cfg, directory.path)
            directory.record(composed)
            directory.pruner = pruner_of(hydra_cfg, cfg, outcome.sweep["number"])
            _play(cfg, directory)
            outcome.scores = directory.scores
            if directory.pruned is not None:
                outcome.state, outcome.objective = State.pruned, directory.pruned
            elif directory.interrupted:
                outcome.state = State.interrupted
            else:
                outcome.objective = objective_of(cfg.objective, directory.scores)
        if directory.interrupted:
            leave(directory.signals)
        return outcome.objective
    except MvfstrlError as error:
        # A sweep gets the exception and judges it; a single run ends with the one line that names the cause.
        if hydra_cfg.mode == RunMode.MULTIRUN or os.environ.get("HYDRA_FULL_ERROR") == "1":
            raise
        print(f"error: {error}", file=sys.stderr)
        sys.exit(USER_ERROR)


def _report(cfg: Config, directory: RunDirectory, hydra_cfg: HydraConf) -> None:
    """A page. Where there is nothing to tell, the folder that Hydra made for it goes again."""
    try:
        start(cfg.mode, cfg, directory)
    except MvfstrlError:
        if not any(override.startswith("hydra.run.dir=") for override in hydra_cfg.overrides.hydra):
            directory.discard()
        raise


def _play(cfg: Config, directory: RunDirectory) -> None:
    """The mode, and what ends a training: what was learnt, ready to ship, and its test."""
    start(cfg.mode, cfg, directory)
    if HydraConfig.get().mode == RunMode.RUN:
        _dismiss_ranks()
    if cfg.mode is Mode.train and not directory.interrupted and directory.pruned is None:
        start(Mode.trace, cfg, directory)
        from mvfstrl.trackers import keep_artifacts

        keep_artifacts(cfg, directory)
        if cfg.test_after_train:
            start(Mode.test, cfg, directory)


def start(mode: Mode, cfg: Config, directory: RunDirectory) -> None:
    module, function = MODES[mode] if cfg.runs is None else STUDY
    getattr(importlib.import_module(module), function)(cfg, directory)


def sweep_number(hydra_cfg: HydraConf) -> int | None:
    """Of a run in a sweep; None for a single one."""
    if hydra_cfg.mode != RunMode.MULTIRUN:
        return None
    from mvfstrl.sweep.record import number_of

    number = number_of(Path(hydra_cfg.sweep.dir), str(hydra_cfg.sweep.subdir))
    return hydra_cfg.job.num if number is None else number  # a sweeper of Hydra's own keeps no record


def pruner_of(hydra_cfg: HydraConf, cfg: Config, number: int | None) -> Pruner | None:
    """Of a run in a search that prunes."""
    settings = OmegaConf.select(cast(DictConfig, hydra_cfg), "sweeper.pruner")
    if hydra_cfg.mode != RunMode.MULTIRUN or settings is None or settings.kind == "none" or number is None:
        return None
    from mvfstrl.sweep.pruning import RunPruner

    return RunPruner(Path(hydra_cfg.sweep.dir), number, settings, cfg.objective[0], cfg.total_steps)


def _require_one_rank_unless_training(mode: Mode) -> None:
    size = ranks_started(os.environ)
    if size > 1 and mode is not Mode.train:
        raise ConfigError(f"mode: {mode} runs alone, and {size} ranks were started; train has several")


def _dismiss_ranks() -> None:
    if ranks_started(os.environ) > 1:
        from mvfstrl.distributed import launched

        if (launch := launched()) is not None:
            launch.dismiss()


def follow() -> bool:
    """Of several ranks all but the first leave the command line to it, and do as it says; true for those."""
    try:
        if ranks_started(os.environ) == 1:
            return False
        from mvfstrl.distributed import launched

        launch = launched()
        if launch is None or launch.rank == 0:
            return False
        from mvfstrl import train

        train.follow(launch)
    except MvfstrlError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(USER_ERROR)
    return True


def main() -> None:
    prepare()
    if follow():
        return
    register()
    try:
        hydra.main(version_base="1.3", config_path=str(config_folder()), config_name="config")(run)()
    except SystemExit as exit_:
        if exit_.code == 1:  # Hydra has printed what it refuses; say what it may have meant
            for hint in hints(sys.argv[1:]):
                print(hint, file=sys.stderr)
        raise
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    finally:
        _dismiss_ranks()


if __name__ == "__main__":
    main()
