"""Knobs of the sweepers: Hydra's group `hydra/sweeper`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class GridConfig:
    """Every combination of the listed values."""

    _target_: str = "hydra_plugins.mvfst_rl.GridSweeper"
    params: dict[str, Any] = field(default_factory=dict)
    """Values by key, as on the command line; what that says of a key goes before."""
    max_batch_size: int | None = None
    """So many runs are handed to the launcher at a time; the next ones when all of these have ended. null:
    all at once."""


SWEEPERS: dict[str, type] = {"grid": GridConfig}
