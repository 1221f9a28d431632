"""Measures training end to end: real environment, actors and learner, for four sizes of network.

    python -m mvfstrl.bench_train [--json] [--seconds 20] [--precision both] [--scaling] [NAME ...]

Steps per second of processor time, all threads of the process counted: the machine may be shared. The link is
12 Mbps with 60 ms of round-trip time and a buffer of one bandwidth-delay product; windows are bounded by what
path and buffer hold, so that the untrained policy sends about as much as a trained one. Unrolls are of 80
decisions, batches of 32 unrolls.

`--scaling` pins the process to one core, then to two, and tells steps per second of the clock, too: those
mean something on an otherwise idle machine only. Beside them, the shares of the time that learner and actor
waited for each other's unrolls.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from mvfstrl.agents.impala.config import ImpalaConfig, Precision
from mvfstrl.agents.impala.training import Training
from mvfstrl.bench_networks import NETWORKS
from mvfstrl.config import compose
from mvfstrl.train import make_setup

GOALS = {"h128_mlp": 50_000, "h128_lstm": 20_000, "h512_mlp": 20_000, "h512_lstm": 3_500}
"""Steps per CPU-second on a core of an AMD EPYC with AVX-512."""
SCALING_GOAL = 1.8
OVERRIDES = [
    "env=constant",
    "env.rate_mbps=12",
    "env.delay_ms=30",
    "env.queue.packets=60",
    "actions.max_window_packets=120",
    "actors.simulated=256",
    "actors.groups=2",
    "actors.threads=1",
    "tracker=none",
]


class Figure(NamedTuple):
    name: str
    value: float
    unit: str
    goal: float | None = None

    def print(self, *, as_json: bool) -> None:
        if as_json:
            goal = {} if self.goal is None else {"goal": self.goal}
            figure = {"name": self.name, "value": self.value, "unit": self.unit}
            print(json.dumps(figure | goal), flush=True)
        else:
            beside = "" if self.goal is None else f"  (goal {self.goal:,})"
            print(f"{self.name:48} {self.value:>8,}{beside}", flush=True)


class Speed(NamedTuple):
    per_cpu_second: float
    per_second: float
    learner_waiting: float
    """Share of the time that the learner waited for an unroll..."""
    actor_waiting: float
    """...and the actor for a buffer to fill: it is ahead by as much as it may be."""


@dataclass
class Clock:
    """Measures from the first report after the warm-up until the time is over."""

    seconds: float
    warm_up: float
    start_cpu: float = 0.0
    start_wall: float = 0.0
    start_step: int | None = None
    rate: float = 0.0
    wall_rate: float = 0.0

    def __post_init__(self) -> None:
        self._begin = time.process_time()
        self._waits: list[tuple[float, float]] = []

    def report(self, metrics: dict[str, Any], step: int) -> None:
        now, wall = time.process_time(), time.monotonic()
        if self.start_step is None:
            if now - self._begin >= self.warm_up:
                self.start_step, self.start_cpu, self.start_wall = step, now, wall
        else:
            self.rate = (step - self.start_step) / (now - self.start_cpu)
            self.wall_rate = (step - self.start_step) / (wall - self.start_wall)
            self._waits.append((metrics["learner_waiting"], metrics["actor_waiting"]))

    def result(self) -> Speed:
        learner, actor = (sum(column) / len(column) for column in zip(*self._waits, strict=True))
        return Speed(self.rate, self.wall_rate, learner, actor)

    def over(self) -> bool:
        return bool(self._waits) and time.process_time() - self.start_cpu >= self.seconds


def measure(name: str, seconds: float, precision: Precision = Precision.fp32) -> float:
    """Steps per CPU-second of one of NETWORKS."""
    return speed_of(name, seconds, precision).per_cpu_second


def speed_of(name: str, seconds: float, precision: Precision) -> Speed:
    """For so many seconds of processor time."""
    cfg = compose(["agent=impala", *OVERRIDES])
    agent = ImpalaConfig(
        network=NETWORKS[name], unroll_length=80, batch_size=32, siblings=1, precision=precision
    )
    with tempfile.TemporaryDirectory() as folder:
        training = Training(make_setup(cfg, agent, Path(folder)))
        clock = Clock(seconds, warm_up=min(2.0, seconds / 4))
        training.run(clock.report, clock.over)
    return clock.result()


def measure_on(cores: int, name: str, seconds: float, precision: Precision) -> Speed:
    """As `speed_of`, with all threads on the first so many of this process's cores."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(allowed)[:cores])
    try:
        return speed_of(name, seconds, precision)
    finally:
        os.sched_setaffinity(0, allowed)


def speed_figures(name: str, seconds: float, precision: Precision) -> Iterator[Figure]:
    suffix = "" if precision is Precision.fp32 else f"_{precision}"
    rate = measure(name, seconds, precision)
    yield Figure(f"train_steps_per_cpu_second_{name}{suffix}", round(rate), "steps/CPU-s", GOALS[name])


def scaling_figures(name: str, seconds: float, precision: Precision) -> Iterator[Figure]:
    suffix = name if precision is Precision.fp32 else f"{name}_{precision}"
    speeds = {cores: measure_on(cores, name, seconds, precision) for cores in (1, 2)}
    for cores, speed in speeds.items():
        yield Figure(f"train_steps_per_second_{cores}_cores_{suffix}", round(speed.per_second), "steps/s")
        yield Figure(
            f"train_steps_per_cpu_second_{cores}_cores_{suffix}", round(speed.per_cpu_second), "steps/CPU-s"
        )
        yield Figure(
            f"train_learner_waiting_{cores}_cores_{suffix}", round(speed.learner_waiting, 3), "share"
        )
        yield Figure(f"train_actor_waiting_{cores}_cores_{suffix}", round(speed.actor_waiting, 3), "share")
    ratio = speeds[2].per_second / speeds[1].per_second
    yield Figure(f"train_scaling_{suffix}", round(ratio, 3), "x", SCALING_GOAL)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m mvfstrl.bench_train",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NETWORKS))
    parser.add_argument("--json", action="store_true", help="one JSON object a line instead of a table")
    parser.add_argument("--seconds", type=float, default=20.0, help="processor time a network")
    parser.add_argument("--precision", choices=["fp32", "bf16", "both"], default="fp32")
    parser.add_argument("--scaling", action="store_true", help="on one core, then on two")
    options = parser.parse_args()
    unknown = sorted(set(options.names) - set(NETWORKS))
    if unknown:
        parser.error(f"no such network: {unknown[0]} (there are {', '.join(NETWORKS)})")
    if options.scaling and len(os.sched_getaffinity(0)) < 2:
        parser.error("--scaling needs two cores")
    figures = scaling_figures if options.scaling else speed_figures
    for name in options.names or NETWORKS:
        for precision in Precision if options.precision == "both" else [Precision(options.precision)]:
            for figure in figures(name, options.seconds, precision):
                figure.print(as_json=options.json)


if __name__ == "__main__":
    main()
