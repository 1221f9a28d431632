"""mode=trace: the greedy policy as TorchScript, with all that a host needs to feed it inside.

`policy.pt` loads with plain `torch.jit.load`, without this package. Its forward is

    logits, action, h, c = policy(observation [B, D], first [B] bool, h, c, job=None)

with h, c from `policy.initial_state(B)` at first; `first` marks a connection's first decision, where memory
starts empty; `job` [B] int is the scenario's index in training, for policies that were shown it (None: not
known). The archive's extra file `spec.json` holds the observation and action spec, the configuration and the
jobs; the same text lies beside it as `policy.json`. Before anything is left in the run directory, the file is
read back and held against the eager network, decision by decision, over an episode of the environment.
"""

from __future__ import annotations

import json
import logging
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from mvfstrl.checkpoint import require_same_spec
from mvfstrl.config import Config, Mode, native_config
from mvfstrl.errors import MvfstrlError
from mvfstrl.policy import NetworkPolicy, PolicyStep, load_policy
from mvfstrl.rundir import RunDirectory

if TYPE_CHECKING:
    from mvfstrl._native import VectorEnvironment

logger = logging.getLogger(__name__)

FORMAT = "mvfst-rl policy"
VERSION = 1
SPEC_FILE = "spec.json"
TOLERANCE = 1e-6
"""Largest difference of a logit, relative to the largest logit of its decision."""

State = tuple[Tensor, Tensor]


class ExportError(MvfstrlError):
    """A policy that cannot be exported, or an exported one that cannot be used."""


@dataclass(frozen=True)
class Check:
    """What the comparison of the exported with the eager policy saw."""

    decisions: int
    worst_difference: float
    """Of a logit, relative to its decision's largest."""


class ExportedPolicy(nn.Module):
    """What `policy.pt` holds."""

    def __init__(self, step: torch.jit.ScriptModule, layers: int, hidden_size: int) -> None:
        super().__init__()
        self.step = step
        self.layers = layers
        self.hidden_size = hidden_size

    def forward(
        self, observation: Tensor, first: Tensor, h: Tensor, c: Tensor, job: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        if job is None:
            job = torch.full((observation.shape[0],), -1, dtype=torch.int32, device=observation.device)
        logits, h, c = self.step(observation, first, job, h, c)
        return logits, logits.argmax(dim=-1), h, c

    @torch.jit.export
    def initial_state(self, batch: int) -> tuple[Tensor, Tensor]:
        h = torch.zeros(self.layers, batch, self.hidden_size)
        return h, torch.zeros_like(h)


def trace(cfg: Config, run: RunDirectory) -> float:
    """Exports the policy of `checkpoint`, or of the training that it ends, into the run directory; returns
    the worst difference seen.
    """
    from mvfstrl._native import VectorEnvironment, observation_spec

    checkpoint = run.checkpoints if cfg.mode is Mode.train else cfg.checkpoint
    if checkpoint is None:
        raise ExportError("checkpoint: mode=trace needs one (checkpoint=FILE)")
    config = native_config(cfg)
    policy = load_policy(checkpoint)
    require_same_spec(observation_spec(config), policy.spec, str(checkpoint))
    # One flow is enough to compare two policies on.
    alone = {**config, "flows": [{**config["flows"][0], "stop_ms": None}]}
    environment = VectorEnvironment(alone, num_envs=1, num_threads=0, seed=cfg.seed)
    try:
        path, check = export(policy, environment, run.path)
    finally:
        environment.close()
    print(
        f"exported {path}: equal to the eager policy over {check.decisions} decisions, "
        f"logits within {check.worst_difference:.1e}"
    )
    return check.worst_difference


def export(policy: NetworkPolicy, environment: VectorEnvironment, folder: Path) -> tuple[Path, Check]:
    """Writes policy.pt and policy.json once the file on disk has proved equal to `policy`."""
    network = policy.network
    text = json.dumps(description(policy), indent=2) + "\n"
    module = ExportedPolicy(PolicyStep(network).traced(), network.lstm_layers, network.hidden_size)
    scripted = torch.jit.script(module.eval())
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".policy-") as scratch:
        partial = Path(scratch) / "policy.pt"
        torch.jit.save(scripted, str(partial), _extra_files={SPEC_FILE: text})
        exported, _ = load_exported(partial)
        check = compare(policy, exported, environment)
        (Path(scratch) / "policy.json").write_text(text)
        partial.replace(folder / "policy.pt")
        (Path(scratch) / "policy.json").replace(folder / "policy.json")
    return folder / "policy.pt", check


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


def load_exported(
    path: Path, spec: dict[str, Any] | None = None
) -> tuple[torch.jit.ScriptModule, dict[str, Any]]:
    """An exported policy and its description. With `spec`, refuses a policy that was made for another."""
    extra = {SPEC_FILE: ""}
    try:
        module = torch.jit.load(str(path), map_location="cpu", _extra_files=extra)  # type: ignore[no-untyped-call]
        found = json.loads(extra[SPEC_FILE])
    except (OSError, RuntimeError, ValueError) as error:
        raise ExportError(f"{path}: not an exported policy ({str(error).splitlines()[0]})") from error
    if found.get("format") != FORMAT or found.get("version") != VERSION:
        raise ExportError(f"{path}: not an exported policy of version {VERSION}")
    if spec is not None:
        require_same_spec(spec, found["spec"], str(path))
    return module, found


def compare(policy: NetworkPolicy, exported: torch.jit.ScriptModule, environment: VectorEnvironment) -> Check:
    """Drives an episode with the eager policy while the exported one, with a memory of its own, looks on.

    Raises ExportError at the first decision where they differ.
    """
    state, twin = policy.initial_state(1), exported.initial_state(1)
    environment.reset(0)
    decisions, worst = 0, 0.0
    while True:
        batch = environment.recv(0)
        if batch.truncated[0] or batch.terminated[0]:
            return Check(decisions, worst)
        observation, first = (
            torch.from_numpy(np.array(batch.observation)),
            torch.from_numpy(np.array(batch.first)),
        )
        job = torch.from_numpy(np.array(batch.job))
        logits, state = policy.logits(observation, first, job, state)
        with torch.inference_mode():
            twin_logits, action, *twin = exported(observation, first, *twin, job)
        difference = float((logits - twin_logits).abs().max() / logits.abs().max().clamp(min=1e-12))
        worst = max(worst, difference)
        if difference > TOLERANCE or not torch.equal(action, logits.argmax(dim=-1)):
            raise ExportError(
                f"the exported policy differs from the eager one at decision {decisions}: "
                f"logits {twin_logits.tolist()} against {logits.tolist()}"
            )
        decisions += 1
        environment.send(0, action.to(torch.int32).numpy())
