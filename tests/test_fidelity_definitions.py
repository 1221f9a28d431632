"""Our definitions of throughput, delay and loss reproduce the truth table from the truth's own logs."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest

from pantheon.linklog import LinkLog, read_log, statistics

SHARED = Path(os.environ.get("MVFSTRL_SHARED", Path(__file__).parents[1] / ".." / "shared"))
TABLE = SHARED / "truth" / "mahimahi_mvfst.csv"
needs_shared = pytest.mark.skipif(not TABLE.exists(), reason="no reference data (MVFSTRL_SHARED)")

LOG = """\
# mahimahi mm-link (Uplink) [some.trace] > -
# queue: droptail [packets=2]
# base timestamp: 100
101 + 80
102 # 1504
102 - 80 1
110 + 1284
110 + 1284
110 + 1284
110 d 1 1284
112 # 1504
112 - 1284 2
114 # 1504
114 - 1284 4
130 + 1284
131 # 1504
131 - 1284 1
"""


def _rows() -> list[dict[str, str]]:
    with TABLE.open(newline="") as file:
        return list(csv.DictReader(file))


def _log_of(row: dict[str, str]) -> Path:
    name = f"{row['scenario']}_{row['cc'].replace('+', '-')}_{row['rep']}.up.gz"
    return SHARED / "truth" / "mahimahi_logs" / "mvfst" / name


@pytest.fixture
def log(tmp_path: Path) -> LinkLog:
    path = tmp_path / "small.log"
    path.write_text(LOG)
    return read_log(path)


def test_window_starts_at_the_first_full_packet_and_is_half_open(log: LinkLog) -> None:
    start = log.first_full_packet_ms()
    assert start == 10
    result = statistics(log, start, 20)  # [10, 30): the last arrival is outside
    assert (result.arrivals, result.queue_drops) == (3, 1)
    assert result.loss == pytest.approx(1 / 3)
    assert result.throughput_mbps == pytest.approx(2 * 1284 * 8 / 20_000)
    assert result.utilisation == pytest.approx(2 * 1284 / (2 * 1504))
    assert (result.delay_mean_ms, result.delay_p50_ms, result.delay_p95_ms, result.delay_max_ms) == (
        3,
        2,
        4,
        4,
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("# base timestamp: 0\n1 + 2\n1 ? 2\n", r"x\.log:3: not a link event"),
        ("1 + 2\n", "no '# base timestamp:'"),
    ],
)
def test_malformed_logs_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "x.log"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_log(path)


@needs_shared
@pytest.mark.parametrize(
    "name", ["s1 cubic 0", "s3 newreno 1", "s15 cubic 0", "TMobile-UMTS-driving.down cubic 1"]
)
def test_definitions_reproduce_the_truth(name: str) -> None:
    scenario, scheme, repeat = name.split()
    row = next(r for r in _rows() if (r["scenario"], r["cc"], r["rep"]) == (scenario, scheme, repeat))
    log = read_log(_log_of(row))
    start = log.first_full_packet_ms()
    assert start == int(row["trace_t0_ms"])
    result = statistics(log, start, int(row["dur_s"]) * 1000)
    assert result.throughput_mbps == pytest.approx(float(row["throughput_mbps"]), abs=6e-4)
    assert result.utilisation == pytest.approx(float(row["utilisation"]), abs=6e-5)
    assert result.delay_p50_ms == float(row["p50_delay_ms"])
    assert result.delay_p95_ms == float(row["p95_delay_ms"])
    assert result.delay_mean_ms == pytest.approx(float(row["mean_delay_ms"]), abs=6e-3)
    assert result.delay_max_ms == float(row["max_delay_ms"])
    assert result.loss == pytest.approx(float(row["loss"]), abs=6e-6)
    assert (result.arrivals, result.queue_drops) == (int(row["arrivals"]), int(row["queue_drops"]))
