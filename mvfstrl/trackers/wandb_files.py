"""Reads wandb's own files of a run, `run-ID.wandb`: no server, no account, no running wandb.

A file is a LevelDB log (blocks of 32 KiB, records in parts) of protobuf records. Each start of a run has a
file of its own; those of one id belong together.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mvfstrl.errors import MvfstrlError

MAGIC = b":W&B"
FILE_HEADER = 7
BLOCK = 32768
PART = struct.Struct("<IHB")  # checksum, length, kind
FULL, FIRST, LAST = 1, 2, 4


class WandbFileError(MvfstrlError):
    """A file that wandb has not written."""


@dataclass
class WandbFile:
    """What one start of a run left."""

    path: Path
    id: str = ""
    project: str = ""
    name: str = ""
    group: str = ""
    tags: list[str] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)
    """In the order of logging, without wandb's own columns (`_step`, `_timestamp`, ...)."""
    count: int = 0
    """Of rows as wandb numbers them: one more than the last one's `_step`."""
    system: list[dict[str, float]] = field(default_factory=list)
    """Figures of processor and memory, by wandb's names."""
    artifacts: list[tuple[str, str, list[str]]] = field(default_factory=list)
    """Type, name and aliases."""
    started: float = 0.0
    exit_code: int | None = None
    """None: the program was killed before it could say, or runs."""


def files_below(folder: Path) -> list[Path]:
    """Of all starts below `folder`, oldest first: their folders are named by the time."""
    return sorted(folder.rglob("*run-*/run-*.wandb"), key=lambda path: path.parent.name.partition("run-")[2])


def read_file(path: Path) -> WandbFile:
    """All that can be read: the end of a killed run's file is torn."""
    run = WandbFile(path)
    for record in _records(path):
        kind = record.WhichOneof("record_type")
        content = getattr(record, kind)
        if kind == "run":
            run.id, run.project, run.name = content.run_id, content.project, content.display_name
            run.group, run.tags = content.run_group, list(content.tags)
            run.started = content.start_time.seconds + content.start_time.nanos / 1e9
            _update(run.config, content.config.update)
        elif kind == "config":
            _update(run.config, content.update)
        elif kind == "history":
            row: dict[str, Any] = {}
            _update(row, content.item)
            run.count = max(run.count, int(row.get("_step", -1)) + 1)
            run.rows.append({key: value for key, value in row.items() if not key.startswith("_")})
        elif kind == "stats":
            run.system.append({item.key: json.loads(item.value_json) for item in content.item})
        elif kind == "artifact":
            run.artifacts.append((content.type, content.name, list(content.aliases)))
        elif kind == "exit":
            run.exit_code = content.exit_code
    run.config.pop("_wandb", None)
    if not run.id:
        raise WandbFileError(f"{path}: no run in it")
    return run


def logged_before(folder: Path, run_id: str) -> tuple[int, int]:
    """By all files of a run below `folder`: the latest `step`, -1 for none, and how far wandb has counted."""
    latest, count = -1, 0
    for path in files_below(folder):
        if path.name == f"run-{run_id}.wandb":
            try:
                file = read_file(path)
            except WandbFileError:
                continue
            latest = max([latest, *(int(row["step"]) for row in file.rows if "step" in row)])
            count = max(count, file.count)
    return latest, count


def _records(path: Path) -> Iterator[Any]:
    from wandb.proto import wandb_internal_pb2

    data = path.read_bytes()
    if not data.startswith(MAGIC):
        raise WandbFileError(f"{path}: not a file of wandb's")
    position, whole = FILE_HEADER, b""
    while position + PART.size <= len(data):
        left = BLOCK - position % BLOCK
        if left < PART.size:
            position += left
            continue
        _, length, kind = PART.unpack_from(data, position)
        if kind == 0 and length == 0:  # padding
            position += left
            continue
        start = position + PART.size
        if start + length > len(data):
            return
        whole = (b"" if kind in (FULL, FIRST) else whole) + data[start : start + length]
        position = start + length
        if kind in (FULL, LAST):
            record = wandb_internal_pb2.Record()  # type: ignore[attr-defined]
            try:
                record.ParseFromString(whole)
            except Exception as error:
                raise WandbFileError(f"{path}: damaged at byte {start}") from error
            if record.WhichOneof("record_type") is not None:
                yield record


def _update(target: dict[str, Any], items: Any) -> None:
    for item in items:
        keys = list(item.nested_key) or [item.key]
        below = target
        for key in keys[:-1]:
            inner = below.setdefault(key, {})
            below = inner if isinstance(inner, dict) else {}
        value = json.loads(item.value_json)
        below[keys[-1]] = value


def numbers(row: Mapping[str, Any]) -> dict[str, float]:
    """A row's figures: neither pictures nor tables."""
    return {
        key: float(value)
        for key, value in row.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
