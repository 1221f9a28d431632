"""policy.mvfstrl: the native kernels answer as eager PyTorch does, and bad files are told."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mvfstrl import _native, agreement, policy_file
from mvfstrl.agents.impala.config import JobInput, NetworkConfig, Normalization
from mvfstrl.agents.impala.network import ImpalaNetwork, NetworkShape
from mvfstrl.checkpoint import plain
from mvfstrl.config import Config, compose, native_config
from mvfstrl.errors import CheckpointError
from mvfstrl.policy import NetworkPolicy
from mvfstrl.policy_file import ExportError
from tests.saved_policy import save_policy

NETWORKS: dict[str, dict[str, Any]] = {
    "mlp": {"lstm": False},
    "lstm": {},
    "two memories, one layer": {"lstm_layers": 2, "layers": 1, "hidden_size": 40},
    "memory alone": {"layers": 0, "hidden_size": 30},
    "jobs": {"job_id": JobInput.actor_critic},
    "symlog": {"normalization": Normalization.symlog},
}


def configuration() -> Config:
    return compose(["env=constant", "env.episode_ms=3000"])


def policy(cfg: Config, **network: Any) -> NetworkPolicy:
    """Untrained, with a head scaled up so that its actions differ from decision to decision."""
    spec = _native.observation_spec(native_config(cfg))
    torch.manual_seed(2)
    shape = NetworkShape(len(spec["observation"]), len(spec["actions"]), jobs=3)
    net = ImpalaNetwork(shape, NetworkConfig(**{"hidden_size": 48, **network}))
    with torch.no_grad():
        net.policy.weight.mul_(300.0)
        net.normalizer.update(torch.randn(64, shape.observation_size).abs() * 3)
    return NetworkPolicy(net, spec=spec, jobs=["a", "b", "c"], config=plain(asdict(cfg)), step=7)


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_every_kernel_agrees_with_eager_pytorch(network: dict[str, Any]) -> None:
    """Over episodes of many connections, that begin at other times than one another's from the second on."""
    cfg = configuration()
    found = agreement.measure(policy(cfg, **network), cfg, decisions=6_000, envs=64)
    assert len(found) == 2 * len(_native.instruction_sets())
    for name, seen in found.items():
        assert seen.decisions >= 6_000
        if name.startswith("fp32"):
            assert seen.worst_difference <= agreement.TOLERANCE, name
            assert seen.same_actions >= 0.9999
        else:
            assert 1e-5 < seen.worst_difference < 0.05, name  # another precision, the same policy
            assert seen.same_actions >= 0.95  # an untrained policy has few preferences


def test_disagreement_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    cfg = configuration()
    trained = policy(cfg)
    arrays = policy_file.network_arrays

    def wrong(network: ImpalaNetwork) -> list[Any]:
        found = arrays(network)
        found[-1] = found[-1] + np.float32(0.02) * np.arange(5, dtype=np.float32)
        return found

    monkeypatch.setattr(policy_file, "network_arrays", wrong)
    found = agreement.measure(trained, cfg, decisions=2_000, envs=64)
    assert not any(agreement.agrees(name, seen) for name, seen in found.items() if name.startswith("fp32"))


def test_the_command_prints_a_line_a_kernel(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trained = policy(configuration())
    checkpoint = save_policy(tmp_path, trained, hidden_size=48)
    arguments = [str(checkpoint), "env=constant", "env.episode_ms=3000", "--decisions=500", "--envs=16"]
    agreement.main(arguments)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 * len(_native.instruction_sets())
    assert all("agrees: 512 decisions" in line for line in lines if line.startswith("fp32"))
    assert agreement.main([str(tmp_path / "none.pt"), "env=constant"]) == 2
    assert capsys.readouterr().err.startswith("error: no checkpoint at")
    assert agreement.main([str(checkpoint), "env=nowhere"]) == 2
    assert "nowhere" in capsys.readouterr().err


def test_a_file_carries_its_description(tmp_path: Path) -> None:
    cfg = configuration()
    trained = policy(cfg)
    path = tmp_path / "policy.mvfstrl"
    for precision in ("fp32", "bf16"):
        policy_file.write(trained, path, precision)  # type: ignore[arg-type]
        model = policy_file.load_model(path)
        assert model.precision == precision
        assert json.loads(model.text) == policy_file.description(trained)
        assert f"{model.spec_hash:016x}" == trained.spec["hash"]
        assert model.network == policy_file.network_sizes(trained.network)
        assert model.instructions == _native.instruction_sets()[-1]
    assert [item.name for item in tmp_path.iterdir()] == ["policy.mvfstrl"]


def test_bad_files_are_told(tmp_path: Path) -> None:
    path = tmp_path / "policy.mvfstrl"
    with pytest.raises(ExportError, match=r"policy\.mvfstrl: cannot be read: No such file"):
        policy_file.load_model(path)
    policy_file.write(policy(configuration()), path)
    content = path.read_bytes()
    path.write_bytes(content[:-100])
    with pytest.raises(ExportError, match=rf"torn: only {len(content) - 100} of {len(content)} bytes"):
        policy_file.load_model(path)
    path.write_bytes(content[:5000] + bytes([content[5000] ^ 1]) + content[5001:])
    with pytest.raises(ExportError, match="damaged: its checksum"):
        policy_file.load_model(path)
    path.write_bytes(content)
    with pytest.raises(ExportError, match="instructions: must be auto, portable, avx2 or avx512, got 'sse'"):
        policy_file.load_model(path, "sse")


def test_a_policy_that_does_not_tell_its_spec_is_refused(tmp_path: Path) -> None:
    trained = policy(configuration())
    trained.config["history"]["length"] = 3
    with pytest.raises(CheckpointError, match="past4"):
        policy_file.write(trained, tmp_path / "policy.mvfstrl")
    del trained.config["history"]
    with pytest.raises(ExportError, match="no section history"):
        policy_file.write(trained, tmp_path / "policy.mvfstrl")
    del trained.config["reward"]
    with pytest.raises(ExportError, match="does not say its reward"):
        policy_file.write(trained, tmp_path / "policy.mvfstrl")
    assert list(tmp_path.iterdir()) == []


def model_of(trained: NetworkPolicy) -> _native.PolicyModel:
    network = trained.network
    return _native.PolicyModel.from_network(
        policy_file.network_sizes(network), policy_file.network_arrays(network)
    )


def test_acting_into_arrays_with_noise_and_jobs() -> None:
    trained = policy(configuration(), job_id=JobInput.actor_critic)
    acting = _native.Policy(model_of(trained), batch=6)
    size = trained.network.shape.observation_size
    torch.manual_seed(4)
    observation, first = torch.rand(6, size), torch.ones(6, dtype=torch.bool)
    job = torch.tensor([-1, 0, 1, 2, 0, -1], dtype=torch.int32)
    expected, _ = trained.logits(observation, first, job, trained.initial_state(6))
    noise = torch.randn(6, 5) * expected.abs().max()
    logits, actions = np.zeros((6, 5), np.float32), np.zeros(6, np.int32)
    given = acting.act(
        observation.numpy(), first.numpy(), job.numpy(), noise=noise.numpy(), logits=logits, actions=actions
    )
    assert given is actions
    np.testing.assert_allclose(logits, expected, atol=1e-5 * float(expected.abs().max()))
    np.testing.assert_array_equal(actions, (expected + noise).argmax(dim=-1))
    np.testing.assert_array_equal(acting.logits, logits)
    with pytest.raises(ValueError, match="logits: must be of float32, is of float64"):
        acting.act(observation.numpy(), first.numpy(), logits=logits.astype(np.float64))
    with pytest.raises(ValueError, match=f"observation: must hold {6 * size} values, got {5 * size}"):
        acting.act(observation.numpy()[:5], first.numpy())
    with pytest.raises(ValueError, match="job: must be -1"):
        acting.act(observation.numpy(), first.numpy(), job.numpy() + 1)


def test_memory_travels_and_weights_are_replaced() -> None:
    trained = policy(configuration(), lstm_layers=2)
    size = trained.network.shape.observation_size
    acting = _native.Policy(model_of(trained), batch=3)
    torch.manual_seed(4)
    later, job = torch.zeros(3, dtype=torch.bool), torch.full((3,), -1, dtype=torch.int32)
    state = tuple(torch.randn(2, 3, 48) * 0.3 for _ in range(2))
    acting.set_state(state[0].numpy(), state[1].numpy())
    with torch.no_grad():
        trained.network.policy.bias[1] += 3.0
    acting.set_model(model_of(trained))
    observation = torch.rand(3, size)
    expected, (h, c) = trained.logits(observation, later, job, (state[0], state[1]))
    acting.act(observation.numpy(), later.numpy())
    np.testing.assert_allclose(acting.logits, expected, atol=1e-5 * float(expected.abs().max()))
    for found, wanted in zip(acting.state(), (h, c), strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-6)
    with pytest.raises(ValueError, match="only by those of the same network"):
        acting.set_model(model_of(policy(configuration())))
