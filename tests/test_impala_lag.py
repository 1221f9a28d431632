"""How far the learner may be ahead of the policy that acted, and what waits for whom."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest

from mvfstrl.agents.impala.actor import ActorThread
from mvfstrl.agents.impala.training import Training
from mvfstrl.agents.impala.trajectory import TrajectoryRing, buffers_within
from mvfstrl.errors import ConfigError
from tests.fake_environment import FakeVectorEnvironment
from tests.test_impala_actor import make_actor, make_network
from tests.test_impala_training import make_setup

GROUPS, UPDATES = 2, 2
"""Of each setup here: groups of 8 environments, batches of 4."""


def rows_of(
    folder: Path, max_lag: int | None, learner_s: float, steps: int = 40 * 8 * 10
) -> list[dict[str, Any]]:
    """Metrics of a run whose learner rests after each of its rows."""
    setup = make_setup(
        folder,
        steps=steps,
        deterministic=False,
        make_environment=lambda seed: FakeVectorEnvironment(seed=seed, num_envs=16),
    )
    setup.agent.max_policy_lag = max_lag
    rows: list[dict[str, Any]] = []

    def log(metrics: dict[str, Any], _: int) -> None:
        rows.append(metrics)
        time.sleep(learner_s)

    Training(setup).run(log)
    return rows


@pytest.mark.parametrize(("max_lag", "bound"), [(5, 5), (6, 5), (9, 9), (None, 7)])
def test_a_slow_learner_is_ahead_by_the_bound_and_no_more(
    tmp_path: Path, max_lag: int | None, bound: int
) -> None:
    lags = [row["policy_lag_max"] for row in rows_of(tmp_path, max_lag, 0.02)]
    assert max(lags) == bound


def test_a_slow_learner_lets_the_actor_wait(tmp_path: Path) -> None:
    rows = rows_of(tmp_path, None, 0.1, steps=24 * 8 * 10)[5:]
    assert all(0.0 <= row[name] <= 1.0 for row in rows for name in ("actor_waiting", "learner_waiting"))
    assert sum(row["actor_waiting"] for row in rows) > 5 * sum(row["learner_waiting"] for row in rows)


def test_a_bound_that_no_unroll_could_wait_within_is_refused(tmp_path: Path) -> None:
    assert buffers_within((GROUPS + 1) * UPDATES - 1, UPDATES, GROUPS) == GROUPS + 1
    with pytest.raises(ConfigError, match=r"max_policy_lag: must be at least 5 .* got 4"):
        rows_of(tmp_path, 4, 0.0)


def test_an_actor_that_waited_acts_with_the_newest_parameters() -> None:
    network = make_network()
    actor, ring, store = make_actor(FakeVectorEnvironment(num_envs=4), network)
    thread = ActorThread(actor, ring, lambda: None)
    thread.start()
    old = [ring.take(timeout_s=10) for _ in range(GROUPS)]
    while ring.free or threading.active_count() < 2:
        time.sleep(0.001)
    time.sleep(0.05)  # it waits for a buffer now
    store.publish(network, 7)
    for buffer in old:
        assert buffer is not None
        ring.release(buffer)
    new = ring.take(timeout_s=10)
    assert new is not None
    assert new.version == 7
    ring.close()
    thread.join()


def test_shares_of_waiting_start_anew_with_each_call() -> None:
    ring = TrajectoryRing([])
    assert ring.take(timeout_s=0.05) is None
    assert ring.waiting()["learner_waiting"] > 0.5
    time.sleep(0.01)
    assert ring.waiting() == {"learner_waiting": 0.0, "actor_waiting": 0.0}
