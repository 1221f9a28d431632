"""Whether two ways of computing a policy agree, over observations of the real environment.

    python -m mvfstrl.agreement CHECKPOINT_OR_RUN [--decisions N] [OVERRIDE...]

exports the policy of a checkpoint in both precisions and holds the native kernels, one for each instruction
set that this processor has, against eager PyTorch: the eager policy drives many environments at once, the
others look on, each with a memory of its own. OVERRIDEs choose the environment, as those of run.py do. Exit
status 1: they differ.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from hydra.errors import HydraException
from numpy.typing import NDArray
from torch import Tensor

from mvfstrl import _native, policy_file
from mvfstrl.checkpoint import require_same_spec
from mvfstrl.config import Config, compose, native_config
from mvfstrl.errors import MvfstrlError
from mvfstrl.policy import NetworkPolicy, load_policy

if TYPE_CHECKING:
    from mvfstrl._native import VectorEnvironment

TOLERANCE = 1e-5
"""Largest difference of a logit, relative to the largest of its decision, in single precision."""
SAME_ACTIONS = 0.999
"""Least share of decisions in which a policy of bfloat16 weights takes the same action."""


class Twin(Protocol):
    """A policy that is shown what another one sees."""

    def __call__(self, observation: Tensor, first: Tensor, job: Tensor) -> Tensor:
        """[B, D], [B] bool, [B] int -> logits [B, A]."""
        ...


class NativeTwin:
    """The native kernel's, of an exported file."""

    def __init__(self, path: Path, batch: int = 1, instructions: str = "auto") -> None:
        self.policy = _native.Policy(policy_file.load_model(path, instructions), batch)
        self.jobs = self.policy.model.network["job_inputs"]

    def __call__(self, observation: Tensor, first: Tensor, job: Tensor) -> Tensor:
        known = torch.where(job < self.jobs, job, -1)
        self.policy.act(observation.numpy(), first.numpy(), known.numpy())
        return torch.from_numpy(self.policy.logits)


@dataclass
class Agreement:
    """What was seen of one twin."""

    decisions: int = 0
    worst_difference: float = 0.0
    """Of a logit, relative to its decision's largest."""
    other_actions: int = 0

    def add(self, expected: Tensor, found: Tensor) -> None:
        largest = expected.abs().amax(dim=-1).clamp(min=1e-12)
        difference = ((expected - found).abs().amax(dim=-1) / largest).nan_to_num(torch.inf)
        self.decisions += len(expected)
        self.worst_difference = max(self.worst_difference, float(difference.max()))
        self.other_actions += int((expected.argmax(dim=-1) != found.argmax(dim=-1)).sum())

    @property
    def same_actions(self) -> float:
        return 1.0 - self.other_actions / max(self.decisions, 1)


@dataclass(frozen=True)
class Round:
    """One decision of every connection."""

    logits: Tensor
    """The eager policy's, [B, A]."""
    twins: dict[str, Tensor]
    ended: NDArray[np.bool_]
    """Connections whose episode ended before this decision."""


def follow(
    policy: NetworkPolicy, environment: VectorEnvironment, twins: Mapping[str, Twin]
) -> Iterator[Round]:
    """Drives `environment` (its first group) with the eager policy's likeliest actions, without end, while
    the twins look on."""
    state = policy.initial_state(environment.group_size)
    environment.reset(0)
    while True:
        batch = environment.recv(0)
        observation, first, job = (
            torch.from_numpy(np.array(array)) for array in (batch.observation, batch.first, batch.job)
        )
        ended = batch.truncated | batch.terminated
        logits, state = policy.logits(observation, first, job, state)
        yield Round(logits, {name: twin(observation, first, job) for name, twin in twins.items()}, ended)
        environment.send(0, logits.argmax(dim=-1).to(torch.int32).numpy())


def native_twins(policy: NetworkPolicy, folder: Path, batch: int) -> dict[str, Twin]:
    """Of both precisions and all instruction sets; the files are written to `folder`."""
    precisions: tuple[policy_file.Precision, ...] = ("fp32", "bf16")
    twins: dict[str, Twin] = {}
    for precision in precisions:
        path = folder / f"{precision}.mvfstrl"
        policy_file.write(policy, path, precision)
        for instructions in _native.instruction_sets():
            twins[f"{precision} {instructions}"] = NativeTwin(path, batch, instructions)
    return twins


def measure(policy: NetworkPolicy, cfg: Config, decisions: int, envs: int) -> dict[str, Agreement]:
    """Over at least so many decisions in the configuration's environments."""
    config = native_config(cfg)
    require_same_spec(_native.observation_spec(config), policy.spec, "the policy")
    environment = _native.VectorEnvironment(config, num_envs=envs, num_threads=0, seed=cfg.seed)
    try:
        with tempfile.TemporaryDirectory(prefix="mvfstrl-agreement-") as folder:
            twins = native_twins(policy, Path(folder), environment.group_size)
            found = {name: Agreement() for name in twins}
            for round_ in follow(policy, environment, twins):
                for name, agreement in found.items():
                    agreement.add(round_.logits, round_.twins[name])
                if all(agreement.decisions >= decisions for agreement in found.values()):
                    return found
    finally:
        environment.close()
    raise AssertionError("unreachable")


def agrees(name: str, agreement: Agreement) -> bool:
    if name.startswith("fp32"):
        return agreement.worst_difference <= TOLERANCE
    return agreement.same_actions >= SAME_ACTIONS


def describe(name: str, agreement: Agreement) -> str:
    verdict = "agrees" if agrees(name, agreement) else "DIFFERS"
    return (
        f"{name:15} {verdict}: {agreement.decisions} decisions, logits within "
        f"{agreement.worst_difference:.1e}, same action in {agreement.same_actions:.4%}"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m mvfstrl.agreement",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("checkpoint", type=Path, help="a checkpoint, a folder of them or a run directory")
    parser.add_argument("overrides", nargs="*", metavar="OVERRIDE", help="such as env=lte")
    parser.add_argument("--decisions", type=int, default=1_000_000)
    parser.add_argument("--envs", type=int, default=256, help="environments at once")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    try:
        found = measure(load_policy(given.checkpoint), compose(given.overrides), given.decisions, given.envs)
    except (MvfstrlError, HydraException) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for name, agreement in found.items():
        print(describe(name, agreement))
    return 0 if all(agrees(name, agreement) for name, agreement in found.items()) else 1


if __name__ == "__main__":
    sys.exit(main())
