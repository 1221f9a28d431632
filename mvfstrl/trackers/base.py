"""What a tracker is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import pandas as pd


class Tracker(Protocol):
    """A place that shows a run's metrics. Steps count decisions and never fall within a run."""

    def log(self, metrics: Mapping[str, Any], step: int) -> None:
        """Numbers by name; slashes group them (`learner/entropy`)."""

    def log_figure(self, name: str, image: Path, step: int) -> None:
        """A picture file, which the caller leaves in place."""

    def log_table(self, name: str, table: pd.DataFrame, step: int) -> None: ...

    def close(self) -> None:
        """No call follows."""
