"""Training on actors in other processes: what becomes of their rows, and of those that die, stall or come
back. The actors' connections are simulated, at the pace of tests/paced_actor.py."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mvfstrl.agents.impala.config import ImpalaConfig
from mvfstrl.agents.impala.network import NetworkShape
from mvfstrl.agents.impala.remote import ActorColumn, Gatherer
from mvfstrl.agents.impala.training import Training
from mvfstrl.agents.impala.trajectory import Trajectory, TrajectoryRing
from mvfstrl.checkpoint import load_checkpoint
from mvfstrl.config import compose
from mvfstrl.config.actors import counted
from mvfstrl.config.validate import validate
from mvfstrl.distributed import Ranks
from mvfstrl.errors import ConfigError
from mvfstrl.metrics import read_metrics
from mvfstrl.rpc import actors_pb2 as messages
from mvfstrl.rpc.answers import Memory
from mvfstrl.rpc.processes import ActorsFailedError
from mvfstrl.train import make_setup
from tests.rpc_helpers import PATIENCE_S, wait_until

PROGRAM = str(Path(__file__).with_name("paced_actor.py"))
TINY = [
    "agent=impala",
    "env=constant",
    "transport=aioquic",
    "tracker=none",
    "device=cpu",
    "agent.network.hidden_size=8",
    "agent.unroll_length=10",
    "agent.batch_size=2",
    "env.episode_ms=2000",
    "actors.groups=1",
    "actors.threads=1",
]


# From rows to unrolls

SIZE, ACTIONS, LENGTH, HIDDEN = 3, 4, 5, 2


def buffer(columns: int, length: int = LENGTH) -> Trajectory:
    return Trajectory(length, columns, NetworkShape(SIZE, ACTIONS, 1), 1, HIDDEN)


class Told:
    """A column, and rows whose every number says which one it is."""

    def __init__(self, gatherer: Gatherer, start: int = 0) -> None:
        self.column = ActorColumn(buffer(1), gatherer)
        self.number = start
        self.memory = Memory({"lstm_layers": 1, "hidden_size": HIDDEN})

    def play(self, kinds: str, version: int = 1) -> None:
        """`f`: a first row, `.`: one within, `e`: the end of an episode."""
        for kind in kinds:
            n = self.number
            self.memory.h[:], self.memory.c[:] = n, -n
            row = messages.Row(reward=n, first=kind == "f", truncated=kind == "e", asks=kind != "e")
            self.column.add_row(row, np.full(SIZE, n, np.float32), self.memory)
            if row.asks:
                self.column.add_answer(n % ACTIONS, np.full(ACTIONS, n, np.float32), version)
            self.number += 1


@pytest.fixture
def ring() -> TrajectoryRing:
    return TrajectoryRing([])


def make_gatherer(ring: TrajectoryRing, columns: int = 1, buffers: int = 3) -> Gatherer:
    return Gatherer(ring.beside([buffer(columns) for _ in range(buffers)]))


def rewards(unroll: Trajectory | None, column: int = 0) -> list[float]:
    assert unroll is not None
    values: list[float] = unroll.batch.reward[:, column].tolist()
    return values


def test_rows_become_unrolls_that_share_their_ends(ring: TrajectoryRing) -> None:
    told = Told(make_gatherer(ring))
    told.play("f...", version=3)
    told.play(".....ef", version=4)
    first, second = ring.take(0), ring.take(0)
    assert first is not None
    assert second is not None
    assert rewards(first) == [0, 1, 2, 3, 4, 5]
    assert rewards(second) == [5, 6, 7, 8, 9, 10]
    assert first.batch.observation[:, 0, 0].tolist() == [0, 1, 2, 3, 4, 5]
    assert first.batch.action[:, 0].tolist() == [0, 1, 2, 3, 0]
    assert first.batch.logits[:, 0, 0].tolist() == [0, 1, 2, 3, 4]
    assert second.batch.action[:, 0].tolist() == [1, 2, 3, 0, 0]  # nothing follows the episode's end
    assert second.batch.logits[:, 0, 0].tolist() == [5, 6, 7, 8, 0]
    assert first.batch.first[:, 0].tolist() == [True] + 5 * [False]
    assert second.batch.truncated[:, 0].tolist() == 4 * [False] + [True, False]
    assert second.batch.first[:, 0].tolist() == 5 * [False] + [True]
    # The memory from before row 0; the oldest parameters that acted.
    assert (first.batch.h.flatten().tolist(), second.batch.c.flatten().tolist()) == ([0, 0], [-5, -5])
    assert (first.version, second.version) == (3, 4)


def test_columns_of_several_actors_make_a_batch(ring: TrajectoryRing) -> None:
    gatherer = make_gatherer(ring, columns=2)
    one, other = Told(gatherer), Told(gatherer, start=100)
    one.play("f.....", version=7)
    assert ring.take(0) is None
    other.play("f.....", version=5)
    batch = ring.take(0)
    assert rewards(batch, 0) == [0, 1, 2, 3, 4, 5]
    assert rewards(batch, 1) == [100, 101, 102, 103, 104, 105]
    assert batch is not None
    assert batch.version == 5


def test_what_an_actor_leaves_is_dropped_and_counted(ring: TrajectoryRing) -> None:
    gatherer = make_gatherer(ring)
    told = Told(gatherer)
    told.play("f..")
    told.column.drop()
    assert gatherer.unfinished == 1
    told.play("......")  # back within its episode, its memory empty
    assert rewards(ring.take(0)) == [3, 4, 5, 6, 7, 8]
    told.play("..f")  # an episode that broke off: its last row does not lead to the next one's first
    assert gatherer.unfinished == 2
    told.play(".....")
    assert rewards(ring.take(0)) == [11, 12, 13, 14, 15, 16]
    told.play("e")
    told.column.drop()
    told.column.drop()
    assert gatherer.unfinished == 3


def test_unrolls_that_a_slow_learner_has_no_room_for_are_dropped_and_counted(ring: TrajectoryRing) -> None:
    gatherer = make_gatherer(ring, buffers=1)
    told = Told(gatherer)
    told.play("f" + 15 * ".")
    assert gatherer.dropped == 2
    held = ring.take(0)
    assert held is not None
    assert rewards(held) == [0, 1, 2, 3, 4, 5]
    ring.release(held)
    told.play(5 * ".")
    assert rewards(ring.take(0)) == [15, 16, 17, 18, 19, 20]


# Whole trainings


def training(folder: Path, *overrides: str, **remote: Any) -> Training:
    cfg = compose([*TINY, *overrides])
    assert isinstance(cfg.agent, ImpalaConfig)
    setup = make_setup(cfg, cfg.agent, folder)
    assert setup.remote is not None
    replaced = dataclasses.replace(setup.remote, **({"program": (PROGRAM,)} | remote))
    return Training(dataclasses.replace(setup, remote=replaced))


class Run:
    """A training in a thread; its rows of metrics."""

    def __init__(self, training: Training) -> None:
        self.rows: list[dict[str, Any]] = []
        self.error: BaseException | None = None
        self._stop = False
        self._training = training
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        try:
            self._training.run(lambda row, step: self.rows.append(row), lambda: self._stop)
        except BaseException as error:  # noqa: BLE001 - the test judges it
            self.error = error

    def __enter__(self) -> Run:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop = True
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()

    def ended(self) -> bool:
        return not self._thread.is_alive()

    def until(self, key: str, least: float) -> None:
        def there() -> bool:
            if self.error is not None:
                raise self.error
            return bool(self.rows) and self.rows[-1].get(key, 0) >= least

        wait_until(there, f"{key} reaches {least}")


def test_it_trains_on_real_time_actors_alone(tmp_path: Path) -> None:
    run = training(tmp_path, "actors.count=2", "total_steps=400")
    rows: list[dict[str, Any]] = []
    objective = run.run(lambda row, step: rows.append(row))
    content = load_checkpoint(tmp_path)
    assert content["step"] >= 400
    last = rows[-1]
    assert last["realtime/actors"] == 2
    assert last["realtime/answers"] >= 380  # rows that end episodes are steps too, and ask nothing
    assert (last["realtime/lost_actors"], last["realtime/refused"]) == (0, 0)
    assert all(
        0 < row["realtime/answer_ms_p50"] <= row["realtime/answer_ms_p99"]
        for row in rows
        if "realtime/answer_ms_p50" in row
    )
    assert sum(row["episodes"] for row in rows) >= 5
    assert np.isfinite(objective)
    lags = [row["realtime/policy_lag"] for row in rows if "realtime/policy_lag" in row]
    assert min(lags) >= 0
    assert max(row["policy_lag_max"] for row in rows) >= max(lags)


def test_simulated_and_real_time_actors_train_together(tmp_path: Path) -> None:
    mixed = training(
        tmp_path,
        "actors.simulated=4",
        "actors.realtime=1",
        "total_steps=2000000",
        "agent.batch_size=4",
        "agent.max_policy_lag=8",
    )
    assert mixed.learner.siblings == 4
    with Run(mixed) as run:
        wait_until(
            lambda: any("realtime/policy_lag" in row for row in run.rows) or run.error is not None,
            "a real-time batch is learnt from",
        )
    assert run.error is None
    # The simulated ones did not wait: in the time of one real-time unroll the learner had many of theirs.
    assert mixed.learner.step > 40 * run.rows[-1]["realtime/answers"] / 10
    assert max(row.get("realtime/policy_lag", 0) for row in run.rows) > 8


def test_an_actor_that_is_killed_is_replaced(tmp_path: Path) -> None:
    with Run(training(tmp_path, "actors.count=2", "total_steps=20000")) as run:
        run.until("realtime/actors", 2)
        victim = processes_of(os.getpid(), PROGRAM)[0]
        os.kill(victim, signal.SIGKILL)
        run.until("realtime/lost_actors", 1)
        run.until("realtime/replaced", 1)
        before = run.rows[-1]["realtime/answers"]
        run.until("realtime/actors", 2)
        run.until("realtime/answers", before + 100)
    assert run.error is None
    assert run.rows[-1]["realtime/lost_actors"] == 1
    wait_until(lambda: not processes_of(os.getpid(), PROGRAM), "no actor outlives its learner")


def processes_of(parent: int, program: str) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError, IndexError):
            pid = int(entry.name)
            command = (entry / "cmdline").read_bytes().decode().split("\0")
            ancestor = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            if ancestor == parent and program in command:
                found.append(pid)
    return found


def test_actors_that_never_get_far_end_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mvfstrl.rpc.processes.FIRST_PAUSE_S", 0.001)
    run = training(tmp_path, "actors.count=1", program=("-c", "import sys; sys.exit(3)"))
    with pytest.raises(Exception, match=r"5 times in a row .* with status 3") as raised:
        run.run(lambda row, step: None)
    assert isinstance(raised.value.__cause__, ActorsFailedError)


def test_episodes_that_break_off_are_counted_and_enough_of_them_end_the_actor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MVFSTRL_TEST_BREAK", "1")
    with Run(training(tmp_path, "actors.simulated=2", "actors.realtime=1", "total_steps=2000000")) as run:
        run.until("realtime/broken_episodes", 4)
        run.until("realtime/replaced", 1)
    assert run.error is None


@contextlib.contextmanager
def child(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, PROGRAM, *arguments])
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def learner(folder: Path, *overrides: str) -> contextlib.AbstractContextManager[subprocess.Popen[bytes]]:
    return child("--learner", str(folder), *TINY, "actors.simulated=0", *overrides)


def latest(folder: Path) -> dict[str, Any]:
    rows = list(read_metrics(folder / "metrics.jsonl"))
    return rows[-1] if rows else {}


def test_a_killed_learner_gets_its_actors_back_and_tells_them_when_it_is_over(tmp_path: Path) -> None:
    folder, address = tmp_path / "run", f"unix:{tmp_path}/join"
    overrides = [f"actors.listen={address}", "agent.checkpoint_steps=100"]
    with child("--server", address, "--name", "from elsewhere") as actor:
        with learner(folder, *overrides, "total_steps=100000") as first:
            wait_until(lambda: latest(folder).get("step", 0) >= 500, "it learns from who joined")
            assert latest(folder)["realtime/rejoined"] == 0
            os.kill(first.pid, signal.SIGKILL)
        before = load_checkpoint(folder)["step"]
        second = training(folder, *overrides, "actors.simulated=0", f"total_steps={before + 200}")
        second.resume(folder)
        with Run(second) as run:
            wait_until(run.ended, "the rest is learnt")
        assert run.error is None
        assert run.rows[-1]["realtime/rejoined"] == 1
        assert actor.wait(PATIENCE_S) == 0  # there is nothing more to play
    assert load_checkpoint(folder)["step"] >= before + 200


class Proxy:
    """Between an actor and its server; what it is told to hold back waits."""

    def __init__(self, port: int) -> None:
        self._going = threading.Event()
        self._going.set()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, args=(port,), daemon=True).start()

    def stall(self, seconds: float) -> None:
        self._going.clear()
        time.sleep(seconds)
        self._going.set()

    def _accept(self, port: int) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listening.accept()
                far = socket.create_connection(("127.0.0.1", port))
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=self._relay, args=pair, daemon=True).start()

    def _relay(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self._going.wait()
                target.sendall(data)

    def close(self) -> None:
        self._listening.close()


@pytest.mark.slow
def test_a_stalled_network_costs_observations_and_no_actor(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    proxy = Proxy(port)
    overrides = ["actors.simulated=0", f"actors.listen=127.0.0.1:{port}", "total_steps=20000"]
    run = Run(training(tmp_path, *overrides, "env.episode_ms=600000"))  # longer than the stall
    with contextlib.closing(proxy), run, child("--server", f"127.0.0.1:{proxy.port}"):
        run.until("realtime/answers", 100)
        before = run.rows[-1]
        proxy.stall(10.0)
        run.until("realtime/answers", before["realtime/answers"] + 200)
        run.until("realtime/skipped", before["realtime/skipped"] + 1000)
        after = run.rows[-1]
        assert (after["realtime/actors"], after["realtime/lost_actors"], after["realtime/rejoined"]) == (
            1,
            0,
            0,
        )
    assert run.error is None


# Configuration


def test_count_is_of_the_transports_own_kind() -> None:
    real = counted(compose([*TINY, "actors.count=8"]))
    assert (real.simulated, real.realtime) == (0, 8)
    virtual = counted(compose([*TINY, "transport=virtual", "actors.count=8"]))
    assert (virtual.simulated, virtual.realtime) == (8, 0)
    assert counted(compose(TINY)).simulated == 64


REFUSED = {
    "deterministic": (["actors.realtime=2", "deterministic=true"], "actors.realtime: no two real-time"),
    "virtual": (["actors.realtime=2", "transport=virtual"], "actors.realtime: .* add transport=aioquic"),
    "both": (["actors.realtime=2", "actors.count=2"], "actors.count: stands for"),
    "none": (["actors.simulated=0"], "actors.simulated: must be at least 1 where no real-time"),
    "negative": (["actors.realtime=-1"], "actors.realtime: must be 0 or more"),
    "batch": (["actors.batch=0"], "actors.batch: must be at least 1"),
    "batch_ms": (["actors.batch_ms=-1"], "actors.batch_ms: must be 0 or more"),
    "open": (
        ["actors.listen=0.0.0.0:5000"],
        r"actors\.listen: 0\.0\.0\.0:5000 can be reached from other hosts",
    ),
    "address": (["actors.listen=nowhere"], "actors.listen: 'nowhere' is no address"),
    "folder": (["actors.listen=unix:/no/such/folder/socket"], "actors.listen: no such folder"),
}


@pytest.mark.parametrize("key", ["actors.realtime=2", "actors.listen=127.0.0.1:0"])
def test_several_ranks_take_no_real_time_actors(key: str, tmp_path: Path) -> None:
    class Two(Ranks):
        size = 2

    cfg = compose([*TINY, key])
    assert isinstance(cfg.agent, ImpalaConfig)
    with pytest.raises(
        ConfigError, match=f"{key.partition('=')[0]}: 2 ranks learn from simulated actors only"
    ):
        make_setup(cfg, cfg.agent, tmp_path, ranks=Two())


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_run_is_refused_by_name(case: str, tmp_path: Path) -> None:
    overrides, message = REFUSED[case]
    with pytest.raises(ConfigError, match=message):
        validate(compose([*TINY, *overrides]), tmp_path)
