"""The results table, its summary, the console table and the figure, from made-up episodes."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from rich.console import Console

from pantheon import figures
from pantheon.results import (
    COLUMNS,
    ResultsError,
    Summary,
    frame,
    read_results,
    rows_of,
    summarise,
    write_results,
)
from pantheon.statistics import normalised_scores
from pantheon.table import comparison_table, print_comparison


def report(
    seed: int, throughput: float, *, reward: float = -0.5, skipped: int = 0, flows: int = 1
) -> dict[str, Any]:
    flow = {
        "scheme": "external",
        "throughput_mbps": throughput,
        "utilisation": throughput / 10,
        "delay_mean_ms": 30.0,
        "delay_p95_ms": 60.0 + seed,
        "loss": 0.01,
        "queue_loss": 0.0,
        "queue_delay_mean_ms": 10.0,
        "queue_delay_p95_ms": 40.0,
    }
    return {
        "seed": seed,
        "steps": 300,
        "skipped_observations": skipped,
        "return": reward * (300 + skipped),
        "flows": [{**flow, "flow": i, "scheme": "external" if i == 0 else "cubic"} for i in range(flows)],
    }


def table_of(throughputs: dict[tuple[str, str], list[float]], flows: int = 1) -> pd.DataFrame:
    return frame(
        row
        for (scheme, scenario), values in throughputs.items()
        for seed, value in enumerate(values)
        for row in rows_of(report(seed, value, flows=flows), scheme, scenario)
    )


def test_reward_is_the_mean_a_window_skipped_ones_included() -> None:
    (row,) = rows_of(report(1, 5.0, reward=-2.0, skipped=100), "impala", "lte")
    assert row["reward"] == pytest.approx(-2.0)
    assert (row["scheme"], row["scenario"], row["seed"]) == ("impala", "lte", 1)


def test_only_the_observed_flow_has_a_reward_and_the_scheme_under_test() -> None:
    first, second = rows_of(report(1, 5.0, flows=2), "impala", "lte")
    assert (first["scheme"], second["scheme"]) == ("impala", "impala")
    assert (first["flow_scheme"], second["flow_scheme"]) == ("impala", "cubic")
    assert np.isnan(second["reward"])


def test_results_survive_the_file_with_their_columns(tmp_path: Path) -> None:
    table = frame(rows_of(report(2**63 + 5, 5.0), "cubic", "lte"))
    write_results(table, tmp_path / "results.parquet")
    again = read_results(tmp_path / "results.parquet")
    assert tuple(again.columns) == COLUMNS
    assert int(again["seed"].iloc[0]) == 2**63 + 5
    pd.testing.assert_frame_equal(table, again)
    assert [path.name for path in tmp_path.iterdir()] == ["results.parquet"]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "results.parquet"
    write_results(table_of({("cubic", "lte"): [1.0]}), path)

    def full_disk(self: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full_disk)
    with pytest.raises(OSError, match="No space left"):
        write_results(table_of({("cubic", "lte"): [2.0]}), path)
    assert read_results(path)["throughput_mbps"].tolist() == [1.0]
    assert [item.name for item in tmp_path.iterdir()] == ["results.parquet"]


@pytest.mark.parametrize(("content", "message"), [(None, "no such"), (b"PAR1 torn", "not a readable")])
def test_missing_or_torn_results_are_refused(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "results.parquet"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ResultsError, match=message):
        read_results(path)


def test_summary_is_a_scheme_a_scenario_and_then_all() -> None:
    table = table_of({("impala", "lte"): [4.0, 6.0], ("impala", "umts"): [1.0, 1.0, 1.0, 1.0]})
    summaries = summarise(table)
    assert [(s.scenario, s.metrics["throughput_mbps"].mean) for s in summaries] == [
        ("lte", 5.0),
        ("umts", 1.0),
        ("all", 3.0),
    ]


def test_flows_beside_the_observed_one_are_kept_apart() -> None:
    summaries = summarise(table_of({("impala", "lte"): [4.0, 6.0]}, flows=2))
    assert [(s.scheme, s.flow, s.flow_scheme, "reward" in s.metrics) for s in summaries] == [
        ("impala", 0, "impala", True),
        ("impala", 1, "cubic", False),
    ]


def test_a_further_flow_of_the_same_policy_is_named_after_it() -> None:
    both = report(1, 5.0, flows=2)
    both["flows"][1]["scheme"] = "external"
    assert [row["flow_scheme"] for row in rows_of(both, "impala", "lte")] == ["impala", "impala"]


def test_table_cuts_no_figure_in_a_narrow_terminal() -> None:
    summaries = summarise(table_of({(f"a rather long name {i}", "lte"): [5.0 + i, 6.5] for i in range(3)}))
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(comparison_table(summaries, console.width))
    text = console.export_text()
    assert "…" not in text
    assert "a rather long name 2" in text
    assert "[6.50, 7.00]" in text
    assert "queue loss" in text


def test_schemes_are_ranked_by_reward() -> None:
    episodes = {"low": report(1, 5.0, reward=-2.0), "high": report(1, 5.0, reward=-1.0)}
    rows = [row for name, episode in episodes.items() for row in rows_of(episode, name, "lte")]
    console = Console(width=140, record=True, file=io.StringIO())
    console.print(comparison_table(summarise(frame(rows)), 140))
    text = console.export_text()
    assert text.index("high") < text.index("low ")


def test_many_scenarios_get_a_line_a_scheme_and_a_ranking() -> None:
    rewards = {"oracle": -1.0, "cubic": -1.5, "random": -2.0}
    rows = [
        row
        for scheme, reward in rewards.items()
        for scenario in ("a", "b", "c")
        for seed in range(4)
        for row in rows_of(report(seed, 5.0, reward=reward), scheme, scenario)
    ]
    console = Console(width=160, record=True, file=io.StringIO())
    print_comparison(summarise(frame(rows)), normalised_scores(frame(rows)), "cubic", console)
    text = console.export_text()
    assert [text.count(f"{scenario}: means") for scenario in ("a", "b", "c")] == [1, 1, 1]
    assert re.search(r"cubic +4 +5\.00 +61\.5 +1\.00 +-1\.500\b", text)
    assert re.search(r"1 +oracle +1\.000 \[1\.000, 1\.000\] .* 1\.00 \[1\.00, 1\.00\]", text)
    assert re.search(r"2 +cubic +0\.500 \[0\.500, 0\.500\] +0\.500 \[0\.500, 0\.500\] +0\.500", text)
    assert re.search(r"3 +random +0\.000 .* 0\.00 \[0\.00, 0\.00\]", text)


def test_scenarios_without_scores_are_named_under_the_ranking() -> None:
    rows = rows_of(report(1, 5.0), "cubic", "lte")
    console = Console(width=160, record=True, file=io.StringIO())
    print_comparison(summarise(frame(rows)), normalised_scores(frame(rows)), "cubic", console)
    assert "lte has no scores: random was not played (test.anchors=true plays it)" in console.export_text()


def test_figure_is_written_with_the_delay_axis_reversed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Axes] = []
    panel = figures._panel

    def watched(axis: Axes, scenario: str, summaries: list[Summary]) -> None:
        drawn.append(axis)
        panel(axis, scenario, summaries)

    monkeypatch.setattr(figures, "_panel", watched)
    played = [(scheme, scenario) for scheme in ("impala", "cubic") for scenario in ("lte", "umts")]
    summaries = summarise(table_of({key: [4.0, 6.0] for key in played}))
    figures.comparison(summaries, tmp_path / "comparison.png")
    assert (tmp_path / "comparison.png").read_bytes().startswith(b"\x89PNG")
    assert len(drawn) == 2  # a panel a scenario, whatever the order of play; "all" has none
    assert all(axis.get_xlim()[0] > axis.get_xlim()[1] for axis in drawn)


def test_a_scheme_looks_the_same_everywhere() -> None:
    assert figures.style_of("cubic") == figures.style_of("cubic")
    assert figures.style_of("some new scheme") == figures.style_of("some new scheme")


def test_known_schemes_are_told_apart_by_shape_alone() -> None:
    classic = ["cubic", "newreno", "copa", "bbr", "bbr3", "vegas", "ledbat", "vivace", "sprout"]
    bounds = ["fixed", "random", "oracle", "omniscient"]
    looks = {name: figures.style_of(name) for name in ["impala", "impala (shuffled)", *classic, *bounds]}
    assert len({look.marker for look in looks.values()}) == len(looks)
    assert not [name for name, look in looks.items() if look in figures._SPARE]
