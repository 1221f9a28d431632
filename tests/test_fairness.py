"""Fairness figures on series of known shape, and on real flows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mvfstrl.config import Config, compose, native_config
from pantheon.episodes import play
from pantheon.fairness import Sharing, harm, harm_to, jain_index, main, sharing
from pantheon.schemes import classic_scheme

CAPACITY = 10.0


def series(rates: dict[int, list[float | None]], **columns: float) -> pd.DataFrame:
    """Rates of flows by the second, 10 windows each; None: not active."""
    rows = [
        {
            "flow": flow,
            "time_ms": 1000.0 * second + 100.0 * (window + 1),
            "throughput_mbps": rate,
            "capacity_mbps": CAPACITY,
            **columns,
        }
        for flow, by_second in rates.items()
        for second, rate in enumerate(by_second)
        for window in range(10)
        if rate is not None
    ]
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("rates", "index"), [([4, 4, 4], 1.0), ([5, 0, 0, 0], 0.25), ([3, 1], 16 / 20), ([7], 1.0)]
)
def test_jains_index(rates: list[float], index: float) -> None:
    assert jain_index(rates) == pytest.approx(index)


def test_jains_index_of_nothing_is_no_number() -> None:
    assert np.isnan(jain_index([]))
    assert np.isnan(jain_index([0.0, 0.0]))


def test_jains_index_is_that_of_the_flows_that_are_active() -> None:
    found = sharing(series({0: [10, 10, 6, 6, 10], 1: [None, None, 2, 2, None]}))
    assert found.jain.loc[:2000].isna().all()
    assert found.jain.loc[4100:].isna().all()
    assert found.jain.loc[2100:4000].to_numpy() == pytest.approx(64 / 80)
    assert found.mean_jain == pytest.approx(64 / 80)


def test_shares_are_of_what_was_fair_while_a_flow_was_there() -> None:
    found = sharing(series({0: [10, 10, 6, 6, 10], 1: [None, None, 2, 2, None]}))
    assert found.shares[0] == pytest.approx(42 / 40)  # fair: 10 three times, 5 twice
    assert found.shares[1] == pytest.approx(4 / 10)


def test_cross_traffic_is_nobodys_share() -> None:
    found = sharing(series({0: [4, 4], 1: [4, 4]}, cross_mbps=2.0))
    assert found.shares == pytest.approx({0: 1.0, 1: 1.0})


def test_convergence_begins_with_the_first_span_that_holds() -> None:
    # A second joins at 2 s; near its share at 4 s, away for a second at 6 s, near from 7 s on.
    late: list[float | None] = [10, 10, 9, 9, 5, 5, 9, 5, 5, 5, 5, 5, 5, 5]
    other: list[float | None] = [None, None, 1, 1, 5, 5, 1, 5, 5, 5, 5, 5, 5, 5]
    (event,) = sharing(series({0: late, 1: other}), smoothing_ms=100).events
    assert (event.time_ms, event.flow, event.joined) == (2000, 1, True)
    assert event.convergence_ms == 5000
    (short,) = sharing(series({0: late, 1: other}), smoothing_ms=100, hold_ms=2000).events
    assert short.convergence_ms == 2000
    # Over a second, the mean comes within a quarter of 5 when a third of the old rate is left of it: 0.7 s.
    (smooth,) = sharing(series({0: late, 1: other})).events
    assert smooth.convergence_ms == pytest.approx(5700, abs=100)


def test_a_leaver_is_an_event_too_and_what_never_holds_is_no_number() -> None:
    rates: dict[int, list[float | None]] = {0: [5] * 6 + [10] * 6, 1: [5] * 6 + [None] * 6}
    (left,) = sharing(series(rates)).events
    assert (left.time_ms, left.flow, left.joined, left.convergence_ms) == (6000, 1, False, 0)
    (early,) = sharing(series({0: [5, 5, 10, 10], 1: [5, 5, None, None]})).events
    assert np.isnan(early.convergence_ms), "two seconds cannot show that it holds for five"
    (never,) = sharing(series({0: [10, 9, 9, 9, 9, 9, 9, 9], 1: [None] + [1.0] * 7})).events
    assert np.isnan(never.convergence_ms)


def test_several_episodes_in_one_table_are_refused() -> None:
    one = series({0: [1, 2]})
    with pytest.raises(ValueError, match="more than one episode"):
        sharing(pd.concat([one, one]))
    with pytest.raises(ValueError, match="hold_ms: must be positive"):
        sharing(one, hold_ms=0)


def test_harm_is_what_was_lost() -> None:
    done = harm(
        {"throughput_mbps": 10.0, "queue_delay_mean_ms": 5.0},
        {"throughput_mbps": 4.0, "queue_delay_mean_ms": 20.0},
    )
    assert done.throughput == pytest.approx(0.6)
    assert done.delay == pytest.approx(0.75)


# --- real flows ---


def path(*overrides: str) -> Config:
    return compose(
        ["mode=test", "agent=cubic", "env=constant", "env.rate_mbps=24", "env.delay_ms=20", *overrides]
    )


def played(cfg: Config, seed: int = 1) -> dict[str, Any]:
    return play(native_config(cfg), [seed], series=True).reports[0]


@pytest.fixture(scope="module")
def three() -> Sharing:
    return sharing(played(path("experiment=fairness"))["series"])


def test_cubic_flows_share_once_they_have_converged(three: Sharing) -> None:
    settled = three.jain.loc[30_000:40_000]
    assert settled.mean() > 0.9
    assert three.mean_jain > 0.8
    assert [(event.time_ms, event.flow, event.joined) for event in three.events] == [
        (10_000, 1, True),
        (20_000, 2, True),
        (40_000, 2, False),
        (50_000, 1, False),
    ]
    assert three.events[-1].convergence_ms < 5000, "the rest of the link is soon taken"


def test_a_flow_that_stops_frees_its_share() -> None:
    flows = "[{scheme: agent},{scheme: agent, stop_ms: 10000}]"
    report = played(path(f"env.flows={flows}", "env.episode_ms=20000"))
    table = pd.DataFrame(report["series"])
    first = table[table["flow"] == 0].set_index("time_ms")["throughput_mbps"]
    assert first.loc[5_000:10_000].mean() < 0.75 * 24
    assert first.loc[15_000:].mean() > 0.95 * 24
    assert table[table["flow"] == 1]["time_ms"].max() == 10_000


def test_cubic_harms_cubic_by_half() -> None:
    cfg = path("env.episode_ms=60000")
    done = harm_to(cfg, classic_scheme("cubic"), "constant", [1, 2])
    assert np.mean([one.throughput for one in done]) == pytest.approx(0.5, abs=0.1)
    assert all(one.solo_mbps > 0.95 * 24 for one in done)


def test_a_window_beyond_the_path_harms_more() -> None:
    greedy = classic_scheme("fixed")
    greedy.agent.controller["window_packets"] = 2000  # type: ignore[attr-defined]
    (done,) = harm_to(path(), greedy, "constant", [1])
    assert done.throughput > 0.7
    assert done.delay > 0


def test_cross_traffic_of_a_constant_rate_takes_it() -> None:
    report = played(path("env.cross_traffic=[{kind: constant, mbps: 6}]"))
    (source,) = report["cross_traffic"]
    assert source["throughput_mbps"] == pytest.approx(6, rel=0.02)
    assert report["flows"][0]["throughput_mbps"] == pytest.approx(18, rel=0.05)
    assert np.mean(report["series"]["cross_mbps"]) == pytest.approx(6, rel=0.02)


# --- the command ---


def test_the_command_reads_a_run(three: Sharing, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = series({0: [5, 5], 1: [5, 5]}).assign(scheme="cubic", scenario="constant", seed=1)
    table.to_parquet(tmp_path / "series.parquet")
    assert main([str(tmp_path)]) == 0
    assert "1.000" in capsys.readouterr().out
    assert main([str(tmp_path / "nowhere")]) == 2
    assert "no such file" in capsys.readouterr().err
    assert main(["one", "two"]) == 2


def test_the_command_measures_harm(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["harm", "agent=cubic", "env=constant", "test.runs=1", "env.episode_ms=5000"]) == 0
    assert "Mbps" in capsys.readouterr().out
    assert main(["harm", "agent=impala"]) == 2
    assert "checkpoint: agent=impala needs one" in capsys.readouterr().err
