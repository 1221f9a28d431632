"""transport=mvfst: Python's part over a stand-in for the native classes, all of it where mvfst is there."""

from __future__ import annotations

import io
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from mvfstrl import _native, actor, train
from mvfstrl.agents.schemes import MVFST_OWN
from mvfstrl.config import Config, compose, native_config
from mvfstrl.config.validate import validate
from mvfstrl.errors import ConfigError
from mvfstrl.metrics import read_metrics
from mvfstrl.realtime import worker
from mvfstrl.realtime.episode import RealtimeHost
from mvfstrl.realtime.errors import RealtimeError
from mvfstrl.realtime.hosts import Episode, host_of
from mvfstrl.realtime.mvfst import MvfstHost
from mvfstrl.realtime.policy import Step
from mvfstrl.rundir import RunDirectory
from pantheon import sim2real
from pantheon.episodes import play
from pantheon.evaluate import evaluate
from pantheon.late_hosts import MVFST
from pantheon.schemes import schemes_of
from tests.fake_mvfst import FakeReceiver, FakeSender
from tests.recorded_policy import Recorded
from tests.test_local import checkpoint

PATH = ["transport=mvfst", "env=constant", "env.rate_mbps=6", "env.delay_ms=10", "env.queue.packets=50"]
HAS_MVFST = _native.has_mvfst
needs_mvfst = pytest.mark.skipif(not HAS_MVFST, reason="no mvfst in this build (MVFST_ROOT, docs/mvfst.md)")


def configured(*overrides: str) -> dict[str, Any]:
    return native_config(compose([*PATH, "env.episode_ms=1500", *overrides]))


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_native, "MvfstReceiver", FakeReceiver, raising=False)
    monkeypatch.setattr(_native, "MvfstSender", FakeSender, raising=False)
    monkeypatch.setattr(_native, "has_mvfst", True)


@pytest.fixture
def host(fake: None, tmp_path: Path) -> Iterator[MvfstHost]:
    with MvfstHost(tmp_path / "certificates") as host:
        yield host


# --- Configuration ------------------------------------------------------------------------------------


def test_transport_mvfst_is_real_time_with_the_constants_of_virtual_time() -> None:
    real, virtual = compose(["transport=mvfst"]), compose(["transport=virtual"])
    assert (real.realtime.host, real.test.runs) == ("mvfst", 5)
    assert real.transport == virtual.transport


REFUSED = [
    (
        ["transport=virtual", "agent=mvfst_bbr"],
        "agent: mvfst_bbr runs inside mvfst alone; add transport=mvfst",
    ),
    (["transport=aioquic", "agent=mvfst_bbr"], "agent: mvfst_bbr runs inside mvfst alone"),
    (["transport=virtual", "test.schemes=[cubic,mvfst_copa]"], "test.schemes: mvfst_copa runs inside mvfst"),
    (["env.flows=[{scheme: agent},{scheme: mvfst_cubic}]"], r"env.flows\[1\].scheme: must be one of"),
    (["guard.fallback=mvfst_cubic"], "guard.fallback: must be one of"),
    (["test.qlog=true"], "test.qlog: .* realtime.qlog=true keeps mvfst's own"),
    (["env.flows=[{scheme: agent},{scheme: cubic}]"], "env.flows: .* leave out transport=mvfst"),
    (["transport.window.packet_size_bytes=1453"], "packet_size_bytes: must be between 1200 and 1452 .*mvfst"),
]


@pytest.mark.parametrize(("overrides", "message"), REFUSED, ids=[" ".join(given) for given, _ in REFUSED])
def test_what_cannot_be_played_is_refused(
    fake: None, overrides: list[str], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=message):
        validate(compose([*PATH, "mode=test", "agent=cubic", *overrides]), tmp_path)


def test_where_there_is_no_mvfst_it_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delattr(_native, "MvfstSender", raising=False)
    monkeypatch.setattr(_native, "has_mvfst", False)
    with pytest.raises(ConfigError, match=r"realtime.host: .* without mvfst; .*MVFST_ROOT=PREFIX ./setup.sh"):
        validate(compose([*PATH, "mode=test", "agent=cubic"]), tmp_path)
    with pytest.raises(ConfigError, match="without mvfst"):  # what an actor on another host says
        actor.realtime_player({"host": "mvfst", "config": configured("agent=cubic")}, tmp_path)


@pytest.mark.parametrize("agent", [*MVFST_OWN, "cubic"])
def test_where_it_is_its_own_schemes_and_any_application_are_accepted(
    fake: None, agent: str, tmp_path: Path
) -> None:
    validate(compose([*PATH, "mode=test", f"agent={agent}", "env.app=on_off"]), tmp_path)


@pytest.mark.parametrize("scheme", MVFST_OWN)
def test_its_own_schemes_are_refused_by_name_elsewhere(scheme: str) -> None:
    config = configured(f"agent={scheme}")
    for refuse in (lambda: _native.HostedConnection(config), lambda: play(config, [1])):
        with pytest.raises(
            ValueError, match=rf"flows\[0\].controller.kind: {scheme} runs inside mvfst alone"
        ):
            refuse()


# --- Whole episodes, without mvfst --------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["cubic", "mvfst_cubic"])
def test_an_episode_is_reported_as_in_virtual_time(host: MvfstHost, scheme: str) -> None:
    real = host.play_episode(Episode(configured(f"agent={scheme}"), seed=3))
    virtual = play(configured("agent=cubic"), [3]).reports[0]
    flow = real["flows"][0]
    assert set(virtual) <= set(real)
    assert set(virtual["flows"][0]) <= set(flow)
    assert (real["seed"], flow["scheme"]) == (3, scheme)
    assert flow["throughput_mbps"] > 1
    assert flow["delay_mean_ms"] > 10
    assert real["realtime"]["handshake_ms"] > 20
    assert real["realtime"]["sender_timers"]["late_p99_ms"] == 0.2
    assert real["realtime"]["receiver_timers"] is None


def test_a_policy_is_asked_and_its_answers_take_effect(host: MvfstHost) -> None:
    config = configured("actions.choices=[0,*2,/2]")
    up, down = Recorded(1, after_s=0.01), Recorded(2, after_s=0.01)
    opened = host.play_episode(Episode(config, seed=5, policy=up))
    closed = host.play_episode(Episode(config, seed=5, policy=down))
    assert len(up.steps) >= 6
    assert [step["first"] for step in up.steps[:3]] == [True, False, False]
    assert up.last is not None
    assert up.last["truncated"]
    assert opened["flows"][0]["throughput_mbps"] > 2 * closed["flows"][0]["throughput_mbps"]
    latencies = opened["realtime"]["latencies_ms"]
    assert len(up.steps) - 1 <= len(latencies) <= len(up.steps)
    assert 10 <= np.median(latencies) < 150


def test_packets_flow_while_an_answer_is_outstanding(host: MvfstHost) -> None:
    silent = Recorded(None)
    report = host.play_episode(Episode(configured(), seed=5, policy=silent))
    assert len(silent.steps) == 1
    assert report["skipped_observations"] >= 8
    assert report["flows"][0]["acked_packets"] > 100
    assert report["realtime"]["latencies_ms"] == []


def test_a_transfer_ends_its_episode(host: MvfstHost) -> None:
    began = time.monotonic()
    size = "env.app={kind: fixed_size, size_bytes: 60000}"
    report = host.play_episode(Episode(configured("agent=cubic", "env.episode_ms=20000", size), seed=1))
    assert time.monotonic() - began < 10
    assert report["terminated"]
    assert report["flows"][0]["acked_bytes"] >= 60000


def test_a_connection_that_ends_or_never_begins_is_named(
    host: MvfstHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = configured("agent=cubic")

    original = FakeSender.start

    def starts_and_ends(self: FakeSender) -> None:
        original(self)
        threading.Timer(0.2, lambda: setattr(self, "ended", "idle timeout")).start()

    with monkeypatch.context() as patch:
        patch.setattr(FakeSender, "start", starts_and_ends)
        with pytest.raises(RealtimeError, match=r"the connection ended after 0\.\d s: idle timeout"):
            host.play_episode(Episode(config, seed=1))
    monkeypatch.setattr("mvfstrl.realtime.mvfst.HANDSHAKE_S", 0.2)
    with pytest.raises(RealtimeError, match="no answer for 200 ms"):
        host.play_episode(Episode(configured("agent=cubic", "env.delay_ms=300"), seed=1))


def test_progress_may_stop_an_episode(host: MvfstHost) -> None:
    class Enough(Exception):
        pass

    def stop(part: float) -> None:
        assert 0 < part < 0.9
        raise Enough

    with pytest.raises(Enough):
        host.play_episode(Episode(configured("agent=cubic"), seed=1, progress=stop))


def test_the_log_of_a_connection_gets_the_name_that_was_asked_for(host: MvfstHost, tmp_path: Path) -> None:
    own = tmp_path / "deep" / "own.qlog"
    host.play_episode(Episode(configured("agent=cubic", "env.episode_ms=400"), seed=1, qlog=own))
    assert own.read_text() == "{}"
    assert list(own.parent.iterdir()) == [own]


# --- Who answers ----------------------------------------------------------------------------------------


STEP = cast(Step, {"reward": 0.0, "first": True})
SEEN = np.zeros(3, dtype=np.float32)


def test_answers_come_through_a_pipe_without_an_event_loop() -> None:
    ours, theirs = multiprocessing.Pipe()
    policy = worker.WaitingPolicy(ours)
    for _ in range(2):  # episodes
        woken = threading.Event()
        policy.begin(woken.set)
        policy.ask(SEEN, STEP)
        assert theirs.recv()[0] == "ask"
        assert policy.poll() is None
        theirs.send(4)
        assert woken.wait(5)
        assert policy.poll() == 4
        assert policy.poll() is None
        policy.ask(SEEN, STEP)
        theirs.send(9)  # void: the next episode does not get it
        policy.end(SEEN, STEP)
        theirs.recv()
    assert not ours.poll()


def test_a_pipe_that_ends_is_no_answer() -> None:
    ours, theirs = multiprocessing.Pipe()
    policy = worker.WaitingPolicy(ours)
    woken = threading.Event()
    policy.begin(woken.set)
    policy.ask(SEEN, STEP)
    theirs.close()
    assert woken.wait(5)
    with pytest.raises(worker.ENDED):
        policy.poll()


def table_of(folder: Path, *overrides: str) -> pd.DataFrame:
    """A policy's and mvfst's CUBIC's."""
    few = ["mode=test", "test.runs=1", "test.anchors=false", "test.report=false", "tracker=none"]
    few += ["agent=impala", "test.schemes=[mvfst_cubic]", "env.episode_ms=900", "realtime.parallel=1"]
    cfg = compose([*PATH, *few, *overrides])
    validate(cfg, folder)
    return evaluate(cfg, schemes_of(cfg, RunDirectory(folder)), folder, Console(file=io.StringIO()))


class ThreadContext:
    """Instead of multiprocessing's: the stand-ins are in this process."""

    Pipe = staticmethod(multiprocessing.Pipe)

    class Process(threading.Thread):
        exitcode = 0

        def __init__(self, target: Callable[..., None], args: tuple[Any, ...]) -> None:
            self._pipe = Connection(os.dup(args[0].fileno()))  # as another process has it
            super().__init__(target=target, args=(self._pipe, *args[1:]))

        def run(self) -> None:
            with self._pipe:
                super().run()


def test_a_comparison_plays_all_schemes_in_mvfst(
    fake: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker.multiprocessing, "get_context", lambda _: ThreadContext)
    monkeypatch.setattr(worker, "signal", SimpleNamespace(signal=print, SIGINT=signal.SIGINT, SIG_IGN=None))
    table = table_of(tmp_path, f"checkpoint={checkpoint(tmp_path / 'trained')}")
    assert list(table["scheme"]) == ["impala", "mvfst_cubic"]
    assert (table["throughput_mbps"] > 0.5).all()
    assert (table["sender_late_p99_ms"] == 0.2).all()
    assert table["receiver_late_p99_ms"].isna().all()
    assert len(pd.read_parquet(tmp_path / "latency.parquet")) >= 4


def test_sim2real_holds_mvfst_against_its_constants_and_late_hosts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    played = {}

    def noted(cfg: Config, folder: Path, console: Console) -> pd.DataFrame:
        played[folder.name] = cfg
        return pd.DataFrame()

    monkeypatch.setattr(sim2real, "_play", noted)
    monkeypatch.setattr(sim2real, "compare", lambda real, virtual: [])
    basis = ["mode=test", "agent=newreno", "env=constant", "test.schemes=[cubic,mvfst_cubic]"]
    sim2real.play_both("mvfst", tmp_path, basis, Console(quiet=True))
    real, virtual = played["real"], played["virtual"]
    assert (real.realtime.host, virtual.realtime.host) == ("mvfst", "virtual")
    assert (real.test.schemes, virtual.test.schemes) == (["cubic", "mvfst_cubic"], ["cubic"])
    assert virtual.transport == {**real.transport, "send_time_ms": MVFST.send_time_ms} != real.transport
    assert virtual.env == sim2real.with_late_hosts(real, MVFST).env != real.env
    assert real.test.runs == virtual.test.runs
    with pytest.raises(SystemExit):
        sim2real.parse_arguments(["--checkpoint", "x", "--transport", "virtual"])


def test_what_is_to_be_played_says_in_which_host(fake: None, tmp_path: Path) -> None:
    def play_of(cfg: Config) -> dict[str, Any]:
        remote = train.remote_config(cfg, cast(Any, cfg.agent), native_config(cfg))
        return cast(dict[str, Any], json.loads(remote.play))

    for name, kind in (("mvfst", MvfstHost), ("aioquic", RealtimeHost)):
        play = play_of(compose([f"transport={name}", "actors.count=2", "env=constant"]))
        assert play["host"] == name
        if name == "mvfst":
            with actor.realtime_player(play, tmp_path) as player:
                assert isinstance(player, kind)
        else:
            assert isinstance(actor.realtime_player(play, tmp_path), kind)
    with host_of("mvfst", tmp_path, 1252) as host:
        assert isinstance(host, MvfstHost)


# --- mvfst itself -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MvfstHost]:
    with MvfstHost(tmp_path_factory.mktemp("certificates")) as host:
        yield host


@needs_mvfst
@pytest.mark.parametrize("scheme", ["cubic", "bbr", *MVFST_OWN])
def test_schemes_fill_a_path_in_mvfst(real: MvfstHost, scheme: str) -> None:
    report = real.play_episode(Episode(configured(f"agent={scheme}"), seed=3))
    flow = report["flows"][0]
    assert flow["scheme"] == scheme
    assert 2 < flow["throughput_mbps"] < 6.6
    assert flow["goodput_mbps"] < flow["throughput_mbps"]
    assert flow["congestion_window_bytes"] != 12520  # of a mirror, too
    assert 12 <= report["steps"] + report["skipped_observations"] <= 16


@needs_mvfst
def test_a_policy_drives_mvfst(real: MvfstHost) -> None:
    config = configured("actions.choices=[0,*2,/2]")
    up, down = Recorded(1, after_s=0.01), Recorded(2, after_s=0.01)
    opened = real.play_episode(Episode(config, seed=5, policy=up))
    closed = real.play_episode(Episode(config, seed=5, policy=down))
    assert len(up.steps) >= 8
    assert all(np.isfinite(seen).all() for seen in up.observations)
    assert opened["flows"][0]["throughput_mbps"] > 2 * closed["flows"][0]["throughput_mbps"]


@needs_mvfst
@pytest.mark.slow
@pytest.mark.parametrize("more", ["policy=direct", "policy=local", "mode=test_local"])
def test_a_policy_and_mvfsts_own_schemes_are_compared(tmp_path: Path, more: str) -> None:
    table = table_of(tmp_path, f"checkpoint={checkpoint(tmp_path / 'trained')}", more)
    assert list(table["scheme"]) == ["impala", "mvfst_cubic"]
    assert (table["throughput_mbps"] > 0.5).all()
    assert table["steps"].iloc[0] >= 4
    assert (tmp_path / "latency.parquet").exists() == (more == "policy=direct")
    assert (tmp_path / "fallbacks.parquet").exists() == (more != "policy=direct")


@needs_mvfst
@pytest.mark.slow
def test_actors_play_mvfst_for_a_learner(tmp_path: Path) -> None:
    small = ["agent.network.hidden_size=8", "agent.unroll_length=8", "agent.batch_size=2", "device=cpu"]
    few = ["actors.count=2", "total_steps=64", "test_after_train=false", "tracker=none"]
    train.train(compose([*PATH, "env.episode_ms=1000", *small, *few]), RunDirectory(tmp_path))
    rows = list(read_metrics(tmp_path / "metrics.jsonl"))
    assert max(row["realtime/answers"] for row in rows) >= 48
    assert sum(row["episodes"] for row in rows) >= 2


@needs_mvfst
def test_mvfst_keeps_a_log(real: MvfstHost, tmp_path: Path) -> None:
    real.play_episode(
        Episode(configured("agent=cubic", "env.episode_ms=600"), seed=1, qlog=tmp_path / "own.qlog")
    )
    assert "packet_sent" in (tmp_path / "own.qlog").read_text()


@needs_mvfst
def test_an_error_of_mvfsts_host_is_pythons(real: MvfstHost) -> None:
    """In a process of its own: with two unwinders in one, the first exception would end it."""
    for size in (1199, 1453):
        config = configured("agent=cubic", f"transport.window.packet_size_bytes={size}")
        with pytest.raises(ValueError, match=f"packet_size_bytes: {size}: mvfst's packets have 1200 to 1452"):
            real.play_episode(Episode(config, seed=1))
    code = """
import torch
from mvfstrl import _native
for _ in range(2):
    try:
        _native.MvfstReceiver("none.pem", "none.key")
    except ConnectionError as error:
        print(error)
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (0, "none.pem: cannot be read\n" * 2), ended.stderr
