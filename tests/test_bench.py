"""The benchmarks' collector (tools/bench.py): figures, goals and bench.json. It measures nothing itself."""

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
print('{"name": "packets_per_second_12mbps_paced", "value": 3.0, "unit": "packets/s"}')
"""


def test_figures_meet_goals_in_the_right_direction(bench: ModuleType) -> None:
    figures = bench.measure([sys.executable, "-c", PRINTING])
    assert [(f.value, f.goal, f.reached) for f in figures] == [
        (199_999.0, 200_000, False),
        (420.5, 500, True),
        (3.0, None, None),
    ]


def test_a_part_keeps_the_other_parts_figures(bench: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "bench.json"
    bench.write([bench.Figure("instructions_per_packet_12mbps", 510.0, "instructions")], path)
    bench.write([bench.Figure("train_steps_per_cpu_second_h128_lstm", 1.0, "steps/s")], path)
    assert json.loads(path.read_text()) == {
        "instructions_per_packet_12mbps": {"value": 510.0, "unit": "instructions", "goal": 500},
        "train_steps_per_cpu_second_h128_lstm": {"value": 1.0, "unit": "steps/s", "goal": 20_000},
    }


@pytest.mark.parametrize("code", ["import sys; sys.exit(3)", "print('no figure')"])
def test_a_benchmark_that_fails_or_says_nothing_is_an_error(bench: ModuleType, code: str) -> None:
    with pytest.raises(SystemExit, match="gave 0 figures"):
        bench.measure([sys.executable, "-c", code])
