"""Turns a `Config` into the dictionary that the native core takes. Values are checked here only where the
user's form differs from the native one; the native parser checks all of it again."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from mvfstrl.agents.base import AgentConfig
from mvfstrl.agents.schemes import MVFST_OWN, SCHEMES, SchemeConfig
from mvfstrl.config.ranges import parse_range
from mvfstrl.config.scenarios import native_scenario
from mvfstrl.config.schema import ActionsConfig, Config, HistoryConfig
from mvfstrl.errors import ConfigError
from mvfstrl.native_defaults import native_default


def native_config(cfg: Config, agent: AgentConfig | None = None) -> dict[str, Any]:
    """The native configuration. `agent` replaces the one that drives flow 0 and all flows of scheme agent."""
    if not cfg.env.scenarios:
        raise ConfigError("env: names no scenario")
    return {
        "scenarios": [native_scenario(name, s, cfg.env) for name, s in cfg.env.scenarios.items()],
        "flows": _flows(cfg, agent if agent is not None else cfg.agent),
        "cross_traffic": [
            _cross_traffic(f"env.cross_traffic[{i}]", traffic)
            for i, traffic in enumerate(cfg.env.cross_traffic)
        ],
        "transport": cfg.transport,
        "observation": native_observation(cfg.history),
        "actions": native_actions(cfg.actions),
        "reward": asdict(cfg.reward),
        "action_delay": _action_delay(cfg.env.action_delay_ms),
        "episode_ms": cfg.env.episode_ms,
    }


def controller(agent: AgentConfig) -> dict[str, Any]:
    """The native controller of an agent: with its knobs for a classic scheme, `external` for a learner."""
    if isinstance(agent, SchemeConfig):
        return of_kind("controller", "agent.controller", agent.controller)
    controller: dict[str, Any] = native_default("kinds.controller.external")
    return controller


def of_kind(family: str, key: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """What was given over the defaults of its kind; `key` names it in errors."""
    kinds = native_default(f"kinds.{family}")
    kind = given.get("kind")
    if kind not in kinds:
        raise ConfigError(f"{key}.kind: must be one of {', '.join(kinds)}, got {kind!r}")
    _refuse_unknown(key, given, kinds[kind])
    merged: dict[str, Any] = {**kinds[kind], **given}
    return merged


def native_guard(cfg: Config) -> dict[str, Any]:
    """The guard as `_native.play_local` takes it."""
    key, given = "guard.fallback", cfg.guard.fallback
    if not isinstance(given, str | Mapping):
        raise ConfigError(f"{key}: must be a scheme's name or a mapping with its kind, got {given!r}")
    knobs: Mapping[str, Any] = {"kind": given} if isinstance(given, str) else given
    _one_of(key, knobs.get("kind"), CLASSIC)
    return asdict(cfg.guard) | {"fallback": of_kind("controller", key, knobs)}


CLASSIC = tuple(name for name in SCHEMES if name not in ("random", *MVFST_OWN))
"""The schemes of ours that drive a connection without being asked."""

AGENT = "agent"
"""The scheme of flows that the agent of the run drives, or the scheme under test."""


def _flows(cfg: Config, agent: AgentConfig) -> list[dict[str, Any]]:
    if not cfg.env.flows or cfg.env.flows[0].get("scheme") != AGENT:
        raise ConfigError(f"env.flows: the first flow's scheme must be {AGENT}")
    return [_flow(f"env.flows[{i}]", flow, cfg, agent) for i, flow in enumerate(cfg.env.flows)]


def _flow(key: str, given: Mapping[str, Any], cfg: Config, agent: AgentConfig) -> dict[str, Any]:
    """`scheme` and, beside it, the keys of a native flow; `controller` holds a classic scheme's knobs."""
    flow: dict[str, Any] = native_default("flows.0")
    _refuse_unknown(key, given, {"scheme": None, **flow})
    flow |= {name: value for name, value in given.items() if name != "scheme"}
    if given.get("scheme") == AGENT:
        if "controller" in given:
            raise ConfigError(f"{key}.controller: the agent's is given by agent, not here")
        flow["controller"] = controller(agent)
        flow["app"] = _app(f"{key}.app", given["app"]) if "app" in given else _app("env.app", cfg.env.app)
    else:
        flow["controller"] = _classic(key, given, (AGENT, "random", *CLASSIC))
        flow["app"] = _app(f"{key}.app", flow["app"])
    return flow


def _classic(key: str, given: Mapping[str, Any], known: tuple[str, ...]) -> dict[str, Any]:
    scheme = _one_of(f"{key}.scheme", given.get("scheme"), known)
    return of_kind("controller", f"{key}.controller", {**given.get("controller", {}), "kind": scheme})


def _one_of(key: str, scheme: object, known: tuple[str, ...]) -> object:
    if scheme not in known:
        near = difflib.get_close_matches(str(scheme), known, n=1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        raise ConfigError(f"{key}: must be one of {', '.join(known)}, got {scheme!r}{hint}")
    return scheme


def _cross_traffic(key: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """As the native form, with `scheme` beside the `controller` of short flows."""
    traffic = {name: value for name, value in given.items() if name not in ("scheme", "controller")}
    traffic = of_kind("cross_traffic", key, traffic)
    if "controller" in traffic:
        named = {"scheme": traffic["controller"]["kind"], **given}
        traffic["controller"] = _classic(key, named, CLASSIC)
    else:
        _refuse_unknown(key, given, traffic)
    return traffic


def _app(key: str, given: Any) -> dict[str, Any]:
    if not isinstance(given, str | Mapping):
        raise ConfigError(f"{key}: must be an application's name or a mapping with its kind, got {given!r}")
    return of_kind("app", key, {"kind": given} if isinstance(given, str) else given)


def _action_delay(given: Any) -> dict[str, Any]:
    key = "env.action_delay_ms"
    if isinstance(given, Mapping) and "samples" in given:
        _refuse_unknown(key, given, {"samples": None, "from": None})
        return {"kind": "empirical", "samples_ms": list(given["samples"])}
    delay = parse_range(key, given, at_least=0.0)
    if delay["log"]:
        raise ConfigError(f"{key}: a logarithmic range is not offered; give samples instead")
    if delay["low"] == delay["high"]:
        return {"kind": "constant", "ms": delay["low"]}
    return {"kind": "uniform", "low_ms": delay["low"], "high_ms": delay["high"]}


def native_observation(history: HistoryConfig) -> dict[str, Any]:
    return {
        "window_kind": history.window_kind,
        "window_ms": history.window_ms,
        "window_events": history.window_events,
        "history": history.length,
    }


def native_actions(config: ActionsConfig) -> dict[str, Any]:
    actions = asdict(config)
    choices = [_signed(choice) for choice in actions.pop("choices")]
    if not choices or choices[0] != "0":
        raise ConfigError(f"actions.choices: the first action must be 0 (keep the window), got {choices}")
    return {"list": choices, **actions}


def _signed(choice: str) -> str:
    """Hydra reads an unquoted +10 as the number 10: give it its sign back."""
    return f"+{choice}" if choice[:1].isdigit() and choice != "0" else choice


def _refuse_unknown(key: str, given: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    for name in given:
        if name not in known:
            raise ConfigError(f"{key}.{name}: unknown key; there are {', '.join(known)}")
