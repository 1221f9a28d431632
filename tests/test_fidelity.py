"""The comparison with real runs: rules for marking, tables, traces, and our logs under mahimahi's rules."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

import pytest

from pantheon import fidelity
from pantheon.linklog import LinkStatistics, read_log, statistics
from pantheon.play_truth import is_known, row_config
from pantheon.replay import replay
from pantheon.truth import PATHS, Queue, TruthError, TruthRow, find_trace, path_of, read_truth

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


def test_throughput_may_differ_by_three_percent_and_p95_delay_by_five() -> None:
    assert marked(ROW, dataclasses.replace(OURS, throughput_mbps=10.29)) == []
    assert marked(ROW, dataclasses.replace(OURS, throughput_mbps=10.31)) == ["throughput_mbps"]
    assert marked(ROW, dataclasses.replace(OURS, delay_p95_ms=52.4)) == []
    assert marked(ROW, dataclasses.replace(OURS, delay_p95_ms=47.4)) == ["delay_p95_ms"]


def test_mean_delay_and_loss_are_not_judged() -> None:
    assert marked(ROW, dataclasses.replace(OURS, delay_mean_ms=80.0, loss=0.5)) == []


def test_p95_delay_may_differ_by_two_milliseconds() -> None:
    row = dataclasses.replace(ROW, delay_p95_ms=6.0)
    assert marked(row, dataclasses.replace(OURS, delay_p95_ms=8.0)) == []
    assert marked(row, dataclasses.replace(OURS, delay_p95_ms=8.1)) == ["delay_p95_ms"]


@pytest.mark.parametrize(
    "row",
    [
        dataclasses.replace(ROW, random_loss=0.01),
        dataclasses.replace(ROW, links=path_of("Verizon-LTE-short.up")),
        dataclasses.replace(ROW, links=PATHS["s2"]),
    ],
)
def test_stochastic_rows_may_differ_by_ten_percent(row: TruthRow) -> None:
    assert marked(row, dataclasses.replace(OURS, throughput_mbps=10.9, delay_p95_ms=54.9)) == []
    ours = dataclasses.replace(OURS, throughput_mbps=11.1, delay_p95_ms=55.1)
    assert marked(row, ours) == ["throughput_mbps", "delay_p95_ms"]


def test_the_truths_own_spread_is_allowed() -> None:
    other = dataclasses.replace(ROW, repeat="1", throughput_mbps=9.0)
    assert marked(ROW, dataclasses.replace(OURS, throughput_mbps=10.9), [ROW, other]) == []
    assert marked(ROW, dataclasses.replace(OURS, throughput_mbps=11.1), [ROW, other]) == ["throughput_mbps"]


@pytest.mark.parametrize(
    ("values", "loss", "is_marked"),
    [((9.0, 14.0), 0.01, False), ((10.1, 12.9), 0.01, True), ((9.0, 14.0), 0.0, True)],
)
def test_seeds_excuse_a_truth_in_their_midst_only_where_chance_rules(
    values: tuple[float, ...], loss: float, is_marked: bool
) -> None:
    ours = [dataclasses.replace(OURS, throughput_mbps=value) for value in values]
    row = dataclasses.replace(ROW, random_loss=loss)
    difference = fidelity.compare(row, [row], ours).metrics["throughput_mbps"]
    assert (difference.ours, difference.ours_low, difference.ours_high) == (11.5, *values)
    assert difference.marked is is_marked


def test_every_scheme_of_mvfst_is_known_paced_or_not() -> None:
    for scheme in ("newreno", "cubic", "copa", "bbr"):
        assert is_known(scheme)
        assert is_known(f"{scheme}+pace")
    assert not is_known("vegas+pace")
    config = row_config(dataclasses.replace(ROW, scheme="cubic+pace"), Path("up"), Path("down"))
    assert config["transport"]["pacing"] == "always"
    assert config["flows"][0]["controller"]["kind"] == "cubic"


def test_one_transport_configuration_serves_every_row() -> None:
    rows = [dataclasses.replace(ROW, scenario=name, links=links) for name, links in PATHS.items()]
    told = {json.dumps(row_config(row, Path("up"), Path("down"))["transport"]) for row in rows}
    assert len(told) == 1


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


def test_a_table_may_name_the_queues_of_both_ends(tmp_path: Path) -> None:
    path = tmp_path / "truth.csv"
    values = "s7,cubic,0,1,2,3,0,5,20,0,30,a.trace,b.trace,droptail packets=1 dn droptail bytes=9000"
    path.write_text(f"{HEADER},uplink,downlink,queue\n{values}\n")
    (row,) = read_truth(path)
    assert row.links is not None
    assert row.links.queue == Queue("droptail", packets=1)
    assert row.links.ack_queue == Queue("droptail", bytes=9000)


def test_both_tables_of_real_runs_are_read(shared_data: Path) -> None:
    for name in ("mahimahi_mvfst", "mahimahi_tcp"):
        path = shared_data / "truth" / f"{name}.csv"
        rows = read_truth(path)
        assert len(rows) == len(path.read_text().splitlines()) - 1
        assert all(row.links is not None for row in rows)
        policers = [row.links for row in rows if row.scenario == "s7" and row.links]
        assert all(links.queue.packets == links.ack_queue.packets == 1 for links in policers)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("scenario,cc\ns1,cubic\n", "has no column 'rep'"),
        (f"{HEADER}\ns1,cubic,0,fast,2,3,0,5,28,0,30\n", r"truth\.csv:2: could not convert"),
        (
            f"{HEADER},uplink,queue\ns1,cubic,0,1,2,3,0,5,28,0,30,a.trace,codel x=1\n",
            "unknown queue 'codel x=1'",
        ),
        (
            f"{HEADER},uplink,queue\ns1,cubic,0,1,2,3,0,5,28,0,30,a.trace,droptail packets=many\n",
            r"truth\.csv:2: unknown queue 'droptail packets=many'",
        ),
    ],
)
def test_bad_tables_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "truth.csv"
    path.write_text(text)
    with pytest.raises(TruthError, match=message):
        read_truth(path)


def test_missing_traces_are_named_or_made(tmp_path: Path) -> None:
    with pytest.raises(
        TruthError, match=r"has no trace Some-LTE\.up \(python -m pantheon\.traces fetch Some-LTE\)"
    ):
        find_trace("Some-LTE.up", tmp_path, tmp_path)
    made = find_trace("114.68mbps.trace", tmp_path / "nowhere", tmp_path)
    lines = made.read_text().split()
    assert (len(lines), lines[0], lines[-1]) == (573_400, "0", "59999")
    assert find_trace("60mbps.trace", tmp_path / "nowhere", tmp_path).read_text() == "1\n" * 5
    poisson = find_trace("2.64mbps-poisson.trace", tmp_path / "nowhere", tmp_path).read_text().split()
    assert poisson[:50] == [str(100 * (i + 1)) for i in range(50)]


@pytest.mark.parametrize(
    "name", sorted({name for links in PATHS.values() for name in (links.uplink, links.downlink)})
)
def test_every_trace_of_pantheon_can_be_made(name: str, tmp_path: Path) -> None:
    assert find_trace(name, tmp_path / "nowhere", tmp_path).stat().st_size > 0


def test_rows_whose_trace_is_missing_are_left_out_and_told(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    table = tmp_path / "truth.csv"
    table.write_text(
        f"{HEADER}\ns15,cubic,0,1,6,3,0,5,30,0,1\nSome-LTE.up,cubic,0,1,2,3,0,5,20,0,1\ns15,x,0,1,6,3,0,5,30,0,1\n"
    )
    outputs = ["--markdown", str(tmp_path / "new" / "table.md"), "--seeds", "1"]
    assert fidelity.main([str(table), "--traces", str(tmp_path), *outputs]) == 0
    told = capsys.readouterr().out
    assert "1 rows of 1 seeds" in told
    assert "2 rows not played" in told
    assert "has no trace Some-LTE.up" in told
    assert "made by rule" in told
    assert "| s15 | cubic 0 | 1 / " in (tmp_path / "new" / "table.md").read_text()


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
    options += ["--seeds", "1"]
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
