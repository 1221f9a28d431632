"""The benchmarks' collector (tools/bench.py): figures, goals, recorded counts and bench.json. It measures
nothing itself."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="module")
def bench(project_root: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("bench_tool", project_root / "tools" / "bench.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


PRINTING = """
print("warming up")
print('{"name": "windows_per_second_12mbps", "value": 199999.0, "unit": "windows/s"}')
print('{"name": "instructions_per_packet_12mbps", "value": 420.5, "unit": "instructions"}')
print('{"name": "packets_per_second_12mbps_fixed", "value": 3.0, "unit": "packets/s"}')
print('{"name": "decision_us_h128_mlp", "value": 3.1, "unit": "us", "goal": 3}')
"""


def test_figures_meet_goals_in_the_right_direction(bench: ModuleType) -> None:
    figures = bench.measure([sys.executable, "-c", PRINTING])
    assert [(f.value, f.goal, f.reached) for f in figures] == [
        (199_999.0, 200_000, False),
        (420.5, 500, True),
        (3.0, None, None),
        (3.1, 3, False),
    ]


def test_a_part_keeps_the_other_parts_figures(bench: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "bench.json"
    known = {"instructions_per_packet_12mbps": bench.Recorded(490.0, "instructions/packet", "M", "GCC 12")}
    bench.write([bench.Figure("instructions_per_packet_12mbps", 510.0, "instructions")], path, known)
    bench.write([bench.Figure("train_steps_per_cpu_second_h128_lstm", 1.0, "steps/s", 20_000)], path, known)
    assert json.loads(path.read_text()) == {
        "instructions_per_packet_12mbps": {
            "value": 510.0,
            "unit": "instructions",
            "goal": 500,
            "recorded": 490.0,
        },
        "train_steps_per_cpu_second_h128_lstm": {
            "value": 1.0,
            "unit": "steps/s",
            "goal": 20_000,
            "recorded": None,
        },
    }


@pytest.mark.parametrize("code", ["import sys; sys.exit(3)", "print('no figure')"])
def test_a_benchmark_that_fails_or_says_nothing_is_an_error(bench: ModuleType, code: str) -> None:
    with pytest.raises(SystemExit, match="gave 0 figures"):
        bench.measure([sys.executable, "-c", code])


def recorded(bench: ModuleType, tmp_path: Path) -> dict[str, object]:
    """Figures of one compiler, written and read."""
    path = tmp_path / "baselines.json"
    figures = [
        bench.Figure("instructions_per_packet_12mbps", 500.0, "instructions/packet"),
        bench.Figure("allocations_per_step_12mbps", 0.0, "allocations/step"),
        bench.Figure("windows_per_second_12mbps", 200_000.0, "windows/s"),
    ]
    bench.record(figures[:1], path, on="a machine", by="GCC 12")
    bench.record(figures[1:], path, on="a machine", by="GCC 12")
    known: dict[str, object] = bench.read_recorded(path)
    assert set(known) == {figure.name for figure in figures}
    return known


def test_counts_beyond_the_recorded_ones_fail(
    bench: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    known = recorded(bench, tmp_path)
    fine = [
        bench.Figure("instructions_per_packet_12mbps", 509.0, "instructions/packet"),
        bench.Figure("allocations_per_step_12mbps", 0.0, "allocations/step"),
        bench.Figure("windows_per_second_12mbps", 20.0, "windows/s"),  # a slow machine fails nothing
    ]
    assert bench.check(fine, known, "GCC 12") == 0
    worse = [
        bench.Figure("instructions_per_packet_12mbps", 511.0, "instructions/packet"),
        bench.Figure("allocations_per_step_12mbps", 0.1, "allocations/step"),
        bench.Figure("bytes_per_environment_12mbps", 1.0, "bytes/environment"),
    ]
    assert bench.check(worse, known, "GCC 12") == 1
    said = capsys.readouterr().out
    assert "instructions_per_packet_12mbps: 511 instructions/packet, recorded 500 (+2.2%)" in said
    assert "allocations_per_step_12mbps: 0.1 allocations/step, recorded 0 (from nothing)" in said
    assert "bytes_per_environment_12mbps: nothing recorded to compare 1 with" in said
    assert "tools/bench.py --record counts" in said


def test_a_recorded_count_that_is_not_measured_fails(
    bench: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    known = recorded(bench, tmp_path)
    only = [bench.Figure("allocations_per_step_12mbps", 0.0, "allocations/step")]
    assert bench.check(only, known, "GCC 12") == 1
    assert "instructions_per_packet_12mbps: recorded, but not measured now" in capsys.readouterr().out


def test_counts_of_another_compiler_are_not_compared(
    bench: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    known = recorded(bench, tmp_path)
    worse = [bench.Figure("instructions_per_packet_12mbps", 900.0, "instructions/packet")]
    worse.append(bench.Figure("allocations_per_step_12mbps", 1.0, "allocations/step"))
    assert bench.check(worse, known, "Clang 19") == 0
    assert "recorded by another compiler: GCC 12; this is Clang 19" in capsys.readouterr().out


def test_what_is_recorded_is_what_the_gate_compares(bench: ModuleType) -> None:
    known = bench.read_recorded(bench.BASELINES)
    counted = {name for name, figure in known.items() if figure.unit in bench.COUNTED}
    for name in ("instructions_per_packet", "allocations_per_step", "bytes_per_environment"):
        assert {f"{name}_12mbps", f"{name}_100mbps"} <= counted


@pytest.mark.parametrize("arguments", [["nativ"], ["--record"], ["--check", "--record", "counts"]])
def test_unfit_arguments_are_refused(
    bench: ModuleType, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        bench.parse(arguments)
    assert stop.value.code == 2
    assert "error:" in capsys.readouterr().err


def test_parts_by_default_need_nothing_but_the_project(bench: ModuleType) -> None:
    parts = bench.chosen_parts(bench.parse([]))
    assert "train" in parts
    assert not {"peers", "learning"} & set(parts)
    assert bench.chosen_parts(bench.parse(["--check"])) == ["counts"]
