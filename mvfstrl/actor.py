"""Plays real connections for a learner: `python -m mvfstrl.actor --server HOST:PORT`.

The learner says what to play. The policy is asked there and never waited for; when the learner is gone, the
episode is played on, and the actor comes back to whoever learns at the address next.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from mvfstrl import _native
from mvfstrl.errors import MvfstrlError
from mvfstrl.realtime.hosts import Episode, host_of
from mvfstrl.rpc import actors_pb2 as messages
from mvfstrl.rpc.client import RemotePolicy
from mvfstrl.rpc.security import Address, ClientSecurity

logger = logging.getLogger(__name__)

PATIENCE_S = 600.0
FAILURES = 5
"""So many episodes in a row that break off are no accident."""
REPORTED = ("scenario", "return", "steps", "skipped_observations", "terminated", "length_ms")
REPORTED_OF_FLOW = ("throughput_mbps", "utilisation", "queue_delay_p95_ms", "queue_loss")


class Player(Protocol):
    """Plays episodes of one configuration."""

    def play_episode(self, episode: Episode) -> dict[str, Any]: ...


MakePlayer = Callable[[dict[str, Any], Path], contextlib.AbstractContextManager[Player]]
"""From what `Welcome.play` holds, and a folder for the player's own."""


class StoppedError(Exception):
    """There is no use in playing on."""


def realtime_player(play: dict[str, Any], folder: Path) -> contextlib.AbstractContextManager[Player]:
    return host_of(play["host"], folder, play["config"]["transport"]["window"]["packet_size_bytes"])


class Actor:
    """Plays what one server says until that is over."""

    def __init__(self, policy: RemotePolicy, make_player: MakePlayer, *, patience_s: float) -> None:
        self._policy = policy
        self._make_player = make_player
        self._patience_s = patience_s
        self._failures = 0
        self.episodes = 0

    def run(self) -> None:
        """Raises ServerError where the server refuses or stays away, or what the last of several episodes
        broke off by."""
        text = self._policy.wait_ready(self._patience_s).play
        while not self._policy.over:
            play = json.loads(text)
            with (
                tempfile.TemporaryDirectory(prefix="mvfstrl-actor-") as folder,
                self._make_player(play, Path(folder)) as player,
            ):
                self._play_while(text, play["config"], player)
            text = self._policy.welcome.play

    def _play_while(self, text: str, config: dict[str, Any], player: Player) -> None:
        """Until something else is to be played."""
        heard = time.monotonic()
        while not self._policy.over and self._policy.welcome.play == text:
            episode = self._policy.next_episode(timeout_s=0.5)
            if self._policy.connected:
                heard = time.monotonic()
            if time.monotonic() - heard > self._patience_s:
                raise MvfstrlError(f"no server for {self._patience_s:g} s")
            if episode is not None and self._policy.welcome.play == text:
                self._play(config, player, episode)

    def _play(self, config: dict[str, Any], player: Player, wanted: messages.Episode) -> None:
        episode = Episode(
            config,
            seed=wanted.seed,
            scenario=wanted.scenario,
            job=wanted.scenario,
            policy=self._policy,
            progress=self._still_wanted,
        )
        try:
            report = player.play_episode(episode)
        except StoppedError:
            return
        except MvfstrlError as error:
            self._failures += 1
            if self._failures == FAILURES:
                raise
            logger.warning("episode %d broke off: %s", self.episodes, error)
            self._policy.report(failed=str(error))
            return
        self._failures = 0
        self.episodes += 1
        self._policy.report(json.dumps(told(report)))

    def _still_wanted(self, _: float) -> None:
        self._policy.check()
        if self._policy.over:
            raise StoppedError


def told(report: dict[str, Any]) -> dict[str, Any]:
    """What the learner is told of an episode."""
    flow = {key: report["flows"][0][key] for key in REPORTED_OF_FLOW if key in report["flows"][0]}
    return {**{key: report[key] for key in REPORTED if key in report}, "flows": [flow]}


def spec_hash_of(welcome: messages.Welcome) -> str:
    """What the observations mean that this installation makes of the server's configuration."""
    spec_hash: str = _native.observation_spec(json.loads(welcome.play)["config"])["hash"]
    return spec_hash


def end_with_parent() -> None:
    """Ends this process as SIGTERM does when the standard input ends: whoever started it is gone."""

    def wait() -> None:
        while os.read(sys.stdin.fileno(), 4096):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, daemon=True).start()


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m mvfstrl.actor", description=__doc__)
    parser.add_argument("--server", required=True, help="HOST:PORT or unix:FILE where a learner listens")
    parser.add_argument("--token-file", help="the token that the server wants")
    parser.add_argument("--tls-ca", help="the certificate to trust")
    parser.add_argument("--name", help="for the server's log")
    parser.add_argument(
        "--patience-s", type=float, default=PATIENCE_S, help="how long to wait for a server that is gone"
    )
    parser.add_argument("--with-parent", action="store_true", help="end when the standard input does")
    return parser


def main(arguments: Sequence[str] | None = None, make_player: MakePlayer = realtime_player) -> None:
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("quic").setLevel(logging.WARNING)  # aioquic tells of every connection
    given = parser().parse_args(arguments)
    name = given.name or f"{socket.gethostname()}:{os.getpid()}"
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    if given.with_parent:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent's to act on
        end_with_parent()
    try:
        address = Address(given.server)
        security = ClientSecurity.of(address, given.token_file, given.tls_ca)
        policy = RemotePolicy(address, security, spec_hash_of, purpose=messages.TRAIN, name=name)
        with contextlib.closing(policy):
            Actor(policy, make_player, patience_s=given.patience_s).run()
    except MvfstrlError as error:
        print(f"{name}: error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)


if __name__ == "__main__":
    main()
