"""Rounds whose results the environment writes straight into rows of the caller's."""

from __future__ import annotations

import gc
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mvfstrl import _native
from mvfstrl._native import StepRows, VectorEnvironment

ENVS = 6
GROUPS = 2
ROUNDS = 25
FIELDS = ("observation", "reward", "terminated", "truncated", "first", "job")


def make_environment(threads: int = 1, **options: Any) -> VectorEnvironment:
    config = _native.default_config()
    config["episode_ms"] = 1_500  # several end within the rounds
    return VectorEnvironment(config, num_envs=ENVS, num_groups=GROUPS, num_threads=threads, seed=5, **options)


def make_arrays(environment: VectorEnvironment, rounds: int = ROUNDS) -> dict[str, NDArray[Any]]:
    shape = (rounds + 1, environment.group_size)
    actions = np.random.default_rng(0).integers(environment.num_actions, size=(rounds, shape[1]))
    return {
        "observation": np.full((*shape, environment.observation_size), np.nan, np.float32),
        "reward": np.full(shape, np.nan, np.float32),
        "terminated": np.ones(shape, np.bool_),
        "truncated": np.ones(shape, np.bool_),
        "first": np.ones(shape, np.bool_),
        "job": np.full(shape, -1, np.int32),
        "action": actions.astype(np.int32),
    }


@pytest.mark.parametrize("threads", [0, 1, 2])
def test_rows_hold_what_received_batches_hold(threads: int) -> None:
    usual, direct = make_environment(threads), make_environment(threads)
    arrays = [make_arrays(direct) for _ in range(GROUPS)]
    rows = [StepRows(**group) for group in arrays]
    expected: list[list[dict[str, NDArray[Any]]]] = [[], []]
    for group in range(GROUPS):
        usual.reset(group)
        direct.reset_into(group, rows[group], 0)
    for t in range(ROUNDS + 1):
        for group in range(GROUPS):
            batch = usual.recv(group)
            expected[group].append({name: getattr(batch, name).copy() for name in FIELDS})
            direct.wait(group)
            if t < ROUNDS:
                usual.send(group, arrays[group]["action"][t])
                direct.step_into(group, rows[group], t)
    for group in range(GROUPS):
        assert all(getattr(rows[group], name) is array for name, array in arrays[group].items())
        for name in FIELDS:
            np.testing.assert_array_equal(
                arrays[group][name], np.stack([row[name] for row in expected[group]]), err_msg=name
            )
        assert arrays[group]["truncated"].any()
    assert usual.drain_episodes() == direct.drain_episodes()


def test_siblings_meet_the_same_episodes() -> None:
    environment = make_environment(siblings=3)
    environment.reset(0)
    environment.wait(0)
    differed = False
    for t in range(ROUNDS):
        environment.send(0, ((np.arange(3) + t) % environment.num_actions).astype(np.int32))
        batch = environment.recv(0)
        assert batch.first.all() or not batch.first.any()
        differed = differed or batch.reward.std() > 0
    assert differed
    episodes = environment.drain_episodes()
    assert [episode["env"] for episode in episodes] == [0, 1, 2]
    assert len({episode["seed"] for episode in episodes}) == 1


def test_rows_outlive_their_owner_while_a_round_is_under_way() -> None:
    environment = make_environment()
    arrays = make_arrays(environment)
    watched = arrays["reward"]
    environment.reset_into(0, StepRows(**arrays), 0)
    del arrays
    gc.collect()
    environment.wait(0)
    assert np.isfinite(watched[0]).all()


@pytest.mark.parametrize(
    ("name", "array", "complaint"),
    [
        ("reward", np.zeros((26, 3), np.float64), "reward: must be of float32, is of float64"),
        ("truncated", np.zeros((26, 3), np.uint8), "truncated: must be of bool, is of uint8"),
        ("job", np.zeros((25, 3), np.int32), r"job: must have shape \[26, 3\], has \[25, 3\]"),
        ("action", np.zeros((26, 3), np.int32), r"action: must have shape \[25, 3\], has \[26, 3\]"),
        ("first", np.zeros((3, 26), np.bool_).T, "first: must be contiguous"),
        ("observation", np.zeros((26, 3), np.float32), "observation: must have three dimensions"),
    ],
)
def test_unfit_arrays_are_named(name: str, array: NDArray[Any], complaint: str) -> None:
    arrays = make_arrays(make_environment()) | {name: array}
    with pytest.raises(ValueError, match=complaint):
        StepRows(**arrays)


def test_a_read_only_array_is_refused() -> None:
    arrays = make_arrays(make_environment())
    arrays["reward"].flags.writeable = False
    with pytest.raises(ValueError, match="reward: must be writable"):
        StepRows(**arrays)


def test_a_round_beyond_the_rows_does_nothing() -> None:
    environment = make_environment()
    rows = StepRows(**make_arrays(environment))
    environment.reset_into(0, rows, ROUNDS)
    environment.wait(0)
    for t in (-1, ROUNDS):
        with pytest.raises(ValueError, match=f"t: must be 0 to {ROUNDS - 1}, got {t}"):
            environment.step_into(0, rows, t)
    other = _native.default_config()
    wider = VectorEnvironment(other, num_envs=8, num_threads=0)
    with pytest.raises(ValueError, match=r"rows: 3 of .* elements, the group's are 8 of"):
        wider.reset_into(0, rows, 0)
    environment.step_into(0, rows, 0)
    environment.wait(0)
