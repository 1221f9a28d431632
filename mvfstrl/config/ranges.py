"""Numbers that may be ranges: `12`, `[6, 24]`, `{low: 6, high: 24, log: true}`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from mvfstrl.errors import ConfigError


def parse_range(
    key: str,
    value: Any,
    *,
    above: float | None = None,
    at_least: float | None = None,
    at_most: float | None = None,
) -> dict[str, Any]:
    """The native `{low, high, log}` of a knob; `key` names it in errors. Bounds hold for both ends."""
    low, high, log = _ends(key, value)
    for end in (low, high):
        if not math.isfinite(end):
            raise ConfigError(f"{key}: must be finite, got {value!r}")
        if above is not None and end <= above:
            raise ConfigError(f"{key}: must be above {above:g}, got {end:g}")
        if at_least is not None and end < at_least:
            raise ConfigError(f"{key}: must be at least {at_least:g}, got {end:g}")
        if at_most is not None and end > at_most:
            raise ConfigError(f"{key}: must be at most {at_most:g}, got {end:g}")
    if low > high:
        raise ConfigError(f"{key}: the range's low end {low:g} is above its high end {high:g}")
    if log and low <= 0:
        raise ConfigError(f"{key}: a logarithmic range needs a low end above 0, got {low:g}")
    return {"low": low, "high": high, "log": log}


def _ends(key: str, value: Any) -> tuple[float, float, bool]:
    if isinstance(value, Mapping):
        unknown = sorted(set(value) - {"low", "high", "log"})
        if unknown or "low" not in value or "high" not in value:
            raise ConfigError(f"{key}: a range has low, high and optionally log, got {dict(value)!r}")
        if not isinstance(value.get("log", False), bool):
            raise ConfigError(f"{key}.log: must be true or false, got {value['log']!r}")
        return _number(key, value["low"]), _number(key, value["high"]), value.get("log", False)
    if isinstance(value, Sequence) and not isinstance(value, str):
        if len(value) != 2:
            raise ConfigError(f"{key}: a range is [low, high], got {list(value)!r}")
        return _number(key, value[0]), _number(key, value[1]), False
    number = _number(key, value)
    return number, number, False


def _number(key: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigError(f"{key}: must be a number, [low, high] or {{low, high, log}}, got {value!r}")
    return float(value)
