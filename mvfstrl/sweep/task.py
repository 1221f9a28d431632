"""A sweep's run as its worker process sees it: told to stop with the sweep, failing in a way that travels.

Whoever asks a sweep to stop reaches the process that started it. Its runs may be in other sessions, or on
other hosts; they share the sweep's folder, so the request is a file there.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from mvfstrl.outcome import State, outcome_of

STOP = ".stop"
CONSOLE = "console.log"
POLL_S = 0.5


class RunFailedError(Exception):
    """What a run met, as text: the run's own exception may not survive the way to another process."""


class SweepStoppedError(Exception):
    """The run was not started, or did not end, because the sweep is to stop."""


class SweepTask:
    """The task function that a sweeper hands to its launcher."""

    def __init__(self, task: Callable[[DictConfig], Any], folder: Path) -> None:
        self._task = task
        self._folder = folder.absolute()
        self._starter = (socket.gethostname(), os.getpid())

    def __call__(self, cfg: DictConfig) -> Any:
        stop = self._folder / STOP
        if stop.exists():
            raise SweepStoppedError("not started: the sweep was asked to stop")
        folder = Path(HydraConfig.get().runtime.output_dir)
        with ExitStack() as stack:
            if not self._in_starter and "SUBMITIT_EXECUTOR" not in os.environ:
                stack.enter_context(_console_to(folder / CONSOLE))
            interrupted = stack.enter_context(_interruptible(stays_off=not self._in_starter))
            stack.enter_context(_watching(stop))
            try:
                return self._task(cfg)
            except KeyboardInterrupt:
                raise SweepStoppedError("interrupted; the next start goes on") from None
            except Exception as error:
                raise RunFailedError(f"{type(error).__name__}: {error}") from error
            finally:
                if self._in_starter and (interrupted.is_set() or _was_interrupted(folder)):
                    stop.touch()

    @property
    def _in_starter(self) -> bool:
        return self._starter == (socket.gethostname(), os.getpid())


def _was_interrupted(folder: Path) -> bool:
    outcome = outcome_of(folder)
    return outcome is not None and outcome.state is State.interrupted


@contextmanager
def _interruptible(*, stays_off: bool) -> Iterator[threading.Event]:
    """SIGINT interrupts once, however often it comes: a terminal and the stop file may both bring it.
    `stays_off`: afterwards it is ignored, for a worker process that waits for its next run."""
    seen = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield seen
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        if not seen.is_set():
            seen.set()
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield seen
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN if stays_off else before)


@contextmanager
def _watching(stop: Path) -> Iterator[None]:
    """Signals this process once the stop file appears: SIGTERM where the run handles it (a training, which is
    patient with repeated ones), else SIGINT."""
    over = threading.Event()
    usual = signal.getsignal(signal.SIGTERM)

    def watch() -> None:
        while not over.wait(POLL_S):
            if stop.exists():
                patient = signal.getsignal(signal.SIGTERM) is not usual
                os.kill(os.getpid(), signal.SIGTERM if patient else signal.SIGINT)
                return

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextmanager
def _console_to(path: Path) -> Iterator[None]:
    """What the process prints goes to a file: the terminal is the sweep's table's."""
    sys.stdout.flush()
    sys.stderr.flush()
    saved = [os.dup(descriptor) for descriptor in (1, 2)]
    with path.open("ab") as file:
        for descriptor in (1, 2):
            os.dup2(file.fileno(), descriptor)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for descriptor, kept in zip((1, 2), saved, strict=True):
            os.dup2(kept, descriptor)
            os.close(kept)
