"""The page: its sections, laid out by the templates."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from matplotlib.markers import MarkerStyle
from matplotlib.path import Path as Outline
from matplotlib.transforms import Affine2D

from pantheon.figures import Style, style_of
from pantheon.report.album import Album, file_name, on_page
from pantheon.report.facts import run_facts, settings
from pantheon.report.overview import STEPS, Step, overview
from pantheon.report.realtime import realtime_section
from pantheon.report.scenario import scenario_section
from pantheon.report.source import Source
from pantheon.results import summarise
from pantheon.statistics import normalised_scores


@dataclass(frozen=True)
class Mark:
    """A scheme's look as an SVG symbol."""

    id: str
    path: str
    colour: str


def steps_of(source: Source) -> int:
    """How often `build` calls its step at most."""
    figures = [2 if source.flows_in(name) > 1 else 1 for name in source.scenarios]
    return STEPS + sum(1 + count * len(source.schemes) for count in figures)


def build(source: Source, folder: Path, step: Step) -> str:
    """Draws the figures into `folder` and returns the page's HTML."""
    album = Album(folder)
    step("statistics")
    observed = [summary for summary in summarise(source.results) if summary.flow == 0]
    scored = normalised_scores(source.results)
    first = overview(source, observed, scored, album, step)
    scenarios = [
        scenario_section(source, name, [s for s in observed if s.scenario == name], scored, album, step)
        for name in source.scenarios
    ]
    ranked = [scheme for scheme, _ in first.ranking.rows]
    rivals = [scheme for scheme in source.results["flow_scheme"].unique() if scheme not in ranked]
    return (
        environment()
        .get_template("index.html")
        .render(
            schemes=ranked,
            facts=run_facts(source),
            settings=settings(source.config),
            marks={scheme: mark_of(scheme) for scheme in (*ranked, *rivals)},
            overview=first,
            scenarios=scenarios,
            realtime=realtime_section(source),
        )
    )


def mark_of(name: str, look: Style | None = None) -> Mark:
    """In the figures' own shape and colour, around the origin, about 1 wide. `look`: else that of the scheme
    of that name."""
    style = look or style_of(name)
    marker = MarkerStyle(style.marker)
    size = 1.5 if style.marker == "*" else 1.0  # a star's points make little area
    outline = marker.get_path().transformed(marker.get_transform() + Affine2D().scale(size))
    return Mark(f"mark-{file_name(name)}", _svg_path(outline), on_page(style.colour))


def _svg_path(outline: Outline) -> str:
    letters = {Outline.MOVETO: "M", Outline.LINETO: "L", Outline.CURVE3: "Q", Outline.CURVE4: "C"}
    parts = []
    for points, code in outline.iter_segments(simplify=False):
        if code == Outline.CLOSEPOLY:
            parts.append("Z")
        else:
            numbers = [f"{y:.2f}" if i % 2 == 0 else f"{-y:.2f}" for i, y in enumerate(points)]
            parts.append(letters[code] + " ".join(numbers))
    return "".join(parts)


def environment(*packages: str) -> Environment:
    """Where templates are found: those of `packages` first, then this package's, pieces of any page."""
    return Environment(
        loader=ChoiceLoader([PackageLoader(name) for name in (*packages, "pantheon.report")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
