"""The native core's Python face; native/bindings is where it is made."""

from collections.abc import Callable
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

def default_config() -> dict[str, Any]:
    """Every knob's default, in the form that `VectorEnvironment` takes."""

def default_alternatives() -> dict[str, dict[str, dict[str, Any]]]:
    """For each mapping with a `kind` (rate, controller, app, cross_traffic, reward, action_delay): its
    kinds' defaults."""

def observation_spec(config: dict[str, Any]) -> dict[str, Any]:
    """`{version, hash, observation: [{name, low, high, unit}], actions, reward, window, dtype}`."""

def observation_fields() -> list[dict[str, Any]]:
    """The fields that an observation's statistics are of: `{name, kind, raw_unit, norm, high, meaning}`."""

def window_rewards(
    config: dict[str, Any],
    acked_bytes: NDArray[np.int64],
    *,
    length_ms: float,
    delay_ms: float,
    rtt_ms: float,
) -> NDArray[np.float64]:
    """What windows without loss would earn in which so many bytes are acknowledged, delays being the same in
    all."""

class StepBatch:
    """One round's results, a row an agent of each environment, environment by environment; views, valid until
    the group's next round.

    The rows of agents whose flow has not started or has stopped are not `active`: zeros, with `truncated` set
    because no transition leads out of them. `over`: the environment's episode ended with this step.
    """

    @property
    def observation(self) -> NDArray[np.float32]: ...
    @property
    def reward(self) -> NDArray[np.float32]: ...
    @property
    def terminated(self) -> NDArray[np.bool_]: ...
    @property
    def truncated(self) -> NDArray[np.bool_]: ...
    @property
    def first(self) -> NDArray[np.bool_]: ...
    @property
    def active(self) -> NDArray[np.bool_]: ...
    @property
    def over(self) -> NDArray[np.bool_]: ...
    @property
    def job(self) -> NDArray[np.int32]: ...
    @property
    def skipped(self) -> NDArray[np.int32]: ...
    @property
    def window_packets(self) -> NDArray[np.float32]: ...

class StepRows:
    """Arrays of the caller's that rounds are written into and actions are read from, a row of them a round:
    `observation` [R, n, D], `action` [R - 1, n], the others [R, n], n a group's rows. Contiguous and
    writable, or the error names the array.
    """

    def __init__(
        self,
        *,
        observation: NDArray[np.float32],
        reward: NDArray[np.float32],
        terminated: NDArray[np.bool_],
        truncated: NDArray[np.bool_],
        first: NDArray[np.bool_],
        job: NDArray[np.int32],
        action: NDArray[np.int32],
    ) -> None: ...
    @property
    def observation(self) -> NDArray[np.float32]: ...
    @property
    def reward(self) -> NDArray[np.float32]: ...
    @property
    def terminated(self) -> NDArray[np.bool_]: ...
    @property
    def truncated(self) -> NDArray[np.bool_]: ...
    @property
    def first(self) -> NDArray[np.bool_]: ...
    @property
    def job(self) -> NDArray[np.int32]: ...
    @property
    def action(self) -> NDArray[np.int32]: ...

class VectorEnvironment:
    """Environments in contiguous groups. `reset`, `reset_with` and `send` begin a round, `recv` completes it.

    `num_threads=0`: no workers, `recv` steps in the calling thread. `siblings`: so many environments side by
    side, and their rows, play the same episodes, each with actions of its own. `record_series`: episode
    reports hold `series`, a mapping of columns with a row a flow and window (native/environment/series.h).
    `record_events`: they hold `events`, a mapping a flow (native/transport/event_log.h says of what):
    `order`, the kind of each event (0 sent, 1 ack, 2 lost, 3 metrics, 4 state, 5 action), and the columns of
    each kind, `sent`, `acks`, `lost`, `metrics`, `states`, `actions`.
    """

    def __init__(
        self,
        config: dict[str, Any],
        *,
        num_envs: int,
        num_groups: int = 1,
        num_threads: int = 1,
        seed: int = 0,
        siblings: int = 1,
        record_series: bool = False,
        record_events: bool = False,
    ) -> None: ...
    @property
    def num_envs(self) -> int: ...
    @property
    def num_groups(self) -> int: ...
    @property
    def group_size(self) -> int:
        """Rows of a group: its environments times their agents."""
    @property
    def num_agents(self) -> int:
        """Of an environment: flow 0, and every other whose controller is `external` or `random`."""
    @property
    def observation_size(self) -> int: ...
    @property
    def num_actions(self) -> int: ...
    def reset(self, group: int) -> None: ...
    def reset_with(
        self, group: int, episode_seeds: NDArray[np.uint64], scenarios: NDArray[np.int32]
    ) -> None: ...
    def send(self, group: int, actions: NDArray[np.int32]) -> None: ...
    def recv(self, group: int) -> StepBatch: ...
    def reset_into(self, group: int, rows: StepRows, t: int) -> None:
        """A `reset` whose results go to row `t`, written by the threads that step; `wait` completes it. The
        rows are kept until the group's next round."""
    def step_into(self, group: int, rows: StepRows, t: int) -> None:
        """A `send` of the actions in row `t`, whose results go to row `t + 1`."""
    def wait(self, group: int) -> None:
        """Completes a round as `recv` does, and makes no object."""
    def drain_episodes(self) -> list[dict[str, Any]]: ...
    def counters(self, env: int) -> dict[str, Any]:
        """What the path and the endpoints of an environment have counted in the running episode."""
    def close(self) -> None: ...

def replay_log(
    log: bytes,
    name: str,
    *,
    trace: str,
    queue: str,
    packets: int | None = None,
    bytes: int | None = None,
) -> dict[str, Any]:
    """Replays a mahimahi link log: `{arrivals, departures, drops, mismatch}`."""

def load_trace(path: str) -> NDArray[np.uint32]:
    """A mahimahi trace's opportunities in ms."""

def constant_trace(mbps: float) -> NDArray[np.uint32]:
    """Those of a generated trace of constant rate."""

def periodic_trace(opportunities: int, every_ms: float) -> NDArray[np.uint32]: ...
def poisson_trace(mbps: float, head_ms: float, seed: int) -> NDArray[np.uint32]: ...
def cellular_opportunities(
    *,
    level_mbps: float,
    max_mbps: float,
    volatility_mbps: float,
    reversion_ms: float,
    outage_ms: float,
    burst: float,
    duration_ms: float,
    seed: int,
) -> NDArray[np.float64]:
    """Times in ms at which the cellular process offers 1500 bytes each."""

def play_logged(
    config: dict[str, Any], *, seed: int = 0, scenario: int = 0
) -> dict[str, dict[str, NDArray[Any]]]:
    """One episode of controllers that need no actions: what happened at `uplink` and `downlink`, in columns
    `kind` (0 arrival, 1 drop, 2 departure), `at_ns`, `entered_ns`, `packets`, `bytes`."""

class EmulatedPath:
    """A path between the client that sends to `client_address` and a server, until closed; then `report` says
    what came of it."""

    @property
    def scenario(self) -> str: ...
    @property
    def client_address(self) -> tuple[str, int]: ...
    def start(self) -> None:
        """Sets the path's time zero, which its first datagram does otherwise."""
    def stall(self, duration_ms: float) -> None:
        """Whatever enters the path from now on for so long is lost; what is inside comes out."""
    def report(self) -> dict[str, Any]:
        """As of now; `mvfstrl.realtime.path.PathReport`. OSError if a log could not be written."""
    def close(self) -> None: ...
    def __enter__(self) -> EmulatedPath: ...
    def __exit__(self, *exc: object) -> None: ...

class Emulator:
    """Emulated paths under the real clock, driven by a thread of its own (native/emulator)."""

    def __init__(self) -> None: ...
    def add_path(
        self,
        config: dict[str, Any],
        *,
        scenario: str | int = 0,
        seed: int,
        server: tuple[str, int],
        listen: str = "127.0.0.1",
        log: str | None = None,
        series: bool = False,
    ) -> EmulatedPath:
        """The path that an environment of this configuration draws for an episode of that seed and scenario.
        `series`: its report holds one of the data link, a list a column, of the windows that are over.
        ValueError naming what is wrong; OSError naming the address that cannot be had."""
    def add_tunnel(
        self,
        config: dict[str, Any],
        *,
        scenario: str | int = 0,
        seed: int,
        inner: str,
        outer: str,
        log: str | None = None,
    ) -> EmulatedPath:
        """The same between two TUN devices, which it makes: what is routed into `inner` crosses the data link
        to `outer`, what is routed into `outer` the other. Takes root; `client_address` means nothing."""

    @property
    def has_priority(self) -> bool:
        """Whether its thread goes before the host's other work, which takes root or CAP_SYS_NICE."""
    def close(self) -> None: ...
    def __enter__(self) -> Emulator: ...
    def __exit__(self, *exc: object) -> None: ...

def path_departures(
    config: dict[str, Any],
    *,
    scenario: str | int = 0,
    seed: int,
    at_ns: NDArray[np.int64],
    payload_bytes: int,
) -> NDArray[np.int64]:
    """The data link of the same path in virtual time: when each datagram that is sent at these times comes
    out, -1 for the lost."""

GUARD_REASONS: tuple[str, ...]
"""Why a guard may take over from a policy."""

def guard_config(guard: dict[str, Any] = {}) -> dict[str, Any]:
    """Every knob of the guard beside a policy (native/policy/guard.h): as given, else its default."""

class HostedConnection:
    """A real connection that one of our controllers drives (native/host/session.h): a transport tells what
    it sends and what becomes of it, and is told the window; whoever decides is shown an observation a window
    and answers when it can. `config` as `VectorEnvironment` takes it, of which flow `flow` says the scheme;
    `seed`: the episode's; `policy`: answers in the connection itself, `job` the scenario's index in its
    training, -1 for none; `guard`: the knobs of one beside the agent, none for none; `series`: the report
    holds one, a list a column, of the windows of `window_ms` that are over since the start. Times are whole
    nanoseconds from one moment on, and never run backwards. One thread."""

    def __init__(
        self,
        config: dict[str, Any],
        *,
        flow: int = 0,
        seed: int = 0,
        policy: PolicyModel | None = None,
        job: int = -1,
        guard: dict[str, Any] | None = None,
        series: bool = False,
    ) -> None: ...
    def start(self, now_ns: int) -> None:
        """The first window begins. Once."""
    def finish(self, now_ns: int, complete: bool = False) -> None:
        """The last window ends, and with it the last step: terminated if the transfer is `complete`, else
        truncated."""
    def packet_sent(
        self,
        now_ns: int,
        number: int,
        size_bytes: int,
        ack_eliciting: bool = True,
        app_limited: bool = False,
        retransmitted_bytes: int = 0,
    ) -> None:
        """`number` rises with each packet, over all packet-number spaces together, and may leave gaps.
        Packets that elicit no acknowledgement are left out of the books."""
    def packet_acked(self, number: int) -> None:
        """As all below, takes effect with the next flush(). What is said of unknown packets, or twice, is
        counted in report() and no error."""
    def packet_lost(self, number: int) -> None: ...
    def packet_discarded(self, number: int) -> None:
        """At once: neither acknowledged nor lost, as when keys are dropped."""
    def rtt_sample(self, latest_ns: int, ack_delay_ns: int = 0) -> None:
        """Of the acknowledgements that the next flush() books."""
    def probe_timeout(self) -> None: ...
    def bytes_received(self, bytes: int) -> None: ...
    def flush(self, now_ns: int) -> bool:
        """One event for all that was acknowledged and lost since the last one; False: nothing was."""
    def app_idle(self, now_ns: int, idle: bool) -> None:
        """The application ran out of data, or has some again."""
    @property
    def congestion_window(self) -> int: ...
    @property
    def bytes_in_flight(self) -> int: ...
    @property
    def writable(self) -> int:
        """Bytes that the window still admits."""
    @property
    def pacing(self) -> tuple[int, int] | None:
        """So many bytes over so many nanoseconds; None: all that the window admits may leave at once."""
    @property
    def next_timer_ns(self) -> int | None:
        """When to poll(): a window ends, or a guard's patience does."""
    def poll(self, now_ns: int) -> bool:
        """Closes the windows that are due. True, once an observation, if somebody else is to answer it."""
    @property
    def observation(self) -> NDArray[np.float32]:
        """A copy of the latest one."""
    @property
    def observation_number(self) -> int:
        """Of the latest one, from 1; 0 before."""
    def step(self) -> dict[str, Any]:
        """The step that the latest observation ends: `{reward, first, terminated, truncated, skipped, job,
        active}`."""
    def answer(
        self, now_ns: int, action: int, latency_ns: int | None = None, number: int | None = None
    ) -> bool:
        """Takes effect at once. `latency_ns`: how long it took, by default since the window's end; `number`:
        the observation that is answered, by default the latest; -1 as action of a guarded connection: nothing
        usable came. False: nobody waits for it (any more)."""
    def report(self, now_ns: int) -> dict[str, Any]:
        """What became of the connection so far: the keys of a flow's report that its sender can know, and a
        sender's own (native/environment/hosted_session.h)."""

has_mvfst: bool
"""Whether this build has the two classes below (docs/mvfst.md)."""

class MvfstReceiver:
    """A QUIC server of mvfst that takes all and keeps nothing, on a thread of its own
    (native/mvfst/receiver.h). `qlog`: a folder for its connections' logs. Raises ConnectionError naming the
    address or the file."""

    def __init__(
        self, certificate: str, key: str, *, host: str = "127.0.0.1", port: int = 0, qlog: str | None = None
    ) -> None: ...
    @property
    def address(self) -> tuple[str, int]: ...
    def totals(self) -> dict[str, int]:
        """`{connections, open, received_bytes}` so far."""
    def close(self) -> None: ...

class MvfstSender:
    """A QUIC client of mvfst that fills its path, on a thread of its own (native/mvfst/sender.h). `config`,
    `seed`, `policy`, `job` and `guard` as `HostedConnection` takes them, of which flow 0 is played; `ca`: the
    certificate to trust; `qlog`: a folder for mvfst's log. Calls from one thread, wake() from any; those that
    wait let other threads run. Raises ConnectionError where there is no connection."""

    def __init__(
        self,
        config: dict[str, Any],
        *,
        seed: int = 0,
        server: tuple[str, int],
        ca: str,
        policy: PolicyModel | None = None,
        job: int = -1,
        guard: dict[str, Any] | None = None,
        qlog: str | None = None,
    ) -> None: ...
    def connect(self, patience_ms: float) -> None:
        """Returns after the handshake."""
    def start(self) -> None:
        """The connection's time zero: data flows."""
    def wait(self, patience_ms: float) -> bool:
        """Until there is a question, the connection is over, or wake(); False: `patience_ms` ran out."""
    def wake(self) -> None: ...
    def take_question(self) -> tuple[NDArray[np.float32], dict[str, Any]] | None:
        """Once: an observation and the step that it ends, as HostedConnection.step() has it."""
    def answer(self, action: int) -> None:
        """To the latest question; takes effect as soon as the connection's thread comes to it."""
    @property
    def ended(self) -> str | None:
        """Why the connection is over; None while it lasts."""
    @property
    def complete(self) -> bool:
        """Whether a transfer of fixed size has arrived whole."""
    def finish(self) -> None:
        """The last window closes; nothing is sent from then on. What follows is to be asked afterwards."""
    @property
    def observation(self) -> NDArray[np.float32]: ...
    def step(self) -> dict[str, Any]: ...
    def report(self) -> dict[str, Any]:
        """As HostedConnection.report()."""
    def lateness(self) -> dict[str, float]:
        """How late its thread came to its timers: `{late_p50_ms, late_p99_ms, late_max_ms}`."""
    def close(self) -> None: ...

def play_local(
    config: dict[str, Any],
    policy: PolicyModel,
    *,
    seeds: list[int],
    scenarios: list[int],
    jobs: list[int] = [],
    num_threads: int = 1,
    guard: dict[str, Any] = {},
    record_series: bool = False,
    record_events: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> list[dict[str, Any]]:
    """Plays an episode a seed, in the scenario of that index, on threads of its own, and returns the reports
    that `VectorEnvironment.drain_episodes` would. `jobs`: by scenario, the index that it had in the policy's
    training, -1 for none. `progress(episodes, decisions)`, of those done so far, is called now and then and
    may raise to stop. Reports of guarded flows have `guard`: `fallbacks` by reason, `returns`, `decisions`,
    `shadowed`, `fallback_share` of the time, `events`."""

class PolicyFileError(ValueError):
    """`FILE: what is wrong with it`."""

def write_policy_file(
    path: str,
    *,
    config: dict[str, Any],
    sizes: dict[str, int],
    weights: list[NDArray[np.float32]],
    text: str,
    precision: str,
) -> None:
    """Writes an exported policy. `config`: as `VectorEnvironment` takes it; `sizes`: as
    `PolicyModel.network`; `weights`: mean, scale, weight and bias of each hidden layer, weight_ih,
    weight_hh and the sum of both biases of each memory layer, weight and bias of the head. `precision`:
    fp32, or bf16 (all but the head)."""

def instruction_sets() -> list[str]:
    """Those of this processor that policies can use, the fastest last."""

class PolicyModel:
    """An exported policy's weights, laid out for one instruction set (auto: the best that there is). Any
    number of `Policy`s may share it."""

    def __init__(self, path: str, *, instructions: str = "auto") -> None: ...
    @staticmethod
    def from_network(
        sizes: dict[str, int],
        weights: list[NDArray[np.float32]],
        *,
        precision: str = "fp32",
        instructions: str = "auto",
    ) -> PolicyModel:
        """Of weights in memory, as `write_policy_file` takes them; without spec and text."""
    @property
    def text(self) -> str: ...
    @property
    def network(self) -> dict[str, int]:
        """observation_size, num_actions, job_inputs, layers, hidden_size, lstm_layers."""
    @property
    def spec_hash(self) -> int: ...
    @property
    def precision(self) -> str: ...
    @property
    def weight_bytes(self) -> int:
        """What one decision reads."""
    @property
    def instructions(self) -> str:
        """In use; never auto."""

class Policy:
    """A policy at work for a batch of connections, with their memories inside. For one thread."""

    @overload
    def __init__(self, model: PolicyModel, batch: int = 1) -> None: ...
    @overload
    def __init__(self, path: str, batch: int = 1, *, instructions: str = "auto") -> None: ...
    def act(
        self,
        observation: NDArray[np.float32],
        first: NDArray[np.bool_],
        job: NDArray[np.int32] | None = None,
        *,
        noise: NDArray[np.float32] | None = None,
        logits: NDArray[np.float32] | None = None,
        actions: NDArray[np.int32] | None = None,
    ) -> NDArray[np.int32]:
        """[B, D], [B] (a new connection: its memory starts empty) -> the action of the largest logit, or
        logit plus noise [B, A]. `job` [B]: the scenario's index in training, -1 for one that it did not
        have (as at first); stays until given anew. `logits` [B, A] and `actions` [B] are written in place
        if given."""
    @property
    def logits(self) -> NDArray[np.float32]:
        """Of the latest decisions, [B, A]; a copy."""
    def state(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """h, c after the latest decisions, each [layers, B, hidden]; copies."""
    def set_state(self, h: NDArray[np.float32], c: NDArray[np.float32]) -> None: ...
    def set_model(self, model: PolicyModel) -> None:
        """Other weights for the same network; memories stay."""
    @property
    def model(self) -> PolicyModel: ...
    def __len__(self) -> int: ...
