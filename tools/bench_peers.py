"""Runs other simulators and other libraries beside ours, in one run, and prints a table of them all.

    .venv/bin/python tools/bench_peers.py                       everything
    .venv/bin/python tools/bench_peers.py environment           simulators: windows and packets a CPU-second
    .venv/bin/python tools/bench_peers.py training --networks h128_mlp,h128_lstm --races speed,reward
    .venv/bin/python tools/bench_peers.py environment --only ours --peer htsim='/elsewhere/htsim-driver'

Each peer that is on PyPI gets an environment of its own, with pinned versions, under build/peers/NAME; those
that train stand on top of .venv, so that all have one torch. `--peer NAME=COMMAND` adds any other program:
docs/performance.md tells what it must simulate or train, and print. All figures are in CPU time.
"""

from __future__ import annotations

import argparse
import json
import math
import shlex
import signal
import statistics
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

from peer_process import PeerError, run_peer
from peer_venv import make_venv
from peers_known import KNOWN, ROOT, Peer
from rich.console import Console
from rich.table import Table

from mvfstrl.bench_networks import NETWORKS
from mvfstrl.files import write_whole

Figures = dict[str, tuple[float, str]]
"""Name -> value, unit. Infinite where something was not reached."""
PARTS = ("environment", "training")
RACES = ("speed", "reward")


class Run:
    """The peers' figures and errors, shown and written as they come."""

    def __init__(self, options: argparse.Namespace, console: Console) -> None:
        self.options, self.console = options, console
        self.found: dict[str, list[Figures]] = {}
        """Of each command that a peer ran."""
        self.errors: dict[str, list[str]] = {}
        self.versions: dict[str, str] = {}

    def all(self, peers: Sequence[Peer]) -> None:
        for number, peer in enumerate(peers, 1):
            self._say(f"==> [{number}/{len(peers)}] {peer.name}")
            self.versions[peer.name] = peer.version
            try:
                python = make_venv(peer, self._say) if peer.requirements else sys.executable
                for command in self._commands(peer, str(python)):
                    self._one(peer, command)
            except PeerError as error:
                self._failed(peer, error)
            self._write()

    def _one(self, peer: Peer, command: list[str]) -> None:
        """One command; where it fails the peer's others still have their turn."""
        try:
            found = run_peer(command, limit_s=self._allowance(peer), environment=self._environment())
        except PeerError as error:
            self._failed(peer, error)
            return
        self.found.setdefault(peer.name, []).append(found)
        for name, (value, unit) in found.items():
            self._say(f"    {name}: {shown(value)} {unit}")

    def _failed(self, peer: Peer, error: PeerError) -> None:
        self.errors.setdefault(peer.name, []).append(str(error))
        self._say(f"    failed: {error}")

    def _commands(self, peer: Peer, python: str) -> Iterator[list[str]]:
        o = self.options
        if not peer.script:
            yield list(peer.command)
            return
        script = [python, str(ROOT / peer.script)]
        if peer.part == "environment":
            yield [*script, f"--seconds={o.seconds}"]
            return
        for network in (n for n in o.networks if n in peer.networks):
            if "speed" in o.races:
                yield [*script, "--measure=speed", f"--network={network}", f"--seconds={o.seconds}"]
            if "reward" in o.races:
                for seed in range(o.seeds):
                    yield [
                        *script,
                        "--measure=reward",
                        f"--network={network}",
                        f"--limit={o.limit}",
                        f"--seed={seed}",
                    ]

    def _allowance(self, peer: Peer) -> float:
        """CPU time after which a peer is taken to hang: start-up, warm-up and the last lap included."""
        return 600 + 10 * max(float(self.options.seconds), float(self.options.limit))

    def _environment(self) -> dict[str, str]:
        """What a `--peer` command may want to know."""
        o = self.options
        return {
            "PEER_SECONDS": str(o.seconds),
            "PEER_LIMIT": str(o.limit),
            "PEER_NETWORKS": ",".join(o.networks),
            "PEER_RACES": ",".join(o.races),
            "PEER_SEEDS": str(o.seeds),
        }

    def _say(self, text: str) -> None:
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def figures(self, peer: str) -> Figures:
        """The median where several seeds gave one figure."""
        values: dict[str, list[float]] = {}
        units = {}
        for found in self.found.get(peer, []):
            for name, (value, unit) in found.items():
                values.setdefault(name, []).append(value)
                units[name] = unit
        return {name: (statistics.median(several), units[name]) for name, several in values.items()}

    def document(self) -> dict[str, object]:
        return {
            peer: {
                "version": version,
                "figures": {
                    name: {"value": value if math.isfinite(value) else None, "unit": unit}
                    for name, (value, unit) in self.figures(peer).items()
                },
                "errors": self.errors.get(peer, []),
            }
            for peer, version in self.versions.items()
        }

    def _write(self) -> None:
        path: Path = self.options.output
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps(self.document(), indent=2) + "\n")

    def show(self) -> None:
        columns = {peer: self.figures(peer) for peer in self.versions}
        table = Table("figure", *columns)
        for name in dict.fromkeys(name for figures in columns.values() for name in figures):
            table.add_row(name, *(shown(f[name][0]) if name in f else "" for f in columns.values()))
        self.console.print(table)
        for peer, errors in self.errors.items():
            for error in errors:
                self._say(f"{peer}: {error}")


def shown(value: float) -> str:
    return f"{value:,.6g}" if math.isfinite(value) else "not reached"


def named_command(text: str) -> Peer:
    name, found, command = text.partition("=")
    words = shlex.split(command)
    if not found or not name or not words:
        raise argparse.ArgumentTypeError(f"{text!r}: must be NAME=COMMAND")
    return Peer(name=name, part="both", command=tuple(words), version="given by --peer")


def listed(allowed: Collection[str]) -> Callable[[str], list[str]]:
    def parse(text: str) -> list[str]:
        items = text.split(",")
        unknown = [item for item in items if item not in allowed]
        if unknown:
            raise argparse.ArgumentTypeError(f"{unknown[0]!r} is unknown; there are {', '.join(allowed)}")
        return items

    return parse


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="tools/bench_peers.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{' or '.join(PARTS)}; default: both")
    parser.add_argument("--only", action="append", metavar="NAME", help="of the known peers, only these")
    parser.add_argument("--peer", action="append", type=named_command, default=[], metavar="NAME=COMMAND")
    parser.add_argument("--networks", type=listed(NETWORKS), default=list(NETWORKS)[:2], help="NAME,...")
    parser.add_argument("--races", type=listed(RACES), default=list(RACES), help="speed, reward or both")
    parser.add_argument("--seconds", type=float, default=20.0, help="CPU time a speed is measured over")
    parser.add_argument("--limit", type=float, default=120.0, help="CPU time to reach CUBIC's reward in")
    parser.add_argument("--seeds", type=int, default=1, help="trainings towards CUBIC's reward")
    parser.add_argument(
        "--json", action="store_true", help="figures as JSON lines on the output, all else aside"
    )
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "peers" / "peers.json")
    options = parser.parse_args(arguments)
    for part in options.parts:
        if part not in PARTS:
            parser.error(f"{part!r} is unknown; the parts are {', '.join(PARTS)}")
    known = {peer.name for peer in KNOWN}
    for name in options.only or []:
        if name not in known:
            parser.error(f"--only: {name!r} is unknown; there are {', '.join(sorted(known))}")
    for peer in options.peer:
        if peer.name in known:
            parser.error(f"--peer: {peer.name!r} is the name of a known peer")
    return options


def main(arguments: Sequence[str]) -> int:
    options = parse(arguments)
    # Also where a shell has started this in the background, which ignores SIGINT.
    for sign in (signal.SIGINT, signal.SIGTERM):
        signal.signal(sign, signal.default_int_handler)
    parts = options.parts or PARTS
    peers = [p for p in KNOWN if p.part in parts and (options.only is None or p.name in options.only)]
    run = Run(options, Console(stderr=options.json, width=None if sys.stdout.isatty() else 160))
    try:
        run.all([*peers, *options.peer])
    except KeyboardInterrupt:
        run.console.print("interrupted: what was measured so far")
        run.show()
        return 130
    run.show()
    run.console.print(f"written to {options.output}")
    if options.json:
        for peer in run.found:
            for name, (value, unit) in run.figures(peer).items():
                if math.isfinite(value):
                    print(json.dumps({"name": f"{peer}.{name}", "value": value, "unit": unit}), flush=True)
    return 1 if run.errors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
