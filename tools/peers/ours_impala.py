"""Our own agent, as `run.py agent=impala env=lte` trains it; `--measure speed` is mvfstrl.bench_train's."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from race import TOTAL_STEPS, Actions, Floats, MakePlayer, Player, Race

from mvfstrl import bench_train
from mvfstrl.agents.impala.config import ImpalaConfig
from mvfstrl.agents.impala.network import ImpalaNetwork
from mvfstrl.agents.impala.training import Training
from mvfstrl.config import compose
from mvfstrl.policy import NetworkPolicy
from mvfstrl.train import make_setup


def greedy(network: ImpalaNetwork) -> MakePlayer:
    def make_player(count: int) -> Player:
        policy = NetworkPolicy(network)
        state = policy.initial_state(count)
        unknown = torch.full((count,), -1, dtype=torch.int32)

        def play(observation: Floats, first: NDArray[np.bool_]) -> Actions:
            nonlocal state
            x = torch.from_numpy(observation)
            actions, state = policy.act(x, torch.from_numpy(first), unknown, state)
            chosen: Actions = actions.numpy()
            return chosen

        return play

    return make_player


def overrides(race: Race) -> list[str]:
    return [
        "agent=impala",
        "env=lte",
        "tracker=none",
        f"seed={race.seed}",
        f"total_steps={TOTAL_STEPS}",
        f"agent.network.hidden_size={race.hidden_size}",
        f"agent.network.lstm={race.lstm}",
    ]


def to_cubic(race: Race) -> None:
    cfg = compose(overrides(race))
    assert isinstance(cfg.agent, ImpalaConfig)
    with tempfile.TemporaryDirectory() as folder:
        training = Training(make_setup(cfg, cfg.agent, Path(folder)))
        network = ImpalaNetwork(training.shape, cfg.agent.network)
        over = False

        def log(metrics: dict[str, Any], step: int) -> None:
            nonlocal over
            network.load_state_dict(training.learner.network.state_dict())
            over = over or race.over(step, greedy(network))

        training.run(log, lambda: over)


def main() -> None:
    race = Race.from_arguments()
    if race.measure == "speed":
        name = f"train_steps_per_cpu_second_{race.network}"
        race.result[name] = round(bench_train.measure(race.network, race.seconds)), "steps/CPU-s"
    else:
        to_cubic(race)
    race.finish()


if __name__ == "__main__":
    main()
