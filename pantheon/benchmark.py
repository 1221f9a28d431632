"""Plays cells - one scheme in one scenario, over all its episodes - on all cores, and keeps what is finished.

A cell's episodes are split into shares of a fixed size, whatever the number of threads: a batch's size may
change the last bit of a policy's arithmetic, and results must not depend on the machine. Each cell sees its
own scenario only, so that adding scenarios or schemes changes no result.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from mvfstrl.rank_environment import available_cores, worker_threads
from pantheon.cells import CellStore, cell_key
from pantheon.episodes import Floats, play
from pantheon.omniscient import omniscient
from pantheon.oracle import Oracle, find_oracle, search_key
from pantheon.parallel import Tasks
from pantheon.results import fallbacks_of, rows_of, series_of
from pantheon.schemes import Scheme, native_of

if TYPE_CHECKING:
    from mvfstrl.config import Config

SHARE = 64  # episodes played in one batch
CONTENT = ("rows", "series", "fallbacks")  # of a cell
SEARCHES = "oracle search"  # the folder of what was found, beside the schemes' folders


@dataclass(frozen=True)
class Cell:
    scheme: Scheme
    scenario: str
    config: dict[str, Any]
    """The native configuration of this scheme in this scenario alone."""
    job: int
    """The scenario's number among those of the test."""
    seeds: tuple[int, ...]
    series_runs: int
    """Of so many episodes, the first ones, the time series is kept."""

    def key(self) -> str:
        return cell_key(
            self.config,
            seeds=self.seeds,
            series_runs=self.series_runs,
            share=SHARE,
            job=self.job if self.scheme.policy else None,
            identity=self.scheme.identity,
            shuffled=self.scheme.shuffled,
            computed=self.scheme.computed,
        )

    def shares(self) -> list[tuple[int, ...]]:
        count = -(-len(self.seeds) // SHARE)
        return [tuple(int(seed) for seed in part) for part in np.array_split(self.seeds, count)]


def make_cell(cfg: Config, scheme: Scheme, scenario: str) -> Cell:
    return Cell(
        scheme,
        scenario,
        native_of(cfg, scheme, scenario),
        list(cfg.env.scenarios).index(scenario),
        tuple(held_out_seeds(cfg.test.seed, cfg.test.runs)),
        min(cfg.test.series_runs, cfg.test.runs),
    )


def held_out_seeds(first: int, runs: int) -> list[int]:
    """Episode seeds for the test.

    A training episode's seed is a 64-bit hash of (seed, environment, episode), so a given seed turns up in a
    training run of E episodes with probability E / 2^64: that any of 100 test episodes was met in 10^9
    training episodes has a probability of 5e-9.
    """
    return list(range(first, first + runs))


class Benchmark:
    """Fills `finished`: the content of each cell by (scheme, scenario)."""

    def __init__(self, cfg: Config, store: CellStore, console: Console) -> None:
        self.finished: dict[tuple[str, str], dict[str, Any]] = {}
        self.oracles: dict[str, Oracle] = {}
        self._cfg, self._store, self._console = cfg, store, console

    def play(self, schemes: Sequence[Scheme]) -> None:
        """Every scheme in every scenario. An interruption leaves what is finished."""
        cfg = self._cfg
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
        bar = Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=self._console)
        tasks = Tasks(self._threads())
        with _one_torch_thread(), bar:
            self._meter = _Meter(bar, bar.add_task("test", total=0.0), tasks, _expected_steps(cfg))
            for scenario in cfg.env.scenarios:
                for scheme in schemes:
                    if scheme.searched:
                        self._search(tasks, scheme, scenario)
                    else:
                        self._begin(tasks, make_cell(cfg, scheme, scenario))
            tasks.run()

    def _threads(self) -> int:
        return worker_threads(self._cfg.test.threads, available_cores(os.environ), os.environ)

    def _begin(self, tasks: Tasks, cell: Cell) -> None:
        key = cell.key()
        content = self._store.load(cell.scheme.name, cell.scenario, key)
        if content is not None:
            self._finish(cell, content)
            return
        shares = cell.shares()
        parts: list[dict[str, Any] | None] = [None] * len(shares)

        def done(index: int, part: dict[str, Any]) -> None:
            parts[index] = part
            whole = [p for p in parts if p is not None]
            if len(whole) == len(parts):
                content = {name: [item for p in whole for item in p[name]] for name in CONTENT}
                self._store.save(cell.scheme.name, cell.scenario, key, content)
                self._finish(cell, content)

        first = 0
        for index, seeds in enumerate(shares):
            series = max(0, min(cell.series_runs - first, len(seeds)))
            meter = self._meter.share(f"{cell.scheme.name} in {cell.scenario}", len(seeds))
            tasks.add(partial(_play_share, cell, seeds, series, meter), partial(done, index))
            first += len(seeds)

    def _finish(self, cell: Cell, content: dict[str, Any]) -> None:
        self.finished[cell.scheme.name, cell.scenario] = content

    def _search(self, tasks: Tasks, scheme: Scheme, scenario: str) -> None:
        """Finds the scenario's best fixed window, then plays it."""
        key = search_key(self._cfg, scenario)

        def found(oracle: Oracle) -> None:
            self.oracles[scenario] = oracle
            tuned = scheme.with_window(oracle.window_packets, pacing=oracle.pacing)
            self._begin(tasks, make_cell(self._cfg, tuned, scenario))

        def searched(oracle: Oracle) -> None:
            self._store.save(SEARCHES, scenario, key, oracle.content())
            found(oracle)

        content = self._store.load(SEARCHES, scenario, key)
        if content is not None:
            found(Oracle.of(scenario, content))
        else:
            meter = self._meter.share(f"oracle: searching {scenario}", SHARE)
            tasks.add(partial(find_oracle, self._cfg, scenario, progress=meter), searched)


def _play_share(cell: Cell, seeds: Sequence[int], series: int, meter: Share) -> dict[str, Any]:
    """The part of a cell's content that these episodes make; the first `series` of them with time series."""
    scheme = cell.scheme
    go = partial(play, cell.config, seeds, job=cell.job, policy=scheme.virtual_policy, progress=meter)
    if scheme.shuffled:
        observations = go(record=True).observations
        assert observations is not None
        played = go(series=series > 0, shown=shuffle_in_time(observations, seeds[0]))
    else:
        played = go(series=series > 0 or scheme.computed)
    meter.done()
    reports = played.reports
    if scheme.computed:
        reports = [omniscient(report, cell.config) for report in reports]
    rows = [row for report in reports for row in rows_of(report, scheme.name, cell.scenario)]
    kept = [series_of(report, scheme.name, cell.scenario) for report in reports[:series]]
    fallbacks = [row for report in reports for row in fallbacks_of(report, scheme.name, cell.scenario)]
    return {"rows": rows, "series": kept, "fallbacks": fallbacks}


def shuffle_in_time(observations: Floats, seed: int) -> Floats:
    """Each observation [step, episode] exchanged for one of another moment, drawn over steps and episodes."""
    steps, episodes = observations.shape[:2]
    order = np.random.default_rng(seed).permutation(steps * episodes)
    flat = observations.reshape(steps * episodes, *observations.shape[2:])
    return flat[order].reshape(observations.shape)


@contextmanager
def _one_torch_thread() -> Iterator[None]:
    """Shares are played side by side already."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _expected_steps(cfg: Config) -> float:
    """Of an episode, where windows are timed; windows that close by count of events can only be guessed."""
    return max(cfg.env.episode_ms / cfg.history.window_ms, 1.0)


@dataclass(frozen=True)
class _Meter:
    """The bar of the whole test; its unit is an episode."""

    bar: Progress
    task: TaskID
    tasks: Tasks
    expected_steps: float

    def share(self, label: str, episodes: int) -> Share:
        total = self.bar.tasks[0].total or 0.0
        self.bar.update(self.task, total=total + episodes)
        return Share(self, label, float(episodes))


class Share:
    """What one task adds to the bar."""

    def __init__(self, meter: _Meter, label: str, episodes: float) -> None:
        self._meter, self._label, self._left, self._episodes = meter, label, episodes, episodes

    def __call__(self, steps: int) -> None:
        self.reach(min(steps / self._meter.expected_steps, 1.0))

    def reach(self, fraction: float) -> None:
        """So much of the task is done. Raises where it is to end."""
        self._meter.tasks.check()
        self._advance(self._left - self._episodes * (1.0 - fraction))

    def done(self) -> None:
        self._advance(self._left)

    def _advance(self, episodes: float) -> None:
        step = max(episodes, 0.0)
        self._left -= step
        self._meter.bar.update(self._meter.task, advance=step, description=self._label)
