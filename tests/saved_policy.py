"""Checkpoints of policies that tests make instead of training them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mvfstrl.checkpoint import save_checkpoint
from mvfstrl.policy import NetworkPolicy


def save_policy(folder: Path, policy: NetworkPolicy, **network: Any) -> Path:
    """`network`: the NetworkConfig that the policy's network was made with."""
    content = {
        "spec": policy.spec,
        "config": policy.config,
        "jobs": policy.jobs,
        "shape": policy.network.shape._asdict(),
        "network": network,
        "step": policy.step,
        "learner": {"network": policy.network.state_dict()},
    }
    return save_checkpoint(folder, content, step=policy.step)
