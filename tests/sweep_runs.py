"""Sweeps whose runs are played by a function of the test, in this process: quick, and through run.py."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hydra.core.global_hydra import GlobalHydra

import run as entry
from mvfstrl.config import Config, Mode
from mvfstrl.outcome import State, read_outcome
from mvfstrl.rundir import RunDirectory

Play = Callable[[Config, RunDirectory], None]


def state_of(folder: Path) -> State | None:
    outcome = read_outcome(folder)
    return None if outcome is None else outcome.state


class FakeSweep:
    """`sweep("seed=1,2")` is `run.py -m seed=1,2` in a folder of its own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self._monkeypatch = monkeypatch
        self.folder = folder
        self.played: list[Config] = []
        self.play: Play = lambda cfg, run: run.scores.update(reward=float(cfg.seed))
        module = types.ModuleType("fake_modes")
        module.play = self._play  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "fake_modes", module)
        monkeypatch.setattr(entry, "MODES", dict.fromkeys(Mode, ("fake_modes", "play")))

    def _play(self, cfg: Config, run: RunDirectory) -> None:
        self.played.append(cfg)
        self.play(cfg, run)

    def __call__(self, *arguments: str) -> list[Config]:
        """What this call has started."""
        self.played = []
        fixed = ["mode=test", "agent=fixed", "tracker=none", f"hydra.sweep.dir={self.folder}"]
        self._monkeypatch.setattr(sys, "argv", ["run.py", "-m", *fixed, *arguments])
        GlobalHydra.instance().clear()
        entry.main()
        return self.played

    def fails(self, status: int, *arguments: str) -> list[Config]:
        with pytest.raises(SystemExit) as ended:
            self(*arguments)
        assert ended.value.code == status
        return self.played


@pytest.fixture
def sweep(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    monkeypatch.chdir(tmp_path)
    return FakeSweep(monkeypatch, tmp_path / "sweep")
