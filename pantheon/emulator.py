"""Opens an emulated path between any UDP client and a UDP server, until interrupted.

    python -m pantheon.emulator env=lte --server 127.0.0.1:4433
    python -m pantheon.emulator env=s15 --server 127.0.0.1:4433 --listen 127.0.0.1:5000
    python -m pantheon.emulator env=lte --server 127.0.0.1:4433 --seed 7 --log logs/lte --seconds 30

Prints one JSON object a line: where the client is to send, and at the end what came of the path (PathReport
in mvfstrl/realtime/path.py). `--log PREFIX` writes both links' logs in mahimahi's format. Exit status: 0, or
2 on bad input. docs/emulator.md says more.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from mvfstrl.config import compose, native_config
from mvfstrl.errors import MvfstrlError
from mvfstrl.realtime.path import emulated_path, path_report


def host_and_port(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdigit():
        raise argparse.ArgumentTypeError(f"'{text}' is not HOST:PORT")
    return host.strip("[]"), int(port)


def path_parser(module: str, description: str | None, usage: str | None = None) -> argparse.ArgumentParser:
    """Of a program that emulates one path: which one is that, as for all of them."""
    parser = argparse.ArgumentParser(
        prog=f"python -m pantheon.{module}",
        usage=usage,
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="as run.py takes them")
    parser.add_argument("--scenario", default=0, help="default: the first of the environment's")
    parser.add_argument("--seed", type=int, default=0, help="of the episode whose path this is")
    return parser


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = path_parser("emulator", __doc__)
    parser.add_argument("--server", type=host_and_port, required=True, metavar="HOST:PORT")
    parser.add_argument("--listen", default="127.0.0.1", metavar="HOST[:PORT]", help="the client's side")
    parser.add_argument("--log", type=Path, default=None, metavar="PREFIX")
    parser.add_argument("--seconds", type=float, default=None, help="default: until interrupted")
    return parser.parse_intermixed_args(arguments)


def serve(options: argparse.Namespace) -> None:
    config = native_config(compose(options.overrides))
    if options.log is not None:
        options.log.parent.mkdir(parents=True, exist_ok=True)
    with emulated_path(
        config,
        server=options.server,
        seed=options.seed,
        scenario=options.scenario,
        listen=options.listen,
        log=options.log,
    ) as path:
        opened = {"scenario": path.scenario, "client_address": list(path.client_address)}
        print(json.dumps(opened), flush=True)
        signal.sigtimedwait({signal.SIGINT, signal.SIGTERM}, _forever_or(options.seconds))
        print(json.dumps(path_report(path)), flush=True)


def _forever_or(seconds: float | None) -> float:
    return 1e9 if seconds is None else seconds


def main(arguments: Sequence[str]) -> int:
    options = parse(arguments)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})  # serve() waits for them
    try:
        serve(options)
    except (MvfstrlError, ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
