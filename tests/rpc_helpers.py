"""Policy servers in a thread, and the small policies that they answer with."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from mvfstrl import _native
from mvfstrl.agents.impala.config import NetworkConfig
from mvfstrl.agents.impala.network import ImpalaNetwork, NetworkShape
from mvfstrl.policy_file import network_arrays, network_sizes
from mvfstrl.realtime.policy import Step
from mvfstrl.rpc.answers import BatchPolicy, Fixed
from mvfstrl.rpc.security import Address, ServerSecurity
from mvfstrl.rpc.server import serve
from mvfstrl.rpc.service import Service

SIZE, ACTIONS = 6, 3
SPEC = "0123456789abcdef"
PATIENCE_S = 60.0
"""On a machine with other things to do."""


def small_model() -> _native.PolicyModel:
    network = ImpalaNetwork(NetworkShape(SIZE, ACTIONS, 1), NetworkConfig(hidden_size=8))
    return _native.PolicyModel.from_network(network_sizes(network), network_arrays(network))


def make_service(
    security: ServerSecurity | None = None, kind: type[Service] = Service, **kwargs: Any
) -> Service:
    defaults: dict[str, Any] = {"spec_hash": SPEC, "jobs": ["lte", "umts"]}
    return kind(
        BatchPolicy(Fixed(small_model())),
        security=security or ServerSecurity(),
        **(defaults | kwargs),
    )


@contextmanager
def serving(
    service: Service, address: str = "127.0.0.1:0", security: ServerSecurity | None = None
) -> Iterator[Address]:
    """A server in a thread of its own; gives its address."""
    found: list[Address] = []
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()
    work = serve(service, security or ServerSecurity(), Address(address), found.append, stop)
    thread = threading.Thread(target=loop.run_until_complete, args=(work,), daemon=True)
    thread.start()
    wait_until(lambda: bool(found) or not thread.is_alive(), "the server listens")
    try:
        yield found[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(PATIENCE_S)
        loop.close()


def wait_until(happened: Callable[[], bool], what: str, timeout_s: float = PATIENCE_S) -> None:
    end = time.monotonic() + timeout_s
    while not happened():
        assert time.monotonic() < end, f"not within {timeout_s:g} s: {what}"
        time.sleep(0.01)


def step(*, first: bool = False, reward: float = 0.0, skipped: int = 0, **other: Any) -> Step:
    return {
        "reward": reward,
        "first": first,
        "terminated": False,
        "truncated": False,
        "skipped": skipped,
        "job": 0,
        "active": True,
        **other,
    }


def observation(value: float = 0.0) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.full(SIZE, value, np.float32)
