"""Tasks on a few threads, with what follows from each done in the caller's thread."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any, TypeVar

T = TypeVar("T")


class Stopped(Exception):
    """Raised inside a task whose result nobody waits for any more."""


class Tasks:
    """Begun in the order in which they were added. A task's `then` gets its result and may add further ones.

    The first exception ends everything: what has not begun is dropped, what has is asked to stop.
    """

    def __init__(self, threads: int) -> None:
        self._pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="test")
        self._then: dict[Future[Any], Callable[[Any], None]] = {}
        self._stop = threading.Event()

    def add(self, task: Callable[[], T], then: Callable[[T], None]) -> None:
        self._then[self._pool.submit(task)] = then

    def check(self) -> None:
        """To be called by tasks now and then: raises `Stopped` when they are to end."""
        if self._stop.is_set():
            raise Stopped

    def run(self) -> None:
        """Until no task is left."""
        try:
            while self._then:
                done, _ = wait(self._then, return_when=FIRST_COMPLETED)
                # What is finished is kept, whatever else failed meanwhile.
                for future in sorted(done, key=lambda one: one.exception() is not None):
                    self._then.pop(future)(future.result())
        finally:
            self._stop.set()
            self._pool.shutdown(wait=True, cancel_futures=True)
