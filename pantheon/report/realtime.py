"""What the page tells of a test in real time: how far the machine kept up, and what virtual time made of the
same episodes, where `python -m pantheon.sim2real` has compared them."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from pantheon.report.source import Source
from pantheon.report.tables import Cell, Table, number
from pantheon.results import REALTIME, read_table

GAP = "sim2real.parquet"
GAP_COLUMNS = ("scenario", "scheme", "metric", "real", "virtual", "difference", "low", "high", "marked")
_TIMES = (
    ("lateness_p99_ms", "path's writes"),
    ("sender_late_p99_ms", "sender's timers"),
    ("receiver_late_p99_ms", "receiver's timers"),
    ("decision_latency_p50_ms", "answers, median"),
    ("decision_latency_p99_ms", "answers"),
)
_METRICS = {
    "reward": ("reward", "a window", 1.0, 3),
    "throughput_mbps": ("throughput", "Mbit/s", 1.0, 2),
    "delay_mean_ms": ("mean delay", "ms", 1.0, 1),
    "delay_p95_ms": ("p95 delay", "ms", 1.0, 1),
    "loss": ("loss", "%", 100.0, 2),
}


@dataclass(frozen=True)
class Realtime:
    machine: Table
    late: int
    """Episodes that the machine could not keep up with."""
    gaps: list[Table]
    """A scenario each."""


def realtime_section(source: Source) -> Realtime | None:
    """None for a test in virtual time."""
    observed = source.observed
    if REALTIME[0] not in observed.columns:
        return None
    rows = []
    for scheme in source.schemes:
        own = observed[observed["scheme"] == scheme]
        cells = [Cell(number(float(own[column].max()), 2)) for column, _ in _TIMES]
        rows.append((scheme, [*cells, Cell(f"{int(own['late'].astype(bool).sum())} of {len(own)}")]))
    heads = [(name, "ms, p99" if "median" not in name else "ms") for _, name in _TIMES]
    machine = Table("The machine: the worst episode of each scheme", [*heads, ("late", "episodes")], rows)
    return Realtime(machine, int(observed["late"].astype(bool).sum()), _gaps(source))


def _gaps(source: Source) -> list[Table]:
    """From the comparison beside the test's folder, or in it."""
    path = next(
        (folder / GAP for folder in (source.folder, source.folder.parent) if (folder / GAP).exists()), None
    )
    if path is None:
        return []
    table = read_table(path, "comparison", GAP_COLUMNS)
    return [_gap_table(name, table[table["scenario"] == name]) for name in table["scenario"].unique()]


def _gap_table(scenario: str, table: pd.DataFrame) -> Table:
    rows = []
    for scheme, own in table.groupby("scheme", sort=False):
        by_metric = {str(row["metric"]): row for _, row in own.iterrows()}
        rows.append((str(scheme), [_gap_cell(by_metric[metric], metric) for metric in _METRICS]))
    heads = [(name, unit) for name, unit, _, _ in _METRICS.values()]
    return Table(f"{scenario}: virtual → real", heads, rows)


def _gap_cell(row: pd.Series, metric: str) -> Cell:
    _, _, scale, digits = _METRICS[metric]
    virtual, real, difference, low, high = (
        number(scale * float(row[name]), digits) for name in ("virtual", "real", "difference", "low", "high")
    )
    shade = "rgba(200, 80, 0, 0.18)" if row["marked"] else ""
    return Cell(f"{virtual} → {real}", f"{difference} [{low}, {high}]", shade=shade)
