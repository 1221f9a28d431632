"""outcome.json: what a run says of itself, while it is on and at its end."""

from __future__ import annotations

import json
import sys
import types
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hydra.core.global_hydra import GlobalHydra

import run as entry
from mvfstrl.config import Config, Mode, compose
from mvfstrl.config.validate import validate
from mvfstrl.errors import ConfigError, MvfstrlError
from mvfstrl.outcome import OutcomeError, State, objective_of, read_outcome, recorded
from mvfstrl.rundir import RunDirectory
from pantheon.evaluate import scores_of
from pantheon.results import COLUMNS
from tests.sweep_runs import state_of


def test_a_run_is_running_until_it_is_finished(tmp_path: Path) -> None:
    with recorded(tmp_path, "train", ["seed=3"], 7) as outcome:
        on = read_outcome(tmp_path)
        assert on is not None
        assert (on.state, on.ended_utc, on.overrides, on.sweep) == (
            "running",
            None,
            ["seed=3"],
            {"number": 7},
        )
        outcome.objective = 2.5
    done = read_outcome(tmp_path)
    assert done is not None
    assert (done.state, done.objective, done.error, done.starts) == ("finished", 2.5, None, 1)
    assert done.started_utc <= str(done.ended_utc)


def test_a_failure_keeps_its_error_and_is_passed_on(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), recorded(tmp_path, "train"):
        _ = 1 / 0
    failed = read_outcome(tmp_path)
    assert failed is not None
    assert failed.state is State.failed
    assert failed.error is not None
    assert failed.error["kind"] == "ZeroDivisionError"
    assert failed.error["message"] == "division by zero"
    assert "1 / 0" in failed.error["traceback"]


@pytest.mark.parametrize("how", [KeyboardInterrupt, SystemExit])
def test_who_is_stopped_is_interrupted(tmp_path: Path, how: type[BaseException]) -> None:
    with pytest.raises(how), recorded(tmp_path, "train"):
        raise how
    assert state_of(tmp_path) is State.interrupted


def test_starts_are_counted(tmp_path: Path) -> None:
    for _ in range(3):
        with recorded(tmp_path, "train"):
            pass
    outcome = read_outcome(tmp_path)
    assert outcome is not None
    assert outcome.starts == 3


def test_no_outcome_and_a_foreign_one(tmp_path: Path) -> None:
    assert state_of(tmp_path) is None
    for text in ("{", "[]", '{"state": "finished"}', '{"state": "merry", "mode": "train"}'):
        (tmp_path / "outcome.json").write_text(text)
        with pytest.raises(OutcomeError, match=r"outcome\.json: not the outcome of a run"):
            read_outcome(tmp_path)


def test_one_objective_is_a_number_and_several_are_a_list() -> None:
    scores = {"reward": 1.0, "loss": 0.1}
    assert objective_of(["reward"], scores) == 1.0
    assert objective_of(["loss", "reward"], scores) == [0.1, 1.0]
    assert objective_of(["loss", "score"], scores) is None


def test_scores_weigh_scenarios_alike_and_take_the_agents_own_flow() -> None:
    def row(scheme: str, scenario: str, seed: int, flow: int, reward: float) -> dict[str, Any]:
        names = {"scheme": scheme, "scenario": scenario, "seed": seed, "flow": flow, "flow_scheme": scheme}
        return dict.fromkeys(COLUMNS, 0.5) | names | {"reward": reward}

    rows = [row("impala", "a", seed, 0, 1.0) for seed in range(3)]
    rows += [row("impala", "b", 0, 0, 5.0), row("impala", "b", 0, 1, 99.0), row("cubic", "a", 0, 0, 99.0)]
    scores = scores_of(pd.DataFrame(rows), "impala")
    assert scores["reward"] == 3.0
    assert scores["delay_p95_ms"] == 0.5
    assert "score" not in scores  # nobody played the anchors


@pytest.mark.parametrize(
    ("override", "told"),
    [
        (
            "objective=[rewrad]",
            r"^objective: unknown metric 'rewrad' \(did you mean reward\?\); there are reward",
        ),
        ("objective=[]", "^objective: is empty"),
        ("objective=[loss,loss]", "^objective: names a metric twice"),
    ],
)
def test_objectives_that_cannot_be(tmp_path: Path, override: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        validate(compose([override]), tmp_path)


def test_a_score_needs_its_anchors(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^objective: score is normalised by the anchors"):
        validate(compose(["objective=[score]", "test.anchors=false"]), tmp_path)


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """run.py in this process, its modes replaced."""
    module = types.ModuleType("fake_modes")

    def play(cfg: Config, run: RunDirectory) -> None:
        if cfg.seed == 13:
            raise MvfstrlError("seed: unlucky")
        run.interrupted = cfg.seed == 7
        run.scores["reward"] = 4.5 + cfg.seed

    module.play = play  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "fake_modes", module)
    monkeypatch.setattr(entry, "MODES", dict.fromkeys(Mode, ("fake_modes", "play")))
    monkeypatch.chdir(tmp_path)

    def go(*arguments: str) -> None:
        monkeypatch.setattr(sys, "argv", ["run.py", *arguments])
        GlobalHydra.instance().clear()
        entry.main()

    return go


def test_a_single_run_writes_it(start: Any, tmp_path: Path) -> None:
    start("hydra.run.dir=here", "seed=1")
    outcome = json.loads((tmp_path / "here/outcome.json").read_text())
    assert (outcome["state"], outcome["objective"], outcome["scores"]) == ("finished", 5.5, {"reward": 5.5})
    assert (outcome["mode"], outcome["overrides"]) == ("train", ["seed=1"])
    assert outcome["sweep"] == {"number": None}


def test_an_interrupted_run_has_no_objective(start: Any, tmp_path: Path) -> None:
    start("hydra.run.dir=here", "seed=7")
    outcome = read_outcome(tmp_path / "here")
    assert outcome is not None
    assert (outcome.state, outcome.objective) == ("interrupted", None)


def test_a_failed_single_run_exits_with_2_and_says_why(start: Any, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="2"):
        start("hydra.run.dir=here", "seed=13")
    outcome = read_outcome(tmp_path / "here")
    assert outcome is not None
    assert outcome.error is not None
    assert (outcome.error["kind"], outcome.error["message"]) == ("MvfstrlError", "seed: unlucky")


def test_what_is_refused_leaves_a_finished_run_as_it_was(start: Any, tmp_path: Path) -> None:
    start("hydra.run.dir=here")
    with pytest.raises(SystemExit, match="2"):
        start("hydra.run.dir=here", "total_steps=0")
    assert state_of(tmp_path / "here") is State.finished


def test_a_report_leaves_a_finished_run_as_it_was(start: Any, tmp_path: Path) -> None:
    start("hydra.run.dir=here")
    before = (tmp_path / "here/outcome.json").read_bytes()
    start("hydra.run.dir=here", "mode=report")
    assert (tmp_path / "here/outcome.json").read_bytes() == before
