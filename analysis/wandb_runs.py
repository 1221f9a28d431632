"""Runs as wandb keeps them: its files on this machine, or a project on a server.

wandb holds what a tracker sent it: configuration, metrics and the closing test's table. What only the run's
folder knows (series, the state of a failed run, its error) is missing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import pyarrow as pa

from analysis.local import Parts, Record, flatten
from analysis.study import StudyError
from mvfstrl.trackers.wandb_files import WandbFile, WandbFileError, numbers, read_file

PREFIX = "wandb:"
TABLE = "test/comparison"
STATES = {
    "finished": "finished",
    "running": "running",
    "failed": "failed",
    "crashed": "failed",
    "killed": "failed",
}
THREADS = 16
"""Requests wait for the server."""


class Api(Protocol):
    """What is used of `wandb.Api`."""

    def runs(self, path: str) -> Iterable[Any]: ...


def project_records(project: str, parts: Parts, api: Api | None = None) -> list[Record]:
    """All runs of `ENTITY/PROJECT` (or `PROJECT`, of the account's own entity)."""
    name = project.removeprefix(PREFIX)
    if not name or name.count("/") > 1:
        raise StudyError(f"{project}: not wandb:ENTITY/PROJECT")
    try:
        runs = list((api or _api()).runs(name))
        with ThreadPoolExecutor(THREADS) as pool:
            return list(pool.map(lambda run: _project_record(name, run, parts), runs))
    except StudyError:
        raise
    except Exception as error:  # wandb raises half a dozen kinds: no key, no network, no such project
        raise StudyError(f"{project}: {_line(error)}") from error


def _api() -> Api:
    import wandb

    api: Api = wandb.Api(timeout=30)
    return api


def _project_record(project: str, run: Any, parts: Parts) -> Record:
    folder = f"{PREFIX}{project}/{run.id}"
    config = {key: value for key, value in dict(run.config).items() if not key.startswith("_")}
    record = Record(config=flatten(config) if config else {})
    record.facts = {
        "run": folder.removeprefix(PREFIX),
        "folder": folder,
        "sweep": run.group or None,
        "number": _number_of(run.tags),
        "state": STATES.get(run.state, "unknown"),
        "started_utc": run.created_at,
        "wall_s": run.summary.get("_wandb", {}).get("runtime"),
    }
    if record.facts["state"] == "failed":
        record.problems.append(f"wandb says: {run.state}")
    rows = list(run.scan_history()) if parts.metrics or parts.results else []
    if parts.metrics:
        record.metrics = metrics_table(rows)
    if parts.results and (table := _last_table(rows)) is not None:
        with TemporaryDirectory() as folder, run.file(table).download(root=folder) as file:
            record.results = results_table(json.load(file), record)
    return record


def file_records(paths: Sequence[Path], parts: Parts, problems: list[tuple[Path, str]]) -> list[Record]:
    """Runs of wandb's own files; those of one id are the starts of one run."""
    files = []
    for path in paths:
        try:
            files.append(read_file(path))
        except (OSError, WandbFileError) as error:
            problems.append((path, _line(error)))
    files.sort(key=lambda file: (file.id, file.started, str(file.path)))
    return [_file_record(list(starts), parts) for _, starts in groupby(files, lambda file: file.id)]


def _file_record(starts: Sequence[WandbFile], parts: Parts) -> Record:
    newest = starts[-1]
    code = newest.exit_code
    record = Record(config=flatten(newest.config) if newest.config else {})
    record.facts = {
        "run": newest.id,
        "folder": str(newest.path.parent),
        "sweep": newest.group or None,
        "number": _number_of(newest.tags),
        "state": "running" if code is None else "finished" if code == 0 else "failed",
        "starts": None,  # a training's test and artifacts have files of their own
        "started_utc": _utc(starts[0].started),
    }
    if code:
        record.problems.append(f"its program ended with status {code}")
    rows = [row for start in starts for row in start.rows]
    if parts.metrics:
        record.metrics = metrics_table(rows)
    if parts.results:
        for start in reversed(starts):
            if (table := _last_table(start.rows)) is not None:
                _add_local_table(start.path.parent / "files" / table, record)
                break
    return record


def _add_local_table(path: Path, record: Record) -> None:
    try:
        record.results = results_table(json.loads(path.read_text(encoding="utf-8")), record)
    except (OSError, ValueError) as error:
        record.problems.append(f"{path.name} cannot be read ({_line(error)})")


def metrics_table(rows: Iterable[Mapping[str, Any]]) -> pa.Table | None:
    """Of rows that have a step and a figure beside it. wandb's own columns (`_step`, ...) are left out."""
    kept = []
    for row in rows:
        figures = {key: value for key, value in numbers(row).items() if not key.startswith("_")}
        if "step" in figures and len(figures) > 1:
            kept.append(figures)
    columns = dict.fromkeys(key for row in kept for key in row)
    return (
        pa.table({c: pa.array([row.get(c) for row in kept], pa.float64()) for c in columns}) if kept else None
    )


def results_table(table: Mapping[str, Any], record: Record) -> pa.Table | None:
    """A wandb table of results.parquet's rows."""
    import pandas as pd

    from pantheon.results import KEYS, METRICS

    try:
        frame = pd.DataFrame(table["data"], columns=table["columns"])
        missing = [column for column in (*KEYS, *METRICS, "flow_scheme") if column not in frame.columns]
        if missing:
            raise ValueError(f"lacks the columns {', '.join(missing)}")
        return pa.Table.from_pandas(frame, preserve_index=False)
    except (ValueError, KeyError, TypeError, pa.ArrowException) as error:
        record.problems.append(f"{TABLE}: not a table of results ({_line(error)})")
        return None


def _last_table(rows: Sequence[Mapping[str, Any]]) -> str | None:
    """The newest comparison's file."""
    told = [row[TABLE] for row in rows if isinstance(row.get(TABLE), Mapping)]
    return str(told[-1]["path"]) if told and "path" in told[-1] else None


def _number_of(tags: Iterable[str]) -> int | None:
    numbers_ = [tag.removeprefix("run-") for tag in tags if tag.startswith("run-")]
    return next((int(number) for number in numbers_ if number.isdecimal()), None)


def _utc(seconds: float) -> str | None:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(seconds, UTC).isoformat() if seconds else None


def _line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
