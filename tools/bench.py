"""Runs the benchmarks, prints their figures beside the goals and the recorded ones, and writes bench.json.

    make bench                         every part that needs nothing but the project
    make bench ARGS="native memory"    these parts
    tools/bench.py --check             counts alone; fails where one exceeds its recorded value (CI runs this)
    tools/bench.py --record PART ...   measures, and records the figures in tools/baselines.json

Times are processor time, as machines are shared, and fail nothing. Counts are the same on every machine that
has the recorded compiler: instructions a packet (valgrind), allocations a step, bytes an environment. Where a
change makes one of them worse on purpose, record it: `tools/bench.py --record counts`, and commit the file
with the change that is worth it.

A part is a command that prints JSON objects `{"name", "value", "unit"}`, one a line, if it likes with a
`"goal"`; its other lines are shown. `bench.json` is `{name: {value, unit, goal, recorded}}`; a run of some
parts keeps the other parts' figures.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from mvfstrl.files import write_whole

ROOT = Path(__file__).resolve().parents[1]
TOOLS = Path(sys.executable).parent
BUILD = ROOT / "build" / "bench"
PROGRAMS = BUILD / "bench"
BASELINES = ROOT / "tools" / "baselines.json"

GOALS: dict[str, float] = {
    "windows_per_second_12mbps": 200_000,
    "windows_per_second_100mbps": 25_000,
    "packets_per_second_12mbps": 20_000_000,
    "packets_per_second_100mbps": 20_000_000,
    "packets_per_second_12mbps_paced": 20_000_000,
    "packets_per_second_100mbps_paced": 20_000_000,
    "instructions_per_packet_12mbps": 500,
    "bytes_per_environment_12mbps": 65_536,
    "allocations_per_step_12mbps": 0,
    "decision_us_p50_h128_mlp_fp32": 3,
    "decision_us_p99_h128_mlp_fp32": 6,
    "decision_us_p50_h128_lstm_fp32": 10,
    "decision_us_p99_h128_lstm_fp32": 25,
    "decision_us_p50_h512_mlp_fp32": 22,
    "decision_us_p99_h512_mlp_fp32": 60,
    "decision_us_p50_h512_lstm_fp32": 150,
    "decision_us_p99_h512_lstm_fp32": 300,
    "emulator_mbps_one_path": 1_000,
    "emulator_lateness_p99_40_paths": 2,
    "emulator_paths_12mbps": 40,
}
TOLERANCE = 0.02
"""By which a count may exceed the recorded one: a compiler's patch release moves some by less."""
COUNTED = ("instructions/packet", "allocations/step", "allocations/reset", "bytes/environment")
"""Units of figures that other load on the machine cannot touch."""
LESS_IS_BETTER = (*COUNTED, "instructions", "bytes", "allocations", "ns", "us", "ms", "s", "CPU-s")


@dataclass(frozen=True)
class Part:
    about: str
    command: Sequence[str]
    builds: bool = False
    """Runs programs of native/bench."""
    by_default: bool = True


RUN_BENCH = (sys.executable, "native/bench/run_bench.py", str(PROGRAMS))
MODULE = (sys.executable, "-m")
PARTS: dict[str, Part] = {
    "native": Part("the environment: windows and packets a second", (*RUN_BENCH, "speed"), builds=True),
    "memory": Part("memory an environment, and many of them", (*RUN_BENCH, "memory"), builds=True),
    "counts": Part("counts that noise cannot touch", (*RUN_BENCH, "counts"), builds=True),
    "policy": Part(
        "one decision: the native kernel beside TorchScript, AOTInductor and onnxruntime",
        (sys.executable, "tools/bench_policy.py"),
    ),
    "emulator": Part(
        "the real-time path emulator: one fast path, many slow ones",
        (str(PROGRAMS / "emulator_bench"),),
        builds=True,
    ),
    "train": Part(
        "training from end to end", (*MODULE, "mvfstrl.bench_train", "--json", "--precision", "both")
    ),
    "scaling": Part(
        "training on two cores beside one", (*MODULE, "mvfstrl.bench_train", "--json", "--scaling")
    ),
    "ranks": Part(
        "several learners beside one", (*MODULE, "mvfstrl.bench_ranks", "--json"), by_default=False
    ),
    "peers": Part(
        "other simulators and libraries beside ours, in virtual environments of their own",
        (sys.executable, "tools/bench_peers.py", "--json"),
        by_default=False,
    ),
    "learning": Part(
        "wall time to beating every classic scheme",
        (*MODULE, "pantheon.learning_speed", "--json"),
        by_default=False,
    ),
}


@dataclass(frozen=True)
class Figure:
    name: str
    value: float
    unit: str
    stated_goal: float | None = None

    @property
    def goal(self) -> float | None:
        return self.stated_goal if self.stated_goal is not None else GOALS.get(self.name)

    @property
    def less_is_better(self) -> bool:
        return self.unit in LESS_IS_BETTER

    @property
    def reached(self) -> bool | None:
        if self.goal is None:
            return None
        return self.value <= self.goal if self.less_is_better else self.value >= self.goal


@dataclass(frozen=True)
class Recorded:
    """A figure of baselines.json, and on what it was measured."""

    value: float
    unit: str
    machine: str
    compiler: str


def read_recorded(path: Path) -> dict[str, Recorded]:
    if not path.exists():
        return {}
    return {name: Recorded(**entry) for name, entry in json.loads(path.read_text()).items()}


def machine() -> str:
    """The processor, and how many of it."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return f"{line.split(':', 1)[1].strip()}, {os.cpu_count()} cores"
    return f"{platform.machine()}, {os.cpu_count()} cores"


def compiler() -> str:
    """What the native benchmarks were compiled by."""
    done = subprocess.run(
        [str(PROGRAMS / "environment_bench"), "--compiler"], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def record(figures: Sequence[Figure], path: Path, *, on: str, by: str) -> None:
    document = json.loads(path.read_text()) if path.exists() else {}
    for f in figures:
        document[f.name] = {"value": f.value, "unit": f.unit, "machine": on, "compiler": by}
    write_json(dict(sorted(document.items())), path)


def complaints(figures: Sequence[Figure], recorded: dict[str, Recorded], by: str) -> Iterator[str]:
    """What is wrong with the counts among the figures; those of another compiler are not compared."""
    for figure in figures:
        if figure.unit not in COUNTED:
            continue
        known = recorded.get(figure.name)
        if known is None:
            yield f"{figure.name}: nothing recorded to compare {figure.value:,g} with"
        elif known.compiler == by and figure.value > known.value * (1 + TOLERANCE):
            rise = f"{figure.value / known.value - 1:+.1%}" if known.value else "from nothing"
            yield f"{figure.name}: {figure.value:,g} {figure.unit}, recorded {known.value:,g} ({rise})"
    measured = {figure.name for figure in figures}
    for name, known in recorded.items():
        if known.unit in COUNTED and name not in measured:
            yield f"{name}: recorded, but not measured now"


def check(figures: Sequence[Figure], recorded: dict[str, Recorded], by: str) -> int:
    others = sorted({known.compiler for known in recorded.values() if known.unit in COUNTED} - {by})
    if others:
        print(f"not compared with what was recorded by another compiler: {', '.join(others)}; this is {by}")
    wrong = list(complaints(figures, recorded, by))
    for line in wrong:
        print(f"error: {line}")
    if wrong:
        print(
            "If that is the price of something worth it: tools/bench.py --record counts, and commit the file."
        )
    return 1 if wrong else 0


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
            yield Figure(figure["name"], float(figure["value"]), figure["unit"], figure.get("goal"))
        else:
            print(line, end="", flush=True)


def measure(command: Sequence[str]) -> list[Figure]:
    figures = []
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for figure in figures_of(process.stdout):
            print(f"    {figure.name}: {figure.value:,g} {figure.unit}", flush=True)
            figures.append(figure)
    if process.returncode != 0 or not figures:
        raise SystemExit(f"error: {' '.join(command)} gave {len(figures)} figures, exit {process.returncode}")
    return figures


def write_json(document: dict[str, Any], path: Path) -> None:
    write_whole(path, json.dumps(document, indent=2) + "\n")


def write(figures: Sequence[Figure], path: Path, recorded: dict[str, Recorded] | None = None) -> None:
    document = json.loads(path.read_text()) if path.exists() else {}
    for f in figures:
        known = (recorded or {}).get(f.name)
        entry = {"value": f.value, "unit": f.unit, "goal": f.goal}
        document[f.name] = entry | {"recorded": known.value if known else None}
    write_json(document, path)


def digits(value: float) -> str:
    return f"{value:,.{0 if value >= 1000 or value == int(value) else 1}f}"


def show(figures: Sequence[Figure], recorded: dict[str, Recorded]) -> None:
    table = Table("figure", "unit")
    for name in ("measured", "goal", "reached", "recorded", "change"):
        table.add_column(name, justify="right")
    marks = {True: "yes", False: "[bold]no[/]", None: ""}
    for figure in figures:
        known = recorded.get(figure.name)
        goal = "" if figure.goal is None else digits(figure.goal)
        before = "" if known is None else digits(known.value)
        change = f"{figure.value / known.value - 1:+.1%}" if known is not None and known.value else ""
        table.add_row(
            figure.name, figure.unit, digits(figure.value), goal, marks[figure.reached], before, change
        )
    Console(width=None if sys.stdout.isatty() else 140).print(table)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    listed = "\n".join(
        f"  {name:10}{part.about}{'' if part.by_default else ' (not by default)'}"
        for name, part in PARTS.items()
    )
    parser = argparse.ArgumentParser(
        prog="tools/bench.py",
        description=f"{__doc__}\nparts:\n{listed}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help="default: all but the marked ones")
    parser.add_argument("--output", type=Path, default=ROOT / "bench.json", help="default: bench.json")
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--check", action="store_true", help="fail where a count is worse than recorded")
    action.add_argument("--record", action="store_true", help="record the figures in tools/baselines.json")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.parts if name not in PARTS]
    if unknown:
        parser.error(f"no part named {unknown[0]} (there are {', '.join(PARTS)})")
    if options.record and not options.parts:
        parser.error("--record: name the parts to be recorded")
    return options


def chosen_parts(options: argparse.Namespace) -> list[str]:
    if options.parts:
        return list(options.parts)
    if options.check:
        return ["counts"]
    return [name for name, part in PARTS.items() if part.by_default]


def main(arguments: Sequence[str]) -> int:
    options = parse(arguments)
    parts = chosen_parts(options)
    recorded = read_recorded(BASELINES)
    if options.check or options.record or any(PARTS[name].builds for name in parts):
        print("==> Building the native benchmarks", flush=True)
        build_native()
    figures: list[Figure] = []
    for number, name in enumerate(parts, start=1):
        print(f"==> [{number}/{len(parts)}] {name}: {PARTS[name].about}", flush=True)
        figures += measure(PARTS[name].command)
        write(figures, options.output, recorded)
    show(figures, recorded)
    print(f"written to {options.output}")
    if options.record:
        record(figures, BASELINES, on=machine(), by=compiler())
        print(f"recorded in {BASELINES}")
    return check(figures, recorded, compiler()) if options.check else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
