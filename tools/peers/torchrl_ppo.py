"""TorchRL's PPO: its collector, its advantage module, its clipped loss and its replay buffer, no memory.

The whole vector environment is one batched TorchRL environment. Ours begins episodes by itself, in the step
after the last: a reset that TorchRL asks for therefore returns the observation at hand.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from race import DISCOUNT, ENVS, Actions, Floats, MakePlayer, Player, Race, Standard, make_envs
from tensordict import TensorDict, TensorDictBase
from tensordict.nn import TensorDictModule
from torch import nn
from torchrl.collectors import Collector
from torchrl.data import Categorical, Composite, LazyTensorStorage, TensorDictReplayBuffer, Unbounded
from torchrl.data.replay_buffers.samplers import SamplerWithoutReplacement
from torchrl.envs import EnvBase
from torchrl.modules import MLP, ActorValueOperator, ProbabilisticActor, ValueOperator
from torchrl.objectives import ClipPPOLoss
from torchrl.objectives.value import GAE

STEPS, EPOCHS, MINIBATCHES = 128, 4, 4
LEARNING_RATE, GAE_LAMBDA, CLIP, ENTROPY, VALUE, GRAD_NORM = 2.5e-4, 0.95, 0.2, 0.01, 0.5, 0.5


class Connections(EnvBase):  # type: ignore[misc]
    def __init__(self, race: Race, standard: Standard) -> None:
        super().__init__(batch_size=torch.Size([ENVS]))
        self.envs, self.standard, self.seed = make_envs(race.measure), standard, race.seed
        self.size = len(standard.mean)
        shape = self.batch_size
        self.observation_spec = Composite(observation=Unbounded((*shape, self.size)), shape=shape)
        self.action_spec = Categorical(5, shape=shape)
        self.reward_spec = Unbounded((*shape, 1))
        self.full_done_spec = Composite(
            {
                key: Categorical(2, (*shape, 1), dtype=torch.bool)
                for key in ("done", "terminated", "truncated")
            },
            shape=shape,
        )
        self.last: torch.Tensor | None = None

    def _reset(self, tensordict: TensorDictBase | None = None, **kwargs: object) -> TensorDictBase:
        if self.last is None:
            self.last = torch.from_numpy(self.standard(self.envs.reset(seed=self.seed)[0]))
        no = torch.zeros(ENVS, 1, dtype=torch.bool)
        return TensorDict(
            {"observation": self.last, "done": no, "terminated": no, "truncated": no}, self.batch_size
        )

    def _step(self, tensordict: TensorDictBase) -> TensorDictBase:
        observation, reward, terminated, truncated, _ = self.envs.step(tensordict["action"].numpy())
        self.last = torch.from_numpy(self.standard(observation))
        ends = torch.from_numpy(np.stack([terminated | truncated, terminated, truncated])).unsqueeze(-1)
        return TensorDict(
            {
                "observation": self.last,
                "reward": torch.from_numpy(reward).unsqueeze(-1),
                "done": ends[0],
                "terminated": ends[1],
                "truncated": ends[2],
            },
            self.batch_size,
        )

    def _set_seed(self, seed: int | None) -> None:
        self.seed = seed or 0


def make_modules(inputs: int, hidden: int) -> ActorValueOperator:
    torso = MLP(inputs, hidden, depth=1, num_cells=hidden, activation_class=nn.ReLU, activate_last_layer=True)
    actor = ProbabilisticActor(
        TensorDictModule(nn.Linear(hidden, 5), in_keys=["hidden"], out_keys=["logits"]),
        in_keys=["logits"],
        distribution_class=torch.distributions.Categorical,
        return_log_prob=True,
    )
    return ActorValueOperator(
        TensorDictModule(torso, in_keys=["observation"], out_keys=["hidden"]),
        actor,
        ValueOperator(nn.Linear(hidden, 1), in_keys=["hidden"]),
    )


def greedy(torso: nn.Module, head: nn.Module, standard: Standard) -> MakePlayer:
    @torch.no_grad()
    def play(observation: Floats, first: NDArray[np.bool_]) -> Actions:
        actions: Actions = head(torso(torch.from_numpy(standard(observation)))).argmax(-1).numpy()
        return actions

    def make_player(count: int) -> Player:
        return play

    return make_player


def main() -> None:
    race = Race.from_arguments()
    if race.lstm:
        raise SystemExit("error: this peer is measured without memory only")
    standard = Standard(race.measure)
    modules = make_modules(len(standard.mean), race.hidden_size)
    policy, critic = modules.get_policy_operator(), modules.get_value_operator()
    loss_of = ClipPPOLoss(
        policy,
        critic,
        clip_epsilon=CLIP,
        entropy_coeff=ENTROPY,
        critic_coeff=VALUE,
        normalize_advantage=True,
        loss_critic_type="l2",
    )
    advantage = GAE(gamma=DISCOUNT, lmbda=GAE_LAMBDA, value_network=critic)
    optimizer = torch.optim.Adam(loss_of.parameters(), lr=LEARNING_RATE, eps=1e-5)
    frames = STEPS * ENVS
    buffer = TensorDictReplayBuffer(
        storage=LazyTensorStorage(frames),
        sampler=SamplerWithoutReplacement(),
        batch_size=frames // MINIBATCHES,
    )
    player = greedy(modules.module[0].module, modules.module[1].module[0].module, standard)
    steps = 0
    collector = Collector(Connections(race, standard), policy, frames_per_batch=frames, total_frames=-1)
    for batch in collector:
        with torch.no_grad():
            advantage(batch)
        for _ in range(EPOCHS):
            buffer.empty()
            buffer.extend(batch.reshape(-1))
            for _ in range(MINIBATCHES):
                losses = loss_of(buffer.sample())
                optimizer.zero_grad()
                (losses["loss_objective"] + losses["loss_critic"] + losses["loss_entropy"]).backward()
                nn.utils.clip_grad_norm_(loss_of.parameters(), GRAD_NORM)
                optimizer.step()
        steps += frames
        if race.over(steps, player):
            break
    collector.shutdown()
    race.finish()


if __name__ == "__main__":
    main()
