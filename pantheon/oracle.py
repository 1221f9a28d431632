"""The best fixed window, found by search: what a sender could reach that never adapts but knows the path.

The search sees training episodes only. A coarse grid (powers of sqrt 2) over the allowed windows is refined
around its best point until the neighbouring windows have been tried; every window plays the same episodes, so
that rewards compare in pairs. `python -m pantheon.oracle env=lte` prints the window of each scenario.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mvfstrl.agents.schemes import SCHEMES
from mvfstrl.errors import MvfstrlError
from pantheon.episodes import play, training_seeds
from pantheon.metrics import Interval, bootstrap_mean
from pantheon.results import reward_of
from pantheon.schemes import fixed_window

if TYPE_CHECKING:
    from mvfstrl.config import Config

SEARCH_RUNS = 20
_POINTS = 8  # windows tried in each refinement


@dataclass(frozen=True)
class Oracle:
    scenario: str
    window_packets: int
    reward: Interval
    """On the training episodes of the search; the held-out figure comes from mode=test."""
    tried: dict[int, float]
    """Mean reward of every window that was tried."""


def search(
    rewards_of: Callable[[int], list[float]], low: int, high: int
) -> tuple[int, dict[int, list[float]]]:
    """The integer window in [low, high] with the largest mean of `rewards_of(window)`."""
    tried: dict[int, list[float]] = {}
    candidates = {round(w) for w in low * np.sqrt(2.0) ** np.arange(0, 2 * np.log2(high / low) + 1e-9)} | {
        high
    }
    while new := sorted(candidates - tried.keys()):
        tried |= {window: rewards_of(window) for window in new}
        ordered = sorted(tried)
        best = ordered.index(max(tried, key=lambda window: float(np.mean(tried[window]))))
        left, right = ordered[max(best - 1, 0)], ordered[min(best + 1, len(ordered) - 1)]
        candidates = {round(window) for window in np.linspace(left, right, _POINTS + 2)}
    return max(tried, key=lambda window: float(np.mean(tried[window]))), tried


def find_oracle(cfg: Config, scenario: str, *, runs: int = SEARCH_RUNS, threads: int = 1) -> Oracle:
    from mvfstrl.config import native_config

    index = list(cfg.env.scenarios).index(scenario)
    seeds = training_seeds(native_config(cfg, SCHEMES["fixed"]()), runs, seed=cfg.seed, threads=threads)

    def rewards_of(window: int) -> list[float]:
        config = native_config(cfg, fixed_window(window))
        return [reward_of(report) for report in play(config, seeds, scenario=index, threads=threads).reports]

    low, high = int(np.ceil(cfg.actions.min_window_packets)), int(cfg.actions.max_window_packets)
    window, tried = search(rewards_of, low, high)
    return Oracle(
        scenario,
        window,
        bootstrap_mean(tried[window]),
        {tried_window: float(np.mean(rewards)) for tried_window, rewards in sorted(tried.items())},
    )


def main(arguments: list[str]) -> int:
    from mvfstrl.config import compose

    try:
        cfg = compose(["agent=fixed", "mode=test", *arguments])
        for scenario in cfg.env.scenarios:
            found = find_oracle(cfg, scenario, threads=cfg.test.threads or os.cpu_count() or 1)
            print(
                f"{scenario}: window {found.window_packets} packets, reward {found.reward} "
                f"a window (95 % bootstrap interval over {found.reward.count} training episodes; "
                f"{len(found.tried)} windows tried)"
            )
    except MvfstrlError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
