"""One real-time episode: a path, a connection over it, and a report as virtual time would give it.

Delays, losses and rates are the path's, in its own time; steps, rewards and what the sender saw are the
hosted connection's. What the machine added to either (late timers, late writes) is told beside them.
"""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from aioquic.quic.logger import QuicLogger

from mvfstrl.realtime.certificates import certificate_in
from mvfstrl.realtime.clock import precise_loop
from mvfstrl.realtime.endpoints import sender_configuration
from mvfstrl.realtime.errors import RealtimeError
from mvfstrl.realtime.path import emulated_path, path_report
from mvfstrl.realtime.receiver import ReceiverProcess
from mvfstrl.realtime.sender import Sender, connected_sender

if TYPE_CHECKING:
    from mvfstrl._native import EmulatedPath, PolicyModel
    from mvfstrl.realtime.policy import AskedPolicy

PROGRESS_S = 0.25
Progress = Callable[[float], None]
"""Told every quarter of a second which part of the episode is over; may raise to stop it."""


class RealtimeHost:
    """Plays episodes one after the other: an emulator's thread, a receiver's process, the caller's thread,
    which sends. A context manager; `folder` gets the certificates."""

    def __init__(self, folder: Path, *, packet_size: int) -> None:
        from mvfstrl._native import Emulator

        self._certificate = certificate_in(folder)
        self._packet_size = packet_size
        self._emulator = Emulator()
        self._receiver = ReceiverProcess(self._certificate, packet_size)

    def __enter__(self) -> RealtimeHost:
        self._receiver.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._receiver.__exit__(kind, error, trace)
        self._emulator.close()

    def play_episode(
        self,
        config: dict[str, Any],
        *,
        seed: int,
        scenario: int | str = 0,
        job: int = -1,
        policy: AskedPolicy | None = None,
        model: PolicyModel | None = None,
        guard: dict[str, Any] | None = None,
        log: Path | None = None,
        qlog: Path | None = None,
        progress: Progress | None = None,
    ) -> dict[str, Any]:
        """The report of this episode of `config`, a native configuration: as
        `VectorEnvironment.drain_episodes` gives it, with `realtime` beside it.

        Flow 0 is driven by its classic controller, by `policy`, which is asked, or by `model`, an exported
        policy under `guard` that knows the scenario as `job`. `log`: where the path writes its links' logs;
        `qlog`: where aioquic's log goes.
        """
        from mvfstrl._native import HostedConnection

        hosted = HostedConnection(config, seed=seed, policy=model, job=job, guard=guard)
        logger = QuicLogger() if qlog is not None else None
        server, length_s = self._receiver.address, config["episode_ms"] / 1000.0
        with (
            emulated_path(
                config, server=server, seed=seed, scenario=scenario, log=log, emulator=self._emulator
            ) as path,
            closing(precise_loop()) as loop,
            _settled_memory(),
        ):
            played = loop.run_until_complete(self._play(path, hosted, length_s, policy, logger, progress))
        if qlog is not None and logger is not None:
            _keep(logger, qlog)
        played["receiver"] = self._receiver.report()
        return _report(config, seed, path, hosted, played)

    async def _play(
        self,
        path: EmulatedPath,
        hosted: Any,
        length_s: float,
        policy: AskedPolicy | None,
        logger: QuicLogger | None,
        progress: Progress | None,
    ) -> dict[str, Any]:
        loop = asyncio.get_running_loop()
        configuration = sender_configuration(self._certificate.certificate, self._packet_size, logger)
        zero = loop.time()
        path.start()
        sender = await connected_sender(path.client_address, configuration)
        try:
            began = loop.time()
            sender.drive(hosted, policy, began)
            await _until(zero + length_s, zero, length_s, sender, progress)
            sender.stop()
            told = {
                "path": path_report(path),
                "sender": hosted.report(sender.now_ns()),
                "handshake_ms": 1000.0 * (began - zero),
                "latencies_ms": sender.latencies_ms,
                "timers": sender.lateness.take(),
            }
        finally:
            sender.leave()
        return told


@contextmanager
def _settled_memory() -> Iterator[None]:
    """A collection over all that was imported takes longer than packets may wait."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


async def _until(end: float, zero: float, length_s: float, sender: Sender, progress: Progress | None) -> None:
    loop = asyncio.get_running_loop()
    while (left := end - loop.time()) > 0:
        await asyncio.sleep(min(left, PROGRESS_S))
        if sender.ended is not None:
            raise RealtimeError(f"the connection ended after {loop.time() - zero:.1f} s: {sender.ended}")
        if progress is not None:
            progress(min((loop.time() - zero) / length_s, 1.0))


def _keep(logger: QuicLogger, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(logger.to_dict()))


# What a path knows of a flow; the rest of its report is the sender's.
LINK = (
    "throughput_mbps", "utilisation", "delay_mean_ms", "delay_p50_ms", "delay_p95_ms", "queue_delay_mean_ms",
    "queue_delay_p50_ms", "queue_delay_p95_ms", "loss", "queue_loss", "sent_packets", "delivered_packets",
    "queue_drops", "random_losses", "in_flight_packets",
)  # fmt: skip
FAULTS = ("stalled", "oversized", "overflow", "overruns", "unsent", "unaddressed")


def _report(
    config: dict[str, Any], seed: int, path: EmulatedPath, hosted: Any, played: dict[str, Any]
) -> dict[str, Any]:
    """In the form of an EpisodeReport (native/environment/report.h)."""
    links, sender = played["path"], played["sender"]
    flow = {**sender, **{name: links[name] for name in LINK}, "flow": 0}
    names = [scenario["name"] for scenario in config["scenarios"]]
    return {
        "env": 0,
        "episode": 0,
        "seed": seed,
        "scenario_index": names.index(path.scenario),
        "scenario": path.scenario,
        "steps": sender["steps"],
        "return": sender["return"],
        "return_terms": sender["return_terms"],
        "skipped_observations": sender["skipped_observations"],
        "terminated": sender["terminated"],
        "length_ms": links["length_ms"],
        "flows": [flow],
        "cross_traffic": [],
        "realtime": {
            "late": links["late"],
            **{f"lateness_{part}_ms": links[f"lateness_{part}_ms"] for part in ("p50", "p99", "max")},
            "faults": {name: links[name] for name in FAULTS},
            "acks": links["acks"],
            "handshake_ms": played["handshake_ms"],
            "sender_timers": played["timers"],
            "receiver_timers": played["receiver"],
            "latencies_ms": played["latencies_ms"],
        },
    }
