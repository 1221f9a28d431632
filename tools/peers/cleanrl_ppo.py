"""PPO in one file, as CleanRL writes it: defaults of its ppo.py, and of its ppo_atari_lstm.py for memory.

Own words and code. What differs from there: a torso shared by policy and value, and the steps on which a new
episode's first observation replaces the action are left out of the loss.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from race import DISCOUNT, ENVS, TOTAL_STEPS, Actions, Floats, MakePlayer, Player, Race, Standard, make_envs
from torch import Tensor, nn

STEPS, EPOCHS, MINIBATCHES = 128, 4, 4
LEARNING_RATE, GAE_LAMBDA, CLIP, ENTROPY, VALUE, GRAD_NORM = 2.5e-4, 0.95, 0.2, 0.01, 0.5, 0.5

State = tuple[Tensor, Tensor]


def layer(inputs: int, outputs: int, gain: float = 2**0.5) -> nn.Linear:
    made = nn.Linear(inputs, outputs)
    nn.init.orthogonal_(made.weight, gain)
    nn.init.zeros_(made.bias)
    return made


class Agent(nn.Module):
    def __init__(self, inputs: int, actions: int, hidden: int, memory: bool) -> None:
        super().__init__()
        self.hidden = hidden
        self.torso = nn.Sequential(layer(inputs, hidden), nn.ReLU(), layer(hidden, hidden), nn.ReLU())
        self.lstm = nn.LSTM(hidden, hidden) if memory else None
        self.policy, self.value = layer(hidden, actions, 0.01), layer(hidden, 1, 1.0)

    def empty(self, count: int) -> State:
        return torch.zeros(1, count, self.hidden), torch.zeros(1, count, self.hidden)

    def forward(self, x: Tensor, first: Tensor, state: State) -> tuple[Tensor, Tensor, State]:
        """[T, N, D], [T, N], state -> logits [T, N, A], values [T, N], state."""
        core = self.torso(x)
        if self.lstm is not None:
            outputs = []
            for row, begins in zip(core, first, strict=True):
                keep = (1 - begins).view(1, -1, 1)
                output, state = self.lstm(row.unsqueeze(0), (keep * state[0], keep * state[1]))
                outputs.append(output)
            core = torch.cat(outputs)
        return self.policy(core), self.value(core).squeeze(-1), state


def greedy(agent: Agent, standard: Standard) -> MakePlayer:
    def make_player(count: int) -> Player:
        state = agent.empty(count)

        @torch.no_grad()
        def play(observation: Floats, first: NDArray[np.bool_]) -> Actions:
            nonlocal state
            x = torch.from_numpy(standard(observation)).unsqueeze(0)
            logits, _, state = agent(x, torch.from_numpy(first).float().unsqueeze(0), state)
            actions: Actions = logits[0].argmax(-1).numpy()
            return actions

        return play

    return make_player


class Rollouts:
    """Fills the batch: what was seen, done and paid in the last STEPS steps of every environment."""

    def __init__(self, agent: Agent, standard: Standard, race: Race) -> None:
        self.agent, self.standard = agent, standard
        self.envs = make_envs(race.measure)
        size = len(standard.mean)
        self.x = torch.zeros(STEPS, ENVS, size)
        self.first, self.real = torch.zeros(STEPS, ENVS), torch.zeros(STEPS, ENVS, dtype=torch.bool)
        self.actions = torch.zeros(STEPS, ENVS, dtype=torch.long)
        self.logp, self.rewards, self.values = (torch.zeros(STEPS, ENVS) for _ in range(3))
        self.done = torch.zeros(STEPS, ENVS)
        observation, _ = self.envs.reset(seed=race.seed)
        self.next = torch.from_numpy(standard(observation))
        self.next_first = torch.ones(ENVS)
        self.over = torch.zeros(ENVS)
        self.state = agent.empty(ENVS)

    @torch.no_grad()
    def collect(self) -> tuple[State, Tensor, Tensor]:
        """The state before the batch, advantages and returns."""
        before = self.state
        for t in range(STEPS):
            self.x[t], self.first[t], self.real[t] = self.next, self.next_first, self.over == 0
            logits, value, self.state = self.agent(self.next[None], self.next_first[None], self.state)
            logp = logits[0].log_softmax(-1)
            action = torch.multinomial(logp.exp(), 1)
            self.actions[t], self.values[t] = action.squeeze(-1), value[0]
            self.logp[t] = logp.gather(-1, action).squeeze(-1)
            observation, reward, terminated, truncated, _ = self.envs.step(self.actions[t].numpy())
            self.next = torch.from_numpy(self.standard(observation))
            self.rewards[t] = torch.from_numpy(reward)
            self.next_first = (
                self.over
            )  # the step after an episode's last brings the next one's first observation
            self.over = torch.from_numpy(terminated | truncated).float()
            self.done[t] = torch.from_numpy(terminated).float()
        advantages = self._advantages()
        return before, advantages, advantages + self.values

    def _advantages(self) -> Tensor:
        _, value, _ = self.agent(self.next[None], self.next_first[None], self.state)
        advantages, last, following = torch.zeros(STEPS, ENVS), torch.zeros(ENVS), value[0]
        for t in reversed(range(STEPS)):
            delta = self.rewards[t] + DISCOUNT * following * (1 - self.done[t]) - self.values[t]
            last = (delta + DISCOUNT * GAE_LAMBDA * (1 - self.done[t]) * last) * self.real[t]
            advantages[t], following = last, self.values[t]
        return advantages


def learn(
    agent: Agent, optimizer: torch.optim.Optimizer, rollouts: Rollouts, batch: tuple[State, Tensor, Tensor]
) -> None:
    state, advantages, returns = batch
    for _ in range(EPOCHS):
        for columns in torch.randperm(ENVS).chunk(MINIBATCHES):
            begin = state[0][:, columns], state[1][:, columns]
            logits, values, _ = agent(rollouts.x[:, columns], rollouts.first[:, columns], begin)
            logp = logits.log_softmax(-1)
            chosen = logp.gather(-1, rollouts.actions[:, columns].unsqueeze(-1)).squeeze(-1)
            ratio = (chosen - rollouts.logp[:, columns]).exp()
            advantage = advantages[:, columns]
            advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
            gain = torch.min(ratio * advantage, ratio.clamp(1 - CLIP, 1 + CLIP) * advantage)
            error = 0.5 * (values - returns[:, columns]).square()
            loss = -gain + VALUE * error + ENTROPY * (logp.exp() * logp).sum(-1)
            real = rollouts.real[:, columns]
            optimizer.zero_grad()
            (loss * real).sum().div(real.sum()).backward()
            nn.utils.clip_grad_norm_(agent.parameters(), GRAD_NORM)
            optimizer.step()


def main() -> None:
    race = Race.from_arguments()
    standard = Standard(race.measure)
    agent = Agent(len(standard.mean), 5, race.hidden_size, race.lstm)
    optimizer = torch.optim.Adam(agent.parameters(), lr=LEARNING_RATE, eps=1e-5)
    rollouts = Rollouts(agent, standard, race)
    steps = 0
    while not race.over(steps, greedy(agent, standard)):
        optimizer.param_groups[0]["lr"] = LEARNING_RATE * max(1 - steps / TOTAL_STEPS, 0.0)
        learn(agent, optimizer, rollouts, rollouts.collect())
        steps += STEPS * ENVS
    race.finish()


if __name__ == "__main__":
    main()
