"""The exported policy as one file, `policy.mvfstrl`, that the native core runs without Python. Its form is
known to `native/policy/policy_file.h` alone: here a checkpoint's policy is handed to it, and its errors are
given the form of ours."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mvfstrl import _native
from mvfstrl.agents.impala.network import ImpalaNetwork
from mvfstrl.checkpoint import require_same_spec, trained_section
from mvfstrl.config.native_config import native_actions, native_observation
from mvfstrl.config.schema import ActionsConfig, HistoryConfig
from mvfstrl.errors import MvfstrlError
from mvfstrl.policy import NetworkPolicy

NAME = "policy.mvfstrl"
SPEC_FILE = "spec.json"
"""Under which the other forms carry the description."""
FORMAT = "mvfst-rl policy"
VERSION = 1

Precision = Literal["fp32", "bf16"]
T = TypeVar("T", HistoryConfig, ActionsConfig)


class ExportError(MvfstrlError):
    """A policy that cannot be exported, or an exported one that cannot be used."""


def write(policy: NetworkPolicy, path: Path, precision: Precision = "fp32") -> None:
    """Writes `policy` to `path`. `bf16` rounds all weights but the head's."""
    config = native_config_of(policy)
    require_same_spec(_native.observation_spec(config), policy.spec, "the policy")
    _native.write_policy_file(
        str(path),
        config=config,
        sizes=network_sizes(policy.network),
        weights=network_arrays(policy.network),
        text=description_text(policy),
        precision=precision,
    )


def load_model(path: Path | str, instructions: str = "auto") -> _native.PolicyModel:
    """What a `policy.mvfstrl` holds, ready for `_native.Policy`."""
    try:
        return _native.PolicyModel(str(path), instructions=instructions)
    except ValueError as error:
        raise ExportError(str(error)) from error


def description(policy: NetworkPolicy) -> dict[str, Any]:
    """What a host must know to feed the policy and to use its answers."""
    network = policy.network
    return {
        "format": FORMAT,
        "version": VERSION,
        "spec": policy.spec,
        "jobs": policy.jobs,
        "state": {"layers": network.lstm_layers, "hidden_size": network.hidden_size},
        "trained_steps": policy.step,
        "config": policy.config,
    }


def description_text(policy: NetworkPolicy) -> str:
    """The same as every exported form of a policy carries it."""
    return json.dumps(description(policy), indent=2) + "\n"


def network_sizes(network: ImpalaNetwork) -> dict[str, int]:
    return {
        "observation_size": network.shape.observation_size,
        "num_actions": network.shape.num_actions,
        "job_inputs": network.job_inputs,
        "layers": len(network.torso) // 2,
        "hidden_size": network.hidden_size,
        "lstm_layers": network.lstm_layers,
    }


def network_arrays(network: ImpalaNetwork) -> list[NDArray[np.float32]]:
    """The weights of a decision in the order in which it meets them: `_native.write_policy_file`'s."""
    normalizer = network.normalizer
    scale = normalizer.variance.sqrt().clamp(min=normalizer.FLOOR).reciprocal()
    mean = normalizer.mean
    if not normalizer.running:
        mean, scale = torch.zeros_like(mean), torch.ones_like(scale)
    tensors: list[Tensor] = [mean, scale, *network.torso.parameters()]
    if network.lstm is not None:
        for weight_ih, weight_hh, bias_ih, bias_hh in network.lstm.all_weights:
            tensors += [weight_ih, weight_hh, bias_ih + bias_hh]
    tensors += [network.policy.weight, network.policy.bias]
    return [tensor.detach().cpu().float().numpy() for tensor in tensors]


def native_config_of(policy: NetworkPolicy) -> dict[str, Any]:
    """The native configuration with the observations, actions and reward that the policy was trained with;
    the rest are defaults."""
    config = _native.default_config()
    kind = policy.config.get("reward", {}).get("kind")
    rewards = _native.default_alternatives()["reward"]
    if kind not in rewards:
        raise ExportError(f"the policy's configuration does not say its reward (reward.kind: {kind!r})")
    return config | {
        "observation": native_observation(_section(policy, "history", HistoryConfig)),
        "actions": native_actions(_section(policy, "actions", ActionsConfig)),
        "reward": {**rewards[kind], "kind": kind},
    }


def _section(policy: NetworkPolicy, name: str, section: type[T]) -> T:
    found = trained_section(policy.config, name, section)
    if found is None:
        raise ExportError(f"the policy's configuration has no section {name}")
    return found
