"""The reports' pages in headless Chromium, from disk: they load without complaint, fit and show something."""

from __future__ import annotations

import html
import io
import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.image import imread
from rich.console import Console

from analysis.load import load
from analysis.report import write_study
from pantheon.report import write_report
from tests.report_data import write_folder

WIDTHS = (390, 1280)  # a phone, a desk

# Chromium's windows have a least width, frames have none: the page lies in a frame and tells the page around.
FRAME = """<!DOCTYPE html><title>frame</title><body style="margin:0">
<script>addEventListener("message", told => { document.documentElement.dataset.probe = told.data; });</script>
<iframe src="PAGE" width="WIDTH" height="2400" style="border:0"></iframe>
"""
PROBE = """
<script>
addEventListener("load", () => {
  const box = element => element.getBoundingClientRect();
  const scrolls = element => element.closest(".scroll, .film, nav, .symbols");
  const beyond = element => !scrolls(element) && box(element).right > innerWidth + 0.5;
  const drawings = [...document.querySelectorAll("figure > svg")];
  parent.postMessage(JSON.stringify({
    title: document.title,
    width: innerWidth,
    content: document.documentElement.scrollWidth,
    outside: [...document.querySelectorAll("body *")].filter(beyond).map(e => e.outerHTML.slice(0, 80)),
    broken: [...document.images].filter(image => !image.naturalWidth).map(image => image.src),
    drawings: drawings.length,
    flat: drawings.filter(e => box(e).height < 60 || box(e).width < 200).length,
    smallest: Math.min(...drawings.map(e => box(e).width / e.viewBox.baseVal.width)),
  }), "*");
});
</script>
"""


@dataclass(frozen=True)
class Visit:
    probe: dict[str, Any]
    complaints: list[str]
    """What the page wrote to the console."""
    picture: np.ndarray[Any, np.dtype[np.float32]]


@pytest.fixture(scope="module")
def chromium() -> str:
    for name in ("chromium", "chromium-browser", "google-chrome"):
        found = shutil.which(name)
        if found:
            return found
    pytest.skip("no Chromium (tools/setup.sh ci installs it)")


@pytest.fixture(scope="module", params=["test", "study"])
def page(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    console, folder = Console(file=io.StringIO()), tmp_path_factory.mktemp(request.param)
    if request.param == "test":
        return write_report(write_folder(folder, runs=4, flows=2), console)
    study = load(request.getfixturevalue("small_study"), series=True)
    return write_study(study, folder, console, default={})


def visit(chromium: str, page: Path, folder: Path, width: int) -> Visit:
    probed = page.with_name(f"probed-{width}.html")
    probed.write_text(
        page.read_text(encoding="utf-8").replace("</body>", f"{PROBE}</body>"), encoding="utf-8"
    )
    frame = page.with_name(f"frame-{width}.html")
    frame.write_text(FRAME.replace("PAGE", probed.name).replace("WIDTH", str(width)), encoding="utf-8")
    picture = folder / "page.png"
    common = [chromium, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
    common += [f"--user-data-dir={folder / 'profile'}", f"--window-size={width},2400"]
    common += ["--enable-logging=stderr", "--no-first-run", "--virtual-time-budget=5000"]
    dumped = _run([*common, "--dump-dom", frame.as_uri()])
    found = re.search(r'data-probe="([^"]*)"', dumped.stdout)
    assert found, dumped.stderr[-2000:]
    _run([*common, f"--screenshot={picture}", page.as_uri()])
    complaints = re.findall(r"CONSOLE[^\n]*", dumped.stderr)
    return Visit(json.loads(html.unescape(found[1])), complaints, imread(picture))


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=240)


@pytest.fixture(scope="module", params=WIDTHS)
def visited(
    request: pytest.FixtureRequest, chromium: str, page: Path, tmp_path_factory: pytest.TempPathFactory
) -> Visit:
    width: int = request.param
    made = visit(chromium, page, tmp_path_factory.mktemp("browser"), width)
    assert made.probe["width"] == width
    return made


def test_page_loads_whole_and_without_a_word_on_the_console(visited: Visit) -> None:
    assert visited.complaints == []
    assert visited.probe["broken"] == []


def test_nothing_runs_out_at_the_side(visited: Visit) -> None:
    assert visited.probe["outside"] == []
    assert visited.probe["content"] <= visited.probe["width"]


def test_figures_are_laid_out_and_large_enough_to_read(visited: Visit) -> None:
    assert visited.probe["drawings"] >= (7 if visited.probe["title"].startswith("Study") else 11)
    assert visited.probe["flat"] == 0
    assert 8.5 * visited.probe["smallest"] >= 8.0  # CSS pixels of the labels, which are 8.5 units high


def test_the_screen_is_not_blank(visited: Visit) -> None:
    grey = visited.picture[..., :3].mean(axis=2)
    assert grey.shape[1] == visited.probe["width"]
    dark = grey < 0.6
    assert 0.01 < dark.mean() < 0.5
    assert (dark.reshape(6, -1).mean(axis=1) > 0.002).all()  # something in each sixth of the height
