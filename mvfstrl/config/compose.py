"""Composes configurations: the schema's registration with Hydra, and `compose` for tests and programs."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf, read_write

from mvfstrl.agents.impala.config import ImpalaConfig
from mvfstrl.agents.schemes import SCHEMES
from mvfstrl.config.measured_delays import KEY, measured_delays
from mvfstrl.config.plugins import register_plugins
from mvfstrl.config.schema import REWARDS, TRACKERS, Config, Mode


@cache
def register() -> None:
    """Puts the dataclasses into Hydra's store: `schema` is the whole, `schema/GROUP/OPTION` an option's."""
    store = ConfigStore.instance()
    store.store(name="schema", node=Config)
    groups: dict[str, Mapping[str, type]] = {
        "agent": {"impala": ImpalaConfig, **SCHEMES},
        "reward": REWARDS,
        "tracker": TRACKERS,
    }
    for group, options in groups.items():
        for name, node in options.items():
            store.store(group=f"schema/{group}", name=name, node=node)
    register_plugins()
    OmegaConf.register_new_resolver("scenario_names", _scenario_names, replace=True)
    OmegaConf.register_new_resolver("run_name", _run_name, replace=True)


def _run_name(mode: Mode, agent: str, scenarios: Mapping[str, Any]) -> str:
    """For a single run's directory: a report without one of its own tells a study."""
    return "study" if mode == Mode.report else f"{agent}-{_scenario_names(scenarios)}"


def _scenario_names(scenarios: Mapping[str, Any]) -> str:
    """For the run directory's name: `lte+umts`, of many only the first and their number."""
    names = list(scenarios)
    return "+".join(names) if len(names) <= 3 else f"{names[0]}+{len(names) - 1}-more"


def config_folder() -> Path:
    """The `conf` folder: the checkout's, or the copy inside an installed package."""
    packaged = Path(__file__).parents[1] / "conf"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "conf"


def to_config(composed: DictConfig) -> Config:
    """The typed configuration of what Hydra composed. Measured delays replace their file in `composed` too,
    for the run's record."""
    given = OmegaConf.select(composed, KEY)
    if (settled := measured_delays(given)) is not given:
        with read_write(composed):
            OmegaConf.update(composed, KEY, settled, merge=False)
    config = OmegaConf.to_object(composed)
    assert isinstance(config, Config)
    return config


def compose(overrides: list[str] | None = None) -> Config:
    """The configuration that `run.py OVERRIDES...` would use."""
    register()
    GlobalHydra.instance().clear()
    with hydra.initialize_config_dir(str(config_folder()), version_base="1.3"):
        return to_config(hydra.compose("config", overrides=overrides or []))
