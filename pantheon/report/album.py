"""Figures for a page: each is drawn once, then kept as inline SVG, as a PNG and as a page of a PDF.

Inline SVG takes the page's own colours and font, so that it follows a dark scheme: what is drawn in `INK`,
`MUTED` or `GRID` becomes a CSS variable. The files beside the page keep these colours, on white.
"""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure

INK = "#000000"
MUTED = "#6b7076"
GRID = "#e3e5e8"
PNG_DPI = 150

# Colours that a dark page shows otherwise; the last ones are schemes' (pantheon/figures.py).
_VARIABLES = {
    MUTED: "var(--muted)",
    GRID: "var(--grid)",
    INK: "var(--ink)",
    "#888888": "var(--muted)",
    "#e6e6e6": "var(--grid)",
    "#0072b2": "var(--blue)",
    "#332288": "var(--indigo)",
    "#8c564b": "var(--brown)",
}
SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",
    "pdf.fonttype": 42,  # text stays text
    "font.family": "sans-serif",
    "font.size": 9.0,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.titlesize": 10.0,
    "axes.titlelocation": "left",
    "axes.titley": 1.0,  # looking for a better height takes a third of the drawing time
    "axes.labelsize": 9.0,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "text.color": INK,
    "path.simplify_threshold": 0.3,
}


@dataclass(frozen=True)
class Picture:
    """A figure on the page."""

    svg: str
    description: str
    """What a reader who cannot see it is told."""
    png: str
    """Path from the page."""


@dataclass(frozen=True)
class Chapter:
    """The figures of one part of the page; `pdf` holds them all, a page each."""

    pictures: dict[str, Picture]
    pdf: str | None


class Album:
    """Keeps figures in `folder`/figures; use `chapter` for each part of the page."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "figures"
        self._folder.mkdir(parents=True, exist_ok=True)
        # It tells every table of every font that a PDF takes up.
        logging.getLogger("fontTools").setLevel(logging.WARNING)

    @contextmanager
    def chapter(self, name: str) -> Iterator[ChapterWriter]:
        writer = ChapterWriter(self._folder, file_name(name))
        with matplotlib.rc_context(SETTINGS):
            try:
                yield writer
            finally:
                writer.close()


class ChapterWriter:
    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._name = name
        self._pages: Any = None  # a PdfPages, which has no types; made with the first page: none stays empty
        self._pictures: dict[str, Picture] = {}

    def add(self, name: str, figure: Figure, description: str) -> Picture:
        file = f"{self._name}-{file_name(name)}"
        figure.savefig(self._folder / f"{file}.png", dpi=PNG_DPI, facecolor="white")
        if self._pages is None:
            self._pages = PdfPages(self._folder / f"{self._name}.pdf")
        self._pages.savefig(figure, facecolor="white")
        picture = Picture(_inline(figure, file, description), description, f"figures/{file}.png")
        self._pictures[name] = picture
        return picture

    def close(self) -> None:
        if self._pages is not None:
            self._pages.close()

    @property
    def chapter(self) -> Chapter:
        return Chapter(dict(self._pictures), f"figures/{self._name}.pdf" if self._pages else None)


def file_name(name: str) -> str:
    """`name` as part of a file's name and of an element's id."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "unnamed"


def on_page(colour: str) -> str:
    """The colour as the page's style sheet knows it."""
    return _VARIABLES.get(colour.lower(), colour)


def panels(
    rows: int = 1, *, width: float = 4.4, height: float = 3.2, ratios: list[float] | None = None
) -> tuple[Figure, list[Axes]]:
    """A figure of panels above each other that share their horizontal axis; sizes in inches.

    4.4 inches fill a phone's width at nearly full size: several figures stand side by side on a desk.
    """
    figure = Figure(figsize=(width, height), layout="constrained" if rows == 1 else None)
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, 1, sharex=True, squeeze=False, height_ratios=ratios)[:, 0]
    if rows > 1:  # fixed places: to work them out would cost more than the drawing
        figure.subplots_adjust(
            left=0.5 / width,
            right=1.0 - 0.08 / width,
            top=1.0 - 0.46 / height,
            bottom=0.4 / height,
            hspace=0.45,
        )
        for axis in axes:
            axis.yaxis.set_label_coords(-0.1, 0.5)
            axis.xaxis.set_label_coords(0.5, -0.24 / height / axis.get_position().height)
    return figure, list(axes)


def _inline(figure: Figure, prefix: str, description: str) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    return slim(buffer.getvalue(), prefix, description)


def slim(svg: str, prefix: str, description: str) -> str:
    """The bare <svg> element, fit to stand among others: ids are unique, coordinates short, colours the
    page's."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"\s*<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"\s*<defs>\s*<style[^>]*>.*?</style>\s*</defs>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = _own_ids(svg, prefix)
    svg = re.sub(r"'DejaVu Sans'[^;\"]*", "var(--font)", svg)
    svg = re.sub(r"#[0-9a-f]{6}\b", lambda colour: on_page(colour[0]), svg)
    svg = re.sub(r"\s*\n\s*", " ", svg)
    svg = re.sub(r"<[^>]+>", lambda tag: _short(tag[0]), svg)
    opening = re.compile(r'<svg[^>]*?width="([\d.]+)pt"[^>]*?viewBox="([^"]+)"[^>]*>')
    label = description.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
    return opening.sub(
        lambda m: (
            f'<svg viewBox="{m[2]}" role="img" aria-label="{label}" '
            f'style="max-width:{float(m[1]) * 4 / 3:.0f}px">'
        ),
        svg,
        count=1,
    )


def _short(tag: str) -> str:
    """Its numbers cut to a tenth of a point; in a path, a line is what follows when nothing is said."""
    tag = re.sub(r"(?<=\d)\.(\d)\d+", r".\1", tag)
    tag = re.sub(r"(?<=\d) L (?=-?\d)", " ", re.sub(r"\.0(?=[ ,)\"])", "", tag))
    return re.sub(r"(M \S+ \S+) (?=-?\d)", r"\1 L ", tag)


def _own_ids(svg: str, prefix: str) -> str:
    used = set(re.findall(r'(?:url\(#|href="#)([^)"]+)', svg))

    def rename(match: re.Match[str]) -> str:
        return f' id="{prefix}-{match[1]}"' if match[1] in used else ""

    svg = re.sub(r'\sid="([^"]+)"', rename, svg)
    svg = re.sub(r"url\(#([^)]+)\)", rf"url(#{prefix}-\1)", svg)
    return re.sub(r'xlink:href="#([^"]+)"', rf'href="#{prefix}-\1"', svg)
