"""The configuration's shape: one dataclass a Hydra group, and `Config`, which holds them all.

Knobs of the native core take their default from it (`native(...)`); every other default stands here, or in
the agent's own `config.py`. A knob written `Any` is a range: a number, `[low, high]` or `{low, high, log}`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from mvfstrl.agents.base import AgentConfig
from mvfstrl.config.native_defaults import native


class Mode(StrEnum):
    train = "train"
    test = "test"
    trace = "trace"


class Resume(StrEnum):
    """What to do with checkpoints found in the run directory."""

    auto = "auto"
    """Continue from the newest one, start afresh where there is none."""
    never = "never"
    """Start afresh; refuse to overwrite a run that has checkpoints."""
    always = "always"
    """Continue, and fail where there is nothing to continue from."""


@dataclass
class QueueConfig:
    """Bounds of a scenario's queue. Unset bounds do not bind; `bdp` counts bandwidth-delay products."""

    kind: str = field(default_factory=native("scenarios.0.queue.kind"))
    packets: Any = None
    bytes: Any = None
    bdp: Any = None


@dataclass
class ScenarioConfig:
    """A family of paths: each episode draws one path from its ranges."""

    weight: float = field(default_factory=native("scenarios.0.weight"))
    uplink: dict[str, Any] = field(default_factory=dict)
    """The rate process that data crosses: `{kind: constant|poisson|trace|cellular, ...}`."""
    downlink: dict[str, Any] | None = None
    """The one that ACKs cross; null: the same description as `uplink`."""
    delay_ms: Any = field(default_factory=native("scenarios.0.delay_ms"))
    """One-way propagation delay of either direction."""
    loss: Any = field(default_factory=native("scenarios.0.loss"))
    """Probability that a data packet is lost behind the bottleneck."""
    loss_probability: float = field(default_factory=native("scenarios.0.loss_probability"))
    """Probability that an episode has loss at all."""
    queue: dict[str, Any] = field(default_factory=dict)
    ack_queue: dict[str, Any] = field(default_factory=dict)
    overhead_bytes: int = field(default_factory=native("scenarios.0.overhead_bytes"))
    """Bytes that the link carries above the UDP payload."""


@dataclass
class QueueOverride:
    """Set knobs replace those of every scenario's data queue."""

    kind: str | None = None
    packets: Any = None
    bytes: Any = None
    bdp: Any = None


@dataclass
class EnvConfig:
    """Scenarios to run, and overrides that apply to all of them (null: as the scenario says)."""

    scenarios: dict[str, ScenarioConfig] = field(default_factory=dict)
    rate_mbps: Any = None
    delay_ms: Any = None
    loss: Any = None
    loss_probability: float | None = None
    queue: QueueOverride = field(default_factory=QueueOverride)
    uplink: str | None = None
    """env=trace: the mahimahi trace that data crosses."""
    downlink: str | None = None
    """env=trace: the one that ACKs cross; null: the same file."""
    from_fraction: float = 0.0
    """env=trace: plays the part of each file from here..."""
    to_fraction: float = 1.0
    """...to here."""
    random_offset: bool = True
    """env=trace: each episode starts at a random place of the part; false: at its beginning."""
    app: dict[str, Any] = field(default_factory=native("flows.0.app"))
    """What the observed flow sends: `{kind: bulk}`, `{kind: fixed_size, ...}`, `{kind: on_off, ...}`."""
    cross_flows: list[dict[str, Any]] = field(default_factory=list)
    """Flows that share the path: `{scheme: cubic, start_ms: 5000, ...}` each."""
    action_delay: dict[str, Any] = field(default_factory=native("action_delay"))
    """Time from the close of an observation to its action's effect."""
    episode_ms: float = field(default_factory=native("episode_ms"))


@dataclass
class ActionsConfig:
    """What the agent may do to its congestion window."""

    choices: list[str] = field(default_factory=native("actions.list"))
    """In packets: `0` keeps the window, `*2` and `/2` scale it, `-10` and `+10` add; the first one is `0`."""
    min_window_packets: float = field(default_factory=native("actions.min_window_packets"))
    max_window_packets: float = field(default_factory=native("actions.max_window_packets"))


@dataclass
class RewardConfig:
    kind: str = field(default_factory=native("reward.kind"))


@dataclass
class HistoryConfig:
    """What one observation covers."""

    window_kind: str = field(default_factory=native("observation.window_kind"))
    """`time`: a window closes every `window_ms`; `count`: after `window_events` ACK or loss events."""
    window_ms: float = field(default_factory=native("observation.window_ms"))
    window_events: int = field(default_factory=native("observation.window_events"))
    length: int = field(default_factory=native("observation.history"))
    """Past actions that an observation holds."""


@dataclass
class TransportConfig:
    """The QUIC endpoints."""

    name: str = "virtual"
    pacing: bool = field(default_factory=native("transport.pacing"))


@dataclass
class TrackerConfig:
    name: str = "none"


@dataclass
class TestConfig:
    """The comparison of mode=test, also the end of mode=train."""

    __test__ = False  # not a test case, whatever pytest thinks of the name

    schemes: list[str] = field(default_factory=lambda: ["newreno", "cubic", "fixed", "random"])
    """Compared beside the policy."""
    runs: int = 20
    """Episodes of each scheme in each scenario."""
    seed: int = 1_000_000
    """First of the held-out episode seeds; training never draws from them."""
    threads: int = 0
    """0: one a core."""


@dataclass
class ActorsConfig:
    """The simulated environments that gather experience."""

    envs: int = 64
    """Environments in all."""
    groups: int = 2
    """Sets that take turns: while one waits for its actions the others are stepped."""
    threads: int = 0
    """Native worker threads; 0: one a core."""


@dataclass
class Config:
    mode: Mode = Mode.train
    seed: int = 0
    total_steps: int = 2_000_000
    """Decisions to train on, over all environments."""
    device: str = "auto"
    """auto: CUDA where there is one, else CPU."""
    deterministic: bool = False
    """Two runs of one seed give identical checkpoints (CPU; actors and learner take turns)."""
    checkpoint: str | None = None
    """File (or run directory) that mode=test and mode=trace load; mode=train starts from its weights."""
    resume: Resume = Resume.auto
    test_after_train: bool = True
    agent: AgentConfig = field(default_factory=AgentConfig)
    env: EnvConfig = field(default_factory=EnvConfig)
    actions: ActionsConfig = field(default_factory=ActionsConfig)
    reward: RewardConfig = field(default_factory=RewardConfig)
    history: HistoryConfig = field(default_factory=HistoryConfig)
    transport: TransportConfig = field(default_factory=TransportConfig)
    tracker: TrackerConfig = field(default_factory=TrackerConfig)
    test: TestConfig = field(default_factory=TestConfig)
    actors: ActorsConfig = field(default_factory=ActorsConfig)
