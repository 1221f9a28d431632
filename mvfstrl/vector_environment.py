"""What an actor needs of a set of environments: the shape of `mvfstrl._native.VectorEnvironment`.

Auto-reset is Gymnasium's NEXT_STEP. The step that ends an episode carries its final observation; the action
sent next is ignored for that environment, and the step after has the new episode's first observation, reward
0 and `first` set.

An environment may have several agents, each a row. Where one has not started or has stopped, `truncated` is
set: no transition leads out of such a row, so none is learnt from.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


class StepBatch(Protocol):
    """One step of a group's n rows, an agent each. Arrays are views, valid until the group's next `send`."""

    @property
    def observation(self) -> NDArray[np.float32]: ...  # [n, D]
    @property
    def reward(self) -> NDArray[np.float32]: ...  # of the action before this observation
    @property
    def terminated(self) -> NDArray[np.bool_]: ...
    @property
    def truncated(self) -> NDArray[np.bool_]: ...
    @property
    def first(self) -> NDArray[np.bool_]: ...
    @property
    def job(self) -> NDArray[np.int32]: ...  # index of the episode's scenario


class VectorEnvironment(Protocol):
    """Groups of environments stepped in turns: while one group steps, another's actions are chosen."""

    @property
    def num_envs(self) -> int: ...
    @property
    def num_groups(self) -> int: ...
    @property
    def group_size(self) -> int: ...  # rows
    @property
    def observation_size(self) -> int: ...
    @property
    def num_actions(self) -> int: ...

    def reset(self, group: int) -> None: ...
    def send(self, group: int, actions: NDArray[np.int32]) -> None: ...
    def recv(self, group: int) -> StepBatch: ...
    def drain_episodes(self) -> list[dict[str, Any]]: ...
    def close(self) -> None: ...
