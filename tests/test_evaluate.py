"""mode=test against a small made-up environment: pairing, the objective, interruption, ablation, oracle."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from rich.console import Console

from mvfstrl.agents.impala.config import ImpalaConfig
from mvfstrl.config import Config, compose
from mvfstrl.errors import ConfigError
from mvfstrl.rundir import RunDirectory
from pantheon import benchmark, episodes, evaluate, oracle, schemes
from pantheon.results import SERIES, read_results
from pantheon.schemes import Scheme, schemes_of

STEPS = 40
ACTIONS = 4


@dataclass
class Batch:
    observation: np.ndarray
    reward: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    first: np.ndarray
    job: np.ndarray

    @property
    def over(self) -> np.ndarray:
        return self.terminated | self.truncated


class HintEnvironment:
    """Each step hints at one action and rewards the agent for taking it. A fixed window earns more the nearer
    it is to 37 packets; other controllers earn a constant. Episodes differ by their seed."""

    made: list[HintEnvironment] = []  # noqa: RUF012

    def __init__(
        self, config: dict[str, Any], count: int, threads: int, seed: int = 0, **recorded: bool
    ) -> None:
        assert not recorded.get("record_events")
        self.config, self.num_envs, self.group_size, self.seed = config, count, count, seed
        self.threads, self.series = threads, recorded.get("record_series", False)
        self.closed = False
        HintEnvironment.made.append(self)

    def reset(self, group: int) -> None:
        self.reset_with(
            group, np.arange(self.num_envs, dtype=np.uint64) + 900, np.zeros(self.num_envs, np.int32)
        )

    def reset_with(self, group: int, seeds: np.ndarray, scenarios: np.ndarray) -> None:
        self.seeds, self.scenarios = seeds, scenarios
        self.hints = np.stack(
            [np.random.default_rng(int(s)).integers(ACTIONS, size=STEPS + 1) for s in seeds], axis=1
        )
        self.returns = np.zeros(self.num_envs)
        self.step = 0

    def recv(self, group: int) -> Batch:
        observation = np.eye(ACTIONS, dtype=np.float32)[self.hints[min(self.step, STEPS)]]
        ends = np.full(self.num_envs, self.step == STEPS)
        flags = np.full(self.num_envs, self.step == 0)
        never = np.zeros_like(ends)
        return Batch(observation, np.zeros(self.num_envs, np.float32), never, ends, flags, self.scenarios)

    def send(self, group: int, actions: np.ndarray) -> None:
        controller = self.config["flows"][0]["controller"]
        if controller["kind"] == "external":
            self.returns += actions == self.hints[self.step]
        elif controller["kind"] == "fixed":
            self.returns -= abs(controller["window_packets"] - 37.0) / 37.0
        else:
            self.returns += 0.5 + 1e-6 * self.seeds.astype(float)
        self.step += 1

    def drain_episodes(self) -> list[dict[str, Any]]:
        kind = self.config["flows"][0]["controller"]["kind"]
        figures = dict.fromkeys(
            ("throughput_mbps", "utilisation", "delay_mean_ms", "delay_p95_ms", "loss", "queue_loss"), 1.0
        ) | {"queue_delay_mean_ms": 1.0, "queue_delay_p95_ms": 1.0}
        return [
            {
                "env": env,
                "seed": int(self.seeds[env]),
                "scenario": int(self.scenarios[env]),
                "steps": STEPS,
                "skipped_observations": 0,
                "return": float(self.returns[env]),
                "flows": [{"flow": 0, "scheme": kind, **figures}],
                **({"series": {name: [0, 0, 0] for name in ("flow", *SERIES)}} if self.series else {}),
            }
            for env in reversed(range(self.num_envs))
        ]

    def close(self) -> None:
        self.closed = True


class FollowHint:
    """A policy that has learnt the environment: takes the hinted action."""

    def initial_state(self, batch: int) -> int:
        return 0

    def act(
        self, observation: torch.Tensor, first: torch.Tensor, job: torch.Tensor, state: int
    ) -> tuple[torch.Tensor, int]:
        assert bool(first.all()) == (state == 0)
        assert job.tolist() == [0] * len(job)
        return observation.argmax(dim=1), state + 1


LEARNT = Scheme("impala", ImpalaConfig(), FollowHint())


@pytest.fixture(autouse=True)
def hint_environment(monkeypatch: pytest.MonkeyPatch) -> list[HintEnvironment]:
    HintEnvironment.made = []
    monkeypatch.setattr(episodes, "_environment", HintEnvironment)
    monkeypatch.setattr(schemes, "trained", lambda name, *_: replace(LEARNT, name=name))
    return HintEnvironment.made


def config(*overrides: str) -> Config:
    chosen = ["mode=test", "agent=impala", "env=constant", "test.runs=6", "test.threads=1"]
    return compose([*chosen, "checkpoint=learnt.pt", "test.anchors=false", *overrides])


def play(cfg: Config, folder: Path) -> pd.DataFrame:
    return evaluate.evaluate(cfg, schemes_of(cfg, RunDirectory(folder)), folder, quiet())


def quiet() -> Console:
    return Console(file=io.StringIO(), width=140)


def test_every_scheme_plays_the_same_held_out_episodes(tmp_path: Path) -> None:
    table = play(config("test.schemes=[newreno,cubic]"), tmp_path)
    seeds = table.groupby("scheme", sort=False)["seed"].apply(list).to_dict()
    assert list(seeds) == ["impala", "newreno", "cubic"]
    assert seeds["impala"] == seeds["newreno"] == seeds["cubic"] == [1_000_000 + i for i in range(6)]
    assert table[table["scheme"] == "impala"]["reward"].tolist() == [1.0] * 6
    assert all(made.closed for made in HintEnvironment.made)
    assert read_results(tmp_path / "results.parquet").equals(table)
    assert (tmp_path / "comparison.png").stat().st_size > 1000


def test_the_anchors_play_unasked_and_once(tmp_path: Path) -> None:
    table = play(config("test.schemes=[random,cubic]", "test.anchors=true"), tmp_path)
    assert table["scheme"].unique().tolist() == ["impala", "random", "cubic", "oracle"]
    assert len(table) == 24


def test_several_policies_play_beside_the_agent(tmp_path: Path) -> None:
    cfg = config(
        "agent=cubic", "test.schemes=[impala]", "+test.policies.older=x.pt", "+test.policies.new=y.pt"
    )
    assert play(cfg, tmp_path)["scheme"].unique().tolist() == ["cubic", "older", "new", "impala"]


def test_the_first_episodes_keep_their_series(tmp_path: Path) -> None:
    play(config("test.schemes=[cubic]", "test.series_runs=2"), tmp_path)
    series = pd.read_parquet(tmp_path / "series.parquet")
    kept = series.groupby(["scheme", "seed"], sort=False).size().to_dict()
    assert kept == {(scheme, 1_000_000 + i): 3 for scheme in ("impala", "cubic") for i in range(2)}


def test_the_objective_is_the_mean_reward_of_the_agent_under_test(tmp_path: Path) -> None:
    objective = evaluate.test(config("agent=cubic", "test.schemes=[fixed]"), RunDirectory(tmp_path))
    assert objective == pytest.approx(0.5 + 1e-6 * (1_000_000 + 2.5))


@pytest.mark.parametrize(
    "overrides", [["checkpoint=null"], ["agent=cubic", "checkpoint=null", "test.schemes=[impala]"]]
)
def test_a_learner_without_a_checkpoint_is_refused(overrides: list[str], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^checkpoint: (agent=)?impala .*needs one"):
        schemes_of(config(*overrides), RunDirectory(tmp_path))


def test_the_agent_under_test_plays_once_with_its_own_settings(tmp_path: Path) -> None:
    cfg = config("agent=fixed", "agent.controller.window_packets=37", "test.schemes=[fixed]")
    assert play(cfg, tmp_path)["reward"].tolist() == [0.0] * 6


def test_interruption_leaves_what_is_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(self: HintEnvironment, group: int, actions: np.ndarray) -> None:
        if self.config["flows"][0]["controller"]["kind"] == "newreno" and self.step == 5:
            raise KeyboardInterrupt
        send(self, group, actions)

    send = HintEnvironment.send
    monkeypatch.setattr(HintEnvironment, "send", interrupted)
    with pytest.raises(KeyboardInterrupt):
        play(config("test.schemes=[cubic,newreno,random]"), tmp_path)
    left = read_results(tmp_path / "results.parquet")["scheme"].unique().tolist()
    assert left[:2] == ["impala", "cubic"]
    assert "newreno" not in left
    assert (tmp_path / "comparison.png").exists()
    assert all(made.closed for made in HintEnvironment.made)


def test_episodes_are_split_alike_whatever_the_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(benchmark, "SHARE", 4)
    one = play(config("test.schemes=[cubic]", "test.runs=11"), tmp_path / "one")
    sizes = [made.num_envs for made in HintEnvironment.made]
    assert sizes == [4, 4, 3, 4, 4, 3]
    three = play(config("test.schemes=[cubic]", "test.runs=11", "test.threads=3"), tmp_path / "three")
    assert one.equals(three)
    assert one["seed"].tolist() == [1_000_000 + i for i in range(11)] * 2


def test_shuffled_observations_cost_the_policy_its_reward(tmp_path: Path) -> None:
    table = play(config("test.schemes=[impala]", "test.shuffle_observations=true"), tmp_path)
    means = table.groupby("scheme")["reward"].mean()
    assert means["impala"] == 1.0
    assert means["impala (shuffled)"] == pytest.approx(1 / ACTIONS, abs=0.12)


def test_shuffling_keeps_every_observation_and_moves_most() -> None:
    observations = np.arange(50 * 4, dtype=np.float32).reshape(50, 4, 1)
    shuffled = benchmark.shuffle_in_time(observations, seed=1)
    assert shuffled.shape == observations.shape
    assert sorted(shuffled.ravel()) == sorted(observations.ravel())
    assert (shuffled == observations).mean() < 0.05


def test_the_oracle_searches_training_episodes_and_plays_held_out_ones(tmp_path: Path) -> None:
    table = play(config("agent=cubic", "test.schemes=[oracle]"), tmp_path)
    windows = [m for m in HintEnvironment.made if m.config["flows"][0]["controller"]["kind"] == "fixed"]
    assert windows[-1].config["flows"][0]["controller"]["window_packets"] == 37.0
    assert windows[-1].seeds.min() >= 1_000_000
    # The made-up reward of a window leaves nothing to chance: two episodes say so.
    assert all(list(made.seeds) == [900, 901] for made in windows[:-1])
    assert table[table["scheme"] == "oracle"]["reward"].tolist() == [0.0] * 6


@pytest.mark.parametrize("peak", [2, 3, 5, 36, 700, 1999, 2000])
def test_search_finds_the_peak_of_a_smooth_reward(peak: int) -> None:
    window, tried = oracle.search(lambda w: [-abs(np.log(w / peak)), -abs(np.log(w / peak)) + 0.1], 2, 2000)
    assert abs(window - peak) <= max(0.5, oracle.RESOLUTION * peak)
    assert len(tried) < 25


def test_reports_come_in_the_order_of_the_seeds() -> None:
    played = episodes.play({"flows": [{"controller": {"kind": "cubic"}}]}, [7, 8, 9])
    assert [report["seed"] for report in played.reports] == [7, 8, 9]
