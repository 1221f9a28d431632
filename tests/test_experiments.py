"""Every preset in conf/experiment composes, is accepted and takes two learner steps."""

from __future__ import annotations

from pathlib import Path

import pytest

from mvfstrl.agents.impala.config import ImpalaConfig
from mvfstrl.config import compose, native_config
from mvfstrl.config.validate import validate
from mvfstrl.help import groups
from mvfstrl.metrics import read_metrics
from mvfstrl.rundir import RunDirectory
from mvfstrl.train import train

EXPERIMENTS = groups()["experiment"]

# What makes a learner step small; the rest is the preset's own.
SMALL = ["tracker=none", "actors.simulated=4", "actors.groups=2", "actors.threads=1", "device=cpu"]
SMALL_AGENT = ["agent.unroll_length=5", "agent.batch_size=2", "agent.network.hidden_size=8"]


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_it_composes_and_is_accepted(experiment: str, tmp_path: Path) -> None:
    cfg = compose([f"experiment={experiment}"])
    validate(cfg, tmp_path)
    assert native_config(cfg)["scenarios"]


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_it_takes_two_learner_steps(experiment: str, tmp_path: Path) -> None:
    overrides = [f"experiment={experiment}", *SMALL, *SMALL_AGENT]
    learner_step = 5 * 2
    cfg = compose([*overrides, f"total_steps={2 * learner_step}"])
    assert isinstance(cfg.agent, ImpalaConfig)
    run = RunDirectory(tmp_path)
    train(cfg, run)
    assert len(list(run.checkpoints.iterdir())) == 1
    # Several agents an environment bring more rows an unroll.
    assert list(read_metrics(run.path / "metrics.jsonl"))[-1]["step"] >= 2 * learner_step
