"""What the trackers' tests track: a run's folder, and a figure."""

from __future__ import annotations

from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

from mvfstrl.rundir import RunDirectory


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return RunDirectory(tmp_path / "run")


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    file = tmp_path / "comparison.png"
    matplotlib.image.imsave(file, np.full((4, 4, 3), 0.5))
    return file
