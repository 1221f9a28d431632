"""mode=test: schemes x scenarios x held-out episodes, in virtual time.

Every scheme plays the same episodes, so that comparisons are paired. Their seeds count up from `test.seed`;
see `held_out_seeds` for why training cannot have met them. What is finished is written even if the rest is
interrupted: results.parquet, the table and comparison.png always agree.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from mvfstrl.agents.base import AgentConfig
from mvfstrl.agents.schemes import SCHEMES
from mvfstrl.errors import ConfigError
from mvfstrl.trackers import show_comparison
from pantheon import figures
from pantheon.episodes import Floats, Played, play
from pantheon.oracle import find_oracle
from pantheon.results import frame, rows_of, summarise, write_results
from pantheon.schemes import ORACLE, Scheme, classic_scheme, fixed_window, scheme_names
from pantheon.table import print_comparison

if TYPE_CHECKING:
    from mvfstrl.config import Config
    from mvfstrl.rundir import RunDirectory

logger = logging.getLogger(__name__)

SHUFFLED = " (shuffled)"


def test(cfg: Config, run: RunDirectory) -> float:
    """Evaluates, reports into the run directory and returns the mean reward of the agent under test."""
    table = evaluate(cfg, _agent(cfg, run), run.path)
    show_comparison(cfg, run, table, run.path / "comparison.png")
    summaries = summarise(table)
    own = [s for s in summaries if s.scheme == cfg.agent.name and s.flow == 0]
    return own[-1].metrics["reward"].mean  # the last one is over all scenarios


def evaluate(cfg: Config, agent: Scheme, folder: Path, console: Console | None = None) -> pd.DataFrame:
    """Plays everything, writes results.parquet and comparison.png into `folder`, prints the table."""
    console = console or Console()
    rows: list[dict[str, Any]] = []
    try:
        for scheme, scenario, played in _play_all(cfg, agent, console):
            for report in played.reports:
                rows += rows_of(report, scheme.name, scenario)
    except KeyboardInterrupt:
        console.print("interrupted: reporting what is finished")
        if rows:
            _report(frame(rows), folder, console)
        raise
    table = frame(rows)
    _report(table, folder, console)
    return table


def held_out_seeds(first: int, runs: int) -> list[int]:
    """Episode seeds for the test.

    A training episode's seed is a 64-bit hash of (seed, environment, episode), so a given seed turns up in a
    training run of E episodes with probability E / 2^64: that any of 100 test episodes was met in 10^9
    training episodes has a probability of 5e-9.
    """
    return list(range(first, first + runs))


def _play_all(cfg: Config, agent: Scheme, console: Console) -> Iterator[tuple[Scheme, str, Played]]:
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
    with Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=console) as progress:
        scenarios = list(cfg.env.scenarios)
        names = scheme_names(cfg)
        units = (len(names) + int(cfg.test.shuffle_observations)) * len(scenarios)
        task = progress.add_task("test", total=float(units))
        done = 0
        for name in names:
            scheme = _scheme(name, cfg, agent, progress, task)
            for scenario in scenarios:
                shuffle = cfg.test.shuffle_observations and scheme.policy is not None
                meter = _Meter(progress, task, done, _expected_steps(cfg))
                played = _play(cfg, scheme, scenario, meter, record=shuffle)
                done += 1
                yield scheme, scenario, played
                if shuffle and played.observations is not None:
                    shuffled = replace(scheme, name=scheme.name + SHUFFLED, shuffled=True)
                    meter = _Meter(progress, task, done, _expected_steps(cfg))
                    shown = shuffle_in_time(played.observations, cfg.test.seed)
                    yield shuffled, scenario, _play(cfg, shuffled, scenario, meter, shown=shown)
                    done += 1
        progress.update(task, completed=float(units))


def shuffle_in_time(observations: Floats, seed: int) -> Floats:
    """Each observation [step, episode] exchanged for one of another moment, drawn over steps and episodes."""
    steps, episodes = observations.shape[:2]
    order = np.random.default_rng(seed).permutation(steps * episodes)
    flat = observations.reshape(steps * episodes, *observations.shape[2:])
    return flat[order].reshape(observations.shape)


def _scheme(name: str, cfg: Config, agent: Scheme, progress: Progress, task: TaskID) -> Scheme:
    if name == ORACLE:
        progress.update(task, description="oracle: searching")
        agents: dict[str, AgentConfig] = {}
        for scenario in cfg.env.scenarios:
            found = find_oracle(cfg, scenario, threads=_threads(cfg))
            logger.info("oracle in %s: window %d, reward %s", scenario, found.window_packets, found.reward)
            agents[scenario] = fixed_window(found.window_packets)
        return Scheme(ORACLE, SCHEMES["fixed"](), agents=agents)
    return agent if name == agent.name else classic_scheme(name)


def _play(
    cfg: Config,
    scheme: Scheme,
    scenario: str,
    meter: _Meter,
    *,
    record: bool = False,
    shown: Floats | None = None,
) -> Played:
    from mvfstrl.config import native_config

    meter.describe(f"{scheme.name} in {scenario}")
    return play(
        native_config(cfg, scheme.agent_in(scenario)),
        held_out_seeds(cfg.test.seed, cfg.test.runs),
        scenario=list(cfg.env.scenarios).index(scenario),
        threads=_threads(cfg),
        policy=scheme.policy,
        record=record,
        shown=shown,
        progress=meter.steps,
    )


@dataclass(frozen=True)
class _Meter:
    """Moves the bar within one scheme x scenario, a unit wide."""

    progress: Progress
    task: TaskID
    done: int
    expected_steps: float

    def describe(self, text: str) -> None:
        self.progress.update(self.task, description=text, completed=float(self.done))

    def steps(self, count: int) -> None:
        fraction = min(count / self.expected_steps, 1.0)
        self.progress.update(self.task, completed=self.done + fraction)


def _expected_steps(cfg: Config) -> float:
    """Of an episode, where windows are timed; windows that close by count of events can only be guessed."""
    return max(cfg.env.episode_ms / cfg.history.window_ms, 1.0)


def _threads(cfg: Config) -> int:
    return cfg.test.threads or os.cpu_count() or 1


def _agent(cfg: Config, run: RunDirectory) -> Scheme:
    """The agent under test; a learner's policy comes from `checkpoint`, or from the run that it ends."""
    if cfg.agent.name in SCHEMES:
        return Scheme(cfg.agent.name, cfg.agent)
    from mvfstrl.config import Mode
    from mvfstrl.policy import policy_for

    if cfg.mode is Mode.train:  # the test that ends it; `checkpoint` is what it started from
        return Scheme(cfg.agent.name, cfg.agent, policy_for(run.checkpoints, cfg))
    if cfg.checkpoint is None:
        raise ConfigError(f"checkpoint: agent={cfg.agent.name} needs one to be tested (checkpoint=FILE)")
    return Scheme(cfg.agent.name, cfg.agent, policy_for(cfg.checkpoint, cfg))


def _report(table: pd.DataFrame, folder: Path, console: Console) -> None:
    write_results(table, folder / "results.parquet")
    summaries = summarise(table)
    figures.comparison(summaries, folder / "comparison.png")
    print_comparison(summaries, console)
    console.print(f"results: {folder / 'results.parquet'}, figure: {folder / 'comparison.png'}")
