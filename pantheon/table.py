"""The comparison as console tables: a line a scheme for each scenario, as Pantheon prints it, then the
ranking by normalised score (pantheon/statistics.py)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd
from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from mvfstrl._native import GUARD_REASONS
from pantheon.metrics import Interval
from pantheon.results import ALL_SCENARIOS, Summary
from pantheon.statistics import Scored, interval, iqm, mean, optimality_gap, paired_improvement


@dataclass(frozen=True)
class Column:
    metric: str
    heading: str
    unit: str
    digits: int
    factor: float = 1.0
    larger_is_better: bool = True


COLUMNS = (
    Column("throughput_mbps", "throughput", "Mbit/s", 2),
    Column("delay_p95_ms", "p95 delay", "ms, one way", 1, larger_is_better=False),
    Column("loss", "loss", "%", 2, factor=100.0, larger_is_better=False),
    Column("reward", "reward", "a window", 3),
)
DETAILS = (
    Column("utilisation", "utilisation", "%", 1, factor=100.0),
    Column("delay_mean_ms", "mean delay", "ms, one way", 1, larger_is_better=False),
    Column("queue_loss", "queue loss", "%", 2, factor=100.0, larger_is_better=False),
)
DETAILED = 2  # scenarios; of more, only the main columns are shown, and no intervals
_PADDING = 3  # a space at either side, and the gap between columns
_FILE_WIDTH = 160  # where the output is no terminal


def comparison_table(summaries: Sequence[Summary], width: int) -> Group:
    """One table a scenario, schemes ranked by reward; the best mean of a column is bold. Columns that do not
    fit into `width` follow in a further table: no figure is ever cut."""
    scenarios: dict[str, list[Summary]] = {}
    for summary in summaries:
        if summary.scenario != ALL_SCENARIOS:
            scenarios.setdefault(summary.scenario, []).append(summary)
    return Group(
        *(
            table
            for scenario, rows in scenarios.items()
            for table in _scenario_tables(
                scenario, sorted(rows, key=_by_reward), width, len(scenarios) <= DETAILED
            )
        )
    )


def ranking(scored: Scored, agent: str) -> RenderableType:
    """All schemes by the interquartile mean of their scores; `agent` is what the others are compared with."""
    lines: list[RenderableType] = [
        Text(f"{scenario} has no scores: {reason}") for scenario, reason in scored.left_out.items()
    ]
    if not scored.scenarios:
        return Group(*lines)
    runs = next(iter(scored.scores.values())).shape[1]
    title = (
        f"score over {len(scored.scenarios)} scenarios, {runs} runs each: 0 is random, 1 is oracle; "
        "interquartile mean (IQM) and others with 95 % stratified-bootstrap intervals"
    )
    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left")
    for heading in ("", "scheme"):
        table.add_column(heading, no_wrap=True)
    for heading in ("IQM", "mean", "optimality gap", f"better than {agent}"):
        table.add_column(heading, justify="right", no_wrap=True)
    order = sorted(scored.scores, key=lambda scheme: -float(iqm(scored.scores[scheme].reshape(-1))))
    for rank, scheme in enumerate(order, start=1):
        scores = scored.scores[scheme]
        cells = [_plain(interval(scores, statistic), 3) for statistic in (iqm, mean, optimality_gap)]
        rival = scored.scores.get(agent)
        better = rival is not None and scheme != agent
        cells.append(_plain(paired_improvement(scores, rival), 2) if better and rival is not None else "")
        style = "bold" if scheme == agent else ""
        table.add_row(str(rank), scheme, *cells, style=style)
    note = f"better than {agent}: the share of episodes in which a scheme earns more than it, ties half"
    return Group(table, Text(note), *lines)


def print_comparison(
    summaries: Sequence[Summary], scored: Scored, agent: str, console: Console | None = None
) -> None:
    console = console or Console()
    if not console.is_terminal:
        console.width = max(console.width, _FILE_WIDTH)
    console.print(comparison_table(summaries, console.width))
    console.print(ranking(scored, agent))


def guard_lines(table: pd.DataFrame) -> Iterator[str]:
    """A line for each scheme and scenario in which a guard's fall-back took over."""
    for (scheme, scenario), rows in table.groupby(["scheme", "scenario"], sort=False):
        counts = {reason: int(rows[f"guard_{reason}"].sum()) for reason in GUARD_REASONS}
        if total := sum(counts.values()):
            reasons = ", ".join(f"{reason} {count}" for reason, count in counts.items() if count)
            episodes = rows.loc[rows["fallback_share"] > 0, "seed"].nunique()
            yield (
                f"guard: {scheme} in {scenario} fell back {total} times ({reasons}) in {episodes} of "
                f"{rows['seed'].nunique()} episodes, {rows['fallback_share'].mean():.1%} of the time"
            )


def _plain(value: Interval, digits: int) -> str:
    return f"{value.mean:.{digits}f} [{value.low:.{digits}f}, {value.high:.{digits}f}]"


def _scenario_tables(scenario: str, summaries: list[Summary], width: int, detailed: bool) -> Iterator[Table]:
    title: str | None = f"{scenario}: means" + (" and 95 % bootstrap intervals" if detailed else "")
    labels = [_label(summary) for summary in summaries]
    runs = [str(_runs(summary)) for summary in summaries]
    columns = (*COLUMNS, *DETAILS) if detailed else COLUMNS
    cells = {c: [_cell(summary, summaries, c, detailed) for summary in summaries] for c in columns}
    for block in _blocks(cells, width - max(map(len, labels)) - len("runs") - 2 * _PADDING - 2):
        table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", show_lines=False)
        table.add_column("scheme", no_wrap=True)
        table.add_column("runs", justify="right", no_wrap=True)
        for column in block:
            table.add_column(f"{column.heading}\n{column.unit}", justify="right", no_wrap=True)
        for index, label in enumerate(labels):
            table.add_row(label, runs[index], *(cells[column][index] for column in block))
        title = None
        yield table


def _runs(summary: Summary) -> int:
    return max(value.count for value in summary.metrics.values())


def _blocks(cells: dict[Column, list[Text]], width: int) -> Iterator[list[Column]]:
    block: list[Column] = []
    used = 0
    for column, texts in cells.items():
        lines = [column.heading, column.unit, *(line for text in texts for line in text.plain.split("\n"))]
        need = max(map(len, lines)) + _PADDING
        if block and used + need > width:
            yield block
            block, used = [], 0
        block.append(column)
        used += need
    yield block


def _by_reward(summary: Summary) -> tuple[int, float]:
    reward = summary.metrics.get("reward")
    return summary.flow, -reward.mean if reward else 0.0


def _label(summary: Summary) -> str:
    if summary.flow == 0:
        return summary.scheme
    return f"{summary.scheme}, flow {summary.flow}: {summary.flow_scheme}"


def _cell(summary: Summary, rivals: list[Summary], column: Column, detailed: bool) -> Text:
    value = summary.metrics.get(column.metric)
    if value is None:
        return Text("–")
    means = [
        r.metrics[column.metric].mean for r in rivals if r.flow == summary.flow and column.metric in r.metrics
    ]
    best = max(means) if column.larger_is_better else min(means)
    style = "bold" if value.mean == best and len(set(means)) > 1 else ""
    return Text(_format(value, column, detailed), style=style)


def _format(value: Interval, column: Column, detailed: bool) -> str:
    middle, low, high = (
        f"{column.factor * v:.{column.digits}f}" for v in (value.mean, value.low, value.high)
    )
    return f"{middle}\n[{low}, {high}]" if detailed else middle
