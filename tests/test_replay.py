"""The path engine against logs of real mahimahi runs, and the replay command's answers to bad input."""

from __future__ import annotations

import csv
import gzip
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pantheon import replay as command
from pantheon.replay import replay

SHARED = Path(os.environ.get("MVFSTRL_SHARED", Path(__file__).resolve().parents[1] / ".." / "shared"))
LOGS = SHARED / "truth" / "mahimahi_logs"
MANIFEST = LOGS / "MANIFEST.csv"

TRACE = "2\n2\n5\n"
# Two opportunities at 2 ms and one at 5 ms, a queue of one packet; the log's clock runs 10 ms ahead.
LOG = """\
# mahimahi mm-link (Uplink) [t.trace] > -
# queue: droptail
# init timestamp: 1795333497581
# base timestamp: 10
10 + 1000
11 + 600
11 d 1 600
12 # 1504
12 - 1000 2
12 # 1504
12 + 1504
13 + 56
13 d 1 56
15 # 1504
15 - 1504 3
"""


def optional_int(text: str) -> int | None:
    return int(text) if text else None


@pytest.mark.skipif(not MANIFEST.exists(), reason="no reference data (MVFSTRL_SHARED)")
def test_every_log_of_a_real_run_is_reproduced_exactly() -> None:
    with MANIFEST.open(newline="") as manifest:
        rows = list(csv.DictReader(manifest))
    assert rows, f"{MANIFEST} lists no log"
    failures = []
    for row in rows:
        report = replay(
            LOGS / row["log"],
            SHARED / "traces" / row["trace"],
            row["queue"],
            packets=optional_int(row["packets"]),
            bytes=optional_int(row["bytes"]),
        )
        if report.mismatch is not None:
            failures.append(f"{row['log']}:{report.mismatch}")
        if report.departures == 0:
            failures.append(f"{row['log']}: no departure was compared")
    assert not failures, f"{len(failures)} of {len(rows)} logs differ:\n" + "\n".join(failures[:20])


Write = Callable[[str, str], Path]


@pytest.fixture(name="write")
def fixture_write(tmp_path: Path) -> Write:
    def write(name: str, text: str) -> Path:
        path = tmp_path / name
        path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
        return path

    return write


def run(log: Path, trace: Path, *options: str) -> int:
    return command.main([str(log), "--trace", str(trace), *options])


DROPTAIL = ("--queue", "droptail", "--packets", "1")


@pytest.mark.parametrize("name", ["link.log.gz", "link.log"])
def test_matching_log_prints_its_counts(write: Write, capsys: pytest.CaptureFixture[str], name: str) -> None:
    assert run(write(name, LOG), write("t.trace", TRACE), *DROPTAIL) == 0
    words = capsys.readouterr().out.split()
    counts = {word: int(words[words.index(word) + 1]) for word in ("arrivals", "departures", "drops")}
    assert counts == {"arrivals": 4, "departures": 2, "drops": 2}


@pytest.mark.parametrize(
    ("old", "new", "line", "expected", "got"),
    [
        ("12 - 1000 2", "12 - 1000 1", 9, "delay 1 ms", "delay 2 ms"),
        ("12 - 1000 2", "12 - 999 2", 9, "999 bytes", "1000 bytes"),
        ("12 - 1000 2", "11 - 1000 1", 8, "departure at 11 ms", "no departure"),
        ("15 - 1504 3\n", "", 14, "the end of the log", "departure at 15 ms"),
        ("12 - 1000 2\n", "", 10, "no departure before", "departure at 12 ms"),
        ("11 d 1 600\n", "", 7, "no drop", "drop at 11 ms"),
        ("11 d 1 600", "11 d 1 599", 7, "599 bytes", "600 bytes"),
        ("13 d 1 56", "13 d 2 56", 13, "2 packet(s)", "1 packet(s)"),
        ("12 + 1504\n", "12 + 1504\n12 d 1 1504\n", 12, "drop at 12 ms", "no drop"),
    ],
)
def test_first_difference_is_named(
    write: Write, capsys: pytest.CaptureFixture[str], old: str, new: str, line: int, expected: str, got: str
) -> None:
    assert LOG.count(old) == 1
    text = LOG.replace(old, new)
    if new.startswith("11 -"):  # the log's times must not decrease
        text = text.replace("12 # 1504\n", "")
    log = write("link.log.gz", text)
    assert run(log, write("t.trace", TRACE), *DROPTAIL) == 1
    output = capsys.readouterr().out
    assert f"{log}:{line}: first difference" in output
    expected_line, got_line = output.splitlines()[-2:]
    assert expected in expected_line
    assert got in got_line


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("empty", "", "bad.trace: empty"),
        ("decreasing", "1\n5\n4\n", "bad.trace:3: 4 follows 5"),
        ("zero length", "0\n0\n", "bad.trace:2: the last timestamp is 0"),
        ("non-numeric", "1\ntwo\n", 'bad.trace:2: "two" is not an unsigned number'),
        ("negative", "-1\n2\n", 'bad.trace:1: "-1" is not an unsigned number'),
        ("trailing words", "1\n2 # two\n", "bad.trace:2: "),
        ("blank line", "1\n\n2\n", "bad.trace:2: blank line"),
        ("blank last line", "1\n2\n\n", "bad.trace:3: blank line"),
        ("too large", "1\n4294967296\n", 'bad.trace:2: "4294967296" is too large'),
    ],
)
def test_unsound_trace_is_refused(
    write: Write, capsys: pytest.CaptureFixture[str], name: str, text: str, message: str
) -> None:
    assert run(write("link.log.gz", LOG), write("bad.trace", text), *DROPTAIL) == 2, name
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("# base timestamp: 10\n", "", "link.log:4: no '# base timestamp:' line"),
        ("# base timestamp: 10", "# base timestamp: ten", "link.log:4: '# base timestamp:' without a number"),
        ("13 + 56", "13 ? 56", "link.log:12: not a line of a mahimahi link log: 13 ? 56"),
        ("13 + 56", "13 + 56 7", "link.log:12: not a line"),
        ("12 - 1000 2", "12 - 1000", "link.log:9: not a line"),
        ("13 + 56", "11 + 56", "link.log:12: time goes backwards"),
        ("13 + 56", "", "link.log:12: not a line"),
    ],
)
def test_unsound_log_is_refused(
    write: Write, capsys: pytest.CaptureFixture[str], old: str, new: str, message: str
) -> None:
    assert LOG.count(old) == 1
    assert run(write("link.log", LOG.replace(old, new)), write("t.trace", TRACE), *DROPTAIL) == 2
    assert message in capsys.readouterr().err


def test_missing_files_are_named(write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    absent = tmp_path / "absent"
    assert run(absent, write("t.trace", TRACE), *DROPTAIL) == 2
    assert f"{absent}: No such file" in capsys.readouterr().err
    assert run(write("link.log.gz", LOG), absent, *DROPTAIL) == 2
    assert f"{absent}: cannot be opened" in capsys.readouterr().err


def test_torn_gzip_is_refused(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    log = write("link.log.gz", LOG)
    log.write_bytes(log.read_bytes()[:-20])
    assert run(log, write("t.trace", TRACE), *DROPTAIL) == 2
    assert f"{log}: damaged gzip file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--queue", "droptail"), "needs a limit"),
        (("--queue", "infinite", "--packets", "3"), "takes no limit"),
        (("--queue", "droptail", "--packets", "0"), "must be positive"),
    ],
)
def test_unsound_queue_is_refused(
    write: Write, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], message: str
) -> None:
    assert run(write("link.log.gz", LOG), write("t.trace", TRACE), *options) == 2
    assert message in capsys.readouterr().err
