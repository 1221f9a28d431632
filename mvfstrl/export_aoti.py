"""`policy.pt2`: one greedy decision compiled by AOTInductor, for C++ programs on a machine like this one.

    logits, action, h, c = policy(observation [B, D], first [B] bool, h, c, job [B] int32)

The arguments are those of `policy.pt` (see mvfstrl.export), all of them: the interface is positional. The
package holds machine code for one thread, for the instruction set of the machine that exports and for one
number of connections (B, 1 unless told), and needs the libtorch of the version that made it. Its metadata
entry `spec.json` is the text of `policy.json`.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mvfstrl.agents.impala.network import State
from mvfstrl.policy import ExportedPolicy, NetworkPolicy, PolicyStep
from mvfstrl.policy_file import SPEC_FILE, ExportError, description_text

NAME = "policy.pt2"


class AotiTwin:
    """An exported policy.pt2 that is shown what another policy sees. `state`: the policy's initial one."""

    def __init__(self, path: Path, state: State) -> None:
        self.model: Any = torch._inductor.aoti_load_package(str(path))
        self.state = state

    @torch.inference_mode()
    def __call__(self, observation: Tensor, first: Tensor, job: Tensor) -> Tensor:
        logits: Tensor
        logits, _, *state = self.model(observation, first, *self.state, job)
        self.state = (state[0], state[1])
        return logits


def write(policy: NetworkPolicy, path: Path, *, batch: int = 1) -> AotiTwin:
    """Compiles the file for `batch` connections and loads it."""
    network = policy.network
    state = network.initial_state(batch)
    decision = ExportedPolicy(PolicyStep(network), network.lstm_layers, network.hidden_size)
    first, job = torch.zeros(batch, dtype=torch.bool), torch.zeros(batch, dtype=torch.int32)
    arguments = (torch.zeros(batch, network.shape.observation_size), first, *state, job)
    options = {"aot_inductor.metadata": {SPEC_FILE: description_text(policy)}, "cpp.threads": 1}
    try:
        with warnings.catch_warnings(), torch.inference_mode():
            warnings.simplefilter("ignore", FutureWarning)  # torch about its own pickles
            program = torch.export.export(decision.eval(), arguments)
            torch._inductor.aoti_compile_and_package(
                program, package_path=str(path), inductor_configs=options
            )
        return AotiTwin(path, state)
    except (RuntimeError, OSError) as error:
        cause = next(iter(str(error).splitlines()), type(error).__name__)
        raise ExportError(f"export.aoti: AOTInductor cannot compile the policy here: {cause}") from error
