"""Runs the benchmarks, prints their figures against the goals and writes bench.json.

    make bench                    everything
    make bench ARGS="native"      the native environment only; "train" for training only

A benchmark is a command that prints JSON objects `{"name", "value", "unit"}`, one a line; other lines are
shown. All figures are in processor time or instructions: machines are shared. `bench.json` is
`{name: {value, unit, goal}}`; a run of one part keeps the other part's figures.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[1]
TOOLS = Path(sys.executable).parent
BUILD = ROOT / "build" / "bench"

GOALS: dict[str, float] = {
    "windows_per_second_12mbps": 200_000,
    "windows_per_second_100mbps": 25_000,
    "packets_per_second_12mbps": 20_000_000,
    "packets_per_second_100mbps": 20_000_000,
    "instructions_per_packet_12mbps": 500,
    "train_steps_per_cpu_second_h128_mlp": 50_000,
    "train_steps_per_cpu_second_h128_lstm": 20_000,
    "train_steps_per_cpu_second_h512_mlp": 20_000,
    "train_steps_per_cpu_second_h512_lstm": 3_500,
}

PARTS: dict[str, list[str]] = {
    "native": [sys.executable, "native/bench/run_bench.py", str(BUILD / "bench" / "environment_bench")],
    "train": [sys.executable, "-m", "mvfstrl.bench_train", "--json"],
}


@dataclass(frozen=True)
class Figure:
    name: str
    value: float
    unit: str

    @property
    def goal(self) -> float | None:
        return GOALS.get(self.name)

    @property
    def reached(self) -> bool | None:
        if self.goal is None:
            return None
        return self.value <= self.goal if self.name.startswith("instructions") else self.value >= self.goal


def build_native() -> None:
    """An optimised build, as the extension is."""
    configure = [str(TOOLS / "cmake"), "-S", "native", "-B", str(BUILD), "-G", "Ninja"]
    configure += [
        "-DMVFSTRL_BENCH=ON",
        "-DCMAKE_BUILD_TYPE=Release",
        f"-DCMAKE_MAKE_PROGRAM={TOOLS / 'ninja'}",
    ]
    if shutil.which("ccache"):
        configure.append("-DCMAKE_CXX_COMPILER_LAUNCHER=ccache")
    subprocess.run(configure, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    jobs = str(os.cpu_count() or 1)
    subprocess.run([str(TOOLS / "ninja"), "-C", str(BUILD), "-j", jobs, "--quiet"], cwd=ROOT, check=True)


def figures_of(lines: Iterator[str]) -> Iterator[Figure]:
    for line in lines:
        if line.startswith("{"):
            figure = json.loads(line)
            yield Figure(figure["name"], float(figure["value"]), figure["unit"])
        else:
            print(line, end="")


def measure(command: Sequence[str]) -> list[Figure]:
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        figures = list(figures_of(process.stdout))
    if process.returncode != 0 or not figures:
        raise SystemExit(f"error: {' '.join(command)} gave {len(figures)} figures, exit {process.returncode}")
    return figures


def write(figures: Sequence[Figure], path: Path) -> None:
    document = json.loads(path.read_text()) if path.exists() else {}
    document |= {f.name: {"value": f.value, "unit": f.unit, "goal": f.goal} for f in figures}
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(json.dumps(document, indent=2) + "\n")
    partial.replace(path)


def show(figures: Sequence[Figure]) -> None:
    table = Table("figure", "unit")
    table.add_column("measured", justify="right")
    table.add_column("goal", justify="right")
    table.add_column("reached")
    marks = {True: "yes", False: "[bold]no[/]", None: ""}
    for figure in figures:
        goal = "" if figure.goal is None else f"{figure.goal:,.0f}"
        digits = 0 if figure.value >= 1000 else 1
        table.add_row(figure.name, figure.unit, f"{figure.value:,.{digits}f}", goal, marks[figure.reached])
    Console(width=None if sys.stdout.isatty() else 120).print(table)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="make bench", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="default: all")
    parser.add_argument("--output", type=Path, default=ROOT / "bench.json", help="default: bench.json")
    options = parser.parse_args(arguments)
    parts: list[str] = options.parts or list(PARTS)
    if "native" in parts:
        print("==> Building the native benchmarks", flush=True)
        build_native()
    figures: list[Figure] = []
    for part in parts:
        print(f"==> Measuring: {part}", flush=True)
        figures += measure(PARTS[part])
        write(figures, options.output)
    show(figures)
    print(f"written to {options.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
