"""How long training takes to beat every classic scheme: wall time from `run.py` to the first such checkpoint.

    python -m pantheon.learning_speed [--seeds 5] [--limit-s 180] [--folder OUT] [OVERRIDE ...]

Trains with `agent=impala OVERRIDES...` under seeds 1, 2, ..., one after the other, with a checkpoint every so
many decisions. Only then are the checkpoints tested, beside every classic scheme on the same held-out
episodes, so that testing costs training nothing. A checkpoint beats a scheme when the 95 % interval of their
difference of mean reward, paired by episode, lies above zero; its time is that from the start of the process
(imports and all) to the checkpoint's file being whole. Writes learning.json, learning.parquet and
learning.png; started again in the same folder, finished trainings and tests are kept.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import pandas as pd
from rich.console import Console
from rich.table import Table

from mvfstrl.checkpoint import checkpoints_in
from mvfstrl.config import Config, compose, config_folder
from mvfstrl.config.native_config import CLASSIC
from mvfstrl.errors import MvfstrlError
from mvfstrl.files import write_whole
from pantheon.benchmark import Benchmark
from pantheon.cells import CellStore
from pantheon.metrics import bootstrap_difference
from pantheon.results import frame, write_results

if TYPE_CHECKING:
    from pantheon.schemes import Scheme

CLASSICS = tuple(name for name in CLASSIC if name != "fixed")
GOAL_S = 180


class LearningSpeedError(MvfstrlError):
    """A training that failed, or left nothing to test."""


@dataclass(frozen=True)
class Timing:
    """What one training took, of processes and wall clock."""

    seed: int
    started_s: float
    """Since the epoch, as files' times are."""
    wall_s: float
    cpu_s: float
    cores: int


@dataclass(frozen=True)
class Point:
    """One checkpoint, tested."""

    seed: int
    step: int
    wall_s: float
    reward: float
    """Mean a window over the held-out episodes."""
    margin_low: float
    """Lower end of the 95 % interval of the difference to the best classic scheme's reward."""
    beats: bool
    """Every classic scheme."""


def train(
    seed: int, folder: Path, every: int, limit_s: float, overrides: Sequence[str], output: IO[str]
) -> Timing:
    """Runs one training to its end or to `limit_s`, its words to `output`; what an earlier start has finished
    is not run again."""
    record = folder / "timing.json"
    if record.is_file():
        return Timing(**json.loads(record.read_text()))
    shutil.rmtree(folder, ignore_errors=True)  # times of a training in two parts would mean nothing
    command = [sys.executable, str(config_folder().with_name("run.py")), "mode=train", "agent=impala"]
    command += [*overrides, f"seed={seed}", "tracker=none", "test_after_train=false"]
    command += [f"agent.checkpoint_steps={every}", "agent.checkpoints_kept=10000", f"hydra.run.dir={folder}"]
    started_s, cpu_before = time.time(), _children_cpu_s()
    with subprocess.Popen(command, stdout=output) as process:
        try:
            process.wait(limit_s)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)  # ends with a checkpoint
        except KeyboardInterrupt:
            process.wait()  # it has had the signal too
            raise
    if process.returncode != 0:
        raise LearningSpeedError(f"seed {seed}: training failed with exit status {process.returncode}")
    wall_s, cpu_s = time.time() - started_s, _children_cpu_s() - cpu_before
    timing = Timing(seed, started_s, wall_s, cpu_s, len(os.sched_getaffinity(0)))
    write_whole(record, json.dumps(asdict(timing), indent=2).encode())
    return timing


def _children_cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def judge(
    timings: Sequence[Timing], folder: Path, runs: int, overrides: Sequence[str], console: Console
) -> tuple[list[Point], dict[str, float]]:
    """Tests every checkpoint of `folder`'s trainings; returns the points and the classic schemes' rewards."""
    cfg = compose(["agent=impala", *overrides, "mode=test", f"test.runs={runs}"])
    names: dict[str, tuple[Timing, int, Path]] = {}
    for timing in timings:
        for path in checkpoints_in(folder / f"seed-{timing.seed}" / "checkpoints"):
            step = int(path.stem.rpartition("_")[2])
            names[f"seed {timing.seed}, step {step}"] = (timing, step, path)
    if not names:
        raise LearningSpeedError(f"{folder}: no training got as far as a checkpoint (--every, --limit-s)")
    from pantheon.schemes import classic_scheme, trained

    schemes = [trained(name, path, cfg, name) for name, (_, _, path) in names.items()]
    rewards = _rewards(cfg, [*schemes, *map(classic_scheme, CLASSICS)], folder, console)
    classics = {name: float(rewards[name].to_numpy().mean()) for name in CLASSICS}
    points = [
        _point(timing, step, path.stat().st_mtime - timing.started_s, rewards[name], rewards)
        for name, (timing, step, path) in names.items()
    ]
    return sorted(points, key=lambda point: (point.seed, point.step)), classics


def _rewards(cfg: Config, schemes: Sequence[Scheme], folder: Path, console: Console) -> pd.DataFrame:
    """Indexed by (scenario, episode), a column a scheme."""
    benchmark = Benchmark(cfg, CellStore(folder / "cells", console.print), console)
    benchmark.play(schemes)
    table = frame(row for content in benchmark.finished.values() for row in content["rows"])
    observed = table[table["flow"] == 0]
    return observed.pivot(index=["scenario", "seed"], columns="scheme", values="reward")


def _point(timing: Timing, step: int, wall_s: float, own: pd.Series[float], rewards: pd.DataFrame) -> Point:
    scenarios = list(own.index.get_level_values("scenario"))
    lows = {name: bootstrap_difference(own, rewards[name], scenarios).low for name in CLASSICS}
    best = max(CLASSICS, key=lambda name: float(rewards[name].to_numpy().mean()))
    beats = min(lows.values()) > 0
    return Point(timing.seed, step, wall_s, float(own.mean()), lows[best], beats)


def seconds_to_beat(points: Sequence[Point], seed: int) -> float | None:
    """Wall time of the seed's first checkpoint that beats every classic scheme; None if none does."""
    return next((p.wall_s for p in points if p.seed == seed and p.beats), None)


def seconds_for_good(points: Sequence[Point], seed: int) -> float | None:
    """The same of the first one after which every later checkpoint does, too."""
    mine = [p for p in points if p.seed == seed]
    first = max((i for i, p in enumerate(mine) if not p.beats), default=-1) + 1
    return mine[first].wall_s if first < len(mine) else None


def median_or_none(values: Sequence[float | None]) -> float | None:
    """A seed that never got there counts as longer than all others."""
    median = statistics.median(float("inf") if value is None else value for value in values)
    return median if median < float("inf") else None


def summary(
    timings: Sequence[Timing], points: Sequence[Point], classics: dict[str, float], runs: int
) -> dict[str, Any]:
    """What learning.json holds."""
    seeds = [
        {
            **asdict(timing),
            "steps": max((p.step for p in points if p.seed == timing.seed), default=0),
            "seconds_to_beat": seconds_to_beat(points, timing.seed),
            "seconds_for_good": seconds_for_good(points, timing.seed),
        }
        for timing in timings
    ]
    return {
        "median_seconds_to_beat": median_or_none([seed["seconds_to_beat"] for seed in seeds]),
        "median_seconds_for_good": median_or_none([seed["seconds_for_good"] for seed in seeds]),
        "episodes": runs,
        "classic_rewards": classics,
        "seeds": seeds,
    }


def print_summary(found: dict[str, Any], console: Console) -> None:
    best = max(found["classic_rewards"].items(), key=lambda item: item[1])
    console.print(f"the bar: {best[0]}, {best[1]:.3f} a window over {found['episodes']} episodes")
    table = Table("seed", *("beats all after", "for good after", "trained", "cores busy", "steps"))
    for seed in found["seeds"]:
        table.add_row(
            str(seed["seed"]),
            _seconds(seed["seconds_to_beat"]),
            _seconds(seed["seconds_for_good"]),
            _seconds(seed["wall_s"]),
            f"{seed['cpu_s'] / seed['wall_s']:.2f} / {seed['cores']}",
            f"{seed['steps']:,}",
        )
    console.print(table)
    first, good = found["median_seconds_to_beat"], found["median_seconds_for_good"]
    console.print(f"median: {_seconds(first)}, for good {_seconds(good)}")


def _seconds(value: float | None) -> str:
    return "not reached" if value is None else f"{value:.1f} s"


def main(arguments: Sequence[str]) -> int:
    options = _parse(arguments)
    console = Console(stderr=options.json)  # standard output is the benchmark's
    folder: Path = options.folder
    try:
        timings = []
        for seed in range(1, options.seeds + 1):
            console.print(f"==> Training under seed {seed} of {options.seeds}")
            run = folder / f"seed-{seed}"
            timings.append(train(seed, run, options.every, options.limit_s, options.overrides, console.file))
        points, classics = judge(timings, folder, options.runs, options.overrides, console)
    except MvfstrlError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; the same command goes on", file=sys.stderr)
        return 128 + signal.SIGINT
    found = summary(timings, points, classics, options.runs)
    write_results(pd.DataFrame([asdict(point) for point in points]), folder / "learning.parquet")
    write_whole(folder / "learning.json", (json.dumps(found, indent=2) + "\n").encode())
    from pantheon.figures_learning import learning_curves

    learning_curves(points, classics, found["median_seconds_to_beat"], folder / "learning.png")
    print_summary(found, console)
    console.print(f"written to {folder}: learning.json, learning.parquet, learning.png")
    if options.json:
        _print_figures(found)
    return 0


def _print_figures(found: dict[str, Any]) -> None:
    for name in ("to_beat", "for_good"):
        value = found[f"median_seconds_{name}"]
        if value is not None:
            figure = {
                "name": f"learning_seconds_{name}",
                "value": round(value, 1),
                "unit": "s",
                "goal": GOAL_S,
            }
            print(json.dumps(figure))


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m pantheon.learning_speed",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("overrides", nargs="*", help="as for run.py; env=lte is its default")
    parser.add_argument("--seeds", type=_positive, default=5, help="trainings (%(default)s)")
    parser.add_argument(
        "--every", type=_positive, default=125_000, help="decisions a checkpoint (%(default)s)"
    )
    parser.add_argument(
        "--limit-s", type=float, default=180.0, help="longest training (default: %(default)s)"
    )
    parser.add_argument(
        "--runs", type=_positive, default=500, help="held-out episodes (default: %(default)s)"
    )
    parser.add_argument("--folder", type=Path, default=Path("outputs/learning_speed"), help="results go here")
    parser.add_argument("--json", action="store_true", help="the figures as JSON lines on standard output")
    return parser.parse_intermixed_args(arguments)


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {text}")
    return value


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
