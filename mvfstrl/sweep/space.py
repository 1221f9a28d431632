"""A search space in Hydra's words, as Optuna's distributions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from mvfstrl.errors import ConfigError

TAGS = {"log"}


@dataclass
class Space:
    """What is searched, by key, and what all runs have alike."""

    distributions: dict[str, BaseDistribution] = field(default_factory=dict)
    fixed: list[str] = field(default_factory=list)

    def overrides(self, point: dict[str, Any]) -> list[str]:
        return [*self.fixed, *self.searched(point)]

    def searched(self, point: dict[str, Any]) -> list[str]:
        return [f"{key}={point[key]}" for key in self.distributions]

    def corners(self) -> list[dict[str, Any]]:
        """Points that together have every choice and both ends of every interval."""
        ends = {key: _ends(distribution) for key, distribution in self.distributions.items()}
        first = {key: values[0] for key, values in ends.items()}
        return [first, *({**first, key: value} for key, values in ends.items() for value in values[1:])]


def search_space(overrides: Sequence[Override]) -> Space:
    space = Space()
    for override in overrides:
        key = override.get_key_element()
        if override.is_sweep_override():
            space.distributions[key] = _distribution(key, override)
        else:
            space.fixed.append(f"{key}={override.get_value_element_as_str()}")
    if not space.distributions:
        rule = "give values to choose from, as 'agent.optimizer.learning_rate=tag(log, interval(1e-4, 1e-2))'"
        raise ConfigError(f"hydra.sweeper.params: nothing to search; {rule}")
    return space


def _distribution(key: str, override: Override) -> BaseDistribution:
    value: Any = override.value()
    tags: set[str] = getattr(value, "tags", set())
    unknown = tags - TAGS
    if unknown:
        raise ConfigError(f"{key}: unknown tag {', '.join(sorted(unknown))}; there is log")
    log = "log" in tags
    if isinstance(value, IntervalSweep):
        return _interval(key, value, log=log)
    if log:
        raise ConfigError(f"{key}: the tag log is for intervals")
    if isinstance(value, RangeSweep):
        return _range(key, value)
    choices = list(override.sweep_string_iterator())
    if len(set(choices)) < len(choices):
        raise ConfigError(f"{key}: a choice is there twice: {', '.join(choices)}")
    return CategoricalDistribution(choices)


def _interval(key: str, value: IntervalSweep, *, log: bool) -> BaseDistribution:
    low, high = value.start, value.end
    assert low is not None
    assert high is not None
    if low >= high:
        raise ConfigError(f"{key}: must be an interval from low to high, got {low} to {high}")
    if log and low <= 0:
        raise ConfigError(f"{key}: a logarithmic interval must begin above 0, got {low}")
    if isinstance(low, int) and isinstance(high, int):
        return IntDistribution(low, high, log=log)
    return FloatDistribution(float(low), float(high), log=log)


def _range(key: str, value: RangeSweep) -> BaseDistribution:
    """Hydra's ranges leave out their end."""
    points = [float(point) for point in value.range()]
    if not points:
        raise ConfigError(f"{key}: an empty range")
    low, high = min(points), max(points)
    if all(point.is_integer() for point in points):
        return IntDistribution(int(low), int(high), step=max(1, abs(int(value.step))))
    return FloatDistribution(low, high, step=abs(float(value.step)))


def _ends(distribution: BaseDistribution) -> list[Any]:
    if isinstance(distribution, CategoricalDistribution):
        return list(distribution.choices)
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    return [distribution.low, distribution.high]
