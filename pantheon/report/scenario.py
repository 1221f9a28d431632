"""A scenario's section: its table, its trade-off, and a run of each scheme over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pantheon.report import tables
from pantheon.report.album import Album, Chapter, ChapterWriter, file_name
from pantheon.report.facts import Facts, scenario_facts
from pantheon.report.overview import Step
from pantheon.report.scenario_figures import Scales, time_series, trade_off
from pantheon.report.sharing import SharingSection, sharing_section
from pantheon.report.source import Source
from pantheon.report.tables import Table
from pantheon.results import Summary
from pantheon.statistics import Scored

TRADE_OFF = "trade-off"


@dataclass(frozen=True)
class ScenarioSection:
    id: str
    name: str
    facts: Facts
    table: Table
    chapter: Chapter
    over_time: list[str]
    """Keys of the figures over time, in the table's order."""
    seed: int | None
    """Of the run that they show."""
    shared: SharingSection | None
    """Where the scenario has several flows."""


def scenario_section(
    source: Source, name: str, summaries: Sequence[Summary], scored: Scored, album: Album, step: Step
) -> ScenarioSection:
    """`summaries` are those of the observed flows in this scenario."""
    table = tables.scenario_table(name, summaries, scored)
    with album.chapter(name) as chapter:
        step(name)
        observed = source.observed[source.observed["scenario"] == name]
        chapter.add(
            TRADE_OFF,
            trade_off(observed, name),
            f"Throughput over 95th percentile delay of each run in {name}, with the mean and the "
            "one-standard-deviation ellipse of each scheme. The table has the means.",
        )
        ranked = [scheme for scheme, _ in table.rows]
        seed = _over_time(source, name, ranked, chapter, step)
        over_time = [key for key in chapter.chapter.pictures if key != TRADE_OFF]
        several = source.flows_in(name) > 1
        shared = sharing_section(source, name, ranked, chapter, step) if several else None
    return ScenarioSection(
        id=f"scenario-{file_name(name)}",
        name=name,
        facts=scenario_facts(source.scenario_config(name)),
        table=table,
        chapter=chapter.chapter,
        over_time=over_time,
        seed=seed,
        shared=shared,
    )


def _over_time(
    source: Source, name: str, schemes: Sequence[str], chapter: ChapterWriter, step: Step
) -> int | None:
    """Draws a run of each scheme that has one; returns the seed of the last."""
    series = source.series
    here = series[(series["scenario"] == name) & (series["flow"] == 0)]
    if here.empty:
        return None
    scales, seed = Scales.of(here), None
    for scheme in schemes:
        step(f"{scheme} in {name}")
        run = source.run_of(scheme, name)
        run = run[run["flow"] == 0]
        if run.empty:
            continue
        seed = int(run["seed"].iloc[0])
        chapter.add(
            scheme,
            time_series(run, scheme, name, scales, source.actions),
            f"{scheme} in {name} over time: throughput on the link's capacity, queueing delay, window, loss"
            + (" and actions." if (run["action"] >= 0).any() else "."),
        )
    return seed
