"""Our Gymnasium vector environment, from Python: a window of path and half the queue, 64 at a time."""

from __future__ import annotations

import time

import gymnasium
import numpy as np
from flow import BDP_PACKETS, DELAY_MS, RATES_MBPS, report

import mvfstrl.gym

ENVS = 64


def simulate(mbps: int, seconds: float) -> tuple[float, float]:
    """CPU seconds, and packets delivered, of all environments."""
    window = BDP_PACKETS[mbps] * 3 // 2
    settings = [
        f"env.rate_mbps={mbps}",
        f"env.delay_ms={DELAY_MS}",
        f"env.queue.packets={BDP_PACKETS[mbps]}",
        f"actions.initial_window_packets={window}",
        f"env.episode_ms={seconds * 1000:.0f}",
    ]
    envs = gymnasium.make_vec(mvfstrl.gym.ENV_ID, num_envs=ENVS, env="constant", overrides=settings)
    keep = np.zeros(ENVS, dtype=np.int64)
    begin = time.process_time()
    envs.reset(seed=0)
    infos: dict[str, np.ndarray] = {}
    while "report" not in infos:
        *_, infos = envs.step(keep)
    cpu = time.process_time() - begin
    packets = sum(one["flows"][0]["delivered_packets"] for one in infos["report"])
    envs.close()
    return cpu, packets


if __name__ == "__main__":
    for rate in RATES_MBPS:
        report(simulate, rate, flows=ENVS)
