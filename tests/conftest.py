"""What all Python tests share: where reference data is, repeatable random tests, one thread for torch."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# Random tests draw the same cases in every run: a failure seen in CI is seen at a desk.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")

# Small networks on shared cores: more OpenMP threads would only spin. torch reads this when it is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def project_root() -> Path:
    return Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared_data(project_root: Path) -> Path:
    """The folder of reference data; a clone without it skips what needs it."""
    folder = Path(os.environ.get("MVFSTRL_SHARED", project_root.parent / "shared"))
    if not folder.is_dir():
        pytest.skip("no reference data (MVFSTRL_SHARED)")
    return folder


@pytest.fixture(scope="session")
def small_study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep's folder with four finished runs; whoever changes something in it works on a copy."""
    from tests import small_study

    return small_study.train(tmp_path_factory.mktemp("study") / "sweep")
