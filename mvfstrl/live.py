"""The live line of a run: steps, steps/s, episode return, policy lag, ETA. A line now and then where no
terminal shows it."""

from __future__ import annotations

import logging
import time
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.text import Text

logger = logging.getLogger(__name__)

PLAIN_INTERVAL_S = 10.0


class LiveLine:
    """`with LiveLine(total_steps) as live: live.update(step, ...)`, as often as is convenient."""

    def __init__(self, total_steps: int, *, console: Console | None = None) -> None:
        self._total = total_steps
        self._console = console or Console(stderr=True)
        self._live: Live | None = None
        self._next_plain = time.monotonic() + PLAIN_INTERVAL_S

    def __enter__(self) -> LiveLine:
        if self._console.is_terminal:
            self._live = Live(console=self._console, refresh_per_second=4)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def update(
        self,
        step: int,
        *,
        steps_per_second: float,
        episode_return: float | None = None,
        policy_lag: float | None = None,
    ) -> None:
        line = describe(step, self._total, steps_per_second, episode_return, policy_lag)
        if self._live is not None:
            self._live.update(Text(line))
        elif time.monotonic() >= self._next_plain or step >= self._total:
            self._next_plain = time.monotonic() + PLAIN_INTERVAL_S
            logger.info("%s", line)


def describe(
    step: int,
    total: int,
    steps_per_second: float,
    episode_return: float | None = None,
    policy_lag: float | None = None,
) -> str:
    """`1.20M/2.00M steps (60 %)  41.3k steps/s  return -12.3  lag 1.4  ETA 0:19`."""
    parts = [
        f"{_short(step)}/{_short(total)} steps ({step / total:.0%})",
        f"{_short(steps_per_second)} steps/s",
    ]
    if episode_return is not None:
        parts.append(f"return {episode_return:.1f}")
    if policy_lag is not None:
        parts.append(f"lag {policy_lag:.1f}")
    if steps_per_second > 0:
        parts.append(f"ETA {_clock(max(total - step, 0) / steps_per_second)}")
    return "  ".join(parts)


def _short(number: float) -> str:
    for limit, suffix in ((1e6, "M"), (1e3, "k")):
        if number >= limit:
            return f"{number / limit:.2f}{suffix}" if suffix == "M" else f"{number / limit:.1f}{suffix}"
    return f"{number:.0f}"


def _clock(seconds: float) -> str:
    minutes, second = divmod(round(seconds), 60)
    hour, minute = divmod(minutes, 60)
    return f"{hour}:{minute:02d}:{second:02d}" if hour else f"{minute}:{second:02d}"
