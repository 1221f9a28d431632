"""What every agent's configuration has in common."""

from __future__ import annotations

from dataclasses import dataclass

from omegaconf import MISSING


@dataclass
class AgentConfig:
    """A scheme that drives the observed flow: a learning agent or a classic controller."""

    name: str = MISSING
