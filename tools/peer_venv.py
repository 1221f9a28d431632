"""A peer's own virtual environment under build/peers, made once for its pinned packages."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable
from pathlib import Path

from peer_process import PeerError
from peers_known import ROOT, Peer

FOLDER = ROOT / "build" / "peers"


def make_venv(peer: Peer, say: Callable[[str], None], folder: Path = FOLDER) -> Path:
    """Its interpreter. A stamp says that the environment is whole; without it everything is made anew."""
    home = folder / peer.name
    stamp = home / "complete"
    wanted = "\n".join([sys.version, str(peer.on_top), *peer.requirements])
    python = home / "bin" / "python"
    if python.exists() and stamp.exists() and stamp.read_text() == wanted:
        return python
    say(f"    making {home.relative_to(folder.parents[1])} with {', '.join(peer.requirements)}")
    if home.exists():
        shutil.rmtree(home)
    _quietly([sys.executable, "-m", "venv", str(home)], folder / f"{peer.name}.log", say)
    if peer.on_top:
        # Behind the peer's own packages come ours: the extension, torch, and what it needs of the rest.
        inner = home / sysconfig.get_path("purelib", vars={"base": ""}).lstrip("/")
        ours = sysconfig.get_path("purelib")
        (inner / "on_top.pth").write_text(f"import site; site.addsitedir({ours!r})\n")
    pip = [
        str(python),
        "-m",
        "pip",
        "install",
        "--disable-pip-version-check",
        "--no-deps",
        *peer.requirements,
    ]
    _quietly(pip, folder / f"{peer.name}.log", say)
    stamp.write_text(wanted)
    return python


def _quietly(command: list[str], log: Path, say: Callable[[str], None]) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    begin = time.monotonic()
    with log.open("a") as file, subprocess.Popen(command, stdout=file, stderr=file) as process:
        try:
            while True:
                try:
                    process.wait(timeout=30)
                    break
                except subprocess.TimeoutExpired:
                    say(f"    still at it after {time.monotonic() - begin:.0f} s")
        except BaseException:
            process.kill()
            raise
    if process.returncode != 0:
        last = log.read_text().strip().splitlines()[-1:]
        raise PeerError(
            f"{' '.join(command[:4])} ...: exit {process.returncode}: {' '.join(last)} (see {log})"
        )
