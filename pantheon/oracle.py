"""The best fixed window, found by search: what a sender could reach that never adapts but knows the path.

The search sees training episodes only, the same for every window, so that rewards compare in pairs. Windows
that double bracket the best one; a golden-section search over the logarithm of the window (Kiefer,
"Sequential minimax search for a maximum", 1953) then closes in on it to 1 %, or to the packet where that is
finer. Rewards have one peak over the window but for noise, and the best of all windows tried is taken. Both
an unpaced and a paced window are searched, and the better one is the oracle: where a queue holds a packet or
two, a window sent in one burst is lost whatever its size.
`python -m pantheon.oracle env=lte` prints the window of each scenario.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from mvfstrl.errors import MvfstrlError
from pantheon.cells import cell_key
from pantheon.episodes import Progress, play, training_seeds
from pantheon.metrics import Interval, bootstrap_mean
from pantheon.results import reward_of
from pantheon.schemes import ORACLE, classic_scheme, native_of

if TYPE_CHECKING:
    from mvfstrl.config import Config

SEARCH_RUNS = 10
RESOLUTION = 0.01  # of the window found
_SECTION = (3 - math.sqrt(5)) / 2


@dataclass(frozen=True)
class Oracle:
    scenario: str
    window_packets: int
    pacing: bool
    rewards: list[float]
    """Of the training episodes of the search; the held-out figure comes from mode=test. A single one where
    the path leaves nothing to chance."""
    tried: dict[int, float]
    """Mean reward of every window that was tried with this pacing."""

    @property
    def reward(self) -> Interval:
        return bootstrap_mean(self.rewards)

    def content(self) -> dict[str, Any]:
        tried = {str(window): reward for window, reward in self.tried.items()}
        return {
            "window_packets": self.window_packets,
            "pacing": self.pacing,
            "rewards": self.rewards,
            "tried": tried,
        }

    @staticmethod
    def of(scenario: str, content: Mapping[str, Any]) -> Oracle:
        tried = {int(window): reward for window, reward in content["tried"].items()}
        return Oracle(scenario, content["window_packets"], content["pacing"], content["rewards"], tried)


def search(
    rewards_of: Callable[[int], list[float]], low: int, high: int
) -> tuple[int, dict[int, list[float]]]:
    """The integer window in [low, high] with the largest mean of `rewards_of(window)`, and all that it
    tried."""
    tried: dict[int, list[float]] = {}

    def value(window: int) -> float:
        if window not in tried:
            tried[window] = rewards_of(window)
        return float(np.mean(tried[window]))

    doubling = [low * 2**i for i in range(int(math.log2(high / low)) + 1)]
    grid = sorted({*doubling, high})
    best = grid.index(max(grid, key=value))
    left, middle, right = grid[max(best - 1, 0)], grid[best], grid[min(best + 1, len(grid) - 1)]
    while (probe := _probe(left, middle, right)) is not None:
        if value(probe) > value(middle):
            left, middle, right = (left, probe, middle) if probe < middle else (middle, probe, right)
        elif probe < middle:
            left = probe
        else:
            right = probe
    return max(tried, key=value), tried


def _probe(left: int, middle: int, right: int) -> int | None:
    """Where to look next: in the wider side of the bracket. None: it is closed."""
    sides = sorted((left, right), key=lambda side: -abs(math.log(side / middle)))
    for side in sides:
        probe = round(math.exp(math.log(middle) + _SECTION * math.log(side / middle)))
        if probe == middle and abs(side - middle) > 1:
            probe += 1 if side > middle else -1
        if probe not in (left, middle, right) and abs(side - middle) > RESOLUTION * middle:
            return probe
    return None


def find_oracle(
    cfg: Config, scenario: str, *, runs: int = SEARCH_RUNS, progress: Progress | None = None
) -> Oracle:
    seeds = training_seeds(runs, cfg.seed)
    fixed = classic_scheme(ORACLE)
    job = list(cfg.env.scenarios).index(scenario)

    def rewards_of(window: int, pacing: bool) -> list[float]:
        config = native_of(cfg, fixed.with_window(window, pacing=pacing), scenario)
        first = _rewards(config, seeds[:2], job, progress)
        if len(set(first)) == 1 or runs <= 2:  # no chance in it: further episodes would be the same
            return first
        return first + _rewards(config, seeds[2:], job, progress)

    def best(pacing: bool) -> Oracle:
        window, tried = search(partial(rewards_of, pacing=pacing), *_limits(cfg))
        means = {window: float(np.mean(rewards)) for window, rewards in sorted(tried.items())}
        return Oracle(scenario, window, pacing, tried[window], means)

    return max(best(False), best(True), key=lambda oracle: float(np.mean(oracle.rewards)))


def _rewards(config: dict[str, Any], seeds: list[int], job: int, progress: Progress | None) -> list[float]:
    return [reward_of(report) for report in play(config, seeds, job=job, progress=progress).reports]


def _limits(cfg: Config) -> tuple[int, int]:
    """The windows that an agent may use."""
    return max(int(cfg.actions.min_window_packets), 1), int(cfg.actions.max_window_packets)


def search_key(cfg: Config, scenario: str) -> str:
    """Of all that shapes the result of `find_oracle`."""
    config = native_of(cfg, classic_scheme(ORACLE), scenario)
    return cell_key(config, limits=_limits(cfg), seed=cfg.seed, runs=SEARCH_RUNS, resolution=RESOLUTION)


def main(arguments: list[str]) -> int:
    from mvfstrl.config import compose

    try:
        cfg = compose(["agent=fixed", "mode=test", *arguments])
        for scenario in cfg.env.scenarios:
            found = find_oracle(cfg, scenario)
            paced = ", paced" if found.pacing else ""
            print(
                f"{scenario}: window {found.window_packets} packets{paced}, reward {found.reward} "
                f"a window (95 % bootstrap interval over {found.reward.count} training episodes; "
                f"{len(found.tried)} windows tried)"
            )
    except MvfstrlError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
