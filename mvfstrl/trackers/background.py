"""Keeps a tracker out of the run's way: whatever it does, the run neither waits nor fails."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from mvfstrl.metrics import plain
from mvfstrl.trackers.base import Tracker

logger = logging.getLogger(__name__)

Call = Callable[[Tracker], None]


class BackgroundTracker:
    """Makes and calls a tracker on a thread of its own. Its first failure is told once and ends it; calls
    that it is too slow for are dropped and counted."""

    def __init__(
        self, name: str, make: Callable[[], Tracker], *, capacity: int = 10_000, close_timeout_s: float = 30.0
    ) -> None:
        self._name = name
        self._make = make
        self._close_timeout_s = close_timeout_s
        self._calls: queue.Queue[Call | None] = queue.Queue(capacity)
        self._dropped = 0
        self._thread = threading.Thread(target=self._work, name=f"tracker-{name}", daemon=True)
        self._thread.start()

    def log(self, metrics: Mapping[str, Any], step: int) -> None:
        row = {
            name: plain(value) for name, value in metrics.items()
        }  # the caller may go on to change its own
        self._put(lambda tracker: tracker.log(row, step))

    def log_figure(self, name: str, image: Path, step: int) -> None:
        self._put(lambda tracker: tracker.log_figure(name, image, step))

    def log_table(self, name: str, table: pd.DataFrame, step: int) -> None:
        self._put(lambda tracker: tracker.log_table(name, table, step))

    def log_artifact(self, kind: str, files: Sequence[Path], step: int) -> None:
        self._put(lambda tracker: tracker.log_artifact(kind, files, step))

    def close(self) -> None:
        """Waits for what is queued, within bounds."""
        try:
            self._calls.put(None, timeout=self._close_timeout_s)
            self._thread.join(self._close_timeout_s)
        except queue.Full:
            pass
        if self._thread.is_alive():
            logger.warning("tracker %s: not done after %g s, left behind", self._name, self._close_timeout_s)
        if self._dropped:
            logger.warning("tracker %s: was too slow for %d calls, dropped", self._name, self._dropped)

    def _put(self, call: Call) -> None:
        if not self._thread.is_alive():
            return
        try:
            self._calls.put_nowait(call)
        except queue.Full:
            self._dropped += 1

    def _work(self) -> None:
        try:
            tracker = self._make()
            while (call := self._calls.get()) is not None:
                call(tracker)
            tracker.close()
        except Exception as error:  # noqa: BLE001  whatever a tracker's library throws, the run goes on
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            logger.warning(
                "tracker %s stopped: %s; metrics are still in the run directory", self._name, reason
            )
