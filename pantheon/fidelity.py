"""Our virtual time held against real runs: every row of a truth table, played and compared.

    python -m pantheon.fidelity TRUTH.csv --json OUT.json [--figure OUT.png] [--markdown OUT.md]

Each row is played on the same trace files from the same offset, with the same packets, queue, delay and
loss, by one transport configuration (mvfst's constants; the truth's own maximum window, which never binds)
on hosts that wake up late. Figures follow the truth's definitions (pantheon.linklog), ours are means over
several seeds.

Throughput is marked where it differs by more than 3 %, the 95th percentile of delay where it differs by
more than 5 % and 2 ms; by more than 10 % (and 2 ms) where random loss, Poisson arrivals or cellular traces
rule. What the repeats of the truth differ by is allowed in any case. Where chance rules, a truth that lies
among our seeds is not marked either. Mean delay and loss are shown and not judged. The exit status is 0
unless something could not be read or played (2).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from mvfstrl.errors import MvfstrlError
from pantheon.linklog import LinkStatistics, statistics
from pantheon.play_truth import is_known, play_row, write_logs
from pantheon.truth import TruthError, TruthRow, find_trace, is_generated, read_truth

SEEDS = 8
TOLERANCES = {"throughput_mbps": 0.03, "delay_p95_ms": 0.05}
STOCHASTIC_TOLERANCE = 0.10
DELAY_FLOOR_MS = 2.0
METRICS = ("throughput_mbps", "delay_mean_ms", "delay_p95_ms", "loss")


@dataclass(frozen=True)
class Difference:
    """One figure of one row, ours as mean and range of the seeds; `allowed` bounds |ours - truth| before it
    is marked (None: never marked)."""

    truth: float
    ours: float
    ours_low: float
    ours_high: float
    allowed: float | None
    stochastic: bool
    """Chance rules: a truth among our seeds is not marked."""

    @property
    def relative(self) -> float:
        """Infinite where the truth is zero and ours is not."""
        if self.truth == 0.0:
            return 0.0 if self.ours == 0.0 else float("inf")
        return (self.ours - self.truth) / self.truth

    @property
    def marked(self) -> bool:
        excused = self.stochastic and self.ours_low <= self.truth <= self.ours_high
        return self.allowed is not None and not excused and abs(self.ours - self.truth) > self.allowed


@dataclass(frozen=True)
class Comparison:
    row: TruthRow
    seeds: int
    metrics: dict[str, Difference]

    @property
    def marked(self) -> bool:
        return any(difference.marked for difference in self.metrics.values())


def compare(row: TruthRow, repeats: Sequence[TruthRow], ours: Sequence[LinkStatistics]) -> Comparison:
    """`repeats`: the truth's rows of this scenario and scheme, this one among them."""
    stochastic = _stochastic(row)
    metrics = {}
    for metric in METRICS:
        truth = float(getattr(row, metric))
        values = [float(getattr(result, metric)) for result in ours]
        spread = _spread([float(getattr(repeat, metric)) for repeat in repeats])
        floor = DELAY_FLOOR_MS if metric.startswith("delay") else 0.0
        tolerance = TOLERANCES.get(metric)
        if tolerance is not None and stochastic:
            tolerance = STOCHASTIC_TOLERANCE
        allowed = None if tolerance is None else max(tolerance * truth, spread, floor)
        metrics[metric] = Difference(
            truth, float(np.mean(values)), min(values), max(values), allowed, stochastic
        )
    return Comparison(row, len(ours), metrics)


def run(
    rows: Sequence[TruthRow],
    traces: Path,
    *,
    seeds: int = SEEDS,
    dump: Path | None = None,
    progress: Callable[[TruthRow], None] | None = None,
) -> list[Comparison]:
    """Plays and compares every row; with `dump`, our packet logs go there in mahimahi's format."""
    comparisons = []
    with tempfile.TemporaryDirectory() as generated:
        for row in rows:
            if progress:
                progress(row)
            repeats = [r for r in rows if (r.scenario, r.scheme) == (row.scenario, row.scheme)]
            played = [play_row(row, traces, Path(generated), seed=seed) for seed in range(seeds)]
            if dump is not None:
                write_logs(dump, row, *played[0])
            ours = [statistics(uplink.log(), 0, row.duration_ms) for uplink, _ in played]
            comparisons.append(compare(row, repeats, ours))
    return comparisons


def to_json(comparisons: Sequence[Comparison]) -> list[dict[str, Any]]:
    return [
        {
            "scenario": c.row.scenario,
            "scheme": c.row.scheme,
            "repeat": c.row.repeat,
            "seeds": c.seeds,
            "marked": c.marked,
            "metrics": {
                name: {**asdict(d), "difference": d.ours - d.truth, "marked": d.marked}
                for name, d in c.metrics.items()
            },
        }
        for c in comparisons
    ]


def table(comparisons: Sequence[Comparison]) -> Table:
    result = Table(
        box=box.SIMPLE_HEAD, title="truth → ours (difference); ! marks more than a row may differ by"
    )
    for name in ("scenario", "scheme", "rep"):
        result.add_column(name, no_wrap=True)
    for name in ("throughput, Mbit/s", "mean queueing delay, ms", "p95 queueing delay, ms", "queue loss, %"):
        result.add_column(name, justify="right", no_wrap=True)
    for c in comparisons:
        cells = [_cell(c.metrics[metric], metric) for metric in METRICS]
        result.add_row(c.row.scenario, c.row.scheme, c.row.repeat, *cells)
    return result


def _cell(difference: Difference, metric: str) -> str:
    digits, factor = {"throughput_mbps": (3, 1.0), "loss": (3, 100.0)}.get(metric, (1, 1.0))
    change = f"{100 * difference.relative:+.1f} %" if np.isfinite(difference.relative) else "new"
    text = f"{factor * difference.truth:.{digits}f} → {factor * difference.ours:.{digits}f} ({change})"
    return f"[bold red]{text} ![/]" if difference.marked else f"{text}  "


def markdown(comparisons: Sequence[Comparison]) -> str:
    """The table of docs/fidelity.md."""
    lines = [
        "| scenario | scheme, repeat | throughput, Mbit/s | p95 delay, ms | mean delay, ms | queue loss, % |",
        "|---|---|---|---|---|---|",
    ]
    order = ("throughput_mbps", "delay_p95_ms", "delay_mean_ms", "loss")
    for c in comparisons:
        cells = [_markdown_cell(c.metrics[metric], 100.0 if metric == "loss" else 1.0) for metric in order]
        lines.append(f"| {c.row.scenario} | {c.row.scheme} {c.row.repeat} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _markdown_cell(difference: Difference, factor: float) -> str:
    change = f"{100 * difference.relative:+.1f} %" if np.isfinite(difference.relative) else "new"
    mark = " **!**" if difference.marked else ""
    return f"{factor * difference.truth:.4g} / {factor * difference.ours:.4g} ({change}){mark}"


def _stochastic(row: TruthRow) -> bool:
    return row.random_loss > 0 or (row.links is not None and row.links.stochastic)


def _spread(values: Sequence[float]) -> float:
    return max(values) - min(values)


def main(arguments: list[str]) -> int:
    options = _parse(arguments)
    console = Console()
    if not console.is_terminal:
        console.width = 180
    try:
        table_rows = read_truth(options.truth)
        rows, left_out = _playable(_select(table_rows, options.schemes, options.scenarios), options.traces)
        skipped = len(table_rows) - len(rows)
        with console.status("playing") as status:
            comparisons = run(
                rows,
                options.traces,
                seeds=options.seeds,
                dump=options.dump,
                progress=lambda row: status.update(f"playing {row.scenario} {row.scheme} {row.repeat}"),
            )
        console.print(table(comparisons))
        marked = sum(c.marked for c in comparisons)
        console.print(
            f"{len(comparisons)} rows of {options.seeds} seeds, {marked} marked; {skipped} rows not played"
        )
        for note in (*left_out, *_generated(rows, options.traces)):
            console.print(note, highlight=False)
        if options.json:
            _folder_of(options.json).write_text(json.dumps(to_json(comparisons), indent=1) + "\n")
        if options.markdown:
            _folder_of(options.markdown).write_text(markdown(comparisons), encoding="utf-8")
        if options.figure:
            from pantheon.figures import fidelity

            fidelity(comparisons, _folder_of(options.figure))
    except (MvfstrlError, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _parse(arguments: list[str]) -> argparse.Namespace:
    shared = Path(os.environ.get("MVFSTRL_SHARED", "../shared"))
    parser = argparse.ArgumentParser(
        prog="python -m pantheon.fidelity", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("truth", type=Path, help="a table such as ../shared/truth/mahimahi_mvfst.csv")
    parser.add_argument("--json", type=Path, help="write all figures here")
    parser.add_argument("--figure", type=Path, help="draw truth against ours here")
    parser.add_argument("--markdown", type=Path, help="write the table here, as docs/fidelity.md has it")
    parser.add_argument("--schemes", type=lambda text: text.split(","), help="only these, e.g. cubic,newreno")
    parser.add_argument("--scenarios", type=lambda text: text.split(","), help="only these, e.g. s4,s18")
    parser.add_argument(
        "--seeds", type=int, default=SEEDS, help="episodes of ours for each row (%(default)s)"
    )
    parser.add_argument("--traces", type=Path, default=shared / "traces", help="folder of the trace files")
    parser.add_argument(
        "--dump", type=Path, help="write our packet logs into this folder, in mahimahi's format"
    )
    return parser.parse_args(arguments)


def _select(
    rows: Sequence[TruthRow], schemes: list[str] | None, scenarios: list[str] | None
) -> list[TruthRow]:
    chosen = [
        row
        for row in rows
        if row.links is not None
        and is_known(row.scheme)
        and (schemes is None or row.scheme in schemes)
        and (scenarios is None or row.scenario in scenarios)
    ]
    if not chosen:
        raise ValueError("the table holds no row to play: none of a known scenario and scheme")
    return chosen


def _playable(rows: Sequence[TruthRow], traces: Path) -> tuple[list[TruthRow], list[str]]:
    """The rows whose traces can be had, and a note for each trace that cannot."""
    missing: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as generated:
        for name in _traces_of(rows):
            try:
                find_trace(name, traces, Path(generated))
            except TruthError as error:
                missing[name] = str(error)
    kept = [row for row in rows if not missing.keys() & set(_traces_of([row]))]
    if not kept:
        raise ValueError("; ".join(missing.values()))
    return kept, [f"not played: {text}" for text in missing.values()]


def _generated(rows: Sequence[TruthRow], traces: Path) -> list[str]:
    names = [name for name in _traces_of(rows) if is_generated(name, traces)]
    return [f"made by rule, as {traces} has no such file: {', '.join(names)}"] if names else []


def _traces_of(rows: Sequence[TruthRow]) -> list[str]:
    both = [name for row in rows if row.links for name in (row.links.uplink, row.links.downlink)]
    return list(dict.fromkeys(both))


def _folder_of(path: Path) -> Path:
    """The path, its folder made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
