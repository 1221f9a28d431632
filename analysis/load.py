"""Loads finished runs, wherever they are recorded, into one tidy set of frames.

    from analysis.load import load
    study = load(["outputs/my_sweep", "outputs/2026-11-22/12-00-00-impala-lte"])
    study.runs.groupby("agent.loss.discount")["score.reward"].mean()

docs/analysis.md lists frames and columns. As a command: python -m analysis.load --help
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from analysis.frames import study_of
from analysis.local import RUN_FILES, Parts, Place, Record, places, read_folder
from analysis.study import Study, StudyError, check
from analysis.wandb_runs import PREFIX, Api, file_records, project_records
from mvfstrl.errors import MvfstrlError
from mvfstrl.files import write_whole

__all__ = ["Study", "StudyError", "check", "load", "main"]

THREADS = 4
"""Reading is mostly the file system's and Arrow's work, which needs no interpreter lock."""

FRAMES = ("runs", "metrics", "results", "series", "problems")
MEBIBYTE = 1024**2
USER_ERROR = 2


def load(
    paths: str | Path | Iterable[str | Path],
    *,
    metrics: bool = True,
    results: bool = True,
    series: bool = False,
    api: Api | None = None,
) -> Study:
    """The runs of `paths`: run folders, sweep folders, folders of those, patterns of them (`outputs/*-lte`),
    wandb's own files (`*.wandb`, or folders of them) and projects on wandb's server (`wandb:ENTITY/PROJECT`).

    What cannot be read is in `problems`, and everything else is there; only where no run is found at all, or
    a path does not exist, it is an error. `metrics`, `results` and `series` say which frames to fill. `api`
    stands for `wandb.Api()`.
    """
    given = [str(path) for path in ([paths] if isinstance(paths, str | Path) else paths)]
    if not given:
        raise StudyError("no path to load runs from")
    parts = Parts(metrics, results, series)
    problems: list[tuple[Path, str]] = []
    roots = [root for path in given if not path.startswith(PREFIX) for root in _roots(path)]
    records = _local_records(roots, parts, problems)
    for path in given:
        if path.startswith(PREFIX):
            records += project_records(path, parts, api)
    if not records:
        raise StudyError(_nothing(given, problems))
    _make_unique(records)
    study = study_of(records, [(str(folder), what) for folder, what in problems])
    check(study)
    return study


def _roots(path: str) -> list[Path]:
    if Path(path).exists():
        return [Path(path).resolve()]
    start = Path(path).anchor or "."
    found = sorted(Path(start).glob(str(Path(path).relative_to(start)))) if "*" in path else []
    if not found:
        raise StudyError(f"{path}: no such folder or file")
    return [name.resolve() for name in found if name.is_dir() or name.suffix == ".wandb"]


def _local_records(roots: Sequence[Path], parts: Parts, problems: list[tuple[Path, str]]) -> list[Record]:
    found: dict[Path, Place | Path] = {}
    for root in roots:
        before = len(problems)
        here = list(places(root, problems)) if root.is_dir() else [root]
        found |= {item.folder if isinstance(item, Place) else item: item for item in here}
        if not here and len(problems) == before:
            problems.append((root, "holds no run"))
    folders = [item for item in found.values() if isinstance(item, Place)]
    with ThreadPoolExecutor(THREADS) as pool:
        read = list(pool.map(lambda place: read_folder(place, parts), folders))
    records = []
    for place, record in zip(folders, read, strict=True):
        if record is None:
            problems.append((place.folder, "its config.yaml is not of this project"))
            continue
        _name(record, place, roots)
        records.append(record)
    files = [item for item in found.values() if isinstance(item, Path)]
    return records + file_records(files, parts, problems)


def _name(record: Record, place: Place, roots: Sequence[Path]) -> None:
    """Runs and sweeps are called by their path from above what was asked for: `my_sweep/3`."""
    base = Path(os.path.commonpath([root.parent for root in roots]))
    facts = record.facts
    facts["run"] = place.folder.relative_to(base).as_posix()
    if place.sweep is not None:
        inside = place.sweep.is_relative_to(base) and place.sweep != base
        facts["sweep"] = place.sweep.relative_to(base).as_posix() if inside else place.sweep.name


def _make_unique(records: Sequence[Record]) -> None:
    """The same run from two sources is two rows: the later one's name tells where it is from."""
    seen: set[str] = set()
    for record in records:
        name = record.facts["run"]
        if name in seen:
            name = record.facts["folder"]
        if name in seen:
            raise StudyError(f"{name}: asked for twice")
        seen.add(name)
        record.facts["run"] = name


def _nothing(paths: Sequence[str], problems: Sequence[tuple[Path, str]]) -> str:
    files = ", ".join(sorted(RUN_FILES))
    told = next((f"; {folder}: {what}" for folder, what in problems if what != "holds no run"), "")
    return f"{', '.join(paths)}: no run here or below: no folder holds one of {files}{told}"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m analysis.load",
        description="Says what runs there are and how they stand; with -o, writes one of their tables.",
    )
    parser.add_argument("paths", nargs="+", help="run or sweep folders, *.wandb files, wandb:ENTITY/PROJECT")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="FILE.parquet or FILE.csv")
    parser.add_argument(
        "--frame", choices=FRAMES, default="runs", help="the table that -o writes (%(default)s)"
    )
    asked = parser.parse_args(arguments)
    started = time.perf_counter()
    try:
        if asked.output is not None and asked.output.suffix not in (".parquet", ".csv"):
            raise StudyError(f"-o: {asked.output} ends neither in .parquet nor in .csv")
        study = load(asked.paths, series=asked.frame == "series")
        seconds = time.perf_counter() - started
        _tell(study, seconds)
        if asked.output is not None:
            _write(study, asked.frame, asked.output)
    except MvfstrlError as error:
        print(f"error: {error}", file=sys.stderr)
        return USER_ERROR
    return 0


def _tell(study: Study, seconds: float) -> None:
    states = study.runs["state"].value_counts().items()
    print(f"{len(study.runs)} runs: {', '.join(f'{count} {state}' for state, count in states)}")
    sizes = (f"{len(getattr(study, name))} rows of {name}" for name in FRAMES[1:4])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / MEBIBYTE
    print(f"{', '.join(sizes)}; {seconds:.1f} s, {peak:.0f} MiB at most")
    axes = study.varied()
    print(
        f"they differ in {', '.join(axes[:8]) or 'nothing but their seeds'}{', ...' if len(axes) > 8 else ''}"
    )
    for problem in study.problems.itertuples():
        print(f"problem: {problem.folder}: {problem.what}")


def _write(study: Study, frame: str, path: Path) -> None:
    table = getattr(study, frame)
    try:
        content = table.to_csv(index=False) if path.suffix == ".csv" else table.to_parquet(index=False)
        write_whole(path, content)
    except OSError as error:
        raise StudyError(f"-o: {path} cannot be written ({error.strerror})") from error
    print(f"{frame}: {path}")


if __name__ == "__main__":
    sys.exit(main())
