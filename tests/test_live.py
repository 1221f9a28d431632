"""The live line: how a training stands, on a terminal and without one."""

from __future__ import annotations

import logging
from types import SimpleNamespace

import pytest
from rich.console import Console

from mvfstrl.live import LiveLine, describe


def test_the_line_tells_steps_speed_return_lag_and_eta() -> None:
    line = describe(1_200_000, 2_000_000, 40_000.0, episode_return=-12.34, policy_lag=1.25)
    assert line == "1.20M/2.00M steps (60%)  40.0k steps/s  return -12.3  lag 1.2  ETA 0:20"


@pytest.mark.parametrize(("seconds", "clock"), [(5, "0:05"), (65, "1:05"), (3_725, "1:02:05")])
def test_the_eta_is_a_clock(seconds: int, clock: str) -> None:
    assert describe(0, seconds, 1.0).endswith(f"ETA {clock}")


def test_no_eta_before_the_first_speed() -> None:
    assert "ETA" not in describe(0, 100, 0.0)


def test_without_a_terminal_there_are_plain_lines_now_and_then(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with LiveLine(100, console=Console(force_terminal=False)) as live:
        for step in range(101):
            live.update(step, steps_per_second=10.0)
    assert [record.getMessage()[:9] for record in caplog.records] == ["100/100 s"]


def test_a_plain_line_comes_at_most_every_ten_seconds(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mvfstrl.live.time", SimpleNamespace(monotonic=lambda: float(step)))
    caplog.set_level(logging.INFO)
    step = 0
    with LiveLine(1000, console=Console(force_terminal=False)) as live:
        for step in range(31):
            live.update(step, steps_per_second=1.0)
    assert [record.getMessage().partition("/")[0] for record in caplog.records] == ["10", "20", "30"]


def test_on_a_terminal_the_line_is_live(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.INFO)
    with LiveLine(100, console=Console(force_terminal=True)) as live:
        live.update(50, steps_per_second=10.0)
    assert "50/100 steps" in capsys.readouterr().out
    assert not caplog.records
