"""How long one decision takes: the native kernel beside TorchScript, AOTInductor and onnxruntime, in one run.

    python tools/bench_policy.py [--seconds S] [NETWORK...]

Prints a JSON object `{"name", "value", "unit"}` a figure: `decision_us_p50_NETWORK_RUNNER`, `..._p99_...`
of one connection and `decisions_per_second_batchN_NETWORK_RUNNER`, all in processor time of one thread. The
first four runners are C++ (`mvfstrl-policy bench`, built here); onnxruntime's package has no C++ headers and
is asked from Python, with its inputs and outputs bound beforehand. Reading the clock costs some tenths of a
microsecond: that is measured and taken off each decision.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from mvfstrl import export_aoti
from mvfstrl._native import VectorEnvironment, observation_spec
from mvfstrl.agents.impala.config import NetworkConfig
from mvfstrl.agents.impala.network import ImpalaNetwork, NetworkShape
from mvfstrl.bench_networks import NETWORKS
from mvfstrl.checkpoint import plain
from mvfstrl.config import compose, native_config
from mvfstrl.export import export
from mvfstrl.policy import NetworkPolicy
from mvfstrl.policy_file import NAME, ExportError, write

ROOT = Path(__file__).resolve().parents[1]
PREFIX = ROOT / "build" / "inference" / "prefix"
BATCHES = (32, 256)


def build() -> Path:
    """The program, with this Python's libtorch."""
    torch_folder = Path(torch.__file__).parent
    command = [str(ROOT / "setup.sh"), "--inference", "--prefix", str(PREFIX), "--torch", str(torch_folder)]
    subprocess.run(command, check=True)
    return PREFIX / "bin" / "mvfstrl-policy"


def make_policy(config: NetworkConfig) -> NetworkPolicy:
    cfg = compose()
    spec = observation_spec(native_config(cfg))
    torch.manual_seed(0)
    shape = NetworkShape(len(spec["observation"]), len(spec["actions"]), jobs=1)
    return NetworkPolicy(
        ImpalaNetwork(shape, config), spec=spec, jobs=["lte"], config=plain(asdict(cfg)), step=0
    )


def show(name: str, value: float, unit: str) -> None:
    print(json.dumps({"name": name, "value": round(value, 3), "unit": unit}), flush=True)


def export_all(policy: NetworkPolicy, folder: Path) -> bool:
    """Writes every form into `folder`. Whether AOTInductor could."""
    environment = VectorEnvironment(
        {**native_config(compose()), "episode_ms": 2_000.0}, num_envs=1, num_threads=0, seed=0
    )
    try:
        export(policy, environment, folder)
    finally:
        environment.close()
    write(policy, folder / "bf16.mvfstrl", "bf16")
    try:
        export_aoti.write(policy, folder / export_aoti.NAME)
    except ExportError as error:
        print(f"not measured: {error}", flush=True)
        return False
    return True


def bench_native(program: Path, name: str, folder: Path, seconds: float, *, aoti: bool) -> None:
    command = [str(program), "bench", str(folder / NAME), str(folder / "bf16.mvfstrl")]
    command += ["--torchscript", str(folder / "policy.pt"), "--json", name, "--seconds", str(seconds)]
    single = ["--aoti", str(folder / export_aoti.NAME)] if aoti else []
    subprocess.run([*command, *single], check=True)
    batches = [word for batch in BATCHES for word in ("--batch", str(batch))]
    subprocess.run([*command, *batches], check=True)


def clock_cost_us() -> float:
    times = [-time.thread_time_ns() + time.thread_time_ns() for _ in range(10_000)]
    return float(np.median(times)) / 1e3


def bench_onnx(policy: NetworkPolicy, name: str, folder: Path, seconds: float) -> None:
    try:
        from mvfstrl import export_onnx
    except ImportError as error:
        print(f"not measured: onnxruntime ({error.name} is not installed: the extra `export`)", flush=True)
        return
    twin = export_onnx.write(policy, folder / export_onnx.NAME)
    cost = clock_cost_us()
    for batch in (1, *BATCHES):
        binding = twin.bound(batch)
        for _ in range(20):
            twin.session.run_with_iobinding(binding)
        times = []
        end = time.thread_time() + seconds
        while time.thread_time() < end:
            begin = time.thread_time_ns()
            twin.session.run_with_iobinding(binding)
            times.append((time.thread_time_ns() - begin) / 1e3 - cost)
        if batch == 1:
            show(f"decision_us_p50_{name}_onnxruntime", float(np.quantile(times, 0.5)), "us")
            show(f"decision_us_p99_{name}_onnxruntime", float(np.quantile(times, 0.99)), "us")
        else:
            rate = batch / (float(np.mean(times)) * 1e-6)
            show(f"decisions_per_second_batch{batch}_{name}_onnxruntime", rate, "decisions/s")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "networks", nargs="*", metavar="NETWORK", help=f"of {', '.join(NETWORKS)}; default: all"
    )
    parser.add_argument("--seconds", type=float, default=1.0, help="processor time for each figure")
    given = parser.parse_args()
    unknown = [name for name in given.networks if name not in NETWORKS]
    if unknown:
        parser.error(f"no network {unknown[0]!r}: there are {', '.join(NETWORKS)}")
    torch.set_num_threads(1)
    program = build()
    print("AOTInductor compiles for one number of connections: it is not measured in batches", flush=True)
    for name in given.networks or NETWORKS:
        policy = make_policy(NETWORKS[name])
        with tempfile.TemporaryDirectory(prefix="mvfstrl-bench-") as scratch:
            aoti = export_all(policy, Path(scratch))
            bench_native(program, name, Path(scratch), given.seconds, aoti=aoti)
            bench_onnx(policy, name, Path(scratch), given.seconds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
