"""mode=trace: the greedy policy for other programs, with all that a host needs to feed it inside.

`policy.mvfstrl` is for the native core (mvfstrl/policy_file.py). `policy.pt` is TorchScript: it loads with
plain `torch.jit.load`, without this package. Its forward is

    logits, action, h, c = policy(observation [B, D], first [B] bool, h, c, job=None)

with h, c from `policy.initial_state(B)` at first; `first` marks a connection's first decision, where memory
starts empty; `job` [B] int is the scenario's index in training, for policies that were shown it (None: not
known). The archive's extra file `spec.json` holds the observation and action spec, the configuration and the
jobs; the same text lies beside it as `policy.json`. Before anything is left in the run directory, the files
are read back and held against the eager network, decision by decision, over an episode of the environment.
"""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from mvfstrl import agreement, policy_file
from mvfstrl.agreement import Agreement, NativeTwin, Twin
from mvfstrl.checkpoint import require_same_spec
from mvfstrl.config import Config, Mode, native_config
from mvfstrl.config.schema import ExportConfig
from mvfstrl.policy import ExportedPolicy, NetworkPolicy, PolicyStep, load_policy
from mvfstrl.policy_file import FORMAT, SPEC_FILE, VERSION, ExportError, description_text
from mvfstrl.rundir import RunDirectory

if TYPE_CHECKING:
    from mvfstrl._native import VectorEnvironment

logger = logging.getLogger(__name__)

TOLERANCE = 1e-6
"""Largest difference of a logit of policy.pt, relative to the largest logit of its decision."""


@dataclass(frozen=True)
class Check:
    """What the comparison of the exported with the eager policy saw."""

    decisions: int
    worst_difference: float
    """Of a logit of policy.pt, relative to its decision's largest."""
    native: float
    """The same of policy.mvfstrl."""


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
        path, check = export(policy, environment, run.path, cfg.export)
    finally:
        environment.close()
    print(
        f"exported {path} and {policy_file.NAME}: equal to the eager policy over {check.decisions} "
        f"decisions, logits within {check.worst_difference:.1e} and {check.native:.1e}"
    )
    return check.worst_difference


def export(
    policy: NetworkPolicy,
    environment: VectorEnvironment,
    folder: Path,
    further: ExportConfig | None = None,
) -> tuple[Path, Check]:
    """Writes policy.pt, policy.json, policy.mvfstrl and the `further` forms once what is on disk has proved
    equal to `policy`.
    """
    network = policy.network
    text = description_text(policy)
    module = ExportedPolicy(PolicyStep(network).traced(), network.lstm_layers, network.hidden_size)
    scripted = torch.jit.script(module.eval())
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".policy-") as scratch:
        partial, native = Path(scratch) / "policy.pt", Path(scratch) / policy_file.NAME
        torch.jit.save(scripted, str(partial), _extra_files={SPEC_FILE: text})
        policy_file.write(policy, native)
        twins: dict[str, Twin] = {"policy.pt": ScriptTwin(partial), policy_file.NAME: NativeTwin(native)}
        twins |= further_twins(policy, Path(scratch), further or ExportConfig())
        check = compare(policy, twins, environment)
        (Path(scratch) / "policy.json").write_text(text)
        for name in (*twins, "policy.json"):
            (Path(scratch) / name).replace(folder / name)
    return folder / "policy.pt", check


def further_twins(policy: NetworkPolicy, folder: Path, forms: ExportConfig) -> dict[str, Twin]:
    """Writes the optional forms that are asked for, each into a file of its name."""
    twins: dict[str, Twin] = {}
    if forms.onnx:
        from mvfstrl import export_onnx

        twins[export_onnx.NAME] = export_onnx.write(policy, folder / export_onnx.NAME)
    if forms.aoti:
        from mvfstrl import export_aoti

        twins[export_aoti.NAME] = export_aoti.write(policy, folder / export_aoti.NAME)
    return twins


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


class ScriptTwin:
    """An exported policy.pt that is shown what another policy sees."""

    def __init__(self, path: Path) -> None:
        self.module, _ = load_exported(path)
        self.state: list[Tensor] | None = None

    @torch.inference_mode()
    def __call__(self, observation: Tensor, first: Tensor, job: Tensor) -> Tensor:
        if self.state is None:
            self.state = self.module.initial_state(len(observation))
        logits: Tensor
        logits, _, *self.state = self.module(observation, first, *self.state, job)
        return logits


def compare(policy: NetworkPolicy, twins: Mapping[str, Twin], environment: VectorEnvironment) -> Check:
    """Drives an episode of one connection with the eager policy while the exported ones look on.

    Raises ExportError at the first decision where they differ.
    """
    tolerances = dict.fromkeys(twins, agreement.TOLERANCE) | {"policy.pt": TOLERANCE}
    found = {name: Agreement() for name in twins}
    for decision, round_ in enumerate(agreement.follow(policy, environment, twins)):
        if round_.ended[0]:
            break
        for name, logits in round_.twins.items():
            found[name].add(round_.logits, logits)
            if found[name].worst_difference > tolerances[name] or found[name].other_actions:
                raise ExportError(
                    f"the exported {name} differs from the eager one at decision {decision}: "
                    f"logits {logits.tolist()} against {round_.logits.tolist()}"
                )
    script, native = found["policy.pt"], found[policy_file.NAME]
    return Check(script.decisions, script.worst_difference, native.worst_difference)
