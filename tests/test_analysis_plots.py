"""Figures and tables of studies: what they are computed from, and what the command refuses."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
import yaml
from matplotlib.figure import Figure

from analysis import plots
from analysis.configurations import configurations, varied
from analysis.load import Study, StudyError, load
from analysis.plot import KINDS, main
from analysis.plots import decisions, held_out
from analysis.plots.frontier import pareto
from analysis.plots.frontier import points as frontier_points
from analysis.plots.reward import decomposition
from analysis.plots.sensitivity import importances
from pantheon.figures import style_of
from pantheon.report.album import SETTINGS
from pantheon.results import frame, rows_of, series_frame, write_results

CHOICES = ["0", "/2", "-10", "+10", "*2"]
DISCOUNTS, RATES, SEEDS = (0.8, 0.9, 0.99), (1e-4, 1e-3), (1, 2)
EPISODES = 4


def quality_of(discount: float, rate: float, seed: int) -> float:
    """What a run scores: the discount matters, the learning rate hardly, the seed a little."""
    return 0.5 + 2.0 * (discount - 0.8) + 0.02 * (rate > 5e-4) + 0.01 * seed


def report_of(quality: float, seed: int, noise: float) -> dict[str, Any]:
    total = 300 * (quality + noise)
    flow = {
        "flow": 0,
        "scheme": "external",
        "throughput_mbps": 10.0 * quality,
        "utilisation": quality,
        "delay_mean_ms": 50.0,
        "delay_p95_ms": 50.0 + 100.0 * quality,
        "loss": 0.01,
        "queue_loss": 0.01,
        "queue_delay_mean_ms": 30.0,
        "queue_delay_p95_ms": 30.0 + 100.0 * quality,
    }
    return {
        "seed": seed,
        "steps": 290,
        "skipped_observations": 10,
        "return": total,
        "return_terms": {"throughput": total + 90.0, "delay": -60.0, "loss": -30.0},
        "flows": [flow],
    }


def series_of(scheme: str, scenario: str) -> dict[str, Any]:
    """Sixty windows of 20 and 40 packets in turn: the policy doubles the one and halves the other."""
    count = 60
    policy = scheme == "impala"
    return {
        "scheme": scheme,
        "scenario": scenario,
        "seed": 1_000_000,
        "flow": np.zeros(count, dtype=int),
        "flow_scheme": [scheme] * count,
        "time_ms": 100.0 * np.arange(1, count + 1),
        "throughput_mbps": np.full(count, 5.0),
        "capacity_mbps": np.full(count, 10.0),
        "queue_delay_ms": np.where(np.arange(count) % 2 == 0, 40.0, 80.0),
        "window_packets": np.where(np.arange(count) % 2 == 0, 20.0, 40.0),
        "loss": np.zeros(count),
        "action": np.where(np.arange(count) % 2 == 0, 1, 4) if policy else np.full(count, -1),
    }


def write_run(folder: Path, discount: float, rate: float, seed: int, **changes: Any) -> Path:
    folder.mkdir(parents=True)
    scenarios = changes.get("scenarios", ("lte", "umts"))
    config = {
        "mode": "train",
        "seed": seed,
        "agent": {
            "name": "impala",
            "loss": {"discount": discount},
            "optimizer": {"learning_rate": rate},
        },
        "env": {"scenarios": {name: {"delay_ms": 10} for name in scenarios}},
        "actions": {"choices": CHOICES},
        "reward": changes.get("reward", {"kind": "log_ratio", "delay_factor": 0.2}),
        "tracker": {"name": f"tracker-{seed}"},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    quality = quality_of(discount, rate, seed)
    with (folder / "metrics.jsonl").open("w") as file:
        for step in range(1000, 20_001 if seed == 1 else 10_001, 1000):
            shares = {f"action_{i}": share for i, share in enumerate((0.2, 0.1, 0.3, 0.3, 0.1))}
            row = {"step": step, "episode_return": quality * step, "steps_per_second": 100.0, **shares}
            file.write(json.dumps(row) + "\n")
    rng = np.random.default_rng(seed)
    rows = []
    for scenario in scenarios:
        for scheme in ("impala", "cubic", "random"):
            for episode in range(EPISODES):
                own = scheme == "impala"
                noise = 0.005 * rng.standard_normal() if own else 0.0
                level = quality if own else {"cubic": 0.7, "random": 0.1}[scheme] + changes.get("luck", 0.0)
                rows += rows_of(report_of(level, 1_000_000 + episode, noise), scheme, scenario)
    write_results(frame(rows), folder / "results.parquet")
    played = [series_of(scheme, scenario) for scenario in scenarios for scheme in ("impala", "cubic")]
    write_results(series_frame(played), folder / "series.parquet")
    return folder


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("study") / "sweep"
    grid = [(d, r, s) for d in DISCOUNTS for r in RATES for s in SEEDS]
    for number, point in enumerate(grid):
        write_run(root / str(number), *point)
    return root


@pytest.fixture(scope="module")
def study(sweep: Path) -> Study:
    return load([sweep], series=True)


def test_runs_that_differ_in_their_seed_alone_are_one_configuration(study: Study) -> None:
    assert varied(study) == ["agent.loss.discount", "agent.optimizer.learning_rate"]
    groups = configurations(study)
    assert [len(group.runs) for group in groups] == [2] * 6
    assert groups[0].label == "discount 0.8, learning rate 0.0001"
    assert len({group.look for group in groups}) == 6
    by = configurations(study, ["discount"])
    assert [group.label for group in by] == ["discount 0.8", "discount 0.9", "discount 0.99"]
    assert [group.values for group in by] == [{"agent.loss.discount": d} for d in DISCOUNTS]


def test_a_choice_speaks_for_what_follows_from_it_and_a_scheme_keeps_its_look(tmp_path: Path) -> None:
    for seed in (1, 2):
        write_run(tmp_path / f"a{seed}", 0.9, 1e-3, seed, reward={"kind": "linear", "delay_factor": 0.01})
        write_run(tmp_path / f"b{seed}", 0.9, 1e-3, seed)
    study = load([tmp_path])
    assert varied(study) == ["reward.kind"]
    assert {group.label for group in configurations(study)} == {"reward linear", "reward log_ratio"}
    (alone,) = configurations(load([tmp_path / "a1", tmp_path / "a2"]))
    assert (alone.label, alone.look) == ("impala", style_of("impala"))


def test_a_curve_is_the_mean_over_seeds_and_dotted_where_one_has_ended(study: Study) -> None:
    figure = plots.curves(study, by=["discount"], points=20)
    (axis,) = figure.axes
    line = next(line for line in axis.lines if str(line.get_label()).startswith("discount 0.8"))
    x, y = line.get_data()
    expected = np.mean([quality_of(0.8, rate, seed) for rate in RATES for seed in SEEDS])
    np.testing.assert_allclose(np.asarray(y)[:10], expected * 1000.0 * np.arange(1, 11))
    assert np.isnan(np.asarray(y)[10:]).all()
    assert np.asarray(x)[0] == 500.0
    dotted = next(line for line in axis.lines if line.get_linestyle() == ":")
    first = np.mean([quality_of(0.8, rate, 1) for rate in RATES])
    assert np.asarray(dotted.get_ydata())[-1] == pytest.approx(first * 20_000)
    minutes = plots.curves(study, x="time").axes[0]
    assert minutes.get_xlim()[1] == pytest.approx(20_000 / 100.0 / 60.0)
    assert len(plots.curves(study, seeds=True).axes[0].lines) == len(figure.axes[0].lines) + 6 + 12


def test_points_of_the_frontier_are_means_over_scenarios_and_runs(study: Study) -> None:
    places, unit = frontier_points(study, by=["discount"])
    assert unit == "runs"
    assert [place.name for place in places] == ["discount 0.8", "discount 0.9", "discount 0.99", "cubic"]
    expected = 10.0 * np.mean([quality_of(0.9, rate, seed) for rate in RATES for seed in SEEDS])
    assert places[1].throughput.mean == pytest.approx(expected)
    assert places[1].throughput.low < expected < places[1].throughput.high
    assert (places[3].throughput.mean, places[3].look) == (pytest.approx(7.0), style_of("cubic"))
    (other,) = [p for p in frontier_points(study, schemes=["random"])[0] if not p.configuration]
    assert other.name == "random"
    assert pareto([(3.0, 5.0), (1.0, 2.0), (2.0, 1.0), (2.0, 5.0)]) == [(1.0, 2.0), (2.0, 5.0)]


def test_classic_schemes_that_fared_differently_tell_that_paths_differ(tmp_path: Path) -> None:
    write_run(tmp_path / "0", 0.8, 1e-3, 1)
    write_run(tmp_path / "1", 0.9, 1e-3, 1, luck=0.1)
    study = load([tmp_path])
    with pytest.raises(StudyError, match=r"cannot be compared.*cubic"):
        frontier_points(study)
    assert len(frontier_points(study, schemes=[])[0]) == 2


def test_units_are_episodes_where_a_configuration_has_one_run(study: Study) -> None:
    alone = [group for group in configurations(study) if group.label.startswith("discount 0.8")]
    scores = held_out.held_out(study, alone, "reward")
    assert (scores.unit, scores.scores[alone[0].label].shape) == ("runs", (2, 2))
    single = [type(group)(group.label, group.values, group.runs[:1]) for group in alone]
    scores = held_out.held_out(study, single, "reward")
    assert (scores.unit, scores.scores[alone[0].label].shape) == ("episodes", (2, EPISODES))


def test_independent_samples_of_unequal_size_are_compared() -> None:
    first, second = np.array([[3.0, 4.0, 5.0]]), np.array([[1.0, 4.0]])
    better = held_out.improvement(first, second)
    assert better.mean == pytest.approx((3 + 0 + 0.5 + 1) / 6)
    assert better.low <= better.mean <= better.high
    apart = held_out.difference(first, second)
    assert apart.mean == pytest.approx(1.5)
    assert apart.low < 0.0 < apart.high
    assert held_out.improvement(second + 9.0, first).mean == 1.0


def test_importance_finds_the_parameter_that_matters(study: Study) -> None:
    found = importances(study, "reward")
    assert next(iter(found.parameters)) == "agent.loss.discount"
    discount, rate = found.parameters.values()
    assert discount.mean > 0.98
    assert discount.low > 0.9
    assert rate.mean < 0.02
    assert found.repetitions is not None
    assert 0.0 < found.repetitions < 0.01
    total = discount.mean + rate.mean + found.interactions + found.repetitions
    assert total == pytest.approx(1.0)
    only = importances(study, "reward", parameters=["learning_rate"])
    assert list(only.parameters) == ["agent.optimizer.learning_rate"]


def test_importance_of_a_parameter_without_effect_is_not_told_from_chance(study: Study) -> None:
    runs = study.runs.assign(objective=np.random.default_rng(3).standard_normal(len(study.runs)))
    noise = Study(runs, study.metrics, study.results, study.series, study.problems)
    assert all(share.low <= 0.0 for share in importances(noise).parameters.values())
    with pytest.raises(StudyError, match="no variance"):
        importances(Study(runs.assign(objective=1.0), *list(vars(study).values())[1:]))


def test_slices_ring_the_best_run_whichever_way_is_better(study: Study) -> None:
    def ringed(metric: str) -> float:
        axis = plots.slices(study, metric, parameters=["discount"]).axes[0]
        ring = next(line for line in axis.lines if line.get_markerfacecolor() == "none")
        return float(np.asarray(ring.get_ydata()).item())

    assert ringed("throughput_mbps") == pytest.approx(10.0 * quality_of(0.99, 1e-3, 2))
    assert ringed("delay_p95_ms") == pytest.approx(50.0 + 100.0 * quality_of(0.8, 1e-4, 1))


def test_a_decision_is_told_with_what_was_seen_before_it(study: Study) -> None:
    taken = decisions.taken(study)
    seen = taken.dropna(subset=["window"])
    assert set(seen.loc[seen["action"] == 4, "window"]) == {20.0}  # it doubles 20, it halves 40
    assert set(seen.loc[seen["action"] == 1, "window"]) == {40.0}
    assert set(seen.loc[seen["action"] == 4, "rtt_inflation"]) == {1.0 + 40.0 / (2.0 * 20.0)}
    assert (taken["scheme"] == "impala").all()


def test_the_map_shows_the_mean_change_and_leaves_rare_cells_out(study: Study) -> None:
    figure = plots.heatmap(study, by=["agent.name"], cells=4)
    values = np.ma.masked_invalid(figure.axes[0].collections[0].get_array())
    assert sorted(set(np.round(values.compressed(), 6))) == [-1.0, 1.0]
    share = plots.heatmap(study, by=["agent.name"], cells=4, action="*2")
    values = np.ma.masked_invalid(share.axes[0].collections[0].get_array())
    assert sorted(set(values.compressed())) == [0.0, 1.0]
    with pytest.raises(StudyError, match=r"action \*3: the runs' actions are 0, /2"):
        plots.heatmap(study, action="*3")


def test_shares_of_actions_by_run_scenario_and_training(study: Study) -> None:
    axis = plots.actions(study, by=["discount"]).axes[0]
    assert [tick.get_text() for tick in axis.get_xticklabels()] == ["/2", "-10", "0", "+10", "*2"]
    assert [round(bar.get_height(), 3) for bar in axis.containers[0]] == [0.5, 0.0, 0.0, 0.0, 0.5]
    many = plots.actions(study, by=["seed", "discount", "learning_rate"]).axes[0]
    assert len(many.get_yticks()) == 12
    panels = plots.actions(study, by=["discount"], per="scenario").axes
    assert len(panels) == 3
    assert [tick.get_text() for tick in panels[0].get_yticklabels()] == ["lte", "umts"]
    trained = plots.actions(study, by=["discount"], per="training").axes[0]
    heights = [area.get_paths()[0].get_extents().height for area in trained.collections]
    np.testing.assert_allclose(heights, [0.1, 0.3, 0.2, 0.3, 0.1])


def test_the_terms_of_a_reward_add_up_to_it(study: Study, tmp_path: Path) -> None:
    made = {one.name: one for one in decomposition(study, by=["discount"], schemes=["cubic"])}
    assert list(made) == ["discount 0.8", "discount 0.9", "discount 0.99", "cubic"]
    assert made["cubic"].terms["reward_delay"] == pytest.approx(-0.2)
    for one in made.values():
        assert sum(one.terms.values()) == pytest.approx(one.reward)
    wrong = study.results.assign(reward_delay=study.results["reward_delay"] + 0.1)
    with pytest.raises(StudyError, match="add up to"):
        decomposition(Study(study.runs, study.metrics, wrong, study.series, study.problems))
    write_run(tmp_path / "linear", 0.8, 1e-3, 1, reward={"kind": "linear", "delay_factor": 0.2})
    write_run(tmp_path / "log", 0.8, 1e-3, 1)
    with pytest.raises(StudyError, match=r"reward\.kind is linear in one and log_ratio"):
        decomposition(load([tmp_path]))


def test_the_native_core_tells_the_terms_of_each_reward() -> None:
    from mvfstrl._native import default_alternatives, default_config
    from pantheon.episodes import play

    for kind, weights in default_alternatives()["reward"].items():
        config = default_config() | {"reward": {"kind": kind, **weights}, "episode_ms": 2000.0}
        config["action_delay"] = {"kind": "constant", "ms": 150.0}  # windows are skipped: they count too
        (report,) = play(config, [1]).reports
        terms = report["return_terms"]
        assert sum(terms.values()) == pytest.approx(report["return"])
        assert (terms["delay"] == 0.0) == (kind == "power")
        (row,) = rows_of(report, "newreno", "constant")
        assert row["reward_throughput"] + row["reward_delay"] + row["reward_loss"] == pytest.approx(
            row["reward"]
        )


def test_rewards_computed_in_several_ways_are_not_compared(study: Study) -> None:
    assert plots.ablation(study, by=["discount"]).metrics == ["reward", "throughput_mbps", "delay_p95_ms"]
    weights = [0.1 + 0.1 * (index % 2) for index in range(len(study.runs))]
    mixed = replace(study, runs=study.runs.assign(**{"reward.delay_factor": weights}))
    assert plots.ablation(mixed, by=["reward.delay_factor"]).metrics == ["throughput_mbps", "delay_p95_ms"]
    with pytest.raises(StudyError, match=r"no common measure, .*delay_factor"):
        plots.ablation(mixed, ["reward"], by=["reward.delay_factor"])


def test_the_table_tells_differences_from_its_baseline(study: Study) -> None:
    table = plots.ablation(study, ["reward", "delay_p95_ms"], by=["discount"], baseline="discount=0.9")
    assert table.baseline == "discount 0.9"
    assert table.rows[0][:2] == ("discount 0.9", 4)
    entries = {label: entries for label, _, entries in table.rows}
    reward, delay = entries["discount 0.99"]
    assert reward.difference is not None
    assert delay.improvement is not None
    assert reward.difference.mean == pytest.approx(0.18, abs=0.01)
    assert reward.sure
    assert (reward.best, delay.best) == (True, False)
    assert delay.improvement.mean == 0.0  # a longer delay is no improvement
    assert entries["discount 0.8"][1].best
    text = table.markdown()
    assert text.splitlines()[2].startswith("| discount 0.9 (baseline) | 4 | ")
    assert "| **+0.18" in text
    latex = table.latex()
    assert latex.count(r"\\") == 2 + 3
    assert r"\toprule" in latex
    assert "$-$" in latex
    assert r"95 \%" not in latex.split(r"\end{tabular}")[0]


DRAWN: list[tuple[str, list[str]]] = [
    ("curves", ["--seeds"]),
    ("frontier", []),
    ("importance", ["--metric", "reward"]),
    ("slices", ["--metric", "reward"]),
    ("actions", ["--per", "scenario"]),
    ("heatmap", ["--by", "discount"]),
    ("reward", ["--schemes", "none"]),
]


@pytest.mark.parametrize(("kind", "options"), DRAWN)
def test_every_kind_is_drawn_with_text_as_text(
    sweep: Path, tmp_path: Path, kind: str, options: list[str]
) -> None:
    path = tmp_path / "new" / f"{kind}.svg"
    assert main([kind, str(sweep), "-o", str(path), *options]) == 0
    svg = path.read_text()
    assert svg.count("<text") > 5
    if kind == "importance":  # the same runs give the same bytes
        again = tmp_path / "again.svg"
        assert main([kind, str(sweep), "-o", str(again), *options]) == 0
        assert again.read_text() == svg


def test_the_suffix_chooses_the_form(sweep: Path, tmp_path: Path) -> None:
    assert main(["curves", str(sweep), "-o", str(tmp_path / "a.pdf"), "--where", "discount=0.9"]) == 0
    assert (
        b"/Type3" not in (tmp_path / "a.pdf").read_bytes()
    )  # fonts are embedded as outlines that can be edited
    assert main(["frontier", str(sweep), "-o", str(tmp_path / "a.png"), "--width", "3"]) == 0
    assert (tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG"
    assert main(["ablation", str(sweep), "-o", str(tmp_path / "a.tex"), "--metric", "reward"]) == 0
    assert (tmp_path / "a.tex").read_text().startswith("% \\usepackage{booktabs}")


REFUSED: list[tuple[list[str], str]] = [
    (
        ["curves", "--metric", "episode_retrun"],
        "episode_retrun: no such metric .*did you mean episode_return",
    ),
    (["curves", "--by", "discont"], "discont: no such key .*did you mean agent.loss.discount"),
    (["curves", "--where", "discount=0.7"], "no run has this value"),
    (["curves", "--where", "discount"], "not of the form KEY=VALUE"),
    (["frontier", "--scenario", "lt"], "scenario lt: .*did you mean lte"),
    (["frontier", "--schemes", "cubik"], "scheme cubik: .*did you mean cubic"),
    (["frontier", "--delay", "delay_p59_ms"], "delay_p59_ms: no such metric .*did you mean delay_p95_ms"),
    (["importance", "--metric", "rewrad"], "rewrad: no such metric .*did you mean reward"),
    (["slices", "--parameter", "gamma"], "gamma: no such key"),
    (["ablation", "--baseline", "discount=0.7"], "baseline discount=0.7: no such configuration"),
]


@pytest.mark.parametrize(("arguments", "message"), REFUSED)
def test_bad_input_is_named(
    sweep: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    kind, *options = arguments
    path = tmp_path / ("a.md" if kind == "ablation" else "a.svg")
    assert main([kind, str(sweep), "-o", str(path), *options]) == 2
    assert not path.exists()
    last = capsys.readouterr().err.splitlines()[-1]
    assert re.search(f"^error: .*{message}", last), last


def test_foreign_folders_suffixes_and_scenarios_are_refused(
    sweep: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["curves", str(tmp_path), "-o", str(tmp_path / "a.svg")]) == 2
    assert main(["curves", str(sweep), "-o", str(tmp_path / "a.jpeg")]) == 2
    assert "its suffix has to be .pdf, .svg or .png" in capsys.readouterr().err
    write_run(tmp_path / "x" / "other", 0.5, 1e-3, 1, scenarios=("evdo",))
    both = [str(sweep), str(tmp_path / "x")]
    assert main(["frontier", *both, "-o", str(tmp_path / "a.svg")]) == 2
    assert "cannot be compared: only one of them has played" in capsys.readouterr().err


def test_help_has_an_example_of_each_kind(capsys: pytest.CaptureFixture[str]) -> None:
    for kind in KINDS:
        with pytest.raises(SystemExit) as stop:
            main([kind, "--help"])
        assert stop.value.code == 0
        assert f"python -m analysis.plot {kind} outputs/" in capsys.readouterr().out


def test_a_real_run_is_drawn(project_root: Path, tmp_path: Path) -> None:
    """What a training and its closing test leave is what the figures read."""
    command = [sys.executable, "run.py", "experiment=debug", "total_steps=400", "env=constant"]
    command += ["env.episode_ms=3000", "test.report=false", f"hydra.run.dir={tmp_path}/run"]
    done = subprocess.run(command, cwd=project_root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    study = load([tmp_path], series=True)
    kinds: Sequence[Callable[..., Figure]] = (plots.curves, plots.frontier, plots.actions, plots.reward)
    with mpl.rc_context(SETTINGS):
        for kind in kinds:
            kind(study).canvas.draw()
    made = decomposition(study)
    assert [one.name for one in made] == ["impala", "cubic"]
    assert all(sum(one.terms.values()) == pytest.approx(one.reward) for one in made)
