"""An event loop with timers of microseconds, and how late it came to its timers."""

from __future__ import annotations

import asyncio
import selectors
import socket

import numpy as np

SOCKET_BUFFER = 4 << 20  # bytes asked for; the system may grant fewer


def precise_loop() -> asyncio.AbstractEventLoop:
    """Python's usual loop waits in whole milliseconds, rounded up; one over select() does not."""
    return asyncio.SelectorEventLoop(selectors.SelectSelector())


class Lateness:
    """Of timers: when they were to fire, and when they did."""

    def __init__(self) -> None:
        self._late: list[float] = []

    def note(self, due: float, now: float) -> None:
        self._late.append(max(now - due, 0.0))

    def take(self) -> dict[str, float]:
        """In milliseconds, of all that was noted since the last call."""
        late, self._late = self._late, []
        if not late:
            return {"late_p50_ms": 0.0, "late_p99_ms": 0.0, "late_max_ms": 0.0}
        values = 1000.0 * np.asarray(late)
        p50, p99 = np.percentile(values, [50.0, 99.0])
        return {"late_p50_ms": float(p50), "late_p99_ms": float(p99), "late_max_ms": float(values.max())}


def udp_socket(host: str) -> socket.socket:
    """Bound to a free port of this address."""
    family = socket.getaddrinfo(host, 0, type=socket.SOCK_DGRAM)[0][0]
    made = socket.socket(family, socket.SOCK_DGRAM)
    for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        made.setsockopt(socket.SOL_SOCKET, option, SOCKET_BUFFER)
    made.bind((host, 0))
    made.setblocking(False)
    return made
