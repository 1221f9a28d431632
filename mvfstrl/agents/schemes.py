"""The schemes that need no training. The core names their controllers' knobs and has the defaults."""

from __future__ import annotations

from dataclasses import dataclass, field, make_dataclass
from typing import Any

from mvfstrl.agents.base import AgentConfig
from mvfstrl.native_defaults import native


@dataclass
class SchemeConfig(AgentConfig):
    controller: dict[str, Any] = field(default_factory=dict)
    """`kind` and the knobs of the native controller of that kind."""


MVFST_OWN = ("mvfst_newreno", "mvfst_cubic", "mvfst_copa", "mvfst_bbr", "mvfst_bbr2")
"""mvfst's own controllers, which run in mvfst alone and have no knobs."""


def _scheme(name: str) -> type[SchemeConfig]:
    controller = native(f"kinds.controller.{name}")
    return make_dataclass(
        f"{name.capitalize()}Config",
        [
            ("name", str, field(default=name)),
            ("controller", dict[str, Any], field(default_factory=controller)),
        ],
        bases=(SchemeConfig,),
    )


SCHEMES: dict[str, type[SchemeConfig]] = {
    name: _scheme(name)
    for name in (
        "newreno",
        "cubic",
        "fixed",
        "copa",
        "sprout",
        "bbr",
        "bbr3",
        "vivace",
        "vegas",
        "ledbat",
        "random",
        *MVFST_OWN,
    )
}
"""By name: what `agent=` and `test.schemes` offer beside the learning agents. `fixed` is a window that never
moves, `random` a uniformly random action at every decision."""
