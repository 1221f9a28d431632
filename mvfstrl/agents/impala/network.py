"""The policy and value network: normalisation, MLP torso, optional LSTM, two heads."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from mvfstrl.agents.impala.config import JobInput, NetworkConfig, Normalization

State = tuple[Tensor, Tensor]
"""LSTM state (h, c), each [layers, B, H]; zero layers where the policy has no memory."""


class NetworkShape(NamedTuple):
    """What the environment fixes. `jobs` is the number of scenarios, of which an episode plays one."""

    observation_size: int
    num_actions: int
    jobs: int


def symlog(x: Tensor) -> Tensor:
    """sign(x) log(1 + |x|): identity around zero, compresses without ever clipping."""
    return x.abs().log1p_().copysign_(x)


class ObservationNormalizer(nn.Module):
    """symlog, then (where `running`) zero mean and unit variance over everything that the learner has seen.

    The statistics are buffers: they travel with the weights to actors, checkpoints and exports. Features that
    hardly vary are amplified at most 1 / `FLOOR` times, so that a rare event does not drown the rest.
    """

    FLOOR = 0.02

    count: Tensor
    mean: Tensor
    variance: Tensor

    def __init__(self, size: int, *, running: bool) -> None:
        super().__init__()
        self.running = running
        self.register_buffer("count", torch.zeros((), dtype=torch.float64))
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("variance", torch.ones(size))

    def forward(self, observation: Tensor) -> Tensor:
        x = symlog(observation)
        if self.running:
            x = (x - self.mean) * self.variance.sqrt().clamp(min=self.FLOOR).reciprocal()
        return x

    def update(self, observation: Tensor) -> None:
        """Merges a batch [..., D] into the running statistics (Chan et al.'s parallel update)."""
        if self.running:
            self.apply_sums(self.sums(observation))

    @torch.no_grad()
    def sums(self, observation: Tensor) -> Tensor:
        """Of a batch [..., D] what the statistics need, flat: sums of several parts of a batch add up to the
        whole's. Empty where nothing runs.
        """
        if not self.running:
            return self.mean.new_empty(0)
        x = symlog(observation).flatten(0, -2)
        # Around the mean so far sums of squares lose no digits, and are ten times faster than torch.var_mean.
        x -= self.mean
        rows = x.new_full((1,), len(x))
        return torch.cat([rows, x.sum(dim=0), x.square_().sum(dim=0)])

    @torch.no_grad()
    def apply_sums(self, sums: Tensor) -> None:
        if not self.running:
            return
        rows, delta, square = torch.split(sums, [1, len(self.mean), len(self.mean)])
        delta = delta / rows
        variance = (square / rows - delta.square()).clamp(min=0)
        total = self.count + rows.squeeze(0)
        weight = (rows / total).float()
        self.variance.lerp_(variance, weight).add_(delta.square() * (weight * (1 - weight)))
        self.mean.add_(delta * weight)
        self.count.copy_(total)


class ImpalaNetwork(nn.Module):
    """Policy logits and normalised value of each observation.

    The value head has one output a job where the critic may see the job (PopArt's form, Hessel et al. 2018),
    so that each job's values live on their own scale; `actor_critic` also gives the torso the job's one-hot.
    Job -1 is a scenario that training did not have: its one-hot is all zeros.
    """

    def __init__(self, shape: NetworkShape, config: NetworkConfig) -> None:
        super().__init__()
        hidden = config.hidden_size
        self.shape = shape
        self.lstm_layers = config.lstm_layers if config.lstm else 0
        self.hidden_size = hidden
        self.job_inputs = shape.jobs if config.job_id == JobInput.actor_critic else 0
        self.value_jobs = shape.jobs if config.job_id != JobInput.none else 1

        self.normalizer = ObservationNormalizer(
            shape.observation_size, running=config.normalization == Normalization.running
        )
        torso: list[nn.Module] = []
        width = shape.observation_size + self.job_inputs
        for _ in range(config.layers):
            torso += [nn.Linear(width, hidden), nn.ReLU()]
            width = hidden
        self.torso = nn.Sequential(*torso)
        self.lstm = nn.LSTM(width, hidden, self.lstm_layers) if config.lstm else None
        core = hidden if config.lstm else width
        self.policy = nn.Linear(core, shape.num_actions)
        self.value = nn.Linear(core, self.value_jobs)
        self._initialise()

    def _initialise(self) -> None:
        for layer in self.torso:
            if isinstance(layer, nn.Linear):
                nn.init.orthogonal_(layer.weight, gain=2**0.5)
                nn.init.zeros_(layer.bias)
        if self.lstm is not None:
            # Forget gates start open: without it an LSTM halves what it remembers in every step.
            for name, bias in self.lstm.named_parameters():
                if name.startswith("bias_ih"):
                    nn.init.ones_(bias[self.hidden_size : 2 * self.hidden_size])
        # A nearly uniform first policy and a zero first value, whatever the observation.
        nn.init.orthogonal_(self.policy.weight, gain=0.01)
        nn.init.zeros_(self.policy.bias)
        nn.init.zeros_(self.value.weight)
        nn.init.zeros_(self.value.bias)

    def initial_state(self, batch: int) -> State:
        device = self.policy.weight.device
        zeros = torch.zeros(self.lstm_layers, batch, self.hidden_size, device=device)
        return zeros, zeros.clone()

    def forward(
        self, observation: Tensor, first: Tensor, job: Tensor, state: State
    ) -> tuple[Tensor, Tensor, State]:
        """[T, B, D], [T, B] bool, [T, B] int -> logits [T, B, A], value [T, B], state after the last row.

        `state` belongs to the row before; it is forgotten wherever `first` is set. Under torch.autocast the
        heads still are in single precision: V-trace compares the logits with those of the policy that acted.
        """
        core = self._torso(observation, job)
        if self.lstm is not None:
            core, state = self._memory(core, first, state)
        with torch.autocast(core.device.type, enabled=False):
            core = core.float()
            return self.policy(core), self._value(core, job), state

    def step(
        self, observation: Tensor, first: Tensor, job: Tensor, h: Tensor, c: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """One decision without the value: [B, D], [B], [B], state -> logits [B, A], state. Free of data-
        dependent branches, so that it can be traced.
        """
        core = self._torso(observation, job)
        if self.lstm is not None:
            core, h, c = self._cells(self.lstm, core, first, h, c)
        return self.policy(core), h, c

    def _torso(self, observation: Tensor, job: Tensor) -> Tensor:
        x = self.normalizer(observation)
        if self.job_inputs > 0:
            index = torch.arange(self.job_inputs, device=job.device)
            x = torch.cat([x, (job.unsqueeze(-1) == index).to(x.dtype)], dim=-1)
        features: Tensor = self.torso(x)
        return features

    def _memory(self, core: Tensor, first: Tensor, state: State) -> tuple[Tensor, State]:
        """The fused kernel over each stretch of rows without a reset in any column; resets only at its head.

        Cutting a stretch costs little (18 cuts in 80 rows: about a fifth more time), a loop over cells costs
        4 times.
        """
        assert self.lstm is not None
        h, c = state
        resets = first.any(dim=1).nonzero().flatten().tolist()
        starts = sorted({0, *resets})
        outputs = []
        for start, end in zip(starts, [*starts[1:], len(first)], strict=True):
            if start in resets:
                keep = first[start].logical_not().to(h.dtype).unsqueeze(-1)
                h, c = h * keep, c * keep
            output, (h, c) = self.lstm(core[start:end], (h, c))
            outputs.append(output)
        return torch.cat(outputs) if len(outputs) > 1 else outputs[0], (h, c)

    def _cells(
        self, lstm: nn.LSTM, core: Tensor, first: Tensor, h: Tensor, c: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """One row through the LSTM's layers. For a single row a cell is faster than the fused kernel, which
        packs its weights anew in each call.
        """
        keep = first.logical_not().to(h.dtype).unsqueeze(-1)
        hs, cs = [], []
        for layer, weights in enumerate(lstm.all_weights):
            core, cell = torch.lstm_cell(core, (h[layer] * keep, c[layer] * keep), *weights)
            hs.append(core)
            cs.append(cell)
        return core, torch.stack(hs), torch.stack(cs)

    def _value(self, core: Tensor, job: Tensor) -> Tensor:
        values: Tensor = self.value(core)
        if self.value_jobs == 1:
            return values.squeeze(-1)
        return values.gather(-1, job.clamp(min=0).long().unsqueeze(-1)).squeeze(-1)
