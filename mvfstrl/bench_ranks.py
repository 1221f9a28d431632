"""Measures what several learners cost: the same training on one rank and on two, as torchrun starts them.

    python -m mvfstrl.bench_ranks [--json] [--ranks 2] [NAME ...]

For each network: steps per second of processor time, summed over ranks, of one rank, of as many runs at once
as there are ranks, each alone (`apart`), of ranks that share one's environments and batch (`shared`), and of
ranks that have as many each (`each`). Processes slow each other down on any machine, so the efficiency of
ranks is beside runs apart. A rank that waits uses no processor: the share of wall time that rank 0 waits is
told, and tells of the machine's other work too. The message alone is measured as well.
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

from mvfstrl.agents.impala.config import NetworkConfig
from mvfstrl.agents.impala.network import ImpalaNetwork, NetworkShape
from mvfstrl.bench_train import OVERRIDES
from mvfstrl.distributed import launched
from mvfstrl.metrics import read_metrics

STEPS = {"h128_mlp": 1_200_000, "h128_lstm": 400_000, "h512_mlp": 400_000, "h512_lstm": 80_000}
DEFAULT = ("h128_lstm", "h512_lstm")
INPUTS = 221
SUMS = 200
WARM_UP = 0.25
"""Part of the rows that does not count."""

Figure = tuple[str, float, str]


def network_of(name: str) -> NetworkConfig:
    size, kind = name.removeprefix("h").split("_")
    return NetworkConfig(hidden_size=int(size), lstm=kind == "lstm")


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
    network = network_of(name)
    overrides = [item for item in OVERRIDES if not item.startswith("actors.envs")]
    overrides += [
        "agent=impala",
        f"agent.network.hidden_size={network.hidden_size}",
        f"agent.network.lstm={str(network.lstm).lower()}",
        "agent.unroll_length=80",
        "agent.siblings=1",
        f"agent.batch_size={32 * times}",
        f"actors.envs={256 * times}",
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


def message(name: str, ranks: int) -> float:
    """Processor time, of all ranks together, for one sum of a network's gradients."""
    command = [*torchrun(ranks), "-m", "mvfstrl.bench_ranks", "--message", name]
    ended = subprocess.run(command, env=environment(), capture_output=True, text=True, check=True)
    return float(ended.stdout.split()[-1])


def measure_message(name: str) -> None:
    """In each rank."""
    torch.set_num_threads(1)
    launch = launched()
    assert launch is not None, "torchrun starts this"
    network = ImpalaNetwork(NetworkShape(INPUTS, 5, 1), network_of(name))
    tensors = [parameter.detach() for parameter in network.parameters()]
    with launch.group(cuda=False, timeout_s=120) as group:
        group.sum(tensors)
        begin = time.process_time()
        for _ in range(SUMS):
            group.sum(tensors)
        spent = group.gather(time.process_time() - begin)
    if group.first:
        print(sum(spent) / SUMS)


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
    yield f"ranks{ranks}_message_{name}", round(1e3 * message(name, ranks), 3), "CPU-ms an update"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m mvfstrl.bench_ranks", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"of {', '.join(STEPS)}; default two of them"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a line instead of a table")
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--message", choices=STEPS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.message:
        measure_message(options.message)
        return
    unknown = sorted(set(options.names) - set(STEPS))
    if unknown:
        parser.error(f"no such network: {unknown[0]} (there are {', '.join(STEPS)})")
    for name in options.names or DEFAULT:
        for figure, value, unit in figures(name, options.ranks):
            if options.json:
                print(json.dumps({"name": figure, "value": value, "unit": unit}), flush=True)
            else:
                print(f"{figure:48} {value:>10,}  {unit}", flush=True)


if __name__ == "__main__":
    main()
