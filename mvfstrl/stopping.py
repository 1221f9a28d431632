"""Ends a run cleanly on SIGINT, SIGTERM and SIGUSR2, by which a batch system asks for its machine back: the
loop polls, finishes its step and saves."""

from __future__ import annotations

import logging
import signal
import threading
import time
from types import FrameType, TracebackType
from typing import Any

logger = logging.getLogger(__name__)


class StopRequest:
    """While open, the first of the SIGNALS only sets `requested`; a second SIGINT interrupts at once.

    `patience_s`: not within this time of the first. torchrun passes on the Ctrl-C that its ranks have got
    from the terminal already.

    with StopRequest() as stop:
        while not stop.requested:
            ...
    """

    SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR2)

    def __init__(self, *, patience_s: float = 0.0) -> None:
        self._patience_s = patience_s
        self._first_s = 0.0
        self._event = threading.Event()
        self._previous: dict[signal.Signals, Any] = {}
        self.signals: set[signal.Signals] = set()
        """Those that came."""

    @property
    def requested(self) -> bool:
        return self._event.is_set()

    def request(self) -> None:
        """As a signal does, from within the program."""
        self._event.set()

    def wait(self, timeout_s: float) -> bool:
        """Sleeps, but wakes up when asked to stop; true if so."""
        return self._event.wait(timeout_s)

    def __enter__(self) -> StopRequest:
        # Only the main thread may set handlers; elsewhere (in a notebook's worker) signals stay as they are.
        if threading.current_thread() is threading.main_thread():
            for number in self.SIGNALS:
                self._previous[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous.clear()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.signals.add(signal.Signals(number))
        if self.requested:
            if number == signal.SIGINT and time.monotonic() - self._first_s >= self._patience_s:
                raise KeyboardInterrupt
            return
        self._first_s = time.monotonic()
        self._event.set()
        again = " (Ctrl-C again stops at once)" if number == signal.SIGINT else ""
        logger.warning(
            "%s: stopping after this step, with a checkpoint%s", signal.Signals(number).name, again
        )
