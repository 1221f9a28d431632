"""Training as a whole on small tasks: it learns, resumes exactly, and ends well however it ends."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from mvfstrl.agents.impala import training as training_module
from mvfstrl.agents.impala.config import ImpalaConfig, JobInput, LossConfig, NetworkConfig, OptimizerConfig
from mvfstrl.agents.impala.learner import NonFiniteLossError
from mvfstrl.agents.impala.training import Setup, Training
from mvfstrl.agents.impala.trajectory import ActorError
from mvfstrl.checkpoint import checkpoints_in, load_checkpoint
from mvfstrl.errors import CheckpointError
from mvfstrl.policy import load_policy
from tests.fake_environment import FakeVectorEnvironment

SPEC = {"version": 1, "observation": [{"name": "a"}], "actions": ["0", "1", "2"]}
ROUND = 2 * 4 * 10
"""Steps between two places where a deterministic run may stop: groups x environments x unroll."""


def make_setup(folder: Path, *, steps: int = 10 * ROUND, scenarios: int = 1, **changes: Any) -> Setup:
    agent = ImpalaConfig(
        network=NetworkConfig(hidden_size=8), unroll_length=10, batch_size=4, checkpoint_steps=3 * ROUND
    )
    settings: dict[str, Any] = {
        "agent": agent,
        "make_environment": lambda seed: FakeVectorEnvironment("memory", jobs=scenarios, seed=seed),
        "jobs": [f"job{i}" for i in range(scenarios)],
        "spec": SPEC,
        "config": {"seed": 3},
        "folder": folder,
        "seed": 3,
        "total_steps": steps,
        "device": torch.device("cpu"),
        "deterministic": True,
    }
    return Setup(**{**settings, **changes})


def run(setup: Setup, resume: bool = False, stop: Callable[[], bool] = lambda: False) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    training = Training(setup)
    if resume:
        training.resume(training.checkpoints)
    training.run(lambda metrics, step: rows.append({"step": step, **metrics}), stop)
    return rows


def newest(folder: Path) -> bytes:
    return checkpoints_in(folder / "checkpoints")[-1].read_bytes()


def stop_after(calls: int) -> Callable[[], bool]:
    left = iter([False] * calls)
    return lambda: next(left, True)


def test_one_seed_one_checkpoint_to_the_byte(tmp_path: Path) -> None:
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        run(make_setup(tmp_path / name, scenarios=2, seed=seed))
    assert newest(tmp_path / "a") == newest(tmp_path / "b")
    assert newest(tmp_path / "a") != newest(tmp_path / "c")


@pytest.mark.parametrize("rounds", [1, 3, 7])
def test_resumed_equals_uninterrupted(tmp_path: Path, rounds: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever it stopped, also between two regular checkpoints and two rows of metrics."""
    monkeypatch.setattr(training_module, "ROWS", 2)
    whole = run(make_setup(tmp_path / "whole", scenarios=2))
    parts = run(make_setup(tmp_path / "parts", scenarios=2), stop=stop_after(rounds))
    assert load_checkpoint(tmp_path / "parts")["step"] == rounds * ROUND
    parts += run(make_setup(tmp_path / "parts", scenarios=2), resume=True)
    assert newest(tmp_path / "parts") == newest(tmp_path / "whole")
    assert [timeless(row) for row in parts] == [timeless(row) for row in whole]


def timeless(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if not key.startswith("steps_per_")}


def test_resumed_twice_equals_uninterrupted(tmp_path: Path) -> None:
    run(make_setup(tmp_path / "whole"))
    run(make_setup(tmp_path / "parts"), stop=stop_after(2))
    run(make_setup(tmp_path / "parts"), resume=True, stop=stop_after(3))
    run(make_setup(tmp_path / "parts"), resume=True)
    assert newest(tmp_path / "parts") == newest(tmp_path / "whole")


def test_the_checkpoint_interval_does_not_change_the_result(tmp_path: Path) -> None:
    for name, interval in (("a", ROUND), ("b", 10**9)):
        setup = make_setup(tmp_path / name)
        setup.agent.checkpoint_steps = interval
        run(setup)
    assert newest(tmp_path / "a") == newest(tmp_path / "b")


def test_a_killed_run_goes_on_from_its_last_regular_checkpoint(tmp_path: Path) -> None:
    run(make_setup(tmp_path / "whole"))
    killed = Training(make_setup(tmp_path / "killed"))

    def die(metrics: dict[str, Any], step: int) -> None:
        if step == 8 * ROUND:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        killed.run(die)
    assert load_checkpoint(tmp_path / "killed")["step"] == 6 * ROUND
    run(make_setup(tmp_path / "killed"), resume=True)
    assert newest(tmp_path / "killed") == newest(tmp_path / "whole")


def test_asynchronous_run_reports_and_resumes(tmp_path: Path) -> None:
    rows = run(make_setup(tmp_path, deterministic=False), stop=stop_after(12))
    step = load_checkpoint(tmp_path)["step"]
    assert 0 < step < 10 * ROUND
    more = run(make_setup(tmp_path, deterministic=False), resume=True)
    assert more[0]["step"] > rows[-1]["step"]
    assert load_checkpoint(tmp_path)["step"] >= 10 * ROUND
    wanted = {"loss", "entropy", "kl", "explained_variance", "gradient_norm", "learning_rate", "policy_lag"}
    wanted |= {"steps_per_second", "full_queue", "free_queue", "action_0", "action_2", "baseline_loss"}
    assert wanted <= set(more[-1])
    assert any("episode_return" in row for row in rows + more)
    assert all(0 <= row["policy_lag_max"] <= 8 for row in rows + more)
    json.dumps(rows)


def test_resumed_asynchronous_run_draws_new_episodes(tmp_path: Path) -> None:
    seeds: list[int] = []

    def make(seed: int) -> FakeVectorEnvironment:
        seeds.append(seed)
        return FakeVectorEnvironment(seed=seed)

    setup = make_setup(tmp_path, deterministic=False, make_environment=make)
    run(setup, stop=stop_after(4))
    run(setup, resume=True)
    assert seeds[1] != seeds[3]


def test_a_finished_run_has_nothing_to_do(tmp_path: Path) -> None:
    run(make_setup(tmp_path))
    before = newest(tmp_path)
    assert run(make_setup(tmp_path), resume=True) == []
    assert newest(tmp_path) == before


@pytest.mark.parametrize("deterministic", [True, False])
def test_nan_stops_the_run_and_saves_the_batch(tmp_path: Path, deterministic: bool) -> None:
    setup = make_setup(
        tmp_path,
        deterministic=deterministic,
        make_environment=lambda seed: FakeVectorEnvironment(seed=seed, nan_after=90),
    )
    with pytest.raises(NonFiniteLossError, match="non_finite_batch"):
        run(setup)
    (path,) = tmp_path.glob("non_finite_batch_*.pt")
    saved = torch.load(path, weights_only=True)
    assert saved["batch"]["reward"].isnan().any()
    content = load_checkpoint(tmp_path)
    assert all(t.isfinite().all() for t in content["learner"]["network"].values())


def test_a_dead_worker_stops_the_run_with_a_checkpoint(tmp_path: Path) -> None:
    setup = make_setup(
        tmp_path,
        deterministic=False,
        make_environment=lambda seed: FakeVectorEnvironment(seed=seed, fail_after=90),
    )
    with pytest.raises(ActorError, match="worker 3 was killed"):
        run(setup)
    assert load_checkpoint(tmp_path)["step"] > 0


def test_full_disk_in_the_middle_does_not_end_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real = training_module.save_checkpoint
    calls = 0

    def save(*arguments: Any, **options: Any) -> Path:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise CheckpointError("cannot write checkpoint x: No space left on device")
        return real(*arguments, **options)

    monkeypatch.setattr(training_module, "save_checkpoint", save)
    with caplog.at_level(logging.ERROR):
        run(make_setup(tmp_path))
    assert "No space left" in caplog.text
    assert load_checkpoint(tmp_path)["step"] == 10 * ROUND


def test_environments_are_closed(tmp_path: Path) -> None:
    made: list[FakeVectorEnvironment] = []

    def make(seed: int) -> FakeVectorEnvironment:
        made.append(FakeVectorEnvironment(seed=seed, fail_after=90))
        return made[-1]

    with pytest.raises(ActorError):
        run(make_setup(tmp_path, deterministic=False, make_environment=make))
    assert all(environment.closed for environment in made)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"spec": {**SPEC, "actions": ["0", "*2", "/2"]}}, "actions"),
        ({"jobs": ["another"]}, "jobs"),
        ({"deterministic": False}, "deterministic=True"),
    ],
)
def test_a_checkpoint_of_another_run_is_refused(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    run(make_setup(tmp_path, steps=ROUND))
    with pytest.raises(CheckpointError, match=message):
        run(make_setup(tmp_path, **changes), resume=True)


def test_a_network_of_another_size_is_refused(tmp_path: Path) -> None:
    run(make_setup(tmp_path, steps=ROUND))
    setup = make_setup(tmp_path)
    setup.agent.network.hidden_size = 9
    with pytest.raises(CheckpointError, match="hidden_size"):
        run(setup, resume=True)


def learn(tmp_path: Path, task: Any, steps: int, jobs: int = 1, **network: Any) -> dict[str, float]:
    """Trains on a fake task; the means of its figures over the last tenth."""
    agent = ImpalaConfig(
        network=NetworkConfig(hidden_size=32, layers=1, **network),
        loss=LossConfig(discount=0.9),
        optimizer=OptimizerConfig(learning_rate=5e-3),
        unroll_length=20,
        batch_size=8,
    )
    setup = make_setup(
        tmp_path,
        agent=agent,
        steps=steps,
        scenarios=jobs,
        deterministic=False,
        make_environment=lambda seed: FakeVectorEnvironment(task, num_envs=32, seed=seed, jobs=jobs),
    )
    rows = run(setup)
    end = rows[-len(rows) // 10 :]
    means: dict[str, float] = {}
    for key in {key for row in end for key in row}:
        values = [row[key] for row in end if key in row]
        means[key] = sum(values) / len(values)
    return means


@pytest.mark.parametrize("lstm", [True, False])
def test_learns_to_track(tmp_path: Path, lstm: bool) -> None:
    assert learn(tmp_path, "tracking", 30_000, lstm=lstm)["reward"] > 0.8  # chance: -1/3


def test_learns_to_remember(tmp_path: Path) -> None:
    assert learn(tmp_path, "memory", 60_000, lstm=True)["reward"] > 0.4


def test_cannot_remember_without_memory(tmp_path: Path) -> None:
    assert learn(tmp_path, "memory", 10_000, lstm=False)["reward"] < 0.1


@pytest.mark.parametrize("who", [JobInput.none, JobInput.critic])
def test_learns_jobs_of_different_scales(tmp_path: Path, who: JobInput) -> None:
    means = learn(tmp_path, "tracking", 30_000, jobs=3, lstm=False, job_id=who)
    for job in range(3):
        best = means["episode_length"] * 10.0**job
        assert means[f"episode_return/job{job}"] > 0.6 * best


def test_a_loaded_policy_plays_as_it_learnt(tmp_path: Path) -> None:
    learn(tmp_path, "tracking", 30_000, lstm=True)
    policy = load_policy(tmp_path)
    assert policy.jobs == ["job0"]
    environment = FakeVectorEnvironment(num_envs=8, num_groups=1, seed=99)
    environment.reset(0)
    state = policy.initial_state(8)
    rewards = []
    for _ in range(50):
        step = environment.recv(0)
        rewards.append(step.reward.mean())
        observation, first, job = (torch.from_numpy(x) for x in (step.observation, step.first, step.job))
        action, state = policy.act(observation, first, job, state)
        environment.send(0, action.to(torch.int32).numpy())
    assert sum(rewards) / 50 > 0.8
