"""Real runs, but small ones, for what reads runs: a sweep of two configurations with two seeds each."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DISCOUNTS, SEEDS = (0.9, 0.95), (0, 1)


def train(sweep: Path) -> Path:
    command = [sys.executable, str(ROOT / "run.py"), "-m", "experiment=debug", f"hydra.sweep.dir={sweep}"]
    command += ["total_steps=1200", "env.episode_ms=4000", "test.anchors=false", "test.report=false"]
    command += [f"agent.loss.discount={','.join(map(str, DISCOUNTS))}", f"seed={','.join(map(str, SEEDS))}"]
    done = subprocess.run(
        command,
        cwd=sweep.parent,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return sweep
