"""`env.action_delay_ms=from:FILE`: the delays of real answers, as real-time runs leave them.

They are read where the configuration is composed, and stand in it from then on: a run's record does not
depend on a file that may be gone.
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mvfstrl.errors import ConfigError

KEY = "env.action_delay_ms"
PREFIX = "from:"
FILE = "latency.parquet"
"""In the directory of a real-time run."""
COLUMN = "latency_ms"
LARGEST = 500
"""So many samples stand for a file that has more."""


def measured_delays(given: Any) -> Any:
    """`{from: FILE, samples: [...]}` in place of `from:FILE`; anything else as it is. Raises ConfigError."""
    if not isinstance(given, str) or not given.startswith(PREFIX):
        return given
    path = Path(given.removeprefix(PREFIX).strip()).expanduser()
    path = path / FILE if path.is_dir() else path
    return {"from": str(path), "samples": representatives(_read(path))}


def representatives(delays: NDArray[np.float64]) -> list[float]:
    """In order. Of many the quantiles in the middles of LARGEST equal shares: each was measured."""
    if len(delays) > LARGEST:
        shares = (np.arange(LARGEST) + 0.5) / LARGEST
        delays = np.quantile(delays, shares, method="inverted_cdf")
    return [round(float(delay), 4) for delay in np.sort(delays)]


def _read(path: Path) -> NDArray[np.float64]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.is_file():
        raise ConfigError(f"{KEY}: {path}: no such file{_instead(path)}")
    try:
        columns = pq.read_schema(path).names
        if COLUMN not in columns:
            near = difflib.get_close_matches(COLUMN, columns, n=1)
            meant = f" (did you mean {near[0]} by it?)" if near else ""
            raise ConfigError(f"{KEY}: {path}: has no column {COLUMN}{meant}, only {', '.join(columns)}")
        table = pq.read_table(path, columns=[COLUMN])
        delays = np.asarray(table[COLUMN].to_numpy(), np.float64)
    except (pa.ArrowException, OSError, ValueError, TypeError) as error:
        raise ConfigError(
            f"{KEY}: {path}: not a Parquet file of delays: {str(error).splitlines()[0]}"
        ) from error
    if not len(delays):
        raise ConfigError(f"{KEY}: {path}: has no row")
    wrong = np.flatnonzero(~(np.isfinite(delays) & (delays >= 0)))
    if len(wrong):
        what = f"{COLUMN} must be finite and at least 0"
        raise ConfigError(f"{KEY}: {path}: {what}, row {wrong[0]} has {delays[wrong[0]]:g}")
    return delays


def _instead(path: Path) -> str:
    """What the reader may have meant."""
    folder = path.parent
    if not folder.is_dir():
        return f", and no folder {folder}"
    there = sorted(file.name for file in folder.glob("*.parquet"))
    return f"; the folder has {', '.join(there[:5])}" if there else "; the folder has no Parquet file"
