"""What a sender could reach that knew when every opportunity of the link comes: an upper bound, computed.

It sends each packet so that it reaches the bottleneck just as its turn comes: every window's throughput is
the link's capacity in it, and no packet waits. Its delay is the propagation delay and the service of one full
packet at the link's mean rate. All packets take that long, so that the delay that its windows are rewarded
for, the round-trip time beyond the smallest, is zero. Random loss takes from the acknowledged bytes the share
that it took from another sender's packets in the same episode. The start of the connection costs it nothing,
and packets are not whole: no real sender can do all of that. Only for a flow that has the path to itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mvfstrl.errors import ConfigError

PROBE_WINDOW = 10
"""Packets of the fixed window that plays along to learn the capacity, which no sender changes."""
_OVERHEAD, _TUNNEL_OVERHEAD = (
    28,
    32,
)  # native/environment/config.h: IPv4 and UDP; a mahimahi trace's tunnel too


def require_computable(config: Mapping[str, Any]) -> None:
    if len(config["flows"]) > 1 or config.get("cross_traffic"):
        raise ConfigError("test.schemes: omniscient has no meaning where flows share the path (env.flows)")
    if config["observation"]["window_kind"] != "time":
        raise ConfigError("test.schemes: omniscient needs windows of time (history.window_kind=time)")


def omniscient(report: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """The report of an episode that it would have, from the report of another sender's with its series."""
    from mvfstrl._native import window_rewards

    series, flow = report["series"], report["flows"][0]
    times = np.asarray(series["time_ms"], dtype=np.float64)
    lengths = np.diff(times, prepend=0.0)
    capacity = np.asarray(series["capacity_mbps"], dtype=np.float64)
    mean_mbps = float((capacity * lengths).sum() / lengths.sum())
    payload = int(config["transport"]["window"]["packet_size_bytes"])
    wire = payload + _overhead(config["scenarios"][0])
    service_ms = wire * 8e-3 / mean_mbps if mean_mbps > 0 else 0.0
    propagation_ms = float(flow["delay_mean_ms"] - flow["queue_delay_mean_ms"])
    reached = int(flow["delivered_packets"]) + int(flow["random_losses"])
    lost = int(flow["random_losses"]) / reached if reached else 0.0
    acked = (capacity * lengths * 125.0 * payload / wire * (1.0 - lost)).astype(np.int64)
    # The first window of an episode is observed before any decision, and is nobody's reward.
    rewards = np.zeros(len(acked))
    for length in np.unique(lengths):
        of_length = lengths == length
        rewards[of_length] = window_rewards(
            dict(config),
            acked[of_length],
            length_ms=float(length),
            delay_ms=0.0,
            rtt_ms=2 * propagation_ms + service_ms,
        )
    delay_ms = propagation_ms + service_ms
    figures = {
        "throughput_mbps": mean_mbps,
        "utilisation": 1.0,
        "loss": lost,
        "queue_loss": 0.0,
        **dict.fromkeys(("delay_mean_ms", "delay_p95_ms"), delay_ms),
        **dict.fromkeys(("queue_delay_mean_ms", "queue_delay_p95_ms"), service_ms),
    }
    window = mean_mbps * 125.0 * (2 * propagation_ms + service_ms) / wire
    columns = {
        **series,
        "throughput_mbps": list(capacity),
        "queue_delay_ms": [service_ms] * len(times),
        "window_packets": [window] * len(times),
        "loss": [lost] * len(times),
        "action": [-1] * len(times),
    }
    return {
        **report,
        "return": float(rewards[1:].sum()),
        "steps": len(rewards) - 1,
        "skipped_observations": 0,
        "flows": [{**flow, **figures}],
        "series": columns,
    }


def _overhead(scenario: Mapping[str, Any]) -> int:
    """Bytes on the link beyond the payload."""
    given = scenario["overhead_bytes"]
    if given is not None:
        return int(given)
    return _TUNNEL_OVERHEAD if "trace" in scenario["uplink"]["kind"] else _OVERHEAD
