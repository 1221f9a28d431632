"""A trained policy on recorded cellular links, beside CUBIC and NewReno: the real-input check.

    python -m pantheon.real_traces CHECKPOINT [--folder OUT] [OVERRIDES ...]

Plays the second halves (the first ones are what the synthetic families were fitted to) of Verizon-LTE-short
and TMobile-UMTS-driving, data over either direction and ACKs over the other, with 20 ms one-way delay and a
drop-tail queue of 100 packets, and writes what mode=test writes, a scenario a link. OVERRIDES are those of
run.py.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from mvfstrl.config import Config, compose
from mvfstrl.config.schema import ScenarioConfig
from mvfstrl.errors import ConfigError, MvfstrlError
from mvfstrl.rundir import RunDirectory

LINKS = ("Verizon-LTE-short", "TMobile-UMTS-driving")
SCHEMES = ("cubic", "newreno")
FROM_FRACTION = 0.5
ONE_WAY_MS = 20.0
QUEUE_PACKETS = 100


def scenarios(traces: Path) -> dict[str, ScenarioConfig]:
    """`NAME.up` has data over NAME.up and ACKs over NAME.down, `NAME.down` the reverse."""
    found = {}
    for link in LINKS:
        for side, other in (("up", "down"), ("down", "up")):
            found[f"{link}.{side}"] = ScenarioConfig(
                uplink=_second_half(traces / f"{link}.{side}"),
                downlink=_second_half(traces / f"{link}.{other}"),
                delay_ms=ONE_WAY_MS,
                queue={"kind": "droptail", "packets": QUEUE_PACKETS},
            )
    return found


def real_traces_config(checkpoint: str, traces: Path, overrides: Sequence[str] = ()) -> Config:
    cfg = compose(
        ["agent=impala", "env=constant", f"test.schemes=[{','.join(SCHEMES)}]", *overrides, "mode=test"]
    )
    cfg.checkpoint = checkpoint
    cfg.env.scenarios = scenarios(traces)
    return cfg


def _second_half(trace: Path) -> dict[str, object]:
    if not trace.is_file():
        raise ConfigError(f"--traces: {trace}: no such trace file (set MVFSTRL_SHARED, or give --traces)")
    return {"kind": "trace", "file": str(trace), "from_fraction": FROM_FRACTION}


def main(arguments: list[str]) -> int:
    from pantheon.evaluate import test

    parser = argparse.ArgumentParser(
        prog="python -m pantheon.real_traces", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("checkpoint", help="a checkpoint file or a run directory")
    parser.add_argument("overrides", nargs="*", help="as for run.py, e.g. test.runs=30")
    parser.add_argument("--folder", type=Path, default=Path("outputs/real_traces"), help="results go here")
    shared = Path(os.environ.get("MVFSTRL_SHARED", "../shared"))
    parser.add_argument("--traces", type=Path, default=shared / "traces", help="folder of the trace files")
    options = parser.parse_intermixed_args(arguments)
    try:
        test(
            real_traces_config(options.checkpoint, options.traces, options.overrides),
            RunDirectory(options.folder),
        )
    except MvfstrlError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
