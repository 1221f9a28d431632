"""Truth tables: runs of real stacks over real mahimahi, and the paths that they ran on.

A table has a row a run: `scenario, cc, rep`, what was measured, how far into the trace the data started
(`trace_t0_ms`), the one-way delay, the random loss and the duration. The rest of a scenario, its traces and
queues, is Pantheon's and stands here (a table may give its own in columns `uplink, downlink, queue`, the last
as `droptail packets=100`, or for both ends `droptail packets=1 dn droptail packets=1`). This serves the
comparison with truth only: it plays the exact trace files, where `conf/env` generates its own.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mvfstrl._native import constant_trace, periodic_trace, poisson_trace
from mvfstrl.errors import MvfstrlError

DROPTAIL = "droptail"
INFINITE = "infinite"


class TruthError(MvfstrlError):
    """A truth table, or a trace that it needs, that cannot be used."""


@dataclass(frozen=True)
class Queue:
    kind: str = INFINITE
    packets: int | None = None
    bytes: int | None = None


@dataclass(frozen=True)
class Links:
    """The links of a scenario: traces by file name, and their queues."""

    uplink: str
    downlink: str
    queue: Queue
    ack_queue: Queue = field(default_factory=Queue)
    stochastic: bool = False
    """Poisson, cellular or lossy: repeats differ more, and so may we."""


@dataclass(frozen=True)
class TruthRow:
    """One measured run. Delays are queueing delays at the bottleneck."""

    scenario: str
    scheme: str
    repeat: str
    throughput_mbps: float
    delay_mean_ms: float
    delay_p95_ms: float
    loss: float
    trace_offset_ms: int
    one_way_delay_ms: float
    random_loss: float
    duration_ms: int
    links: Links | None
    """None: of a scenario that is not known."""


def _packets(count: int) -> Queue:
    return Queue(DROPTAIL, packets=count)


def _same(trace: str, queue: Queue, *, stochastic: bool = False) -> Links:
    return Links(trace, trace, queue, stochastic=stochastic)


def _policer(trace: str) -> Links:
    return Links(trace, trace, _packets(1), _packets(1))


PATHS = {
    "s1": _same("0.57mbps-poisson.trace", _packets(14), stochastic=True),
    "s2": _same("2.64mbps-poisson.trace", _packets(130), stochastic=True),
    "s3": _same("3.04mbps-poisson.trace", _packets(426), stochastic=True),
    "s4": _same("100.42mbps.trace", _packets(173)),
    "s5": _same("77.72mbps.trace", _packets(94)),
    "s6": _same("114.68mbps.trace", _packets(450)),
    "s7": _policer("12mbps.trace"),
    "s8": _policer("60mbps.trace"),
    "s9": _policer("108mbps.trace"),
    "s10": _policer("12mbps.trace"),
    "s11": _policer("60mbps.trace"),
    "s12": _policer("108mbps.trace"),
    "s13": Links("12mbps.trace", "0.12mbps.trace", Queue()),
    "s14": Links("12mbps.trace", "10-every-200.trace", Queue()),
    **{
        f"s{number}": _same("12mbps.trace", Queue(DROPTAIL, bytes=size))
        for number, size in ((15, 9_000), (16, 30_000), (17, 45_000), (18, 90_000))
    },
}


PERIODIC = {
    "12mbps.trace": (1, 1),
    "60mbps.trace": (5, 1),
    "108mbps.trace": (9, 1),
    "0.12mbps.trace": (1, 100),
    "10-every-200.trace": (10, 200),
}
"""Traces of one period: opportunities, and every how many milliseconds they come."""

POISSON_HEADS_MS = {"0.57": 1000.0, "2.64": 5000.0, "3.04": 4000.0}
"""How long Pantheon's Poisson traces have an opportunity every 100 ms, by their rate in Mbps."""


def path_of(scenario: str) -> Links | None:
    """The links of a scenario; cellular ones are `NAME.up` (data over NAME.up, ACKs over NAME.down) and
    `NAME.down`, the reverse. None for a scenario that is not known."""
    if scenario in PATHS:
        return PATHS[scenario]
    name, _, side = scenario.rpartition(".")
    if side not in ("up", "down"):
        return None
    other = "down" if side == "up" else "up"
    return Links(scenario, f"{name}.{other}", _packets(100), stochastic=True)


def read_truth(path: Path) -> list[TruthRow]:
    """Every row of a table. Raises TruthError naming the file, the line and what is wrong there."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            return [_row(path, reader.line_num, row) for row in reader]
    except OSError as error:
        raise TruthError(f"{path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise TruthError(f"{path}: not a CSV file ({error.reason})") from error


def find_trace(name: str, folder: Path, generated: Path) -> Path:
    """The trace of that name below `folder`; one of Pantheon's that is not there is made in `generated`."""
    for candidate in (folder / name, folder / "pantheon" / name):
        if candidate.is_file():
            return candidate
    path = generated / name
    if not path.exists():
        times = _made_by_rule(name)
        if times is None:
            recording = name.rpartition(".")[0]
            raise TruthError(f"{folder}: has no trace {name} (python -m pantheon.traces fetch {recording})")
        path.write_text("".join(f"{time}\n" for time in times.tolist()))
    return path


def is_generated(name: str, folder: Path) -> bool:
    """Whether find_trace() would have to make it."""
    return not any((place / name).is_file() for place in (folder, folder / "pantheon"))


def _made_by_rule(name: str) -> NDArray[np.uint32] | None:
    """The opportunities of one of Pantheon's traces. Poisson ones share only head and rate with them."""
    if name in PERIODIC:
        return periodic_trace(*PERIODIC[name])
    match = re.fullmatch(r"(\d+(?:\.\d+)?)mbps(-poisson)?\.trace", name)
    if not match:
        return None
    if match[2]:
        return poisson_trace(float(match[1]), POISSON_HEADS_MS.get(match[1], 0.0), seed=0)
    return constant_trace(float(match[1]))


def _links(row: dict[str, str]) -> Links | None:
    links = path_of(row["scenario"])
    if not row.get("uplink") or not row.get("queue"):
        return links
    up, _, down = row["queue"].partition(" dn ")
    queue = _queue(up)
    unsaid = queue if queue.packets == 1 else Queue()  # policers stand at both ends
    ack_queue = _queue(down) if down else unsaid
    return Links(
        row["uplink"], row.get("downlink") or row["uplink"], queue, ack_queue, _is_stochastic(row, links)
    )


def _is_stochastic(row: dict[str, str], links: Links | None) -> bool:
    return links.stochastic if links else float(row["mm_loss"]) > 0


def _queue(text: str) -> Queue:
    """`infinite`, `droptail packets=14`, `droptail bytes=9000`."""
    kind, *bounds = text.replace("[", " ").replace("]", " ").replace(",", " ").split() or [""]
    pairs = [bound.partition("=") for bound in bounds]
    known = kind in (DROPTAIL, INFINITE)
    if not known or not all(name in ("packets", "bytes") and value.isdigit() for name, _, value in pairs):
        raise ValueError(f"unknown queue {text!r}")
    values = {name: int(value) for name, _, value in pairs}
    return Queue(kind, values.get("packets"), values.get("bytes"))


def _row(path: Path, line: int, row: dict[str, str]) -> TruthRow:
    try:
        return TruthRow(
            scenario=row["scenario"],
            scheme=row["cc"],
            repeat=row["rep"],
            throughput_mbps=float(row["throughput_mbps"]),
            delay_mean_ms=float(row["mean_delay_ms"]),
            delay_p95_ms=float(row["p95_delay_ms"]),
            loss=float(row["loss"]),
            trace_offset_ms=int(row["trace_t0_ms"]),
            one_way_delay_ms=float(row["base_delay_ms"]),
            random_loss=float(row["mm_loss"]),
            duration_ms=round(float(row["dur_s"]) * 1000),
            links=_links(row),
        )
    except KeyError as error:
        raise TruthError(f"{path}: has no column {error.args[0]!r}") from error
    except (TypeError, ValueError) as error:
        raise TruthError(f"{path}:{line}: {error}") from error
