"""What is compared: classic controllers, trained policies, and the best fixed window."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mvfstrl.agents.base import AgentConfig
from mvfstrl.agents.impala.config import ImpalaConfig
from mvfstrl.agents.schemes import SCHEMES, SchemeConfig
from mvfstrl.checkpoint import digest, plain, spec_difference, trained_section
from mvfstrl.config.schema import ActionsConfig, HistoryConfig
from mvfstrl.config.validate import LEARNERS
from mvfstrl.errors import CheckpointError, ConfigError
from pantheon.omniscient import PROBE_WINDOW, require_computable

if TYPE_CHECKING:
    from pathlib import Path

    from mvfstrl.config import Config
    from mvfstrl.policy import Policy
    from mvfstrl.rundir import RunDirectory
    from pantheon.local import LocalPolicy

logger = logging.getLogger(__name__)

ORACLE = "oracle"
OMNISCIENT = "omniscient"
RANDOM = "random"
ANCHORS = (RANDOM, ORACLE)
SHUFFLED = " (shuffled)"


@dataclass(frozen=True)
class ServedPolicy:
    """The policy of whoever serves it there; policy=rpc."""

    server: str


@dataclass(frozen=True)
class Scheme:
    """A competitor under the name that results give it."""

    name: str
    agent: AgentConfig
    """What drives the observed flow."""
    policy: Policy | LocalPolicy | ServedPolicy | None = None
    """Where the agent learns: asked for every action, or what plays by itself."""
    identity: str = ""
    """Tells a policy from any other by what it learnt."""
    history: HistoryConfig | None = None
    actions: ActionsConfig | None = None
    """What a policy sees and may do, as its checkpoint says; None: as the test's configuration says."""
    shuffled: bool = False
    """The ablation: the policy is shown observations of other moments."""
    searched: bool = False
    """To be tuned to each scenario before it plays there."""
    computed: bool = False
    """Not played but computed from what the link offered."""

    @property
    def virtual_policy(self) -> Policy | LocalPolicy | None:
        """Where time is virtual: a policy that a server has plays in real time alone."""
        assert not isinstance(self.policy, ServedPolicy)
        return self.policy

    def with_window(self, packets: int, *, pacing: bool = False) -> Scheme:
        return replace(self, agent=fixed_window(packets, pacing=pacing), searched=False)


def schemes_of(cfg: Config, run: RunDirectory) -> list[Scheme]:
    """Everything that the test compares: the agent under test first."""
    agent = agent_under_test(cfg, run)
    schemes = [agent]
    if cfg.test.shuffle_observations and agent.policy is not None:
        schemes.append(replace(agent, name=agent.name + SHUFFLED, shuffled=True))
    schemes += [
        learnt(name, path, cfg, run, f"test.policies.{name}") for name, path in cfg.test.policies.items()
    ]
    anchors = ANCHORS if cfg.test.anchors else ()
    taken = {scheme.name for scheme in schemes}
    for name in dict.fromkeys([*cfg.test.schemes, *anchors]):
        if name in LEARNERS and name not in taken:
            if cfg.checkpoint is None:
                raise ConfigError(f"checkpoint: {name} in test.schemes needs one (checkpoint=FILE)")
            schemes.append(learnt(name, cfg.checkpoint, cfg, run, "checkpoint"))
        elif name not in taken:
            schemes.append(classic_scheme(name))
            if schemes[-1].computed:
                require_computable(native_of(cfg, schemes[-1], next(iter(cfg.env.scenarios))))
    return schemes


def agent_under_test(cfg: Config, run: RunDirectory) -> Scheme:
    """A learner's policy comes from `checkpoint`, or from the run that the test ends."""
    if cfg.agent.name in SCHEMES:
        return Scheme(cfg.agent.name, cfg.agent)
    if cfg.policy == "rpc":
        assert cfg.realtime.server is not None
        served = ServedPolicy(cfg.realtime.server)
        return Scheme(cfg.agent.name, ImpalaConfig(), served, f"served by {served.server}")
    from mvfstrl.config import Mode

    if cfg.mode is Mode.train:  # the test that ends it; `checkpoint` is what it started from
        return trained(cfg.agent.name, run.checkpoints, cfg, "checkpoint")
    if cfg.checkpoint is None:
        raise ConfigError(f"checkpoint: agent={cfg.agent.name} needs one to be tested (checkpoint=FILE)")
    return learnt(cfg.agent.name, cfg.checkpoint, cfg, run, "checkpoint")


def learnt(name: str, checkpoint: Path | str, cfg: Config, run: RunDirectory, key: str) -> Scheme:
    """The policy of a checkpoint as the mode plays it: by PyTorch, or exported and native."""
    from mvfstrl.config import Mode

    if not (cfg.mode is Mode.test_local or cfg.policy == "local"):
        return trained(name, checkpoint, cfg, key)
    from pantheon.local import local

    return local(name, checkpoint, cfg, run, key)


def trained(name: str, checkpoint: Path | str, cfg: Config, key: str) -> Scheme:
    """The policy of a checkpoint, which sees and does what it did in training; paths, flows, transport,
    action delay and reward are the test's. Refused where rewards would not compare, or where this program
    cannot show it what it saw."""
    from mvfstrl.policy import load_policy
    from mvfstrl.train import pick_device

    policy = load_policy(checkpoint, pick_device(cfg.device), scenarios=list(cfg.env.scenarios))
    history, actions = offered(name, policy.config, policy.spec, cfg, f"{key}: {checkpoint}")
    identity = digest(plain({"network": policy.network.state_dict(), "jobs": policy.jobs}))
    return Scheme(name, ImpalaConfig(), policy, identity, history, actions)


def offered(
    name: str, trained_with: Mapping[str, Any], spec: Mapping[str, Any], cfg: Config, where: str
) -> tuple[HistoryConfig, ActionsConfig]:
    """What a policy sees and may do, by the configuration and the spec that it was trained with."""
    from mvfstrl._native import observation_spec
    from mvfstrl.config import native_config

    history = trained_section(trained_with, "history", HistoryConfig) or cfg.history
    actions = trained_section(trained_with, "actions", ActionsConfig) or cfg.actions
    _require_same_windows(history, cfg.history, where)
    config = native_config(replace(cfg, history=history, actions=actions), ImpalaConfig())
    differences = spec_difference(_without_reward(spec), _without_reward(observation_spec(config)))
    if differences:
        raise CheckpointError(
            f"{where} saw or did what this program does not offer: {'; '.join(differences)}"
        )
    for section, theirs, mine in (("history", history, cfg.history), ("actions", actions, cfg.actions)):
        if theirs != mine:
            logger.info("%s plays with its checkpoint's %s: %s", name, section, theirs)
    return history, actions


def _require_same_windows(theirs: HistoryConfig, mine: HistoryConfig, where: str) -> None:
    length = "window_ms" if mine.window_kind == "time" else "window_events"
    for key in ("window_kind", length):
        if getattr(theirs, key) != getattr(mine, key):
            raise CheckpointError(
                f"{where} was trained with history.{key}={getattr(theirs, key)}, the test has "
                f"{getattr(mine, key)}: rewards are means over windows and would not compare"
            )


def _without_reward(spec: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in spec.items() if key != "reward"}


def native_of(cfg: Config, scheme: Scheme, scenario: str) -> dict[str, Any]:
    """The native configuration of a scheme in one scenario alone."""
    from mvfstrl.config import native_config

    alone = replace(cfg.env, scenarios={scenario: cfg.env.scenarios[scenario]})
    history, actions = scheme.history or cfg.history, scheme.actions or cfg.actions
    return native_config(replace(cfg, env=alone, history=history, actions=actions), scheme.agent)


def fixed_window(packets: int, *, pacing: bool = False) -> SchemeConfig:
    agent = SCHEMES["fixed"]()
    agent.controller |= {"window_packets": float(packets), "pacing": pacing}
    return agent


def classic_scheme(name: str) -> Scheme:
    """A scheme that needs no training, with its default settings."""
    if name == OMNISCIENT:
        return Scheme(name, fixed_window(PROBE_WINDOW), computed=True)
    return Scheme(name, SCHEMES["fixed" if name == ORACLE else name](), searched=name == ORACLE)
