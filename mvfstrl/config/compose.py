"""Composes configurations: the schema's registration with Hydra, and `compose` for tests and programs."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf

from mvfstrl.config.schema import Config


@cache
def register() -> None:
    """Puts the dataclasses into Hydra's store: `schema` is the whole, `schema/GROUP/OPTION` an option's."""
    from mvfstrl.agents.impala.config import ImpalaConfig
    from mvfstrl.agents.schemes import CubicConfig, FixedConfig, NewRenoConfig, RandomConfig

    store = ConfigStore.instance()
    store.store(name="schema", node=Config)
    agents: dict[str, Any] = {
        "impala": ImpalaConfig,
        "newreno": NewRenoConfig,
        "cubic": CubicConfig,
        "fixed": FixedConfig,
        "random": RandomConfig,
    }
    for name, node in agents.items():
        store.store(group="schema/agent", name=name, node=node)


def config_folder() -> Path:
    """The `conf` folder: the checkout's, or the copy inside an installed package."""
    packaged = Path(__file__).parents[1] / "conf"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "conf"


def to_config(composed: DictConfig) -> Config:
    """The typed configuration of what Hydra composed."""
    config = OmegaConf.to_object(composed)
    assert isinstance(config, Config)
    return config


def compose(overrides: list[str] | None = None) -> Config:
    """The configuration that `run.py OVERRIDES...` would use."""
    register()
    GlobalHydra.instance().clear()
    with hydra.initialize_config_dir(str(config_folder()), version_base="1.3"):
        return to_config(hydra.compose("config", overrides=overrides or []))
