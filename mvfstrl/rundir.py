"""The run directory: what a run leaves behind and what a later command reads.

config.yaml      the resolved configuration (that of an earlier start is kept as config-1.yaml, ...)
versions.json    Python, packages, native core, git revision; never the environment
metrics.jsonl    one JSON object a row, each with its `step`; metrics.parquet is written from it at the end
checkpoints/     see mvfstrl.checkpoint
outcome.json     how the run stands, written by run.py: see mvfstrl.outcome
"""

from __future__ import annotations

import json
import platform
import signal
import subprocess
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol

from omegaconf import DictConfig, OmegaConf

from mvfstrl.files import write_whole
from mvfstrl.metrics import MetricsLog

PACKAGES = (
    "mvfst-rl",
    "torch",
    "numpy",
    "gymnasium",
    "hydra-core",
    "omegaconf",
    "pandas",
    "pyarrow",
    "wandb",
)


class Pruner(Protocol):
    value: float | None

    def __call__(self, metrics: Mapping[str, Any], step: int) -> bool: ...


class RunDirectory:
    """Paths and records of one run. Making one creates the folder, and nothing in it."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.path.mkdir(parents=True, exist_ok=True)
        self.interrupted = False
        """Set by whoever was asked to stop before the end: nothing further is to be started."""
        self.signals: set[signal.Signals] = set()
        """By which it was asked."""
        self.pruner: Pruner | None = None
        """Asked at each row of metrics whether the run is to be given up."""
        self.pruned: float | None = None
        """The newest value that the pruner compared, where it gave the run up: nothing further is started."""
        self.scores: dict[str, float] = {}
        """By name, what the run's modes found out: `objective` picks from these."""

    def prune(self, metrics: Mapping[str, Any], step: int) -> bool:
        """Whether the run is to be given up."""
        if self.pruner is not None and self.pruner(metrics, step):
            self.pruned = self.pruner.value
        return self.pruned is not None

    def discard(self) -> None:
        """Takes the folder away if it holds nothing but an empty log, and the empty ones above."""
        log = self.path / "run.log"
        if log.is_file() and log.stat().st_size == 0:
            log.unlink()
        for folder in (self.path, *list(self.path.parents)[:2]):
            if any(folder.iterdir()):
                break
            folder.rmdir()

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def config(self) -> Path:
        return self.path / "config.yaml"

    def metrics(self, *, after: int | None = None) -> MetricsLog:
        """The metrics log, open at its end. `after`: the step that the run resumes from (-1: a fresh start);
        later rows are dropped, because the run will write them again. None keeps all."""
        return MetricsLog(self.path / "metrics.jsonl", after=after)

    def record(self, composed: DictConfig) -> None:
        """Writes config.yaml and versions.json; an earlier start's files are kept under numbered names."""
        _write(self.config, OmegaConf.to_yaml(composed, resolve=True))
        _write(self.path / "versions.json", json.dumps(versions(), indent=2) + "\n")


def versions() -> dict[str, Any]:
    """What ran: enough to rebuild the installation, nothing about the machine's user or environment."""
    return {
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "packages": {name: _package_version(name) for name in PACKAGES},
        "git": git_state(Path(__file__).parent),
    }


def git_state(folder: Path) -> dict[str, Any] | None:
    """Revision of the checkout that holds `folder`, and whether it has changes; None outside a checkout."""
    try:
        revision = _git(folder, "rev-parse", "HEAD")
        changes = _git(folder, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return None
    return {"revision": revision.strip(), "dirty": bool(changes.strip())}


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout


def _package_version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _write(path: Path, text: str) -> None:
    """Atomic: a reader sees the old file or the new one. An old one that differs is kept as NAME-1, -2...."""
    if path.exists():
        if path.read_text() == text:
            return
        number = 1
        while (kept := path.with_stem(f"{path.stem}-{number}")).exists():
            number += 1
        path.rename(kept)
    write_whole(path, text)
