"""Runs a command behind an emulated path, as mahimahi's shells do: in a network namespace whose only way out
is a pair of TUN devices, between which the scenario is in force. Whatever the command speaks, kernel TCP say,
crosses the same path classes as our own packets. Takes root.

    iperf3 --server --one-off --daemon   # or anything else that listens outside
    python -m pantheon.shell env=s18 -- iperf3 -c 10.77.0.1 -C cubic -t 30

The command's own packets cross the data link. Outside is 10.77.0.1, which the command also finds as
`$MAHIMAHI_BASE`; its own address is 10.77.0.2 (`--subnet` has others). `--log PREFIX` writes both links' logs
in mahimahi's format. Prints the path's report as JSON to standard error when the command has ended, and exits
with its status, or with 2 on bad input.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mvfstrl._native import EmulatedPath, Emulator
from mvfstrl.config import compose, native_config
from mvfstrl.errors import MvfstrlError
from mvfstrl.realtime.path import path_report
from pantheon.emulator import path_parser

SUBNET = "10.77.0"


class ShellError(MvfstrlError):
    """The host does not let us, or cannot."""


@dataclass(frozen=True)
class Inside:
    """A namespace behind a path."""

    path: EmulatedPath
    namespace: str
    outside_address: str
    inside_address: str

    def command(self, command: Sequence[str]) -> list[str]:
        base = f"MAHIMAHI_BASE={self.outside_address}"
        return ["ip", "netns", "exec", self.namespace, "env", base, *command]


def why_not() -> str | None:
    """Why a shell cannot be had on this host; None if it can."""
    if os.geteuid() != 0:
        return "needs root"
    if shutil.which("ip") is None:
        return "needs the program ip (iproute2)"
    if not Path("/dev/net/tun").exists():
        return "needs /dev/net/tun"
    return None


def _ip(*arguments: str, namespace: str | None = None) -> None:
    command = ["ip", *(["-n", namespace] if namespace else []), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ShellError(f"{' '.join(command)}: {done.stderr.strip()}")


def _quiet(device: str, namespace: str | None = None) -> None:
    """No IPv6: the kernel's own neighbour discovery would cross the path."""
    prefix = ["ip", "netns", "exec", namespace] if namespace else []
    setting = f"/proc/sys/net/ipv6/conf/{device}/disable_ipv6"
    subprocess.run([*prefix, "tee", setting], input="1", text=True, capture_output=True, check=False)


@contextmanager
def inside(
    config: dict[str, Any],
    *,
    seed: int,
    scenario: str | int = 0,
    log: Path | None = None,
    subnet: str = SUBNET,
) -> Iterator[Inside]:
    """A namespace from which SUBNET.1 is reached through the path of an episode, for the context's length."""
    if (reason := why_not()) is not None:
        raise ShellError(f"a shell behind a path {reason}")
    name = f"mvrl{os.getpid()}"
    outer, inner = f"{name}o", f"{name}i"
    outside_address, inside_address = f"{subnet}.1", f"{subnet}.2"
    with ExitStack() as stack:
        path = stack.enter_context(
            stack.enter_context(Emulator()).add_tunnel(
                config,
                scenario=scenario,
                seed=seed,
                inner=inner,
                outer=outer,
                log=None if log is None else str(log),
            )
        )
        _ip("netns", "add", name)
        stack.callback(_ip, "netns", "delete", name)
        _ip("link", "set", inner, "netns", name)
        for device, own, other, namespace in (
            (outer, outside_address, inside_address, None),
            (inner, inside_address, outside_address, name),
        ):
            _quiet(device, namespace)
            _ip("address", "add", own, "peer", other, "dev", device, namespace=namespace)
            _ip("link", "set", device, "up", namespace=namespace)
        _ip("link", "set", "lo", "up", namespace=name)
        _ip("route", "add", "default", "via", outside_address, namespace=name)
        yield Inside(path, name, outside_address, inside_address)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    own, command = _split(arguments)
    parser = path_parser("shell", __doc__, "%(prog)s [KEY=VALUE ...] [options] -- COMMAND ...")
    parser.add_argument("--subnet", default=SUBNET, metavar="A.B.C", help="one of its own a running shell")
    parser.add_argument("--log", type=Path, default=None, metavar="PREFIX")
    options = parser.parse_intermixed_args(own)
    if not command:
        parser.error("what is to be run? Give it after --")
    options.command = command
    return options


def _split(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """What stands before and after the first `--`."""
    whole = list(arguments)
    at = whole.index("--") if "--" in whole else len(whole)
    return whole[:at], whole[at + 1 :]


def main(arguments: Sequence[str]) -> int:
    options = parse(arguments)
    try:
        with inside(
            native_config(compose(options.overrides)),
            seed=options.seed,
            scenario=options.scenario,
            log=options.log,
            subnet=options.subnet,
        ) as shell:
            status = subprocess.run(shell.command(options.command), check=False).returncode
            print(json.dumps(path_report(shell.path)), file=sys.stderr)
    except (MvfstrlError, ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
