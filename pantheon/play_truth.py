"""Plays one row of a truth table in virtual time, and logs its packets as mahimahi would."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mvfstrl.native_defaults import native_default
from pantheon.late_hosts import MVFST
from pantheon.linklog import Events, LinkLog
from pantheon.truth import Queue, TruthRow, find_trace

SCHEMES = ("newreno", "cubic", "copa", "bbr")
"""mvfst's controllers, by the tables' name for them and ours."""

KNOBS: dict[str, dict[str, Any]] = {"copa": {"delta": 0.5}}
"""What the truth runs told mvfst's controllers beside mvfst's defaults."""

PACED = "+pace"
"""How a scheme of the tables ends whose runs had mvfst's pacing switched on; the others had it off."""

# The truth runs raised mvfst's limit of 2000 packets so far that it never binds (PATH.md's settings).
MAXIMUM_WINDOW_PACKETS = 860_000
OPPORTUNITY_BYTES = 1504
_ARRIVAL, _DROP, _DEPARTURE = range(3)


def is_known(scheme: str) -> bool:
    """Whether rows of that name, paced or not, can be played."""
    return scheme.removesuffix(PACED) in SCHEMES


def row_config(row: TruthRow, uplink: Path, downlink: Path) -> dict[str, Any]:
    """The native configuration of a row: the project's defaults but for what the row and its runs fixed."""
    assert row.links is not None
    config: dict[str, Any] = native_default("")
    config["scenarios"][0] |= {
        "name": row.scenario,
        "uplink": _rate(uplink, row.trace_offset_ms),
        "downlink": _rate(downlink, row.trace_offset_ms),
        "delay_ms": _constant(row.one_way_delay_ms),
        "loss": _constant(row.random_loss),
        "loss_probability": 1.0,
        "queue": _queue("scenarios.0.queue", row.links.queue),
        "ack_queue": _queue("scenarios.0.ack_queue", row.links.ack_queue),
    }
    config["scenarios"][0]["delay_variation"]["jitter_ms"] = _constant(MVFST.wake_up_ms)
    scheme = row.scheme.removesuffix(PACED)
    controller = native_default(f"kinds.controller.{scheme}")
    config["flows"][0]["controller"] = controller | KNOBS.get(scheme, {})
    config["transport"]["pacing"] = "always" if row.scheme.endswith(PACED) else "never"
    config["transport"]["send_time_ms"] = MVFST.send_time_ms
    config["transport"]["window"]["maximum_packets"] = MAXIMUM_WINDOW_PACKETS
    config["episode_ms"] = float(row.duration_ms)
    return config


@dataclass(frozen=True)
class RecordedLink:
    """What happened at one link of a played row, as the native core tells it, from the start of the run."""

    row: TruthRow
    trace: Path
    columns: dict[str, NDArray[Any]]

    def log(self) -> LinkLog:
        """Times in whole milliseconds, as mahimahi's clock has them."""
        kind, size, at = self.columns["kind"], self.columns["bytes"], self._milliseconds("at_ns")
        delay = at - self._milliseconds("entered_ns")
        arrival, drop, departure = (kind == k for k in (_ARRIVAL, _DROP, _DEPARTURE))
        return LinkLog(
            arrivals=_events(at[arrival], size[arrival]),
            departures=_events(at[departure], size[departure], delay[departure]),
            drops=_events(at[drop], self.columns["packets"][drop], size[drop]),
            opportunities=_opportunities(self.trace, self.row.trace_offset_ms, self.row.duration_ms),
        )

    def text(self) -> str:
        """In mahimahi's format, at the trace's time. Opportunities come first in their millisecond."""
        shift = self.row.trace_offset_ms
        at, delay = (
            self._milliseconds("at_ns"),
            self._milliseconds("at_ns") - self._milliseconds("entered_ns"),
        )
        kinds, packets, sizes = (self.columns[name].tolist() for name in ("kind", "packets", "bytes"))
        lines = [(t, f"{t + shift} # {size}") for t, size in self.log().opportunities.tolist()]
        for t, d, kind, count, size in zip(at.tolist(), delay.tolist(), kinds, packets, sizes, strict=True):
            event = {_ARRIVAL: f"+ {size}", _DROP: f"d {count} {size}", _DEPARTURE: f"- {size} {d}"}[kind]
            lines.append((t, f"{t + shift} {event}"))
        lines.sort(key=lambda line: line[0])  # stable: events keep the order in which they happened
        header = f"# {self.row.scenario} {self.row.scheme}, virtual time\n# base timestamp: 0\n"
        return header + "".join(f"{text}\n" for _, text in lines)

    def _milliseconds(self, column: str) -> NDArray[np.int64]:
        return np.asarray(self.columns[column] // 1_000_000, dtype=np.int64)


def play_row(
    row: TruthRow, traces: Path, generated: Path, *, seed: int = 0
) -> tuple[RecordedLink, RecordedLink]:
    """The data link and the ACK link of our run of a row."""
    from mvfstrl._native import play_logged

    assert row.links is not None
    uplink = find_trace(row.links.uplink, traces, generated)
    downlink = find_trace(row.links.downlink, traces, generated)
    logs = play_logged(row_config(row, uplink, downlink), seed=seed)
    return RecordedLink(row, uplink, logs["uplink"]), RecordedLink(row, downlink, logs["downlink"])


def write_logs(folder: Path, row: TruthRow, uplink: RecordedLink, downlink: RecordedLink) -> None:
    """NAME.up and NAME.dn, named as the truth's logs are."""
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{row.scenario}_{row.scheme.replace('+', '-')}_{row.repeat}"
    (folder / f"{name}.up").write_text(uplink.text())
    (folder / f"{name}.dn").write_text(downlink.text())


def _rate(trace: Path, offset_ms: int) -> dict[str, Any]:
    place = {"file": str(trace), "random_offset": False, "offset_ms": float(offset_ms)}
    return {**native_default("kinds.rate.trace"), **place}


def _queue(default: str, queue: Queue) -> dict[str, Any]:
    bounds = {"packets": queue.packets, "bytes": queue.bytes, "bdp": None}
    ranges = {name: None if bound is None else _constant(bound) for name, bound in bounds.items()}
    return {**native_default(default), **ranges, "kind": queue.kind}


def _constant(value: float) -> dict[str, Any]:
    return {"low": float(value), "high": float(value), "log": False}


def _events(*columns: NDArray[Any]) -> Events:
    return np.stack([column.astype(np.int64) for column in columns], axis=1)


def _opportunities(trace: Path, offset_ms: int, duration_ms: int) -> Events:
    """Those of a trace that is played round and round, its last entry being its period."""
    entries = np.loadtxt(trace, dtype=np.int64, ndmin=1)
    period = int(entries[-1])
    first, last = offset_ms // period, (offset_ms + duration_ms) // period
    times = np.concatenate([entries + turn * period for turn in range(first, last + 1)]) - offset_ms
    times = times[(times >= 0) & (times < duration_ms)]
    return _events(times, np.full_like(times, OPPORTUNITY_BYTES))
