"""Virtual time held against real time: the same policy and schemes, the same paths, simulated and real QUIC.

    python -m pantheon.sim2real --checkpoint FILE [--transport aioquic|mvfst] [--runs 5] [--out FOLDER]
                                [KEY=VALUE ...]

Every episode is played twice: by aioquic or mvfst in real time over an emulated path (FOLDER/real), and by
its constants in virtual time over the same path, drawn from the same seed (FOLDER/virtual). There, answers
take as long as those of the real run did, and the hosts wake up late as real ones do. Both folders are runs
of mode=test: what is finished stays, and the same command goes on.

Written: FOLDER/sim2real.parquet, a row a scheme in a scenario, and FOLDER/sim2real.md. The exit status is 0
unless something could not be played (2): a gap is a finding, not a failure.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table

from mvfstrl.agents.schemes import MVFST_OWN
from mvfstrl.config import compose, register
from mvfstrl.config.validate import validate
from mvfstrl.errors import MvfstrlError
from mvfstrl.files import write_whole
from mvfstrl.rundir import RunDirectory
from pantheon.evaluate import evaluate
from pantheon.late_hosts import AIOQUIC, MVFST, LateHost
from pantheon.metrics import Interval, bootstrap_difference
from pantheon.realtime import LATENCY
from pantheon.report import write_report
from pantheon.results import write_results
from pantheon.schemes import schemes_of

if TYPE_CHECKING:
    from mvfstrl.config import Config

SCENARIOS = "env=[lte,s1,s15,s16,s18]"
SCHEMES = "test.schemes=[cubic,newreno,copa,bbr]"
VIRTUAL = {"aioquic": "aioquic_virtual", "mvfst": "virtual"}
"""The transport of virtual time that has a real one's constants."""
NAME = "sim2real"  # of the files; pantheon/report/realtime.py tells of them too
HOSTS = {"aioquic": AIOQUIC, "mvfst": MVFST}
METRICS = ("reward", "throughput_mbps", "delay_mean_ms", "delay_p95_ms", "loss")
RELATIVE = {"reward": 0.05, "throughput_mbps": 0.05, "delay_p95_ms": 0.10}
"""How far real may be from virtual time, as a part of the latter..."""
ABSOLUTE = {"reward": 0.05, "throughput_mbps": 0.0, "delay_p95_ms": 4.0}
"""...and in any case. A log-ratio reward changes by 0.05 with 5 % of the throughput, whatever its size."""


@dataclass(frozen=True)
class Gap:
    """A metric of one scheme in one scenario; `difference` is real less virtual, over the same episodes."""

    real: float
    virtual: float
    difference: Interval
    allowed: float | None
    """None: not judged."""

    @property
    def marked(self) -> bool:
        return self.allowed is not None and abs(self.difference.mean) > self.allowed


@dataclass(frozen=True)
class Row:
    scenario: str
    scheme: str
    runs: int
    late: int
    """Of the real ones, those that the machine could not keep up with."""
    gaps: dict[str, Gap]


def compare(real: pd.DataFrame, virtual: pd.DataFrame) -> list[Row]:
    """Of two tables of results, episode by episode."""
    both = real.merge(virtual, on=["scheme", "scenario", "seed", "flow"], suffixes=("", "_virtual"))
    rows = []
    for (scenario, scheme), group in both.groupby(["scenario", "scheme"], sort=False):
        gaps = {}
        for metric in METRICS:
            ours, theirs = group[metric], group[f"{metric}_virtual"]
            allowed = None
            if metric in RELATIVE:
                allowed = max(RELATIVE[metric] * abs(float(theirs.mean())), ABSOLUTE[metric])
            difference = bootstrap_difference(ours.to_numpy(), theirs.to_numpy())
            gaps[metric] = Gap(float(ours.mean()), float(theirs.mean()), difference, allowed)
        late = int(group["late"].astype(bool).sum()) if "late" in group else 0
        rows.append(Row(str(scenario), str(scheme), len(group), late, gaps))
    return rows


def to_frame(rows: Sequence[Row]) -> pd.DataFrame:
    """A row a metric of a scheme in a scenario."""
    return pd.DataFrame(
        {
            "scenario": row.scenario, "scheme": row.scheme, "runs": row.runs, "late": row.late,
            "metric": metric, "real": gap.real, "virtual": gap.virtual, "difference": gap.difference.mean,
            "low": gap.difference.low, "high": gap.difference.high,
            "allowed": float("nan") if gap.allowed is None else gap.allowed, "marked": gap.marked,
        }
        for row in rows
        for metric, gap in row.gaps.items()
    )  # fmt: skip


HEADINGS = {
    "reward": "reward a window",
    "throughput_mbps": "throughput, Mbit/s",
    "delay_mean_ms": "mean delay, ms",
    "delay_p95_ms": "p95 delay, ms",
    "loss": "loss, %",
}


def cell(metric: str, gap: Gap) -> str:
    """`virtual → real (difference [interval])`, with a mark where it is more than allowed."""
    scale, digits = (100.0, 2) if metric == "loss" else (1.0, 3 if metric == "reward" else 2)
    virtual, real, mean, low, high = (
        f"{scale * value:.{digits}f}"
        for value in (gap.virtual, gap.real, gap.difference.mean, gap.difference.low, gap.difference.high)
    )
    return f"{virtual} → {real} ({mean} [{low}, {high}]){' !' if gap.marked else ''}"


def to_markdown(rows: Sequence[Row]) -> str:
    head = ["scenario", "scheme", "runs", *HEADINGS.values()]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row in rows:
        cells = [cell(metric, row.gaps[metric]) for metric in HEADINGS]
        runs = f"{row.runs}, {row.late} late" if row.late else str(row.runs)
        lines.append("| " + " | ".join([row.scenario, row.scheme, runs, *cells]) + " |")
    return "\n".join(lines) + "\n"


def to_table(rows: Sequence[Row]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, title="virtual → real (difference [95 %]); ! marks more than the goal")
    for name in ("scenario", "scheme", "runs"):
        table.add_column(name, no_wrap=True)
    for name in HEADINGS.values():
        table.add_column(name, justify="right")
    for row in rows:
        cells = [cell(metric, row.gaps[metric]) for metric in HEADINGS]
        table.add_row(row.scenario, row.scheme, str(row.runs), *cells)
    return table


def with_late_hosts(cfg: Config, host: LateHost) -> Config:
    """What neither a scenario nor the transport says of jitter and of sending is as real hosts have it."""
    scenarios = {}
    for name, scenario in cfg.env.scenarios.items():
        variation = {"jitter_ms": host.wake_up_ms, **scenario.delay_variation}
        scenarios[name] = replace(scenario, delay_variation=variation)
    transport = {**cfg.transport, "send_time_ms": cfg.transport["send_time_ms"] or host.send_time_ms}
    return replace(cfg, env=replace(cfg.env, scenarios=scenarios), transport=transport)


def without_mvfsts_own(cfg: Config) -> Config:
    """What virtual time has no counterpart of is played for real only."""
    schemes = [name for name in cfg.test.schemes if name not in MVFST_OWN]
    return replace(cfg, test=replace(cfg.test, schemes=schemes))


def play_both(transport: str, folder: Path, overrides: Sequence[str], console: Console) -> list[Row]:
    real_time = compose([f"transport={transport}", *overrides])
    runs = f"test.runs={real_time.test.runs}"
    both = [each for each in overrides if not each.startswith("realtime.")]  # which virtual time refuses
    virtual = [f"transport={VIRTUAL[transport]}", *both, runs]
    validate(without_mvfsts_own(compose(virtual)), folder)  # before anything is played
    real = _play(real_time, folder / "real", console)
    measured = folder / "real" / LATENCY
    if measured.exists():
        virtual.append(f"env.action_delay_ms=from:{measured}")
    late = with_late_hosts(without_mvfsts_own(compose(virtual)), HOSTS[transport])
    return compare(real, _play(late, folder / "virtual", console))


def _play(cfg: Config, folder: Path, console: Console) -> pd.DataFrame:
    folder.mkdir(parents=True, exist_ok=True)
    validate(cfg, folder)
    run = RunDirectory(folder)
    console.rule(str(folder))
    return evaluate(cfg, schemes_of(cfg, run), folder, console)


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m pantheon.sim2real",
        description="Plays the same episodes in real time over real QUIC and in virtual time, and compares.",
    )
    parser.add_argument("--checkpoint", required=True, help="the policy: a file or a run's folder")
    parser.add_argument("--transport", choices=VIRTUAL, default="aioquic", help="default: %(default)s")
    parser.add_argument("--runs", type=int, default=5, help="episodes of each scheme in each scenario")
    parser.add_argument("--out", type=Path, default=Path("outputs/sim2real"), help="default: %(default)s")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="as run.py takes them")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None, console: Console | None = None) -> int:
    given, console = parse_arguments(arguments), console or Console()
    register()
    basis: list[Any] = ["mode=test", "tracker=none", "agent=impala", SCENARIOS, SCHEMES, "test.anchors=false"]
    basis += [f"checkpoint={given.checkpoint}", f"test.runs={given.runs}", *given.overrides]
    try:
        rows = play_both(given.transport, given.out, basis, console)
    except (MvfstrlError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    write_results(to_frame(rows), given.out / f"{NAME}.parquet")
    write_whole(given.out / f"{NAME}.md", to_markdown(rows).encode())
    write_report(given.out / "real", console)
    console.print(to_table(rows))
    marked = sum(gap.marked for row in rows for gap in row.gaps.values())
    console.print(f"{marked} of {3 * len(rows)} judged figures are off by more than the goal; {given.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
