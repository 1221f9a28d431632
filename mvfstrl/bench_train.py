"""Measures training end to end: real environment, actors and learner, for four sizes of network.

    python -m mvfstrl.bench_train [--json] [--seconds 20] [NAME ...]

Steps per second of processor time, all threads of the process counted: the machine may be shared. The link is
12 Mbps with 60 ms of round-trip time and a buffer of one bandwidth-delay product; windows are bounded by what
path and buffer hold, so that the untrained policy sends about as much as a trained one. Unrolls are of 80
decisions, batches of 32 unrolls.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mvfstrl.agents.impala.config import ImpalaConfig, NetworkConfig
from mvfstrl.agents.impala.training import Training
from mvfstrl.config import compose
from mvfstrl.train import make_setup

GOALS = {"h128_mlp": 50_000, "h128_lstm": 20_000, "h512_mlp": 20_000, "h512_lstm": 3_500}
"""Steps per CPU-second on a core of an AMD EPYC with AVX-512."""
OVERRIDES = [
    "env=constant",
    "env.rate_mbps=12",
    "env.delay_ms=30",
    "env.queue.packets=60",
    "actions.max_window_packets=120",
    "actors.envs=256",
    "actors.groups=2",
    "actors.threads=1",
    "tracker=none",
]


@dataclass
class Clock:
    """Measures from the first report after the warm-up until the time is over."""

    seconds: float
    warm_up: float
    start_cpu: float = 0.0
    start_step: int | None = None
    rate: float = 0.0

    def __post_init__(self) -> None:
        self._begin = time.process_time()

    def report(self, metrics: dict[str, Any], step: int) -> None:
        now = time.process_time()
        if self.start_step is None:
            if now - self._begin >= self.warm_up:
                self.start_step, self.start_cpu = step, now
        else:
            self.rate = (step - self.start_step) / (now - self.start_cpu)

    def over(self) -> bool:
        return self.start_step is not None and time.process_time() - self.start_cpu >= self.seconds


def measure(name: str, seconds: float) -> float:
    """Steps per CPU-second of the network called `h<size>_<mlp or lstm>`."""
    size, kind = name.removeprefix("h").split("_")
    cfg = compose(["agent=impala", *OVERRIDES])
    network = NetworkConfig(hidden_size=int(size), lstm=kind == "lstm")
    agent = ImpalaConfig(network=network, unroll_length=80, batch_size=32, siblings=1)
    with tempfile.TemporaryDirectory() as folder:
        training = Training(make_setup(cfg, agent, Path(folder)))
        clock = Clock(seconds, warm_up=min(2.0, seconds / 4))
        training.run(clock.report, clock.over)
    return clock.rate


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m mvfstrl.bench_train", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(GOALS))
    parser.add_argument("--json", action="store_true", help="one JSON object a line instead of a table")
    parser.add_argument("--seconds", type=float, default=20.0, help="processor time a network")
    options = parser.parse_args()
    unknown = sorted(set(options.names) - set(GOALS))
    if unknown:
        parser.error(f"no such network: {unknown[0]} (there are {', '.join(GOALS)})")
    for name in options.names or GOALS:
        value = round(measure(name, options.seconds))
        figure = f"train_steps_per_cpu_second_{name}"
        if options.json:
            print(json.dumps({"name": figure, "value": value, "unit": "steps/CPU-s"}), flush=True)
        else:
            print(f"{figure:42} {value:>8,}  (goal {GOALS[name]:,})", flush=True)


if __name__ == "__main__":
    main()
