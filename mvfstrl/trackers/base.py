"""What a tracker is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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

    def log_artifact(self, kind: str, files: Sequence[Path], step: int) -> None:
        """What the run made by then, to be kept: `kind` is checkpoint or policy. The files stay in place."""

    def close(self) -> None:
        """No call follows."""


def newest_checkpoint(folder: Path) -> tuple[Path, int] | None:
    """With its step."""
    from mvfstrl.checkpoint import checkpoints_in  # and PyTorch, which reading finished runs does without

    kept = checkpoints_in(folder)
    return (kept[-1], int(kept[-1].stem.removeprefix("step_"))) if kept else None
