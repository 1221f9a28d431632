"""A trained policy as evaluation and export see it: observations in, actions out, memory with the caller."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

import torch
from torch import Tensor, nn

from mvfstrl.agents.impala.config import NetworkConfig
from mvfstrl.agents.impala.network import ImpalaNetwork, NetworkShape, State
from mvfstrl.checkpoint import load_checkpoint, require_same_spec

if TYPE_CHECKING:
    from mvfstrl.config import Config


class Policy(Protocol):
    """Acts for a batch of B connections at once."""

    def initial_state(self, batch: int) -> State: ...

    def act(self, observation: Tensor, first: Tensor, job: Tensor, state: State) -> tuple[Tensor, State]:
        """[B, D] float, [B] bool (a new episode: its memory starts empty), [B] int (scenario's index in
        training, -1 for one that training did not have) -> actions [B] int64, state.
        """
        ...


class NetworkPolicy:
    """The policy of a checkpoint. Greedy takes the likeliest action; otherwise actions are drawn.

    `spec` and `config` are those that it was trained with; `jobs` names its scenarios in the order of their
    index.
    """

    def __init__(
        self,
        network: ImpalaNetwork,
        *,
        greedy: bool = True,
        seed: int = 0,
        spec: dict[str, Any] | None = None,
        config: dict[str, Any] | None = None,
        jobs: list[str] | None = None,
        step: int = 0,
        scenarios: list[str] | None = None,
    ) -> None:
        self.network = network.requires_grad_(False).eval()
        self.greedy = greedy
        self.spec = spec or {}
        self.config = config or {}
        self.jobs = jobs or []
        self.step = step
        self._device = network.policy.weight.device
        self._job_of = _job_table(self.jobs, scenarios).to(self._device) if scenarios is not None else None
        self._generator = torch.Generator(self._device).manual_seed(seed)

    def initial_state(self, batch: int) -> State:
        return self.network.initial_state(batch)

    @torch.inference_mode()
    def act(self, observation: Tensor, first: Tensor, job: Tensor, state: State) -> tuple[Tensor, State]:
        logits, state = self.logits(observation, first, job, state)
        if not self.greedy:
            noise = torch.empty_like(logits).exponential_(generator=self._generator).log_()
            logits = logits - noise
        return logits.argmax(dim=-1).cpu(), state

    @torch.inference_mode()
    def logits(self, observation: Tensor, first: Tensor, job: Tensor, state: State) -> tuple[Tensor, State]:
        """What `act` chooses from: [B, A]."""
        to = self._device
        job = job.to(to)
        if self._job_of is not None:
            job = self._job_of[job.long()]
        logits, h, c = self.network.step(observation.to(to), first.to(to), job, *state)
        return logits, (h, c)


def load_policy(
    path: Path | str,
    device: torch.device | str = "cpu",
    *,
    greedy: bool = True,
    seed: int = 0,
    scenarios: list[str] | None = None,
) -> NetworkPolicy:
    """The policy of a checkpoint file, a folder of them or a run directory (the newest whole one).

    Observations are as `NetworkPolicy.spec` says; `policy_for` also checks that an environment's are.
    """
    content = load_checkpoint(Path(path))
    return NetworkPolicy(
        network_of(content).to(device),
        greedy=greedy,
        seed=seed,
        spec=content["spec"],
        config=content["config"],
        jobs=content["jobs"],
        step=content["step"],
        scenarios=scenarios,
    )


def policy_for(path: Path | str, cfg: Config, *, greedy: bool = True) -> NetworkPolicy:
    """The policy of a checkpoint for the configuration's environments; refused where their spec differs."""
    from mvfstrl._native import observation_spec
    from mvfstrl.config import native_config
    from mvfstrl.train import pick_device

    policy = load_policy(path, pick_device(cfg.device), greedy=greedy, scenarios=list(cfg.env.scenarios))
    require_same_spec(observation_spec(native_config(cfg)), policy.spec, f"checkpoint {path}")
    return policy


def _job_table(jobs: list[str], scenarios: list[str]) -> Tensor:
    return torch.tensor([jobs.index(name) if name in jobs else -1 for name in scenarios], dtype=torch.int32)


def network_of(content: dict[str, Any]) -> ImpalaNetwork:
    """The network that a checkpoint's content describes, with its weights."""
    network = ImpalaNetwork(NetworkShape(**content["shape"]), NetworkConfig(**content["network"]))
    network.load_state_dict(content["learner"]["network"])
    return network


class PolicyStep(nn.Module):
    """One decision as a module with explicit state: (observation, first, job, h, c) -> (logits, h, c)."""

    def __init__(self, network: ImpalaNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(
        self, observation: Tensor, first: Tensor, job: Tensor, h: Tensor, c: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        return self.network.step(observation, first, job, h, c)

    def traced(self) -> torch.jit.ScriptModule:
        """TorchScript of this step, for any batch size."""
        device = self.network.policy.weight.device
        batch = 2  # not 1, which a trace could mistake for a broadcast
        example = (
            torch.zeros(batch, self.network.shape.observation_size, device=device),
            torch.zeros(batch, dtype=torch.bool, device=device),
            torch.zeros(batch, dtype=torch.int32, device=device),
            *self.network.initial_state(batch),
        )
        with torch.no_grad():
            traced = torch.jit.trace(self.eval(), example)  # type: ignore[no-untyped-call]
        return cast(torch.jit.ScriptModule, traced)


class ExportedPolicy(nn.Module):
    """One greedy decision, as `policy.pt` and `policy.pt2` hold it; `step` as a PolicyStep."""

    def __init__(self, step: nn.Module, layers: int, hidden_size: int) -> None:
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
