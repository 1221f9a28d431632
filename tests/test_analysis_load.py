"""analysis.load: whatever there is of any number of runs, in frames of a checked form."""

from __future__ import annotations

import io
import json
import resource
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis.load import Study, StudyError, check, load, main
from analysis.local import flat_yaml, flatten
from analysis.study import last_attempt_wins
from mvfstrl.config import compose
from mvfstrl.outcome import State
from mvfstrl.rundir import RunDirectory
from mvfstrl.trackers import open_tracker, show_comparison
from mvfstrl.trackers.wandb_files import WandbFile, files_below, read_file
from tests.report_data import results_of
from tests.study_data import METRICS, write_run, write_sweep


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    write_run(tmp_path / "lab" / "0", ["agent.loss.discount=0.5"], number=0)
    write_run(tmp_path / "lab" / "1", ["agent.loss.discount=0.9", "seed=7"], number=1)
    (tmp_path / "lab" / "multirun.yaml").touch()
    return tmp_path / "lab"


def what(study: Study) -> str:
    return "\n".join(f"{Path(row.folder).name}: {row.what}" for row in study.problems.itertuples())


def test_a_sweep_is_a_row_a_run_with_its_dotted_configuration(sweep: Path) -> None:
    study = load(sweep, series=True)
    runs = study.runs.set_index("run")
    assert list(runs.index) == ["lab/0", "lab/1"]
    assert list(runs["agent.loss.discount"]) == [0.5, 0.9]
    assert list(runs["seed"]) == [0, 7]
    assert list(runs["sweep"]) == ["lab", "lab"]
    assert list(runs["number"]) == [0, 1]
    assert list(runs["state"]) == ["finished", "finished"]
    assert list(runs["scenarios"]) == ["lte", "lte"]
    assert list(runs["wall_s"]) == [90.0, 90.0]
    assert list(runs["objective"]) == list(runs["score.reward"]) == [0.5, 0.5]
    assert list(runs["steps"]) == [5000, 5000]
    assert runs["overrides"]["lab/1"] == "agent.loss.discount=0.9 seed=7"
    assert runs["config.objective"]["lab/0"] == '["reward"]', "a fact's name is not taken by a key"
    assert runs["actions.choices"]["lab/0"] == '["0", "/2", "-10", "+10", "*2"]'
    assert {str(kind) for kind in study.runs[study.config_columns].dtypes} == {
        *("boolean", "Int64", "float64", "string")
    }
    assert study.varied() == ["agent.loss.discount"]
    assert study.problems.empty


def test_metrics_results_and_series_are_those_of_the_files(sweep: Path) -> None:
    study = load(sweep, series=True)
    mine = study.metrics[study.metrics["run"] == "lab/1"].drop(columns="run").reset_index(drop=True)
    file = pd.read_parquet(sweep / "1" / "metrics.parquet").astype({"episodes": "float64"})
    pd.testing.assert_frame_equal(mine, file)
    own = study.results[study.results["run"] == "lab/0"]
    np.testing.assert_array_equal(own["reward"], results_of(sweep / "0")["reward"])
    assert len(study.series) == 2 * len(pd.read_parquet(sweep / "0" / "series.parquet"))
    told = study.labelled(study.results, ["agent.loss.discount", "seed"])
    assert set(zip(told["run"], told["agent.loss.discount"], told["run.seed"], strict=True)) == {
        ("lab/0", 0.5, 0),
        ("lab/1", 0.9, 7),
    }


def test_frames_that_are_not_asked_for_are_empty_and_of_the_same_form(sweep: Path) -> None:
    study = load(sweep, metrics=False, results=False)
    assert len(study.runs) == 2
    assert study.problems.empty, "what is not asked for is not missing"
    assert study.metrics.empty
    assert study.results.empty
    assert list(study.results.columns) == list(load(sweep).results.columns)


def test_several_paths_patterns_and_single_runs(sweep: Path, tmp_path: Path) -> None:
    write_run(tmp_path / "alone")
    assert list(load([sweep, tmp_path / "alone"]).runs["run"]) == ["lab/0", "lab/1", "alone"]
    assert list(load(str(tmp_path / "*b" / "1")).runs["run"]) == ["1"]
    assert list(load([sweep, sweep / "1"]).runs["run"].str[-1]) == ["0", "1"], "no run comes twice"
    assert load(sweep / "1").runs["sweep"][0] == "lab"


def test_runs_come_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    write_sweep(tmp_path / "s", 11, rows=2)
    assert list(load(tmp_path / "s").runs["number"]) == list(range(11))


def test_the_last_attempt_wins() -> None:
    steps = np.array([10, 20, 30, 25, 35, 35, 50, 40])
    assert steps[last_attempt_wins(steps)].tolist() == [10, 20, 25, 35, 40]


def test_rows_of_a_lost_attempt_are_left_out(sweep: Path) -> None:
    path = sweep / "0" / "metrics.jsonl"
    path.write_text(
        "".join(json.dumps({"step": s, "reward": r}) + "\n" for s, r in [(1, 1), (2, 1), (3, 1), (2, 9)])
    )
    study = load(sweep / "0")
    assert study.metrics[["step", "reward"]].to_numpy().tolist() == [[1, 1], [2, 9]]


# --- partial and broken runs ---


def test_broken_and_partial_runs_are_told_and_the_others_loaded(sweep: Path) -> None:
    for name in ("config", "metrics", "results", "outcome", "foreign", "nothing"):
        write_run(sweep / name)
    (sweep / "config" / "config.yaml").write_text("agent: [1,\n")
    rows = (sweep / "metrics" / "metrics.jsonl").read_text().splitlines()
    (sweep / "metrics" / "metrics.jsonl").write_text("\n".join([rows[0], "{broken", *rows[2:], '{"torn']))
    (sweep / "results" / "results.parquet").write_bytes(b"PAR1 torn")
    (sweep / "outcome" / "outcome.json").write_text('{"state": "asleep", "objective": null}')
    (sweep / "foreign" / "config.yaml").write_text("learning_rate: 1\n")
    (sweep / "nothing" / "metrics.jsonl").write_text("")
    study = load(sweep)
    assert "config: config.yaml cannot be read" in what(study)
    assert "metrics: metrics.jsonl: 1 of 5 rows cannot be read" in what(study)
    assert "results: results.parquet cannot be read" in what(study)
    assert "outcome: outcome.json cannot be read (state 'asleep')" in what(study)
    assert "foreign: its config.yaml is not of this project" in what(study)
    assert "nothing: no metrics" in what(study)
    assert len(study.problems) == 6
    assert len(study.runs) == 7, "all but the foreign one"
    assert (study.metrics["run"] == "lab/metrics").sum() == 4
    assert study.runs.set_index("run")["state"]["lab/outcome"] == "unknown"


def test_a_failed_run_is_told_with_its_error(tmp_path: Path) -> None:
    write_run(tmp_path / "run", state=State.failed)
    outcome = json.loads((tmp_path / "run" / "outcome.json").read_text())
    outcome |= {
        "error": {"kind": "ConfigError", "message": "seed: no", "traceback": "..."},
        "objective": None,
    }
    (tmp_path / "run" / "outcome.json").write_text(json.dumps(outcome))
    study = load(tmp_path / "run")
    assert study.runs["error"][0] == "ConfigError: seed: no"
    assert study.runs["objective"].isna().all()
    assert what(study) == "run: failed: ConfigError: seed: no"


def test_runs_that_a_sweep_lists_and_that_left_nothing_are_told(tmp_path: Path) -> None:
    write_sweep(tmp_path / "s", 2, rows=2)
    listed = json.loads((tmp_path / "s" / "sweep.json").read_text())
    listed["runs"].append({"number": 2, "folder": "2", "overrides": []})
    (tmp_path / "s" / "sweep.json").write_text(json.dumps(listed))
    assert what(load(tmp_path / "s")) == "2: listed in sweep.json, and not started"


def test_a_folder_of_older_code_is_scored_from_its_results(tmp_path: Path) -> None:
    write_run(tmp_path / "run")
    (tmp_path / "run" / "outcome.json").unlink()
    study = load(tmp_path / "run")
    table = results_of(tmp_path / "run")
    own = table[(table["scheme"] == "impala") & (table["flow"] == 0)]
    assert study.runs["state"][0] == "finished"
    assert study.runs["score.reward"][0] == study.runs["objective"][0] == pytest.approx(own["reward"].mean())
    (tmp_path / "run" / "results.parquet").unlink()
    assert load(tmp_path / "run").runs["state"][0] == "unknown"


@pytest.mark.parametrize("files", [{}, {"README.md": "x"}, {"config.yaml": "model: resnet\n"}])
def test_an_empty_or_foreign_folder_is_an_error(
    tmp_path: Path, files: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert main([str(tmp_path)]) == 2
    assert f"error: {tmp_path}: no run here or below" in capsys.readouterr().err
    assert main([str(tmp_path / "absent")]) == 2
    assert "absent: no such folder or file" in capsys.readouterr().err


# --- form ---


def test_the_form_is_checked(sweep: Path) -> None:
    study = load(sweep)
    study.runs["number"] = study.runs["number"].astype("float64")
    with pytest.raises(StudyError, match="runs: number has type float64, not Int64"):
        check(study)
    study = load(sweep)
    study.metrics = pd.concat([study.metrics, study.metrics.iloc[:1]])
    with pytest.raises(StudyError, match="metrics: two rows have the same run, step"):
        check(study)
    study = load(sweep)
    study.results = study.results.drop(columns="loss")
    with pytest.raises(StudyError, match="results: lacks the column loss"):
        check(study)


def test_sections_read_one_by_one_are_the_whole(sweep: Path) -> None:
    import yaml

    text = (sweep / "0" / "config.yaml").read_text()
    assert flat_yaml(text) == flatten(yaml.safe_load(text))
    for odd in ("a: &x 1\nb: *x\n", "---\na: {b: 2}\n", "a: |\n  x: 1\n  y\nb: 'q\n\n  r'\n", "? a\n: 1\n"):
        assert flat_yaml(odd) == flatten(yaml.safe_load(odd))


# --- command ---


def test_the_command_writes_a_table(sweep: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(sweep), "-o", str(tmp_path / "runs.csv")]) == 0
    assert "2 runs: 2 finished" in capsys.readouterr().out
    assert pd.read_csv(tmp_path / "runs.csv")["agent.loss.discount"].tolist() == [0.5, 0.9]
    assert main([str(sweep), "--frame", "series", "-o", str(tmp_path / "series.parquet")]) == 0
    assert set(pd.read_parquet(tmp_path / "series.parquet")["run"]) == {"lab/0", "lab/1"}
    capsys.readouterr()
    assert main([str(sweep), "-o", str(tmp_path / "runs.txt")]) == 2
    assert "ends neither in .parquet nor in .csv" in capsys.readouterr().err


# --- wandb ---


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sweep: Path) -> Path:
    """A run that wandb has too, in two starts and a test."""
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("WANDB_MODE", "offline")
    cfg, run = compose(["tracker=wandb", "agent.loss.discount=0.75"]), RunDirectory(tmp_path / "tracked")
    run.checkpoints.mkdir()
    with open_tracker(cfg, run) as tracker:
        tracker.log({"reward": 1.0}, 10)
        (run.checkpoints / "step_000000000010.pt").touch()
    picture = tmp_path / "p.png"
    import matplotlib.image

    matplotlib.image.imsave(picture, np.zeros((2, 2, 3)))
    show_comparison(cfg, run, results_of(sweep / "0"), picture)
    sys.modules["wandb"].teardown()  # its service ends, and has written everything
    return run.path / "wandb"


def test_offline_files_are_a_run(offline: Path, sweep: Path) -> None:
    study = load(offline)
    assert len(files_below(offline)) == 2
    (run,) = study.runs.itertuples()
    assert run.state == "finished"
    assert study.runs["agent.loss.discount"][0] == 0.75
    assert study.metrics[["step", "reward"]].to_numpy().tolist() == [[10, 1.0]]
    assert len(study.results) == len(results_of(sweep / "0"))
    assert study.runs["score.reward"][0] == pytest.approx(
        load(sweep / "0", metrics=False).results.query("scheme == 'impala'")["reward"].mean()
    )
    assert load(files_below(offline)).metrics.equals(study.metrics)
    (offline / "bad.wandb").write_bytes(b"no")
    with pytest.raises(StudyError, match=r"bad\.wandb: not a file of wandb's"):
        load(offline / "bad.wandb")


def test_offline_files_tell_how_their_last_start_ended(
    offline: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    last = files_below(offline)[-1]
    codes: dict[Path, int | None] = {}

    def read(path: Path) -> WandbFile:
        return replace(read_file(path), exit_code=codes.get(path, 1))

    monkeypatch.setattr("analysis.wandb_runs.read_file", read)
    for codes[last], state, told in (
        (0, "finished", []),
        (3, "failed", ["its program ended with status 3"]),
        (None, "running", []),
    ):
        study = load(offline)
        assert list(study.runs["state"]) == [state]
        assert [text for text in study.problems["what"] if "its program" in text] == told


class FakeRun:
    """What wandb.Api gives of a run: recorded from wandb 0.31's documented attributes."""

    def __init__(self, number: int, state: str, table: pd.DataFrame | None = None) -> None:
        self.id, self.group, self.tags, self.state = f"id{number}", "lab", ["lte", f"run-{number}"], state
        self.config = {"mode": "train", "agent": {"name": "impala", "loss": {"discount": 0.5}}, "_wandb": {}}
        self.created_at = "2026-11-22T10:00:00Z"
        self.summary = {"_wandb": {"runtime": 12}}
        self._table = table

    def scan_history(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = [
            {"_step": 0, "step": 10, "reward": 1.0},
            {"_step": 1, "step": 20, "reward": 2},
        ]
        if self._table is not None:
            rows.append(
                {"_step": 2, "step": 20, "test/comparison": {"_type": "table-file", "path": "t.json"}}
            )
        return rows

    def file(self, name: str) -> FakeRun:
        assert name == "t.json"
        return self

    def download(self, *, root: str) -> io.StringIO:
        assert self._table is not None
        return io.StringIO(
            json.dumps({"columns": list(self._table), "data": self._table.to_numpy().tolist()})
        )


class FakeApi:
    def __init__(self, runs: list[FakeRun]) -> None:
        self._runs = runs

    def runs(self, path: str) -> list[FakeRun]:
        if path != "ours/project":
            raise ValueError(f"Could not find project {path}\nand more")
        return self._runs


def test_a_project_is_a_study(sweep: Path) -> None:
    states = ["finished", "crashed", "killed", "failed", "running", "preempting"]
    table = results_of(sweep / "0")
    api = FakeApi([FakeRun(n, state, table if n == 0 else None) for n, state in enumerate(states)])
    study = load("wandb:ours/project", api=api)
    assert list(study.runs["run"]) == [f"ours/project/id{number}" for number in range(6)]
    assert list(study.runs["state"]) == ["finished", "failed", "failed", "failed", "running", "unknown"]
    assert list(study.runs["number"]) == [0, 1, 2, 3, 4, 5]
    assert list(study.runs["agent.loss.discount"]) == [0.5] * 6
    assert study.metrics["reward"].tolist() == [1.0, 2.0] * 6
    assert len(study.results) == len(results_of(sweep / "0"))
    assert "id1: wandb says: crashed" in what(study)
    with pytest.raises(StudyError, match=r"wandb:other/one: Could not find project other/one$"):
        load("wandb:other/one", api=api)
    with pytest.raises(StudyError, match="not wandb:ENTITY/PROJECT"):
        load("wandb:a/b/c", api=api)


# --- many ---


@pytest.mark.slow
def test_a_thousand_runs_fit(tmp_path: Path) -> None:
    """Speed is told, not judged: docs/analysis.md has the figures. Memory is bounded."""
    write_sweep(tmp_path / "wide", 1000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.process_time()
    study = load(tmp_path / "wide")
    print(f"1,000 runs in {time.process_time() - started:.1f} s of processor time")
    grown_mib = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert (len(study.runs), len(study.metrics)) == (1000, 200_000)
    assert study.runs["agent.loss.discount"].nunique() == 10
    assert len(METRICS) + 2 == len(study.metrics.columns)
    assert study.problems.empty
    assert grown_mib < 1000
