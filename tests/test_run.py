"""run.py as a user meets it: modes, refusals, run directories."""

from __future__ import annotations

import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra.core.global_hydra import GlobalHydra

import run as entry
from mvfstrl.config import Config, Mode
from mvfstrl.errors import MvfstrlError
from mvfstrl.rundir import RunDirectory

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Runs the entry point in this process with the modes' functions replaced; gives back their calls."""
    calls: list[tuple[str, Config, RunDirectory]] = []
    module = types.ModuleType("fake_modes")
    for mode in Mode:

        def function(cfg: Config, run: RunDirectory, name: str = mode.value) -> float:
            calls.append((name, cfg, run))
            return 4.5

        setattr(module, mode.value, function)
    monkeypatch.setitem(sys.modules, "fake_modes", module)
    monkeypatch.setattr(entry, "MODES", {mode: ("fake_modes", mode.value) for mode in Mode})
    monkeypatch.chdir(tmp_path)

    def go(*arguments: str) -> list[tuple[str, Config, RunDirectory]]:
        monkeypatch.setattr(sys, "argv", ["run.py", *arguments])
        GlobalHydra.instance().clear()
        entry.main()
        return calls

    return go


def command(*arguments: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """A real process, as from a shell."""
    import os

    return subprocess.run(
        [sys.executable, str(ROOT / "run.py"), *arguments],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize(
    ("arguments", "mode"),
    [
        (("test_after_train=false",), "train"),
        (("mode=test", "agent=cubic"), "test"),
        (("mode=trace", "checkpoint=."), "trace"),
    ],
)
def test_the_mode_picks_the_function(start: Any, arguments: tuple[str, ...], mode: str) -> None:
    (name, cfg, run) = start("hydra.run.dir=here", *arguments)[0]
    assert name == mode == cfg.mode
    assert run.path.name == "here"


def test_training_ends_with_an_export_and_a_test(start: Any) -> None:
    assert [name for name, _, _ in start("hydra.run.dir=here")] == ["train", "trace", "test"]


def test_an_interrupted_training_ends_without(start: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(cfg: Config, run: RunDirectory) -> float:
        run.interrupted = True
        return 1.0

    monkeypatch.setattr(sys.modules["fake_modes"], "train", interrupted, raising=False)
    assert start("hydra.run.dir=here") == []


def test_modes_name_functions_that_exist() -> None:
    import importlib

    for module, function in entry.MODES.values():
        assert callable(getattr(importlib.import_module(module), function))


def test_the_run_directory_is_named_after_agent_and_scenarios(start: Any, tmp_path: Path) -> None:
    start("env=[lte,umts]")
    (made,) = tmp_path.glob("outputs/*/*")
    assert made.name.endswith("-impala-lte+umts")


def test_the_run_directory_holds_the_resolved_configuration(start: Any, tmp_path: Path) -> None:
    start("env=trace", f"env.uplink={trace_file(tmp_path)}", "hydra.run.dir=here", "seed=7")
    config = yaml.safe_load((tmp_path / "here/config.yaml").read_text())
    assert config["seed"] == 7
    assert config["mode"] == "train"
    assert config["env"]["scenarios"]["trace"]["uplink"]["file"] == str(tmp_path / "a.up")
    assert (tmp_path / "here/versions.json").exists()


def test_a_used_run_directory_is_used_again(start: Any, tmp_path: Path) -> None:
    start("hydra.run.dir=here", "seed=1")
    (tmp_path / "here/checkpoints").mkdir()
    _, run = start("hydra.run.dir=here", "seed=1")[-1][1:]
    assert run.checkpoints.is_dir()
    assert not (tmp_path / "here/config-1.yaml").exists()


def test_a_changed_configuration_keeps_the_old_one(start: Any, tmp_path: Path) -> None:
    for seed in (1, 2, 3):
        start("hydra.run.dir=here", f"seed={seed}")
    seeds = [
        yaml.safe_load((tmp_path / f"here/{n}.yaml").read_text())["seed"]
        for n in ("config", "config-1", "config-2")
    ]
    assert seeds == [3, 1, 2]


def test_sweeps_get_the_objective_and_the_exception(
    start: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = start("-m", "seed=1,2", "hydra.sweep.dir=sweep", "test_after_train=false")
    assert [cfg.seed for name, cfg, _ in calls if name == "train"] == [1, 2]

    def refuse(cfg: Config, run: RunDirectory) -> float:
        raise MvfstrlError("seed: unlucky")

    monkeypatch.setattr(sys.modules["fake_modes"], "train", refuse, raising=False)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    with pytest.raises(MvfstrlError, match="unlucky"):
        start("-m", "seed=1,2", "hydra/sweeper=basic", "hydra.sweep.dir=other")


def test_our_errors_are_one_line_and_exit_2(tmp_path: Path) -> None:
    ended = command("env=trace", "env.uplink=nowhere.up", folder=tmp_path)
    assert ended.returncode == 2
    assert ended.stderr == "error: env.uplink: no such trace file: nowhere.up\n"


def test_full_errors_on_request(tmp_path: Path) -> None:
    ended = command("env=trace", "env.uplink=nowhere.up", folder=tmp_path, HYDRA_FULL_ERROR="1")
    assert ended.returncode == 1
    assert "Traceback" in ended.stderr


def test_unknown_names_get_hydras_error_and_a_hint(tmp_path: Path) -> None:
    ended = command("env=ltee", folder=tmp_path)
    assert ended.returncode == 1
    assert "Could not find 'env/ltee'" in ended.stderr
    assert ended.stderr.splitlines()[-1] == "Did you mean env=lte?"


def test_help_explains_modes_groups_and_knobs(tmp_path: Path) -> None:
    ended = command("--help", folder=tmp_path)
    assert ended.returncode == 0
    for word in ("mode=train", "mode=test", "mode=trace", "experiment", "total_steps", "Examples"):
        assert word in ended.stdout


def trace_file(folder: Path) -> Path:
    file = folder / "a.up"
    file.write_text("1\n2\n")
    return file
