"""ns.py (PyPI): TCP CUBIC over a tail-drop port and two wires.

After slow start has overshot the queue, its sender times out again and again and leaves the link idle (3 %
used): slow start therefore ends at path and half the queue, where its CUBIC stays.
"""

from __future__ import annotations

import time

import simpy
from flow import BDP_PACKETS, DELAY_MS, PACKET, RATES_MBPS, report
from ns.flow.cubic import TCPCubic
from ns.flow.flow import Flow
from ns.packet.tcp_generator import TCPPacketGenerator
from ns.packet.tcp_sink import TCPSink
from ns.port.port import Port
from ns.port.wire import Wire


def simulate(mbps: int, seconds: float) -> tuple[float, float]:
    """CPU seconds, and packets delivered."""
    env = simpy.Environment()
    flow = Flow(fid=0, src="sender", dst="receiver", finish_time=seconds, size=None)
    controller = TCPCubic(mss=PACKET, cwnd=10 * PACKET, ssthresh=BDP_PACKETS[mbps] * 3 // 2 * PACKET)
    sender = TCPPacketGenerator(env, flow=flow, cc=controller, element_id="sender")
    sender.mss = PACKET
    receiver = TCPSink(env, rec_arrivals=False, rec_waits=False)
    port = Port(env, rate=mbps * 1e6, qlimit=BDP_PACKETS[mbps])
    forth, back = (Wire(env, lambda: DELAY_MS / 1000) for _ in range(2))
    sender.out, port.out, forth.out, receiver.out, back.out = port, forth, receiver, back, sender
    begin = time.process_time()
    env.run(until=seconds)
    return time.process_time() - begin, receiver.next_seq_expected / PACKET


if __name__ == "__main__":
    for rate in RATES_MBPS:
        report(simulate, rate)
