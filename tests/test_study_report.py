"""`mode=report runs=...`: a study's page, over real runs of a small sweep, and what it refuses."""

from __future__ import annotations

import html
import io
import json
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hydra.core.global_hydra import GlobalHydra
from rich.console import Console

import run as entry
from analysis.configurations import Configuration, configurations
from analysis.load import load
from analysis.plots import ablation
from analysis.report import folders, write_study
from analysis.report.comparison import baseline_of, compare, gains
from analysis.report.facts import run_rows, study_facts
from analysis.report.page import _larger_is_better
from analysis.study import Study, StudyError
from mvfstrl.errors import ConfigError
from pantheon.results import read_results
from tests.test_report import Page

FAILED = "2"


@pytest.fixture(scope="module")
def sweep(small_study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small sweep; its run FAILED has failed after its training."""
    folder = Path(shutil.copytree(small_study, tmp_path_factory.mktemp("copy") / "sweep"))
    outcome = json.loads((folder / FAILED / "outcome.json").read_text())
    outcome |= {"state": "failed", "objective": None, "scores": {}}
    outcome["error"] = {"kind": "ConfigError", "message": "agent: has <no> network", "traceback": ""}
    (folder / FAILED / "outcome.json").write_text(json.dumps(outcome))
    (folder / FAILED / "results.parquet").unlink()
    return folder


@pytest.fixture(scope="module")
def written(sweep: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As a user does it: run.py, with a configuration of the study as the baseline."""
    folder = tmp_path_factory.mktemp("study")
    with pytest.MonkeyPatch.context() as patch:
        arguments = [f"runs=[{sweep}]", "agent.loss.discount=0.95", f"hydra.run.dir={folder}"]
        patch.setattr(sys, "argv", ["run.py", "mode=report", *arguments])
        GlobalHydra.instance().clear()
        entry.main()
    return folder / "report" / "index.html"


@pytest.fixture(scope="module")
def text(written: Path) -> str:
    return written.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(text: str) -> Page:
    return Page(text)


def test_the_page_stands_alone_and_its_links_resolve(text: str, page: Page, written: Path) -> None:
    ids = page.all("id")
    assert len(ids) == len(set(ids))
    links = page.all("href")
    assert {link[1:] for link in links if link.startswith("#")} <= set(ids)
    for link in links:
        if not link.startswith(("#", "data:")):
            assert (written.parent / link).exists(), link
    assert not re.search(r"url\((?!#)|@import|(src|href)=\"(https?:)?//", text)


def test_what_was_varied_and_the_baseline_are_named(text: str) -> None:
    assert "<dt>agent.loss.discount</dt><dd>0.9, 0.95</dd>" in text
    assert re.search(r"The baseline is\s+<b>discount 0.95</b>, what <code>run.py</code>", text)


def test_every_run_is_listed_with_its_state(page: Page, sweep: Path) -> None:
    rows = {row[0]: row for row in page.tables["Runs"][1:]}
    assert set(rows) == {f"sweep/{number}" for number in range(4)}
    outcome = json.loads((sweep / "0" / "outcome.json").read_text())
    assert rows["sweep/0"][2:5] == ["finished", "0", f"{outcome['objective']:.3f}".replace("-", "−")]
    assert rows[f"sweep/{FAILED}"][2].startswith("failed ConfigError: agent: has")


def test_a_failed_run_is_told_with_its_error_and_escaped(text: str) -> None:
    assert "failed: ConfigError: agent: has &lt;no&gt; network" in text
    assert "<no>" not in text


def test_figures_are_those_of_the_results(page: Page, sweep: Path) -> None:
    def mean(run: str, metric: str) -> float:
        rows = read_results(sweep / run / "results.parquet")
        return float(rows[rows["scheme"] == "impala"].groupby("scenario")[metric].mean().mean())

    by_discount = {0.9: ["0", "1"], 0.95: ["3"]}  # run 2 has failed
    for discount, runs in by_discount.items():
        shown = page.row("Held-out", f"discount {discount}")
        assert shown["runs with results"] == str(len(runs))
        found = shown["throughput Mbit/s"].split()[0]
        rows = [mean(run, "throughput_mbps") for run in runs]
        assert float(found) == pytest.approx(np.mean(rows), abs=0.006)
    gain = page.row("Against discount 0.95", "discount 0.9")["throughput difference, Mbit/s"].split()[0]
    expected = np.mean([mean(run, "throughput_mbps") for run in ("0", "1")]) - mean("3", "throughput_mbps")
    assert float(gain.replace("−", "-")) == pytest.approx(expected, abs=0.006)
    cubic = read_results(sweep / "0" / "results.parquet").query("scheme == 'cubic'")
    classic = page.row("Classic schemes", "cubic")["throughput Mbit/s"].split()[0]
    assert float(classic) == pytest.approx(cubic["throughput_mbps"].mean(), abs=0.006)


def test_its_comparison_can_be_copied_as_latex_and_as_markdown(text: str, sweep: Path) -> None:
    blocks = dict(re.findall(r'<pre [^>]*aria-label="(\w+)">(.*?)</pre>', text, re.DOTALL))
    own = ablation(load(sweep), baseline="discount 0.95")
    assert html.unescape(blocks["LaTeX"]) == own.latex()
    assert html.unescape(blocks["Markdown"]) == own.markdown()
    assert own.latex().count("discount 0.95 (baseline)") == 1


def test_its_figures_are_there(page: Page) -> None:
    drawn = [value for tag, at in page.elements if tag == "svg" and (value := at.get("aria-label"))]
    for what in ("Return of training episodes", "Entropy", "Throughput over delay", "How often each action"):
        assert [label for label in drawn if label.startswith(what)], what


def fake(runs: dict[str, list[float]], scheme: str = "impala") -> tuple[Study, list[Configuration]]:
    """Runs with a value of each metric in one scenario; their names' first letter is the configuration."""
    names = list(runs)
    rows = [
        {"run": name, "scheme": scheme, "scenario": "lte", "seed": seed, "flow": 0}
        | dict.fromkeys(("reward", "throughput_mbps", "utilisation", "delay_p95_ms", "loss"), value)
        for name, values in runs.items()
        for seed, value in enumerate(values)
    ]
    results = pd.DataFrame(rows)
    table = pd.DataFrame({"run": names, "agent.name": scheme})
    empty = pd.DataFrame()
    groups = {name[0]: [other for other in names if other[0] == name[0]] for name in names}
    study = Study(table, empty, results, empty, pd.DataFrame(columns=["folder", "what"]))
    return study, [Configuration(label, {"x": label}, members) for label, members in groups.items()]


def test_improvement_goes_by_each_metrics_own_direction() -> None:
    study, groups = fake({"a0": [1.0], "a1": [1.1], "b0": [2.0], "b1": [2.1]})
    found = compare(study, groups)
    assert found.unit == "runs"
    assert found.order == ["b", "a"]
    table = gains(found, "a")
    assert table is not None
    ((name, cells),) = table.rows
    told = dict(zip(table.heads, cells, strict=True))
    assert name == "b"
    assert told[("reward", "difference, a window")].text == "+1.000"
    assert told[("reward", "difference, a window")].best
    assert told[("probability", "of better reward")].text == "1.00"
    assert told[("probability", "of better p95 delay")].text == "0.00"  # more of it is worse


def test_a_difference_that_may_be_none_is_not_marked() -> None:
    study, groups = fake({"a0": [1.0], "a1": [3.0], "b0": [0.9], "b1": [3.0]})
    table = gains(compare(study, groups), "a")
    assert table is not None
    cell = table.rows[0][1][0]
    assert cell.text == "−0.050"
    assert not cell.best


@pytest.fixture
def four(tmp_path: Path) -> tuple[Study, list[Configuration]]:
    """Runs of two configurations, three of which have an objective."""
    runs = pd.DataFrame(
        {
            "run": ["a0", "b0", "a1", "b1"],
            "folder": [str(tmp_path / name) for name in ("a0", "b0", "a1", "b1")],
            "sweep": None,
            "state": ["finished", "finished", "finished", "running"],
            "scenarios": "lte",
            "seed": [0, 0, 1, 1],
            "objective": [0.5, 0.25, 0.75, None],
            "steps": pd.array([1000, 2000, 3000, None], dtype="Int64"),
            "wall_s": [30.0, 90.0, 3600.0, None],
            "error": None,
        }
    )
    empty = pd.DataFrame()
    groups = [Configuration(name, {"x": name}, [f"{name}0", f"{name}1"]) for name in "ab"]
    return Study(runs, empty, empty, empty, pd.DataFrame(columns=["folder", "what"])), groups


@pytest.mark.parametrize(("larger_is_better", "best"), [(True, "a1"), (False, "b0")])
def test_the_best_run_is_marked_whichever_way_is_better(
    four: tuple[Study, list[Configuration]], tmp_path: Path, larger_is_better: bool, best: str
) -> None:
    rows = run_rows(*four, tmp_path, larger_is_better)
    assert [row.name for row in rows] == ["a0", "a1", "b0", "b1"]
    assert [row.name for row in rows if row.best] == [best]
    assert [(row.objective, row.steps, row.time) for row in rows] == [
        ("0.500", "1,000", "30 s"),
        ("0.750", "3,000", "1 h 00 min"),
        ("0.250", "2,000", "1 min 30 s"),
        ("–", "–", "–"),
    ]


def test_a_study_is_told_in_sums(four: tuple[Study, list[Configuration]]) -> None:
    facts = dict(study_facts(four[0]))
    assert facts["runs"] == "4: 3 finished, 1 running (or killed before it could tell)"
    assert facts["decisions"] == "6,000 learnt from in all, 2,000 a run (median)"
    assert facts["time"] == "1 h 02 min in all, by the runs' own clocks"


@pytest.mark.parametrize(
    ("objective", "larger"),
    [('["reward"]', True), ('["delay_p95_ms"]', False), ('["loss", "reward"]', False), (None, True)],
)
def test_the_objectives_direction_is_that_of_the_runs(
    four: tuple[Study, list[Configuration]], objective: str | None, larger: bool
) -> None:
    study, _ = four
    if objective is not None:
        study.runs["config.objective"] = objective
    assert _larger_is_better(study) is larger


def test_rewards_of_different_kinds_are_not_compared() -> None:
    study, groups = fake({"a0": [1.0], "a1": [1.1], "b0": [2.0], "b1": [2.1]})
    kinds = [Configuration(g.label, {"reward.kind": g.label}, g.runs) for g in groups]
    found = compare(study, kinds)
    table = gains(found, "a")
    assert not found.rewards_compare
    assert table is not None
    assert "reward" not in [name for name, _ in table.heads]


def test_runs_that_played_nothing_in_common_are_not_compared() -> None:
    study, groups = fake({"a0": [1.0], "b0": [2.0]})
    study.results.loc[study.results["run"] == "b0", "scenario"] = "umts"
    with pytest.raises(StudyError, match="no scenario was played by all"):
        compare(study, groups)


def test_the_baseline_is_what_the_command_line_says_else_the_first() -> None:
    groups = [Configuration(f"x {x}", {"a.x": x, "b": "[1, 2]"}, []) for x in (0.5, 1)]
    assert baseline_of(groups, {"a.x": 1.0, "b": "[1, 2]"}).configuration is groups[1]
    assert baseline_of(groups, {"a.x": 1.0, "b": "[1, 2]"}).default
    other = baseline_of(groups, {"a.x": 2.0, "b": "[1, 2]"})
    assert (other.configuration, other.default) == (groups[0], False)


def test_runs_may_be_folders_lists_and_patterns(tmp_path: Path) -> None:
    for name in ("one", "two", "tree"):
        (tmp_path / name).mkdir()
    one, two, tree = (str(tmp_path / name) for name in ("one", "two", "tree"))
    assert folders(one) == [one]
    assert folders([two, one, two]) == [two, one]
    assert folders([f"{tmp_path}/t*"]) == [tree, two]
    with pytest.raises(ConfigError, match=r"runs: no such folder: .*/onne \(did you mean .*/one\?\)"):
        folders(f"{tmp_path}/onne")
    with pytest.raises(ConfigError, match="runs: must be a folder"):
        folders([])
    with pytest.raises(ConfigError, match="runs: must be a folder"):
        folders(5)


def refused(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["run.py", *arguments])
    GlobalHydra.instance().clear()
    with pytest.raises(SystemExit) as left:
        entry.main()
    assert left.value.code == 2


@pytest.mark.parametrize("runs", [[], ["runs=nowhere"], ["runs=empty"]])
def test_a_refused_report_leaves_no_folder(
    runs: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    refused(monkeypatch, "mode=report", *runs)
    assert capsys.readouterr().err.startswith("error: ")
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]


def test_runs_are_for_reports_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    refused(monkeypatch, "mode=train", "runs=outputs", "tracker=none")
    assert "error: runs: only mode=report reads them" in capsys.readouterr().err


def test_a_tests_own_page_is_not_replaced(
    sweep: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    refused(monkeypatch, "mode=report", f"runs={sweep}", f"hydra.run.dir={sweep / '0'}")
    assert "whose own page would be replaced" in capsys.readouterr().err
    assert not (sweep / "0" / "report").exists()


def test_runs_without_results_are_a_page_too(sweep: Path, tmp_path: Path) -> None:
    study = load(sweep / FAILED)
    path = write_study(study, tmp_path, Console(file=io.StringIO()), default={})
    text = path.read_text(encoding="utf-8")
    assert len(configurations(study)) == 1
    assert "no run has results of held-out episodes" in text
    assert "Return of training episodes" in text
