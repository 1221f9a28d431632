"""What real hosts add to a path, which virtual time has to be told where it is held against them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LateHost:
    wake_up_ms: float
    """Mean of an exponential delay that every datagram meets beside its path's, in either direction: whoever
    handles it is woken late."""
    send_time_ms: float
    """What a sender takes over each packet of a burst."""


AIOQUIC = LateHost(wake_up_ms=0.08, send_time_ms=0.0)
"""Chosen in s15, where a burst fills the queue (docs/realtime.md)."""
MVFST = LateHost(wake_up_ms=0.35, send_time_ms=0.018)
"""A ping through mahimahi's shells, and a round trip of mvfst's over the emulator, take 0.7 ms longer than
delay and links explain (PATH.md section 1, rule 16; docs/mvfst.md); bursts arrive spread by 18 us a packet
(docs/fidelity.md). BBR and Copa tell: they take what varies for bandwidth and for a queue."""
