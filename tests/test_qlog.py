"""Episodes as qlog: what the files hold, and that they are of the drafts' form (tests/qlog.cddl)."""

from __future__ import annotations

import copy
import io
import json
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import cbor2
import pycddl
import pytest
import torch

from mvfstrl.config import compose, native_config
from pantheon.episodes import play
from pantheon.qlog import read_qlog, write_old_qlog, write_qlog, write_qlogs

CDDL = (Path(__file__).parent / "qlog.cddl").read_text(encoding="utf-8")
RULES = {
    "": "file-header",
    "simulation:scenario": "scenario",
    "quic:parameters_set": "parameters-set",
    "quic:recovery_parameters_set": "recovery-parameters-set",
    "quic:packet_sent": "packet-sent",
    "quic:packet_received": "packet-received",
    "quic:packet_lost": "packet-lost",
    "quic:recovery_metrics_updated": "metrics-updated",
    "quic:congestion_state_updated": "state-updated",
    "agent:action": "action",
}
# pycddl lets unknown keys through where every key is optional.
METRICS = {"min_rtt", "smoothed_rtt", "latest_rtt", "rtt_variance", "pto_count", "congestion_window"} | {
    "bytes_in_flight",
    "packets_in_flight",
    "pacing_rate",
}
SEED = 7


@cache
def schema_of(rule: str) -> pycddl.Schema:
    return pycddl.Schema(f"root = {rule}\n{CDDL}")


def validate(record: dict[str, Any]) -> None:
    """By the rule of its name; one that no rule has fails by all of them."""
    schema_of(RULES.get(record.get("name", ""), "record")).validate_cbor(cbor2.dumps(record))
    if record.get("name") == "quic:recovery_metrics_updated":
        assert record["data"]
        assert set(record["data"]) <= METRICS


def config_of(agent: str, *overrides: str) -> dict[str, Any]:
    cfg = compose(["env=constant", f"agent={agent}", "env.episode_ms=1500", *overrides])
    return native_config(cfg)


LOSSY = ("env.queue.packets=20", "env.loss=0.01")


@pytest.fixture(scope="module")
def cubic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("qlog")
    config = config_of("cubic", *LOSSY)
    (path,) = write_qlogs(config, [SEED], folder, scheme="cubic", scenario="constant")
    assert path == folder / "cubic" / f"constant-{SEED}-flow0.sqlog"
    return path


@pytest.fixture(scope="module")
def cubic_report() -> dict[str, Any]:
    return play(config_of("cubic", *LOSSY), [SEED], events=True).reports[0]


def named(events: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    return [event["data"] for event in events if event["name"] == name]


def test_every_record_is_of_the_drafts_form(cubic: Path) -> None:
    header, events = read_qlog(cubic)
    validate(header)
    for event in events:
        validate(event)
    assert {event["name"] for event in events} == {
        "simulation:scenario",
        "quic:parameters_set",
        "quic:recovery_parameters_set",
        "quic:packet_sent",
        "quic:packet_received",
        "quic:packet_lost",
        "quic:recovery_metrics_updated",
        "quic:congestion_state_updated",
    }


def test_the_file_is_a_json_text_sequence(cubic: Path) -> None:
    text = cubic.read_bytes()
    records = text.split(b"\x1e")
    assert records[0] == b""
    assert all(record.endswith(b"\n") for record in records[1:])
    # The drafts want a reader to know the format from the first 256 bytes.
    assert b"urn:ietf:params:qlog:file:sequential" in text[:256]
    assert b"application/qlog+json-seq" in text[:256]


def test_every_event_schema_that_is_used_is_named(cubic: Path) -> None:
    header, events = read_qlog(cubic)
    schemas = [uri.rsplit(":", 1)[1].split("-")[0] for uri in header["trace"]["event_schemas"]]
    assert {event["name"].split(":")[0] for event in events} <= set(schemas)


def test_packets_are_those_of_the_episode(cubic: Path, cubic_report: dict[str, Any]) -> None:
    _, events = read_qlog(cubic)
    numbers = [data["header"]["packet_number"] for data in named(events, "quic:packet_sent")]
    assert numbers == list(range(cubic_report["flows"][0]["sent_packets"]))
    lost = [data["header"]["packet_number"] for data in named(events, "quic:packet_lost")]
    assert len(set(lost)) == len(lost) > 0
    assert set(lost) < set(numbers)
    times = [event["time"] for event in events]
    assert times == sorted(times)
    assert times[-1] <= 1500


def test_what_is_acknowledged_has_been_sent(cubic: Path) -> None:
    _, events = read_qlog(cubic)
    sent = -1
    acked: set[int] = set()
    for event in events:
        if event["name"] == "quic:packet_sent":
            sent = event["data"]["header"]["packet_number"]
        elif event["name"] == "quic:packet_received":
            ranges = event["data"]["frames"][0]["acked_ranges"]
            assert ranges[-1][-1] <= sent
            assert ranges == sorted(ranges)
            for numbers in ranges:
                acked |= set(range(numbers[0], numbers[-1] + 1))
    assert len(acked) > 0.9 * sent


def test_metrics_carry_on_and_say_only_what_changed(cubic: Path, cubic_report: dict[str, Any]) -> None:
    _, events = read_qlog(cubic)
    now: dict[str, Any] = {}
    for data in named(events, "quic:recovery_metrics_updated"):
        assert all(now.get(name) != value for name, value in data.items())
        now |= data
    last = cubic_report["events"][0]["metrics"]
    assert now["smoothed_rtt"] == last["smoothed_rtt_ns"][-1] / 1e6
    assert now["congestion_window"] == last["congestion_window"][-1]
    assert now["bytes_in_flight"] == last["bytes_in_flight"][-1]
    assert "pacing_rate" not in now


def test_phases_follow_each_other(cubic: Path) -> None:
    _, events = read_qlog(cubic)
    phases = named(events, "quic:congestion_state_updated")
    assert phases[0] == {"new": "slow_start"}
    assert "recovery" in {phase["new"] for phase in phases}
    for before, after in pairwise(phases):
        assert after["old"] == before["new"] != after["new"]


def test_actions_are_in_a_namespace_of_ours(tmp_path: Path) -> None:
    class Growing:
        """Takes the last action of the set, and remembers nothing."""

        def initial_state(self, batch: int) -> Any:
            return None

        def act(self, observation: Any, first: Any, job: Any, state: Any) -> Any:
            return torch.full((observation.shape[0],), len(config["actions"]["list"]) - 1), None

    config = config_of("impala")
    (path,) = write_qlogs(config, [SEED], tmp_path, scheme="impala", scenario="c", policy=Growing())  # type: ignore[arg-type]
    header, events = read_qlog(path)
    for record in (header, *events):
        validate(record)
    actions = named(events, "agent:action")
    assert len(actions) >= 13  # one each 100 ms
    assert {action["action"] for action in actions} == {config["actions"]["list"][-1]}
    assert actions[0]["congestion_window"] < actions[-1]["congestion_window"]


def test_each_flow_has_a_file(tmp_path: Path) -> None:
    config = config_of("cubic", "env.flows=[{scheme: agent}, {scheme: newreno, start_ms: 500}]")
    paths = write_qlogs(config, [SEED, SEED + 1], tmp_path, scheme="cubic", scenario="constant")
    assert len(paths) == len(set(paths)) == 4
    _, events = read_qlog(paths[1])
    assert named(events, "simulation:scenario")[0]["details"]["flow_scheme"] == "newreno"
    assert min(e["time"] for e in events if e["name"] == "quic:packet_sent") >= 500


def test_a_paced_scheme_names_its_rate(tmp_path: Path) -> None:
    (path,) = write_qlogs(config_of("vivace"), [SEED], tmp_path, scheme="vivace", scenario="c")
    metrics = named(read_qlog(path)[1], "quic:recovery_metrics_updated")
    assert any(data.get("pacing_rate", 0) > 1e6 for data in metrics)
    for event in read_qlog(path)[1]:
        validate(event)


def test_recording_changes_nothing(cubic_report: dict[str, Any]) -> None:
    plain = play(config_of("cubic", *LOSSY), [SEED]).reports[0]
    assert "events" not in plain
    assert {key: value for key, value in cubic_report.items() if key != "events"} == plain


@pytest.mark.parametrize(
    ("where", "value"),
    [
        (("time",), -1.0),
        (("time",), "soon"),
        (("name",), "quic:packet_snet"),
        (("data", "header", "packet_number"), -3),
        (("data", "header", "packet_type"), "2RTT"),
        (("data", "raw", "length"), 1.5),
        (("data", "frames"), [{"frame_type": "ack"}]),
        (("extra",), 1),
    ],
)
def test_the_validator_refuses(cubic: Path, where: tuple[str, ...], value: Any) -> None:
    _, events = read_qlog(cubic)
    event = copy.deepcopy(next(e for e in events if e["name"] == "quic:packet_sent"))
    validate(event)
    target = event
    for key in where[:-1]:
        target = target[key]
    target[where[-1]] = value
    with pytest.raises(pycddl.ValidationError):
        validate(event)


def test_the_reader_names_a_torn_record(cubic: Path, tmp_path: Path) -> None:
    text = cubic.read_text(encoding="utf-8")
    torn = tmp_path / "torn.sqlog"
    torn.write_text(text[:-20], encoding="utf-8")
    with pytest.raises(ValueError, match=r"torn\.sqlog: record \d+: is cut off"):
        read_qlog(torn)
    torn.write_text(text[1:], encoding="utf-8")
    with pytest.raises(ValueError, match="record separator"):
        read_qlog(torn)
    torn.write_text("\x1e{}\n", encoding="utf-8")
    with pytest.raises(ValueError, match="no qlog file"):
        read_qlog(torn)


def test_a_number_that_json_does_not_know_is_refused(cubic_report: dict[str, Any]) -> None:
    config = config_of("cubic")
    config["transport"]["initial_rtt_ms"] = float("nan")
    with pytest.raises(ValueError, match="JSON"):
        write_qlog(
            io.StringIO(),
            cubic_report["events"][0],
            config,
            {"scheme": "cubic", "scenario": "c", "seed": "7", "flow": 0, "flow_scheme": "cubic"},
        )


def test_older_tools_get_the_names_that_they_know(cubic: Path, tmp_path: Path) -> None:
    old = tmp_path / "old.sqlog"
    write_old_qlog(cubic, old)
    header, *events = (json.loads(text) for text in old.read_text(encoding="utf-8").split("\x1e")[1:])
    # What qvis asks of a header (TextSequenceJSONToQlog).
    assert (header["qlog_version"], header["qlog_format"]) == ("0.3", "JSON-SEQ")
    assert header["trace"]["vantage_point"]["type"] == "server"
    new = read_qlog(cubic)[1]
    assert [(e["time"], e["data"]) for e in events] == [(e["time"], e["data"]) for e in new]
    assert {e["name"].split(":")[0] for e in events} == {"simulation", "transport", "recovery"}
    assert {e["name"] for e in events} >= {
        "transport:packet_sent",
        "recovery:metrics_updated",
        "recovery:packet_lost",
    }
