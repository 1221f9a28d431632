"""What both ends of a connection are told: sizes and limits of aioquic's that never bind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aioquic.quic.configuration import QuicConfiguration

from mvfstrl.realtime.certificates import SERVER_NAME, Certificate
from mvfstrl.realtime.congestion import NAME

if TYPE_CHECKING:
    from pathlib import Path

    from aioquic.quic.logger import QuicLogger

ALPN = "mvfst-rl"
FLOW_CONTROL = 1 << 50  # bytes; more than any connection carries
IDLE_S = 120.0  # longer than the longest outage of a scenario


def sender_configuration(
    certificate: Path, packet_size: int, logger: QuicLogger | None = None
) -> QuicConfiguration:
    """Of the client, which trusts this certificate alone."""
    made = _configuration(packet_size, is_client=True)
    made.congestion_control_algorithm = NAME
    made.server_name = SERVER_NAME
    made.quic_logger = logger
    made.load_verify_locations(cafile=str(certificate))
    return made


def receiver_configuration(certificate: Certificate, packet_size: int) -> QuicConfiguration:
    made = _configuration(packet_size, is_client=False)
    made.load_cert_chain(certificate.certificate, certificate.key)
    return made


def _configuration(packet_size: int, *, is_client: bool) -> QuicConfiguration:
    return QuicConfiguration(
        is_client=is_client,
        alpn_protocols=[ALPN],
        max_datagram_size=packet_size,
        max_data=FLOW_CONTROL,
        max_stream_data=FLOW_CONTROL,
        idle_timeout=IDLE_S,
    )
