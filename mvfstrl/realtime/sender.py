"""The sender of a real connection: a QUIC client that fills its path, driven by a hosted connection.

One episode is one connection: handshake, then data for as long as the episode lasts. Packets never wait for a
policy: it is asked when a window closes, and its answer is applied when it comes.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.quic.connection import QuicConnection
from aioquic.quic.events import ConnectionTerminated, QuicEvent

from mvfstrl.realtime.clock import Lateness, udp_socket
from mvfstrl.realtime.congestion import NANOSECONDS, HostedRecovery, host_recovery
from mvfstrl.realtime.errors import RealtimeError
from mvfstrl.realtime.hosts import HANDSHAKE_S

if TYPE_CHECKING:
    from aioquic.quic.configuration import QuicConfiguration

    from mvfstrl._native import HostedConnection
    from mvfstrl.realtime.policy import AskedPolicy, Step

CHUNK = bytes(256 * 1024)
"""What the application hands over at a time."""
ENOUGH = 4 * len(CHUNK)
"""Unsent bytes in the stream below which it hands over more: far above what one wake-up can send."""


class Sender(QuicConnectionProtocol):
    """A bulk sender. After `drive` it is the hosted connection's."""

    def __init__(self, quic: QuicConnection) -> None:
        super().__init__(quic)
        self.recovery: HostedRecovery = host_recovery(quic, quic._send_probe)
        self.lateness = Lateness()
        self.ended: str | None = None
        """Why the connection is over, if it is."""
        self.latencies_ms: list[float] = []
        """From each question to its answer."""
        self._asked_at = 0.0
        self._hosted: HostedConnection | None = None
        self._policy: AskedPolicy | None = None
        self._stream = -1
        self._written = 0
        self._window_timer: asyncio.TimerHandle | None = None
        self._window_due: int | None = None

    def drive(self, hosted: HostedConnection, policy: AskedPolicy | None, began: float) -> None:
        """The hosted connection's time zero is the event loop's `began`; data flows from now on."""
        self._hosted, self._policy = hosted, policy
        self.recovery.attach(hosted, began)
        hosted.start(self.now_ns())
        sample = self.recovery.latest_rtt()
        if sample is not None:  # the handshake's
            hosted.rtt_sample(round(sample * NANOSECONDS), 0)
        if policy is not None:
            policy.begin(self._wake)
        self._stream = self._quic.get_next_available_stream_id(is_unidirectional=True)
        self._top_up()
        self._after_events()
        self.transmit()

    def stop(self) -> None:
        """Nothing more is sent or asked; the hosted connection gets its last window."""
        hosted = self._hosted
        assert hosted is not None
        if self._window_timer is not None:
            self._window_timer.cancel()
        hosted.finish(self.now_ns())
        if self._policy is not None:
            self._policy.end(hosted.observation, cast("Step", hosted.step()))
        self._hosted = self._policy = None

    def leave(self) -> None:
        """Says goodbye, and waits for nobody."""
        self.close()
        for timer in (self._timer, self._window_timer):
            if timer is not None:
                timer.cancel()
        assert self._transport is not None
        self._transport.close()

    # What wakes a connection: a datagram, aioquic's timer, the end of a window, an answer.

    def datagram_received(self, data: bytes | str, addr: object) -> None:
        if self._hosted is not None:
            self._hosted.bytes_received(len(data))
        self._quic.receive_datagram(cast(bytes, data), cast("tuple[str, int]", addr), now=self._loop.time())
        self._process_events()
        self._after_events()
        self.transmit()

    def _handle_timer(self) -> None:
        due = self._timer_at
        assert due is not None
        self.lateness.note(due, self._loop.time())
        now = max(due, self._loop.time())
        self._timer = self._timer_at = None
        self._quic.handle_timer(now=now)
        self._process_events()
        self._after_events()
        self.transmit()

    def _on_window_end(self) -> None:
        assert self._window_timer is not None
        self.lateness.note(self._window_timer.when(), self._loop.time())
        self._window_timer = self._window_due = None
        self._after_events()
        self.transmit()

    def _wake(self) -> None:
        self._loop.call_soon_threadsafe(self._on_answer)

    def _on_answer(self) -> None:
        if self._hosted is None or self._policy is None:
            return
        action = self._policy.poll()
        if action is not None:
            self.latencies_ms.append(1000.0 * (self._loop.time() - self._asked_at))
            self._hosted.answer(self.now_ns(), action)
            self._after_events()
            self.transmit()

    # What follows from it.

    def transmit(self) -> None:
        if self._hosted is not None:
            self.recovery.follow()
            self._top_up()
        super().transmit()

    def _after_events(self) -> None:
        """Flushes what happened, closes a window that is due, asks for its action."""
        hosted = self._hosted
        if hosted is None:
            return
        now = self.now_ns()
        hosted.flush(now)
        if hosted.poll(now) and self._policy is not None:
            self._asked_at = self._loop.time()
            self._policy.ask(hosted.observation, cast("Step", hosted.step()))
        self._arm_window(hosted)

    def _arm_window(self, hosted: HostedConnection) -> None:
        due = hosted.next_timer_ns
        if due == self._window_due:
            return
        if self._window_timer is not None:
            self._window_timer.cancel()
            self._window_timer = None
        if due is not None:
            when = self.recovery.control.time_of(due)
            self._window_timer = self._loop.call_at(when, self._on_window_end)
        self._window_due = due

    def _top_up(self) -> None:
        while self._written - self._sent_offset() < ENOUGH:
            self._quic.send_stream_data(self._stream, CHUNK)
            self._written += len(CHUNK)

    def _sent_offset(self) -> int:
        stream = self._quic._streams.get(self._stream)
        return 0 if stream is None else stream.sender.highest_offset

    def now_ns(self) -> int:
        """Since the hosted connection's time zero."""
        return self.recovery.control.ns(self._loop.time())

    def quic_event_received(self, event: QuicEvent) -> None:
        if isinstance(event, ConnectionTerminated):
            self.ended = event.reason_phrase or f"error {event.error_code:#x}"


async def connected_sender(address: tuple[str, int], configuration: QuicConfiguration) -> Sender:
    """After the handshake."""
    loop = asyncio.get_running_loop()
    transport, sender = await loop.create_datagram_endpoint(
        lambda: Sender(QuicConnection(configuration=configuration)), sock=udp_socket(address[0])
    )
    sender.connect(address)
    try:
        await asyncio.wait_for(sender.wait_connected(), HANDSHAKE_S)
    except (TimeoutError, ConnectionError) as error:
        transport.close()
        why = sender.ended or f"no answer for {HANDSHAKE_S:g} s"
        raise RealtimeError(f"no QUIC connection through {address[0]}:{address[1]}: {why}") from error
    return sender
