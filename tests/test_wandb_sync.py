"""What was recorded offline goes up by the documented command, and comes back by `wandb.Api`: wandb's own
client on both ways, against a server of the tests' own."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from analysis.load import load
from mvfstrl.config import compose
from mvfstrl.metrics import read_metrics
from mvfstrl.rundir import RunDirectory
from mvfstrl.trackers import open_tracker
from mvfstrl.trackers.wandb import run_id
from pantheon.results import COLUMNS
from tests.wandb_server import ENTITY, WandbServer, wandb_server

TRACKING = Path(__file__).resolve().parents[1] / "docs" / "tracking.md"
KEY = "k" * 40


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[WandbServer]:
    with wandb_server() as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.address)
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
        yield server
    sys.modules["wandb"].teardown()  # what it read of this test's environment


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunDirectory:
    """Of two offline starts: the first is killed after step 30, and its checkpoint was at 20."""
    monkeypatch.setenv("WANDB_MODE", "offline")
    run = RunDirectory(tmp_path / "run")
    run.checkpoints.mkdir()
    for after, steps in ((-1, (10, 20, 30)), (20, (25, 35))):
        with open_tracker(
            compose(["tracker=wandb", "agent.loss.discount=0.75"]), run, after=after
        ) as tracker:
            for step in steps:
                tracker.log({"reward": -float(step)}, step)
            (run.checkpoints / f"step_{20 if after < 0 else 35:012d}.pt").write_bytes(b"weights")
        time.sleep(1.1)  # wandb names the folders of starts by the second
    monkeypatch.setenv("WANDB_MODE", "online")
    return run


def sync(run: RunDirectory) -> None:
    """By the command that docs/tracking.md gives."""
    lines = TRACKING.read_text(encoding="utf-8").splitlines()
    (command,) = (line.split("#")[0].strip() for line in lines if line.startswith("    wandb sync"))
    command = command.replace("RUN", shlex.quote(str(run.path)))
    program = shutil.which("wandb", path=str(Path(sys.executable).parent))
    assert program is not None
    done = subprocess.run(
        ["bash", "-c", command.replace("wandb", shlex.quote(program), 1)],
        env=dict(os.environ),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_offline_starts_of_a_run_go_up_as_one_record(run: RunDirectory, server: WandbServer) -> None:
    sync(run)
    assert server.unknown == []
    assert list(server.runs) == [run_id(run)]
    found = server.runs[run_id(run)]
    rows = found.rows()
    assert [(row["step"], row["reward"]) for row in rows] == [
        (row["step"], row["reward"]) for row in read_metrics(run.path / "metrics.jsonl")
    ]
    assert [row["_step"] for row in rows] == list(range(4)), "wandb pages through a history by this number"
    assert found.fields["project"] == "mvfst-rl"
    assert found.exit_code == 0


def test_a_project_on_a_server_is_loaded(run: RunDirectory, server: WandbServer) -> None:
    sync(run)
    study = load(f"wandb:{ENTITY}/mvfst-rl")
    assert server.unknown == []
    (row,) = study.runs.to_dict("records")
    assert (row["run"], row["state"], row["steps"]) == (f"{ENTITY}/mvfst-rl/{run_id(run)}", "finished", 35)
    assert row["agent.loss.discount"] == 0.75
    assert study.metrics["step"].tolist() == [10, 20, 25, 35]
    assert study.metrics["reward"].tolist() == [-10.0, -20.0, -25.0, -35.0]
    assert study.problems.empty


def test_a_comparison_is_loaded_without_a_trace(
    run: RunDirectory, server: WandbServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its table is put on the server by hand: it would go up as an artifact."""
    sync(run)
    served, name = server.runs[run_id(run)], "media/table/test/comparison_4_abc.table.json"
    keys = {"scheme": "impala", "scenario": "lte", "seed": 7, "flow": 0, "flow_scheme": "impala"}
    row = dict.fromkeys(COLUMNS, 0.5) | keys
    served.files[name] = json.dumps({"columns": list(row), "data": [list(row.values())]}).encode()
    told = {"_step": 4, "step": 35, "test/comparison": {"_type": "table-file", "path": name}}
    served.stream("wandb-history.jsonl", 4, [json.dumps(told)])
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    study = load(f"wandb:{ENTITY}/mvfst-rl")
    assert server.unknown == []
    assert study.results[["scheme", "seed", "reward"]].to_numpy().tolist() == [["impala", 7, 0.5]]
    assert list(Path.cwd().iterdir()) == []
