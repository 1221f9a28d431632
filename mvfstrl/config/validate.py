"""Refuses, before anything is written, what cannot be run. Every message starts with the user's own key."""

from __future__ import annotations

import difflib
import importlib
import re
from collections.abc import Iterable
from pathlib import Path

from mvfstrl.agents.impala import config as impala
from mvfstrl.agents.schemes import MVFST_OWN, SCHEMES
from mvfstrl.config.actors import check_actors
from mvfstrl.config.native_config import native_config, native_guard
from mvfstrl.config.schema import Config, Mode, RealtimeConfig
from mvfstrl.errors import ConfigError, MissingExtraError
from mvfstrl.outcome import OBJECTIVES

LEARNERS = ("impala",)
PRECISIONS = ("fp32", "bf16")
TEST_SCHEMES = (*SCHEMES, *LEARNERS, "oracle", "omniscient")
PACKET_BYTES = {"aioquic": (1200, 2036), "mvfst": (1200, 1452)}
"""Of UDP payload: the least that a handshake takes (RFC 9000, 14.1), and the most that the emulator carries,
or mvfst's receivers take."""


def validate(cfg: Config, run: Path) -> None:
    """Raises `ConfigError` for the first problem found. `run`: the run directory."""
    _check_numbers(cfg)
    check_actors(cfg)
    _check_objective(cfg)
    _check_mode(cfg, run)
    _check_agent(cfg)
    if cfg.mode in (Mode.test, Mode.test_local) or cfg.test_after_train:
        _check_test(cfg)
    _check_local(cfg)
    _check_realtime(cfg)
    if cfg.export.onnx:
        _check_extra("export.onnx", "export", "onnx", "onnxruntime")
    _check_traces(cfg)
    _check_native(cfg)


def _need(ok: bool, key: str, rule: str, value: object) -> None:
    if not ok:
        raise ConfigError(f"{key}: must be {rule}, got {value!r}")


def _check_extra(key: str, extra: str, *modules: str) -> None:
    for module in modules:
        try:
            importlib.import_module(module)
        except ImportError as error:
            raise MissingExtraError(key, extra, error) from error


def _check_numbers(cfg: Config) -> None:
    _need(cfg.total_steps >= 1, "total_steps", "at least 1", cfg.total_steps)
    _need(0 <= cfg.seed < 2**63, "seed", "0 or more, below 2^63", cfg.seed)
    _need(cfg.history.length >= 1, "history.length", "at least 1", cfg.history.length)
    _need(cfg.ranks.timeout_s > 0, "ranks.timeout_s", "above 0", cfg.ranks.timeout_s)
    _need(
        re.fullmatch(r"auto|cpu|cuda(:\d+)?", cfg.device) is not None,
        "device",
        "auto, cpu, cuda or cuda:N",
        cfg.device,
    )
    if cfg.deterministic and cfg.device.startswith("cuda"):
        raise ConfigError("deterministic: holds on the CPU only; add device=cpu")


def _check_objective(cfg: Config) -> None:
    if not cfg.objective:
        raise ConfigError(f"objective: is empty; there are {', '.join(OBJECTIVES)}")
    for name in cfg.objective:
        if name not in OBJECTIVES:
            hint = _near(name, OBJECTIVES)
            raise ConfigError(f"objective: unknown metric {name!r}{hint}; there are {', '.join(OBJECTIVES)}")
    if len(set(cfg.objective)) < len(cfg.objective):
        raise ConfigError(f"objective: names a metric twice: {', '.join(cfg.objective)}")
    if "score" in cfg.objective and not cfg.test.anchors:
        raise ConfigError("objective: score is normalised by the anchors; add test.anchors=true")


def _near(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean {near[0]}?)" if near else ""


def _check_test(cfg: Config) -> None:
    _need(cfg.test.runs >= 1, "test.runs", "at least 1", cfg.test.runs)
    _need(cfg.test.series_runs >= 0, "test.series_runs", "0 or more", cfg.test.series_runs)
    _need(cfg.test.seed >= 0, "test.seed", "0 or more", cfg.test.seed)
    _need(cfg.test.threads >= 0, "test.threads", "0 (one a core) or more", cfg.test.threads)
    if not cfg.test.schemes:
        raise ConfigError(f"test.schemes: is empty; name what to compare with: {', '.join(TEST_SCHEMES)}")
    for name in cfg.test.schemes:
        if name not in TEST_SCHEMES:
            hint = _near(name, TEST_SCHEMES)
            known = ", ".join(TEST_SCHEMES)
            raise ConfigError(f"test.schemes: unknown scheme {name!r}{hint}; there are {known}")
        if name in LEARNERS and name != cfg.agent.name and cfg.checkpoint is None:
            raise ConfigError(f"checkpoint: {name} in test.schemes needs one (checkpoint=FILE)")
    for name, path in cfg.test.policies.items():
        if name in (*TEST_SCHEMES, cfg.agent.name):
            raise ConfigError(f"test.policies: {name} is a scheme's name; choose another for {path}")
        if not Path(path).exists():
            raise ConfigError(f"test.policies.{name}: no such file: {path}")


def _check_local(cfg: Config) -> None:
    """Of the guard, the core checks all again."""
    from mvfstrl import _native

    for key, value, known in (
        ("local.precision", cfg.local.precision, ("auto", *PRECISIONS)),
        ("local.instructions", cfg.local.instructions, ("auto", *_native.instruction_sets())),
    ):
        _need(value in known, key, f"one of {', '.join(known)}", value)
    try:
        _native.guard_config(native_guard(cfg))
    except ValueError as error:
        raise ConfigError(str(error)) from error
    if cfg.mode is Mode.test_local and cfg.test.shuffle_observations:
        raise ConfigError("test.shuffle_observations: mode=test plays it, mode=test_local does not")


HOSTS = ("virtual", "aioquic", "mvfst")
ASKED = ("direct", "rpc", "local")


def _check_realtime(cfg: Config) -> None:
    for key, value, known in (("realtime.host", cfg.realtime.host, HOSTS), ("policy", cfg.policy, ASKED)):
        if value not in known:
            raise ConfigError(f"{key}: must be one of {', '.join(known)}, got {value!r}{_near(value, known)}")
    _need(cfg.realtime.parallel >= 0, "realtime.parallel", "0 (chosen) or more", cfg.realtime.parallel)
    _check_mvfst(cfg)
    host = cfg.realtime.host
    if host == "virtual":
        for key, given in (
            ("policy", cfg.policy != "direct"),
            ("realtime.qlog", cfg.realtime.qlog),
            ("realtime.log_links", cfg.realtime.log_links),
        ):
            if given:
                raise ConfigError(f"{key}: is for real time; add transport=aioquic or transport=mvfst")
        return
    if cfg.policy == "rpc":
        _check_server(cfg.realtime)
    if cfg.test.shuffle_observations:
        raise ConfigError(f"test.shuffle_observations: is of virtual time; leave out transport={host}")
    if cfg.test.qlog:
        raise ConfigError(f"test.qlog: is of virtual time; realtime.qlog=true keeps {host}'s own")
    native = native_config(cfg)
    if len(native["flows"]) > 1 or native["cross_traffic"]:
        raise ConfigError(f"env.flows: a real connection has its path to itself; leave out transport={host}")
    kind = native["flows"][0]["app"]["kind"]
    if host == "aioquic" and kind != "bulk":
        raise ConfigError(f"env.app: aioquic's senders are bulk, got {kind}; transport=mvfst has others")
    least, most = PACKET_BYTES[host]
    size = native["transport"]["window"]["packet_size_bytes"]
    key = "transport.window.packet_size_bytes"
    _need(least <= size <= most, key, f"between {least} and {most} for transport={host}", size)


def _check_mvfst(cfg: Config) -> None:
    if cfg.realtime.host == "mvfst":
        from mvfstrl.realtime.hosts import require_mvfst

        require_mvfst("realtime.host")
        return
    for key, names in (("agent", [cfg.agent.name]), ("test.schemes", cfg.test.schemes)):
        for name in names:
            if name in MVFST_OWN:
                raise ConfigError(f"{key}: {name} runs inside mvfst alone; add transport=mvfst")


def _check_server(realtime: RealtimeConfig) -> None:
    from mvfstrl.rpc.security import Address, ClientSecurity, SecurityError

    if realtime.server is None:
        raise ConfigError("realtime.server: policy=rpc needs a policy server (realtime.server=HOST:PORT)")
    try:
        ClientSecurity.of(Address(realtime.server), realtime.token_file, realtime.tls_ca)
    except SecurityError as error:
        raise ConfigError(f"realtime.server: {error}") from error


def _check_mode(cfg: Config, run: Path) -> None:
    classic = cfg.agent.name in SCHEMES
    if (
        cfg.mode is not Mode.train
        and not classic
        and cfg.checkpoint is None
        and cfg.policy != "rpc"
        and not (run / "checkpoints").is_dir()
    ):
        raise ConfigError(
            f"checkpoint: mode={cfg.mode} of agent={cfg.agent.name} needs one (checkpoint=FILE)"
        )
    if cfg.runs is not None:
        raise ConfigError(f"runs: only mode=report reads them, and this is mode={cfg.mode}")
    if cfg.mode is not Mode.test and classic:
        raise ConfigError(f"agent: {cfg.agent.name} has nothing to {cfg.mode}; use mode=test")
    if cfg.checkpoint is not None and not Path(cfg.checkpoint).exists():
        raise ConfigError(f"checkpoint: no such file: {cfg.checkpoint}")


def _check_agent(cfg: Config) -> None:
    if isinstance(cfg.agent, impala.ImpalaConfig):
        problems = impala.validate(cfg.agent)
        if problems:
            raise ConfigError("; ".join(f"agent.{problem}" for problem in problems))


def _check_traces(cfg: Config) -> None:
    for name, scenario in cfg.env.scenarios.items():
        for side, rate in (("uplink", scenario.uplink), ("downlink", scenario.downlink)):
            if rate is None or rate.get("kind") != "trace":
                continue
            key = f"env.{side}" if name == "trace" else f"env.scenarios.{name}.{side}.file"
            file = rate.get("file")
            if file is None and side == "uplink":
                raise ConfigError(f"{key}: env=trace needs a mahimahi trace file ({key}=FILE)")
            if file is not None and not Path(file).is_file():
                raise ConfigError(f"{key}: no such trace file: {file}")


# The native parser's keys, as the user writes them.
_NATIVE_KEYS = (
    (r"^flows\[0\]\.controller", "agent.controller"),
    (r"^flows\[0\]\.app", "env.app"),
    (r"^(flows|cross_traffic)\[", r"env.\1["),
    (r"^observation\.history", "history.length"),
    (r"^observation\.", "history."),
    (r"^actions\.list", "actions.choices"),
    (r"^action_delay(\.\w+)?", "env.action_delay_ms"),
    (r"^episode_ms", "env.episode_ms"),
)


def _check_native(cfg: Config) -> None:
    """The core parses the same dictionary again and reads the traces; its word is final."""
    from mvfstrl._native import VectorEnvironment

    agent = SCHEMES["newreno"]() if cfg.agent.name in MVFST_OWN else cfg.agent
    try:
        VectorEnvironment(native_config(cfg, agent), num_envs=1).close()
    except ValueError as error:
        raise ConfigError(_user_key(str(error), list(cfg.env.scenarios))) from error


def _user_key(message: str, scenarios: list[str]) -> str:
    match = re.match(r"scenarios\[(\d+)\]", message)
    if match:
        return f"env.scenarios.{scenarios[int(match[1])]}{message[match.end() :]}"
    for pattern, replacement in _NATIVE_KEYS:
        message = re.sub(pattern, replacement, message)
    return message
