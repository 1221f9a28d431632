"""What a study is, in words: what was varied and what was not, how its runs stand, where they are."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd

from analysis.configurations import Configuration, says
from analysis.study import Study
from pantheon.report.facts import Facts, settings
from pantheon.report.tables import number

MOST_VALUES = 12
_STATES = {
    "unknown": "from before runs told how they ended, and without results",
    "running": "or killed before it could tell",
}


@dataclass(frozen=True)
class Run:
    """A row of the table of runs."""

    name: str
    link: str
    """To the run's own page, or its folder; from the study's page."""
    configuration: str
    state: str
    seed: str
    objective: str
    steps: str
    time: str
    error: str
    best: bool


def varied_facts(study: Study, groups: Sequence[Configuration]) -> Facts:
    facts = []
    for key in groups[0].values:
        values = list(dict.fromkeys(says(group.values[key]) for group in groups))
        more = f" and {len(values) - MOST_VALUES} more" if len(values) > MOST_VALUES else ""
        facts.append((key, ", ".join(values[:MOST_VALUES]) + more))
    if "seed" in study.runs:
        seeds = sorted(study.runs["seed"].dropna().unique())
        if len(seeds) > 1:
            facts.append(("seed", ", ".join(str(seed) for seed in seeds[:MOST_VALUES])))
    return facts


def study_facts(study: Study) -> Facts:
    runs = study.runs
    facts = [("runs", f"{len(runs)}: {', '.join(states_of(runs))}")]
    sweeps = runs["sweep"].dropna().unique()
    if len(sweeps):
        facts.append(("sweeps", ", ".join(map(str, sweeps))))
    facts.append(("scenarios", "; ".join(runs["scenarios"].dropna().unique()) or "not known"))
    if "config.objective" in runs:
        named = runs["config.objective"].dropna().unique()
        facts.append(("objective", "; ".join(says(_parsed(text)) for text in named)))
    steps = runs["steps"].dropna()
    if len(steps):
        facts.append(
            ("decisions", f"{steps.sum():,} learnt from in all, {steps.median():,.0f} a run (median)")
        )
    if runs["wall_s"].notna().any():
        facts.append(("time", f"{_time(float(runs['wall_s'].sum()))} in all, by the runs' own clocks"))
    return facts + _revisions([str(folder) for folder in runs["folder"]])


def states_of(runs: pd.DataFrame) -> list[str]:
    counts = runs["state"].value_counts()
    return [
        f"{count} {state}" + (f" ({_STATES[str(state)]})" if state in _STATES else "")
        for state, count in counts.items()
    ]


def shared_settings(study: Study, groups: Sequence[Configuration]) -> Facts:
    """What all runs have in common, group by group."""
    varied = set(groups[0].values)
    config: dict[str, Any] = {}
    for key in study.config_columns:
        values = study.runs[key]
        if key in varied or values.nunique(dropna=False) != 1 or pd.isna(values.iloc[0]):
            continue
        branch = config
        *parents, last = key.split(".")
        for parent in parents:
            branch = branch.setdefault(parent, {})
        branch[last] = _parsed(values.iloc[0])
    return settings(config)


def _parsed(value: Any) -> Any:
    """A list is kept as JSON."""
    if isinstance(value, str) and value.startswith("["):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value.item() if hasattr(value, "item") else value


def _revisions(folders: Sequence[str]) -> Facts:
    """Of the program, as the runs' versions.json tell."""
    found: dict[str, None] = {}
    for folder in folders:
        try:
            git = json.loads((Path(folder) / "versions.json").read_text(encoding="utf-8"))["git"]
            found[git["revision"][:12] + (" with changes" if git["dirty"] else "")] = None
        except (OSError, ValueError, TypeError, KeyError):  # none kept: nothing to tell
            continue
    return [("revision", ", ".join(found))] if found else []


def run_rows(study: Study, groups: Sequence[Configuration], page: Path, larger_is_better: bool) -> list[Run]:
    """Every run, those of one configuration together. `page`: the folder that links start from."""
    label_of = {run: group.label for group in groups for run in group.runs}
    order = {run: index for index, run in enumerate(label_of)}
    runs = study.runs.sort_values("run", key=lambda names: names.map(order), kind="stable")
    present = runs["objective"].dropna()
    best = (present.max() if larger_is_better else present.min()) if len(present) > 1 else None
    return [
        Run(
            name=str(row["run"]),
            link=_link(Path(str(row["folder"])), page),
            configuration=label_of.get(str(row["run"]), ""),
            state=str(row["state"]),
            seed=says(row["seed"]) if "seed" in runs and not pd.isna(row["seed"]) else "–",
            objective="–" if pd.isna(row["objective"]) else number(float(row["objective"]), 3),
            steps="–" if pd.isna(row["steps"]) else f"{int(row['steps']):,}",
            time="–" if pd.isna(row["wall_s"]) else _time(float(row["wall_s"])),
            error="" if pd.isna(row["error"]) else str(row["error"]),
            best=best is not None and bool(row["objective"] == best),
        )
        for _, row in runs.iterrows()
    ]


def _link(folder: Path, page: Path) -> str:
    """Nothing where the run is not on this machine."""
    if not folder.is_dir():
        return ""
    target = folder / "report" / "index.html"
    return quote(os.path.relpath(target if target.is_file() else folder, page.resolve()))


def _time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
