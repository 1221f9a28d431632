"""Fetches mahimahi's recordings of cellular links, which are not shipped: they are large and GPL.

    python -m pantheon.traces list
    python -m pantheon.traces fetch Verizon-LTE-short [--to DIR]
    python -m pantheon.traces fetch Verizon-LTE-short --from DIR

A name without `.up` or `.down` stands for both directions. Files come from mahimahi's repository at one
commit and are held against checksums; `--from DIR` takes them from a folder instead, and files of one's own.
Exit status: 0, or 2 with one line that says what is wrong.
"""

from __future__ import annotations

import argparse
import difflib
import hashlib
import logging
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mvfstrl.errors import MvfstrlError

COMMIT = "ae477d437615b972217498ba52be07db17a15618"
HOST = "raw.githubusercontent.com"
ADDRESS = f"https://{HOST}/ravinet/mahimahi/{COMMIT}/traces/"
DIRECTIONS = ("up", "down")
TIMEOUT_S = 20

LICENCE = """\
Traces: copyright the Mahimahi authors, GPL-3.0-or-later (https://github.com/ravinet/mahimahi, COPYING).
Recorded with Saturator; in publications cite Winstein, Sivaraman, Balakrishnan: "Stochastic Forecasts Achieve
High Throughput and Low Delay over Cellular Networks", NSDI 2013."""

# Checksums at COMMIT: SHA-256 of the file, or `git:` and the identity that git gives to its content.
CATALOGUE = {
    "ATT-LTE-driving.up": "d58a640b9bccd131a421bff6eaf727aba324d9258b35009655bbf68e087b9b29",
    "ATT-LTE-driving.down": "73c58f41bf7a3f0fac82810ca61307521be1cf6b77a0e98093fd340bddfd161f",
    "ATT-LTE-driving-2016.up": "ebb3d53674b77be4ed920ad91c4513a496e04e30da839e2ca8a627cb7269071e",
    "ATT-LTE-driving-2016.down": "24a40538340de991e0a6595aefc381b11a3da0446176e69b51750707a57b0344",
    "TMobile-LTE-driving.up": "git:08944aed62004a240f0c8ca4f5e730207442f83c",
    "TMobile-LTE-driving.down": "d48ff134fc29c36cc3c3dee203464246bd698f0faede42534a27b0cbe3057055",
    "TMobile-LTE-short.up": "1c0d1bf5417b07597724fd64afe676af3c1f337a4ccdde90106bf96b1bcf18b2",
    "TMobile-LTE-short.down": "4f33dce8dd811b5702272af64aaf64d3913719919abd776edf1e0f7c0965da43",
    "TMobile-UMTS-driving.up": "f2dc7c8e57f4cf525fefaff2d68c18a9118fd1382ce9c240b1d324a2a60f8a65",
    "TMobile-UMTS-driving.down": "c97a74e7e6cf593d93b59f73db614bc6186bef510531636ad9961a3b9fc18024",
    "Verizon-EVDO-driving.up": "6055d60d234030035f59475dc1d39d99e7c2817b9fa5d485f1f0710b1aae2075",
    "Verizon-EVDO-driving.down": "60c9cd7b5d8be7d89d3807052a043f54787958f04cfd4c6c16fcdac6e2c3b9da",
    "Verizon-LTE-driving.up": "git:b4ca49ef2a5a8d2e21162aaaf02b12d80f0f17e0",
    "Verizon-LTE-driving.down": "git:d431ad4a5ed9811588256bae5b14025cbdffd7fd",
    "Verizon-LTE-short.up": "f6cd9049f58d70f12545772a3482ded085b6d50f06a2f4ff4afcfb6fe7976dcc",
    "Verizon-LTE-short.down": "c918436fbd6246af134c76585d9395881fdd27203c59a8902b9a7c675b8a8e3e",
}


class TraceError(MvfstrlError):
    """A trace that cannot be had, or is not what it should be."""


@dataclass(frozen=True)
class Fetched:
    path: Path
    checked: bool
    """Against a checksum; else only its format is known to be right."""


def names() -> list[str]:
    """Recordings, each of two directions."""
    return list(dict.fromkeys(file.rpartition(".")[0] for file in CATALOGUE))


def files_of(name: str) -> list[str]:
    """The files that a name stands for. Raises TraceError, with near names, for an unknown one."""
    if name in CATALOGUE:
        return [name]
    files = [f"{name}.{direction}" for direction in DIRECTIONS]
    if files[0] in CATALOGUE:
        return files
    near = difflib.get_close_matches(name, [*names(), *CATALOGUE], n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else "`python -m pantheon.traces list` names them all"
    raise TraceError(f"unknown trace {name!r}: {hint}")


def fetch(name: str, to: Path) -> list[Fetched]:
    """Downloads what `name` stands for; files that are there already are only checked."""
    to.mkdir(parents=True, exist_ok=True)
    return [Fetched(_download(file, to), checked=True) for file in files_of(name)]


def take(name: str, source: Path, to: Path) -> list[Fetched]:
    """Copies what `name` stands for out of a folder; what is not mahimahi's must be a trace by its format."""
    to.mkdir(parents=True, exist_ok=True)
    taken = []
    for file in _files_in(name, source):
        checked = file in CATALOGUE
        _check_format(source / file)
        if checked and not matches(source / file, CATALOGUE[file]):
            raise TraceError(f"{source / file}: is not mahimahi's trace of that name (its checksum differs)")
        if (source / file).resolve() != (to / file).resolve():
            partial = to / f"{file}.part"
            shutil.copyfile(source / file, partial)
            partial.replace(to / file)
        taken.append(Fetched(to / file, checked))
    return taken


def matches(path: Path, checksum: str) -> bool:
    content = path.read_bytes()
    if checksum.startswith("git:"):
        blob = b"blob %d\0" % len(content) + content
        return hashlib.sha1(blob, usedforsecurity=False).hexdigest() == checksum.removeprefix("git:")
    return hashlib.sha256(content).hexdigest() == checksum


def _download(file: str, to: Path) -> Path:
    import pooch  # type: ignore[import-untyped]

    checksum = CATALOGUE[file]
    target = to / file
    pooch.get_logger().setLevel(logging.WARNING)
    try:
        if checksum.startswith("git:") and target.exists() and not matches(target, checksum):
            target.unlink()
        pooch.retrieve(
            ADDRESS + file,
            known_hash=None if checksum.startswith("git:") else f"sha256:{checksum}",
            fname=file,
            path=to,
            downloader=pooch.HTTPDownloader(timeout=TIMEOUT_S),
        )
    except OSError as error:  # of which those of requests are
        raise TraceError(
            f"cannot fetch {file} from {HOST} ({type(error).__name__}); where the file is at hand: "
            f"python -m pantheon.traces fetch {file} --from DIR"
        ) from error
    except ValueError as error:  # pooch's word for a checksum that differs; it has removed the file
        raise TraceError(f"{file}: what {HOST} sent is not the trace (its checksum differs)") from error
    if not matches(target, checksum):
        target.unlink()
        raise TraceError(f"{file}: what {HOST} sent is not the trace (its checksum differs)")
    return target


def _files_in(folder_name: str, source: Path) -> list[str]:
    """The files of that name in a folder."""
    if not source.is_dir():
        raise TraceError(f"{source}: no such folder")
    candidates = [folder_name, *(f"{folder_name}.{direction}" for direction in DIRECTIONS)]
    found = [file for file in candidates if (source / file).is_file()]
    if not found:
        present = [path.name for path in source.iterdir() if path.is_file()]
        near = difflib.get_close_matches(folder_name, [*present, *names()], n=3, cutoff=0.5)
        hint = f"; did you mean {' or '.join(dict.fromkeys(near))}?" if near else ""
        raise TraceError(f"{source}: has no {' or '.join(candidates)}{hint}")
    return found


def _check_format(path: Path) -> None:
    from mvfstrl._native import load_trace

    try:
        load_trace(str(path))
    except ValueError as error:
        raise TraceError(str(error)) from error


def main(arguments: Sequence[str]) -> int:
    options = _parse(arguments)
    if options.command == "list":
        print("\n".join(names()))
        print(f"\nEach has {' and '.join('.' + direction for direction in DIRECTIONS)}. {LICENCE}")
        return 0
    try:
        for name in options.names:
            got = take(name, options.source, options.to) if options.source else fetch(name, options.to)
            for trace in got:
                print(trace.path if trace.checked else f"{trace.path} (no checksum known: format checked)")
    except (MvfstrlError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(LICENCE)
    return 0


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m pantheon.traces", description="Fetches mahimahi's recordings of cellular links."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="the names, and the licence")
    fetcher = commands.add_parser("fetch", help="get traces, for env=trace env.uplink=FILE")
    fetcher.add_argument("names", nargs="+", metavar="NAME", help="e.g. Verizon-LTE-short (both directions)")
    fetcher.add_argument(
        "--to", type=Path, default=Path("traces"), metavar="DIR", help="default: %(default)s"
    )
    fetcher.add_argument(
        "--from", dest="source", type=Path, metavar="DIR", help="take the files from there, not the network"
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
