"""Hyper-parameters of the IMPALA agent. The only place that holds their defaults."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from mvfstrl.agents.base import AgentConfig


class OptimizerKind(StrEnum):
    rmsprop = "rmsprop"
    adam = "adam"


class JobInput(StrEnum):
    """Who sees the one-hot index of the episode's scenario."""

    none = "none"
    critic = "critic"
    actor_critic = "actor_critic"


class Precision(StrEnum):
    """Of the numbers in matrix products."""

    fp32 = "fp32"
    bf16 = "bf16"


class Normalization(StrEnum):
    """How raw observations enter the network. Neither choice clips."""

    symlog = "symlog"
    """sign(x) log(1 + |x|): no state, compresses the tails."""
    running = "running"
    """symlog, then standardised by the running mean and variance of what the learner has seen."""


@dataclass
class NetworkConfig:
    hidden_size: int = 128
    """Width of every hidden layer and of the LSTM."""
    layers: int = 2
    """Hidden layers of the MLP torso."""
    lstm: bool = True
    """Memory after the torso; false gives a feed-forward policy."""
    lstm_layers: int = 1
    normalization: Normalization = Normalization.running
    job_id: JobInput = JobInput.critic
    """Who sees the scenario's index. A deployed policy cannot know it: the critic only, by default."""


@dataclass
class LossConfig:
    discount: float = 0.9
    """Per decision. A decision lasts about 100 ms, so 0.9 looks a second ahead: several times what a queue
    takes to fill or drain, and short enough that the link's own whims do not drown what an action did."""
    vtrace: bool = True
    """Corrects for the lag between the policy that acted and the one that learns; false takes every
    importance weight for 1."""
    rho_clip: float = 1.0
    """Truncation of the importance weights of temporal differences: sets whose value is learnt."""
    c_clip: float = 1.0
    """Truncation of the trace-cutting weights: sets the speed of convergence only."""
    pg_rho_clip: float = 1.0
    """Truncation of the importance weight of the policy gradient."""
    trace_lambda: float = 0.9
    """Extra decay of the trace (the paper's remark 2); 1 is plain V-trace."""
    baseline_cost: float = 0.5
    entropy_cost: float = 0.05
    entropy_cost_final: float | None = 0.002
    """Where set, the entropy cost moves linearly to this value at the end of training."""
    normalize_reward: bool = True
    """Learns values and advantages on each job's own running scale (see value_scale.py)."""


@dataclass
class OptimizerConfig:
    kind: OptimizerKind = OptimizerKind.adam
    learning_rate: float = 5e-4
    decay: bool = True
    """Linear decay of the learning rate to zero over total_steps."""
    grad_clip: float = 1.0
    """Largest global gradient norm; 0 turns clipping off."""
    epsilon: float = 1e-5
    momentum: float = 0.0
    """Of RMSprop."""
    alpha: float = 0.99
    """Smoothing of RMSprop."""
    beta1: float = 0.9
    beta2: float = 0.999


@dataclass
class ImpalaConfig(AgentConfig):
    name: str = "impala"
    network: NetworkConfig = field(default_factory=NetworkConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    unroll_length: int = 40
    """Decisions in one trajectory (T)."""
    batch_size: int = 32
    """Unrolls in one learner step; a group of more environments is learnt from in several steps."""
    precision: Precision = Precision.fp32
    """bf16: matrix products of learner and actors are of bfloat16 numbers, twice as fast where the processor
    knows them; parameters, sums and everything else stay in single precision."""
    max_policy_lag: int | None = None
    """Updates that the learner may be ahead of the policy that acted; actors wait before it gets more. null:
    as many as two unrolls take that wait for the learner, beside the one that each group is playing."""
    siblings: int = 4
    """Environments that play the same episodes, each with its own actions: their mean takes the link's luck
    out of the policy gradient. Fewer where groups or batches do not split into such sets; 1 turns it off."""
    learner_threads: int = 0
    """Threads that share an update's columns. 0: one for every 16 of them, at most one a core; only one where
    the network is small, or the run deterministic. On CUDA there is always one."""
    checkpoint_steps: int = 250_000
    """Decisions between two checkpoints. There is always one at the end, however a run ends."""
    checkpoints_kept: int = 2
    """The newest ones; where the newest is damaged the one before is used."""


def validate(config: ImpalaConfig) -> list[str]:
    """Every problem as `key: what is wrong`, the key dotted and relative to the agent; empty when none."""
    problems: list[str] = []

    def need(ok: bool, key: str, rule: str, value: object) -> None:
        if not ok:
            problems.append(f"{key}: must be {rule}, got {value!r}")

    network, loss, optimizer = config.network, config.loss, config.optimizer
    need(network.hidden_size >= 1, "network.hidden_size", "at least 1", network.hidden_size)
    need(network.layers >= 0, "network.layers", "0 or more", network.layers)
    need(network.lstm_layers >= 1, "network.lstm_layers", "at least 1", network.lstm_layers)
    need(0.0 <= loss.discount < 1.0, "loss.discount", "in [0, 1)", loss.discount)
    for key in ("rho_clip", "c_clip", "pg_rho_clip"):
        need(getattr(loss, key) > 0.0, f"loss.{key}", "above 0", getattr(loss, key))
    need(loss.c_clip <= loss.rho_clip, "loss.c_clip", "at most loss.rho_clip", loss.c_clip)
    need(0.0 <= loss.trace_lambda <= 1.0, "loss.trace_lambda", "in [0, 1]", loss.trace_lambda)
    for key in ("baseline_cost", "entropy_cost"):
        need(getattr(loss, key) >= 0.0, f"loss.{key}", "0 or more", getattr(loss, key))
    final = loss.entropy_cost_final
    need(final is None or final >= 0.0, "loss.entropy_cost_final", "null or 0 or more", final)
    need(optimizer.learning_rate > 0.0, "optimizer.learning_rate", "above 0", optimizer.learning_rate)
    need(optimizer.grad_clip >= 0.0, "optimizer.grad_clip", "0 or more", optimizer.grad_clip)
    need(optimizer.epsilon > 0.0, "optimizer.epsilon", "above 0", optimizer.epsilon)
    for key in ("momentum", "alpha", "beta1", "beta2"):
        need(0.0 <= getattr(optimizer, key) < 1.0, f"optimizer.{key}", "in [0, 1)", getattr(optimizer, key))
    lag = config.max_policy_lag
    need(lag is None or lag >= 0, "max_policy_lag", "null or 0 or more", lag)
    need(config.learner_threads >= 0, "learner_threads", "0 or more", config.learner_threads)
    need(config.unroll_length >= 1, "unroll_length", "at least 1", config.unroll_length)
    for key in ("batch_size", "siblings", "checkpoint_steps", "checkpoints_kept"):
        need(getattr(config, key) >= 1, key, "at least 1", getattr(config, key))
    return problems
