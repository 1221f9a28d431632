"""mode=trace: the exported policy equals the eager one, carries its spec, and loads without this package."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch

from mvfstrl import export
from mvfstrl._native import VectorEnvironment, default_config, observation_spec
from mvfstrl.agents.impala.config import JobInput, NetworkConfig
from mvfstrl.agents.impala.network import ImpalaNetwork, NetworkShape
from mvfstrl.checkpoint import plain
from mvfstrl.config import compose
from mvfstrl.errors import CheckpointError
from mvfstrl.policy import NetworkPolicy
from mvfstrl.policy_file import load_model
from mvfstrl.rundir import RunDirectory
from tests.saved_policy import save_policy

SIZE = len(observation_spec(default_config())["observation"])


@pytest.fixture
def environment() -> VectorEnvironment:
    return VectorEnvironment({**default_config(), "episode_ms": 6_000.0}, num_envs=1, num_threads=0, seed=3)


def policy(**network: Any) -> NetworkPolicy:
    """Untrained, with heads scaled up so that its actions differ from decision to decision."""
    spec = observation_spec(default_config())
    torch.manual_seed(1)
    shape = NetworkShape(len(spec["observation"]), len(spec["actions"]), jobs=2)
    net = ImpalaNetwork(shape, NetworkConfig(hidden_size=16, **network))
    with torch.no_grad():
        net.policy.weight.mul_(300.0)
        net.normalizer.update(torch.randn(64, shape.observation_size))
    config = plain(asdict(compose()))
    return NetworkPolicy(net, spec=spec, jobs=["lte", "umts"], config=config, step=7)


@pytest.mark.parametrize(
    "network",
    [{}, {"lstm": False}, {"lstm_layers": 2, "layers": 1}, {"job_id": JobInput.actor_critic}],
    ids=["lstm", "mlp", "two layers", "job"],
)
def test_the_export_equals_the_eager_policy(
    environment: VectorEnvironment, tmp_path: Path, network: dict[str, Any]
) -> None:
    path, check = export.export(policy(**network), environment, tmp_path)
    assert check.decisions == 59
    assert check.worst_difference <= 1e-6
    assert check.native <= 1e-5
    assert sorted(item.name for item in tmp_path.iterdir()) == ["policy.json", "policy.mvfstrl", "policy.pt"]
    module, found = export.load_exported(path)
    assert load_model(tmp_path / "policy.mvfstrl").text == (tmp_path / "policy.json").read_text()
    assert found == json.loads((tmp_path / "policy.json").read_text())
    assert found["spec"]["actions"] == ["0", "/2", "-10", "+10", "*2"]
    assert (found["jobs"], found["trained_steps"]) == (["lte", "umts"], 7)
    logits, action, h, _ = module(
        torch.zeros(3, SIZE), torch.ones(3, dtype=torch.bool), *module.initial_state(3)
    )
    assert logits.shape == (3, 5)
    assert action.shape == (3,)
    assert h.shape[1] == 3


def test_memory_is_forgotten_where_an_episode_starts(environment: VectorEnvironment, tmp_path: Path) -> None:
    module, _ = export.load_exported(export.export(policy(), environment, tmp_path)[0])
    observation = torch.randn(1, SIZE)
    yes, no = torch.tensor([True]), torch.tensor([False])
    fresh, *_ = module(observation, yes, *module.initial_state(1))
    _, _, h, c = module(torch.randn(1, SIZE), yes, *module.initial_state(1))
    assert torch.equal(module(observation, yes, h, c)[0], fresh)
    assert not torch.equal(module(observation, no, h, c)[0], fresh)


def test_it_loads_with_torch_alone(environment: VectorEnvironment, tmp_path: Path) -> None:
    export.export(policy(), environment, tmp_path)
    program = (
        "import sys, torch; extra = {'spec.json': ''};"
        "policy = torch.jit.load('policy.pt', _extra_files=extra);"
        f"policy(torch.zeros(1, {SIZE}), torch.ones(1, dtype=torch.bool), *policy.initial_state(1));"
        "assert 'mvfstrl' not in sys.modules; print(len(extra['spec.json']) > 1000)"
    )
    command = [sys.executable, "-c", program]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
    assert (result.stdout.strip(), result.returncode) == ("True", 0), result.stderr


def test_a_difference_is_found_and_nothing_is_left(
    environment: VectorEnvironment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = policy()
    with torch.no_grad():
        other.network.policy.bias[2] += 0.01
    wrong = export.PolicyStep(other.network).traced()
    monkeypatch.setattr(export.PolicyStep, "traced", lambda self: wrong)
    with pytest.raises(export.ExportError, match="differs from the eager one at decision 0"):
        export.export(policy(), environment, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_another_spec_is_refused(environment: VectorEnvironment, tmp_path: Path) -> None:
    path, _ = export.export(policy(), environment, tmp_path)
    config = default_config()
    config["actions"]["list"] = ["0", "*1.1", "/1.1"]
    with pytest.raises(CheckpointError, match="actions"):
        export.load_exported(path, observation_spec(config))
    export.load_exported(path, observation_spec(default_config()))


@pytest.mark.parametrize("content", [b"", b"PK torn"])
def test_what_is_no_policy_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "policy.pt"
    path.write_bytes(content)
    with pytest.raises(export.ExportError, match="not an exported policy"):
        export.load_exported(path)
    with pytest.raises(export.ExportError, match="not an exported policy"):
        export.load_exported(tmp_path / "none.pt")


def test_mode_trace_exports_a_checkpoint_and_refuses_another_configuration(tmp_path: Path) -> None:
    trained = policy()
    cfg = compose(["mode=trace", "env=constant", "env.episode_ms=3000"])
    cfg.checkpoint = str(save_policy(tmp_path / "checkpoints", trained, hidden_size=16))
    assert export.trace(cfg, RunDirectory(tmp_path / "run")) <= 1e-6
    assert (tmp_path / "run" / "policy.pt").exists()
    assert (tmp_path / "run" / "policy.mvfstrl").exists()
    cfg.history.length = 3
    with pytest.raises(CheckpointError):
        export.trace(cfg, RunDirectory(tmp_path / "other"))
    assert not (tmp_path / "other" / "policy.pt").exists()
