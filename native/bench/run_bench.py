"""Runs environment_bench and counts the instructions that a data packet costs: `run_bench.py PROGRAM`.

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


def packets_and_instructions(program: str, case: str, windows: int) -> tuple[int, int]:
    with tempfile.TemporaryDirectory() as folder:
        command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={Path(folder) / 'out'}"]
        command += [program, "--run", case, str(windows)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    collected = re.search(r"Collected : (\d+)", done.stderr)
    if collected is None:
        raise RuntimeError(f"valgrind told no instruction count:\n{done.stderr}")
    return int(done.stdout), int(collected.group(1))


def instructions_per_packet(program: str, case: str) -> float:
    short, long = (packets_and_instructions(program, case, n * EPISODE_WINDOWS) for n in LENGTHS[case])
    return (long[1] - short[1]) / (long[0] - short[0])


def main(program: str) -> int:
    subprocess.run([program], check=True)
    if shutil.which("valgrind") is None:
        print("instructions a packet not counted: valgrind is not installed", flush=True)
        return 0
    for case in CASES:
        name = f"instructions_per_packet_{case}"
        value = round(instructions_per_packet(program, case), 1)
        print(json.dumps({"name": name, "value": value, "unit": "instructions/packet"}), flush=True)
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: run_bench.py PROGRAM")
    sys.exit(main(sys.argv[1]))
