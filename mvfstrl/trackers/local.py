"""The run directory's own record: metrics.jsonl as the run goes on, metrics.parquet at its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from mvfstrl.metrics import MetricsLog


class LocalTracker:
    def __init__(self, log: MetricsLog) -> None:
        self._log = log

    def log(self, metrics: Mapping[str, Any], step: int) -> None:
        self._log.append(metrics, step)

    def log_figure(self, name: str, image: Path, step: int) -> None:
        """Figures lie in the run directory already."""

    def log_table(self, name: str, table: pd.DataFrame, step: int) -> None:
        """So do tables."""

    def log_artifact(self, kind: str, files: Sequence[Path], step: int) -> None:
        """Artifacts too."""

    def close(self) -> None:
        self._log.to_parquet()
        self._log.close()
