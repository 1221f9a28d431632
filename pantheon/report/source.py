"""What a report is made of: the files of a test's folder, read and checked."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from pantheon.results import SERIES, SERIES_KEYS, ResultsError, read_results, read_table

RESULTS, TIME_SERIES = "results.parquet", "series.parquet"
SERIES_COLUMNS = (*SERIES_KEYS, *SERIES)


@dataclass(frozen=True)
class Source:
    """A test's results. Schemes and scenarios are in the order of the results."""

    folder: Path
    results: pd.DataFrame
    series: pd.DataFrame
    """Without rows where the test recorded none."""
    config: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, Any] = field(default_factory=dict)

    @property
    def observed(self) -> pd.DataFrame:
        """The rows of the flows under test."""
        return self.results[self.results["flow"] == 0]

    @property
    def schemes(self) -> list[str]:
        return list(self.observed["scheme"].unique())

    @property
    def scenarios(self) -> list[str]:
        return list(self.results["scenario"].unique())

    def flows_in(self, scenario: str) -> int:
        return int(self.results.loc[self.results["scenario"] == scenario, "flow"].nunique())

    def run_of(self, scheme: str, scenario: str) -> pd.DataFrame:
        """The recorded series of the first run: all flows, all windows."""
        rows = self.series[(self.series["scheme"] == scheme) & (self.series["scenario"] == scenario)]
        return rows[rows["seed"] == rows["seed"].iloc[0]] if len(rows) else rows

    @property
    def actions(self) -> list[str]:
        """What each action's number stands for."""
        return [str(choice) for choice in self.config.get("actions", {}).get("choices", [])]

    def scenario_config(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.config.get("env", {}).get("scenarios", {}).get(name) or {}
        return found


def read_source(folder: Path) -> Source:
    """Reads results.parquet, and beside it series.parquet, config.yaml and versions.json where they are."""
    path = folder / RESULTS
    results = read_results(path)
    if results.empty:
        raise ResultsError(f"{path}: no rows, nothing to report")
    if not (results["flow"] == 0).any():
        raise ResultsError(f"{path}: no row of flow 0, the one that is compared")
    return Source(folder, results, read_series(folder / TIME_SERIES), *_records(folder))


def read_series(path: Path) -> pd.DataFrame:
    if not path.exists():
        return pd.DataFrame(columns=list(SERIES_COLUMNS))
    return read_table(path, "series file", SERIES_COLUMNS)


def _records(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    config, versions = folder / "config.yaml", folder / "versions.json"
    return _mapping(config, yaml.safe_load), _mapping(versions, json.loads)


def _mapping(path: Path, parse: Any) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        content = parse(path.read_text(encoding="utf-8"))
    except (ValueError, yaml.YAMLError) as error:
        raise ResultsError(f"{path}: not readable ({error})") from error
    if not isinstance(content, dict):
        raise ResultsError(f"{path}: holds no mapping")
    return content
