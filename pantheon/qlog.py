"""Writes episodes as qlog: `test.qlog=true`, a file a flow, docs/qlog.md.

The files are JSON text sequences (RFC 7464) after draft-ietf-quic-qlog-main-schema-14 and
draft-ietf-quic-qlog-quic-events-13. An episode is played for them anew, with its events recorded, and
recording changes nothing in it.
"""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from pantheon.benchmark import make_cell
from pantheon.cells import file_name
from pantheon.episodes import play

if TYPE_CHECKING:
    from mvfstrl.config import Config
    from mvfstrl.policy import Policy
    from pantheon.local import LocalPolicy
    from pantheon.oracle import Oracle
    from pantheon.schemes import Scheme

logger = logging.getLogger(__name__)

FILE_SCHEMA = "urn:ietf:params:qlog:file:sequential"
SERIALIZATION = "application/qlog+json-seq"
QUIC_EVENTS = "urn:ietf:params:qlog:events:quic-13"
SIMULATION_EVENTS = "urn:ietf:params:qlog:events:simulation"
AGENT_EVENTS = "urn:x-mvfst-rl:qlog:events:agent"
"""Ours: `agent:action`, an action as it takes effect."""

Event = dict[str, Any]


def log_test(
    cfg: Config, schemes: Sequence[Scheme], oracles: Mapping[str, Oracle], folder: Path
) -> list[Path]:
    """The first `test.series_runs` episodes of every scheme in every scenario. `oracles` has the windows that
    were found for schemes that are searched."""
    paths = []
    for scheme in schemes:
        if scheme.shuffled:
            logger.info("%s: no qlog, as its observations are of other episodes", scheme.name)
            continue
        for scenario in cfg.env.scenarios:
            tuned = scheme
            if scheme.searched:
                found = oracles[scenario]
                tuned = scheme.with_window(found.window_packets, pacing=found.pacing)
            cell = make_cell(cfg, tuned, scenario)
            names = {"scheme": scheme.name, "scenario": scenario}
            seeds = cell.seeds[: cell.series_runs]
            paths += write_qlogs(
                cell.config, seeds, folder, job=cell.job, policy=scheme.virtual_policy, **names
            )
    return paths


def write_qlogs(
    config: Mapping[str, Any],
    seeds: Sequence[int],
    folder: Path,
    *,
    scheme: str,
    scenario: str,
    job: int = 0,
    policy: Policy | LocalPolicy | None = None,
) -> list[Path]:
    """`FOLDER/SCHEME/SCENARIO-SEED-flowN.sqlog` for each flow of each episode of `config`'s only scenario."""
    paths = []
    for seed in seeds:
        report = play(dict(config), [seed], job=job, policy=policy, events=True).reports[0]
        for flow, columns in enumerate(report["events"]):
            path = folder / file_name(scheme) / f"{file_name(scenario)}-{seed}-flow{flow}.sqlog"
            path.parent.mkdir(parents=True, exist_ok=True)
            about = {
                "scheme": scheme,
                "scenario": scenario,
                "seed": str(seed),  # 64 bits, more than JSON's numbers hold
                "flow": flow,
                "flow_scheme": report["flows"][flow]["scheme"],
            }
            with path.open("w", encoding="utf-8", newline="\n") as out:
                write_qlog(out, columns, config, about)
            paths.append(path)
    return paths


def write_qlog(
    out: IO[str], columns: Mapping[str, Any], config: Mapping[str, Any], about: Mapping[str, Any]
) -> None:
    """One flow's records: the header, what the endpoints were told, and each event in order."""
    records = (
        _header(about),
        _event(0.0, "simulation:scenario", {"name": about["scenario"], "details": dict(about)}),
        *_parameters(config["transport"]),
    )
    for record in records:
        _write(out, record)
    for event in _events(columns, config["actions"]["list"]):
        _write(out, event)


def read_qlog(path: Path) -> tuple[dict[str, Any], list[Event]]:
    """The header and the events of a file. A record that is not whole is refused with its number."""
    records = path.read_text(encoding="utf-8").split("\x1e")
    if records[0]:
        raise ValueError(f"{path}: does not begin with a record separator")
    parsed: list[dict[str, Any]] = []
    for number, text in enumerate(records[1:], start=1):
        try:
            if not text.endswith("\n"):
                raise ValueError("is cut off")
            parsed.append(json.loads(text))
        except ValueError as error:
            raise ValueError(f"{path}: record {number}: {error}") from error
    if not parsed or parsed[0].get("file_schema") != FILE_SCHEMA:
        raise ValueError(f"{path}: no qlog file of the schema {FILE_SCHEMA}")
    return parsed[0], parsed[1:]


def _write(out: IO[str], record: Mapping[str, Any]) -> None:
    out.write("\x1e" + json.dumps(record, separators=(",", ":"), allow_nan=False) + "\n")


def _header(about: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "file_schema": FILE_SCHEMA,
        "serialization_format": SERIALIZATION,
        "title": "{scheme} in {scenario}, seed {seed}, flow {flow}".format(**about),
        "trace": {
            "title": "{flow_scheme}".format(**about),
            "common_fields": {
                "time_format": "relative_to_epoch",
                "reference_time": {"clock_type": "monotonic", "epoch": "unknown"},
            },
            "vantage_point": {"name": "mvfst-rl, virtual time", "type": "server"},
            "event_schemas": [QUIC_EVENTS, SIMULATION_EVENTS, AGENT_EVENTS],
        },
    }


def _parameters(transport: Mapping[str, Any]) -> Iterator[Event]:
    """Of the receiver, whose ACKs the log is about; and of loss recovery."""
    window = transport["window"]
    peer = {
        "initiator": "remote",
        "max_udp_payload_size": int(window["packet_size_bytes"]),
        "ack_delay_exponent": int(transport["ack_delay_exponent"]),
        "max_ack_delay": int(transport["max_ack_delay_ms"]),
    }
    yield _event(0.0, "quic:parameters_set", peer)
    size = int(window["packet_size_bytes"])
    recovery = {
        "reordering_threshold": int(transport["packet_threshold"]),
        "time_threshold": transport["time_threshold_dividend"] / transport["time_threshold_divisor"],
        "timer_granularity": int(transport["loss_timer_tick_ms"]),
        "initial_rtt": float(transport["initial_rtt_ms"]),
        "max_datagram_size": size,
        "initial_congestion_window": size * int(window["initial_packets"]),
        "minimum_congestion_window": size * int(window["minimum_packets"]),
        "persistent_congestion_threshold": int(transport["persistent_congestion_threshold"]),
    }
    yield _event(0.0, "quic:recovery_parameters_set", recovery)


def _events(columns: Mapping[str, Any], actions: Sequence[str]) -> Iterator[Event]:
    makers = (  # in the order of EventLog::Kind, native/transport/event_log.h
        _sent(columns["sent"]),
        _acks(columns["acks"]),
        _lost(columns["lost"]),
        _metrics(columns["metrics"]),
        _states(columns["states"]),
        _actions(columns["actions"], actions),
    )
    for kind in columns["order"].tolist():
        event = next(makers[kind])
        if event["data"]:  # metrics that have not changed say nothing
            yield event


def _event(time_ms: float, name: str, data: Mapping[str, Any]) -> Event:
    return {"time": time_ms, "name": name, "data": data}


def _ms(nanoseconds: int) -> float:
    return nanoseconds / 1e6


def _rows(columns: Mapping[str, Any], *names: str) -> Iterator[tuple[Any, ...]]:
    return zip(*(columns[name].tolist() for name in names), strict=True)


def _header_of(number: int) -> dict[str, Any]:
    return {"packet_type": "1RTT", "packet_number": number}


def _sent(columns: Mapping[str, Any]) -> Iterator[Event]:
    for at, number, size, probe in _rows(columns, "at_ns", "number", "bytes", "probe"):
        data: dict[str, Any] = {
            "header": _header_of(number),
            "raw": {"length": size},
            "frames": [{"frame_type": "stream", "stream_id": 0}],
        }
        if probe:
            data["trigger"] = "pto_probe"
        yield _event(_ms(at), "quic:packet_sent", data)


def _acks(columns: Mapping[str, Any]) -> Iterator[Event]:
    """The receiver's packets carry nothing but ACKs; their numbers are those of their arrival."""
    firsts, lasts = columns["range_first"].tolist(), columns["range_last"].tolist()
    rows = _rows(columns, "at_ns", "ack_delay_ns", "bytes", "first_range", "ranges")
    for number, (at, delay, size, begin, count) in enumerate(rows):
        spans = zip(firsts[begin : begin + count], lasts[begin : begin + count], strict=True)
        ranges = [[first, last] if first < last else [first] for first, last in spans]
        ack = {"frame_type": "ack", "ack_delay": _ms(delay), "acked_ranges": ranges[::-1]}
        data = {"header": _header_of(number), "raw": {"length": size}, "frames": [ack]}
        yield _event(_ms(at), "quic:packet_received", data)


def _lost(columns: Mapping[str, Any]) -> Iterator[Event]:
    for at, number in _rows(columns, "at_ns", "number"):
        yield _event(_ms(at), "quic:packet_lost", {"header": _header_of(number)})


_METRICS = ("congestion_window", "bytes_in_flight", "packets_in_flight", "pto_count")
_RTTS = ("min_rtt", "smoothed_rtt", "latest_rtt", "rtt_variance")


def _metrics(columns: Mapping[str, Any]) -> Iterator[Event]:
    """Only what has changed since the last one, as the draft recommends."""
    names = (*_RTTS, *_METRICS, "pacing_rate")
    known: dict[str, Any] = {}
    rows = _rows(columns, "at_ns", *(f"{name}_ns" for name in _RTTS), *_METRICS, "pacing_bps")
    for at, *values in rows:
        now = dict(zip(names, values, strict=True))
        for name in _RTTS:
            now[name] = _ms(now[name])
        if not now["latest_rtt"]:  # no sample yet
            for name in _RTTS:
                del now[name]
        if not now["pacing_rate"]:  # the controller names none
            del now["pacing_rate"]
        data = {name: value for name, value in now.items() if known.get(name) != value}
        known |= now
        yield _event(_ms(at), "quic:recovery_metrics_updated", data)


def _states(columns: Mapping[str, Any]) -> Iterator[Event]:
    old: str | None = None
    for at, name in zip(columns["at_ns"].tolist(), columns["name"], strict=True):
        data = {"new": name} if old is None else {"old": old, "new": name}
        yield _event(_ms(at), "quic:congestion_state_updated", data)
        old = name


def _actions(columns: Mapping[str, Any], actions: Sequence[str]) -> Iterator[Event]:
    for at, index, window in _rows(columns, "at_ns", "action", "congestion_window"):
        data = {"index": index, "action": actions[index], "congestion_window": window}
        yield _event(_ms(at), "agent:action", data)


_OLD_NAMES = {
    "quic:parameters_set": "transport:parameters_set",
    "quic:packet_sent": "transport:packet_sent",
    "quic:packet_received": "transport:packet_received",
    "quic:packet_lost": "recovery:packet_lost",
    "quic:recovery_parameters_set": "recovery:parameters_set",
    "quic:recovery_metrics_updated": "recovery:metrics_updated",
    "quic:congestion_state_updated": "recovery:congestion_state_updated",
}


def write_old_qlog(path: Path, out: Path) -> None:
    """The same log as version 0.3, whose header and names qvis and other tools of older drafts want."""
    header, events = read_qlog(path)
    trace = header["trace"] | {"common_fields": {"time_format": "relative", "reference_time": 0}}
    del trace["event_schemas"]
    old = {"qlog_version": "0.3", "qlog_format": "JSON-SEQ", "title": header["title"], "trace": trace}
    with out.open("w", encoding="utf-8", newline="\n") as file:
        _write(file, old)
        for event in events:
            _write(file, event | {"name": _OLD_NAMES.get(event["name"], event["name"])})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Rewrites a log as version 0.3, for tools of older drafts.")
    parser.add_argument("log", type=Path)
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    write_old_qlog(given.log, given.out)
