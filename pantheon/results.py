"""The results: one row a flow of every evaluated episode, one row a window of some of them, and summaries.

`scheme` is the entry under test, which drives flow 0, the observed one and the only one with a reward;
`flow_scheme` is what drives the row's flow. Files are written whole or not at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from mvfstrl._native import GUARD_REASONS
from mvfstrl.errors import MvfstrlError
from mvfstrl.files import write_whole
from pantheon.metrics import Interval, bootstrap_mean

METRICS = (
    "reward",
    "throughput_mbps",
    "utilisation",
    "delay_mean_ms",
    "delay_p95_ms",
    "loss",
    "queue_loss",
)
REALTIME = (
    "late",
    "lateness_p99_ms",
    "sender_late_p99_ms",
    "receiver_late_p99_ms",
    "handshake_ms",
    "decision_latency_p50_ms",
    "decision_latency_p99_ms",
    "replayed",
)
"""Further columns of episodes that were played in real time."""
KEYS = ("scheme", "scenario", "seed", "flow")
REWARD_TERMS = ("reward_throughput", "reward_delay", "reward_loss")
"""What `reward` is the sum of; NaN where it was not recorded, as that of what is computed and not played."""
EXTRA = ("queue_delay_mean_ms", "queue_delay_p95_ms", "steps", "skipped_observations", "flow_scheme")
GUARD = (*(f"guard_{reason}" for reason in GUARD_REASONS), "fallback_share")
COLUMNS = (*KEYS, *METRICS, *EXTRA, *GUARD, *REWARD_TERMS)
AGENT = "external"  # what the core calls a flow that the scheme under test drives from outside

ALL_SCENARIOS = "all"


class ResultsError(MvfstrlError):
    """A results file that is missing, torn or of another form."""


@dataclass(frozen=True)
class Summary:
    """One scheme in one scenario (or in all of them, each weighing the same)."""

    scheme: str
    scenario: str
    flow: int
    metrics: dict[str, Interval]
    flow_scheme: str = ""


def reward_of(report: dict[str, Any]) -> float:
    """An episode's mean reward a window. Windows that were skipped while an action was on its way are part of
    the return, so they are part of the divisor too."""
    return _a_window(report, report["return"])


def _a_window(report: dict[str, Any], total: float) -> float:
    windows = report["steps"] + report["skipped_observations"]
    return float(total) / windows if windows else float("nan")


def _terms_of(report: dict[str, Any], observed: bool) -> dict[str, float]:
    """The reward's terms, a window."""
    sums = report.get("return_terms") if observed else None
    if sums is None:
        return dict.fromkeys(REWARD_TERMS, float("nan"))
    return {term: _a_window(report, sums[term.removeprefix("reward_")]) for term in REWARD_TERMS}


def rows_of(report: dict[str, Any], scheme: str, scenario: str) -> list[dict[str, Any]]:
    """A finished episode's rows, one a flow."""
    reward = reward_of(report)
    rows = []
    for flow in report["flows"]:
        observed = flow["flow"] == 0
        row = {
            **flow,
            "scheme": scheme,
            "flow_scheme": scheme if observed or flow["scheme"] == AGENT else flow["scheme"],
            "scenario": scenario,
            "seed": report["seed"],
            "reward": reward if observed else float("nan"),
            "steps": report["steps"],
            "skipped_observations": report["skipped_observations"],
            **_guard_of(flow),
            **_terms_of(report, observed),
        }
        rows.append({column: row[column] for column in COLUMNS})
    return rows


def _guard_of(flow: dict[str, Any]) -> dict[str, float]:
    """What the guard beside a flow's policy did; nothing where there is none."""
    guard = flow.get("guard")
    if guard is None:
        return dict.fromkeys(GUARD, 0)
    counts = {f"guard_{reason}": guard["fallbacks"][reason] for reason in GUARD_REASONS}
    return {**counts, "fallback_share": guard["fallback_share"]}


FALLBACKS = ("scheme", "scenario", "seed", "flow", "time_ms", "until_ms", "reason", "window_bytes")


def fallbacks_of(report: dict[str, Any], scheme: str, scenario: str) -> list[dict[str, Any]]:
    """An episode's fall-backs of guarded policies, one by one; `until_ms` is NaN where one never ended."""
    rows = []
    for flow in report["flows"]:
        events = flow.get("guard", {"events": []})["events"]
        for event, after in zip(events[::2], [*events[1::2], None], strict=False):
            until = float("nan") if after is None else after["time_ms"]
            names = {"scheme": scheme, "scenario": scenario, "seed": report["seed"], "flow": flow["flow"]}
            row = {**names, "until_ms": until, **event}
            rows.append({column: row[column] for column in FALLBACKS})
    return rows


def fallbacks_frame(rows: Iterable[dict[str, Any]]) -> pd.DataFrame:
    table = pd.DataFrame(list(rows), columns=list(FALLBACKS))
    return table.astype({"seed": "uint64", "flow": "int32", "time_ms": "float64", "until_ms": "float64"})


SERIES_KEYS = ("scheme", "scenario", "seed", "flow", "flow_scheme")
SERIES = (
    "time_ms",
    "throughput_mbps",
    "capacity_mbps",
    "queue_delay_ms",
    "window_packets",
    "loss",
    "action",
)


def series_of(report: dict[str, Any], scheme: str, scenario: str) -> dict[str, Any]:
    """An episode's time series of every flow, a list a column."""
    schemes = {row["flow"]: row["flow_scheme"] for row in rows_of(report, scheme, scenario)}
    columns = {name: list(report["series"][name]) for name in ("flow", *SERIES)}
    of_flow = [schemes[flow] for flow in columns["flow"]]
    return {"scheme": scheme, "scenario": scenario, "seed": report["seed"], "flow_scheme": of_flow, **columns}


def series_frame(series: Iterable[dict[str, Any]]) -> pd.DataFrame:
    parts = [pd.DataFrame(one, columns=[*SERIES_KEYS, *SERIES]) for one in series]
    table = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=[*SERIES_KEYS, *SERIES])
    return table.astype({"seed": "uint64", "flow": "int32", "action": "int32"})


def frame(rows: Iterable[dict[str, Any]]) -> pd.DataFrame:
    rows = list(rows)
    real = REALTIME if any(REALTIME[0] in row for row in rows) else ()
    table = pd.DataFrame(rows, columns=[*COLUMNS, *real])
    whole = ("steps", "skipped_observations", *GUARD[:-1])
    types = {"seed": "uint64", "flow": "int32", "fallback_share": "float64"} | dict.fromkeys(
        REWARD_TERMS, "float64"
    )
    return table.astype(types | dict.fromkeys(whole, "int64"))


def write_results(table: pd.DataFrame, path: Path) -> None:
    write_whole(path, table.to_parquet(index=False))


def read_results(path: Path) -> pd.DataFrame:
    return read_table(path, "results file", (*KEYS, *METRICS, "flow_scheme"))


def read_table(path: Path, what: str, columns: Sequence[str]) -> pd.DataFrame:
    """Raises ResultsError where the file is missing, torn or without one of the columns."""
    try:
        table = pd.read_parquet(path)
    except FileNotFoundError:
        raise ResultsError(f"{path}: no such {what}") from None
    except (OSError, ValueError) as error:  # pyarrow's errors derive from these
        raise ResultsError(f"{path}: not a readable {what} ({error})") from error
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise ResultsError(f"{path}: lacks the columns {', '.join(missing)}")
    return table


def summarise(table: pd.DataFrame, *, seed: int = 0) -> list[Summary]:
    """Means with bootstrap intervals in the table's order, scenario by scenario, then over all of them."""
    summaries = [
        _summary(group, scheme, scenario, flow, None, seed)
        for (scenario, scheme, flow), group in _ordered_groups(table, ["scenario", "scheme", "flow"])
    ]
    if table["scenario"].nunique() > 1:
        observed = table[table["flow"] == 0]
        summaries += [
            _summary(group, scheme, ALL_SCENARIOS, 0, list(group["scenario"]), seed)
            for (scheme,), group in _ordered_groups(observed, ["scheme"])
        ]
    return summaries


def _ordered_groups(table: pd.DataFrame, keys: list[str]) -> Iterable[tuple[tuple[Any, ...], pd.DataFrame]]:
    return table.groupby(keys, sort=False)


def _summary(
    group: pd.DataFrame, scheme: str, scenario: str, flow: int, strata: Sequence[str] | None, seed: int
) -> Summary:
    intervals = {
        metric: bootstrap_mean(group[metric].to_numpy(), strata, seed=seed)
        for metric in METRICS
        if group[metric].notna().all()
    }
    return Summary(scheme, scenario, int(flow), intervals, str(group["flow_scheme"].iloc[0]))
