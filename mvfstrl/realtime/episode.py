"""aioquic's real-time episodes: a path, a connection over it, and a report as virtual time would give it."""

from __future__ import annotations

import asyncio
import json
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from aioquic.quic.logger import QuicLogger

from mvfstrl.realtime.certificates import certificate_in
from mvfstrl.realtime.clock import precise_loop
from mvfstrl.realtime.endpoints import sender_configuration
from mvfstrl.realtime.errors import RealtimeError
from mvfstrl.realtime.hosts import PROGRESS_S, Played, Progress, episode_report, settled_memory
from mvfstrl.realtime.path import emulated_path, path_report
from mvfstrl.realtime.receiver import ReceiverProcess
from mvfstrl.realtime.sender import Sender, connected_sender

if TYPE_CHECKING:
    from mvfstrl._native import EmulatedPath, PolicyModel
    from mvfstrl.realtime.policy import AskedPolicy


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
        """As `Host.play_episode`; `qlog`: where aioquic's log goes."""
        from mvfstrl._native import HostedConnection

        hosted = HostedConnection(config, seed=seed, policy=model, job=job, guard=guard, series=True)
        logger = QuicLogger() if qlog is not None else None
        server, length_s = self._receiver.address, config["episode_ms"] / 1000.0
        with (
            emulated_path(
                config,
                server=server,
                seed=seed,
                scenario=scenario,
                log=log,
                emulator=self._emulator,
                series=True,
            ) as path,
            closing(precise_loop()) as loop,
            settled_memory(),
        ):
            played = loop.run_until_complete(self._play(path, hosted, length_s, policy, logger, progress))
        if qlog is not None and logger is not None:
            _keep(logger, qlog)
        return episode_report(config, seed, path.scenario, played)

    async def _play(
        self,
        path: EmulatedPath,
        hosted: Any,
        length_s: float,
        policy: AskedPolicy | None,
        logger: QuicLogger | None,
        progress: Progress | None,
    ) -> Played:
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
            return Played(
                path_report(path),
                hosted.report(sender.now_ns()),
                1000.0 * (began - zero),
                sender.latencies_ms,
                sender.lateness.take(),
                self._receiver.report(),
            )
        finally:
            sender.leave()


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
