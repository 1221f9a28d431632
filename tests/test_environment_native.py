"""The environment as Python sees it: conservation, determinism, episodes, refusals."""

from __future__ import annotations

import copy
import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mvfstrl import _native
from mvfstrl._native import StepBatch, VectorEnvironment

KEEP = 0


def constant(value: float) -> dict[str, Any]:
    return {"low": value, "high": value, "log": False}


def make_config(**changes: Any) -> dict[str, Any]:
    """The defaults with scenario 0's and the top's entries replaced."""
    config = _native.default_config()
    for key, value in changes.items():
        target = config["scenarios"][0] if key in config["scenarios"][0] else config
        assert key in target, key
        target[key] = value
    return config


def queue(kind: str, **limits: float) -> dict[str, Any]:
    bounds = {
        name: constant(limits[name]) if name in limits else None for name in ("packets", "bytes", "bdp")
    }
    return {**_native.default_config()["scenarios"][0]["queue"], "kind": kind, **bounds}


def flow(kind: str, **changes: Any) -> dict[str, Any]:
    knobs = {key: changes.pop(key) for key in ("window_packets",) if key in changes}
    return {**_native.default_config()["flows"][0], "controller": {"kind": kind, **knobs}, **changes}


def rows(batch: StepBatch) -> dict[str, np.ndarray[Any, Any]]:
    names = ("observation", "reward", "terminated", "truncated", "first", "job", "skipped", "window_packets")
    return {name: getattr(batch, name).copy() for name in names}


def episode(config: dict[str, Any], seed: int = 1) -> dict[str, Any]:
    """The report of one episode with the window kept."""
    env = VectorEnvironment(config, num_envs=1, num_threads=0)
    env.reset_with(0, np.array([seed], np.uint64), np.array([-1], np.int32))
    batch = env.recv(0)
    while not (batch.truncated[0] or batch.terminated[0]):
        env.send(0, np.array([KEEP], np.int32))
        batch = env.recv(0)
    (report,) = env.drain_episodes()
    env.close()
    return report


# --- conservation ---

rates = st.one_of(
    st.floats(0.3, 60).map(lambda mbps: {"kind": "constant", "mbps": constant(mbps)}),
    st.floats(0.3, 20).map(lambda mbps: {"kind": "poisson", "mbps": constant(mbps)}),
    st.floats(0.2, 3).map(
        lambda scale: {**_native.default_alternatives()["rate"]["cellular"], "scale": constant(scale)}
    ),
)
queues = st.one_of(
    st.just(queue("infinite")),
    st.integers(1, 200).map(lambda n: queue("droptail", packets=n)),
    st.integers(1400, 100_000).map(lambda n: queue("droptail", bytes=n)),
    st.integers(2, 200).map(lambda n: queue("drophead", packets=n)),
    st.floats(0.1, 4).map(lambda n: queue("droptail", bdp=n)),
    st.integers(5, 500).map(lambda n: queue("codel", packets=n)),
    st.integers(5, 500).map(lambda n: queue("pie", packets=n)),
)
schemes = st.sampled_from(["newreno", "cubic", "fixed"])
flows = st.lists(
    st.builds(
        lambda kind, start, delay: flow(kind, start_ms=start, delay_ms=delay),
        schemes,
        st.sampled_from([0.0, 120.0]),
        st.sampled_from([None, 7.5]),
    ),
    max_size=2,
)


def assert_path_conserves(path: dict[str, tuple[int, int]]) -> None:
    for unit in (0, 1):
        left = sum(path[name][unit] for name in ("delivered", "queue_drops", "random_losses", "inside"))
        assert path["entered"][unit] == left, path


def assert_conserves(counters: dict[str, Any]) -> None:
    assert_path_conserves(counters["data"])
    assert_path_conserves(counters["acks"])
    flow_counters = counters["flows"]
    for f in flow_counters:
        assert f["packets_sent"] == f["packets_acked"] + f["packets_lost"] + f["packets_in_flight"], f
        assert f["bytes_sent"] == f["bytes_acked"] + f["bytes_lost"] + f["bytes_in_flight"], f
    entered = sum(f["packets_sent"] - f["outside_path_packets"] for f in flow_counters)
    assert counters["data"]["entered"][0] == entered


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    uplink=rates,
    downlink=rates,
    queue=queues,
    ack_queue=queues,
    delay=st.floats(0.1, 200),
    loss=st.sampled_from([0.0, 0.01, 0.3]),
    scheme=st.sampled_from(["external", "random", "newreno", "cubic", "fixed"]),
    others=flows,
    pacing=st.sampled_from(["auto", "always", "never"]),
    actions=st.lists(st.integers(0, 4), min_size=5, max_size=12),
    seed=st.integers(0, 2**64 - 1),
)
def test_sent_is_delivered_dropped_or_in_flight_at_every_step(
    uplink: dict[str, Any],
    downlink: dict[str, Any],
    queue: dict[str, Any],
    ack_queue: dict[str, Any],
    delay: float,
    loss: float,
    scheme: str,
    others: list[dict[str, Any]],
    pacing: str,
    actions: list[int],
    seed: int,
) -> None:
    config = make_config(
        uplink=uplink,
        downlink=downlink,
        queue=queue,
        ack_queue=ack_queue,
        delay_ms=constant(delay),
        loss=constant(loss),
        flows=[flow(scheme), *others],
        episode_ms=100.0 * (len(actions) + 1),
    )
    config["transport"]["pacing"] = pacing
    env = VectorEnvironment(config, num_envs=1, num_threads=0)
    env.reset_with(0, np.array([seed], np.uint64), np.array([0], np.int32))
    batch = env.recv(0)
    assert_conserves(env.counters(0))
    for action in actions[:-1]:
        env.send(0, np.array([action], np.int32))
        batch = env.recv(0)
        assert np.isfinite(batch.observation).all()
        assert np.isfinite(batch.reward).all()
        assert_conserves(env.counters(0))
    before = env.counters(0)
    while not batch.truncated[0]:
        env.send(0, np.array([actions[-1]], np.int32))
        batch = env.recv(0)
    (report,) = env.drain_episodes()
    for f in report["flows"]:
        parts = ("delivered_packets", "queue_drops", "random_losses", "in_flight_packets")
        assert f["sent_packets"] == sum(f[part] for part in parts), f
        assert all(f[part] >= 0 for part in parts), f
        assert 0 <= f["utilisation"] <= 1.001, f
    sent = sum(f["packets_sent"] for f in before["flows"])
    assert sum(f["sent_packets"] for f in report["flows"]) >= sent


# --- determinism ---


def two_scenarios() -> dict[str, Any]:
    config = make_config(
        uplink={"kind": "constant", "mbps": {"low": 2.0, "high": 20.0, "log": True}},
        loss={"low": 0.0, "high": 0.05, "log": False},
        episode_ms=1_500.0,
    )
    other = copy.deepcopy(config["scenarios"][0])
    other |= {"name": "cellular", "uplink": _native.default_alternatives()["rate"]["cellular"]}
    config["scenarios"].append(other)
    config["action_delay"] = {"kind": "uniform", "low_ms": 0.0, "high_ms": 180.0}
    return config


def play(threads: int, seed: int = 7) -> tuple[bytes, list[dict[str, Any]]]:
    env = VectorEnvironment(two_scenarios(), num_envs=10, num_groups=2, num_threads=threads, seed=seed)
    rng = np.random.default_rng(0)
    seen: list[bytes] = []
    for group in range(2):
        env.reset(group)
    for _ in range(30):
        for group in range(2):
            seen.extend(column.tobytes() for column in rows(env.recv(group)).values())
            env.send(group, rng.integers(0, env.num_actions, env.group_size, dtype=np.int32))
    for group in range(2):
        env.recv(group)
    reports = env.drain_episodes()
    env.close()
    return b"".join(seen), reports


def test_same_seed_same_bytes_whatever_the_thread_count() -> None:
    expected = play(threads=1)
    assert len(expected[1]) >= 20
    assert {report["scenario"] for report in expected[1]} == {"default", "cellular"}
    for threads in (0, 2, 4):
        assert play(threads) == expected
    assert play(2, seed=8) != expected


def test_an_episode_is_reproduced_by_its_reported_seed() -> None:
    _, reports = play(threads=1)
    env = VectorEnvironment(two_scenarios(), num_envs=1, num_threads=1)
    for report in reports[:3]:
        env.reset_with(0, np.array([report["seed"]], np.uint64), np.array([-1], np.int32))
        assert env.recv(0).job[0] == report["scenario_index"]


# --- scenarios whose outcome follows from rate, delay and buffer ---


def test_cubic_fills_a_bdp_buffer() -> None:
    config = make_config(delay_ms=constant(30), queue=queue("droptail", bdp=1), flows=[flow("cubic")])
    (result,) = episode(config)["flows"]
    assert result["utilisation"] > 0.9
    assert result["throughput_mbps"] <= 12.0
    # Between an empty queue and a full one: 30 ms one way and at most as much queue as round trip.
    assert 30 < result["delay_mean_ms"] < result["delay_p95_ms"] <= 30 + 60 + 1
    assert 0 < result["queue_loss"] < 0.02


def test_half_a_bdp_window_leaves_half_the_link_and_no_queue() -> None:
    window = int(12e6 / 8 * 0.060 / (1252 + 28) / 2)
    config = make_config(
        delay_ms=constant(30),
        queue=queue("droptail", bdp=1),
        flows=[flow("fixed", window_packets=window)],
    )
    (result,) = episode(config)["flows"]
    assert 0.4 < result["utilisation"] < 0.5
    assert result["queue_delay_p95_ms"] < 12 * 1280 * 8 / 12e3
    assert result["loss"] == 0


# --- the interface ---


def test_reports_and_series() -> None:
    env = VectorEnvironment(make_config(episode_ms=1000.0), num_envs=1, record_series=True)
    env.reset(0)
    batch = env.recv(0)
    assert batch.first[0]
    assert batch.window_packets[0] == 10
    for _ in range(9):
        env.send(0, np.array([4], np.int32))  # *2, up to the bound
        batch = env.recv(0)
    assert batch.truncated[0]
    assert not batch.terminated[0]
    (report,) = env.drain_episodes()
    assert env.drain_episodes() == []
    assert report["steps"] == 9
    assert report["skipped_observations"] == 0
    assert report["length_ms"] == 1000
    series = report["series"]
    assert series["flow"] == [0] * 10
    assert series["time_ms"] == [100.0 * i for i in range(1, 11)]
    assert series["action"] == [-1] + [4] * 9
    assert sum(series["reward"][1:]) == pytest.approx(report["return"])
    assert series["capacity_mbps"] == pytest.approx([12.0] * 10, rel=1e-3)
    assert series["window_packets"][:4] == [10, 20, 40, 80]


def test_a_skipped_observations_reward_goes_to_the_step_that_owns_the_action() -> None:
    def returns(delay_ms: float) -> tuple[float, int, int]:
        delay = {"kind": "constant", "ms": delay_ms}
        report = episode(make_config(action_delay=delay, episode_ms=2000.0))
        return report["return"], report["steps"], report["skipped_observations"]

    prompt, prompt_steps, none = returns(5.0)
    late, late_steps, skipped = returns(150.0)
    assert none == 0
    assert (prompt_steps, late_steps, skipped) == (19, 10, 9)
    assert late == pytest.approx(prompt)


def test_observations_match_the_spec() -> None:
    config = make_config()
    spec = _native.observation_spec(config)
    env = VectorEnvironment(config, num_envs=2)
    assert env.observation_size == len(spec["observation"])
    assert env.num_actions == len(spec["actions"]) == 5
    assert spec["dtype"] == "float32"
    assert len(spec["hash"]) == 16
    low = np.array([element["low"] for element in spec["observation"]])
    high = np.array([element["high"] for element in spec["observation"]])
    env.reset(0)
    for action in (4, 4, 4, 1, 2, 3):
        observation = env.recv(0).observation
        assert observation.shape == (2, env.observation_size)
        assert observation.dtype == np.float32
        assert (observation >= low).all()
        assert (observation <= high).all()
        env.send(0, np.full(2, action, np.int32))
    env.recv(0)


def test_recv_waits_without_the_gil() -> None:
    env = VectorEnvironment(make_config(episode_ms=600_000.0), num_envs=1, num_threads=1)
    env.reset(0)
    env.recv(0)
    ticks = 0
    done = threading.Event()

    def wait() -> None:
        for _ in range(300):
            env.send(0, np.array([4], np.int32))
            env.recv(0)
        done.set()

    thread = threading.Thread(target=wait)
    thread.start()
    while not done.is_set():
        ticks += 1
    thread.join()
    assert ticks > 0


def test_arrays_outlive_the_environments_name() -> None:
    env = VectorEnvironment(make_config(), num_envs=1)
    env.reset(0)
    observation = env.recv(0).observation
    expected = observation.copy()
    del env
    assert (observation == expected).all()


def test_misuse_is_refused() -> None:
    env = VectorEnvironment(make_config(), num_envs=2, num_groups=2)
    with pytest.raises(RuntimeError, match="reset it first"):
        env.send(0, np.zeros(1, np.int32))
    env.reset(0)
    env.recv(0)
    with pytest.raises(ValueError, match=r"actions\[0\]: must be 0 to 4, got 9"):
        env.send(0, np.array([9], np.int32))
    with pytest.raises(ValueError, match="one for each of the group's 1"):
        env.send(0, np.zeros(2, np.int32))
    with pytest.raises(ValueError, match="scenarios: must be -1"):
        env.reset_with(0, np.zeros(1, np.uint64), np.array([3], np.int32))
    with pytest.raises(ValueError, match="num_groups: must divide num_envs"):
        VectorEnvironment(make_config(), num_envs=3, num_groups=2)
    env.close()
    env.close()
    with pytest.raises(RuntimeError, match="closed"):
        env.reset(0)


def bad(path: str, value: Any) -> dict[str, Any]:
    config = make_config()
    node: Any = config
    *parents, last = path.split(".")
    for key in parents:
        node = node[int(key)] if key.isdigit() else node[key]
    node[last] = value
    return config


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("scenarios.0.uplink.mbps.low", -3, r"scenarios\[0\].uplink.mbps.low: must be positive, got -3"),
        ("scenarios.0.uplink.mbps.low", 0, r"scenarios\[0\].uplink.mbps.low: must be positive, got 0"),
        ("scenarios.0.delay_ms.low", -1.0, r"scenarios\[0\].delay_ms.low: must be positive, got -1"),
        ("observation.history", 0, "observation.history: must be at least 1, got 0"),
        ("observation.window_ms", 0, "observation.window_ms: must be positive, got 0"),
        ("episode_ms", float("nan"), "episode_ms: must be a finite number"),
        ("actions.list", ["*2", "0"], "0"),
        ("actions.list", ["0", "?"], r"\?"),
        ("scenarios.0.uplink", {"kind": "dialup"}, "unknown choice 'dialup', known are constant, poisson"),
        ("episode_msec", 3, "episode_msec: unknown key"),
        ("reward", {"kind": "log_ratio", "delay_factr": 1}, "reward.delay_factr: unknown key"),
        ("flows.0.app", None, r"flows\[0\].app: must be a mapping"),
        (
            "action_delay",
            {"kind": "empirical", "samples_ms": []},
            "action_delay.samples_ms: must not be empty",
        ),
    ],
)
def test_bad_configuration_is_refused_by_its_dotted_key(path: str, value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        VectorEnvironment(bad(path, value), num_envs=1)


def test_a_missing_trace_file_is_refused_by_name() -> None:
    trace = {
        **_native.default_alternatives()["rate"]["trace"],
        "file": "/nonexistent/some.trace",
    }
    with pytest.raises(ValueError, match=r"scenarios\[0\] \(default\): .*/nonexistent/some\.trace"):
        VectorEnvironment(make_config(uplink=trace), num_envs=1)


def test_a_trace_is_played_with_its_tunnel_overhead(tmp_path: Any) -> None:
    """One opportunity of 1504 bytes a millisecond: 12.03 Mbps; packets of 1252 + 32 bytes."""
    file = tmp_path / "12mbps.trace"
    file.write_text("1\n")
    trace = {**_native.default_alternatives()["rate"]["trace"], "file": str(file)}
    config = make_config(
        uplink=trace,
        downlink=trace,
        queue=queue("droptail", bytes=400_000),
        flows=[flow("fixed", window_packets=250)],
    )
    env = VectorEnvironment(config, num_envs=1)
    env.reset(0)
    env.recv(0)
    counters = env.counters(0)
    packets, size = counters["data"]["entered"]
    assert size == counters["flows"][0]["bytes_sent"] + packets * 32
    (result,) = episode(config)["flows"]
    assert result["utilisation"] > 0.99
    assert result["throughput_mbps"] == pytest.approx(1504 * 8 / 1000, rel=0.01)


def test_pacing_of_actions_changes_what_a_policer_passes() -> None:
    """A fixed window of the agent's: sent at once, nearly all of it is dropped at a queue of one packet."""
    queue = {**_native.default_config()["scenarios"][0]["queue"], "packets": constant(1)}
    delivered = {}
    for pacing in (False, True):
        config = make_config(queue=queue, episode_ms=5_000.0)
        config["actions"] |= {"initial_window_packets": 100, "pacing": pacing}
        env = VectorEnvironment(config, num_envs=1, num_threads=0, seed=1)
        env.reset(0)
        while not env.recv(0).truncated[0]:
            env.send(0, np.full(1, KEEP, np.int32))
        (episode,) = env.drain_episodes()
        delivered[pacing] = episode["flows"][0]["delivered_packets"]
        env.close()
    assert delivered[True] > 2 * delivered[False]
