"""The report: its page's structure and numbers, its files, and what it refuses."""

from __future__ import annotations

import io
import logging
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from mvfstrl.config import Mode, compose
from mvfstrl.errors import ConfigError
from mvfstrl.rundir import RunDirectory
from pantheon import statistics
from pantheon.fairness import sharing
from pantheon.figures import style_of
from pantheon.metrics import bootstrap_mean
from pantheon.report import report, write_report
from pantheon.report.album import slim
from pantheon.report.facts import described
from pantheon.report.scenario_figures import one_sigma, thin
from pantheon.report.sharing_figures import flow_colours
from pantheon.results import ResultsError
from tests.report_data import SCENARIOS, SCHEMES, results_of, write_folder


class Page(HTMLParser):
    """What a test asks of a page: its elements, its ids, where it leads, its tables' texts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.tables: dict[str, list[list[str]]] = {}
        self._rows: list[list[str]] | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.elements.append((tag, attributes))
        if tag == "table":
            self._rows = self.tables.setdefault(str(attributes["aria-label"]), [])
        elif tag == "tr" and self._rows is not None:
            self._rows.append([])
        elif tag in ("td", "th") and self._rows is not None:
            self._rows[-1].append("")
        elif tag == "small" and self._rows is not None:
            self._rows[-1][-1] += " "

    def handle_endtag(self, tag: str) -> None:
        if tag == "table":
            self._rows = None

    def handle_data(self, data: str) -> None:
        if self._rows and self._rows[-1]:
            self._rows[-1][-1] += data.strip()

    def all(self, attribute: str) -> list[str]:
        return [str(attributes[attribute]) for _, attributes in self.elements if attribute in attributes]

    def row(self, caption: str, name: str) -> dict[str, str]:
        (table,) = [rows for found, rows in self.tables.items() if found.startswith(caption)]
        return dict(zip(table[0], next(row for row in table if row[0] == name), strict=True))


def quiet() -> Console:
    return Console(file=io.StringIO())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_folder(tmp_path_factory.mktemp("test"))
    write_report(folder, quiet())
    return folder


@pytest.fixture(scope="module")
def text(folder: Path) -> str:
    return (folder / "report" / "index.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(text: str) -> Page:
    return Page(text)


def test_ids_are_unique_and_links_inside_the_page_resolve(page: Page) -> None:
    ids = page.all("id")
    assert [name for name, count in Counter(ids).items() if count > 1] == []
    inside = [link[1:] for link in page.all("href") if link.startswith("#")]
    assert inside
    assert set(inside) - set(ids) == set()


def test_every_reference_within_a_figure_resolves(page: Page, text: str) -> None:
    used = set(re.findall(r"url\(#([^)]+)\)", text))
    assert used
    assert used - set(page.all("id")) == set()


def test_every_scenario_has_its_section_with_every_scheme(page: Page) -> None:
    links = page.all("href")
    labels = page.all("aria-label")
    for scenario in SCENARIOS:
        assert f"#scenario-{scenario.replace('_', '-')}" in links
        (rows,) = [rows for caption, rows in page.tables.items() if caption.startswith(f"{scenario}:")]
        assert {row[0] for row in rows[1:]} == set(SCHEMES)
        for scheme in SCHEMES:
            assert [label for label in labels if label.startswith(f"{scheme} in {scenario} over time")]


def test_the_page_needs_nothing_from_elsewhere(page: Page, text: str) -> None:
    loaded = [link for name in ("src", "href", "xlink:href") for link in page.all(name)]
    assert [link for link in loaded if re.match(r"(https?:)?//", link)] == []
    assert "@import" not in text
    assert not re.search(r"url\((?!#)", text)
    assert [tag for tag, _ in page.elements if tag in ("script", "link", "iframe", "img")] == ["link"]
    assert page.all("rel") == ["icon"]  # an empty one, or browsers would ask for favicon.ico


def test_linked_files_exist_and_are_what_their_names_say(folder: Path, page: Page) -> None:
    files = {link for link in page.all("href") if link.startswith("figures/")}
    starts = {".png": b"\x89PNG", ".pdf": b"%PDF"}
    assert {Path(name).suffix for name in files} == set(starts)
    for name in files:
        file = folder / "report" / name
        assert file.read_bytes().startswith(starts[file.suffix]), name


def test_each_figure_says_what_it_shows(page: Page) -> None:
    drawings = [attributes for tag, attributes in page.elements if tag == "svg" and "role" in attributes]
    assert len(drawings) == 4 + len(SCENARIOS) * (1 + len(SCHEMES))
    assert all(attributes["aria-label"] for attributes in drawings)


def test_scenario_figures_are_those_of_the_table(folder: Path, page: Page) -> None:
    table = results_of(folder)
    rows = table[(table["scheme"] == "cubic") & (table["scenario"] == "lte")]
    shown = page.row("lte:", "cubic")
    throughput = bootstrap_mean(rows["throughput_mbps"])
    expected = f"{throughput.mean:.2f} [{throughput.low:.2f}, {throughput.high:.2f}]"
    assert shown["throughput Mbit/s"] == expected
    assert shown["p95 delay ms, one way"].split()[0] == f"{rows['delay_p95_ms'].mean():.1f}"
    assert shown["loss %"].split()[0] == "1.00"
    rewards = table[table["scenario"] == "lte"].groupby("scheme")["reward"].mean()
    score = (rewards["cubic"] - rewards["random"]) / (rewards["oracle"] - rewards["random"])
    assert shown["score normalised"].split()[0] == f"{score:.2f}"


def test_ranking_is_that_of_the_statistics(folder: Path, page: Page) -> None:
    scored = statistics.normalised_scores(results_of(folder))
    (rows,) = [rows for caption, rows in page.tables.items() if caption.startswith("Normalised scores")]
    assert [row[0] for row in rows[1:]] == ["oracle", "impala", "cubic", "random"]
    interval = statistics.interval(scored.scores["impala"])
    assert page.row("Normalised scores", "impala")["score interquartile mean"] == (
        f"{interval.mean:.3f} [{interval.low:.3f}, {interval.high:.3f}]"
    )
    wins = statistics.probability_of_improvement(scored.scores["impala"], scored.scores["cubic"])
    assert page.row("Probability", "impala")["cubic"] == f"{wins.mean:.2f}"
    losses = page.row("Probability", "cubic")["impala"]
    assert float(losses) == pytest.approx(1.0 - wins.mean, abs=0.006)
    mean = scored.scores["cubic"][scored.scenarios.index("lte")].mean()
    assert page.row("Mean normalised score by scenario", "lte")["cubic"] == f"{mean:.2f}"


def test_without_anchors_the_ranking_is_by_reward_and_says_why(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, schemes=("cubic", "impala"), runs=3, series=False)
    text = write_report(folder, quiet()).read_text(encoding="utf-8")
    page = Page(text)
    (rows,) = [rows for caption, rows in page.tables.items() if caption.startswith("Means over all")]
    assert [row[0] for row in rows[1:]] == ["impala", "cubic"]
    assert "random was not played" in text
    assert "over time" not in " ".join(page.all("aria-label"))  # no series were recorded


def test_a_single_run_of_a_single_scheme_is_told_too(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    folder = write_folder(tmp_path, schemes=("cubic",), scenarios=("lte",), runs=1)
    page = Page(write_report(folder, quiet()).read_text(encoding="utf-8"))
    assert caplog.messages == []  # the libraries that draw keep to themselves
    assert "lte: 1 run a scheme, means and 95 % bootstrap intervals" in page.tables


def test_names_from_outside_are_escaped(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, schemes=("<b>a&b</b>",), scenarios=('x"><i>',), runs=2)
    text = write_report(folder, quiet()).read_text(encoding="utf-8")
    assert "<b>a&b" not in text
    assert "<i>" not in text.replace("<i>random</i>", "").replace("<i>oracle</i>", "")
    assert "&lt;b&gt;a&amp;b" in text


def test_flows_that_share_a_path_are_told_apart(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, schemes=("impala", "cubic"), scenarios=("shared",), runs=3, flows=3)
    page = Page(write_report(folder, quiet()).read_text(encoding="utf-8"))
    caption = "shared: how the flows share the path"
    shown = page.row(caption, "impala")
    table, series = results_of(folder), pd.read_parquet(folder / "series.parquet")
    others = table[(table["scheme"] == "impala") & (table["flow"] > 0)]
    together = others.groupby("seed")["throughput_mbps"].sum().mean()
    assert shown["others' throughput Mbit/s together"].split()[0] == f"{together:.2f}"
    found = sharing(series[series["scheme"] == "impala"])
    assert shown["Jain's index 1 is even"] == f"{found.mean_jain:.3f}"
    assert shown["its share of the fair share"] == f"{found.shares[0]:.2f}"
    beside = table[table["flow"] == 1].groupby("scheme")["throughput_mbps"].mean()
    harm = (beside["cubic"] - beside["impala"]) / beside["cubic"]
    assert shown["harm beyond its own kind's"].replace("−", "-") == f"{harm:.2f}"
    assert page.row(caption, "cubic")["harm beyond its own kind's"] == "–"
    assert any(label.startswith("Throughput of every flow in shared") for label in page.all("aria-label"))
    assert page.all("id").count("mark-cubic") == 1


def test_further_flows_of_a_scheme_have_its_colour_in_tints() -> None:
    colours = flow_colours({0: "impala", 1: "cubic", 2: "cubic"})
    assert colours[1] == style_of("cubic").colour.lower()
    assert len(set(colours.values())) == 3


def test_figures_of_schemes_that_are_gone_go_too(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, schemes=("cubic", "impala"), scenarios=("lte",), runs=1)
    write_report(folder, quiet())
    figure = folder / "report" / "figures" / "lte-impala.png"
    assert figure.exists()
    write_folder(folder, schemes=("cubic",), scenarios=("lte",), runs=1)
    write_report(folder, quiet())
    assert not figure.exists()


def test_torn_or_foreign_files_are_refused_by_name(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, scenarios=("lte",), runs=1)
    series = folder / "series.parquet"
    pd.read_parquet(series).drop(columns=["loss"]).to_parquet(series)
    with pytest.raises(ResultsError, match=r"series\.parquet: lacks the columns loss"):
        write_report(folder, quiet())
    series.write_bytes(b"PAR1 torn")
    with pytest.raises(ResultsError, match=r"series\.parquet: not a readable series file"):
        write_report(folder, quiet())
    series.unlink()
    (folder / "config.yaml").write_text("env: [")
    with pytest.raises(ResultsError, match=r"config\.yaml: not readable"):
        write_report(folder, quiet())
    results_of(folder).iloc[:0].to_parquet(folder / "results.parquet")
    with pytest.raises(ResultsError, match=r"results\.parquet: no rows"):
        write_report(folder, quiet())
    assert not (folder / "report").exists()


def test_the_mode_needs_a_tests_folder(tmp_path: Path) -> None:
    cfg = compose(["mode=report"])
    assert cfg.mode is Mode.report
    with pytest.raises(ConfigError, match=r"hydra\.run\.dir: .*no results\.parquet"):
        report(cfg, RunDirectory(tmp_path))


def test_ellipse_has_one_standard_deviation() -> None:
    rng = np.random.default_rng(1)
    cloud = rng.normal([50.0, 5.0], [10.0, 0.5], size=(4000, 2))
    outline = one_sigma(cloud, log_delay=False)
    assert np.ptp(outline[:, 0]) / 2 == pytest.approx(10.0, rel=0.05)
    assert np.ptp(outline[:, 1]) / 2 == pytest.approx(0.5, rel=0.05)
    assert outline.mean(axis=0) == pytest.approx([50.0, 5.0], rel=0.05)
    # An ellipse of a line is the line itself: turned the right way, and no narrower.
    line = np.column_stack([cloud[:, 0], 0.1 * cloud[:, 0]])
    assert np.allclose(one_sigma(line, log_delay=False)[:, 1], 0.1 * one_sigma(line, log_delay=False)[:, 0])
    factor = np.exp(rng.normal(4.0, 0.3, size=4000))
    delays = one_sigma(np.column_stack([factor, cloud[:, 1]]), log_delay=True)[:, 0]
    assert np.log(delays.max() / delays.min()) / 2 == pytest.approx(0.3, rel=0.05)


def test_long_runs_are_thinned_by_averaging() -> None:
    run = pd.DataFrame({"time_ms": 100.0 * np.arange(1, 1001), "loss": np.tile([0.0, 1.0, 2.0], 334)[:1000]})
    thinned = thin(run)
    assert len(thinned) == 334
    assert thinned["time_ms"].iloc[0] == 300.0
    assert thinned["loss"].iloc[0] == 1.0
    assert thin(run.iloc[:300]).equals(run.iloc[:300])


def test_drawings_stand_together_on_a_page() -> None:
    drawing = """<?xml version="1.0"?><!DOCTYPE svg><svg width="72pt" height="36pt" viewBox="0 0 72 36">
 <metadata>x</metadata><g id="figure_1"><path id="p1" d="M 1.2345 2.0 L 3.98 4.0"/>
 <text>0.25</text><use xlink:href="#p1" clip-path="url(#c1)"/><clipPath id="c1"/></g></svg>"""
    slimmed = slim(drawing, "lte", 'a "b"')
    assert re.findall(r'id="([^"]+)"', slimmed) == ["lte-p1", "lte-c1"]
    assert 'href="#lte-p1" clip-path="url(#lte-c1)"' in slimmed
    assert 'd="M 1.2 2 L 3.9 4"' in slimmed
    assert 'aria-label="a &quot;b&quot;"' in slimmed
    assert "max-width:96px" in slimmed
    assert "metadata" not in slimmed
    assert "<text>0.25</text>" in slimmed


def test_configuration_is_told_in_words() -> None:
    link = {"kind": "cellular", "level_mbps": 5.0, "file": None, "range": [1, 100], "list": ["0", "/2"]}
    assert described(link) == "cellular (level_mbps 5, range 1 to 100, list [0, /2])"
    assert described({"kind": "infinite", "packets": None}) == "infinite"
    assert described({"queue": {"packets": None}, "episode_ms": 30000.0}) == "episode_ms 30000"
