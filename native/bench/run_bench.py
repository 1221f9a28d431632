"""Runs the programs beside it: `run_bench.py FOLDER_OF_PROGRAMS speed|memory|counts`.

speed    windows and packets a second of CPU time
memory   windows a second of many environments stepped in turns; bytes an environment of several scenarios
counts   instructions a packet, allocations a step and a reset, bytes an environment: the same on any machine

Prints one JSON object `{"name", "value", "unit"}` a line. Instructions are counted by valgrind as the
difference of two run lengths, so start-up does not count; episode starts, observations and reports do.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

CASES = ("12mbps", "100mbps", "12mbps_paced")
EPISODE_WINDOWS = 299
LENGTHS = {"12mbps": (1, 5), "12mbps_paced": (1, 5), "100mbps": (1, 2)}  # episodes
SCENARIOS = ("constant", "lte", "pantheon")


def packets_and_instructions(program: Path, case: str, windows: int) -> tuple[int, int]:
    with tempfile.TemporaryDirectory() as folder:
        command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={Path(folder) / 'out'}"]
        command += [str(program), "--run", case, str(windows)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    collected = re.search(r"Collected : (\d+)", done.stderr)
    if collected is None:
        raise RuntimeError(f"valgrind told no instruction count:\n{done.stderr}")
    return int(done.stdout), int(collected.group(1))


def instructions_per_packet(program: Path, case: str) -> float:
    short, long = (packets_and_instructions(program, case, n * EPISODE_WINDOWS) for n in LENGTHS[case])
    return (long[1] - short[1]) / (long[0] - short[0])


def count_instructions(program: Path) -> None:
    if shutil.which("valgrind") is None:
        print("instructions a packet not counted: valgrind is not installed", flush=True)
        return
    for case in CASES:
        name = f"instructions_per_packet_{case}"
        value = round(instructions_per_packet(program, case), 1)
        print(json.dumps({"name": name, "value": value, "unit": "instructions/packet"}), flush=True)


def main(folder: Path, mode: str) -> int:
    program = folder / "environment_bench"
    if mode == "speed":
        subprocess.run([program], check=True)
    elif mode == "memory":
        subprocess.run([program, "--many"], check=True)
        script = Path(__file__).with_name("scenario_memory.py")
        for scenario in SCENARIOS:  # each in a process of its own: the allocator remembers
            subprocess.run([sys.executable, script, scenario], check=True)
    else:
        subprocess.run([folder / "memory_bench"], check=True)
        count_instructions(program)
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[2] not in ("speed", "memory", "counts"):
        sys.exit("usage: run_bench.py FOLDER speed|memory|counts")
    sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
