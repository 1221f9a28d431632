"""Hands the learner's parameters to actors, whole and by version."""

from __future__ import annotations

import threading

import torch
from torch import nn


class ParameterStore:
    """The newest published parameters of a network, buffers included.

    `publish` and `pull` copy under a lock: an actor sees all of a version or none of it, and keeps it
    unchanged until it pulls again.
    """

    def __init__(self, network: nn.Module) -> None:
        self._lock = threading.Lock()
        self._tensors = [t.detach().to("cpu", copy=True) for t in network.state_dict().values()]
        self._version = 0

    @property
    def version(self) -> int:
        """Number of the newest publication; 0 is the network that the store was made from."""
        return self._version

    @torch.no_grad()
    def publish(self, network: nn.Module, version: int) -> None:
        assert version >= self._version, "versions never decrease"
        with self._lock:
            for mine, theirs in zip(self._tensors, network.state_dict().values(), strict=True):
                mine.copy_(theirs)
            self._version = version

    @torch.no_grad()
    def pull(self, network: nn.Module, held: int) -> int:
        """Brings `network`, which holds version `held`, up to date; returns the version that it has then."""
        if held == self._version:
            return held
        with self._lock:
            for mine, theirs in zip(self._tensors, network.state_dict().values(), strict=True):
                theirs.copy_(mine)
            return self._version
