"""What is loaded: a `Study`, tidy frames with a checked schema. docs/analysis.md lists the columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mvfstrl.errors import MvfstrlError
from pantheon.results import COLUMNS as RESULTS
from pantheon.results import GUARD, SERIES, SERIES_KEYS

FACTS: dict[str, str] = {
    "run": "string",
    "folder": "string",
    "sweep": "string",
    "number": "Int64",
    "state": "string",
    "scenarios": "string",
    "overrides": "string",
    "starts": "Int64",
    "started_utc": "datetime64[ns, UTC]",
    "wall_s": "float64",
    "steps": "Int64",
    "objective": "float64",
    "error": "string",
}
"""Columns of `Study.runs` that every run has, before its scores and its configuration, and their types."""

STATES = ("running", "finished", "failed", "interrupted", "pruned", "unknown")

NAMES = ("run", "scheme", "scenario", "flow_scheme")
"""Columns of few texts over many rows: they are categorical."""

WHOLE = {"seed": "uint64", "flow": "int32", "action": "int32"} | dict.fromkeys(
    ("steps", "skipped_observations", *GUARD[:-1]), "int64"
)

CONFIG_TYPES = ("boolean", "Int64", "float64", "string")


class StudyError(MvfstrlError):
    """Runs that cannot be loaded, or frames that are not what docs/analysis.md says."""


@dataclass
class Study:
    """Any number of runs, in frames that join on `run`."""

    runs: pd.DataFrame
    """A row a run: facts, `score.*`, then its configuration by dotted key (`agent.loss.discount`)."""
    metrics: pd.DataFrame
    """A row a run and step, a column a metric; NaN where a run or row lacks it."""
    results: pd.DataFrame
    """results.parquet of all runs: a row a flow of every evaluated episode, and its `run`."""
    series: pd.DataFrame
    """series.parquet of all runs, where it was asked for."""
    problems: pd.DataFrame
    """What could not be read, and what failed: `folder`, `what`."""

    @property
    def config_columns(self) -> list[str]:
        return [c for c in self.runs.columns if c not in FACTS and not c.startswith("score.")]

    def varied(self, *, ignore: Sequence[str] = ("seed",)) -> list[str]:
        """The configuration columns in which the runs differ: a sweep's axes. Where a key says nothing for
        some runs, that is a difference too."""
        columns = [c for c in self.config_columns if c not in ignore]
        return [c for c in columns if self.runs[c].nunique(dropna=False) > 1]

    def labelled(self, frame: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
        """`frame` (metrics, results or series) with columns of `runs` joined to it by `run`. One that `frame`
        has itself, as the results have a `seed`, is prefixed with `run.`."""
        missing = [column for column in columns if column not in self.runs.columns]
        if missing:
            raise StudyError(f"{missing[0]}: the runs have no such column")
        codes = self.runs.set_index("run")
        joined = {f"run.{c}" if c in frame.columns else c: frame["run"].astype("string") for c in columns}
        return frame.assign(
            **{
                new: run.map(codes[c]).astype(codes[c].dtype)
                for c, (new, run) in zip(columns, joined.items(), strict=True)
            }
        )


def check(study: Study) -> None:
    """Raises, naming frame and column, unless the frames have the form of docs/analysis.md."""
    _check_runs(study.runs)
    ids = set(study.runs["run"])
    _require("problems", study.problems, {"folder": "string", "what": "string"})
    _require("metrics", study.metrics, {"run": "category", "step": "int64"})
    _check_keys("metrics", study.metrics, ["run", "step"], ids)
    numbers = dict.fromkeys((c for c in study.metrics.columns if c not in ("run", "step")), "float64")
    _require("metrics", study.metrics, numbers)
    _require("results", study.results, types_of(RESULTS))
    _check_keys("results", study.results, ["run", "scheme", "scenario", "seed", "flow"], ids)
    _require("series", study.series, types_of((*SERIES_KEYS, *SERIES)))
    _check_keys("series", study.series, ["run", "scheme", "scenario", "seed", "flow", "time_ms"], ids)


def types_of(columns: Sequence[str]) -> dict[str, str]:
    """Of a frame of results or series, its `run` included."""
    types = {name: "category" if name in NAMES else WHOLE.get(name, "float64") for name in columns}
    return {"run": "category"} | types


def _check_runs(runs: pd.DataFrame) -> None:
    _require("runs", runs, FACTS)
    if runs["run"].isna().any() or runs["run"].duplicated().any():
        raise StudyError("runs: two rows have the same run, or one has none")
    if odd := set(runs["state"]) - set(STATES):
        raise StudyError(f"runs: state is one of {', '.join(STATES)}, not {sorted(map(str, odd))[0]}")
    for column in runs.columns:
        if column in FACTS:
            continue
        kind = str(runs[column].dtype)
        if kind not in (("float64",) if column.startswith("score.") else CONFIG_TYPES):
            raise StudyError(f"runs: {column} has type {kind}")


def _require(frame: str, table: pd.DataFrame, types: dict[str, str]) -> None:
    for column, kind in types.items():
        if column not in table.columns:
            raise StudyError(f"{frame}: lacks the column {column}")
        if str(table[column].dtype) != kind:
            raise StudyError(f"{frame}: {column} has type {table[column].dtype}, not {kind}")


def _check_keys(frame: str, table: pd.DataFrame, keys: list[str], ids: set[str]) -> None:
    if strangers := set(table["run"].cat.categories) - ids:
        raise StudyError(f"{frame}: run {sorted(strangers)[0]} is not among the runs")
    if table["run"].isna().any() or table[keys].duplicated().any():
        raise StudyError(f"{frame}: two rows have the same {', '.join(keys)}")


def last_attempt_wins(steps: np.ndarray) -> np.ndarray:
    """Which of a run's rows stand, in the order they were written. A run that is started again goes back to
    its checkpoint and writes what follows anew: a row stands if no later one has its step or a smaller."""
    later = np.minimum.accumulate(steps[::-1])[::-1]
    stands = np.ones(len(steps), dtype=bool)
    stands[:-1] = steps[:-1] < later[1:]
    return stands
