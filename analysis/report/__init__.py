"""`mode=report runs=...`: a whole study as one page, `report/index.html` in the report's own folder, with its
figures as PNG and PDF beside it. The page needs nothing else: no network, no other file."""

from __future__ import annotations

import difflib
import glob
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from analysis.load import load
from analysis.local import flatten
from analysis.report.page import STEPS, build
from analysis.study import Study
from mvfstrl.errors import ConfigError
from mvfstrl.files import write_whole

if TYPE_CHECKING:
    from mvfstrl.config import Config
    from mvfstrl.rundir import RunDirectory

__all__ = ["report", "write_study"]

RESULTS = "results.parquet"


def report(cfg: Config, run: RunDirectory) -> None:
    """Tells the runs that `runs` names; the rest of the configuration is the baseline."""
    paths = folders(cfg.runs)
    if (run.path / RESULTS).exists():
        raise ConfigError(
            f"hydra.run.dir: {run.path} has a test's {RESULTS}, whose own page would be replaced; "
            "name another folder for the study's"
        )
    study = load(paths, series=True)
    write_study(study, run.path, Console(), default=flatten(asdict(cfg)))


def folders(runs: Any) -> list[str]:
    """`runs` as the user gives it: a folder, a list of folders, patterns of them."""
    given = [runs] if isinstance(runs, str) else runs
    if not isinstance(given, Sequence) or not given or not all(isinstance(path, str) for path in given):
        raise ConfigError(f"runs: must be a folder, a pattern or a list of them, got {runs!r}")
    found: list[str] = []
    for path in given:
        matches = [path] if Path(path).exists() else sorted(glob.glob(path))  # noqa: PTH207 - may be absolute
        if not matches:
            raise ConfigError(f"runs: no such folder: {path}{_nearest(path)}")
        found += matches
    return list(dict.fromkeys(found))


def _nearest(path: str) -> str:
    """The part of a path that is there, for a message."""
    above = next((p for p in Path(path).parents if p.is_dir()), None)
    if above is None or any(letter in path for letter in "*?["):
        return ""
    wanted = Path(path).relative_to(above).parts[0]
    near = difflib.get_close_matches(wanted, [p.name for p in above.iterdir() if p.is_dir()], n=3)
    return f" (did you mean {' or '.join(str(above / name) for name in near)}?)" if near else ""


def write_study(study: Study, folder: Path, console: Console, *, default: Mapping[str, Any]) -> Path:
    """Writes `folder`/report; returns the page's path. `default`: a configuration by dotted key, the baseline
    where the study has it."""
    target = folder / "report"
    shutil.rmtree(target / "figures", ignore_errors=True)  # those of an earlier page
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
    with Progress(*columns, TimeElapsedColumn(), console=console) as progress:
        task = progress.add_task("report", total=float(STEPS))

        def step(what: str) -> None:
            progress.update(task, description=f"report: {what[:60]}", advance=1.0)

        page = build(study, target, step, default)
        progress.update(task, description="report", completed=float(STEPS))
    path = target / "index.html"
    write_whole(path, page.encode())
    console.print(f"report: {path}")
    return path
