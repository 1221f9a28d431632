"""A test that was stopped goes on: which finished cells are used, and that it ends the same to the byte."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from mvfstrl.config import Config, compose
from mvfstrl.rundir import RunDirectory
from pantheon import benchmark
from pantheon.cells import CellStore, cell_key
from pantheon.evaluate import evaluate
from pantheon.schemes import schemes_of

ROOT = Path(__file__).parents[1]
CONTENT = {"rows": [{"reward": 0.1, "seed": 2**63 + 1}], "series": [{"queue_delay_ms": [1.5, float("nan")]}]}
SHORT = ["mode=test", "agent=cubic", "env=constant", "test.anchors=false", "env.episode_ms=1000"]


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def store(tmp_path: Path, said: list[str]) -> CellStore:
    return CellStore(tmp_path / "cells", said.append)


def test_a_cell_comes_back_as_it_was_saved(store: CellStore, said: list[str]) -> None:
    store.save("impala (shuffled)", "a/b", "key", CONTENT)
    assert repr(store.load("impala (shuffled)", "a/b", "key")) == repr(CONTENT)
    assert store.load("impala", "a/b", "key") is None
    assert said == []
    assert [path.name for path in store.folder.rglob("*.gz")] == ["a%2Fb.json.gz"]


def test_equal_cells_are_equal_files(store: CellStore) -> None:
    store.save("cubic", "lte", "key", CONTENT)
    store.save("newreno", "lte", "key", CONTENT)
    assert store.path("cubic", "lte").read_bytes() == store.path("newreno", "lte").read_bytes()


def _torn(path: Path) -> bytes:
    return path.read_bytes()[:-20]


def _edited(path: Path) -> bytes:
    document = json.loads(gzip.decompress(path.read_bytes()))
    document["content"]["rows"][0]["reward"] = 99.0
    return gzip.compress(json.dumps(document).encode())


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (_torn, "is torn or no cell"),
        (lambda path: b"", "is torn or no cell"),
        (lambda path: gzip.compress(b"[1, 2]"), "is no cell of a test"),
        (lambda path: gzip.compress(b'{"format": "other"}'), "is no cell of a test"),
        (_edited, "is damaged: its content does not match its digest"),
    ],
)
def test_a_file_that_cannot_be_trusted_is_named(
    store: CellStore, said: list[str], spoil: Any, reason: str
) -> None:
    store.save("cubic", "lte", "key", CONTENT)
    path = store.path("cubic", "lte")
    path.write_bytes(spoil(path))
    assert store.load("cubic", "lte", "key") is None
    (line,) = said
    assert line.startswith(f"{path} {reason}")
    assert line.endswith("played again")


def test_a_cell_of_another_configuration_is_named(store: CellStore, said: list[str]) -> None:
    store.save("cubic", "lte", "one key", CONTENT)
    assert store.load("cubic", "lte", "another") is None
    assert said == [
        f"{store.path('cubic', 'lte')} is of another configuration, policy or program: played again"
    ]


def test_the_key_follows_whatever_shapes_the_result(tmp_path: Path) -> None:
    trace = tmp_path / "a.trace"
    trace.write_text("1\n")
    config = {"scenarios": [{"uplink": {"kind": "trace", "file": str(trace)}}], "reward": {"kind": "linear"}}
    key = cell_key(config, seeds=[1])
    assert key == cell_key(json.loads(json.dumps(config)), seeds=[1])
    assert key != cell_key(config, seeds=[2])
    assert key != cell_key({**config, "reward": {"kind": "power"}}, seeds=[1])
    trace.write_text("2\n")
    assert key != cell_key(config, seeds=[1])


def config(*overrides: str) -> Config:
    return compose([*SHORT, "test.schemes=[newreno,fixed]", "test.runs=3", "test.threads=1", *overrides])


def play(cfg: Config, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """What was really played."""
    played: list[tuple[str, str]] = []
    share = benchmark._play_share

    def watched(cell: benchmark.Cell, *arguments: Any) -> dict[str, Any]:
        played.append((cell.scheme.name, cell.scenario))
        return share(cell, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(benchmark, "_play_share", watched)
        evaluate(cfg, schemes_of(cfg, RunDirectory(folder)), folder)
    return played


def test_only_what_is_missing_is_played(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    everything = [("cubic", "constant"), ("newreno", "constant"), ("fixed", "constant")]
    assert play(config(), tmp_path, monkeypatch) == everything
    whole = (tmp_path / "results.parquet").read_bytes()
    assert play(config(), tmp_path, monkeypatch) == []
    (tmp_path / "cells/newreno/constant.json.gz").unlink()
    torn = tmp_path / "cells/fixed/constant.json.gz"
    torn.write_bytes(torn.read_bytes()[:50])
    assert play(config(), tmp_path, monkeypatch) == everything[1:]
    assert (tmp_path / "results.parquet").read_bytes() == whole


def test_new_schemes_and_scenarios_leave_the_others_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    play(config(), tmp_path, monkeypatch)
    more = config("env=[poisson,constant]", "test.schemes=[random,newreno,fixed]")
    added = [("random", "constant"), *((name, "poisson") for name in ("cubic", "random", "newreno", "fixed"))]
    assert sorted(play(more, tmp_path, monkeypatch)) == sorted(added)


def test_other_episodes_are_played_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    play(config(), tmp_path, monkeypatch)
    assert len(play(config("test.seed=5"), tmp_path, monkeypatch)) == 3
    assert "cubic/constant.json.gz is of another configuration" in caplog.text


def test_a_killed_test_ends_as_one_that_was_not(tmp_path: Path) -> None:
    """kill -9 once some cells are finished, then the same command again."""
    options = [*SHORT, "env=[constant,poisson]", "test.schemes=[newreno,fixed,random,oracle]", "tracker=none"]
    options += ["test.runs=20", "env.episode_ms=10000", "test.series_runs=2"]
    command = [sys.executable, str(ROOT / "run.py"), *options]
    killed, whole = tmp_path / "killed", tmp_path / "whole"

    process = subprocess.Popen([*command, f"hydra.run.dir={killed}"], cwd=tmp_path, stdout=subprocess.DEVNULL)
    while len(list(killed.glob("cells/*/*.json.gz"))) < 3 and process.poll() is None:
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (killed / "results.parquet").exists()
    finished = {path: path.stat().st_mtime_ns for path in killed.glob("cells/*/*.json.gz")}
    assert finished

    for folder in (killed, whole):
        subprocess.run([*command, f"hydra.run.dir={folder}"], cwd=tmp_path, check=True, capture_output=True)
    assert {path: path.stat().st_mtime_ns for path in finished} == finished
    for name in ("results.parquet", "series.parquet"):
        assert (killed / name).read_bytes() == (whole / name).read_bytes()
