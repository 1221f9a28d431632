"""What a run leaves behind: versions, metrics, clean endings."""

from __future__ import annotations

import json
import os
import signal
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from omegaconf import OmegaConf

from mvfstrl.metrics import MetricsLog, read_metrics
from mvfstrl.rundir import RunDirectory, git_state
from mvfstrl.stopping import StopRequest


@pytest.fixture
def log_file(tmp_path: Path) -> Path:
    return tmp_path / "metrics.jsonl"


def write(log_file: Path, steps: list[int], after: int | None = None) -> None:
    with MetricsLog(log_file, after=after) as log:
        for step in steps:
            log.append({"reward": step / 2}, step)


def steps_in(log_file: Path) -> list[int]:
    return [row["step"] for row in read_metrics(log_file)]


# --- records ---


def test_versions_tell_what_ran_and_nothing_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_SECRET_KEY", "hush-hush")
    run = RunDirectory(tmp_path / "run")
    run.record(OmegaConf.create({"seed": 1}))
    versions = json.loads((run.path / "versions.json").read_text())
    assert versions["packages"]["torch"] == torch.__version__
    assert versions["git"] is None or len(versions["git"]["revision"]) == 40
    everything = "".join(file.read_text() for file in run.path.rglob("*") if file.is_file())
    assert "hush-hush" not in everything
    assert os.environ["PATH"] not in everything


def test_git_state_outside_a_checkout(tmp_path: Path) -> None:
    assert git_state(tmp_path) is None


# --- metrics ---


def test_rows_are_on_their_way_at_once(log_file: Path) -> None:
    log = MetricsLog(log_file)
    log.append({"reward": 1.5}, 10)
    assert log_file.read_text() == '{"step": 10, "reward": 1.5}\n'
    log.close()


def test_values_of_numpy_and_torch_and_what_json_cannot_say(log_file: Path) -> None:
    with MetricsLog(log_file) as log:
        log.append(
            {"a": np.float32(0.5), "b": torch.tensor([1, 2]), "c": float("nan"), "d": [0.5, float("inf")]}, 1
        )
    assert list(read_metrics(log_file)) == [{"step": 1, "a": 0.5, "b": [1, 2], "c": None, "d": [0.5, None]}]


def test_a_resumed_run_continues_without_duplicates(log_file: Path) -> None:
    write(log_file, [10, 20, 30, 40])
    write(log_file, [30, 40, 50], after=20)
    assert steps_in(log_file) == [10, 20, 30, 40, 50]


def test_a_fresh_start_begins_a_fresh_log(log_file: Path) -> None:
    write(log_file, [0, 10])
    write(log_file, [0], after=-1)
    assert steps_in(log_file) == [0]


def test_reopening_keeps_all_rows(log_file: Path) -> None:
    write(log_file, [10, 20])
    write(log_file, [30])
    assert steps_in(log_file) == [10, 20, 30]


def test_a_row_cut_short_by_a_crash_is_dropped(log_file: Path) -> None:
    write(log_file, [10])
    with log_file.open("a") as file:
        file.write('{"step": 20, "rew')
    assert steps_in(log_file) == [10]
    write(log_file, [20], after=10)
    assert steps_in(log_file) == [10, 20]


def test_parquet_holds_all_rows_and_the_union_of_columns(log_file: Path) -> None:
    with MetricsLog(log_file) as log:
        log.append({"a": 1.0}, 1)
        log.append({"b": 2.0}, 2)
        table = pd.read_parquet(log.to_parquet())
    assert list(table.columns) == ["step", "a", "b"]
    assert table["step"].tolist() == [1, 2]
    assert table["b"].isna().tolist() == [True, False]


# --- stopping ---


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR2])
def test_a_signal_only_asks(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with StopRequest() as stop:
        assert not stop.requested
        signal.raise_signal(number)
        assert stop.requested
        assert stop.signals == {number}
    assert signal.getsignal(number) is before


def test_a_second_interrupt_stops_at_once() -> None:
    with StopRequest() as stop:
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        assert stop.requested


def test_an_interrupt_after_a_termination_stops_at_once() -> None:
    with StopRequest():
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)  # schedulers repeat themselves: no reason to lose the checkpoint
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_outside_the_main_thread_signals_stay_as_they_are() -> None:
    before = signal.getsignal(signal.SIGINT)
    seen = []

    def work() -> None:
        with StopRequest() as stop:
            seen.append(signal.getsignal(signal.SIGINT) is before)
            stop.request()
            seen.append(stop.wait(0.1))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [True, True]
