"""Our native environment: CUBIC with the full transport, the agent's statistics and observations included."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

TOOLS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TOOLS))

from bench import BUILD, build_native  # noqa: E402

RATES = ('_12mbps"', '_100mbps"')

if __name__ == "__main__":
    build_native()
    program = BUILD / "bench" / "environment_bench"
    lines = subprocess.run([str(program)], check=True, capture_output=True, text=True).stdout.splitlines()
    print("\n".join(line for line in lines if any(rate in line for rate in RATES)))
