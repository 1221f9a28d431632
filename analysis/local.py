"""Run folders: which there are below a path, and what is in one."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.json
import pyarrow.parquet
import yaml

from analysis.study import STATES
from pantheon.results import KEYS, METRICS, SERIES, SERIES_KEYS

RUN_FILES = frozenset(("config.yaml", "outcome.json", "metrics.jsonl", "metrics.parquet", "results.parquet"))
SWEEP_FILES = frozenset(("sweep.json", "multirun.yaml"))
OURS = frozenset(("mode", "agent", "env"))
"""What a configuration of this project has at its first level, whatever its age."""


@dataclass(frozen=True)
class Place:
    """A run's folder, and the sweep's in which it lies."""

    folder: Path
    sweep: Path | None = None
    number: int | None = None


@dataclass
class Record:
    """What was read of one run, from wherever."""

    facts: dict[str, Any] = field(default_factory=dict)
    scores: dict[str, float] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    metrics: pa.Table | None = None
    results: pa.Table | None = None
    series: pa.Table | None = None
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Parts:
    """What to read beside configuration and outcome."""

    metrics: bool = True
    results: bool = True
    series: bool = False


def places(path: Path, problems: list[tuple[Path, str]]) -> Iterator[Place | Path]:
    """The run folders at and below `path`, in the order of their numbers and names, and wandb's files outside
    of them. Hidden folders and links are left alone, and so is what lies in a run's folder."""
    in_sweep = any((path.parent / name).is_file() for name in SWEEP_FILES)
    yield from _below(path, path.parent if in_sweep else None, problems)


def _below(folder: Path, sweep: Path | None, problems: list[tuple[Path, str]]) -> Iterator[Place | Path]:
    try:
        entries = list(os.scandir(folder))
    except OSError as error:
        problems.append((folder, f"cannot be read ({error.strerror})"))
        return
    names = {entry.name for entry in entries}
    if names & RUN_FILES:
        number = int(folder.name) if sweep is not None and folder.name.isdecimal() else None
        yield Place(folder, sweep, number)
        return
    if found := sorted(name for name in names if name.endswith(".wandb")):
        yield from (folder / name for name in found)
        return
    if names & SWEEP_FILES:
        sweep = folder
    if "sweep.json" in names:
        _note_unstarted(folder, problems)
    for entry in sorted(entries, key=lambda entry: _natural(entry.name)):
        if not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False):
            yield from _below(Path(entry.path), sweep, problems)


def _note_unstarted(sweep: Path, problems: list[tuple[Path, str]]) -> None:
    """Of the runs that sweep.json lists, those that have left nothing."""
    try:
        listed = json.loads((sweep / "sweep.json").read_text(encoding="utf-8"))["runs"]
        folders = [sweep / run["folder"] for run in listed]
    except (OSError, ValueError, TypeError, KeyError) as error:
        problems.append((sweep, f"sweep.json is not a sweep's list of runs ({error})"))
        return
    for folder in folders:
        if not any((folder / name).exists() for name in RUN_FILES):
            problems.append((folder, "listed in sweep.json, and not started"))


def _natural(name: str) -> list[tuple[int, str]]:
    """9 before 10."""
    return [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", name)]


def read_folder(place: Place, parts: Parts) -> Record | None:
    """Whatever of a run can be read; what cannot is among its problems. None: not of this project."""
    record = Record(facts={"folder": str(place.folder), "number": place.number, "state": "unknown"})
    if not _read_config(place.folder, record):
        return None
    _read_outcome(place.folder, record)
    if parts.metrics:
        record.metrics = _read_metrics(place.folder, record)
        if record.metrics is None and record.config.get("mode") == "train":
            record.problems.append("no metrics")
    if parts.results:
        record.results = _read_parquet(
            place.folder / "results.parquet", record, (*KEYS, *METRICS, "flow_scheme")
        )
    if parts.series:
        record.series = _read_parquet(place.folder / "series.parquet", record, (*SERIES_KEYS, *SERIES))
    return record


def _read_config(folder: Path, record: Record) -> bool:
    try:
        record.config = flat_yaml((folder / "config.yaml").read_text(encoding="utf-8"))
    except FileNotFoundError:
        record.problems.append("no config.yaml")
    except (OSError, ValueError, yaml.YAMLError) as error:
        record.problems.append(f"config.yaml cannot be read ({_line(error)})")
    else:
        return {key.partition(".")[0] for key in record.config} >= OURS
    return any((folder / name).exists() for name in RUN_FILES - {"config.yaml"}) or bool(record.problems)


def _read_outcome(folder: Path, record: Record) -> None:
    facts = record.facts
    try:
        outcome = json.loads((folder / "outcome.json").read_text(encoding="utf-8"))
        facts |= outcome_facts(outcome, facts["number"])
        record.scores = {name: float(value) for name, value in outcome["scores"].items() if value is not None}
    except FileNotFoundError:
        facts["state"] = _state_of_old(folder, record.config)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        record.problems.append(f"outcome.json cannot be read ({_line(error)})")
    if facts.get("error"):
        record.problems.append(f"{facts['state']}: {facts['error']}")


def outcome_facts(outcome: dict[str, Any], number: int | None) -> dict[str, Any]:
    if outcome["state"] not in STATES:
        raise ValueError(f"state {outcome['state']!r}")
    objective = outcome["objective"]
    started, ended = outcome["started_utc"], outcome["ended_utc"]
    error = outcome["error"]
    told = (outcome.get("sweep") or {}).get("number")
    return {
        "state": outcome["state"],
        "number": number if told is None else told,
        "overrides": " ".join(outcome["overrides"]),
        "starts": outcome["starts"],
        "started_utc": started or None,
        "wall_s": seconds_between(started, ended),
        "objective": (objective or [None])[0] if isinstance(objective, list) else objective,
        "error": None if error is None else f"{error['kind']}: {error['message']}",
    }


def seconds_between(started: str | None, ended: str | None) -> float | None:
    if not started or not ended:
        return None
    return (datetime.fromisoformat(ended) - datetime.fromisoformat(started)).total_seconds()


def _state_of_old(folder: Path, config: dict[str, Any]) -> str:
    """Of a folder from before outcome.json: finished, where its last file is there."""
    if config.get("mode") == "train" and not config.get("test_after_train", True):
        last = "policy.pt"
    elif config.get("mode") in ("train", "test", "test_local"):
        last = "results.parquet"
    else:
        return "unknown"
    return "finished" if (folder / last).exists() else "unknown"


def _read_metrics(folder: Path, record: Record) -> pa.Table | None:
    """Of metrics.jsonl, the run's own record, or of its copy where only that was kept."""
    path = folder / "metrics.jsonl"
    try:
        return pa.json.read_json(path, read_options=pa.json.ReadOptions(use_threads=False))
    except FileNotFoundError:
        return _read_parquet(folder / "metrics.parquet", record, ("step",))
    except (OSError, pa.ArrowInvalid):  # empty, torn, or with rows of another kind: line by line, then
        return _read_lines(path, record)


def _read_lines(path: Path, record: Record) -> pa.Table | None:
    rows, bad = [], 0
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True):
        try:
            row = json.loads(line)
            int(row["step"])
            rows.append(row)
        except (ValueError, TypeError, KeyError):
            bad += line.endswith("\n")  # without one it is being written
    if bad:
        record.problems.append(f"metrics.jsonl: {bad} of {bad + len(rows)} rows cannot be read")
    columns = dict.fromkeys(key for row in rows for key in row)
    numbers = {c: [_number(row.get(c)) for row in rows] for c in columns}
    return pa.table({c: pa.array(v, pa.float64()) for c, v in numbers.items()}) if rows else None


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _read_parquet(path: Path, record: Record, needed: Sequence[str]) -> pa.Table | None:
    try:
        table = pa.parquet.ParquetFile(path).read(use_threads=False)
    except FileNotFoundError:
        return None
    except (OSError, pa.ArrowException) as error:
        record.problems.append(f"{path.name} cannot be read ({_line(error)})")
        return None
    if missing := [column for column in needed if column not in table.column_names]:
        record.problems.append(f"{path.name} lacks the columns {', '.join(missing)}")
        return None
    return table


def flat_yaml(text: str) -> dict[str, Any]:
    """A configuration by dotted key. The runs of a sweep share most of their text: each section that begins
    at a line's start is read once."""
    starts = [match.start() for match in re.finditer(r"^[A-Za-z_]\w*:", text, re.MULTILINE)]
    try:
        if not starts or text[: starts[0]].strip() or re.search(r"^<<|[&*]\w+$", text, re.MULTILINE):
            raise yaml.YAMLError
        flat: dict[str, Any] = {}
        for start, end in zip(starts, [*starts[1:], len(text)], strict=True):
            flat.update(_flat_section(text[start:end]))
        return flat
    except yaml.YAMLError:  # a form of YAML that this program does not write
        return flatten(yaml.load(text, yaml.CSafeLoader))


@lru_cache(maxsize=4096)
def _flat_section(text: str) -> tuple[tuple[str, Any], ...]:
    return tuple(flatten(yaml.load(text, yaml.CSafeLoader)).items())


def flatten(value: Any, prefix: str = "") -> dict[str, Any]:
    """Nested mappings by dotted key; a list is one value, as JSON."""
    if not isinstance(value, dict):
        if not prefix:
            raise ValueError("not a mapping")
        return {
            prefix: json.dumps(value) if isinstance(value, Sequence) and not isinstance(value, str) else value
        }
    flat: dict[str, Any] = {}
    for key, item in value.items():
        flat |= flatten(item, f"{prefix}.{key}" if prefix else str(key))
    return flat


def _line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
