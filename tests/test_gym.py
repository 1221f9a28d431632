"""The Gymnasium environments: the interface's own checks, repeatable episodes, auto-reset, errors."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

import mvfstrl.gym
from mvfstrl.errors import ConfigError
from mvfstrl.gym import ENV_ID, CongestionControlEnv, CongestionControlVectorEnv, make_task

SHORT = ["env.episode_ms=1000"]
# Each episode another path, and an ACK in its first window.
VARIED = [*SHORT, "env.rate_mbps=[2, 24]", "env.delay_ms=[5, 30]"]


def episode(env: CongestionControlEnv, seed: int, actions: list[int]) -> list[NDArray[np.float32]]:
    observation, _ = env.reset(seed=seed)
    observations = [observation]
    for action in actions:
        observation, reward, *_ = env.step(action)
        observations += [observation, np.array([reward], dtype=np.float32)]
    return observations


@pytest.fixture
def env() -> Iterator[CongestionControlEnv]:
    made = CongestionControlEnv("constant", VARIED)
    yield made
    made.close()


@pytest.mark.parametrize("name", ["constant", "lte"])
def test_gymnasium_finds_no_fault(name: str) -> None:
    made = gymnasium.make(ENV_ID, env=name, overrides=SHORT)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(made.unwrapped)


def test_a_seed_repeats_the_episode_and_another_does_not(env: CongestionControlEnv) -> None:
    actions = [4, 0, 3, 1, 0, 2]
    first, again, other = (episode(env, seed, actions) for seed in (7, 7, 8))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert any(not np.array_equal(a, b) for a, b in zip(first, other, strict=True))


def test_resets_without_a_seed_give_a_new_episode_each_of_the_same_series(env: CongestionControlEnv) -> None:
    def series() -> list[NDArray[np.float32]]:
        env.reset(seed=3)
        return [env.reset()[0] for _ in range(3)]

    one, two = series(), series()
    assert all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))
    assert not np.array_equal(one[0], one[1])


def test_actions_move_the_window(env: CongestionControlEnv) -> None:
    env.reset(seed=0)
    assert [env.step(action)[4]["window_packets"] for action in (0, 4, 3, 2, 1)] == [10, 20, 30, 20, 10]


def test_an_episode_is_truncated_at_its_limit_and_then_needs_a_reset(env: CongestionControlEnv) -> None:
    env.reset(seed=0)
    ends = []
    for _ in range(100):
        _, _, terminated, truncated, info = env.step(0)
        ends.append((terminated, truncated))
        if terminated or truncated:
            break
        assert "report" not in info
    assert ends == [(False, False)] * (len(ends) - 1) + [(False, True)]
    assert len(ends) == info["report"]["steps"]
    assert info["report"]["flows"][0]["scheme"] == "external"
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(0)


def test_an_episode_that_was_cut_short_leaves_no_report(env: CongestionControlEnv) -> None:
    env.reset(seed=0)
    env.step(0)
    env.reset()
    info: dict[str, Any] = {}
    while "report" not in info:
        *_, info = env.step(0)
    assert info["report"]["steps"] > 1


def test_a_finished_transfer_terminates() -> None:
    made = CongestionControlEnv("constant", ["env.app={kind: fixed_size, size_bytes: 20000}"])
    made.reset(seed=0)
    terminated = truncated = False
    while not (terminated or truncated):
        _, _, terminated, truncated, _ = made.step(0)
    assert terminated
    assert not truncated


def test_the_spaces_are_those_of_the_spec(env: CongestionControlEnv) -> None:
    spec = env.task.spec
    assert env.observation_space.shape == (len(spec["observation"]),)
    assert env.action_space.n == len(spec["actions"])
    assert env.observation_space.high[1] == spec["observation"][1]["high"]
    for seed in range(3):
        env.reset(seed=seed)
        for step in range(8):
            observation, *_ = env.step((step * 3 + seed) % 5)
            assert env.observation_space.contains(observation)


def test_several_environments_make_one_task() -> None:
    task = make_task(["lte", "umts"], ["actions.choices=['0','*1.1','/1.5']"])
    assert {"lte", "umts"} <= set(task.scenarios)
    assert task.spec["actions"] == ["0", "*1.1", "/1.5"]
    assert task.action_space.n == 3


def test_a_scheme_that_drives_itself_is_refused() -> None:
    with pytest.raises(ConfigError, match="agent: cubic drives the flow by itself"):
        make_task("lte", ["agent=cubic"])


def test_an_action_outside_of_the_set_is_refused(env: CongestionControlEnv) -> None:
    env.reset(seed=0)
    with pytest.raises(ValueError, match="5"):
        env.step(5)


def make_vector(threads: int = 0, num_envs: int = 3) -> CongestionControlVectorEnv:
    made = gymnasium.make_vec(ENV_ID, num_envs=num_envs, env="constant", overrides=VARIED, threads=threads)
    assert isinstance(made, CongestionControlVectorEnv)
    return made


Step = tuple[Any, Any, Any, Any, dict[str, Any]]


def roll(envs: CongestionControlVectorEnv, steps: int) -> list[Step]:
    actions = np.random.default_rng(5).integers(0, 5, size=(steps, envs.num_envs))
    return [envs.step(row) for row in actions]


def test_the_vector_environment_is_repeatable_whatever_its_threads() -> None:
    runs = []
    for threads in (0, 2):
        envs = make_vector(threads)
        for _ in range(2):  # a seed starts everything anew, also the episodes that follow by themselves
            first, _ = envs.reset(seed=11)
            runs.append([first, *(item for step in roll(envs, 25) for item in step[:4])])
        envs.close()
    for run in runs[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(runs[0], run, strict=True))
    other, _ = make_vector().reset(seed=[11, 12, 13])
    assert not np.array_equal(other, runs[0][0])


def test_environments_differ_and_go_on_after_a_reset_without_a_seed() -> None:
    def two_resets() -> list[Any]:
        envs = make_vector()
        return [*envs.reset(seed=1)[0], *envs.reset()[0]]

    rows = [row.tobytes() for row in two_resets()]
    assert len(set(rows)) == 6
    assert rows == [row.tobytes() for row in two_resets()]


def test_the_step_after_the_last_brings_the_next_episode() -> None:
    envs = make_vector()
    assert envs.metadata["autoreset_mode"] == AutoresetMode.NEXT_STEP
    envs.reset(seed=2)
    steps = roll(envs, 25)
    truncated = np.array([step[3] for step in steps])
    assert not np.array([step[2] for step in steps]).any()
    for env in range(envs.num_envs):
        [last, *_] = np.flatnonzero(truncated[:, env])
        _, reward, _, after, infos = steps[last + 1]
        assert reward[env] == 0
        assert not after[env]
        assert infos["window_packets"][env] == 10  # the ignored action did not move the new window
        reports = steps[last][4]
        assert reports["_report"][env]
        assert reports["report"][env]["env"] == env
    assert "report" not in steps[0][4]


def test_returned_arrays_are_the_callers_own() -> None:
    envs = make_vector()
    first, _ = envs.reset(seed=2)
    kept = first.copy()
    roll(envs, 3)
    assert np.array_equal(first, kept)


def test_a_wrong_number_of_seeds_is_refused() -> None:
    with pytest.raises(ValueError, match="3 of them"):
        make_vector().reset(seed=[1, 2])


def test_stepping_before_a_reset_is_refused() -> None:
    with pytest.raises(gymnasium.error.ResetNeeded):
        make_vector().step(np.zeros(3, dtype=np.int64))


def test_given_episodes_are_played_wherever_they_stand() -> None:
    envs, seeds = make_vector(), [1_000_000, 7, 1_000_000]
    observations = [envs.reset(seed=seed, options={"episode_seeds": seeds})[0] for seed in (1, 2, None)]
    assert np.array_equal(observations[0], observations[1])
    assert np.array_equal(observations[0], observations[2])
    assert np.array_equal(observations[0][0], observations[0][2])
    assert not np.array_equal(observations[0][0], observations[0][1])
    infos: dict[str, Any] = {}
    while "report" not in infos:
        *_, infos = envs.step(np.zeros(3, dtype=np.int64))
    assert [report["seed"] for report in infos["report"]] == seeds

    one = CongestionControlEnv("constant", VARIED)
    observation, _ = one.reset(seed=5, options={"episode_seeds": [7]})
    assert np.array_equal(observation, observations[0][1])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"episode_seeds": [1]}, "must be 3 numbers"),
        ({"episode_seeds": [1, 2, -3]}, "from 0 to"),
        ({"episode_seed": [1]}, "'episode_seed' is unknown; there is 'episode_seeds'"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_vector().reset(options=options)


def test_importing_registers_once() -> None:
    mvfstrl.gym.register_envs()
    assert gymnasium.spec(ENV_ID).vector_entry_point == "mvfstrl.gym:CongestionControlVectorEnv"


@pytest.mark.slow
def test_another_library_trains_here() -> None:
    stable_baselines3 = pytest.importorskip("stable_baselines3")
    made = gymnasium.make(ENV_ID, env="constant", overrides=["env.episode_ms=5000"])
    model = stable_baselines3.PPO("MlpPolicy", made, n_steps=64, batch_size=32, seed=0, device="cpu")
    before = [parameter.detach().clone() for parameter in model.policy.parameters()]
    model.learn(total_timesteps=320)
    assert model.num_timesteps == 320
    assert len(model.ep_info_buffer) >= 5
    changed = [not after.equal(was) for was, after in zip(before, model.policy.parameters(), strict=True)]
    assert all(changed)
    assert all(bool(parameter.isfinite().all()) for parameter in model.policy.parameters())
