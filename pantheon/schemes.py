"""What is compared: classic controllers, trained policies, and the best fixed window."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mvfstrl.agents.base import AgentConfig
from mvfstrl.agents.schemes import SCHEMES, SchemeConfig
from mvfstrl.errors import ConfigError

if TYPE_CHECKING:
    from mvfstrl.config import Config
    from mvfstrl.policy import Policy

ORACLE = "oracle"


@dataclass(frozen=True)
class Scheme:
    """A competitor under the name that results give it."""

    name: str
    agent: AgentConfig
    """What drives the observed flow where no scenario has an agent of its own."""
    policy: Policy | None = None
    """Asked for every action, where the agent learns."""
    agents: dict[str, AgentConfig] = field(default_factory=dict)
    """The agent by scenario, for schemes that are tuned to each."""
    shuffled: bool = False
    """The ablation: the policy is shown observations of other moments."""

    def agent_in(self, scenario: str) -> AgentConfig:
        return self.agents.get(scenario, self.agent)


def scheme_names(cfg: Config) -> list[str]:
    """The agent under test first, then `test.schemes`, each once; unknown names are refused."""
    known = [*SCHEMES, ORACLE]
    for name in cfg.test.schemes:
        if name != cfg.agent.name and name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f" (did you mean {near[0]}?)" if near else ""
            raise ConfigError(f"test.schemes: unknown scheme {name!r}{hint}; known are {', '.join(known)}")
    return list(dict.fromkeys([cfg.agent.name, *cfg.test.schemes]))


def fixed_window(packets: int) -> SchemeConfig:
    agent = SCHEMES["fixed"]()
    agent.controller["window_packets"] = float(packets)
    return agent


def classic_scheme(name: str) -> Scheme:
    """A scheme that needs no training, with its default settings."""
    return Scheme(name, SCHEMES[name]())
