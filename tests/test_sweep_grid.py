"""hydra/sweeper=grid, the default: what is launched, what is not, and what is said at the end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from mvfstrl.config import Config
from mvfstrl.errors import ConfigError
from mvfstrl.outcome import read_outcome
from mvfstrl.rundir import RunDirectory
from mvfstrl.sweep.grid import GridSweeper
from mvfstrl.sweep.record import SweepError, number_of, read_record
from tests.sweep_runs import FakeSweep, state_of, sweep

__all__ = ["sweep"]  # the fixture

ROOT = Path(__file__).resolve().parents[1]


def seeds(played: list[Config]) -> list[int]:
    return [cfg.seed for cfg in played]


def test_every_combination_is_a_run_with_its_objective(sweep: FakeSweep) -> None:
    assert [(cfg.seed, cfg.test.runs) for cfg in sweep("seed=1,2", "test.runs=3,4")] == [
        (1, 3),
        (1, 4),
        (2, 3),
        (2, 4),
    ]
    outcomes = [read_outcome(sweep.folder / str(number)) for number in range(4)]
    assert [outcome.objective for outcome in outcomes if outcome] == [1.0, 1.0, 2.0, 2.0]
    assert [outcome.sweep["number"] for outcome in outcomes if outcome] == [0, 1, 2, 3]


def test_the_record_names_runs_folders_and_command(sweep: FakeSweep) -> None:
    sweep("seed=1,2")
    content = json.loads((sweep.folder / "sweep.json").read_text())
    assert (content["sweeper"], content["launcher"]) == ("grid", "basic")
    assert content["command"][:2] == ["run.py", "-m"]
    assert [(run["number"], run["folder"]) for run in content["runs"]] == [(0, "0"), (1, "1")]
    assert "seed=2" in content["runs"][1]["overrides"]
    assert not any("hydra.sweep" in override for run in content["runs"] for override in run["overrides"])


def test_what_only_slurm_can_do_is_refused_before_anything_is_written(sweep: FakeSweep, capfd: Any) -> None:
    assert sweep.fails(2, "cluster.detach=true", "seed=1,2") == []
    assert "error: cluster.detach: only SLURM's jobs can be left alone" in capfd.readouterr().err
    assert not sweep.folder.exists()


def test_a_failed_run_stops_nothing_and_is_listed(sweep: FakeSweep, capfd: Any) -> None:
    def play(cfg: Config, run: RunDirectory) -> None:
        if cfg.seed == 2:
            raise ConfigError("seed: unlucky")

    sweep.play = play
    assert seeds(sweep.fails(1, "seed=1,2,3")) == [1, 2, 3]
    told = capfd.readouterr().err
    assert "1 of 3 runs failed:\n  #1 seed=2: ConfigError: seed: unlucky\n" in told
    assert f"{sweep.folder}/1/outcome.json" in told
    assert state_of(sweep.folder / "1") == "failed"


def test_a_second_start_leaves_finished_runs_out(sweep: FakeSweep) -> None:
    def unlucky(cfg: Config, run: RunDirectory) -> None:
        if cfg.seed == 2:
            raise ConfigError("seed: unlucky")

    usual, sweep.play = sweep.play, unlucky
    sweep.fails(1, "seed=1,2,3")
    sweep.play = usual
    assert seeds(sweep("seed=1,2,3")) == [2]
    assert sweep("seed=1,2,3") == []


def test_a_grid_that_grew_keeps_the_numbers_of_its_runs(sweep: FakeSweep) -> None:
    sweep("seed=5,6")
    assert seeds(sweep("seed=4,5,6,7")) == [4, 7]
    record = read_record(sweep.folder)
    assert record is not None
    found = {run.number: next(word for word in run.overrides if "seed" in word) for run in record.runs}
    assert found == {0: "seed=5", 1: "seed=6", 2: "seed=4", 3: "seed=7"}
    outcome = read_outcome(sweep.folder / "3")
    assert outcome is not None
    assert (outcome.objective, outcome.sweep["number"]) == (7.0, 3)


def test_the_command_line_goes_before_the_sweep_file(sweep: FakeSweep) -> None:
    file = "+hydra.sweeper.params.seed='5,6'"
    assert seeds(sweep(file)) == [5, 6]
    assert seeds(sweep(file, "seed=1")) == [1]


def test_a_batch_is_launched_when_the_one_before_has_ended(
    sweep: FakeSweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    launched: list[int] = []
    play = GridSweeper.play
    monkeypatch.setattr(
        GridSweeper, "play", lambda self, jobs, shown: launched.append(len(jobs)) or play(self, jobs, shown)
    )
    assert seeds(sweep("seed=1,2,3", "hydra.sweeper.max_batch_size=2")) == [1, 2, 3]
    assert launched == [2, 1]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("test.runz=1,2",), ("Could not override 'test.runz'", "Did you mean test.runs=1")),
        (("test.runs=1,0",), ("error: test.runs: must be at least 1, got 0", "test.runs=0")),
        (("test.runs=1,many",), ("test.runs=many", "Value 'many' of type 'str' could not be converted")),
        (("env=lte,ltee",), ("Could not find 'env/ltee'", "Did you mean env=lte")),
        (("seed=1,-1",), ("error: seed: must be", "seed=-1")),
        (("seed=interval(1,3)",), ("error: seed: a grid needs values to list", "hydra/sweeper=optuna")),
        (("seed=1,2", "hydra.sweeper.max_batch_size=0"), ("error: hydra.sweeper.max_batch_size: must",)),
    ],
)
def test_what_cannot_run_is_refused_before_anything_is_launched(
    sweep: FakeSweep, capfd: Any, words: tuple[str, ...], told: tuple[str, ...]
) -> None:
    assert sweep.fails(2, *words) == []
    assert not sweep.folder.exists()
    error = capfd.readouterr().err
    for part in told:
        assert part in error


def test_ctrl_c_ends_the_sweep_and_the_next_start_goes_on(sweep: FakeSweep, capfd: Any) -> None:
    def interrupted(cfg: Config, run: RunDirectory) -> None:
        if cfg.seed == 2:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(5)

    usual, sweep.play = sweep.play, interrupted
    assert seeds(sweep.fails(130, "seed=1,2,3")) == [1, 2]
    assert f"hydra.sweep.dir={sweep.folder} goes on" in capfd.readouterr().err
    assert state_of(sweep.folder / "1") == "interrupted"
    sweep.play = usual
    assert seeds(sweep("seed=1,2,3")) == [2, 3]


def test_the_stop_file_reaches_a_run_wherever_it_is(sweep: FakeSweep) -> None:
    def stopped(cfg: Config, run: RunDirectory) -> None:
        (sweep.folder / ".stop").touch()
        time.sleep(20)

    sweep.play = stopped
    started = time.monotonic()
    assert seeds(sweep.fails(130, "seed=1,2")) == [1]
    assert time.monotonic() - started < 15
    assert not (sweep.folder / ".stop").exists()


def test_a_foreign_record_is_refused(sweep: FakeSweep, capfd: Any) -> None:
    sweep.folder.mkdir()
    (sweep.folder / "sweep.json").write_text('{"runs": 3}')
    assert sweep.fails(2, "seed=1,2") == []
    assert "sweep.json: not the record of a sweep" in capfd.readouterr().err
    with pytest.raises(SweepError):
        number_of(sweep.folder, "0")


def test_real_runs_side_by_side_one_of_which_fails(tmp_path: Path) -> None:
    """Two worker processes; the second run cannot write its results. The next start mends it alone."""
    (tmp_path / "1" / "results.parquet").mkdir(parents=True)
    command = [sys.executable, "run.py", "-m", "mode=test", "agent=fixed", "seed=1,2,3", "tracker=none"]
    command += ["test.schemes=[cubic]", "test.anchors=false", "test.report=false", "test.runs=1"]
    command += ["env=constant", "env.episode_ms=500", "actors.threads=3", f"hydra.sweep.dir={tmp_path}"]

    def start(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*command, *words], cwd=ROOT, capture_output=True, text=True, check=False)

    first = start("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    assert first.returncode == 1, first.stderr
    assert [state_of(tmp_path / str(number)) for number in range(3)] == ["finished", "failed", "finished"]
    assert "#1 seed=2: IsADirectoryError: " in first.stderr
    config = yaml.safe_load((tmp_path / "0" / "config.yaml").read_text())
    cores = len(os.sched_getaffinity(0))
    assert config["test"]["threads"] == max(1, cores // 2)
    assert config["actors"]["threads"] == 3  # as the command line says
    assert "impala" not in first.stdout  # what the runs print is in their folders
    assert "fixed" in (tmp_path / "0" / "console.log").read_text()

    (tmp_path / "1" / "results.parquet").rmdir()
    second = start()
    assert second.returncode == 0, second.stderr
    assert "2 of 3 runs are finished already" in second.stderr
    outcomes = [read_outcome(tmp_path / str(number)) for number in range(3)]
    assert [outcome.starts for outcome in outcomes if outcome] == [1, 2, 1]
    assert all(outcome is not None and outcome.objective is not None for outcome in outcomes)
