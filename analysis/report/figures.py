"""The figures of a study's page, drawn by `analysis.plots`. One that cannot be drawn of these runs leaves its
reason on the page instead."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from analysis.configurations import Configuration, short_names
from analysis.plots.actions import actions
from analysis.plots.curves import curves
from analysis.plots.drawing import title_of
from analysis.plots.frontier import frontier
from analysis.plots.heatmap import heatmap
from analysis.plots.reward import reward
from analysis.plots.sensitivity import importance, slices
from analysis.study import Study, StudyError
from pantheon.report.album import Album, Chapter

Step = Callable[[str], None]
"""Told what is drawn next, once a figure."""

MOST_CURVES = 8
"""More configurations would hide each other: then a figure a parameter, over all runs."""
MOST_PARAMETERS = 6
WIDTH = 4.7
"""Inches: a phone shows labels of this figure at nearly their full size."""
_MAPS = 3


@dataclass(frozen=True)
class Drawn:
    """The figures of one section, and why others are not there."""

    chapter: Chapter
    missing: list[str]


@dataclass(frozen=True)
class Sheet:
    """A figure to draw: its key on the page, what it tells, and how."""

    key: str
    what: str
    draw: Callable[[], Figure]


def draw(album: Album, name: str, sheets: Sequence[Sheet], step: Step) -> Drawn:
    missing = []
    with album.chapter(name) as chapter:
        for sheet in sheets:
            step(sheet.what)
            try:
                figure = sheet.draw()
            except StudyError as error:
                missing.append(f"{sheet.what}: {error}")
            else:
                chapter.add(sheet.key, figure, sheet.what)
    return Drawn(chapter.chapter, list(dict.fromkeys(missing)))


def learning(study: Study, groups: Sequence[Configuration]) -> list[Sheet]:
    def sheet(key: str, what: str, **options: Any) -> Sheet:
        return Sheet(key, what, lambda: curves(study, width=WIDTH, **options))

    few = len(groups) <= MOST_CURVES
    keys = list(groups[0].values)[:MOST_PARAMETERS]
    names = short_names(keys)
    if few:
        sheets = [sheet("return", "Return of training episodes, by configuration", seeds=len(groups) <= 3)]
    else:
        sheets = [
            sheet(f"return-{key}", f"Return of training episodes, by {names[key]}, over all else", by=[key])
            for key in keys
        ]
    by = None if few else keys[:1]
    suffix = "" if few else f", by {names[keys[0]]}"
    return [
        *sheets,
        sheet("entropy", f"Entropy of the policy{suffix}", metric="entropy", by=by),
        sheet("speed", f"Decisions learnt from a second{suffix}", metric="steps_per_second", by=by),
    ]


def trade_off(study: Study, scenarios: Sequence[str]) -> list[Sheet]:
    what = "Throughput over delay of configurations and classic schemes"
    return [Sheet("frontier", what, lambda: frontier(study, scenarios=scenarios, width=WIDTH, height=4.0))]


def parameters(study: Study, groups: Sequence[Configuration], metric: str) -> list[Sheet]:
    """Of a sweep: what each parameter does to the metric. None for one parameter of two values."""
    keys = list(groups[0].values)
    if not keys or len(groups) < 3:
        return []
    name = title_of(metric).partition(" (")[0]
    small: dict[str, Any] = {"columns": 2, "width": WIDTH / min(2, len(keys)), "height": 2.4}
    sheets = [Sheet("slices", f"The {name} over each parameter", lambda: slices(study, metric, **small))]
    if len(keys) > 1:
        what = f"How much of the variance of the {name} each parameter explains"
        sheets.append(Sheet("importance", what, lambda: importance(study, metric, width=WIDTH)))
    return sheets


def behaviour(study: Study, shown: Sequence[Configuration], scenarios: Sequence[str]) -> list[Sheet]:
    """What the policies do. Maps of `shown` alone, a few configurations."""

    def sheet(key: str, what: str, kind: Callable[..., Figure], of: Study = study, **options: Any) -> Sheet:
        return Sheet(key, what, lambda: kind(of, scenarios=scenarios, width=WIDTH, **options))

    keys = list(shown[0].values) or None
    return [
        sheet("actions", "How often each action was taken", actions),
        sheet("reward", "What the reward is made of", reward),
        *(
            sheet(
                f"map-{index}",
                f"What {group.label} does to its window, over what it sees",
                heatmap,
                of=part_of(study, group.runs),
                by=keys,
            )
            for index, group in enumerate(shown[:_MAPS])
        ),
    ]


def part_of(study: Study, runs: Sequence[str]) -> Study:
    """The study of these runs alone."""

    def kept(frame: pd.DataFrame) -> pd.DataFrame:
        return frame[frame["run"].isin(list(runs))]

    frames = {name: kept(getattr(study, name)) for name in ("runs", "metrics", "results", "series")}
    return replace(study, **frames)
