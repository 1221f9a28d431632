"""Whose QUIC plays an episode in real time, and what every host of connections is asked and tells.

Delays, losses and rates of an episode are its path's, in the path's own time; steps, rewards and what the
sender saw are the connection's. What the machine added to either (late timers, late writes) is told beside
them.
"""

from __future__ import annotations

import gc
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from mvfstrl import _native
from mvfstrl.errors import ConfigError
from mvfstrl.realtime.certificates import certificate_in
from mvfstrl.realtime.path import emulated_path
from mvfstrl.realtime.series import joined

if TYPE_CHECKING:
    from mvfstrl._native import EmulatedPath, PolicyModel
    from mvfstrl.realtime.path import PathReport
    from mvfstrl.realtime.policy import AskedPolicy

HANDSHAKE_S = 20.0
PROGRESS_S = 0.25
Progress = Callable[[float], None]
"""Told every quarter of a second which part of the episode is over; may raise to stop it."""


@dataclass(frozen=True)
class Episode:
    """What a host plays. Flow 0 is driven by its classic controller, by `policy`, which is asked, or by
    `model`, an exported policy under `guard` that knows the scenario as `job`."""

    config: dict[str, Any]
    """A native configuration."""
    _: KW_ONLY
    seed: int
    scenario: int | str = 0
    job: int = -1
    policy: AskedPolicy | None = None
    model: PolicyModel | None = None
    guard: dict[str, Any] | None = None
    log: Path | None = None
    """Where the path writes its links' logs."""
    qlog: Path | None = None
    """Where the host's own log goes."""
    progress: Progress | None = None

    @property
    def length_s(self) -> float:
        return float(self.config["episode_ms"]) / 1000.0


class Host(ABC):
    """Plays episodes one after the other over the paths of one emulator, whose thread is its own. A context
    manager; `folder` gets the certificates."""

    def __init__(self, folder: Path) -> None:
        self._certificate = certificate_in(folder)
        self._emulator = _native.Emulator()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._emulator.close()

    def play_episode(self, episode: Episode) -> dict[str, Any]:
        """As `VectorEnvironment.drain_episodes` gives it, with `realtime` beside it."""
        with (
            emulated_path(
                episode.config,
                server=self._address,
                seed=episode.seed,
                scenario=episode.scenario,
                log=episode.log,
                emulator=self._emulator,
                series=True,
            ) as path,
            settled_memory(),
        ):
            played = self._play(episode, path)
        return episode_report(episode.config, episode.seed, path.scenario, played)

    @property
    @abstractmethod
    def _address(self) -> tuple[str, int]:
        """Where the receiver listens."""

    @abstractmethod
    def _play(self, episode: Episode, path: EmulatedPath) -> Played:
        """One connection over the path, which is still to be started, from its handshake to its end."""


def host_of(name: str, folder: Path, packet_size: int) -> Host:
    """The host that `realtime.host` names; `folder` gets the certificates."""
    if name == "mvfst":
        require_mvfst("realtime.host")
        from mvfstrl.realtime.mvfst import MvfstHost

        return MvfstHost(folder)
    assert name == "aioquic"
    from mvfstrl.realtime.episode import RealtimeHost

    return RealtimeHost(folder, packet_size=packet_size)


def require_mvfst(key: str) -> None:
    """Raises ConfigError, under the name of `key`, where this installation has none."""
    if not _native.has_mvfst:
        raise ConfigError(
            f"{key}: this installation was built without mvfst; install mvfst, then say "
            "MVFST_ROOT=PREFIX ./setup.sh (docs/mvfst.md)"
        )


@contextmanager
def settled_memory() -> Iterator[None]:
    """A collection over all that was imported takes longer than packets, or a policy, may wait."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@dataclass(frozen=True)
class Played:
    """What came of an episode."""

    path: PathReport
    sender: dict[str, Any]
    """The connection's report."""
    handshake_ms: float
    latencies_ms: list[float]
    """From each question to its answer."""
    sender_timers: dict[str, float]
    receiver_timers: dict[str, float] | None
    """None: nobody knows."""


# What a path knows of a flow; the rest of its report is the sender's.
LINK = (
    "throughput_mbps", "utilisation", "delay_mean_ms", "delay_p50_ms", "delay_p95_ms", "queue_delay_mean_ms",
    "queue_delay_p50_ms", "queue_delay_p95_ms", "loss", "queue_loss", "sent_packets", "delivered_packets",
    "queue_drops", "random_losses", "in_flight_packets",
)  # fmt: skip
FAULTS = ("stalled", "oversized", "overflow", "overruns", "unsent", "unaddressed")


def episode_report(config: dict[str, Any], seed: int, scenario: str, played: Played) -> dict[str, Any]:
    """In the form of an EpisodeReport (native/environment/report.h)."""
    links: dict[str, Any] = dict(played.path)
    sender = played.sender
    flow = {**sender, **{name: links[name] for name in LINK}, "flow": 0}
    series = joined(links["series"], flow.pop("series"), played.handshake_ms)
    names = [each["name"] for each in config["scenarios"]]
    return {
        "env": 0,
        "episode": 0,
        "seed": seed,
        "scenario_index": names.index(scenario),
        "scenario": scenario,
        "steps": sender["steps"],
        "return": sender["return"],
        "return_terms": sender["return_terms"],
        "skipped_observations": sender["skipped_observations"],
        "terminated": sender["terminated"],
        "length_ms": links["length_ms"],
        "flows": [flow],
        "series": series,
        "cross_traffic": [],
        "realtime": {
            "late": links["late"],
            **{f"lateness_{part}_ms": links[f"lateness_{part}_ms"] for part in ("p50", "p99", "max")},
            "faults": {name: links[name] for name in FAULTS},
            "acks": links["acks"],
            "handshake_ms": played.handshake_ms,
            "sender_timers": played.sender_timers,
            "receiver_timers": played.receiver_timers,
            "latencies_ms": played.latencies_ms,
        },
    }
