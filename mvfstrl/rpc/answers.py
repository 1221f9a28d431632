"""A policy that answers connections in batches, whoever of them asks: each one's memory is kept apart."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from mvfstrl import _native

Floats = NDArray[np.float32]


class Model(NamedTuple):
    """Parameters, and their version."""

    weights: _native.PolicyModel
    version: int


class Parameters(Protocol):
    """Where a policy's parameters come from."""

    def newer(self, held: int) -> Model | None:
        """The newest, if they are not those of version `held` (-1: any)."""


class Fixed:
    """Parameters that never change."""

    def __init__(self, weights: _native.PolicyModel, version: int = 0) -> None:
        self._model = Model(weights, version)

    def newer(self, held: int) -> Model | None:
        return None if held == self._model.version else self._model


class Memory:
    """What the policy remembers of one connection, h and c [layers, 1, hidden]."""

    def __init__(self, network: dict[str, int]) -> None:
        shape = (network["lstm_layers"], 1, network["hidden_size"])
        self.h: Floats = np.zeros(shape, np.float32)
        self.c: Floats = np.zeros(shape, np.float32)


class Question(NamedTuple):
    observation: Floats
    first: bool
    job: int
    memory: Memory
    """Replaced by what there is to remember afterwards."""


class Answers(NamedTuple):
    actions: NDArray[np.int32]  # [B]
    logits: Floats  # [B, A]
    version: int


class BatchPolicy:
    """Draws actions, or takes the likeliest where `greedy` is asked for. For one thread."""

    def __init__(self, parameters: Parameters, *, seed: int = 0) -> None:
        model = parameters.newer(-1)
        assert model is not None, "there are parameters from the start"
        self._parameters = parameters
        self._weights, self.version = model
        self._by_size: dict[int, _native.Policy] = {}
        self._random = np.random.default_rng(seed)

    @property
    def network(self) -> dict[str, int]:
        """Sizes; they never change."""
        return self._weights.network

    def refresh(self) -> None:
        """Takes over newer parameters."""
        model = self._parameters.newer(self.version)
        if model is not None:
            self._weights, self.version = model
            for policy in self._by_size.values():
                policy.set_model(self._weights)

    def act(self, questions: Sequence[Question], drawn: Sequence[bool]) -> Answers:
        """`drawn`: whether the action is drawn from the policy rather than the likeliest."""
        size = len(questions)
        policy = self._by_size.get(size)
        if policy is None:
            policy = self._by_size[size] = _native.Policy(self._weights, size)
        policy.set_state(
            np.concatenate([q.memory.h for q in questions], axis=1),
            np.concatenate([q.memory.c for q in questions], axis=1),
        )
        shape = (size, self.network["num_actions"])
        noise = self._random.gumbel(size=shape).astype(np.float32)
        noise *= np.asarray(drawn, np.float32)[:, None]
        logits = np.empty(shape, np.float32)
        actions = policy.act(
            np.stack([q.observation for q in questions]),
            np.array([q.first for q in questions]),
            np.array([q.job for q in questions], np.int32),
            noise=noise,
            logits=logits,
        )
        h, c = policy.state()
        for i, question in enumerate(questions):
            question.memory.h, question.memory.c = h[:, i : i + 1].copy(), c[:, i : i + 1].copy()
        return Answers(actions, logits, self.version)


def load_parameters(path: Path) -> tuple[Fixed, str, list[str]]:
    """Of a checkpoint (its file, folder or run) or a policy.mvfstrl: parameters, the hash of their spec, and
    the names of the scenarios in training."""
    import json

    from mvfstrl.policy_file import load_model, network_arrays, network_sizes

    if path.suffix == ".mvfstrl":
        model = load_model(path)
        description = json.loads(model.text)
        return Fixed(model), description["spec"]["hash"], description["jobs"]
    from mvfstrl.policy import load_policy

    policy = load_policy(path)
    weights = _native.PolicyModel.from_network(network_sizes(policy.network), network_arrays(policy.network))
    return Fixed(weights, policy.step), policy.spec["hash"], policy.jobs
