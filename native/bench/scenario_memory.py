"""Bytes that an environment of a scenario holds once it has played an episode: `scenario_memory.py NAME`.

NAME is a file of conf/env. Random actions, many environments: what all of them share is reported apart. The
installed extension is asked, and the C library's allocator tells how much of the heap is in use.
"""

from __future__ import annotations

import ctypes
import json
import sys
from typing import Any

import numpy as np

from mvfstrl._native import VectorEnvironment
from mvfstrl.config import compose, native_config

ENVS = 32


class _Heap(ctypes.Structure):
    """glibc's struct mallinfo2."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks"),
            *("fordblks", "keepcost"),
        )
    ]


def heap_bytes() -> int:
    library = ctypes.CDLL(None)
    library.mallinfo2.restype = _Heap
    heap = library.mallinfo2()
    return int(heap.uordblks + heap.hblkhd)


def played(config: dict[str, Any], envs: int) -> tuple[VectorEnvironment, int]:
    """So many environments in their second episode, and by how much the heap has grown for them."""
    before = heap_bytes()
    environment = VectorEnvironment(config, num_envs=envs, num_threads=0)
    random = np.random.default_rng(0)
    environment.reset(0)
    environment.recv(0)
    steps = round(config["episode_ms"] / config["observation"]["window_ms"]) + 100
    actions = np.zeros(envs, np.int32)
    for _ in range(steps):
        actions[:] = random.integers(environment.num_actions, size=envs)
        environment.send(0, actions)
        environment.recv(0)
    environment.drain_episodes()
    return environment, heap_bytes() - before


def main(scenario: str) -> None:
    config = native_config(compose([f"env={scenario}"]))
    kept, one = played(config, 1)
    more, many = played(config, ENVS + 1)
    kept.close()
    more.close()
    each = (many - one) / ENVS
    for name, value in (("bytes_per_environment", each), ("shared_bytes", max(0.0, one - each))):
        print(json.dumps({"name": f"{name}_{scenario}", "value": round(value), "unit": "bytes"}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
