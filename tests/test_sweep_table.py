"""The table of a sweep: how runs stand, from what lies in their folders."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from mvfstrl.config import compose
from mvfstrl.outcome import Outcome, State, write_outcome
from mvfstrl.sweep.plan import Job
from mvfstrl.sweep.table import SweepTable, labels, latest, look, summary


def job(folder: Path, number: int, *overrides: str) -> Job:
    path = folder / str(number)
    path.mkdir(exist_ok=True)
    return Job(number, path, list(overrides), [], compose(["total_steps=1000"]))


def put(one: Job, state: State, *, started: str = "2026-01-02", objective: float | None = None) -> None:
    write_outcome(one.folder, Outcome(state, "train", objective=objective, started_utc=started))


def test_the_newest_return_may_be_in_an_earlier_row(tmp_path: Path) -> None:
    rows = [{"step": 100, "episode_return": -9.0}, {"step": 200, "episode_return": -5.0}, {"step": 300}]
    path = tmp_path / "metrics.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows) + '\n{"step": 400, "epis')
    assert latest(path) == (300, -5.0)
    assert latest(tmp_path / "nothing") == (None, None)


def test_only_the_end_of_long_metrics_is_read(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    with path.open("w") as file:
        for step in range(50_000):
            file.write(json.dumps({"step": step, "episode_return": -float(step)}) + "\n")
    assert latest(path) == (49_999, -49_999.0)


def test_a_run_waits_until_it_is_started_again(tmp_path: Path) -> None:
    one = job(tmp_path, 0)
    assert look(one).state == "waiting"
    put(one, State.interrupted, started="2026-01-02")
    assert look(one, "2026-01-03").state == "waiting"
    assert look(one, "2026-01-01").state == "interrupted"
    put(one, State.finished, started="2026-01-02", objective=2.0)
    assert look(one, "2026-01-03").state == "finished"
    assert look(one, "2026-01-03").objective == 2.0


def test_labels_are_what_sets_runs_apart(tmp_path: Path) -> None:
    same = ("env=lte", "agent.loss.discount=0.9")
    jobs = [job(tmp_path, 0, *same, "a.seed=1"), job(tmp_path, 1, *same, "a.seed=2")]
    assert labels(jobs) == {0: "seed=1", 1: "seed=2"}
    assert labels(jobs[:1]) == {0: "env=lte discount=0.9 seed=1"}


@pytest.fixture
def jobs(tmp_path: Path) -> list[Job]:
    made = [job(tmp_path, number, f"seed={number}") for number in range(4)]
    put(made[0], State.finished, objective=-0.25)
    put(made[1], State.running)
    (made[1].folder / "metrics.jsonl").write_text('{"step": 250, "episode_return": -7.5}\n')
    put(made[2], State.failed)
    return made


def test_the_table_has_state_progress_return_and_objective(jobs: list[Job]) -> None:
    console = Console(file=io.StringIO(), width=100)
    table = SweepTable(jobs, ["reward"], since_utc="", live=True, console=console)
    with console.capture() as shown:
        console.print(table.render(table.rows()))
    lines = shown.get().splitlines()
    assert lines[0].strip() == "4 runs: 1 running, 1 failed, 1 finished, 1 waiting"
    cells = [[cell.strip() for cell in line.split("│")] for line in lines if "seed=" in line]
    assert [row[1:-1] for row in cells] == [
        ["0", "seed=0", "finished", "", "", "-0.25"],
        ["1", "seed=1", "running", "250 (25%)", "-7.5", ""],
        ["2", "seed=2", "failed", "", "", ""],
        ["3", "seed=3", "waiting", "", "", ""],
    ]


def test_where_there_is_not_room_running_and_failed_runs_come_first(jobs: list[Job], tmp_path: Path) -> None:
    many = jobs + [job(tmp_path, number, f"seed={number}") for number in range(4, 30)]
    console = Console(file=io.StringIO(), width=100, height=10)
    table = SweepTable(many, ["reward"], since_utc="", live=True, console=console)
    with console.capture() as shown:
        console.print(table.render(table.rows()))
    text = shown.get()
    assert "running" in text
    assert "failed" in text
    assert "25 more runs" in text


def test_without_a_terminal_changes_and_the_end_are_lines(jobs: list[Job]) -> None:
    file = io.StringIO()
    with SweepTable(jobs, ["reward"], since_utc="", live=True, console=Console(file=file, width=100)):
        put(jobs[1], State.finished, objective=-0.125)
    assert file.getvalue().splitlines() == [
        "#1 seed=1: finished, reward -0.125",
        "4 runs: 1 failed, 2 finished, 1 waiting",
    ]


def test_a_summary_counts_states(jobs: list[Job]) -> None:
    assert summary([look(one) for one in jobs]) == "4 runs: 1 running, 1 failed, 1 finished, 1 waiting"
