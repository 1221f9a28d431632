"""Measures what several learners cost: the same training on one rank and on two, as torchrun starts them.

    python -m mvfstrl.bench_ranks [--json] [--ranks 2] [NAME ...]

For each network: steps per second of processor time, summed over ranks, of one rank, of as many runs at once
as there are ranks, each alone (`apart`), of ranks that share one's environments and batch (`shared`), and of
ranks that have as many each (`each`). Processes slow each other down on any machine, so the efficiency of
ranks is beside runs apart. A rank that waits uses no processor: the share of wall time that rank 0 waits is
told, and tells of the machine's other work too. An update alone and one together
with the other ranks, in turns, tell what the messages cost.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import torch

from mvfstrl.agents.impala.config import ImpalaConfig
from mvfstrl.agents.impala.learner import Learner
from mvfstrl.agents.impala.network import NetworkShape
from mvfstrl.agents.impala.trajectory import Trajectory
from mvfstrl.bench_networks import NETWORKS
from mvfstrl.bench_train import OVERRIDES
from mvfstrl.distributed import Ranks, launched
from mvfstrl.metrics import read_metrics

STEPS = {"h128_mlp": 1_200_000, "h128_lstm": 400_000, "h512_mlp": 400_000, "h512_lstm": 80_000}
DEFAULT = ("h128_lstm", "h512_lstm")
SHAPE = NetworkShape(observation_size=221, num_actions=5, jobs=1)
UPDATES = {"h128_mlp": 60, "h128_lstm": 60, "h512_mlp": 30, "h512_lstm": 12}
WARM_UP = 0.25
"""Part of the rows that does not count."""

Figure = tuple[str, float, str]


def train(name: str, ranks: int, times: int = 1, apart: int = 1) -> dict[str, float]:
    """`times` as many environments, batches and steps as one rank has; `apart` such runs at once, which know
    nothing of each other: their mean.
    """
    with ExitStack() as stack:
        folders = [stack.enter_context(tempfile.TemporaryDirectory()) for _ in range(apart)]
        processes = [start(name, ranks, times, folder) for folder in folders]
        for process in processes:
            _, errors = process.communicate()
            if process.returncode != 0:
                raise SystemExit(f"error: {process.args!r}:\n{errors[-2000:]}")
        figures = [summary(Path(folder) / "metrics.jsonl") for folder in folders]
    return {key: sum(figure[key] for figure in figures) / apart for key in figures[0]}


def start(name: str, ranks: int, times: int, folder: str) -> subprocess.Popen[str]:
    network = NETWORKS[name]
    overrides = [item for item in OVERRIDES if not item.startswith("actors.simulated")]
    overrides += [
        "agent=impala",
        f"agent.network.hidden_size={network.hidden_size}",
        f"agent.network.lstm={str(network.lstm).lower()}",
        "agent.unroll_length=80",
        "agent.siblings=1",
        f"agent.batch_size={32 * times}",
        f"actors.simulated={256 * times}",
        f"total_steps={STEPS[name] * times}",
        "test_after_train=false",
        "device=cpu",
        f"hydra.run.dir={folder}",
    ]
    command = [*torchrun(ranks), str(program()), *overrides]
    return subprocess.Popen(
        command, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


def summary(path: Path) -> dict[str, float]:
    """Rates over all rows after the warm-up."""
    rows = list(read_metrics(path))
    rows = [{**row, "steps": row["step"] - before["step"]} for before, row in itertools.pairwise(rows)]
    rows = rows[int(WARM_UP * len(rows)) :]
    steps = sum(row["steps"] for row in rows)
    wall = sum(row["steps"] / row["steps_per_second"] for row in rows)
    cpu = sum(row["steps"] / row["steps_per_cpu_second"] for row in rows)
    waited = sum(row.get("ranks_waiting", 0.0) * row["steps"] / row["steps_per_second"] for row in rows)
    return {"cpu": steps / cpu, "wall": steps / wall, "waiting": waited / wall}


def updates(name: str, ranks: int) -> tuple[float, float]:
    """Processor time of an update of 80 x 32, a rank: alone, and together with the others."""
    command = [*torchrun(ranks), "-m", "mvfstrl.bench_ranks", "--updates", name]
    ended = subprocess.run(command, env=environment(), capture_output=True, text=True, check=True)
    alone, together = map(float, ended.stdout.split()[-2:])
    return alone, together


def measure_updates(name: str) -> None:
    """In each rank: both kinds in turns, so that they meet the same machine."""
    torch.set_num_threads(1)
    launch = launched()
    assert launch is not None, "torchrun starts this"
    config = ImpalaConfig(network=NETWORKS[name])
    batch = Trajectory(80, 32, SHAPE, int(config.network.lstm), config.network.hidden_size).batch
    batch.observation.normal_()
    with launch.group(cuda=False, timeout_s=120) as group:
        cpu = torch.device("cpu")
        kinds = [Learner(SHAPE, config, total_steps=10**9, device=cpu, ranks=r) for r in (Ranks(), group)]
        spent = [0.0, 0.0]
        for update in range(UPDATES[name]):
            for kind, learner in enumerate(kinds):
                begin = time.process_time()
                learner.learn(batch)
                if update > 0:
                    spent[kind] += time.process_time() - begin
        everywhere = group.gather(spent)
    if group.first:
        print(*(sum(kind) / len(kind) / (UPDATES[name] - 1) for kind in zip(*everywhere, strict=True)))


def torchrun(ranks: int) -> list[str]:
    return [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}"]


def program() -> Path:
    """The wheel's or the checkout's."""
    packaged = Path(__file__).parent / "run.py"
    return packaged if packaged.exists() else Path(__file__).parents[1] / "run.py"


def environment() -> dict[str, str]:
    return os.environ | {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}


def figures(name: str, ranks: int) -> Iterator[Figure]:
    one = train(name, 1, 1)
    yield f"ranks1_steps_per_cpu_second_{name}", round(one["cpu"]), "steps/CPU-s"
    yield f"ranks1_steps_per_second_{name}", round(one["wall"]), "steps/s"
    apart = train(name, 1, apart=ranks)
    yield f"apart{ranks}_steps_per_cpu_second_{name}", round(apart["cpu"]), "steps/CPU-s"
    for label, times in (("shared", 1), ("each", ranks)):
        several = train(name, ranks, times)
        yield f"ranks{ranks}_steps_per_cpu_second_{name}_{label}", round(several["cpu"]), "steps/CPU-s"
        yield (
            f"ranks{ranks}_efficiency_{name}_{label}",
            round(several["cpu"] / apart["cpu"], 3),
            "of as many apart",
        )
        yield f"ranks{ranks}_steps_per_second_{name}_{label}", round(several["wall"]), "steps/s"
        yield f"ranks{ranks}_waiting_{name}_{label}", round(several["waiting"], 3), "of wall time"
    alone, together = updates(name, ranks)
    yield f"ranks{ranks}_update_alone_{name}", round(1e3 * alone, 2), "CPU-ms"
    yield f"ranks{ranks}_update_together_{name}", round(1e3 * together, 2), "CPU-ms"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m mvfstrl.bench_ranks", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"of {', '.join(NETWORKS)}; default two of them"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a line instead of a table")
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--updates", choices=NETWORKS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.updates:
        measure_updates(options.updates)
        return
    unknown = sorted(set(options.names) - set(NETWORKS))
    if unknown:
        parser.error(f"no such network: {unknown[0]} (there are {', '.join(NETWORKS)})")
    for name in options.names or DEFAULT:
        for figure, value, unit in figures(name, options.ranks):
            if options.json:
                print(json.dumps({"name": figure, "value": value, "unit": unit}), flush=True)
            else:
                print(f"{figure:48} {value:>10,}  {unit}", flush=True)


if __name__ == "__main__":
    main()
