"""The configuration's shape: one dataclass a Hydra group, and `Config`, which holds them all.

Knobs of the native core take their default from it (`native(...)`); every other default stands here, or in
the agent's own `config.py`. A knob written `Any` is a range: a number, `[low, high]` or `{low, high, log}`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from omegaconf import MISSING

from mvfstrl.agents.base import AgentConfig
from mvfstrl.config.actors import ActorsConfig
from mvfstrl.native_defaults import native, native_range


class Mode(StrEnum):
    train = "train"
    test = "test"
    test_local = "test_local"
    trace = "trace"
    report = "report"


class Resume(StrEnum):
    """What to do with checkpoints found in the run directory."""

    auto = "auto"
    """Continue from the newest one, start afresh where there is none."""
    never = "never"
    """Start afresh; refuse to overwrite a run that has checkpoints."""
    always = "always"
    """Continue, and fail where there is nothing to continue from."""


@dataclass
class ScenarioConfig:
    """A family of paths: each episode draws one path from its ranges."""

    weight: float = field(default_factory=native("scenarios.0.weight"))
    """Episodes choose a scenario in proportion."""
    uplink: dict[str, Any] = field(default_factory=dict)
    """The link that data crosses: `{kind: constant|poisson|trace|cellular|constant_trace|..., ...}`."""
    downlink: dict[str, Any] | None = None
    """The one that ACKs cross; null: described as `uplink` is."""
    delay_ms: Any = field(default_factory=native_range("scenarios.0.delay_ms"))
    """One-way propagation delay, the same in both directions."""
    loss: Any = field(default_factory=native_range("scenarios.0.loss"))
    """Probability that a data packet is lost behind the link, in episodes that have random loss..."""
    loss_probability: float = field(default_factory=native("scenarios.0.loss_probability"))
    """...and the probability of an episode to have it."""
    delay_variation: dict[str, Any] = field(default_factory=dict)
    """Delay beyond `delay_ms`: `{every_ms, step_ms, jitter_ms, random_start}`."""
    reordering: dict[str, Any] = field(default_factory=dict)
    """Data packets that are overtaken: `{probability, extra_ms}`."""
    duplication: Any = None
    """Probability that a data packet arrives twice; null: none does."""
    queue: dict[str, Any] = field(default_factory=dict)
    """Of data: `{kind: infinite|droptail|drophead|codel|pie, packets, bytes, bdp, codel, pie, flavour}`."""
    ack_queue: dict[str, Any] = field(default_factory=dict)
    """Of ACKs, alike."""
    overhead_bytes: int | None = field(default_factory=native("scenarios.0.overhead_bytes"))
    """Bytes on the link beyond the UDP payload; null: the IP and UDP headers, and a trace's tunnel header."""


@dataclass
class QueueOverride:
    """For the data queue of every scenario. One bound given replaces all the bounds of the scenario's own."""

    kind: str | None = None
    packets: Any = None
    bytes: Any = None
    bdp: Any = None
    """In bandwidth-delay products."""
    codel: Any = None
    """Parameters by name: `env.queue.codel={target_ms: 10}`."""
    pie: Any = None
    flavour: str | None = None


@dataclass
class DelayVariationOverride:
    every_ms: Any = None
    """A step of the delay lasts so long..."""
    step_ms: Any = None
    """...and is drawn from this range, `[low, high]`."""
    jitter_ms: Any = None
    """Mean of an exponential delay of each packet's own. No packet overtakes another for either."""


@dataclass
class ReorderingOverride:
    probability: Any = None
    """Of a data packet to be overtaken..."""
    extra_ms: Any = None
    """...by those that follow within this time."""


@dataclass
class EnvConfig:
    """Scenarios to run, and overrides that apply to all of them (null: as each scenario says)."""

    scenarios: dict[str, ScenarioConfig] = field(default_factory=dict)
    rate_mbps: Any = None
    """Of constant and Poisson links; of the ACKs' too, where the scenario does not describe it apart."""
    rate_scale: Any = None
    """Multiplies the rate of every link but a recorded trace."""
    delay_ms: Any = None
    loss: Any = None
    loss_probability: float | None = None
    delay_variation: DelayVariationOverride = field(default_factory=DelayVariationOverride)
    reordering: ReorderingOverride = field(default_factory=ReorderingOverride)
    duplication: Any = None
    """Probability that a data packet arrives twice."""
    queue: QueueOverride = field(default_factory=QueueOverride)
    uplink: str | None = None
    """env=trace: the mahimahi trace file that data crosses."""
    downlink: str | None = None
    """env=trace: the one that ACKs cross; null: the same file."""
    from_fraction: float = field(default_factory=native("kinds.rate.trace.from_fraction"))
    """env=trace: plays the part of each file from here..."""
    to_fraction: float = field(default_factory=native("kinds.rate.trace.to_fraction"))
    """...to here."""
    random_offset: bool = field(default_factory=native("kinds.rate.trace.random_offset"))
    """env=trace: an episode starts at a random place of the part; false: at offset_ms."""
    offset_ms: float = field(default_factory=native("kinds.rate.trace.offset_ms"))
    app: Any = field(default_factory=native("flows.0.app.kind"))
    """What the agents' flows send: bulk, fixed_size, on_off, or `{kind: on_off, on_ms: 500, ...}`."""
    flows: list[dict[str, Any]] = field(default_factory=lambda: [{"scheme": "agent"}])
    """Who shares the path: `{scheme: cubic, start_ms: 5000, ...}` each; the first one's scheme is `agent`."""
    cross_traffic: list[dict[str, Any]] = field(default_factory=list)
    """What else crosses the data link: `{kind: constant, mbps: 3, ...}` each, or on_off, poisson_flows."""
    action_delay_ms: Any = field(default_factory=native("action_delay.ms"))
    """From the close of an observation to its action's effect: a number, `[low, high]`, a list of measured
    delays, `{samples: [...]}`, or `from:FILE` that has them."""
    episode_ms: float = field(default_factory=native("episode_ms"))


@dataclass
class ActionsConfig:
    """What the agent may do to its congestion window."""

    choices: list[str] = field(default_factory=native("actions.list"))
    """In packets: `0` keeps the window, `*2` and `/2` scale it, `-10` and `+10` add; the first one is `0`."""
    initial_window_packets: int = field(default_factory=native("actions.initial_window_packets"))
    min_window_packets: int = field(default_factory=native("actions.min_window_packets"))
    max_window_packets: int = field(default_factory=native("actions.max_window_packets"))
    pacing: bool = field(default_factory=native("actions.pacing"))
    """Spreads the window over the round-trip time; otherwise packets leave as ACKs let them."""


@dataclass
class RewardConfig:
    """A decision window's reward. Formulas and sources: native/observe/reward.h."""

    kind: str = MISSING


@dataclass
class LogRatioReward(RewardConfig):
    kind: str = "log_ratio"
    throughput_factor: float = field(default_factory=native("kinds.reward.log_ratio.throughput_factor"))
    throughput_offset: float = field(default_factory=native("kinds.reward.log_ratio.throughput_offset"))
    delay_factor: float = field(default_factory=native("kinds.reward.log_ratio.delay_factor"))
    delay_offset: float = field(default_factory=native("kinds.reward.log_ratio.delay_offset"))
    loss_factor: float = field(default_factory=native("kinds.reward.log_ratio.loss_factor"))
    loss_offset: float = field(default_factory=native("kinds.reward.log_ratio.loss_offset"))
    use_max_delay: bool = field(default_factory=native("kinds.reward.log_ratio.use_max_delay"))


@dataclass
class LinearReward(RewardConfig):
    kind: str = "linear"
    throughput_factor: float = field(default_factory=native("kinds.reward.linear.throughput_factor"))
    delay_factor: float = field(default_factory=native("kinds.reward.linear.delay_factor"))
    loss_factor: float = field(default_factory=native("kinds.reward.linear.loss_factor"))
    use_max_delay: bool = field(default_factory=native("kinds.reward.linear.use_max_delay"))


@dataclass
class PowerReward(RewardConfig):
    kind: str = "power"
    throughput_exponent: float = field(default_factory=native("kinds.reward.power.throughput_exponent"))
    scale: float = field(default_factory=native("kinds.reward.power.scale"))


@dataclass
class AuroraReward(RewardConfig):
    kind: str = "aurora"
    throughput_factor: float = field(default_factory=native("kinds.reward.aurora.throughput_factor"))
    latency_factor: float = field(default_factory=native("kinds.reward.aurora.latency_factor"))
    loss_factor: float = field(default_factory=native("kinds.reward.aurora.loss_factor"))
    packet_bytes: int = field(default_factory=native("kinds.reward.aurora.packet_bytes"))


@dataclass
class LogPowerReward(RewardConfig):
    kind: str = "log_power"
    throughput_factor: float = field(default_factory=native("kinds.reward.log_power.throughput_factor"))
    throughput_offset: float = field(default_factory=native("kinds.reward.log_power.throughput_offset"))
    rtt_factor: float = field(default_factory=native("kinds.reward.log_power.rtt_factor"))
    loss_factor: float = field(default_factory=native("kinds.reward.log_power.loss_factor"))


REWARDS: dict[str, type[RewardConfig]] = {
    "log_ratio": LogRatioReward,
    "linear": LinearReward,
    "power": PowerReward,
    "aurora": AuroraReward,
    "log_power": LogPowerReward,
}


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
class TrackerConfig:
    """Where metrics go beside the run directory, which always has them."""

    name: str = MISSING


@dataclass
class WandbConfig(TrackerConfig):
    name: str = "wandb"
    project: str = "mvfst-rl"
    entity: str | None = None
    group: str | None = None
    """None: the name of the sweep's folder, if the run is part of a sweep."""
    tags: list[str] = field(default_factory=list)
    """Beside agent, scenarios and, in a sweep, `run-NUMBER`."""
    artifacts: bool = True
    """Whether a finished training's checkpoint and exported policy go along."""
    timeout_s: float = 10.0
    """A server that has not answered by then is left alone: the run is kept offline."""


@dataclass
class TensorboardConfig(TrackerConfig):
    name: str = "tensorboard"


@dataclass
class NoTrackerConfig(TrackerConfig):
    name: str = "none"


TRACKERS: dict[str, type[TrackerConfig]] = {
    "wandb": WandbConfig,
    "tensorboard": TensorboardConfig,
    "none": NoTrackerConfig,
}


@dataclass
class TestConfig:
    """The comparison of mode=test, also the end of mode=train."""

    __test__ = False  # not a test case, whatever pytest thinks of the name

    schemes: list[str] = field(default_factory=lambda: ["newreno", "cubic", "fixed", "random"])
    """Compared beside the agent; also `oracle`, the best fixed window of each scenario, found by search,
    `omniscient`, an upper bound computed from what the link offers, and `impala`, the policy of
    `checkpoint`."""
    policies: dict[str, str] = field(default_factory=dict)
    """Further trained policies, under names of your own: `{NAME: CHECKPOINT}`."""
    anchors: bool = True
    """Plays `random` and `oracle` too: the 0 and the 1 of the normalised score."""
    runs: int = 1000
    """Episodes of each scheme in each scenario."""
    series_runs: int = 1
    """Of so many of them, the first ones, time series are kept."""
    qlog: bool = False
    """Of those, also writes each flow's packets, as qlog: `qlog/SCHEME/SCENARIO-SEED-flowN.sqlog`."""
    seed: int = 1_000_000
    """First of the held-out episode seeds; training never draws from them."""
    report: bool = True
    """Tells the results as a page, `report/index.html`; mode=report does it later."""
    shuffle_observations: bool = False
    """Also plays the policy with its observations shuffled in time: what it learnt must be lost."""
    threads: int = 0
    """0: one a core."""


@dataclass
class ExportConfig:
    """Further forms of a policy that mode=trace writes, and mode=train at its end; docs/inference.md tells of
    them."""

    onnx: bool = False
    """`policy.onnx`, for onnxruntime and others. Needs the extra `export`."""
    aoti: bool = False
    """`policy.pt2`: machine code by AOTInductor, for libtorch. Needs a C++ compiler."""


@dataclass
class LocalConfig:
    """mode=test_local: the exported policy as the native core runs it."""

    precision: str = "auto"
    """Of the weights: fp32, or bf16 (all but the last layer's). auto: as the file is; fp32 where a checkpoint
    is exported first."""
    instructions: str = "auto"
    """Of the processor: portable, avx2, avx512. auto: the best that it has."""


@dataclass
class GuardConfig:
    """What stands beside an exported policy, flow by flow (docs/guard.md)."""

    enabled: bool = field(default_factory=native("guard.enabled"))
    max_latency_ms: float = field(default_factory=native("guard.max_latency_ms"))
    """An answer that takes longer is late."""
    pinned_windows: int = field(default_factory=native("guard.pinned_windows"))
    """So many decisions in a row that ask for the window's upper, or lower, bound are too many."""
    fallback: Any = field(default_factory=native("guard.fallback.kind"))
    """The classic scheme that takes over: its name, or `{kind: cubic, beta: 0.5}` with its knobs."""
    return_after: int = field(default_factory=native("guard.return_after"))
    """Healthy decisions in a row until the policy is back; twice as many each time that it relapses..."""
    max_return_after: int = field(default_factory=native("guard.max_return_after"))
    """...up to so many. One that has driven for so many decisions is forgiven."""


@dataclass
class RealtimeConfig:
    """Real QUIC over emulated paths (docs/realtime.md); transport=aioquic and transport=mvfst set `host`."""

    host: str = "virtual"
    """Whose QUIC: virtual (the simulated endpoints, in virtual time), aioquic, or mvfst (docs/mvfst.md)."""
    server: str | None = None
    """policy=rpc: HOST:PORT (or unix:PATH) of the policy server."""
    token_file: str | None = None
    """Holds the token that it wants..."""
    tls_ca: str | None = None
    """...and the certificate to trust: both are needed where it is on another host."""
    parallel: int = 0
    """Connections at once; 0: half as many as cores, each with a sender's and a receiver's process."""
    qlog: bool = False
    """Keeps the host's own qlog of every connection: `qlog/SCHEME/SCENARIO-SEED.qlog`."""
    log_links: bool = False
    """Keeps mahimahi logs of every path: `links/SCHEME/SCENARIO-SEED.uplink.log`, `.downlink.log`."""


@dataclass
class RanksConfig:
    """Several learners as one, started by torchrun or SLURM."""

    timeout_s: float = 300.0
    """A rank that has not come to an update by then is given up, and the run ends. One that dies is noticed
    at once."""


@dataclass
class ClusterConfig:
    """hydra/launcher=slurm: a sweep's runs as SLURM jobs (docs/slurm.md)."""

    detach: bool = False
    """Returns as soon as the jobs are submitted; `python -m mvfstrl.cluster` tells of them later."""


@dataclass
class Config:
    mode: Mode = Mode.train
    seed: int = 0
    total_steps: int = 5_000_000
    """Decisions to train on, over all environments."""
    device: str = "auto"
    """auto: CUDA where there is one, else CPU."""
    deterministic: bool = False
    """Two runs of one seed give identical checkpoints (CPU; actors and learner take turns)."""
    checkpoint: str | None = None
    """File (or run directory) that mode=test and mode=trace load; mode=train starts from its weights;
    mode=test_local takes a policy.mvfstrl too."""
    resume: Resume = Resume.auto
    test_after_train: bool = True
    objective: list[str] = field(default_factory=lambda: ["reward"])
    """What a run returns to a sweeper: metrics of the agent under test, by name."""
    runs: Any = None
    """mode=report: a study's runs, a folder, pattern or list of them; null: the test in hydra.run.dir."""
    agent: AgentConfig = field(default_factory=AgentConfig)
    env: EnvConfig = field(default_factory=EnvConfig)
    actions: ActionsConfig = field(default_factory=ActionsConfig)
    reward: RewardConfig = field(default_factory=RewardConfig)
    history: HistoryConfig = field(default_factory=HistoryConfig)
    transport: dict[str, Any] = field(default_factory=native("transport"))
    """The QUIC endpoints of every flow: mvfst's two dozen constants, which only the core reads. Their names
    and meanings are those of native/transport/config.h."""
    tracker: TrackerConfig = field(default_factory=TrackerConfig)
    test: TestConfig = field(default_factory=TestConfig)
    policy: str = "direct"
    """mode=test in real time, who answers a learner's observations: direct (this process, by PyTorch), rpc
    (the policy server at realtime.server) or local (the exported policy, inside the sender)."""
    realtime: RealtimeConfig = field(default_factory=RealtimeConfig)
    local: LocalConfig = field(default_factory=LocalConfig)
    guard: GuardConfig = field(default_factory=GuardConfig)
    export: ExportConfig = field(default_factory=ExportConfig)
    actors: ActorsConfig = field(default_factory=ActorsConfig)
    ranks: RanksConfig = field(default_factory=RanksConfig)
    cluster: ClusterConfig = field(default_factory=ClusterConfig)
