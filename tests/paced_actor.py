"""An actor whose connections are simulated, a window every few milliseconds of real time.

As a program it is what `python -m mvfstrl.actor` is but for that; with `--learner FOLDER OVERRIDE...` it is a
training on such actors.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mvfstrl import actor
from mvfstrl._native import VectorEnvironment
from mvfstrl.realtime.errors import RealtimeError
from mvfstrl.realtime.hosts import Episode

WINDOW_S = 0.004


class PacedPlayer:
    def play_episode(self, episode: Episode) -> dict[str, Any]:
        environment = VectorEnvironment(episode.config, num_envs=1, num_threads=0)
        scenarios = np.array([episode.scenario], np.int32)
        environment.reset_with(0, np.array([episode.seed], np.uint64), scenarios)
        policy: Any = episode.policy
        policy.begin(lambda: None)
        reward, skipped, open_question = 0.0, 0, False
        while True:
            rows = environment.recv(0)
            reward += float(rows.reward[0])
            step = {name: bool(getattr(rows, name)[0]) for name in ("first", "terminated", "truncated")}
            step |= {"reward": reward, "skipped": skipped, "job": episode.job, "active": True}
            if step["terminated"] or step["truncated"]:
                policy.end(rows.observation[0], step)
                (report,) = environment.drain_episodes()
                report["skipped_observations"] = skipped
                return report
            if open_question:
                skipped += 1
            else:
                policy.ask(rows.observation[0], step)
                reward, skipped, open_question = 0.0, 0, True
            if os.environ.get("MVFSTRL_TEST_BREAK") and not step["first"]:
                raise RealtimeError("the test wants it so")
            time.sleep(WINDOW_S)
            assert episode.progress is not None
            episode.progress(0.0)
            action = policy.poll()
            open_question = open_question and action is None
            environment.send(0, np.array([action or 0], np.int32))


@contextlib.contextmanager
def paced(play: dict[str, Any], folder: Path) -> Iterator[PacedPlayer]:
    yield PacedPlayer()


def learn(folder: Path, overrides: list[str]) -> None:
    from mvfstrl import train
    from mvfstrl.config import compose
    from mvfstrl.rundir import RunDirectory

    make = train.make_setup

    def make_setup(*args: Any, **kwargs: Any) -> Any:
        setup = make(*args, **kwargs)
        return dataclasses.replace(setup, remote=dataclasses.replace(setup.remote, program=(__file__,)))

    train.make_setup = make_setup
    train.train(compose(overrides), RunDirectory(folder))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--learner"]:
        learn(Path(sys.argv[2]), sys.argv[3:])
    else:
        actor.main(make_player=paced)
