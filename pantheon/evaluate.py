"""mode=test and mode=test_local: schemes x scenarios x held-out episodes, in virtual time.

Every scheme plays the same episodes, so that comparisons are paired. Their seeds count up from `test.seed`;
see `held_out_seeds` for why training cannot have met them. What is finished is kept cell by cell, so that a
test that was killed goes on in the same folder, and is reported even if the rest is interrupted:
results.parquet, series.parquet, the table and comparison.png always agree.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from rich.console import Console

from mvfstrl.config.schema import Mode
from mvfstrl.trackers import show_comparison
from pantheon import figures
from pantheon.benchmark import Benchmark
from pantheon.cells import CellStore
from pantheon.qlog import log_test
from pantheon.report import write_report
from pantheon.results import METRICS, fallbacks_frame, frame, series_frame, summarise, write_results
from pantheon.schemes import Scheme, schemes_of
from pantheon.statistics import normalised_scores
from pantheon.table import guard_lines, print_comparison

if TYPE_CHECKING:
    from mvfstrl.config import Config
    from mvfstrl.rundir import RunDirectory

logger = logging.getLogger(__name__)


def test(cfg: Config, run: RunDirectory) -> float:
    """Evaluates, reports into the run directory and returns the mean reward of the agent under test."""
    table = evaluate(cfg, schemes_of(cfg, run), run.path)
    show_comparison(cfg, run, table, run.path / "comparison.png")
    if cfg.test.report:
        write_report(run.path, Console())
    run.scores.update(scores_of(table, cfg.agent.name))
    return run.scores["reward"]


def scores_of(table: pd.DataFrame, agent: str) -> dict[str, float]:
    """The agent's metrics by name: means over the scenarios, each weighing the same, whatever its episodes.
    `score` is among them where the anchors make one."""
    own = table[(table["scheme"] == agent) & (table["flow"] == 0)].groupby("scenario")
    metrics = (*METRICS, "queue_delay_mean_ms", "queue_delay_p95_ms")
    scores = {metric: float(own[metric].mean().mean()) for metric in metrics}
    normalised = normalised_scores(table).scores
    if agent in normalised:
        scores["score"] = float(normalised[agent].mean())
    return scores


def evaluate(
    cfg: Config, schemes: Sequence[Scheme], folder: Path, console: Console | None = None
) -> pd.DataFrame:
    """Plays what is not yet played, writes results.parquet, series.parquet and comparison.png into `folder`,
    prints the table."""
    console = console or Console()
    benchmark = _benchmark(cfg, folder, console)
    try:
        benchmark.play(schemes)
        if cfg.test.qlog:
            log_test(cfg, schemes, benchmark.oracles, folder / "qlog")
    except KeyboardInterrupt:
        console.print("interrupted: reporting what is finished; the same run directory goes on")
        if benchmark.finished:
            _report(cfg, schemes, benchmark, folder, console)
        raise
    return _report(cfg, schemes, benchmark, folder, console)


def _benchmark(cfg: Config, folder: Path, console: Console) -> Benchmark:
    store = CellStore(folder / "cells", logger.warning)
    if cfg.realtime.host == "virtual":
        return Benchmark(cfg, store, console)
    from pantheon.realtime import RealtimeBenchmark

    return RealtimeBenchmark(cfg, folder, store, console)


def _report(
    cfg: Config, schemes: Sequence[Scheme], benchmark: Benchmark, folder: Path, console: Console
) -> pd.DataFrame:
    """In the order of schemes and scenarios, whichever was finished first."""
    cells = [(scheme.name, scenario) for scheme in schemes for scenario in cfg.env.scenarios]
    contents = [benchmark.finished[cell] for cell in cells if cell in benchmark.finished]
    table = frame(row for content in contents for row in content["rows"])
    write_results(table, folder / "results.parquet")
    write_results(
        series_frame(s for content in contents for s in content["series"]), folder / "series.parquet"
    )
    if cfg.mode is Mode.test_local or cfg.policy == "local":
        fallbacks = fallbacks_frame(row for content in contents for row in content["fallbacks"])
        write_results(fallbacks, folder / "fallbacks.parquet")
    summaries = summarise(table)
    figures.comparison(summaries, folder / "comparison.png")
    print_comparison(summaries, normalised_scores(table), cfg.agent.name, console)
    lines = list(guard_lines(table))
    if cfg.realtime.host != "virtual":
        from pantheon.realtime import late_lines, replay_lines, write_latencies

        write_latencies(contents, folder)
        lines += late_lines(table) + replay_lines(table)
    for line in lines:
        console.print(line)
    console.print(f"results: {folder / 'results.parquet'}, figure: {folder / 'comparison.png'}")
    return table
