"""The comparison as a console table, a line a scheme: means with their 95 % bootstrap intervals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from rich import box
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from pantheon.metrics import Interval
from pantheon.results import ALL_SCENARIOS, Summary


@dataclass(frozen=True)
class Column:
    metric: str
    heading: str
    unit: str
    digits: int
    factor: float = 1.0
    larger_is_better: bool = True


COLUMNS = (
    Column("reward", "reward", "a window", 3),
    Column("throughput_mbps", "throughput", "Mbit/s", 2),
    Column("utilisation", "utilisation", "%", 1, factor=100.0),
    Column("delay_mean_ms", "mean delay", "ms, one way", 1, larger_is_better=False),
    Column("delay_p95_ms", "p95 delay", "ms, one way", 1, larger_is_better=False),
    Column("loss", "loss", "%", 2, factor=100.0, larger_is_better=False),
    Column("queue_loss", "queue loss", "%", 2, factor=100.0, larger_is_better=False),
)
_PADDING = 3  # a space at either side, and the gap between columns
_FILE_WIDTH = 160  # where the output is no terminal


def comparison_table(summaries: Sequence[Summary], width: int) -> Group:
    """One table a scenario, schemes ranked by reward; the best mean of a column is bold. Columns that do not
    fit into `width` follow in a further table: no figure is ever cut."""
    return Group(
        *(
            table
            for scenario, rows in groupby(summaries, lambda s: s.scenario)
            for table in _scenario_tables(scenario, sorted(rows, key=_by_reward), width)
        )
    )


def print_comparison(summaries: Sequence[Summary], console: Console | None = None) -> None:
    console = console or Console()
    if not console.is_terminal:
        console.width = max(console.width, _FILE_WIDTH)
    console.print(comparison_table(summaries, console.width))


def _scenario_tables(scenario: str, summaries: list[Summary], width: int) -> Iterator[Table]:
    count = max(interval.count for summary in summaries for interval in summary.metrics.values())
    name = "all scenarios, weighing the same" if scenario == ALL_SCENARIOS else scenario
    title: str | None = f"{name}: {count} runs a scheme, means and 95 % bootstrap intervals"
    labels = [_label(summary) for summary in summaries]
    cells = {column: [_cell(summary, summaries, column) for summary in summaries] for column in COLUMNS}
    for block in _blocks(cells, width - max(map(len, labels)) - _PADDING - 2):
        table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", show_lines=False)
        table.add_column("scheme", no_wrap=True)
        for column in block:
            table.add_column(f"{column.heading}\n{column.unit}", justify="right", no_wrap=True)
        for index, label in enumerate(labels):
            table.add_row(label, *(cells[column][index] for column in block))
        title = None
        yield table


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
    return summary.scheme if summary.flow == 0 else f"{summary.scheme} (flow {summary.flow})"


def _cell(summary: Summary, rivals: list[Summary], column: Column) -> Text:
    interval = summary.metrics.get(column.metric)
    if interval is None:
        return Text("–")
    means = [
        r.metrics[column.metric].mean for r in rivals if r.flow == summary.flow and column.metric in r.metrics
    ]
    best = max(means) if column.larger_is_better else min(means)
    style = "bold" if interval.mean == best and len(set(means)) > 1 else ""
    return Text(_format(interval, column), style=style)


def _format(interval: Interval, column: Column) -> str:
    mean, low, high = (
        f"{column.factor * v:.{column.digits}f}" for v in (interval.mean, interval.low, interval.high)
    )
    return f"{mean}\n[{low}, {high}]"
