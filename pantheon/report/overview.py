"""The first section: schemes ranked over all scenarios, and how sure that is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pantheon import statistics
from pantheon.report import overview_figures, tables
from pantheon.report.album import Album, Chapter, ChapterWriter
from pantheon.report.source import Source
from pantheon.report.tables import Table
from pantheon.results import ALL_SCENARIOS, Summary
from pantheon.statistics import Scored

Step = Callable[[str], None]
"""Told what is drawn next, once a figure."""
STEPS = 6


@dataclass(frozen=True)
class Overview:
    ranking: Table
    scored: bool
    """Whether there are scores; else the ranking is by reward, and `left_out` says why."""
    chapter: Chapter
    matrices: list[tuple[Table, str]]
    """Each with the key of the figure that shows the same."""
    left_out: dict[str, str]


def overview(
    source: Source, summaries: Sequence[Summary], scored: Scored, album: Album, step: Step
) -> Overview:
    """`summaries` are those of the observed flows."""
    whole = [s for s in summaries if s.scenario == ALL_SCENARIOS] or list(summaries)  # one scenario is all
    delays = source.observed.groupby(["scheme", "scenario"])["queue_delay_p95_ms"].mean()
    queue_delays = {str(name): float(value) for name, value in delays.groupby("scheme").mean().items()}
    with album.chapter("overview") as chapter:
        if not scored.scenarios:
            ranking, matrices = tables.by_reward(whole), []
        else:
            points = {name: float(statistics.iqm(rows.ravel())) for name, rows in scored.scores.items()}
            order = sorted(points, key=lambda name: -points[name])
            step("scores of all schemes")
            ranking = tables.ranking(scored, order, queue_delays)
            _draw_scores(scored, order, chapter, step)
            matrices = [_heat(scored, order, chapter, step), _improvement(scored, order, chapter, step)]
        step("trade-off of all schemes")
        figure = overview_figures.trade_off(whole, queue_delays)
        chapter.add(
            "trade-off",
            figure,
            "Each scheme's mean utilisation over its mean 95th percentile queueing delay, all scenarios "
            "weighing the same.",
        )
    return Overview(ranking, bool(scored.scenarios), chapter.chapter, matrices, scored.left_out)


def _draw_scores(scored: Scored, order: list[str], chapter: ChapterWriter, step: Step) -> None:
    step("intervals")
    iqm = [(name, statistics.interval(scored.scores[name])) for name in order]
    chapter.add(
        "score",
        overview_figures.intervals(iqm, "Normalised score", "interquartile mean (0 random, 1 oracle)"),
        "Interquartile mean of the normalised score of each scheme with its 95 % interval: "
        + ", ".join(f"{name} {interval.mean:.2f}" for name, interval in iqm),
    )
    gaps = [(name, statistics.interval(scored.scores[name], statistics.optimality_gap)) for name in order]
    chapter.add(
        "optimality-gap",
        overview_figures.intervals(
            gaps, "Optimality gap: less is better", "mean shortfall from a score of 1"
        ),
        "Optimality gap of each scheme with its 95 % interval: "
        + ", ".join(f"{name} {interval.mean:.2f}" for name, interval in gaps),
    )
    step("performance profiles")
    chapter.add(
        "profiles",
        overview_figures.profiles(scored, order),
        "Performance profiles: for each scheme the share of episodes that score above a threshold.",
    )


def _heat(scored: Scored, order: list[str], chapter: ChapterWriter, step: Step) -> tuple[Table, str]:
    step("scores by scenario")
    names, values = tables.score_matrix(scored, order)
    caption = "Mean normalised score by scenario"
    figure = overview_figures.matrix(scored.scenarios, names, values, title=caption, neutral=0.0, reach=1.0)
    chapter.add("scores", figure, caption)
    table = tables.matrix_table(caption, "scenario", scored.scenarios, names, values, neutral=0.0, reach=1.0)
    return table, "scores"


def _improvement(scored: Scored, order: list[str], chapter: ChapterWriter, step: Step) -> tuple[Table, str]:
    step("probabilities of improvement")
    values, notes = tables.improvement_matrix(scored, order)
    caption = "Probability that the row's scheme scores above the column's"
    figure = overview_figures.matrix(order, order, values, title=caption, neutral=0.5, reach=0.5)
    chapter.add("improvement", figure, caption)
    table = tables.matrix_table(caption, "scheme", order, order, values, neutral=0.5, reach=0.5, notes=notes)
    return table, "improvement"
