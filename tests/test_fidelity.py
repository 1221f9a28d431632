"""The comparison with real runs: rules for marking, tables, traces, and our logs under mahimahi's rules."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

import pytest

from pantheon import fidelity
from pantheon.linklog import LinkStatistics, read_log, statistics
from pantheon.replay import replay
from pantheon.truth import PATHS, TruthError, TruthRow, constant_trace, find_trace, path_of, read_truth

SHARED = Path(os.environ.get("MVFSTRL_SHARED", Path(__file__).parents[1] / ".." / "shared"))
TABLE = SHARED / "truth" / "mahimahi_mvfst.csv"
needs_shared = pytest.mark.skipif(not TABLE.exists(), reason="no reference data (MVFSTRL_SHARED)")

ROW = TruthRow("s18", "cubic", "0", 10.0, 40.0, 50.0, 0.001, 450, 30.0, 0.0, 30_000, PATHS["s18"])
OURS = LinkStatistics(10.0, 0.9, 40.0, 50.0, 40.0, 60.0, 0.001, 1000, 1)
HEADER = (
    "scenario,cc,rep,throughput_mbps,p95_delay_ms,mean_delay_ms,loss,trace_t0_ms,base_delay_ms,mm_loss,dur_s"
)


def marked(row: TruthRow, ours: LinkStatistics, repeats: list[TruthRow] | None = None) -> list[str]:
    metrics = fidelity.compare(row, repeats or [row], [ours]).metrics
    return [name for name, difference in metrics.items() if difference.marked]


def test_a_difference_above_five_percent_is_marked() -> None:
    assert marked(ROW, dataclasses.replace(OURS, throughput_mbps=10.49)) == []
    assert marked(ROW, dataclasses.replace(OURS, throughput_mbps=10.51)) == ["throughput_mbps"]
    assert marked(ROW, dataclasses.replace(OURS, delay_p95_ms=47.0)) == ["delay_p95_ms"]


def test_delays_may_differ_by_two_milliseconds() -> None:
    row = dataclasses.replace(ROW, delay_p95_ms=6.0, delay_mean_ms=3.0)
    assert marked(row, dataclasses.replace(OURS, delay_p95_ms=8.0, delay_mean_ms=1.0)) == []
    assert marked(row, dataclasses.replace(OURS, delay_p95_ms=8.1, delay_mean_ms=3.0)) == ["delay_p95_ms"]


def test_stochastic_rows_may_differ_by_ten_percent() -> None:
    ours = dataclasses.replace(OURS, throughput_mbps=10.9)
    assert marked(dataclasses.replace(ROW, random_loss=0.01), ours) == []
    assert marked(dataclasses.replace(ROW, links=path_of("Verizon-LTE-short.up")), ours) == []
    assert marked(ROW, ours) == ["throughput_mbps"]


def test_the_truths_own_spread_is_allowed() -> None:
    other = dataclasses.replace(ROW, repeat="1", throughput_mbps=9.0)
    assert marked(ROW, dataclasses.replace(OURS, throughput_mbps=10.9), [ROW, other]) == []
    assert marked(ROW, dataclasses.replace(OURS, throughput_mbps=11.1), [ROW, other]) == ["throughput_mbps"]


@pytest.mark.parametrize(("values", "is_marked"), [((9.0, 13.0), False), ((10.1, 11.9), True)])
def test_seeds_are_averaged_and_excuse_a_truth_in_their_midst(
    values: tuple[float, ...], is_marked: bool
) -> None:
    ours = [dataclasses.replace(OURS, throughput_mbps=value) for value in values]
    difference = fidelity.compare(ROW, [ROW], ours).metrics["throughput_mbps"]
    assert (difference.ours, difference.ours_low, difference.ours_high) == (11.0, *values)
    assert difference.marked is is_marked


def test_cellular_scenarios_send_acks_over_the_reverse_trace() -> None:
    links = path_of("TMobile-UMTS-driving.down")
    assert links is not None
    assert (links.uplink, links.downlink) == ("TMobile-UMTS-driving.down", "TMobile-UMTS-driving.up")
    assert path_of("s99") is None


def test_a_table_may_name_its_own_links(tmp_path: Path) -> None:
    path = tmp_path / "truth.csv"
    values = "here,cubic,0,1,2,3,0,5,20,0,30,a.trace,b.trace,droptail packets=14"
    path.write_text(f"{HEADER},uplink,downlink,queue\n{values}\n")
    (row,) = read_truth(path)
    assert row.links is not None
    assert (row.links.uplink, row.links.downlink, row.links.queue.packets) == ("a.trace", "b.trace", 14)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("scenario,cc\ns1,cubic\n", "has no column 'rep'"),
        (f"{HEADER}\ns1,cubic,0,fast,2,3,0,5,28,0,30\n", r"truth\.csv:2: could not convert"),
        (
            f"{HEADER},uplink,queue\ns1,cubic,0,1,2,3,0,5,28,0,30,a.trace,codel x=1\n",
            "unknown queue 'codel x=1'",
        ),
    ],
)
def test_bad_tables_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "truth.csv"
    path.write_text(text)
    with pytest.raises(TruthError, match=message):
        read_truth(path)


def test_missing_traces_are_named_and_constant_ones_made(tmp_path: Path) -> None:
    with pytest.raises(TruthError, match=r"has no trace 9\.99mbps-poisson\.trace"):
        find_trace("9.99mbps-poisson.trace", tmp_path, tmp_path)
    made = find_trace("114.68mbps.trace", tmp_path / "nowhere", tmp_path)
    lines = made.read_text().split()
    assert (len(lines), lines[0], lines[-1]) == (573_400, "0", "59999")


@needs_shared
def test_constant_traces_follow_pantheons_formula() -> None:
    assert constant_trace(100.42) == (SHARED / "traces" / "pantheon" / "100.42mbps.trace").read_text()


def test_the_command_reports_bad_input(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert fidelity.main([str(tmp_path / "none.csv")]) == 2
    assert "No such file" in capsys.readouterr().err
    path = tmp_path / "truth.csv"
    path.write_text(f"{HEADER}\nelsewhere,cubic,0,1,2,3,0,5,20,0,30\n")
    assert fidelity.main([str(path)]) == 2
    assert "no row to play" in capsys.readouterr().err


@needs_shared
def test_a_played_row_obeys_mahimahis_rules_and_its_own_log(tmp_path: Path) -> None:
    """Our packets, written as a log, replay exactly over the same trace; the figures are those of the log."""
    options = [str(TABLE), "--traces", str(SHARED / "traces"), "--schemes", "newreno", "--scenarios", "s15"]
    outputs = [
        "--json",
        str(tmp_path / "out.json"),
        "--figure",
        str(tmp_path / "out.png"),
        "--dump",
        str(tmp_path),
    ]
    assert fidelity.main([*options, *outputs]) == 0
    first = json.loads((tmp_path / "out.json").read_text())[0]
    assert (first["scenario"], first["scheme"], first["repeat"]) == ("s15", "newreno", "0")
    log = read_log(tmp_path / "s15_newreno_0.up")
    ours = statistics(log, log.first_full_packet_ms(), 30_000)
    assert first["metrics"]["throughput_mbps"]["ours"] == pytest.approx(ours.throughput_mbps)
    assert first["metrics"]["delay_p95_ms"]["ours"] == ours.delay_p95_ms
    report = replay(
        tmp_path / "s15_newreno_0.up",
        SHARED / "traces" / "pantheon" / "12mbps.trace",
        "droptail",
        bytes=9000,
    )
    assert report.mismatch is None
    assert report.drops > 0
    assert (tmp_path / "out.png").stat().st_size > 1000
