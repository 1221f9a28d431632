"""metrics.jsonl: the run's own record, whatever tracker it has beside it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import pandas as pd

from mvfstrl.files import write_whole


class MetricsLog:
    """Appends rows to a JSON-lines file. A row is on its way to the disk when `append` returns."""

    def __init__(self, path: Path, *, after: int | None = None) -> None:
        self.path = path
        _repair(path, after)
        self._file = path.open("a", encoding="utf-8")

    def append(self, metrics: Mapping[str, Any], step: int) -> None:
        row = {"step": step, **{key: plain(value) for key, value in metrics.items()}}
        self._file.write(json.dumps(row, allow_nan=False) + "\n")
        self._file.flush()

    def to_parquet(self) -> Path:
        """Writes all rows, those of earlier starts included, beside the log; a column a metric."""
        target = self.path.with_suffix(".parquet")
        write_whole(target, pd.DataFrame(list(read_metrics(self.path))).to_parquet(index=False))
        return target

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> MetricsLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def read_metrics(path: Path) -> Iterator[dict[str, Any]]:
    """The whole rows of a log, in order. A row cut short by a crash can only be the last: it is left out."""
    if not path.exists():
        return
    with path.open(encoding="utf-8") as file:
        for line in file:
            if line.endswith("\n"):
                yield json.loads(line)


def _repair(path: Path, after: int | None) -> None:
    """Drops a torn last row, and the rows later than step `after`."""
    if not path.exists():
        return
    kept = [row for row in read_metrics(path) if after is None or row["step"] <= after]
    write_whole(path, "".join(json.dumps(row) + "\n" for row in kept))


def plain(value: Any) -> Any:
    """Numbers of numpy and torch as Python's; what JSON cannot say (NaN, infinity) as null."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value
