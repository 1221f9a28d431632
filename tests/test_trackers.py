"""Trackers: none of them may hold up or fail a run."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from mvfstrl.config import compose
from mvfstrl.metrics import read_metrics
from mvfstrl.rundir import RunDirectory
from mvfstrl.trackers import open_tracker, show_comparison
from mvfstrl.trackers.background import BackgroundTracker
from tests.tracked_run import picture, run

__all__ = ["picture", "run"]  # the fixtures

# --- local ---


def test_the_run_directory_always_has_the_metrics(run: RunDirectory) -> None:
    with open_tracker(compose(["tracker=none"]), run) as tracker:
        tracker.log({"reward": 1.0}, 10)
        tracker.log({"reward": 2.0}, 20)
    assert [row["step"] for row in read_metrics(run.path / "metrics.jsonl")] == [10, 20]
    assert pd.read_parquet(run.path / "metrics.parquet")["reward"].tolist() == [1.0, 2.0]


def test_a_resumed_tracker_drops_what_lies_beyond_the_checkpoint(run: RunDirectory) -> None:
    for steps, after in (([10, 20, 30], -1), ([30, 40], 20)):
        with open_tracker(compose(["tracker=none"]), run, after=after) as tracker:
            for step in steps:
                tracker.log({"reward": 1.0}, step)
    assert [row["step"] for row in read_metrics(run.path / "metrics.jsonl")] == [10, 20, 30, 40]


# --- background ---


class Recorder:
    def __init__(self, *, fail_at: int | None = None, hang: threading.Event | None = None) -> None:
        self.rows: list[tuple[int, dict[str, Any]]] = []
        self.closed = False
        self._fail_at = fail_at
        self._hang = hang

    def log(self, metrics: Mapping[str, Any], step: int) -> None:
        if self._hang is not None:
            self._hang.wait()
        if step == self._fail_at:
            raise OSError("disk on fire\nand more")
        self.rows.append((step, dict(metrics)))

    def log_figure(self, name: str, image: Path, step: int) -> None: ...

    def log_table(self, name: str, table: pd.DataFrame, step: int) -> None: ...

    def log_artifact(self, kind: str, files: Sequence[Path], step: int) -> None: ...

    def close(self) -> None:
        self.closed = True


def test_calls_arrive_in_order_and_as_they_were() -> None:
    recorder = Recorder()
    tracker = BackgroundTracker("recorder", lambda: recorder)
    metrics: dict[str, Any] = {"a": 1}
    for step in range(3):
        metrics["a"] = step
        tracker.log(metrics, step)
    tracker.close()
    assert recorder.rows == [(0, {"a": 0}), (1, {"a": 1}), (2, {"a": 2})]
    assert recorder.closed


def test_a_broken_tracker_is_told_once_and_the_run_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    recorder = Recorder(fail_at=1)
    tracker = BackgroundTracker("recorder", lambda: recorder)
    for step in range(5):
        tracker.log({"a": step}, step)
        time.sleep(0.01)
    tracker.close()
    warnings = [record.getMessage() for record in caplog.records]
    assert warnings == ["tracker recorder stopped: disk on fire; metrics are still in the run directory"]


def test_a_hanging_tracker_holds_up_neither_the_run_nor_its_end(caplog: pytest.LogCaptureFixture) -> None:
    released = threading.Event()
    tracker = BackgroundTracker("slow", lambda: Recorder(hang=released), capacity=5, close_timeout_s=0.2)
    started = time.monotonic()
    for step in range(1000):
        tracker.log({"a": step}, step)
    tracker.close()
    assert time.monotonic() - started < 2.0
    released.set()
    assert any("left behind" in record.getMessage() for record in caplog.records)
    assert any("dropped" in record.getMessage() for record in caplog.records)


# --- tensorboard ---


def test_tensorboard_writes_events(run: RunDirectory) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with open_tracker(compose(["tracker=tensorboard"]), run) as tracker:
        tracker.log({"reward": 1.5, "actions": [0.25, 0.75]}, 10)
    events = EventAccumulator(str(run.path / "tensorboard"))
    events.Reload()
    assert [(event.step, event.value) for event in events.Scalars("reward")] == [(10, 1.5)]
    assert [event.value for event in events.Scalars("actions/1")] == [0.75]


def test_tensorboard_hides_what_lies_beyond_the_checkpoint_that_a_run_resumes_from(run: RunDirectory) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for steps, after in (([10, 20, 30], -1), ([40], 20)):
        with open_tracker(compose(["tracker=tensorboard"]), run, after=after) as tracker:
            for step in steps:
                tracker.log({"episodes": step, "note": "no figure"}, step)
    events = EventAccumulator(str(run.path / "tensorboard"))
    events.Reload()
    assert [event.step for event in events.Scalars("episodes")] == [10, 20, 40]


def test_tensorboard_shows_a_comparison(run: RunDirectory, picture: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    cfg = compose(["tracker=tensorboard", "total_steps=640"])
    show_comparison(cfg, run, pd.DataFrame({"scheme": ["cubic"]}), picture)
    events = EventAccumulator(str(run.path / "tensorboard"))
    events.Reload()
    assert events.Tags()["images"] == ["test/throughput_and_delay"]
    assert events.Tags()["tensors"] == ["test/comparison/text_summary"]
    shown = [*events.Images("test/throughput_and_delay"), *events.Tensors("test/comparison/text_summary")]
    assert [event.step for event in shown] == [640, 640]  # at the training's end
