"""Replay the packet log of a real mahimahi link through the native path engine, and compare.

The log's arrivals (`+`) are fed to the same code that the virtual-time environment runs; every departure
(`-`) and drop (`d`) of the log must come out of it, at the same millisecond, of the same size and delay.

    python -m pantheon.replay LOG.gz --trace FILE --queue infinite
    python -m pantheon.replay LOG.gz --trace FILE --queue droptail --packets 100

Exit status: 0 everything matched, 1 a difference (the first one is named), 2 bad input.
"""

from __future__ import annotations

import argparse
import gzip
import sys
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mvfstrl import _native

GZIP_MAGIC = b"\x1f\x8b"


@dataclass(frozen=True)
class Mismatch:
    """The first difference: the log's line, what the log says there, what the engine did."""

    line: int
    expected: str
    got: str


@dataclass(frozen=True)
class Report:
    """Events that were fed (arrivals) and found equal (departures, drops), to the end or the mismatch."""

    arrivals: int
    departures: int
    drops: int
    mismatch: Mismatch | None


def read_log(path: Path) -> bytes:
    """The text of a log, compressed or not. Raises ValueError, naming the file, if it cannot be read."""
    try:
        data = path.read_bytes()
        return gzip.decompress(data) if data.startswith(GZIP_MAGIC) else data
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror or error}") from error
    except (EOFError, zlib.error) as error:
        raise ValueError(f"{path}: damaged gzip file: {error}") from error


def replay(
    log: Path, trace: Path, queue: str, *, packets: int | None = None, bytes: int | None = None
) -> Report:
    """Replay one log. Raises ValueError on bad input: `FILE:LINE: reason` for the log and the trace."""
    result = _native.replay_log(
        read_log(log), str(log), trace=str(trace), queue=queue, packets=packets, bytes=bytes
    )
    mismatch = result["mismatch"]
    return Report(
        arrivals=result["arrivals"],
        departures=result["departures"],
        drops=result["drops"],
        mismatch=None if mismatch is None else Mismatch(*mismatch),
    )


def describe(log: Path, report: Report) -> str:
    """The report as the command prints it."""
    lines = [
        f"{log}",
        f"  arrivals    {report.arrivals:>9} fed",
        f"  departures  {report.departures:>9} matched",
        f"  drops       {report.drops:>9} matched",
    ]
    if report.mismatch is None:
        lines.append("  all matched")
    else:
        difference = report.mismatch
        lines += [
            f"{log}:{difference.line}: first difference",
            f"  expected    {difference.expected}",
            f"  got         {difference.got}",
        ]
    return "\n".join(lines)


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m pantheon.replay",
        description="Replay a mahimahi link log through the native path engine and compare every event.",
        epilog="Exit status: 0 all matched, 1 a difference (the first one is named), 2 bad input.",
    )
    parser.add_argument("log", type=Path, help="mm-link's --uplink-log or --downlink-log, gzip or plain")
    parser.add_argument("--trace", type=Path, required=True, help="the trace that this mm-link played")
    parser.add_argument(
        "--queue",
        choices=["infinite", "droptail"],
        default="infinite",
        help="its queue (default: %(default)s)",
    )
    parser.add_argument("--packets", type=int, metavar="N", help="drop-tail limit in packets")
    parser.add_argument("--bytes", type=int, metavar="N", help="drop-tail limit in bytes, as logged")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse_arguments(arguments)
    try:
        report = replay(
            options.log, options.trace, options.queue, packets=options.packets, bytes=options.bytes
        )
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(describe(options.log, report))
    return 0 if report.mismatch is None else 1


if __name__ == "__main__":
    sys.exit(main())
