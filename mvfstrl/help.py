"""Near-match hints for the command line: what an unknown group option or key may have meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import OmegaConf

from mvfstrl.config.compose import config_folder, register

RENAMED = {"actors.envs": "actors.simulated"}
"""Keys of earlier versions."""


def groups(folder: Path | None = None) -> dict[str, list[str]]:
    """The configuration groups and their options, as they lie in `conf`."""
    folder = folder or config_folder()
    found: dict[str, list[str]] = {}
    for path in sorted(folder.glob("*/*.yaml")):
        found.setdefault(path.parent.name, []).append(path.stem)
    return {group: options for group, options in found.items() if group != "hydra"}


def hints(arguments: list[str]) -> list[str]:
    """One line for each argument that names something unknown and has a near match."""
    overrides = list(_parsed(arguments))
    known = groups()
    lines = []
    valid = []
    for override in overrides:
        group = override.key_or_group
        if group in known:
            meant = _meant(_values(override), known[group])
            if meant is not None:
                lines.append(_hint(f"{group}={meant}"))
            else:
                valid.append(override.input_line or "")
    keys = _keys(valid)
    for override in overrides:
        key = override.key_or_group
        if key not in known and key not in keys and not key.startswith("hydra"):
            near = RENAMED.get(key) or _nearest(key, [*known, *keys])
            if near:
                value = (override.input_line or "").partition("=")[2]
                lines.append(_hint(f"{near}={value}"))
    return lines


def _parsed(arguments: list[str]) -> Iterator[Override]:
    parser = OverridesParser.create()
    for argument in arguments:
        if not argument.startswith("-"):
            try:
                yield parser.parse_override(argument)
            except HydraException:  # Hydra has said what is wrong with it
                continue


def _values(override: Override) -> list[str]:
    value = override.value()
    return [str(item) for item in (value if isinstance(value, list) else [value]) if item is not None]


def _meant(values: list[str], options: list[str]) -> str | None:
    """The values with each unknown one replaced by its nearest option; None where that helps nothing."""
    nearest = [value if value in options else _nearest(value, options) for value in values]
    if nearest == values or None in nearest:
        return None
    return str(nearest[0]) if len(nearest) == 1 else f"[{','.join(map(str, nearest))}]"


def _keys(group_overrides: list[str]) -> list[str]:
    """Every dotted key of the configuration that these choices make."""
    register()
    GlobalHydra.instance().clear()
    try:
        with hydra.initialize_config_dir(str(config_folder()), version_base="1.3"):
            composed = OmegaConf.to_container(hydra.compose("config", overrides=group_overrides))
    except HydraException:
        return []
    assert isinstance(composed, dict)
    return list(_dotted({str(key): value for key, value in composed.items()}))


def _dotted(node: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in node.items():
        yield f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from _dotted(value, f"{prefix}{key}.")


def _nearest(name: str, known: Iterable[str]) -> str | None:
    """The nearest name; of a dotted one also the one that ends alike (`learning_rate` for its full key)."""
    known = list(known)
    ending = [candidate for candidate in known if candidate.endswith(f".{name}")]
    near = ending or difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return near[0] if near else None


def _hint(meant: str) -> str:
    return f"Did you mean {meant}?"
