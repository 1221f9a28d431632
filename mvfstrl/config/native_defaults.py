"""Reads the native core's defaults, so that each exists once: in the C++ struct that uses it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cache, partial
from typing import Any


@cache
def _defaults() -> dict[str, Any]:
    try:
        from mvfstrl._native import default_config
    except ImportError:  # until the extension is there
        from mvfstrl._temporary_defaults import default_config
    defaults: dict[str, Any] = default_config()
    return defaults


def native_default(path: str) -> Any:
    """The default at a dotted path of the native configuration; list items by number."""
    node: Any = _defaults()
    for key in path.split("."):
        node = node[int(key)] if isinstance(node, list) else node[key]
    return copy.deepcopy(node)


def native(path: str) -> Callable[[], Any]:
    """For `field(default_factory=...)`: the native core's default, read when a configuration is made."""
    return partial(native_default, path)
