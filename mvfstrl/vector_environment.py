"""What an actor needs of a set of environments: the shape of `mvfstrl._native.VectorEnvironment`.

Auto-reset is Gymnasium's NEXT_STEP. The step that ends an episode carries its final observation; the action
sent next is ignored for that environment, and the step after has the new episode's first observation, reward
0 and `first` set.

An environment may have several agents, each a row. Where one has not started or has stopped, `truncated` is
set: no transition leads out of such a row, so none is learnt from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from mvfstrl._native import StepRows


class VectorEnvironment(Protocol):
    """Groups of environments stepped in turns: while one group steps, another's actions are chosen.

    A group's results are rows of the caller's, n a step, an agent each. They must be left alone from
    `reset_into` or `step_into` until `wait`.
    """

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

    def reset_into(self, group: int, rows: StepRows, t: int) -> None: ...  # results go to row t
    def step_into(self, group: int, rows: StepRows, t: int) -> None: ...  # of row t's actions, to row t + 1
    def wait(self, group: int) -> None: ...
    def drain_episodes(self) -> list[dict[str, Any]]: ...
    def close(self) -> None: ...
