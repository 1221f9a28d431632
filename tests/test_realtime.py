"""mode=test in real time: configuration, a comparison over real packets, what is kept of it, sim2real."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from mvfstrl._native import observation_spec
from mvfstrl.config import Config, compose, native_config
from mvfstrl.config.validate import validate
from mvfstrl.errors import ConfigError
from mvfstrl.realtime.errors import RealtimeError
from mvfstrl.realtime.policy import Floats, Step
from mvfstrl.realtime.worker import Task, WorkerProcess
from mvfstrl.rundir import RunDirectory
from pantheon import realtime, sim2real
from pantheon.evaluate import evaluate
from pantheon.late_hosts import LateHost
from pantheon.report.realtime import realtime_section
from pantheon.report.source import Source
from pantheon.results import COLUMNS, REALTIME, ResultsError
from pantheon.schemes import classic_scheme, schemes_of
from tests.test_local import checkpoint

PATH = ["env=constant", "env.rate_mbps=6", "env.delay_ms=10", "env.queue.packets=50", "tracker=none"]
REAL = ["transport=aioquic", "mode=test", "test.anchors=false", "test.report=false", "test.runs=2", *PATH]


def config(*overrides: str) -> Config:
    return compose([*REAL, "env.episode_ms=800", "realtime.parallel=2", *overrides])


def table_of(cfg: Config, folder: Path, said: io.StringIO | None = None) -> pd.DataFrame:
    console = Console(file=said or io.StringIO(), width=200)
    validate(cfg, folder)
    return evaluate(cfg, schemes_of(cfg, RunDirectory(folder)), folder, console)


# --- Configuration ------------------------------------------------------------------------------------


def test_transport_aioquic_is_real_time_with_constants_that_virtual_time_can_play() -> None:
    real, virtual, usual = (
        compose([f"transport={name}"]) for name in ("aioquic", "aioquic_virtual", "virtual")
    )
    assert (real.realtime.host, virtual.realtime.host, usual.realtime.host) == (
        "aioquic",
        "virtual",
        "virtual",
    )
    assert real.test.runs == 5
    assert compose(["transport=aioquic", "test.runs=7"]).test.runs == 7
    assert real.transport == virtual.transport != usual.transport
    assert virtual.transport["window"] == usual.transport["window"]


REFUSED = [
    (["realtime.host=aioqic"], r"realtime.host: must be one of .*did you mean aioquic"),
    (["policy=remote"], "policy: must be one of"),
    (["realtime.parallel=-1"], "realtime.parallel"),
    (["policy=rpc"], "realtime.server"),
    (["policy=rpc", "realtime.server=example.net:5005"], "realtime.server: .* is another host: .*token_file"),
    (["policy=rpc", "realtime.server=nowhere"], "realtime.server: 'nowhere' is no address"),
    (["transport=virtual", "policy=local"], "policy: is for real time"),
    (["transport=virtual", "realtime.qlog=true"], "realtime.qlog: is for real time"),
    (["transport=virtual", "realtime.log_links=true"], "realtime.log_links: is for real time"),
    (["test.shuffle_observations=true"], "test.shuffle_observations"),
    (["test.qlog=true"], "test.qlog: is of virtual time"),
    (["env.flows=[{scheme: agent},{scheme: cubic}]"], "env.flows: a real connection"),
    (["env.cross_traffic=[{kind: constant, mbps: 1}]"], "env.flows: a real connection"),
    (["env.app=on_off"], "env.app: aioquic's senders are bulk"),
    (
        ["transport.window.packet_size_bytes=1199"],
        "packet_size_bytes: must be between 1200 and 2036 .*aio",
    ),
    (["transport.window.packet_size_bytes=2037"], "packet_size_bytes: must be between 1200 and 2036"),
]


@pytest.mark.parametrize(("overrides", "message"), REFUSED, ids=[" ".join(given) for given, _ in REFUSED])
def test_what_cannot_be_played_is_refused(overrides: list[str], message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        validate(config("agent=cubic", *overrides), tmp_path)


# --- A comparison ---------------------------------------------------------------------------------------


def test_schemes_are_compared_over_real_packets_and_go_on_where_they_stood(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = config("agent=cubic", "test.schemes=[fixed]", "realtime.log_links=true", "realtime.qlog=true")
    first = table_of(small, tmp_path)
    assert list(first.columns) == [*COLUMNS, *REALTIME]
    assert set(zip(first["scheme"], first["seed"], strict=True)) == {
        (scheme, seed) for scheme in ("cubic", "fixed") for seed in (1_000_000, 1_000_001)
    }
    series = pd.read_parquet(tmp_path / "series.parquet")
    assert set(series["seed"]) == {1_000_000}  # test.series_runs=1
    assert np.allclose(series["capacity_mbps"], 6.0)
    assert (first["throughput_mbps"] > 1).all()
    assert (first["handshake_ms"] > 15).all()
    for seed in (1_000_000, 1_000_001):
        assert (tmp_path / f"links/cubic/constant-{seed}.uplink.log").is_file()
        assert "traces" in json.loads((tmp_path / f"qlog/cubic/constant-{seed}.qlog").read_text())

    def nobody(*given: Any) -> None:
        raise AssertionError("played again")

    monkeypatch.setattr(realtime.Workers, "play", nobody)
    pd.testing.assert_frame_equal(table_of(small, tmp_path), first)
    (tmp_path / "cells/cubic/constant.json.gz").unlink()
    (tmp_path / "cells/episodes/cubic/constant-1000001.json.gz").unlink()
    with pytest.raises(AssertionError, match="played again"):
        table_of(small, tmp_path)

    played: list[int] = []

    def counted(self: realtime.Workers, task: Task, *given: Any) -> dict[str, Any]:
        played.append(task.seed)
        raise RealtimeError("cut")

    monkeypatch.setattr(realtime.Workers, "play", counted)
    with pytest.raises(RealtimeError):
        table_of(small, tmp_path)
    assert played == [1_000_001]  # the other episode was kept


def test_a_trained_policy_is_asked_or_drives_the_sender_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = checkpoint(tmp_path / "trained")
    basis = ["agent=impala", f"checkpoint={saved}", "test.schemes=[fixed]", "test.runs=1"]
    asked = table_of(config(*basis), tmp_path / "asked")
    mine = asked[asked["scheme"] == "impala"].iloc[0]
    assert mine["steps"] >= 5
    assert mine["decision_latency_p99_ms"] >= mine["decision_latency_p50_ms"] > 0
    latencies = pd.read_parquet(tmp_path / "asked" / realtime.LATENCY)
    assert len(latencies) >= 5
    assert (latencies["latency_ms"] > 0).all()
    delayed = compose([f"env.action_delay_ms=from:{tmp_path / 'asked'}"])
    samples = native_config(delayed)["action_delay"]["samples_ms"]
    assert sorted(samples) == pytest.approx(sorted(latencies["latency_ms"]), abs=0.001)

    with monkeypatch.context() as patch:
        started: list[Task] = []
        patch.setattr(realtime.Workers, "play", lambda _, task, *given: started.append(task) or 1 / 0)
        with pytest.raises(ZeroDivisionError):
            table_of(config(*basis, "policy=local"), tmp_path / "asked")
        assert [task.local is not None for task in started] == [True]  # the other's episode was kept
    for folder, more in (("local", ["policy=local"]), ("test_local", ["mode=test_local"])):
        local = table_of(config(*basis, *more), tmp_path / folder)
        assert (tmp_path / folder / "policy.mvfstrl").is_file()
        assert local[local["scheme"] == "impala"].iloc[0]["steps"] >= 5
        assert (tmp_path / folder / "fallbacks.parquet").is_file()
        assert not (tmp_path / folder / realtime.LATENCY).exists()  # nobody was asked


def test_computed_and_searched_schemes_stay_in_virtual_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks: list[Task] = []

    def noted(self: realtime.Workers, task: Task, *given: Any) -> dict[str, Any]:
        tasks.append(task)
        raise RealtimeError("no real time here")

    monkeypatch.setattr(realtime.Workers, "play", noted)
    cfg = config("agent=cubic")
    benchmark_schemes = [classic_scheme("omniscient")]
    console = Console(quiet=True)
    evaluate(cfg, benchmark_schemes, tmp_path / "computed", console)
    assert tasks == []
    with pytest.raises(RealtimeError):
        evaluate(cfg, [classic_scheme("cubic")], tmp_path / "played", console)
    assert tasks


# --- Processes ---------------------------------------------------------------------------------------------


def test_a_worker_asks_through_its_pipe_and_says_what_went_wrong(tmp_path: Path) -> None:
    cfg = config("agent=impala")
    native = native_config(cfg)
    seen: list[tuple[Floats, Step]] = []

    def answer(observation: Floats, step: Step) -> int:
        seen.append((observation.copy(), step))
        return 0

    worker = WorkerProcess("aioquic", tmp_path, 1252)
    try:
        parts: list[float] = []
        report = worker.play(Task(native, seed=2, job=4, asks=True), answer, parts.append)
        assert report["steps"] >= 5
        assert len(seen) >= 5
        assert seen[0][0].shape == (len(observation_spec(native)["observation"]),)
        assert seen[0][1]["first"]
        assert seen[0][1]["job"] == 4
        assert 0 < parts[0] < parts[-1] <= 1
        with pytest.raises(RealtimeError, match="scenario"):
            worker.play(Task({**native, "scenarios": []}, seed=2))
        again = worker.play(Task(native, seed=3, asks=True), answer)  # a failure did not spoil it
        assert again["seed"] == 3
        worker._process.kill()
        with pytest.raises(RealtimeError, match="a sender's process ended with status -9"):
            worker.play(Task(native, seed=2))
    finally:
        worker.close()


def test_several_connections_share_few_processes(tmp_path: Path) -> None:
    assert realtime.connections_at_once(config("agent=cubic", "realtime.parallel=3")) == 3
    assert realtime.connections_at_once(config("agent=cubic", "realtime.parallel=0")) >= 1


def test_late_machines_are_named() -> None:
    table = pd.DataFrame({"late": [False, True], "lateness_p99_ms": [0.5, 7.25]})
    (line,) = realtime.late_lines(table)
    assert "1 of 2 episodes" in line
    assert "7.2 ms" in line
    assert realtime.late_lines(table[:1]) == []
    assert realtime.late_lines(pd.DataFrame({"reward": [1.0]})) == []


# --- sim2real ----------------------------------------------------------------


def results(scheme: str, **metrics: list[float]) -> pd.DataFrame:
    count = len(metrics["reward"])
    keys = {"scheme": scheme, "scenario": "lte", "seed": range(count), "flow": 0, "late": False}
    return pd.DataFrame({**keys, **metrics})


def test_a_gap_is_judged_over_the_same_episodes() -> None:
    calm = {"delay_mean_ms": [30.0, 40.0], "loss": [0.0, 0.0]}
    virtual = results("a", reward=[1.0, 3.0], throughput_mbps=[4.0, 8.0], delay_p95_ms=[50.0, 90.0], **calm)
    near = results("a", reward=[0.91, 2.91], throughput_mbps=[4.2, 8.3], delay_p95_ms=[56.0, 97.0], **calm)
    (row,) = sim2real.compare(near.iloc[::-1], virtual)
    assert row.runs == 2
    assert {name: gap.marked for name, gap in row.gaps.items() if gap.allowed} == {
        "reward": False,
        "throughput_mbps": False,
        "delay_p95_ms": False,
    }
    assert row.gaps["reward"].difference.mean == pytest.approx(-0.09)
    far = near.assign(reward=virtual["reward"] - 0.11, throughput_mbps=virtual["throughput_mbps"] * 0.94)
    (row,) = sim2real.compare(far, virtual)
    assert row.gaps["reward"].marked
    assert row.gaps["throughput_mbps"].marked
    assert not row.gaps["loss"].marked
    assert "!" in sim2real.to_markdown([row])


def test_virtual_hosts_wake_up_late_where_the_scenario_says_nothing() -> None:
    cfg = compose(["env=[lte,wifi]", "transport=aioquic_virtual"])
    own = replace(cfg.env.scenarios["wifi"], delay_variation={"jitter_ms": 3.0})
    cfg = replace(cfg, env=replace(cfg.env, scenarios={**cfg.env.scenarios, "wifi": own}))
    late = native_config(sim2real.with_late_hosts(cfg, LateHost(0.25, 0.125)))
    jitter = [scenario["delay_variation"]["jitter_ms"]["low"] for scenario in late["scenarios"]]
    assert jitter == [0.25, 3.0]
    assert late["transport"]["send_time_ms"] == 0.125
    own_sender = replace(cfg, transport={**cfg.transport, "send_time_ms": 1.0})
    late = native_config(sim2real.with_late_hosts(own_sender, LateHost(0.25, 0.125)))
    assert late["transport"]["send_time_ms"] == 1.0


def test_sim2real_plays_both_and_writes_the_gap(tmp_path: Path) -> None:
    saved, out, said = checkpoint(tmp_path / "trained"), tmp_path / "out", io.StringIO()
    arguments = ["--checkpoint", str(saved), "--runs", "1", "--out", str(out), *PATH]
    arguments += ["test.schemes=[fixed]", "env.episode_ms=700", "test.report=false"]
    arguments += ["realtime.parallel=2", "realtime.log_links=true"]  # virtual time has no such
    assert sim2real.main(arguments, Console(file=said, width=240)) == 0
    table = pd.read_parquet(out / "sim2real.parquet")
    assert set(table["scheme"]) == {"impala", "fixed"}
    assert set(table["metric"]) == set(sim2real.METRICS)
    fixed = table[(table["scheme"] == "fixed") & (table["metric"] == "throughput_mbps")].iloc[0]
    assert 0.2 < fixed["real"] / fixed["virtual"] < 1.1  # the handshake is a part of so short an episode
    assert np.isnan(table[table["metric"] == "loss"]["allowed"]).all()
    assert (out / "sim2real.md").read_text().count("\n") == 4
    assert "virtual → real" in said.getvalue()
    assert "The same episodes in virtual time" in (out / "real/report/index.html").read_text()
    assert list((out / "real" / "links").rglob("*.log"))
    assert sim2real.main(["--checkpoint", str(tmp_path / "none"), "--out", str(out)]) == 2


def test_the_page_tells_of_the_machine_and_of_the_gap(tmp_path: Path) -> None:
    frame_ = results("cubic", reward=[1.0, 2.0], throughput_mbps=[4.0, 8.0], delay_p95_ms=[50.0, 90.0])
    frame_ = frame_.assign(delay_mean_ms=30.0, loss=0.01)
    rows = sim2real.compare(frame_.assign(reward=frame_["reward"] + 0.4), frame_)
    table = pd.DataFrame({column: np.zeros(2) for column in (*COLUMNS, *REALTIME)})
    table = table.assign(scheme="cubic", flow_scheme="cubic", scenario="lte", seed=[1, 2], flow=0)
    table = table.assign(late=[False, True], decision_latency_p99_ms=[2.0, 3.25])
    source = Source(tmp_path / "real", table, pd.DataFrame())
    alone = realtime_section(source)
    assert alone is not None
    assert alone.late == 1
    assert alone.gaps == []
    assert [cell.text for cell in alone.machine.rows[0][1]][-2:] == ["3.25", "1 of 2"]
    assert realtime_section(replace(source, results=table[list(COLUMNS)])) is None
    sim2real.to_frame(rows).to_parquet(tmp_path / "sim2real.parquet")
    section = realtime_section(source)
    assert section is not None
    ((scheme, (reward, throughput, *_)),) = section.gaps[0].rows
    assert scheme == "cubic"
    assert reward.text == "1.500 → 1.900"
    assert reward.shade
    assert not throughput.shade
    (tmp_path / "sim2real.parquet").write_bytes(b"torn")
    with pytest.raises(ResultsError, match="not a readable comparison"):
        realtime_section(source)
