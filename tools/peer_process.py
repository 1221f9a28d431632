"""Runs a peer's command: figures in, and nothing of it left behind however it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

ONE_THREAD = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
GRACE_S = 3.0
SHOWN = 3
"""Last lines of what a failed peer said."""


class PeerError(Exception):
    """Why a peer has no figures."""


def run_peer(
    command: Sequence[str], *, limit_s: float, environment: Mapping[str, str] | None = None
) -> dict[str, tuple[float, str]]:
    """The figures that it prints, JSON objects `{"name", "value", "unit"}` a line; other output is kept for
    an error's message. Ends it with all its processes after `limit_s` of CPU time, or ten times that on the
    clock.
    """
    added = {**dict.fromkeys(ONE_THREAD, "1"), "PYTHONUNBUFFERED": "1", **(environment or {})}
    variables = os.environ | added
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        try:
            # A session of its own: what it starts can be found, counted and ended together.
            process = subprocess.Popen(
                command,
                stdout=output,
                stderr=errors,
                stdin=subprocess.DEVNULL,
                env=variables,
                start_new_session=True,
            )
        except OSError as error:
            raise PeerError(f"cannot start {command[0]}: {error.strerror}") from None
        try:
            _wait(process, limit_s)
        finally:
            _end_session(process)
        output.seek(0)
        errors.seek(0)
        said, complaints = output.read(), errors.read()
    if process.returncode != 0:
        last = (complaints.strip() or said.strip()).splitlines()[-SHOWN:]
        raise PeerError(f"exit {process.returncode}: {' | '.join(line.strip() for line in last)}")
    figures = dict(_figure(line) for line in said.splitlines() if line.startswith("{"))
    if not figures:
        raise PeerError(f"{' '.join(command[:2])} printed no figure")
    return figures


def _figure(line: str) -> tuple[str, tuple[float, str]]:
    try:
        found = json.loads(line)
        return str(found["name"]), (float(found["value"]), str(found["unit"]))
    except (ValueError, KeyError, TypeError):
        raise PeerError(f'not a figure {{"name", "value", "unit"}}: {line[:200]}') from None


def _wait(process: subprocess.Popen[bytes], limit_s: float) -> None:
    begin = time.monotonic()
    while process.poll() is None:
        time.sleep(0.2)
        if time.monotonic() - begin < 1:
            continue
        used = session_cpu_seconds(process.pid)
        if used > limit_s:
            raise PeerError(f"not done after {used:.0f} CPU-s")
        if time.monotonic() - begin > 10 * limit_s:
            raise PeerError(f"not done after {10 * limit_s:.0f} s")
        time.sleep(0.8)


def _members(session: int) -> list[tuple[int, float]]:
    """Process id and CPU seconds of all that run in a session."""
    tick = os.sysconf("SC_CLK_TCK")
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue  # it has ended meanwhile
            if int(fields[3]) == session and fields[0] != "Z":
                found.append((int(folder.name), sum(int(t) for t in fields[11:15]) / tick))
    return found


def session_cpu_seconds(session: int) -> float:
    return sum(seconds for _, seconds in _members(session))


def _end_session(process: subprocess.Popen[bytes]) -> None:
    """Asks whatever is left to stop, then insists."""
    deadline = time.monotonic() + GRACE_S
    for sign in (signal.SIGINT, signal.SIGKILL):
        for pid, _ in _members(process.pid):
            try:
                os.kill(pid, sign)
            except ProcessLookupError:
                continue
        while _members(process.pid) and time.monotonic() < deadline:
            process.poll()
            time.sleep(0.05)
    process.wait()
