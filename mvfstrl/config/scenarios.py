"""Scenarios of the configuration in the native core's terms, with the overrides of `env` applied."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mvfstrl.config.ranges import parse_range
from mvfstrl.config.schema import EnvConfig, ScenarioConfig
from mvfstrl.errors import ConfigError
from mvfstrl.native_defaults import native_default

BOUNDS = ("packets", "bytes", "bdp")


def native_scenario(name: str, scenario: ScenarioConfig, env: EnvConfig) -> dict[str, Any]:
    """One entry of the native `scenarios`."""
    key = f"env.scenarios.{name}"
    delay_key, delay = _override("env.delay_ms", env.delay_ms, f"{key}.delay_ms", scenario.delay_ms)
    loss_key, loss = _override("env.loss", env.loss, f"{key}.loss", scenario.loss)
    chance = scenario.loss_probability if env.loss_probability is None else env.loss_probability
    overrides = {knob: value for knob, value in vars(env.queue).items() if value is not None}
    return {
        "name": name,
        "weight": scenario.weight,
        "uplink": _rate(f"{key}.uplink", scenario.uplink, env),
        "downlink": _downlink(f"{key}.downlink", scenario, env),
        "delay_ms": parse_range(delay_key, delay, above=0.0),
        "loss": parse_range(loss_key, loss, at_least=0.0, at_most=1.0),
        # A user who asks for loss gets it in every episode, unless told otherwise.
        "loss_probability": 1.0 if env.loss is not None and env.loss_probability is None else chance,
        **_disturbances(key, scenario, env),
        "queue": _queue("scenarios.0.queue", (f"{key}.queue", scenario.queue), ("env.queue", overrides)),
        "ack_queue": _queue("scenarios.0.ack_queue", (f"{key}.ack_queue", scenario.ack_queue)),
        "overhead_bytes": scenario.overhead_bytes,
    }


def _override(env_key: str, env_value: Any, key: str, value: Any) -> tuple[str, Any]:
    return (key, value) if env_value is None else (env_key, env_value)


def _downlink(key: str, scenario: ScenarioConfig, env: EnvConfig) -> dict[str, Any]:
    if scenario.downlink is None:
        return _rate(key, scenario.uplink, env)
    if scenario.downlink.get("kind") == "trace" and scenario.downlink.get("file") is None:
        return _rate(key, {**scenario.downlink, "file": scenario.uplink.get("file")}, env)
    return _rate(key, scenario.downlink, EnvConfig())  # described apart: overrides are for the data's link


def _rate(key: str, given: Mapping[str, Any], env: EnvConfig) -> dict[str, Any]:
    kinds = native_default("kinds.rate")
    kind = given.get("kind")
    if kind not in kinds:
        raise ConfigError(f"{key}.kind: must be one of {', '.join(kinds)}, got {kind!r}")
    rate = _merged(kinds[kind], given)
    knob = "mbps" if "mbps" in rate else "scale"
    for name, default in kinds[kind].items():
        if name != knob and _is_range(default):
            rate[name] = parse_range(f"{key}.{name}", rate[name], at_least=0.0)
    if knob not in rate:
        for name in ("rate_mbps", "rate_scale"):
            if getattr(env, name) is not None:
                raise ConfigError(f"env.{name}: {key} is a {kind}, which plays at the rate that it has")
        return rate
    if env.rate_mbps is not None and knob == "scale":
        raise ConfigError(f"env.rate_mbps: {key} is a {kind} link; env.rate_scale multiplies its rate")
    rate_key, value = _override("env.rate_mbps", env.rate_mbps, f"{key}.{knob}", rate[knob])
    rate[knob] = _scaled(parse_range(rate_key, value, above=0.0), rate_key, env)
    return rate


def _scaled(rate: dict[str, Any], key: str, env: EnvConfig) -> dict[str, Any]:
    if env.rate_scale is None:
        return rate
    if rate["low"] != rate["high"]:
        raise ConfigError(f"env.rate_scale: {key} is drawn from a range already")
    scale = parse_range("env.rate_scale", env.rate_scale, above=0.0)
    return {**scale, "low": rate["low"] * scale["low"], "high": rate["low"] * scale["high"]}


def _disturbances(key: str, scenario: ScenarioConfig, env: EnvConfig) -> dict[str, Any]:
    """Varying delay, reordering, duplication: the core's defaults under the scenario's own, under `env`'s."""
    disturbances: dict[str, Any] = {}
    for group in ("delay_variation", "reordering"):
        given: Mapping[str, Any] = getattr(scenario, group)
        overrides = {name: value for name, value in vars(getattr(env, group)).items() if value is not None}
        defaults = native_default(f"scenarios.0.{group}")
        merged = {**defaults, **given, **overrides}
        for name in filter(lambda name: _is_range(defaults.get(name)), merged):
            knob = f"env.{group}.{name}" if name in overrides else f"{key}.{group}.{name}"
            most = 1.0 if name == "probability" else None
            merged[name] = parse_range(knob, merged[name], at_least=0.0, at_most=most)
        disturbances[group] = merged
    knob, value = _override("env.duplication", env.duplication, f"{key}.duplication", scenario.duplication)
    if value is None:
        value = native_default("scenarios.0.duplication")
    disturbances["duplication"] = parse_range(knob, value, at_least=0.0, at_most=1.0)
    return disturbances


def _is_range(value: Any) -> bool:
    return isinstance(value, Mapping) and value.keys() == {"low", "high", "log"}


def _queue(default_path: str, *layers: tuple[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The default queue under layers of (their key, what they set). A layer that sets a bound, or makes the
    queue infinite, replaces all the bounds below it."""
    queue: dict[str, Any] = native_default(default_path)
    keys = dict.fromkeys(BOUNDS, "")
    for key, given in layers:
        if given.keys() & set(BOUNDS) or given.get("kind") == "infinite":
            queue |= dict.fromkeys(BOUNDS)
        keys |= {bound: f"{key}.{bound}" for bound in BOUNDS if bound in given}
        queue = _merged(queue, given)
    for bound in BOUNDS:
        if queue[bound] is not None:
            queue[bound] = parse_range(keys[bound], queue[bound], above=0.0)
    return queue


def _merged(defaults: dict[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """What was given over the defaults, mapping by mapping; a range replaces a range whole."""
    merged = dict(defaults)
    for name, value in given.items():
        nested = (
            isinstance(value, Mapping) and isinstance(merged.get(name), dict) and "low" not in merged[name]
        )
        merged[name] = _merged(merged[name], value) if nested else value
    return merged
