"""A study's page: its sections, laid out by the templates here and in `pantheon.report`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from analysis.configurations import Configuration, configurations
from analysis.plots.ablation import AblationTable, ablation
from analysis.report import comparison, figures
from analysis.report.comparison import Baseline, Comparison, baseline_of, compare
from analysis.report.facts import run_rows, shared_settings, study_facts, varied_facts
from analysis.report.figures import Drawn, Step
from analysis.study import Study, StudyError
from mvfstrl.outcome import MAXIMIZE, OBJECTIVES
from pantheon.report.album import Album
from pantheon.report.page import Mark, environment, mark_of
from pantheon.report.tables import Table

STEPS = 14
"""How often `build` calls its step at most, with a parameter or two."""
MOST_MARKS = 24


@dataclass(frozen=True)
class Held:
    """The section on held-out episodes; `missing` says why there is none."""

    means: Table | None = None
    gains: Table | None = None
    ablation: AblationTable | None = None
    """Both of these, to be pasted elsewhere."""
    by_scenario: Table | None = None
    classics: Table | None = None
    unit: str = ""
    rewards_compare: bool = True
    missing: tuple[str, ...] = ()


def build(study: Study, folder: Path, step: Step, default: Mapping[str, Any]) -> str:
    """Draws the figures into `folder` and returns the page's HTML."""
    groups = configurations(study)
    baseline = baseline_of(groups, default)
    step("statistics")
    found, reason = _compared(study, groups)
    held = _held(study, found, baseline) if found else Held(missing=(reason,))
    drawn = _draw(study, groups, baseline, found, Album(folder), step)
    return (
        environment("analysis.report")
        .get_template("study.html")
        .render(
            title=_title(study, groups),
            groups=groups,
            baseline=baseline,
            varied=varied_facts(study, groups),
            facts=study_facts(study),
            settings=shared_settings(study, groups),
            held=held,
            drawn=drawn,
            runs=run_rows(study, groups, folder, _larger_is_better(study)),
            problems=list(study.problems.itertuples(index=False)),
            marks=_marks(groups, held.classics),
        )
    )


def _compared(study: Study, groups: Sequence[Configuration]) -> tuple[Comparison | None, str]:
    try:
        return compare(study, groups), ""
    except StudyError as error:
        return None, str(error)


def _held(study: Study, found: Comparison, baseline: Baseline) -> Held:
    missing: tuple[str, ...] = ()
    try:
        classics = comparison.classics(study, found)
    except StudyError as error:  # the runs' tests have played different paths
        classics, missing = None, (f"Classic schemes: {error}",)
    label = baseline.configuration.label
    gains = comparison.gains(found, label)
    return Held(
        means=comparison.means(found),
        gains=gains,
        ablation=ablation(study, baseline=label, scenarios=found.scenarios) if gains else None,
        by_scenario=comparison.by_scenario(found),
        classics=classics,
        unit=found.unit,
        rewards_compare=found.rewards_compare,
        missing=missing,
    )


def _draw(
    study: Study,
    groups: Sequence[Configuration],
    baseline: Baseline,
    found: Comparison | None,
    album: Album,
    step: Step,
) -> dict[str, Drawn]:
    sheets = {"learning": figures.learning(study, groups)}
    if found:
        by_label = {group.label: group for group in groups}
        shown = [by_label[label] for label in dict.fromkeys([*found.order[:2], baseline.configuration.label])]
        metric = "objective" if found.rewards_compare else found.first
        sheets["frontier"] = figures.trade_off(study, found.scenarios)
        sheets["parameters"] = figures.parameters(study, groups, metric)
        sheets["behaviour"] = figures.behaviour(study, shown, found.scenarios)
    return {name: figures.draw(album, name, sheet, step) for name, sheet in sheets.items() if sheet}


def _title(study: Study, groups: Sequence[Configuration]) -> str:
    def count(number: int, what: str) -> str:
        return f"{number} {what}{'s' if number > 1 else ''}"

    return f"{count(len(study.runs), 'run')} of {count(len(groups), 'configuration')}"


def _marks(groups: Sequence[Configuration], classics: Table | None) -> dict[str, Mark]:
    own = groups if len(groups) <= MOST_MARKS else []
    marks = {
        group.label: replace(mark_of(group.label, group.look), id=f"mark-configuration-{index}")
        for index, group in enumerate(own)
    }
    schemes = [name for name, _ in classics.rows] if classics else []
    return marks | {name: mark_of(name) for name in schemes if name not in marks}


def _larger_is_better(study: Study) -> bool:
    """Of the runs' objective; where they have several, of the first."""
    column = study.runs.get("config.objective")
    named = "" if column is None or column.dropna().empty else str(column.dropna().iloc[0])
    first = named.strip("[]").partition(",")[0].strip().strip('"')
    return OBJECTIVES.get(first, MAXIMIZE) == MAXIMIZE
