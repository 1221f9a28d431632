"""Several ranks learn what one would learn of everything, and none is left waiting when another is gone."""

from __future__ import annotations

import itertools
import os
import re
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributed import TCPStore

from mvfstrl.agents.impala import training as training_module
from mvfstrl.agents.impala.config import ImpalaConfig, NetworkConfig
from mvfstrl.agents.impala.learner import Learner
from mvfstrl.agents.impala.network import NetworkShape
from mvfstrl.agents.impala.training import Setup, Training
from mvfstrl.agents.impala.trajectory import Batch
from mvfstrl.checkpoint import checkpoints_in, load_checkpoint
from mvfstrl.config import compose
from mvfstrl.distributed import Group, Launch, Ranks
from mvfstrl.errors import CheckpointError, ConfigError
from mvfstrl.rank_environment import available_cores, from_environment, ranks_started, started, worker_threads
from mvfstrl.stopping import StopRequest
from mvfstrl.train import make_setup
from tests.fake_environment import FakeVectorEnvironment
from tests.ranks import LIMIT_S, Workers
from tests.tiny_run import TINY

SHAPE = NetworkShape(observation_size=5, num_actions=3, jobs=2)
UPDATES = 6


def make_learner(ranks: Ranks | None, *, lstm: bool, seed: int = 1) -> Learner:
    torch.manual_seed(seed)
    config = ImpalaConfig(network=NetworkConfig(hidden_size=8, lstm=lstm))
    return Learner(SHAPE, config, total_steps=100_000, device=torch.device("cpu"), siblings=2, ranks=ranks)


def make_batch(seed: int, *, lstm: bool, steps: int = 12, columns: int = 8) -> Batch:
    """Episodes end in some columns only, so that ranks have different numbers of transitions."""
    generator = torch.Generator().manual_seed(seed)
    rows = (steps + 1, columns)
    first = torch.zeros(rows, dtype=torch.bool)
    truncated, terminated = first.clone(), first.clone()
    for column in range(columns // 2 - 1):
        row = int(torch.randint(1, steps - 1, (), generator=generator))
        (truncated if column % 2 else terminated)[row, column] = True
        first[row + 1, column] = True
    sets = torch.randint(0, 2, (columns // 2,), generator=generator, dtype=torch.int32)
    return Batch(
        observation=10 * torch.randn(*rows, 5, generator=generator),
        reward=torch.randn(rows, generator=generator).cumsum(1),
        terminated=terminated,
        truncated=truncated,
        first=first,
        job=sets.repeat_interleave(2).expand(rows).contiguous(),
        action=torch.randint(0, 3, (steps, columns), generator=generator, dtype=torch.int32),
        logits=torch.randn(steps, columns, 3, generator=generator),
        h=torch.randn(int(lstm), columns, 8, generator=generator),
        c=torch.randn(int(lstm), columns, 8, generator=generator),
    )


def tensors_of(learner: Learner) -> dict[str, Tensor]:
    return {**learner.network.state_dict(), **learner.scale.state_dict(prefix="scale.")}


def learn_share(group: Ranks, lstm: bool) -> tuple[dict[str, Tensor], int, list[dict[str, Tensor]]]:
    learner = make_learner(group, lstm=lstm)
    width = 8 // group.size
    rows = []
    for update in range(UPDATES):
        batch = make_batch(update, lstm=lstm).columns(width * group.rank, width * (group.rank + 1))
        rows.append(learner.learn(batch))
    learner.require_equal_ranks()
    return tensors_of(learner), learner.step, rows


@pytest.mark.parametrize("lstm", [False, True])
@pytest.mark.parametrize("size", [2, 4])
def test_ranks_learn_what_one_learns_of_the_whole_batch(size: int, lstm: bool) -> None:
    one, steps, rows = learn_share(Ranks(), lstm)
    outcomes = Workers(learn_share, lstm, size=size).outcomes()
    for other, other_steps, other_rows in outcomes:
        assert other_steps == steps == UPDATES * 12 * 8
        torch.testing.assert_close(other, one, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(other, outcomes[0][0], rtol=0, atol=0)
        for mine, theirs in zip(rows, other_rows, strict=True):
            for key in ("loss", "policy_gradient_loss", "baseline_loss", "entropy", "gradient_norm"):
                torch.testing.assert_close(theirs[key], mine[key], rtol=1e-4, atol=1e-5)


# --- training ---


def train_share(
    group: Ranks, folder: Path, rounds: int | None = None, one_row: bool = False, **changes: Any
) -> list[dict[str, Any]]:
    """A run of 10 rounds, resumed where the folder has one; `rounds`: asked to stop after so many. `one_row`
    of metrics, at the end: nothing else makes rank 0 ask the others often.
    """
    if one_row:
        training_module.ROWS = 1
    rows: list[dict[str, Any]] = []
    training = Training(setup_of(group, folder, **changes))
    if group.broadcast(bool(checkpoints_in(folder / "checkpoints"))):
        training.resume(folder)
    polls = itertools.count()
    asks = group.rank == group.size - 1  # the last one is asked, and all stop
    training.run(
        lambda metrics, step: rows.append({"step": step, **metrics}),
        lambda: asks and rounds is not None and next(polls) >= rounds,
    )
    return rows


def setup_of(group: Ranks, folder: Path, **changes: Any) -> Setup:
    agent = ImpalaConfig(
        network=NetworkConfig(hidden_size=8), unroll_length=10, batch_size=4, checkpoint_steps=160
    )
    settings: dict[str, Any] = {
        "agent": agent,
        "make_environment": lambda seed: FakeVectorEnvironment(
            "memory", jobs=2, seed=seed, num_envs=8 // group.size
        ),
        "jobs": ["job0", "job1"],
        "spec": {"actions": ["0", "1", "2"]},
        "config": {},
        "folder": folder,
        "seed": 3,
        "total_steps": 800,
        "device": torch.device("cpu"),
        "deterministic": True,
        "ranks": group,
    }
    return Setup(**{**settings, **changes})


def newest(folder: Path) -> bytes:
    return checkpoints_in(folder / "checkpoints")[-1].read_bytes()


def test_deterministic_ranks_resume_exactly_and_only_the_first_writes(tmp_path: Path) -> None:
    rows, others = Workers(train_share, tmp_path / "whole", one_row=True).outcomes()
    assert rows[-1]["step"] == 800
    assert others == []
    assert sum(row["episodes"] for row in rows) > 40  # of about 80: both ranks' are there
    assert len(list((tmp_path / "whole").rglob("*.*"))) == 2  # the newest two checkpoints, and nothing else
    Workers(train_share, tmp_path / "parts", 4, one_row=True).outcomes()
    stopped = load_checkpoint(tmp_path / "parts")
    assert stopped["step"] == 400  # between two regular checkpoints
    assert stopped["ranks"] == 2
    Workers(train_share, tmp_path / "parts", one_row=True).outcomes()
    assert newest(tmp_path / "parts") == newest(tmp_path / "whole")


def test_deterministic_ranks_are_refused_in_another_number(tmp_path: Path) -> None:
    Workers(train_share, tmp_path, 2).outcomes()
    with pytest.raises(CheckpointError, match="deterministic run of 2 ranks"):
        train_share(Ranks(), tmp_path)


def test_asynchronous_ranks_stop_together_and_go_on_in_another_number(tmp_path: Path) -> None:
    rows, _ = Workers(train_share, tmp_path, 5, deterministic=False, total_steps=8000).outcomes()
    step = load_checkpoint(tmp_path)["step"]
    assert 0 < step < 8000
    assert {"steps_per_second", "policy_lag", "ranks_waiting", "loss"} <= set(rows[0])
    more = train_share(Ranks(), tmp_path, deterministic=False, total_steps=step + 160)
    assert more[-1]["step"] >= step + 160
    last = Workers(train_share, tmp_path, deterministic=False, total_steps=step + 320).outcomes()[0]
    assert last[-1]["step"] >= step + 320


def seeds_of(group: Ranks, folder: Path) -> list[int]:
    seeds: list[int] = []

    def make(seed: int) -> FakeVectorEnvironment:
        seeds.append(seed)
        return FakeVectorEnvironment(seed=seed, num_envs=4)

    training = Training(setup_of(group, folder, make_environment=make, total_steps=80))
    training.run(lambda metrics, step: None)
    return seeds


def test_each_rank_plays_episodes_of_its_own(tmp_path: Path) -> None:
    (_, first), (_, second) = Workers(seeds_of, tmp_path).outcomes()
    assert first != second


# --- what goes wrong ---


def learn_until(group: Group, what: str) -> None:
    """Rank 1 comes to grief after some updates."""
    learner = make_learner(group, lstm=False)
    for update in range(1000):
        if group.rank == 1 and update == 5:
            if what == "raises":
                raise ValueError("the dog ate it")
            if what == "dies":
                os.kill(os.getpid(), signal.SIGKILL)
            if what == "hangs":
                time.sleep(LIMIT_S)
            if what == "differs":
                learner.network.torso[0].weight.data[0, 0] += 1e-6
        learner.learn(make_batch(0, lstm=False, columns=4))
        if update % 10 == 9:
            learner.require_equal_ranks()


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("raises", r"rank 1 \(.*, process \d+\): ValueError: the dog ate it"),
        ("dies", r"rank 1 \(.*, process \d+\): no sign of life"),
        ("hangs", r"rank 1 \(.*, process \d+\): no sign of life .*ranks.timeout_s=4"),
        ("differs", r"after update 10: rank 1 \(.*\) is no longer equal to rank 0 in torso.0.weight"),
    ],
)
@pytest.mark.parametrize("size", [2, 3])
def test_the_others_end_and_say_why(what: str, message: str, size: int) -> None:
    workers = Workers(learn_until, what, size=size, timeout_s=4 if what == "hangs" else LIMIT_S)
    for outcome in workers.outcomes([rank for rank in range(size) if rank != 1]):
        assert outcome.startswith("RankError: ")
        assert re.search(message, outcome)


def learn_nan(group: Group, folder: Path) -> None:
    def make(seed: int) -> FakeVectorEnvironment:
        return FakeVectorEnvironment(seed=seed, num_envs=4, nan_after=90 if group.rank == 1 else None)

    training = Training(setup_of(group, folder, make_environment=make))
    training.run(lambda metrics, step: None)


def test_no_number_on_one_rank_stops_all_before_it_is_learnt(tmp_path: Path) -> None:
    outcomes = Workers(learn_nan, tmp_path).outcomes()
    assert all(outcome.startswith("NonFiniteLossError: ") for outcome in outcomes)
    (culprit,) = tmp_path.glob("non_finite_batch_*_rank1.pt")
    assert torch.load(culprit, weights_only=True)["batch"]["reward"].isnan().any()


# --- the start ---

WHOLE = {"WORLD_SIZE": "2", "RANK": "1", "MASTER_ADDR": "localhost", "MASTER_PORT": "29500"}


def test_the_place_is_read_from_the_environment() -> None:
    assert from_environment({}) is None
    assert from_environment({"WORLD_SIZE": "1"}) is None
    assert from_environment(WHOLE) == (1, 2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"RANK": ""}, "RANK: not set, though WORLD_SIZE=2"),
        ({"MASTER_ADDR": ""}, "MASTER_ADDR: not set"),
        ({"MASTER_PORT": "http"}, "MASTER_PORT: must be a whole number, got 'http'"),
        ({"RANK": "2"}, "RANK: must be from 0 to 1, as WORLD_SIZE=2, got 2"),
        ({"WORLD_SIZE": "two"}, "WORLD_SIZE: must be a whole number, got 'two'"),
        ({"WORLD_SIZE": "0"}, "WORLD_SIZE"),
    ],
)
def test_a_place_that_cannot_be_is_refused(changes: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        from_environment({**WHOLE, **changes})


TASK = {
    "SLURM_JOB_ID": "812",
    "SLURM_STEP_ID": "3",
    "SLURM_PROCID": "4",
    "SLURM_NODEID": "2",
    "SLURM_STEP_NUM_TASKS": "5",
    "SLURM_STEP_TASKS_PER_NODE": "2(x2),1",
    "SLURM_CPUS_ON_NODE": "1",
    "MASTER_ADDR": "first",
}


def test_a_slurm_task_knows_its_place() -> None:
    assert started(TASK) == (4, 5, "tcp://first:20995?rank=4&world_size=5")  # 20000 + (16 * 812 + 3) % 12000
    assert started({**TASK, "MASTER_PORT": "29500"}) == (4, 5, "tcp://first:29500?rank=4&world_size=5")
    assert ranks_started(TASK) == 5
    assert started({**TASK, **WHOLE}) == (1, 2, "env://")  # torchrun in each task: its word counts
    script = {**TASK, "SLURM_NTASKS": "5", "SLURM_STEP_NUM_TASKS": ""}  # not started by srun
    assert started(script) is None
    assert ranks_started(script) == 1
    with pytest.raises(ConfigError, match="SLURM_PROCID: must be a whole number"):
        started({**TASK, "SLURM_PROCID": "x"})


def test_a_slurm_task_takes_no_more_cores_than_it_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(16)))
    assert available_cores({}) == 16
    node = {**TASK, "SLURM_CPUS_ON_NODE": "8", "SLURM_NODEID": "0"}
    assert available_cores(node) == 4  # of two tasks
    assert available_cores({**node, "SLURM_NODEID": "2"}) == 8
    assert available_cores({**node, "SLURM_STEP_NUM_TASKS": ""}) == 8  # the batch script itself
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {5, 6})
    assert available_cores(node) == 2


def test_threads_asked_for_are_bounded_by_a_slurm_job_alone() -> None:
    assert [worker_threads(asked, 2, {}) for asked in (0, 1, 8)] == [2, 1, 8]
    assert [worker_threads(asked, 2, TASK) for asked in (0, 1, 8)] == [2, 1, 2]


def shares(envs: int, batch: int, ranks: int) -> None:
    group = Ranks()
    group.size = ranks
    overrides = [f"actors.simulated={envs}", "actors.groups=2", f"agent.batch_size={batch}", "tracker=none"]
    cfg = compose(["agent=impala", "env=constant", *overrides])
    assert isinstance(cfg.agent, ImpalaConfig)
    setup = make_setup(cfg, cfg.agent, Path(), ranks=group)
    environment = setup.make_environment(1)
    assert environment.num_envs == envs // ranks
    assert environment.group_size % setup.siblings == 0
    environment.close()


def test_environments_and_batches_are_those_of_all_ranks() -> None:
    shares(12, 6, 3)
    with pytest.raises(ConfigError, match=r"actors\.simulated: 10 in 2 groups do not split over 3 ranks"):
        shares(10, 6, 3)
    with pytest.raises(ConfigError, match=r"agent\.batch_size: 8 unrolls do not split over 3 ranks"):
        shares(12, 8, 3)


def test_a_repeated_interrupt_is_one_for_a_while() -> None:
    with StopRequest(patience_s=60.0) as stop:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)  # the terminal's, sent on by torchrun
        assert stop.requested


def test_the_leader_tells_what_to_train_until_nothing_follows() -> None:
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    heard: list[Any] = []
    follower = Launch(store, 1, 2)

    def listen() -> None:
        while (job := follower.next_job()) is not None:
            heard.append(job)

    thread = threading.Thread(target=listen)
    thread.start()
    leader = Launch(store, 0, 2)
    leader.announce({"seed": 1})
    leader.announce({"seed": 2})
    leader.dismiss()
    leader.dismiss()
    thread.join(LIMIT_S)
    assert heard == [{"seed": 1}, {"seed": 2}]


# --- run.py under torchrun ---

ROOT = Path(__file__).parents[1]


def torchrun(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    return subprocess.Popen(
        [*command, str(ROOT / "run.py"), *TINY, *arguments],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def test_torchrun_trains_stops_and_leaves_one_folder(tmp_path: Path) -> None:
    process = torchrun(tmp_path, "total_steps=100_000_000", "agent.checkpoint_steps=1_000_000_000")
    deadline = time.monotonic() + LIMIT_S
    try:
        while not any(file.stat().st_size for file in tmp_path.glob("outputs/*/*/metrics.jsonl")):
            assert process.poll() is None, process.communicate()[0]
            assert time.monotonic() < deadline, "no metrics in time"
            time.sleep(0.2)
        process.send_signal(signal.SIGTERM)  # torchrun passes it on to both
        output, _ = process.communicate(timeout=LIMIT_S)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    (run,) = tmp_path.glob("outputs/*/*")  # not one a rank
    content = load_checkpoint(run)
    assert content["ranks"] == 2
    assert content["step"] > 0
    assert len(list((run / "checkpoints").iterdir())) == 1
    assert output.count("stopped at step") == 1
    assert "error:" not in output
    assert {path.name for path in tmp_path.iterdir()} == {"outputs"}


def test_other_modes_are_refused_under_torchrun_once(tmp_path: Path) -> None:
    output, _ = torchrun(tmp_path, "mode=test", "checkpoint=.").communicate(timeout=LIMIT_S)
    assert output.count("error: mode: test runs alone, and 2 ranks were started") == 1
