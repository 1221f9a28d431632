"""A policy for real connections that notes what it is asked."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import cast

from mvfstrl.realtime.policy import Floats, Step


class Recorded:
    """Answers every question with `action`, at once or after `after_s` from a thread of its own, or not at
    all."""

    def __init__(self, action: int | None, *, after_s: float = 0.0) -> None:
        self._action, self._after_s = action, after_s
        self._wake, self._open = cast(Callable[[], None], None), False
        self.steps: list[Step] = []
        self.observations: list[Floats] = []
        self.last: Step | None = None

    def begin(self, wake: Callable[[], None]) -> None:
        self._wake = wake

    def ask(self, observation: Floats, step: Step) -> None:
        self.observations.append(observation.copy())
        self.steps.append(step)
        if self._action is None:
            return
        if self._after_s > 0:
            threading.Timer(self._after_s, self._answer).start()
        else:
            self._answer()

    def _answer(self) -> None:
        self._open = True
        self._wake()

    def poll(self) -> int | None:
        answered, self._open = self._open, False
        return self._action if answered else None

    def end(self, observation: Floats, step: Step) -> None:
        self.last = step
