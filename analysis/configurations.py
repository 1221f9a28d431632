"""Runs grouped by configuration: what differs among them, how each group is called and what it looks like.

Runs that differ in their seed alone are repetitions of one configuration. A key's name in labels is its last
part (`agent.loss.discount` is "discount"), with its parent where two keys would share it.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.colors import to_hex

from analysis.study import Study, StudyError
from pantheon.figures import Style, style_of

AGENT = "agent.name"
INCIDENTAL = ("tracker.", "test.", "export.", "cluster.", "ranks.", "checkpoint", "resume", "device")
"""Keys, and beginnings of keys, that say where and how a run was kept, not what was run."""
_CHOICES = ("kind", "name")

# Tol's bright palette ("Colour schemes", SRON/EPS/TN/09-002, 2021), safe for colour-blind readers. Shapes
# differ too. Ordered values get shades of one ramp instead, from dark to light.
_COLOURS = ("#4477AA", "#EE6677", "#228833", "#CCBB44", "#AA3377", "#66CCEE", "#7F7F7F", "#B15928")
_MARKERS = "osD^vPXphd<>8"
_RAMP = ("plasma", 0.05, 0.82)


@dataclass(frozen=True)
class Configuration:
    """Runs that are repetitions of each other."""

    label: str
    values: dict[str, Any]
    """Of the keys that differ among the configurations of a study."""
    runs: list[str]
    look: Style = field(default=Style("#000000", "o"))


def varied(study: Study) -> list[str]:
    """The keys in which the runs differ and that nothing else among them determines.

    A choice (`reward.kind`) speaks for the keys of its group that follow from it; of other keys, one that
    follows from another that takes few values is left out too.
    """
    runs = study.runs
    differing = [key for key in study.varied() if not _incidental(key)]
    table = pd.DataFrame({key: _hashable(runs[key]) for key in differing})
    rows = len(table.drop_duplicates())
    ordered = sorted(differing, key=lambda key: key.rsplit(".", 1)[-1] not in _CHOICES)
    kept: list[str] = []
    for key in ordered:
        if not any(_determines(table, first, key, rows) for first in kept):
            kept.append(key)
    return [key for key in differing if key in kept]


def configurations(study: Study, by: Sequence[str] | None = None) -> list[Configuration]:
    """The runs in groups: of equal values of `by` (default: of what `varied` says), in order of the values
    where these are numbers, else of their first run. Labels and looks are the same in every figure."""
    runs = study.runs
    if runs.empty:
        raise StudyError("no runs: nothing to show")
    keys = varied(study) if by is None else [known_key(study, key) for key in by]
    if not keys:
        agents = [str(agent) for agent in runs.get(AGENT, pd.Series(["all runs"])).unique()]
        label = ", ".join(agents)
        return [Configuration(label, {}, list(runs["run"].astype(str)), style_of(label))]
    table = pd.DataFrame({key: _hashable(runs[key]) for key in keys})
    table["run"] = runs["run"].to_numpy()
    groups: dict[tuple[Any, ...], list[str]] = {}
    for row in table.itertuples(index=False):
        groups.setdefault(tuple(row[:-1]), []).append(str(row[-1]))
    rows = runs.set_index("run")
    names = short_names(keys)
    found = []
    for members in groups.values():
        values = {key: plain(rows.at[members[0], key]) for key in keys}
        label = ", ".join(_says(names[key], values[key]) for key in keys)
        found.append(Configuration(label, values, members))
    return _with_looks(sorted(found, key=_order), keys)


def known_key(study: Study, key: str) -> str:
    """`key` as a column of the runs: in full, or the only one that ends so (`discount`)."""
    known = study.config_columns
    if key in known:
        return key
    ending = [name for name in known if name.endswith(f".{key}")]
    if len(ending) == 1:
        return ending[0]
    if ending:
        raise StudyError(f"{key}: which of {', '.join(ending)}?")
    raise StudyError(f"{key}: no such key in these runs' configurations{near(key, known)}")


def near(name: str, known: Iterable[str]) -> str:
    """`(did you mean ...?)`, or what there is, for the end of a message."""
    names = list(known)
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    lasts = [other.rsplit(".", 1)[-1] for other in names]
    similar = difflib.get_close_matches(name.rsplit(".", 1)[-1], lasts, n=2, cutoff=0.7)
    ends = [other for other, last in zip(names, lasts, strict=True) if last in similar]
    found = list(dict.fromkeys([*ends, *close]))[:3]
    if found:
        return f" (did you mean {' or '.join(found)}?)"
    return f" (there are {', '.join(names)})" if 0 < len(names) <= 12 else ""


def short_names(keys: Sequence[str]) -> dict[str, str]:
    """Each key's name in labels."""
    names = {key: _last(key, 1) for key in keys}
    for key, name in list(names.items()):
        if list(names.values()).count(name) > 1:
            names[key] = _last(key, 2)
    return names


def says(value: Any) -> str:
    """A value as a label shows it."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if value is None:
        return "none"
    if isinstance(value, float | int):
        return f"{value:g}" if abs(value) < 1e5 or isinstance(value, float) else f"{value:,}"
    if isinstance(value, str) and value.startswith("["):  # a list is kept as JSON
        return " ".join(says(item) for item in json.loads(value))
    return str(value)


def numeric(values: Iterable[Any]) -> bool:
    """Whether all of the values are numbers (and no truth values)."""
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


def plain(value: Any) -> Any:
    """A frame's value as Python's; None where there is none."""
    if pd.isna(value):
        return None
    return value.item() if hasattr(value, "item") else value


def _says(name: str, value: Any) -> str:
    return f"{name} {says(value)}" if name else says(value)


def _last(key: str, parts: int) -> str:
    names = key.split(".")
    if names[-1] in _CHOICES and len(names) > 1:
        names = names[:-1] if names[0] != "agent" or len(names) > 2 else [""]
    return " ".join(names[-parts:]).replace("_", " ")


def _incidental(key: str) -> bool:
    return key == "seed" or key.startswith(INCIDENTAL)


def _hashable(values: pd.Series[Any]) -> list[str]:
    """Each value as text, so that missing ones are values too."""
    return [json.dumps(plain(value)) for value in values]


def _determines(table: pd.DataFrame, first: str, second: str, rows: int) -> bool:
    group, _, choice = first.rpartition(".")
    speaks_for = choice in _CHOICES and second.startswith(f"{group}.")
    if not speaks_for and 2 * table[first].nunique() > rows:
        return False  # takes so many values that it would determine anything
    return bool((table.groupby(first)[second].nunique() == 1).all())


def _order(configuration: Configuration) -> tuple[Any, ...]:
    return tuple(
        (0, float(value), "") if numeric([value]) else (1, 0.0, "") for value in configuration.values.values()
    )


def _with_looks(found: list[Configuration], keys: Sequence[str]) -> list[Configuration]:
    looks = [look_of(index) for index in range(len(found))]
    if list(keys) == [AGENT]:
        looks = [style_of(str(one.values[AGENT])) for one in found]
    elif len(keys) == 1 and len(found) > 2 and numeric(one.values[keys[0]] for one in found):
        looks = [shade_of(index, len(found)) for index in range(len(found))]
    return [
        Configuration(one.label, one.values, one.runs, look) for one, look in zip(found, looks, strict=True)
    ]


def look_of(index: int) -> Style:
    """Of the configuration number `index` of a study whose configurations have no order."""
    return Style(_COLOURS[index % len(_COLOURS)], _MARKERS[index % len(_MARKERS)])


def shade_of(index: int, count: int) -> Style:
    """Of the value number `index` of `count` ordered ones."""
    name, low, high = _RAMP
    place = low + (high - low) * index / max(count - 1, 1)
    return Style(to_hex(mpl.colormaps[name](place)), _MARKERS[index % len(_MARKERS)])
