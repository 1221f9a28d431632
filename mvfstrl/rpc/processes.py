"""Keeps a number of actors' processes alive: one that dies is replaced."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable

from mvfstrl.errors import MvfstrlError

logger = logging.getLogger(__name__)

LOOK_S = 0.1
HASTY_S = 10.0
"""One that dies sooner than that after its start has not got far..."""
HASTY_DEATHS = 5
"""...and after so many of these in a row the next would not either."""
FIRST_PAUSE_S = 0.25
"""Before a replacement; twice as long after each hasty death."""
STOP_S = 5.0


class ActorsFailedError(MvfstrlError):
    """Actors that end as soon as they are started."""


class _Place:
    """One actor's process, and those before it."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[bytes] | None = None
        self.started = 0.0
        self.due = 0.0
        self.hasty = 0


class ActorProcesses:
    """`count` processes of `command(number)`, each with an open standard input: when that ends they do."""

    def __init__(
        self, command: Callable[[int], list[str]], count: int, fail: Callable[[BaseException], None]
    ) -> None:
        """`command`: Python's arguments. `fail` is told, once, where replacing one is of no use."""
        self.replaced = 0
        self._command = command
        self._fail = fail
        self._places = [_Place() for _ in range(count)]
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="actor-processes", daemon=True)

    @property
    def pids(self) -> list[int]:
        return [place.process.pid for place in self._places if place.process is not None]

    def start(self) -> None:
        if self._places:
            self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()
        running = [place.process for place in self._places if place.process is not None]
        for process in running:
            assert process.stdin is not None
            process.stdin.close()
        end = time.monotonic() + STOP_S
        for process in running:
            try:
                process.wait(max(0.0, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _watch(self) -> None:
        try:
            while not self._stopped.wait(LOOK_S):
                for number, place in enumerate(self._places):
                    self._tend(number, place)
        except (OSError, MvfstrlError) as error:
            self._fail(error)

    def _tend(self, number: int, place: _Place) -> None:
        now = time.monotonic()
        if place.process is not None and (status := place.process.poll()) is not None:
            self._bury(number, place, status, now)
        if place.process is None and now >= place.due:
            place.process = subprocess.Popen([sys.executable, *self._command(number)], stdin=subprocess.PIPE)
            self.replaced += place.started > 0
            place.started = now

    def _bury(self, number: int, place: _Place, status: int, now: float) -> None:
        assert place.process is not None
        assert place.process.stdin is not None
        place.process.stdin.close()
        place.process = None
        place.hasty = place.hasty + 1 if now - place.started < HASTY_S else 0
        place.due = now + FIRST_PAUSE_S * 2**place.hasty
        cause = f"signal {-status}" if status < 0 else f"status {status}"
        logger.warning("actor %d ended with %s after %.1f s", number, cause, now - place.started)
        if place.hasty == HASTY_DEATHS:
            raise ActorsFailedError(
                f"actor {number} ended {HASTY_DEATHS} times in a row within {HASTY_S:g} s of its start, the"
                f" last time with {cause}; it has said why above"
            )
