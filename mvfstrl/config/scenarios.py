"""Scenarios of the configuration in the native core's terms, with the overrides of `env` applied."""

from __future__ import annotations

from typing import Any

from mvfstrl.config.native_defaults import native_default
from mvfstrl.config.ranges import parse_range
from mvfstrl.config.schema import EnvConfig, ScenarioConfig
from mvfstrl.errors import ConfigError


def native_scenario(name: str, scenario: ScenarioConfig, env: EnvConfig) -> dict[str, Any]:
    key = f"env.scenarios.{name}"
    uplink = dict(scenario.uplink)
    downlink = dict(scenario.downlink) if scenario.downlink is not None else dict(uplink)
    return {
        "name": name,
        "weight": scenario.weight,
        "uplink": _rate(f"{key}.uplink", uplink, env),
        "downlink": _rate(f"{key}.downlink", downlink, env),
        "delay_ms": _chosen("env.delay_ms", env.delay_ms, f"{key}.delay_ms", scenario.delay_ms, at_least=0.0),
        "loss": _chosen("env.loss", env.loss, f"{key}.loss", scenario.loss, at_least=0.0, at_most=1.0),
        "loss_probability": scenario.loss_probability
        if env.loss_probability is None
        else env.loss_probability,
        "queue": _data_queue(key, scenario, env),
        "ack_queue": _queue(
            f"{key}.ack_queue", {**native_default("scenarios.0.ack_queue"), **scenario.ack_queue}
        ),
        "overhead_bytes": scenario.overhead_bytes,
    }


def _chosen(override_key: str, override: Any, key: str, value: Any, **bounds: float) -> dict[str, Any]:
    if override is not None:
        return parse_range(override_key, override, **bounds)
    return parse_range(key, value, **bounds)


def _rate(key: str, rate: dict[str, Any], env: EnvConfig) -> dict[str, Any]:
    kind = rate.get("kind")
    if kind in ("constant", "poisson"):
        return {
            **rate,
            "mbps": _chosen("env.rate_mbps", env.rate_mbps, f"{key}.mbps", rate.get("mbps"), above=0.0),
        }
    if env.rate_mbps is not None:
        raise ConfigError(f"env.rate_mbps: {key} is a {kind} link, which has a rate of its own")
    if kind == "cellular" and "scale" in rate:
        return {**rate, "scale": parse_range(f"{key}.scale", rate["scale"], above=0.0)}
    return rate


def _data_queue(key: str, scenario: ScenarioConfig, env: EnvConfig) -> dict[str, Any]:
    queue = {**native_default("scenarios.0.queue"), **scenario.queue}
    for knob in ("kind", "packets", "bytes", "bdp"):
        override = getattr(env.queue, knob)
        if override is not None:
            queue[knob] = override
            key = "env" if knob != "kind" else key
    return _queue(f"{key}.queue", queue)


def _queue(key: str, queue: dict[str, Any]) -> dict[str, Any]:
    for bound in ("packets", "bytes", "bdp"):
        if queue.get(bound) is not None:
            queue[bound] = parse_range(f"{key}.{bound}", queue[bound], above=0.0)
    return queue
