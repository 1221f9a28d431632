"""What every simulator is asked to run: one bulk flow that keeps a link full.

RTT 60 ms, a queue of one bandwidth-delay product, 12 and 100 Mbit/s, packets of 1280 bytes of which 1252 are
payload. A window is 100 ms of the simulated time.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable

RATES_MBPS = (12, 100)
DELAY_MS = 30
"""One way."""
PAYLOAD, PACKET = 1252, 1280
BDP_PACKETS = {mbps: round(mbps * 1e6 / 8 * 2 * DELAY_MS * 1e-3 / PACKET) for mbps in RATES_MBPS}
EPISODE_S = 30.0
FULL = 0.7
"""A flow that leaves more of the link idle is no measure of the others."""

Simulate = Callable[[int, float], tuple[float, float]]
"""Mbit/s, seconds to simulate -> CPU seconds, packets delivered."""


def report(simulate: Simulate, mbps: int, flows: int = 1) -> None:
    """Simulates episodes for about `--seconds` of CPU time and prints the figures of this rate. `flows`: how
    many `simulate` plays at a time, each on a link of its own."""
    parser = argparse.ArgumentParser(description="one simulator, one flow; see tools/peers/flow.py")
    parser.add_argument("--seconds", type=float, default=20.0, help="CPU time a rate")
    budget = parser.parse_args().seconds
    cpu = packets = simulated = 0.0
    while cpu < budget:
        more_cpu, more_packets = simulate(mbps, EPISODE_S)
        cpu, packets, simulated = cpu + more_cpu, packets + more_packets, simulated + flows * EPISODE_S
    used = packets * PACKET * 8 / (mbps * 1e6 * simulated)
    if not FULL <= used <= 1.01:
        raise SystemExit(
            f"error: the flow used {used:.0%} of {mbps} Mbit/s: this is not the flow that was asked for"
        )
    for name, value in (("windows", 10 * simulated / cpu), ("packets", packets / cpu)):
        figure = f"{name}_per_second_{mbps}mbps"
        print(json.dumps({"name": figure, "value": round(value, 1), "unit": f"{name}/s"}), flush=True)
    figure = f"link_use_{mbps}mbps"
    print(json.dumps({"name": figure, "value": round(used, 3), "unit": "of the link"}), flush=True)
