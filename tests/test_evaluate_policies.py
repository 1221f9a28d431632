"""Trained policies in a test: each sees and does what its own checkpoint says, or is refused clearly."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from mvfstrl._native import observation_spec
from mvfstrl.agents.impala.config import NetworkConfig
from mvfstrl.agents.impala.network import ImpalaNetwork, NetworkShape
from mvfstrl.config import Config, compose, native_config
from mvfstrl.errors import CheckpointError
from mvfstrl.policy import NetworkPolicy
from mvfstrl.rundir import RunDirectory
from pantheon.evaluate import evaluate
from pantheon.schemes import schemes_of, trained
from tests.saved_policy import save_policy


def config(*overrides: str) -> Config:
    basic = ["mode=test", "agent=cubic", "env=constant", "test.schemes=[newreno]", "test.anchors=false"]
    return compose([*basic, "test.runs=2", "env.episode_ms=2000", *overrides])


def checkpoint(folder: Path, cfg: Config, seed: int = 0, **spec: Any) -> Path:
    """A policy that has not learnt anything, of this configuration."""
    torch.manual_seed(seed)
    own = observation_spec(native_config(replace(cfg, agent=compose().agent)))
    shape = NetworkShape(len(own["observation"]), len(own["actions"]), jobs=1)
    network = ImpalaNetwork(shape, NetworkConfig(hidden_size=8))
    policy = NetworkPolicy(network, spec={**own, **spec}, config=asdict(cfg), jobs=["constant"], step=1)
    return save_policy(folder, policy, hidden_size=8)


def test_policies_of_other_specs_play_side_by_side(tmp_path: Path) -> None:
    small = checkpoint(tmp_path / "a", config("history.length=3", "actions.choices=['0','/2','*2']"))
    long = checkpoint(tmp_path / "b", config("history.length=30", "reward=linear"))
    cfg = config(f"+test.policies.small={small}", f"+test.policies.long={long}")
    schemes = {scheme.name: scheme for scheme in schemes_of(cfg, RunDirectory(tmp_path))}
    assert list(schemes) == ["cubic", "small", "long", "newreno"]
    assert schemes["small"].history is not None
    assert schemes["small"].history.length == 3
    assert schemes["long"].actions == cfg.actions
    table = evaluate(cfg, list(schemes.values()), tmp_path)
    assert table["scheme"].value_counts().to_dict() == dict.fromkeys(schemes, 2)


def test_a_policy_is_told_from_another_by_its_weights(tmp_path: Path) -> None:
    cfg = config()
    one, same, other = (
        trained("p", checkpoint(tmp_path / name, cfg, seed), cfg, "checkpoint").identity
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert one == same != other


def test_windows_of_another_length_do_not_compare(tmp_path: Path) -> None:
    path = checkpoint(tmp_path, config("history.window_ms=50"))
    with pytest.raises(CheckpointError) as refused:
        schemes_of(config(f"+test.policies.quick={path}"), RunDirectory(tmp_path))
    message = str(refused.value)
    assert message.startswith(f"test.policies.quick: {path} was trained with history.window_ms=50.0")
    assert "\n" not in message


def test_a_spec_that_this_program_does_not_offer_is_refused(tmp_path: Path) -> None:
    path = checkpoint(tmp_path, config(), version=999)
    with pytest.raises(CheckpointError, match=r"^test\.policies\.old: .* version: 999 in the checkpoint"):
        schemes_of(config(f"+test.policies.old={path}"), RunDirectory(tmp_path))


def test_impala_beside_another_agent_is_the_checkpoints_policy(tmp_path: Path) -> None:
    path = checkpoint(tmp_path, config())
    cfg = config(f"checkpoint={path}", "test.schemes=[impala,newreno]")
    schemes = schemes_of(cfg, RunDirectory(tmp_path))
    assert [(scheme.name, scheme.policy is not None) for scheme in schemes] == [
        ("cubic", False),
        ("impala", True),
        ("newreno", False),
    ]
