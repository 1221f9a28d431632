"""Where several flows share a path: who got what, how evenly, how soon after a flow came or went."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pantheon.fairness import Sharing, harm, sharing
from pantheon.metrics import Interval, bootstrap_mean
from pantheon.report.album import ChapterWriter
from pantheon.report.overview import Step
from pantheon.report.sharing_figures import flows_over_time
from pantheon.report.source import Source
from pantheon.report.tables import THROUGHPUT, Columns, Quantity, Table

JAIN = Quantity("Jain's index", "1 is even", 3)
OWN_SHARE = Quantity("its share", "of the fair share", 2)
LEAST_SHARE = Quantity("least share", "of any other flow", 2)
CONVERGENCE = Quantity("convergence", "s, mean", 1, larger_is_better=False)
UNSETTLED = Quantity("not converged", "% of joins and leaves", 0, factor=100.0, larger_is_better=False)
OTHERS = Quantity("others' throughput", "Mbit/s together", 2)
HARM = Quantity("harm", "beyond its own kind's", 2, larger_is_better=False)


@dataclass(frozen=True)
class SharingSection:
    table: Table
    pictures: list[str]
    """Keys of the chapter's figures, in the table's order."""


def sharing_section(
    source: Source, name: str, schemes: Sequence[str], chapter: ChapterWriter, step: Step
) -> SharingSection:
    """Of a scenario with several flows; `schemes` in the order to show them."""
    columns = Columns(list(schemes))
    results = source.results[source.results["scenario"] == name]
    own, others = _throughputs(results, flow_zero=True), _throughputs(results, flow_zero=False)
    columns.add(THROUGHPUT, {scheme: bootstrap_mean(values) for scheme, values in own.items()})
    columns.add(OTHERS, {scheme: bootstrap_mean(values) for scheme, values in others.items()})
    columns.add(HARM, _harm_beyond_kin(results, schemes))
    series = source.series[source.series["scenario"] == name]
    pictures = []
    found: dict[str, list[Sharing]] = {}
    for scheme in schemes:
        runs = [run for _, run in series[series["scheme"] == scheme].groupby("seed", sort=False)]
        if not runs:
            continue
        step(f"flows of {scheme} in {name}")
        found[scheme] = [sharing(run) for run in runs]
        key = f"{scheme} flows"
        figure = flows_over_time(runs[0], found[scheme][0], scheme, name)
        text = (
            f"Throughput of every flow in {name} over time with flow 0 driven by {scheme}, and Jain's index."
        )
        chapter.add(key, figure, text)
        pictures.append(key)
    if found:
        _add_evenness(columns, found)
    return SharingSection(columns.table(f"{name}: how the flows share the path"), pictures)


def _throughputs(
    results: pd.DataFrame, *, flow_zero: bool
) -> dict[str, np.ndarray[tuple[int], np.dtype[np.float64]]]:
    """By scheme, a value an episode: of the flow under test, or of all others together."""
    rows = results[(results["flow"] == 0) == flow_zero]
    sums = rows.groupby(["scheme", "seed"], sort=False)["throughput_mbps"].sum()
    return {str(scheme): part.to_numpy(np.float64) for scheme, part in sums.groupby("scheme", sort=False)}


def _harm_beyond_kin(results: pd.DataFrame, schemes: Sequence[str]) -> dict[str, Interval | float | None]:
    """What flow 1 loses of its throughput beside each scheme, against what it has beside its own kind; only
    where its own kind is among the schemes."""
    rivals = results[results["flow"] == 1]
    figures = {
        str(scheme): {
            "throughput_mbps": float(rows["throughput_mbps"].mean()),
            "queue_delay_mean_ms": float(rows["queue_delay_mean_ms"].mean()),
        }
        for scheme, rows in rivals.groupby("scheme", sort=False)
    }
    kinds = {str(scheme): str(rows["flow_scheme"].iloc[0]) for scheme, rows in rivals.groupby("scheme")}
    return {
        scheme: harm(figures[kinds[scheme]], figures[scheme]).throughput
        if scheme in kinds and kinds[scheme] in figures and kinds[scheme] != scheme
        else None
        for scheme in schemes
    }


def _add_evenness(columns: Columns, found: dict[str, list[Sharing]]) -> None:
    """From the recorded episodes."""
    columns.add(JAIN, {scheme: _mean([run.mean_jain for run in runs]) for scheme, runs in found.items()})
    columns.add(OWN_SHARE, {scheme: _mean([run.shares[0] for run in runs]) for scheme, runs in found.items()})
    columns.add(
        LEAST_SHARE,
        {
            scheme: min((share for run in runs for flow, share in run.shares.items() if flow), default=None)
            for scheme, runs in found.items()
        },
    )
    waits = {
        scheme: [event.convergence_ms / 1000.0 for run in runs for event in run.events]
        for scheme, runs in found.items()
    }
    if any(waits.values()):
        columns.add(CONVERGENCE, {scheme: _mean(values) for scheme, values in waits.items()})
        columns.add(UNSETTLED, {scheme: _mean(list(np.isnan(values))) for scheme, values in waits.items()})


def _mean(values: Sequence[float]) -> float:
    present = [value for value in values if np.isfinite(value)]
    return float(np.mean(present)) if present else float("nan")
