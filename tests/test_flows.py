"""Several agents on one path, from Python."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from mvfstrl._native import VectorEnvironment
from mvfstrl.config import compose, native_config
from mvfstrl.errors import ConfigError
from mvfstrl.gym import make_task
from pantheon.episodes import play

AGENTS = "env.flows=[{scheme: agent},{scheme: agent, start_ms: 2000, stop_ms: 4000},{scheme: cubic}]"
OVERRIDES = ["env=constant", "env.rate_mbps=24", "env.episode_ms=5000", AGENTS]


class Counting:
    """A policy that doubles its window once every so many decisions: its memory is a count of them."""

    def __init__(self) -> None:
        self.rows: list[int] = []

    def initial_state(self, batch: int) -> Tensor:
        return torch.zeros(batch, dtype=torch.int64)

    def act(self, observation: Tensor, first: Tensor, job: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        assert observation.shape[0] == first.shape[0] == job.shape[0] == state.shape[0]
        self.rows.append(observation.shape[0])
        state = torch.where(first, torch.ones_like(state), state + 1)
        return torch.where(state % 5 == 0, 4, 0).to(torch.int64), state


def config(*overrides: str) -> dict[str, Any]:
    return native_config(compose([*OVERRIDES, *overrides]))


def test_rows_are_agents_environment_by_environment() -> None:
    env = VectorEnvironment(config(), num_envs=4, num_groups=2)
    assert (env.num_envs, env.num_agents, env.group_size) == (4, 2, 4)
    env.reset(1)
    batch = env.recv(1)
    assert batch.observation.shape == (4, env.observation_size)
    assert batch.active.tolist() == [True, False, True, False]
    assert batch.truncated.tolist() == [False, True, False, True]
    assert not batch.observation[1].any()
    with pytest.raises(ValueError, match="actions: need one for each of the group's 4 agents, got 2"):
        env.send(1, np.zeros(2, np.int32))
    with pytest.raises(ValueError, match="episode_seeds: need one for each of the group's 2 environments"):
        env.reset_with(1, np.zeros(4, np.uint64), np.zeros(4, np.int32))


def test_a_policy_plays_every_agent_with_a_memory_of_its_own() -> None:
    policy: Any = Counting()
    played = play(config(), [1, 2], policy=policy, series=True)
    assert set(policy.rows) == {4}
    for report in played.reports:
        first, second, third = report["flows"]
        assert (first["steps"], second["steps"]) == (49, 19)
        assert np.isfinite(second["return"])
        assert np.isnan(third["return"])
        series = report["series"]
        acted = [
            (flow, time)
            for flow, time, action in zip(series["flow"], series["time_ms"], series["action"], strict=True)
            if action == 4
        ]
        # The fifth decision, at 500 ms of a flow's life, takes effect in its sixth window.
        assert acted[0] == (0, 600)
        assert min(time for flow, time in acted if flow == 1) == 2600


def test_a_random_flow_may_compete() -> None:
    flows = "env.flows=[{scheme: agent},{scheme: random}]"
    report = play(config(flows, "agent=cubic", "mode=test"), [1]).reports[0]
    assert report["flows"][1]["scheme"] == "random"
    assert report["flows"][1]["steps"] == 49


def test_gymnasium_has_one_agent() -> None:
    with pytest.raises(ConfigError, match=r"env\.flows: a Gymnasium environment has one agent"):
        make_task("constant", [AGENTS])
    make_task("constant", ["env.flows=[{scheme: agent},{scheme: cubic}]"])


def test_completion_times_of_short_transfers_are_reported() -> None:
    transfers = "env.cross_traffic=[{kind: poisson_flows, mbps: 4, size: fixed, mean_bytes: 20000}]"
    report = play(config(transfers), [1]).reports[0]
    (source,) = report["cross_traffic"]
    assert source["kind"] == "poisson_flows"
    assert source["completed"] > 50
    assert 80 <= source["completion_p50_ms"] <= source["completion_p95_ms"]
