"""`mode=report`: a test's results as one page, `report/index.html` in the test's folder, with its figures as
PNG and PDF beside it. The page needs nothing else: no network, no other file."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from mvfstrl.errors import ConfigError
from mvfstrl.files import write_whole
from pantheon.report.page import build, steps_of
from pantheon.report.source import RESULTS, read_source

if TYPE_CHECKING:
    from mvfstrl.config import Config
    from mvfstrl.rundir import RunDirectory

__all__ = ["report", "write_report"]


def report(cfg: Config, run: RunDirectory) -> None:
    """Tells the results that are in the run's folder anew."""
    if not (run.path / RESULTS).exists():
        rule = "mode=report needs a test's folder (hydra.run.dir=FOLDER), or a study's runs (runs=FOLDER)"
        raise ConfigError(f"hydra.run.dir: {rule}, and {run.path} has no {RESULTS}")
    write_report(run.path, Console())


def write_report(folder: Path, console: Console) -> Path:
    """Reads the results in `folder` and writes `folder`/report; returns the page's path."""
    source = read_source(folder)
    target = folder / "report"
    shutil.rmtree(target / "figures", ignore_errors=True)  # of schemes that are no longer among the results
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
    with Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=console) as progress:
        task = progress.add_task("report", total=float(steps_of(source)))

        def step(what: str) -> None:
            progress.update(task, description=f"report: {what}", advance=1.0)

        page = build(source, target, step)
        progress.update(task, description="report", completed=float(steps_of(source)))
    path = target / "index.html"
    write_whole(path, page.encode())
    console.print(f"report: {path}")
    return path
