"""Loads finished runs, wherever they are recorded, into one tidy set of frames.

    from analysis.load import load
    study = load(["outputs/my_sweep", "outputs/2026-11-22/12-00-00-impala-lte"])
    study.runs.groupby("agent.loss.discount")["score.reward"].mean()

docs/analysis.md lists frames and columns. As a command: python -m analysis.load --help
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from analysis.frames import study_of
from analysis.local import RUN_FILES, Parts, Place, Record, places, read_folder
from analysis.study import Study, StudyError, check

__all__ = ["Study", "StudyError", "check", "load"]

THREADS = 4
"""Reading is mostly the file system's and Arrow's work, which needs no interpreter lock."""


def load(
    paths: str | Path | Iterable[str | Path],
    *,
    metrics: bool = True,
    results: bool = True,
    series: bool = False,
) -> Study:
    """Runs at and below `paths`: run or sweep folders, or folders of those.

    What cannot be read is in `problems`, and everything else is there; only where no run is found at all, or
    a path does not exist, it is an error. `metrics`, `results` and `series` say which frames to fill.
    """
    given = [paths] if isinstance(paths, str | Path) else list(paths)
    if not given:
        raise StudyError("no path to load runs from")
    parts = Parts(metrics, results, series)
    problems: list[tuple[Path, str]] = []
    records = _folders(given, parts, problems)
    if not records:
        raise StudyError(_nothing(given, problems))
    study = study_of(records, [(str(folder), what) for folder, what in problems])
    check(study)
    return study


def _folders(paths: Sequence[str | Path], parts: Parts, problems: list[tuple[Path, str]]) -> list[Record]:
    roots = [Path(path).resolve() for path in paths]
    for path, root in zip(paths, roots, strict=True):
        if not root.is_dir():
            raise StudyError(f"{path}: " + ("not a folder" if root.exists() else "no such folder"))
    found: dict[Path, Place] = {}
    for root in roots:
        before = len(found), len(problems)
        found |= {place.folder: place for place in places(root, problems) if place.folder not in found}
        if before == (len(found), len(problems)):
            problems.append((root, "holds no run"))
    with ThreadPoolExecutor(THREADS) as pool:
        read = list(pool.map(lambda place: read_folder(place, parts), found.values()))
    base = Path(os.path.commonpath([root.parent for root in roots])) if roots else Path()
    records = []
    for place, record in zip(found.values(), read, strict=True):
        if record is None:
            problems.append((place.folder, "its config.yaml is not of this project"))
            continue
        _name(record, place, base)
        records.append(record)
    return records


def _name(record: Record, place: Place, base: Path) -> None:
    """Runs and sweeps are called by their path from above what was asked for: `my_sweep/3`."""
    facts = record.facts
    facts["run"] = place.folder.relative_to(base).as_posix()
    if place.sweep is not None:
        inside = place.sweep.is_relative_to(base) and place.sweep != base
        facts["sweep"] = place.sweep.relative_to(base).as_posix() if inside else place.sweep.name
    start = "env.scenarios."
    scenarios = dict.fromkeys(
        key[len(start) :].partition(".")[0] for key in record.config if key.startswith(start)
    )
    facts["scenarios"] = ",".join(scenarios) or None


def _nothing(paths: Sequence[str | Path], problems: Sequence[tuple[Path, str]]) -> str:
    files = ", ".join(sorted(RUN_FILES))
    told = next((f"; {folder}: {what}" for folder, what in problems if what != "holds no run"), "")
    return f"{', '.join(map(str, paths))}: no run here or below: no folder holds one of {files}{told}"
