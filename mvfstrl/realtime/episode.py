"""aioquic's real-time episodes: a path, a connection over it, and a report as virtual time would give it."""

from __future__ import annotations

import asyncio
import json
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from aioquic.quic.logger import QuicLogger

from mvfstrl._native import HostedConnection
from mvfstrl.realtime.clock import precise_loop
from mvfstrl.realtime.endpoints import sender_configuration
from mvfstrl.realtime.errors import RealtimeError
from mvfstrl.realtime.hosts import PROGRESS_S, Episode, Host, Played
from mvfstrl.realtime.path import path_report
from mvfstrl.realtime.receiver import ReceiverProcess
from mvfstrl.realtime.sender import Sender, connected_sender

if TYPE_CHECKING:
    from mvfstrl._native import EmulatedPath


class RealtimeHost(Host):
    """The emulator's thread, a receiver's process, and the caller's thread, which sends."""

    def __init__(self, folder: Path, *, packet_size: int) -> None:
        super().__init__(folder)
        self._packet_size = packet_size
        self._receiver = ReceiverProcess(self._certificate, packet_size)

    def __enter__(self) -> Self:
        self._receiver.__enter__()
        return super().__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._receiver.__exit__(kind, error, trace)
        super().__exit__(kind, error, trace)

    @property
    def _address(self) -> tuple[str, int]:
        return self._receiver.address

    def _play(self, episode: Episode, path: EmulatedPath) -> Played:
        hosted = HostedConnection(
            episode.config,
            seed=episode.seed,
            policy=episode.model,
            job=episode.job,
            guard=episode.guard,
            series=True,
        )
        logger = QuicLogger() if episode.qlog is not None else None
        with closing(precise_loop()) as loop:
            played = loop.run_until_complete(self._send(episode, path, hosted, logger))
        if episode.qlog is not None and logger is not None:
            _keep(logger, episode.qlog)
        return played

    async def _send(
        self, episode: Episode, path: EmulatedPath, hosted: HostedConnection, logger: QuicLogger | None
    ) -> Played:
        loop = asyncio.get_running_loop()
        configuration = sender_configuration(self._certificate.certificate, self._packet_size, logger)
        zero = loop.time()
        path.start()
        sender = await connected_sender(path.client_address, configuration)
        try:
            began = loop.time()
            sender.drive(hosted, episode.policy, began)
            await _until_over(zero, episode, sender)
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


async def _until_over(zero: float, episode: Episode, sender: Sender) -> None:
    loop = asyncio.get_running_loop()
    while (left := zero + episode.length_s - loop.time()) > 0:
        await asyncio.sleep(min(left, PROGRESS_S))
        if sender.ended is not None:
            raise RealtimeError(f"the connection ended after {loop.time() - zero:.1f} s: {sender.ended}")
        if episode.progress is not None:
            episode.progress(min((loop.time() - zero) / episode.length_s, 1.0))


def _keep(logger: QuicLogger, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(logger.to_dict()))
