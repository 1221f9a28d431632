"""sample-factory's APPO, batched sampling in one process (its serial mode), with its own defaults otherwise.

It takes the vector environment as one of many agents, whose episodes begin by themselves.
"""

from __future__ import annotations

import logging
import tempfile
from functools import partial
from typing import Any

import gymnasium
import numpy as np
import torch
from numpy.typing import NDArray
from race import DISCOUNT, ENVS, TOTAL_STEPS, Actions, Floats, MakePlayer, Player, Race, Standard, make_envs
from sample_factory.algo.runners.runner import AlgoObserver, Runner
from sample_factory.cfg.arguments import parse_full_cfg, parse_sf_args
from sample_factory.envs.env_utils import register_env
from sample_factory.train import make_runner
from sample_factory.utils.utils import log

NAME = "congestion_control"


def pass_on(wrapper: gymnasium.Wrapper[Any, Any, Any, Any], name: str) -> Any:
    """What a wrapper lacks, its environment may have: so it was before gymnasium 1.0, which is expected."""
    if name.startswith("_"):
        raise AttributeError(name)
    return getattr(wrapper.env, name)


gymnasium.Wrapper.__getattr__ = pass_on  # type: ignore[attr-defined]


class Connections(gymnasium.Env[Floats, Any]):
    """A batch of agents, as sample-factory's own vectorised environments are."""

    is_multiagent = True
    num_agents = ENVS

    def __init__(self, measure: str, seed: int) -> None:
        self.envs, self.standard, self.seed = make_envs(measure), Standard(measure), seed
        limit, shape = Standard.LIMIT, self.standard.mean.shape
        self.observation_space = gymnasium.spaces.Box(-limit, limit, shape, np.float32)
        self.action_space = self.envs.single_action_space

    def reset(self, **kwargs: Any) -> tuple[Floats, dict[str, Any]]:
        return self.standard(self.envs.reset(seed=self.seed)[0]), {}

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, Any]:
        observation, reward, terminated, truncated, _ = self.envs.step(np.asarray(actions))
        return self.standard(observation), reward, terminated, truncated, {}


def make_connections(
    measure: str,
    seed: int,
    name: str,
    cfg: Any = None,
    env_config: Any = None,
    render_mode: str | None = None,
) -> Connections:
    """Of the module, not of `main`: sample-factory asks for the spaces in a process of their own."""
    return Connections(measure, seed)


def greedy(model: Any, standard: Standard) -> MakePlayer:
    def make_player(count: int) -> Player:
        memory = torch.zeros(count, 2 * model.cfg.rnn_size if model.cfg.use_rnn else 1)

        @torch.no_grad()
        def play(observation: Floats, first: NDArray[np.bool_]) -> Actions:
            nonlocal memory
            seen = model.normalize_obs({"obs": torch.from_numpy(standard(observation))})
            made = model(seen, memory * torch.from_numpy(~first).unsqueeze(-1))
            memory = made["new_rnn_states"]
            actions: Actions = made["action_logits"].argmax(-1).numpy()
            return actions

        return play

    return make_player


class Referee(AlgoObserver):  # type: ignore[misc]
    def __init__(self, race: Race, standard: Standard) -> None:
        self.race, self.standard = race, standard

    def on_training_step(self, runner: Runner, training_iteration_since_resume: int) -> None:
        learner = runner.learners[0].learner
        model, training = learner.actor_critic, learner.actor_critic.training
        model.eval()
        over = self.race.over(learner.env_steps, greedy(model, self.standard))
        model.train(training)
        if over:
            runner.cfg.train_for_env_steps = 0  # its own end of training


def arguments(race: Race, folder: str) -> list[str]:
    size = str(race.hidden_size)
    settings: dict[str, Any] = {
        "env": NAME,
        "train_dir": folder,
        "device": "cpu",
        "seed": race.seed,
        "serial_mode": True,
        "batched_sampling": True,
        "num_workers": 1,
        "num_envs_per_worker": 1,
        "worker_num_splits": 1,
        "gamma": DISCOUNT,
        "train_for_env_steps": 10 * TOTAL_STEPS,
        "use_rnn": race.lstm,
        "rnn_type": "lstm",
        "rnn_size": size,
        "nonlinearity": "relu",
    }
    flags = [f"--{key}={value}" for key, value in settings.items()]
    return [*flags, "--encoder_mlp_layers", size, size]


def main() -> None:
    race = Race.from_arguments()
    log.setLevel(logging.ERROR)
    standard = Standard(race.measure)
    register_env(NAME, partial(make_connections, race.measure, race.seed))
    with tempfile.TemporaryDirectory() as folder:
        argv = arguments(race, folder)
        parser, _ = parse_sf_args(argv)
        _, runner = make_runner(parse_full_cfg(parser, argv))
        runner.register_observer(Referee(race, standard))
        runner.init()
        runner.run()
    race.finish()


if __name__ == "__main__":
    main()
