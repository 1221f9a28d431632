"""Statistics of a bottleneck from a log in mahimahi's format: the definitions behind the truth tables.

A log holds one event a line, `T + size` arrival, `T d packets bytes` drop, `T - size delay` departure and
`T # bytes` opportunity, T in whole milliseconds, after `#` header lines of which `# base timestamp: B` gives
the time zero of the trace. The measuring window is [start, start + duration), where `start` is the first
arrival of a full-size packet (mahimahi's tunnel also carries small packets of the kernel before that). In it:

- throughput: bytes that departed over the duration, tunnel header included (a 1252-byte payload counts 1284);
- utilisation: those bytes over the bytes of all opportunities;
- delay: departure minus arrival of the packets that departed; percentiles are nearest-rank;
- loss: packets dropped at the queue over packets that arrived (random loss happens behind the link).
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pantheon.metrics import nearest_rank

FULL_SIZE = 1000  # bytes; tells data packets from the kernel's and QUIC's own small ones

Events = NDArray[np.int64]


@dataclass(frozen=True)
class LinkLog:
    """Events in order of time, relative to the trace's zero; each row starts with the time in ms."""

    arrivals: Events  # (time, bytes)
    departures: Events  # (time, bytes, delay)
    drops: Events  # (time, packets, bytes)
    opportunities: Events  # (time, bytes)

    def first_full_packet_ms(self) -> int:
        full = self.arrivals[self.arrivals[:, 1] > FULL_SIZE]
        if full.size == 0:
            raise ValueError("the log holds no full-size packet")
        return int(full[0, 0])


@dataclass(frozen=True)
class LinkStatistics:
    """What a truth table says of one run; rates in Mbit/s, delays in ms."""

    throughput_mbps: float
    utilisation: float
    delay_p50_ms: float
    delay_p95_ms: float
    delay_mean_ms: float
    delay_max_ms: float
    loss: float
    arrivals: int
    queue_drops: int


def read_log(path: Path) -> LinkLog:
    """Reads a log, gzipped or plain; a malformed line is refused with its number."""
    rows: dict[str, list[tuple[int, ...]]] = {"+": [], "-": [], "d": [], "#": []}
    widths = {"+": 2, "-": 3, "d": 3, "#": 2}
    base: int | None = None
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="ascii") as lines:
        for number, line in enumerate(lines, start=1):
            if line.startswith("#"):
                if "base timestamp:" in line:
                    base = int(line.rsplit(":", 1)[1])
                continue
            fields = line.split()
            kind = fields[1] if len(fields) > 1 else ""
            if kind not in rows or len(fields) != widths[kind] + 1:
                raise ValueError(f"{path}:{number}: not a link event: {line.strip()!r}")
            rows[kind].append((int(fields[0]), *map(int, fields[2:])))
    if base is None:
        raise ValueError(f"{path}: no '# base timestamp:' header")
    return LinkLog(*(_events(rows[kind], widths[kind], base) for kind in "+-d#"))


def statistics(log: LinkLog, start_ms: int, duration_ms: int) -> LinkStatistics:
    """The table's figures over [start, start + duration)."""
    arrivals, departures, drops, opportunities = (
        _window(events, start_ms, duration_ms)
        for events in (log.arrivals, log.departures, log.drops, log.opportunities)
    )
    if departures.size == 0:
        raise ValueError(f"nothing departed in [{start_ms}, {start_ms + duration_ms}) ms")
    delays = departures[:, 2]
    delivered, offered = int(departures[:, 1].sum()), int(opportunities[:, 1].sum())
    dropped = int(drops[:, 1].sum())
    return LinkStatistics(
        throughput_mbps=delivered * 8 / (duration_ms * 1000),
        utilisation=delivered / offered if offered else float("nan"),
        delay_p50_ms=nearest_rank(delays, 0.50),
        delay_p95_ms=nearest_rank(delays, 0.95),
        delay_mean_ms=float(delays.mean()),
        delay_max_ms=float(delays.max()),
        loss=dropped / len(arrivals) if len(arrivals) else 0.0,
        arrivals=len(arrivals),
        queue_drops=dropped,
    )


def _events(rows: list[tuple[int, ...]], width: int, base: int) -> Events:
    events = np.asarray(rows, dtype=np.int64).reshape(len(rows), width)
    events[:, 0] -= base
    return events


def _window(events: Events, start_ms: int, duration_ms: int) -> Events:
    times = events[:, 0]
    return events[(times >= start_ms) & (times < start_ms + duration_ms)]
