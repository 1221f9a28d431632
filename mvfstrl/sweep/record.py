"""sweep.json: which runs a sweep has, and where. docs/outputs.md has its form."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mvfstrl.errors import MvfstrlError
from mvfstrl.files import write_whole

FILE = "sweep.json"


class SweepError(MvfstrlError):
    """A sweep's folder that cannot be used."""


@dataclass
class Run:
    """One run of a sweep."""

    number: int
    folder: str
    """Below the sweep's own."""
    overrides: list[str]


@dataclass
class SweepRecord:
    sweeper: str
    launcher: str
    command: list[str]
    runs: list[Run] = field(default_factory=list)

    def number_for(self, overrides: Sequence[str]) -> int | None:
        """Of the run that an earlier start of the sweep had under these overrides."""
        return next((run.number for run in self.runs if run.overrides == list(overrides)), None)

    @property
    def next_number(self) -> int:
        return max((run.number for run in self.runs), default=-1) + 1

    def put(self, run: Run) -> None:
        self.runs = [*(known for known in self.runs if known.number != run.number), run]
        self.runs.sort(key=lambda known: known.number)

    def write(self, folder: Path) -> None:
        """Whole or not at all."""
        write_whole(folder / FILE, json.dumps(asdict(self), indent=2) + "\n")


def read_record(folder: Path) -> SweepRecord | None:
    """None: no sweep has been started there."""
    path = folder / FILE
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return SweepRecord(**content | {"runs": [Run(**run) for run in content["runs"]]})
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise SweepError(f"{path}: not the record of a sweep ({error})") from error


def number_of(folder: Path, subdir: str) -> int | None:
    """The number of the run in `subdir`; None where no sweep of ours knows of it."""
    record = read_record(folder)
    runs = [] if record is None else record.runs
    return next((run.number for run in runs if run.folder == subdir), None)
