"""Our native environment among the simulators: CUBIC with the full transport, statistics and observations."""

from __future__ import annotations

import subprocess

from bench import BUILD, build_native

RATES = ('_12mbps"', '_100mbps"')

if __name__ == "__main__":
    build_native()
    program = BUILD / "bench" / "environment_bench"
    lines = subprocess.run([str(program)], check=True, capture_output=True, text=True).stdout.splitlines()
    print("\n".join(line for line in lines if any(rate in line for rate in RATES)))
