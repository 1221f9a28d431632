"""No test is skipped without an excuse: tools/skips.py on JUnit files as ctest and pytest write them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CTEST = """<?xml version="1.0" encoding="UTF-8"?>
<testsuite name="(empty)" tests="2" failures="0" disabled="0" skipped="1">
  <testcase name="Replay.Follows" classname="Replay.Follows" time="0.01" status="run"/>
  <testcase name="Replay.Logs" classname="Replay.Logs" time="0" status="notrun">
    <skipped message="SKIP_REGULAR_EXPRESSION_MATCHED"/>
    <system-out>[ RUN      ] Replay.Logs
native/path/replay_test.cpp:12: Skipped
{reason}

[  SKIPPED ] Replay.Logs (0 ms)
</system-out>
  </testcase>
</testsuite>
"""

PYTEST = """<testsuites><testsuite name="pytest" tests="1">
<testcase classname="tests.test_x" name="test_y">
<skipped type="pytest.skip" message="{reason}">x</skipped></testcase>
</testsuite></testsuites>
"""


def check(project_root: Path, folder: Path, text: str) -> tuple[int, str]:
    file = folder / "results.xml"
    file.write_text(text)
    command = [sys.executable, str(project_root / "tools" / "skips.py"), str(file)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    return ended.returncode, ended.stdout


def test_an_excused_skip_is_listed_with_its_reason(project_root: Path, tmp_path: Path) -> None:
    for text in (CTEST, PYTEST):
        code, output = check(project_root, tmp_path, text.format(reason="no reference data (MVFSTRL_SHARED)"))
        assert code == 0
        assert "allowed" in output
        assert "no reference data (MVFSTRL_SHARED)" in output


def test_any_other_skip_fails(project_root: Path, tmp_path: Path) -> None:
    for text in (CTEST, PYTEST):
        code, output = check(project_root, tmp_path, text.format(reason="flaky today"))
        assert code == 1
        assert "REFUSED" in output
        assert "flaky today" in output


def test_a_disabled_test_fails(project_root: Path, tmp_path: Path) -> None:
    code, output = check(
        project_root, tmp_path, '<testsuite><testcase name="A.B" status="disabled"/></testsuite>'
    )
    assert (code, "A.B" in output) == (1, True)


def test_a_file_without_tests_fails(project_root: Path, tmp_path: Path) -> None:
    assert check(project_root, tmp_path, "<testsuite/>")[0] == 1
