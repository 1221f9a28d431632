"""TensorBoard event files in the run directory: `tensorboard --logdir RUN/tensorboard`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pandas as pd
from torch.utils.tensorboard import SummaryWriter

from mvfstrl.rundir import RunDirectory


class TensorboardTracker:
    def __init__(self, run: RunDirectory, *, after: int) -> None:
        # What an interrupted start wrote beyond its last checkpoint is hidden by the resumed run.
        purge = after + 1 if after >= 0 else None
        self._writer = SummaryWriter(str(run.path / "tensorboard"), purge_step=purge)

    def log(self, metrics: Mapping[str, Any], step: int) -> None:
        for name, value in metrics.items():
            values = (
                {f"{name}/{i}": item for i, item in enumerate(value)}
                if isinstance(value, list)
                else {name: value}
            )
            for key, number in values.items():
                if isinstance(number, int | float):
                    self._writer.add_scalar(key, number, step)

    def log_figure(self, name: str, image: Path, step: int) -> None:
        pixels = np.asarray(matplotlib.image.imread(image))
        self._writer.add_image(name, pixels, step, dataformats="HWC")

    def log_table(self, name: str, table: pd.DataFrame, step: int) -> None:
        self._writer.add_text(name, f"```\n{table.to_string()}\n```", step)

    def log_artifact(self, kind: str, files: Sequence[Path], step: int) -> None:
        """TensorBoard shows none."""

    def close(self) -> None:
        self._writer.close()
