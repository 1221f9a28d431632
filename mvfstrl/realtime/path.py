"""An emulated path: two UDP ports, and between them what a scenario does to packets, under the real clock.

    with emulated_path(native_config(cfg), server=("127.0.0.1", port), seed=7) as path:
        ...  # send to path.client_address; what comes to the server goes back through the path
        report = path.report()

The path is the one that the virtual environment draws for an episode of this seed and scenario: the same
rates, delays and losses at the same times since its first datagram. See docs/emulator.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NotRequired, TypedDict, cast

from mvfstrl._native import EmulatedPath, Emulator


class LinkReport(TypedDict):
    """One link of a path, in the words of a flow's report (native/environment/report.h)."""

    throughput_mbps: float
    utilisation: float
    delay_mean_ms: float
    delay_p50_ms: float
    delay_p95_ms: float
    queue_delay_mean_ms: float
    queue_delay_p50_ms: float
    queue_delay_p95_ms: float
    loss: float
    queue_loss: float
    sent_packets: int
    delivered_packets: int
    queue_drops: int
    random_losses: int
    in_flight_packets: int


class LinkSeries(TypedDict):
    """Columns of an episode's series that the path alone can tell (native/environment/series.h)."""

    time_ms: list[float]
    throughput_mbps: list[float]
    capacity_mbps: list[float]
    queue_delay_ms: list[float]


class PathReport(LinkReport):
    """What came of a path so far: the data link's figures, and how far the emulator is to be trusted."""

    acks: LinkReport
    series: NotRequired[LinkSeries]  # where it was asked for
    length_ms: float  # since the path's time zero
    lateness_p50_ms: float  # how long after it was due a datagram was written
    lateness_p99_ms: float
    lateness_max_ms: float
    late: bool  # the host could not keep up: p99 above 2 ms
    stalled: int  # datagrams lost to stall(),
    oversized: int  # for being longer than 2036 bytes,
    overflow: int  # for want of memory,
    overruns: int  # in the kernel's buffers, because the emulator came too late,
    unsent: int  # because nobody listened at the other end,
    unaddressed: int  # because no client had yet sent anything


@contextmanager
def emulated_path(
    config: dict[str, Any],
    *,
    server: tuple[str, int],
    seed: int,
    scenario: str | int = 0,
    listen: str = "127.0.0.1",
    log: Path | None = None,
    emulator: Emulator | None = None,
    series: bool = False,
) -> Iterator[EmulatedPath]:
    """The path of an episode of that seed and scenario to `server`, open for the length of the context.

    `config`: the native core's (`native_config`). `listen`: HOST or HOST:PORT for the client's side. `log`:
    LOG.uplink.log and LOG.downlink.log are written in mahimahi's format. `emulator`: whose thread drives the
    path; by default one of its own. `series`: its report holds that of the data link, window by window.
    """
    with ExitStack() as stack:
        driver = emulator if emulator is not None else stack.enter_context(Emulator())
        yield stack.enter_context(
            driver.add_path(
                config,
                scenario=scenario,
                seed=seed,
                server=server,
                listen=listen,
                log=None if log is None else str(log),
                series=series,
            )
        )


def path_report(path: EmulatedPath) -> PathReport:
    """`path.report()` with its type."""
    return cast(PathReport, path.report())
