"""Pantheon's 18 scenarios: their traces against Pantheon's files, their numbers, and the traps in them."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mvfstrl._native import constant_trace, periodic_trace, play_logged, poisson_trace
from mvfstrl.config import compose, config_folder, native_config
from mvfstrl.native_defaults import native_default
from pantheon.truth import PATHS, Queue

NUMBERS = list(PATHS)

# One-way delay and random loss (../shared/PATH.md, section 2); queues and traces are in pantheon.truth.
DELAYS_MS = dict(
    zip(NUMBERS, [28, 88, 130, 27, 51, 45, *[10] * 3, *[50] * 3, *[10] * 2, *[30] * 4], strict=True)
)
LOSSES = {"s1": 0.0477, "s5": 0.0006}

TRACES: dict[str, dict[str, Any]] = {
    "0.57mbps-poisson.trace": {"kind": "poisson_trace", "mbps": 0.57, "head_ms": 1000},
    "2.64mbps-poisson.trace": {"kind": "poisson_trace", "mbps": 2.64, "head_ms": 5000},
    "3.04mbps-poisson.trace": {"kind": "poisson_trace", "mbps": 3.04, "head_ms": 4000},
    "100.42mbps.trace": {"kind": "constant_trace", "mbps": 100.42},
    "77.72mbps.trace": {"kind": "constant_trace", "mbps": 77.72},
    "114.68mbps.trace": {"kind": "constant_trace", "mbps": 114.68},
    "12mbps.trace": {"kind": "periodic_trace", "opportunities": 1, "every_ms": 1},
    "60mbps.trace": {"kind": "periodic_trace", "opportunities": 5, "every_ms": 1},
    "108mbps.trace": {"kind": "periodic_trace", "opportunities": 9, "every_ms": 1},
    "0.12mbps.trace": {"kind": "periodic_trace", "opportunities": 1, "every_ms": 100},
    "10-every-200.trace": {"kind": "periodic_trace", "opportunities": 10, "every_ms": 200},
}


@cache
def scenario(option: str) -> dict[str, Any]:
    (only,) = native_config(compose([f"env={option}"]))["scenarios"]
    assert isinstance(only, dict)
    return only


def constant(value: float) -> dict[str, Any]:
    return {"low": float(value), "high": float(value), "log": False}


def bounds(queue: dict[str, Any]) -> Queue:
    sizes = {key: None if queue[key] is None else int(queue[key]["high"]) for key in ("packets", "bytes")}
    return Queue(queue["kind"], **sizes)


def link(native: dict[str, Any]) -> dict[str, Any]:
    """As TRACES has them."""
    kept = {key: value for key, value in native.items() if key not in ("start_ms", "seed")}
    return {key: value["high"] if isinstance(value, dict) else value for key, value in kept.items()}


@pytest.mark.parametrize("number", NUMBERS)
def test_a_number_is_the_named_scenario_and_has_its_path(number: str) -> None:
    native, path = scenario(number), PATHS[number]
    assert native == scenario(native["name"])
    assert link(native["uplink"]) == TRACES[path.uplink]
    assert link(native["downlink"]) == TRACES[path.downlink]
    assert bounds(native["queue"]) == path.queue
    assert bounds(native["ack_queue"]) == path.ack_queue
    assert native["delay_ms"] == constant(DELAYS_MS[number])
    assert native["loss"] == constant(LOSSES.get(number, 0.0))
    assert native["loss_probability"] == 1.0


def test_pantheon_is_all_of_them_in_order() -> None:
    together = native_config(compose(["env=pantheon"]))["scenarios"]
    assert together == [scenario(number) for number in NUMBERS]


def test_the_name_of_a_run_of_all_fits_a_file_system() -> None:
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir

    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        composed = hydra_compose("config", overrides=["env=pantheon"], return_hydra_config=True)
        assert Path(composed.hydra.run.dir).name.endswith("-impala-nepal_india+17-more")


@pytest.mark.parametrize("file", [file for file in TRACES if file != "114.68mbps.trace"])  # not shipped
def test_generated_traces_are_pantheons(file: str, shared_data: Path) -> None:
    kind = TRACES[file]
    theirs = np.loadtxt(shared_data / "traces" / "pantheon" / file, dtype=np.int64, ndmin=1)
    if kind["kind"] == "periodic_trace":
        assert periodic_trace(kind["opportunities"], kind["every_ms"]).tolist() == _periods(theirs, kind)
    elif kind["kind"] == "constant_trace":
        ours = constant_trace(kind["mbps"]).astype(np.int64)
        assert len(ours) == len(theirs)
        # Pantheon's file of 77.72 Mbps has 72 lines of 388600 a millisecond off the formula.
        different = ours != theirs
        assert different.sum() == (72 if kind["mbps"] == 77.72 else 0)
        assert np.abs(ours - theirs).max() <= 1
    else:
        _compare_poisson(theirs, kind)


def _periods(theirs: np.ndarray[Any, np.dtype[np.int64]], kind: dict[str, Any]) -> list[int]:
    """Pantheon's files hold one period each."""
    assert theirs[-1] == kind["every_ms"]
    return [int(value) for value in theirs]


def _compare_poisson(theirs: np.ndarray[Any, np.dtype[np.int64]], kind: dict[str, Any]) -> None:
    head = kind["head_ms"] // 100
    ours = [poisson_trace(kind["mbps"], kind["head_ms"], seed).astype(np.int64) for seed in range(20)]
    for trace in (theirs, *ours):
        assert trace[:head].tolist() == [100 * (i + 1) for i in range(head)]
        assert trace[-2] < 60_000 <= trace[-1]
    counts = [len(trace) for trace in ours]
    assert abs(len(theirs) - np.mean(counts)) < 3 * np.sqrt(np.mean(counts))
    mean, cv = zip(*(_gaps(trace[head - 1 :]) for trace in ours), strict=True)
    their_mean, their_cv = _gaps(theirs[head - 1 :])
    assert min(mean) * 0.99 < their_mean < max(mean) * 1.01
    assert min(cv) - 0.01 < their_cv < max(cv) + 0.01


def _gaps(times: np.ndarray[Any, np.dtype[np.int64]]) -> tuple[float, float]:
    gaps = np.diff(times)
    return float(gaps.mean()), float(gaps.std() / gaps.mean())


def throughput_mbps(option: str, *overrides: str, window_packets: int = 400) -> float:
    """Of a fixed window over the second half of 20 s, in bytes of the link."""
    config = native_config(compose([f"env={option}", "agent=fixed", "env.episode_ms=20000", *overrides]))
    config["flows"][0]["controller"] = {
        **native_default("kinds.controller.fixed"),
        "window_packets": window_packets,
    }
    log = play_logged(config, seed=1)["uplink"]
    late = (log["kind"] == 2) & (log["at_ns"] >= 10_000_000_000)
    return float(log["bytes"][late].sum()) * 8 / 10e6


@pytest.mark.parametrize("number", ["s8", "s9", "s11", "s12"])
def test_policers_of_60_and_108_mbps_pass_one_packet_a_millisecond(number: str) -> None:
    carried = throughput_mbps(number, "transport.pacing=always", window_packets=1000)
    assert carried <= 12.03


def test_the_ack_path_of_s13_limits_who_is_acknowledged_every_second_packet() -> None:
    """15 kB/s of ACKs of 56 bytes and more, each for two packets of 1284 bytes: at most 5.5 of 12 Mbps (6.5
    for kernel TCP's packets of 1504 bytes). mvfst's receiver acknowledges every tenth."""
    assert 4 < throughput_mbps("s13", "transport.ack_threshold=2", "transport.ack_padding_bytes=0") < 5.5
    assert throughput_mbps("s13") > 11.5
    assert throughput_mbps("s14", "transport.ack_threshold=2") > 11.5


def test_a_rate_can_be_overridden_where_the_trace_has_one() -> None:
    native = native_config(compose(["env=s1", "env.rate_mbps=2"]))["scenarios"][0]
    assert native["uplink"]["mbps"] == native["downlink"]["mbps"] == constant(2)


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("env.scenarios.nepal_india.uplink.start_ms=-1", "uplink.start_ms: must be at least 0"),
        ("env.scenarios.nepal_india.uplink.head_ms=-1", "uplink.head_ms: must be zero or more"),
        ("+env.scenarios.nepal_india.uplink.hed_ms=1", "hed_ms"),
    ],
)
def test_a_bad_trace_is_refused_by_its_key(override: str, told: str, tmp_path: Path) -> None:
    from mvfstrl.config.validate import validate
    from mvfstrl.errors import ConfigError

    with pytest.raises(ConfigError, match=told):
        validate(compose(["env=s1", override, "agent=cubic", "mode=test"]), tmp_path)
