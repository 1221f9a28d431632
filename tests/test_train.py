"""Training with the real environment, as `run.py` starts it."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from mvfstrl.checkpoint import checkpoints_in, load_checkpoint
from mvfstrl.config import Config, compose
from mvfstrl.errors import CheckpointError, ConfigError
from mvfstrl.metrics import read_metrics
from mvfstrl.policy import load_policy, policy_for
from mvfstrl.rundir import RunDirectory
from mvfstrl.train import pick_device, train

ROOT = Path(__file__).parents[1]
TINY = [
    "agent=impala",
    "env=constant",
    "tracker=none",
    "total_steps=640",
    "actors.simulated=4",
    "actors.groups=2",
    "actors.threads=1",
    "agent.network.hidden_size=8",
    "agent.unroll_length=20",
    "agent.batch_size=2",
    "env.episode_ms=3000",
]


def tiny(*overrides: str) -> Config:
    return compose([*TINY, *overrides])


def newest(folder: Path) -> bytes:
    return checkpoints_in(folder / "checkpoints")[-1].read_bytes()


def test_leaves_a_checkpoint_and_metrics(tmp_path: Path) -> None:
    objective = train(tiny(), RunDirectory(tmp_path))
    content = load_checkpoint(tmp_path)
    assert content["step"] >= 640
    assert content["jobs"] == ["constant"]
    assert content["spec"]["actions"]
    assert content["config"]["total_steps"] == 640
    rows = list(read_metrics(tmp_path / "metrics.jsonl"))
    assert rows[-1]["step"] == content["step"]
    returns = [r["episode_return"] for r in rows if "episode_return" in r]
    assert returns
    assert min(returns) <= objective <= max(returns)
    assert all(0 < r["episode_utilisation"] <= 1 for r in rows if "episode_utilisation" in r)


def test_deterministic_runs_are_equal_for_any_thread_count_and_resume_exactly(tmp_path: Path) -> None:
    deterministic = ["deterministic=true", "device=cpu", "seed=5"]
    train(tiny(*deterministic), RunDirectory(tmp_path / "a"))
    train(tiny(*deterministic), RunDirectory(tmp_path / "b"))
    assert newest(tmp_path / "a") == newest(tmp_path / "b")
    train(tiny(*deterministic, "actors.threads=3"), RunDirectory(tmp_path / "threads"))
    three, one = load_checkpoint(tmp_path / "threads"), load_checkpoint(tmp_path / "a")
    for name, tensor in one["learner"]["network"].items():
        torch.testing.assert_close(three["learner"]["network"][name], tensor, rtol=0, atol=0)

    every = [*deterministic, "agent.checkpoint_steps=160", "agent.checkpoints_kept=9"]
    train(tiny(*every), RunDirectory(tmp_path / "whole"))
    files = checkpoints_in(tmp_path / "whole" / "checkpoints")
    assert len(files) == 4
    parts = RunDirectory(tmp_path / "parts")
    parts.checkpoints.mkdir()
    (parts.checkpoints / files[1].name).write_bytes(files[1].read_bytes())
    train(tiny(*every), parts)
    assert newest(tmp_path / "parts") == newest(tmp_path / "whole")


def test_resume_follows_the_knob(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    with pytest.raises(ConfigError, match="resume: always"):
        train(tiny("resume=always"), run)
    train(tiny(), run)
    first = load_checkpoint(tmp_path)["step"]
    with pytest.raises(ConfigError, match="resume: never"):
        train(tiny("resume=never"), run)
    train(tiny("total_steps=1280"), run)
    assert load_checkpoint(tmp_path)["step"] >= 1280 > first
    steps = [row["step"] for row in read_metrics(tmp_path / "metrics.jsonl")]
    assert steps == sorted(set(steps))


def test_starts_from_the_weights_of_another_run(tmp_path: Path) -> None:
    train(tiny(), RunDirectory(tmp_path / "first"))
    override = f"checkpoint={tmp_path / 'first'}"
    train(tiny(override, "agent.optimizer.learning_rate=1e-30"), RunDirectory(tmp_path / "second"))
    first, second = (load_policy(tmp_path / name).network for name in ("first", "second"))
    torch.testing.assert_close(second.policy.weight, first.policy.weight)


def test_a_classic_scheme_has_nothing_to_train(tmp_path: Path) -> None:
    cfg = tiny()
    cfg.agent = compose(["agent=cubic", "tracker=none"]).agent
    with pytest.raises(ConfigError, match="nothing to train"):
        train(cfg, RunDirectory(tmp_path))


def test_another_spec_is_refused_by_name(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    train(tiny(), run)
    other = tiny("history.length=3", "total_steps=9999")
    with pytest.raises(CheckpointError, match="only in the checkpoint: past4"):
        train(other, run)
    with pytest.raises(CheckpointError, match="only in the checkpoint: past4"):
        policy_for(tmp_path, other)
    assert policy_for(tmp_path, tiny()).jobs == ["constant"]


def test_device() -> None:
    assert pick_device("cpu").type == "cpu"
    assert pick_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    if not torch.cuda.is_available():
        with pytest.raises(ConfigError, match="no CUDA device"):
            pick_device("cuda")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_a_run_with_a_checkpoint(tmp_path: Path, number: signal.Signals) -> None:
    overrides = [item for item in TINY if not item.startswith("total_steps")]
    command = [sys.executable, str(ROOT / "run.py"), "mode=train", *overrides]
    command += ["total_steps=100_000_000", "test_after_train=false", f"hydra.run.dir={tmp_path}"]
    command += ["agent.checkpoint_steps=1_000_000_000"]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    try:
        wait_for_metrics(tmp_path / "metrics.jsonl", process)
        process.send_signal(number)
        _, errors = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 0, errors
    assert load_checkpoint(tmp_path)["step"] > 0


def wait_for_metrics(path: Path, process: subprocess.Popen[str]) -> None:
    """Until the first row: the run is in the middle of training."""
    deadline = time.monotonic() + 150
    while not list(read_metrics(path)):
        assert process.poll() is None, "the run ended by itself"
        assert time.monotonic() < deadline, "no metrics in time"
        time.sleep(0.1)
