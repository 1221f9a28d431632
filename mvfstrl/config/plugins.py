"""Hydra's plugins that come with this package: sweepers and launchers.

Hydra instantiates only classes whose configured name lies in `hydra_plugins`, the package in which it looks
for plugins by itself. Ours live where they belong, and are registered under such a name.
"""

from __future__ import annotations

import importlib

from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins

from mvfstrl.sweep.config import SWEEPERS

PLUGINS = {
    "hydra_plugins.mvfst_rl.GridSweeper": ("mvfstrl.sweep.grid", "GridSweeper"),
    "hydra_plugins.mvfst_rl.OptunaSweeper": ("mvfstrl.sweep.optuna_sweeper", "OptunaSweeper"),
    "hydra_plugins.mvfst_rl.SlurmLauncher": ("mvfstrl.cluster.launcher", "SlurmLauncher"),
}


def register_plugins() -> None:
    for name, (module, class_name) in PLUGINS.items():
        plugin = getattr(importlib.import_module(module), class_name)
        Plugins.instance().register(plugin)
        Plugins.instance().class_name_to_class[name] = plugin
    for option, node in SWEEPERS.items():
        ConfigStore.instance().store(group="hydra/sweeper", name=option, node=node, provider="mvfst-rl")
