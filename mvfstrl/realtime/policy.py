"""Who is asked for the actions of a real connection, and how: nobody ever waits for an answer.

A connection's window closes, its policy is asked, and packets keep flowing; the action takes effect when the
answer is there. An observation that falls due meanwhile is skipped, so that at most one question is open.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypedDict

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


class Step(TypedDict):
    """What came of the last action, and where in its episode the observation stands that goes with it."""

    reward: float
    """Of all windows since the last observation, those that were skipped included."""
    first: bool
    terminated: bool
    truncated: bool
    skipped: int
    """Observations that fell due since the last one while an answer was outstanding."""
    job: int
    """The scenario's index in training, -1 for none."""
    active: bool


class AskedPolicy(Protocol):
    """Answers one connection's observations, episode by episode. No call blocks.

    Calls come from the connection's thread: `begin`, then `ask` and `poll` in turns, then `end`.
    """

    def begin(self, wake: Callable[[], None]) -> None:
        """A new episode. `wake` may be called from any thread, as soon as `poll` has an answer."""

    def ask(self, observation: Floats, step: Step) -> None:
        """Hands over an observation, which the caller may overwrite afterwards."""

    def poll(self) -> int | None:
        """The action that answers the last question; None while there is none yet. Given once."""

    def end(self, observation: Floats, step: Step) -> None:
        """The last window of the episode, which nobody has to answer. An answer still outstanding is void."""
