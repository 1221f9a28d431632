"""The schemes that need no training. Each class names its controller's knobs; the core holds their defaults."""

from __future__ import annotations

from dataclasses import dataclass

from mvfstrl.agents.base import AgentConfig


@dataclass
class NewRenoConfig(AgentConfig):
    name: str = "newreno"


@dataclass
class CubicConfig(AgentConfig):
    name: str = "cubic"


@dataclass
class FixedConfig(AgentConfig):
    """A window that never moves."""

    name: str = "fixed"
    window_packets: float = 50.0


@dataclass
class RandomConfig(AgentConfig):
    """A uniformly random action at every decision."""

    name: str = "random"
