"""The schemes that need no training. The core names their controllers' knobs and has the defaults."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from mvfstrl.agents.base import AgentConfig
from mvfstrl.native_defaults import native


@dataclass
class SchemeConfig(AgentConfig):
    controller: dict[str, Any] = field(default_factory=dict)
    """`kind` and the knobs of the native controller of that kind."""


@dataclass
class NewRenoConfig(SchemeConfig):
    name: str = "newreno"
    controller: dict[str, Any] = field(default_factory=native("kinds.controller.newreno"))


@dataclass
class CubicConfig(SchemeConfig):
    name: str = "cubic"
    controller: dict[str, Any] = field(default_factory=native("kinds.controller.cubic"))


@dataclass
class FixedConfig(SchemeConfig):
    """A window that never moves."""

    name: str = "fixed"
    controller: dict[str, Any] = field(default_factory=native("kinds.controller.fixed"))


@dataclass
class RandomConfig(SchemeConfig):
    """A uniformly random action at every decision."""

    name: str = "random"
    controller: dict[str, Any] = field(default_factory=native("kinds.controller.random"))


SCHEMES: dict[str, type[SchemeConfig]] = {
    "newreno": NewRenoConfig,
    "cubic": CubicConfig,
    "fixed": FixedConfig,
    "random": RandomConfig,
}
"""By name: what `agent=` and `test.schemes` offer beside the learning agents."""
