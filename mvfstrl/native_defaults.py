"""Reads the native core's defaults, so that each exists once: in the C++ struct that uses it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cache, partial
from typing import Any


@cache
def _trees() -> dict[str, Any]:
    from mvfstrl import _native

    return {
        "": _native.default_config(),
        "guard": {"guard": _native.guard_config()},
        "kinds": {"kinds": _native.default_alternatives()},
    }


def native_default(path: str) -> Any:
    """The default at a dotted path of the native configuration, list items by number; at "" all of it. Beside
    the configuration stand `guard`, of mode=test_local, and `kinds`, the alternatives: `kinds.rate.trace`,
    `kinds.controller.cubic`, `kinds.reward.linear.delay_factor`..."""
    keys = path.split(".") if path else []
    trees = _trees()
    node: Any = trees.get(keys[0] if keys else "", trees[""])
    for key in keys:
        node = node[int(key)] if isinstance(node, list) else node[key]
    return copy.deepcopy(node)


def native(path: str) -> Callable[[], Any]:
    """For `field(default_factory=...)`: the native core's default, read when a configuration is made."""
    return partial(native_default, path)


def native_range(path: str) -> Callable[[], Any]:
    """The same for a range, which is a plain number where it is constant."""

    def make() -> Any:
        value = native_default(path)
        return value["low"] if value["low"] == value["high"] else value

    return make
