"""What was run, in words: from a run's configuration and versions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pantheon.report.source import Source

Facts = list[tuple[str, str]]

_GROUPS = ("agent", "actions", "reward", "history", "transport")


def run_facts(source: Source) -> Facts:
    """Name and value of whatever tells this run from others; what the folder does not say is left out."""
    config, observed = source.config, source.observed
    seeds = sorted({int(seed) for seed in observed["seed"]})
    episodes = len(observed[["scheme", "scenario", "seed"]].drop_duplicates())
    facts = [
        ("schemes", ", ".join(source.schemes)),
        ("scenarios", f"{len(source.scenarios)}: {', '.join(source.scenarios)}"),
        ("episodes", f"{episodes} in all; seeds {_ranges(seeds)}, the same for every scheme"),
    ]
    if "episode_ms" in config.get("env", {}):
        time = "virtual" if config.get("realtime", {}).get("host", "virtual") == "virtual" else "real"
        facts.append(("length", f"{float(config['env']['episode_ms']) / 1000.0:g} s of {time} time each"))
    if config.get("test"):
        facts.append(("in short", _command(source)))
    return facts + _versions(source.versions)


def settings(config: Mapping[str, Any]) -> Facts:
    """What the whole run shared, beside its scenarios."""
    env = {name: value for name, value in config.get("env", {}).items() if name != "scenarios"}
    shown = {"env": env, **{group: config.get(group) for group in _GROUPS}}
    return [(group, described(value)) for group, value in shown.items() if described(value or "")]


def described(value: Any) -> str:
    """A configuration's branch on one line: `droptail (packets 400)`, without what is not set."""
    if isinstance(value, Mapping):
        parts = {str(name): described(inner) for name, inner in value.items() if inner not in (None, {}, [])}
        parts = {name: text for name, text in parts.items() if text}  # of a branch where nothing is set
        kind = parts.pop("kind", "")
        listed = ", ".join(f"{name} {inner}" for name, inner in parts.items())
        return f"{kind} ({listed})" if kind and listed else kind or listed
    if isinstance(value, list):
        if len(value) == 2 and all(isinstance(bound, int | float) for bound in value):
            return f"{value[0]:g} to {value[1]:g}"
        return "[" + ", ".join(described(inner) for inner in value) + "]"
    return f"{value:g}" if isinstance(value, float) else str(value)


def scenario_facts(config: Mapping[str, Any]) -> Facts:
    """What a scenario's configuration says, link and queue first."""
    shown = {
        name: value for name, value in config.items() if value not in (None, {}, []) and name != "weight"
    }
    first = [name for name in ("uplink", "downlink", "delay_ms", "queue", "loss") if name in shown]
    return [(name, described(shown[name])) for name in dict.fromkeys([*first, *shown])]


def _command(source: Source) -> str:
    agent = source.config.get("agent", {}).get("name", source.schemes[0])
    test = source.config["test"]
    listed = ",".join(str(name) for name in test.get("schemes", []))
    scenarios = ",".join(source.scenarios)
    return (
        f"python run.py mode=test agent={agent} env=[{scenarios}] test.schemes=[{listed}] "
        f"test.runs={test.get('runs')} test.seed={test.get('seed')} (config.yaml holds every setting)"
    )


def _ranges(seeds: list[int]) -> str:
    if len(seeds) > 2 and seeds[-1] - seeds[0] == len(seeds) - 1:
        return f"{seeds[0]} to {seeds[-1]}"
    return ", ".join(map(str, seeds[:6])) + (", ..." if len(seeds) > 6 else "")


def _versions(versions: Mapping[str, Any]) -> Facts:
    if not versions:
        return []
    packages = {name: version for name, version in (versions.get("packages") or {}).items() if version}
    git = versions.get("git") or {}
    facts = [
        (
            "versions",
            f"Python {versions.get('python')}, " + ", ".join(f"{n} {v}" for n, v in packages.items()),
        )
    ]
    if git.get("revision"):
        changed = ", with uncommitted changes" if git.get("dirty") else ""
        facts.append(("revision", f"{git['revision']}{changed}"))
    return facts
