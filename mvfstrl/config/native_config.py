"""Turns a `Config` into the dictionary that the native core takes. Values are checked here only where the
user's key differs from the native one; the native parser checks all of it again."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from mvfstrl.agents.base import AgentConfig
from mvfstrl.agents.schemes import CubicConfig, FixedConfig, NewRenoConfig, RandomConfig
from mvfstrl.config.native_defaults import native_default
from mvfstrl.config.scenarios import native_scenario
from mvfstrl.config.schema import Config
from mvfstrl.errors import ConfigError

CONTROLLER_KINDS = ("newreno", "cubic", "fixed", "random", "external")


def native_config(cfg: Config, agent: AgentConfig | None = None) -> dict[str, Any]:
    """The native configuration. `agent` replaces the one that drives flow 0 (the observed one)."""
    if not cfg.env.scenarios:
        raise ConfigError("env: names no scenario")
    return {
        "scenarios": [native_scenario(name, s, cfg.env) for name, s in cfg.env.scenarios.items()],
        "flows": _flows(cfg, agent if agent is not None else cfg.agent),
        "transport": _without_name(asdict(cfg.transport)),
        "observation": {
            "window_kind": cfg.history.window_kind,
            "window_ms": cfg.history.window_ms,
            "window_events": cfg.history.window_events,
            "history": cfg.history.length,
        },
        "actions": _actions(cfg),
        "reward": asdict(cfg.reward),
        "action_delay": dict(cfg.env.action_delay),
        "episode_ms": cfg.env.episode_ms,
    }


def controller(agent: AgentConfig) -> dict[str, Any]:
    """The native controller of an agent: with its knobs for a classic scheme, `external` for a learner."""
    if isinstance(agent, NewRenoConfig | CubicConfig | FixedConfig | RandomConfig):
        return {"kind": agent.name, **_without_name(asdict(agent))}
    return {"kind": "external"}


def _flows(cfg: Config, agent: AgentConfig) -> list[dict[str, Any]]:
    observed = {**native_default("flows.0"), "controller": controller(agent), "app": dict(cfg.env.app)}
    return [observed, *(_cross_flow(i, flow) for i, flow in enumerate(cfg.env.cross_flows))]


def _cross_flow(index: int, flow: dict[str, Any]) -> dict[str, Any]:
    merged = native_default("flows.0")
    settings = dict(flow)
    scheme = settings.pop("scheme", None)
    key = f"env.cross_flows[{index}]"
    if scheme not in CONTROLLER_KINDS[:4]:
        raise ConfigError(f"{key}.scheme: must be one of {', '.join(CONTROLLER_KINDS[:4])}, got {scheme!r}")
    unknown = sorted(set(settings) - set(merged))
    if unknown:
        raise ConfigError(f"{key}: unknown key {unknown[0]!r}; it has {', '.join(['scheme', *merged])}")
    merged["controller"] = {"kind": scheme}
    return {**merged, **settings}


def _actions(cfg: Config) -> dict[str, Any]:
    choices = [_signed(choice) for choice in cfg.actions.choices]
    if not choices or choices[0] != "0":
        raise ConfigError(f"actions.choices: the first action must be 0 (keep the window), got {choices}")
    rest = _without_name(asdict(cfg.actions))
    del rest["choices"]
    return {"list": choices, **rest}


def _signed(choice: str) -> str:
    """Hydra reads an unquoted +10 as the number 10: give it its sign back."""
    return f"+{choice}" if choice[:1].isdigit() and choice != "0" else choice


def _without_name(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key != "name"}
