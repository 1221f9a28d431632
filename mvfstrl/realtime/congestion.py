"""aioquic's congestion control and loss recovery, as they drive the native core and are driven by it.

aioquic tells of packets one by one, the core wants whole events: what one datagram (or one timer) brought is
collected and flushed as one. Nothing here decides anything; windows and paces come from the core.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from aioquic.quic.congestion.base import QuicCongestionControl, register_congestion_control
from aioquic.quic.packet_builder import QuicSentPacket
from aioquic.quic.recovery import K_MICRO_SECOND, QuicPacketPacer, QuicPacketRecovery, QuicPacketSpace
from aioquic.quic.stream import QuicStreamSender
from aioquic.tls import Epoch

if TYPE_CHECKING:
    from aioquic.quic.connection import QuicConnection
    from aioquic.quic.rangeset import RangeSet

    from mvfstrl._native import HostedConnection

NAME = "mvfst-rl"
NANOSECONDS = 1_000_000_000


class HostedCongestionControl(QuicCongestionControl):
    """Passes on what happens to packets, once a hosted connection is attached; before (the handshake), the
    initial window holds."""

    def __init__(self, *, max_datagram_size: int) -> None:
        super().__init__(max_datagram_size=max_datagram_size)
        self.hosted: HostedConnection | None = None
        self._size = max_datagram_size
        self._began = 0.0
        self._highest_sent = 0  # offset in the stream
        self.ack_delay = 0.0
        """Of the ACK frame that is being read, in seconds."""

    def attach(self, hosted: HostedConnection, began: float) -> None:
        """From now on; `began` is the event loop's time of the hosted connection's time zero."""
        self._began = began
        self.hosted = hosted

    def ns(self, now: float) -> int:
        return round((now - self._began) * NANOSECONDS)

    def time_of(self, ns: int) -> float:
        """The event loop's time."""
        return self._began + ns / NANOSECONDS

    def on_packet_sent(self, *, packet: QuicSentPacket) -> None:
        self.bytes_in_flight += packet.sent_bytes
        if self.hosted is not None and packet.epoch is Epoch.ONE_RTT:
            assert packet.sent_time is not None
            self.hosted.packet_sent(
                self.ns(packet.sent_time),
                packet.packet_number,
                packet.sent_bytes,
                packet.is_ack_eliciting,
                False,
                self._sent_again(packet),
            )

    def on_packet_acked(self, *, now: float, packet: QuicSentPacket) -> None:
        self.bytes_in_flight -= packet.sent_bytes
        if self.hosted is not None:
            self.hosted.packet_acked(packet.packet_number)

    def on_packets_lost(self, *, now: float, packets: Iterable[QuicSentPacket]) -> None:
        for packet in packets:
            self.bytes_in_flight -= packet.sent_bytes
            if self.hosted is not None:
                self.hosted.packet_lost(packet.packet_number)

    def on_packets_expired(self, *, packets: Iterable[QuicSentPacket]) -> None:
        """No congestion: keys were discarded, or a probe timeout sends the packet's data again."""
        for packet in packets:
            self.bytes_in_flight -= packet.sent_bytes
            if self.hosted is not None:
                self.hosted.packet_discarded(packet.packet_number)

    def on_persistent_congestion(self) -> None:
        """The core finds it in the losses itself."""

    def on_rtt_measurement(self, *, now: float, rtt: float) -> None:
        if self.hosted is not None:
            self.hosted.rtt_sample(round(rtt * NANOSECONDS), round(self.ack_delay * NANOSECONDS))

    def open_window(self) -> None:
        """Takes over the core's window. aioquic cuts a packet to what is left of it, and the cut packets stay
        small from then on; the core's schemes count on whole ones, so that a rest admits one more."""
        if self.hosted is None:
            return
        room = self.hosted.congestion_window - self.bytes_in_flight
        self.congestion_window = self.bytes_in_flight + -(-room // self._size) * self._size

    def _sent_again(self, packet: QuicSentPacket) -> int:
        """Bytes of the packet that repeat what an earlier one carried."""
        again = 0
        for handler, frame in packet.delivery_handlers:
            if getattr(handler, "__func__", None) is QuicStreamSender.on_data_delivery:
                start, stop = frame[0], frame[1]
                again += max(min(stop, self._highest_sent) - start, 0)
                self._highest_sent = max(self._highest_sent, stop)
        return again


register_congestion_control(NAME, HostedCongestionControl)


LATE_S = 0.002
"""A wake-up that is so late still keeps the pace: it sends at once what it missed."""


class HostedPacer(QuicPacketPacer):
    """Spreads packets at the pace that the core wants; without one, they leave as ACKs let them.

    aioquic's own bucket gives a whole packet to every wake-up that finds a little time in it. A sender woken
    by an ACK a millisecond would send twice its pace, so this one waits for a whole packet's time.
    """

    def __init__(self, *, max_datagram_size: int) -> None:
        super().__init__(max_datagram_size=max_datagram_size)
        self.hosted: HostedConnection | None = None

    def next_send_time(self, now: float) -> float | None:  # type: ignore[override]  # as the base does
        if self.packet_time is None:
            return None
        self.update_bucket(now=now)
        missing = self.packet_time - self.bucket_time
        return now + missing if missing > K_MICRO_SECOND else None

    def update_after_send(self, now: float) -> None:
        if self.packet_time is not None:
            self.update_bucket(now=now)
            self.bucket_time -= self.packet_time

    def update_rate(self, congestion_window: int, smoothed_rtt: float) -> None:
        pace = None if self.hosted is None else self.hosted.pacing
        if pace is None or min(pace) <= 0:
            self.packet_time = None
            return
        window, over_ns = pace
        self.packet_time = self._max_datagram_size * over_ns / window / NANOSECONDS
        self.bucket_max = self.packet_time + LATE_S


class HostedRecovery(QuicPacketRecovery):
    """aioquic's loss recovery, which also tells of ACK delays and probe timeouts."""

    _cc: HostedCongestionControl
    _pacer: HostedPacer

    def on_ack_received(
        self, *, ack_rangeset: RangeSet, ack_delay: float, now: float, space: QuicPacketSpace
    ) -> None:
        self._cc.ack_delay = ack_delay
        super().on_ack_received(ack_rangeset=ack_rangeset, ack_delay=ack_delay, now=now, space=space)

    def on_loss_detection_timeout(self, *, now: float) -> None:
        before = self._pto_count
        super().on_loss_detection_timeout(now=now)
        if self._cc.hosted is not None and self._pto_count > before:
            self._cc.hosted.probe_timeout()

    @property
    def control(self) -> HostedCongestionControl:
        return self._cc

    def latest_rtt(self) -> float | None:
        """Seconds; None before the first sample."""
        return self._rtt_latest if self._rtt_initialized else None

    def attach(self, hosted: HostedConnection, began: float) -> None:
        self._cc.attach(hosted, began)
        self._pacer.hosted = hosted

    def follow(self) -> None:
        """Takes over window and pace, before packets may leave."""
        self._cc.open_window()
        self._pacer.update_rate(self._cc.congestion_window, self._rtt_smoothed)


def host_recovery(connection: QuicConnection, send_probe: Callable[[], None]) -> HostedRecovery:
    """Replaces the recovery of a connection that has not sent anything yet."""
    configuration = connection.configuration
    size = configuration.max_datagram_size
    given: dict[str, Any] = {
        "congestion_control_algorithm": NAME,
        "initial_rtt": configuration.initial_rtt,
        "max_datagram_size": size,
        "peer_completed_address_validation": not configuration.is_client,
        "quic_logger": connection._quic_logger,
        "send_probe": send_probe,
        "logger": connection._logger,
    }
    recovery = HostedRecovery(**given)
    recovery._pacer = HostedPacer(max_datagram_size=size)
    connection._loss = recovery
    return recovery
