"""An episode's time series, with the columns of virtual time's (native/environment/series.h): what its path
and its connection tell of the same windows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

OF_PATH = ("time_ms", "throughput_mbps", "capacity_mbps", "queue_delay_ms")
OF_SENDER = ("window_packets", "sent_packets", "lost_packets", "action", "reward", "rtt_ms", "skipped")


def joined(path: Mapping[str, Any], sender: Mapping[str, Any], handshake_ms: float) -> dict[str, list[Any]]:
    """From the window in which the connection began. Its windows are counted from its own beginning: each
    stands beside that of the path's which it shares most with."""
    first = round(handshake_ms / sender["window_ms"])
    count = max(min(len(path["time_ms"]) - first, len(sender["window_packets"])), 0)
    columns = {name: list(path[name][first : first + count]) for name in OF_PATH}
    columns |= {name: list(sender[name][:count]) for name in OF_SENDER}
    pairs = zip(columns["lost_packets"], columns["sent_packets"], strict=True)
    columns["loss"] = [lost / max(sent, lost) if lost else 0.0 for lost, sent in pairs]
    return {"flow": [0] * count, **columns, "cross_mbps": [0.0] * count}
