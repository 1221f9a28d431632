"""Records of single runs, put together to a study's frames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from analysis.local import Record
from analysis.study import FACTS, Study, last_attempt_wins, types_of
from pantheon.results import COLUMNS as RESULTS
from pantheon.results import GUARD, METRICS, SERIES, SERIES_KEYS

SCORES = (*METRICS, "queue_delay_mean_ms", "queue_delay_p95_ms")


def study_of(records: Sequence[Record], problems: Sequence[tuple[str, str]]) -> Study:
    names = [record.facts["run"] for record in records]
    for record in records:
        record.facts["scenarios"] = _scenarios_of(record.config)
    metrics = _metrics_frame(records, names)
    results = _joined([record.results for record in records], names, RESULTS)
    series = _joined([record.series for record in records], names, (*SERIES_KEYS, *SERIES))
    _score_old(records, results)
    told = [*problems, *((record.facts["folder"], what) for record in records for what in record.problems)]
    return Study(
        runs=_runs_frame(records, metrics),
        metrics=metrics,
        results=results,
        series=series,
        problems=pd.DataFrame(told, columns=["folder", "what"], dtype="string"),
    )


def _scenarios_of(config: dict[str, Any]) -> str | None:
    start = "env.scenarios."
    return (
        ",".join(dict.fromkeys(k[len(start) :].split(".")[0] for k in config if k.startswith(start))) or None
    )


def _runs_frame(records: Sequence[Record], metrics: pd.DataFrame) -> pd.DataFrame:
    columns: dict[str, pd.Series[Any]] = {}
    for name, kind in FACTS.items():
        values = [record.facts.get(name) for record in records]
        if kind.startswith("datetime"):
            times = pd.Series(values, dtype="object")
            columns[name] = pd.to_datetime(times, utc=True, errors="coerce").dt.as_unit("ns")
        else:
            columns[name] = pd.Series(values, dtype=kind)
    if len(metrics):
        last = metrics.groupby("run", observed=True)["step"].max()
        columns["steps"] = columns["run"].map(last).astype("Int64")
    for name in dict.fromkeys(name for record in records for name in record.scores):
        values = [record.scores.get(name) for record in records]
        columns[f"score.{name}"] = pd.Series(values, dtype="float64")
    for key in dict.fromkeys(key for record in records for key in record.config):
        column = f"config.{key}" if key in FACTS else key
        columns[column] = _typed([record.config.get(key) for record in records])
    return pd.DataFrame(columns)


def _typed(values: list[Any]) -> pd.Series[Any]:
    """The narrowest type that says them all: boolean, Int64, float64 or string."""
    kinds = {type(value) for value in values if value is not None}
    if kinds == {bool}:
        return pd.Series(values, dtype="boolean")
    if kinds == {int}:
        return pd.Series(values, dtype="Int64")
    if kinds <= {int, float}:
        return pd.Series(values, dtype="float64")
    texts = [value if value is None or isinstance(value, str) else _plain(value) for value in values]
    return pd.Series(texts, dtype="string")


def _plain(value: Any) -> str:
    """As YAML writes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _metrics_frame(records: Sequence[Record], names: list[str]) -> pd.DataFrame:
    tables, owners = [], []
    for index, record in enumerate(records):
        table = None if record.metrics is None else _numbers(record.metrics)
        if table is None or not len(table):
            continue
        tables.append(table)
        owners.append(np.full(len(table), index, dtype=np.int32))
    if not tables:
        return pd.DataFrame({"run": pd.Categorical([], names), "step": np.array([], dtype=np.int64)})
    whole = pa.concat_tables(tables, promote_options="default")
    tables.clear()
    frame: pd.DataFrame = whole.to_pandas(split_blocks=True, self_destruct=True)
    frame.insert(
        0,
        "run",
        pd.Series(pd.Categorical.from_codes(np.concatenate(owners), pd.Index(names)), index=frame.index),
    )
    return frame


def _numbers(table: pa.Table) -> pa.Table | None:
    """Steps and numeric columns, of the rows that stand; None where no column tells the step."""
    if "step" not in table.column_names:
        return None
    columns = {"step": pc.cast(table["step"], pa.int64(), safe=False)}
    for name in table.column_names:
        kind = table.schema.field(name).type
        if name != "step" and (
            pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_null(kind)
        ):
            columns[name] = table[name] if pa.types.is_float64(kind) else pc.cast(table[name], pa.float64())
    table = pa.table(columns)
    stands = last_attempt_wins(table["step"].to_numpy())
    return table if stands.all() else table.filter(pa.array(stands))


def _joined(tables: Sequence[pa.Table | None], names: list[str], columns: Sequence[str]) -> pd.DataFrame:
    """One frame of all tables. Columns that older files lack are NaN, but 0 where nothing guarded a flow."""
    types = types_of(columns)
    present = [(index, table) for index, table in enumerate(tables) if table is not None and len(table)]
    if not present:
        return pd.DataFrame({name: pd.Series([], dtype=kind) for name, kind in types.items()})
    texts = [name for name, kind in types.items() if kind == "category" and name != "run"]
    parts = []
    for _, table in present:
        table = table.select([column for column in columns if column in table.column_names])
        for text in (t for t in texts if t in table.column_names):
            if not pa.types.is_dictionary(table.schema.field(text).type):
                column = pc.dictionary_encode(table[text])
                table = table.set_column(table.column_names.index(text), text, column)
        parts.append(table.replace_schema_metadata(None))
    whole = pa.concat_tables(parts, promote_options="permissive").unify_dictionaries()
    frame: pd.DataFrame = whole.to_pandas(split_blocks=True, self_destruct=True)
    owners = np.repeat([index for index, _ in present], [len(table) for _, table in present])
    frame.insert(0, "run", pd.Series(pd.Categorical.from_codes(owners, pd.Index(names)), index=frame.index))
    for column in (c for c in columns if c not in frame.columns):
        frame[column] = np.nan
    guard = [column for column in GUARD if column in columns]
    frame[guard] = frame[guard].fillna(0)
    return frame[["run", *columns]].astype({c: k for c, k in types.items() if str(frame[c].dtype) != k})


def _score_old(records: Sequence[Record], results: pd.DataFrame) -> None:
    """What outcome.json says of newer runs, by the same rule: the agent's means over the scenarios, each
    weighing the same. Its objective is the default one, the reward."""
    by_run = {record.facts["run"]: record for record in records if not record.scores}
    own = results[(results["flow"] == 0) & results["run"].isin(list(by_run))]
    agents = {run: record.config.get("agent.name") for run, record in by_run.items()}
    own = own[own["scheme"].astype("string") == own["run"].astype("string").map(agents).astype("string")]
    if own.empty:
        return
    means = (
        own.groupby(["run", "scenario"], observed=True)[list(SCORES)]
        .mean()
        .groupby("run", observed=True)
        .mean()
    )
    for run, scores in means.iterrows():
        record = by_run[str(run)]
        record.scores = {str(name): float(value) for name, value in scores.items()}
        if record.facts.get("objective") is None and record.facts["state"] in ("finished", "unknown"):
            record.facts["objective"] = record.scores["reward"]
