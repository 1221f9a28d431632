"""How flows share a bottleneck: Jain's index, shares, convergence after a flow joins or leaves, and the harm
done to a competitor.

    python -m pantheon.fairness RUN                          what a test with several flows left in RUN
    python -m pantheon.fairness harm agent=copa env=constant env.rate_mbps=24     harm to a competing CUBIC

Figures come from the series of an episode: a table with the columns `flow, time_ms, throughput_mbps,
capacity_mbps` and, where there is cross traffic, `cross_mbps`. A flow has rows where it is active. Rates are
means over `SMOOTHING_MS`, ending at the time that they are given for.

- Jain's index of n rates is (sum x)^2 / (n sum x^2): 1 for equal rates, 1/n if one flow has all (Jain, Chiu
  and Hawe, DEC-TR-301, 1984).
- The fair share is what the cross traffic leaves of the capacity, divided by the number of active flows.
- A flow that joined or left has been absorbed once every active flow's rate is within `TOLERANCE` of its fair
  share and stays so for `HOLD_MS`: the forward-looking convergence time of PCC (Dong et al., NSDI 2015,
  section 4.2.2: within 25 % of the ideal equal rate for 5 s), from the event to the begin of that span. It is
  not a number where that does not happen before the next event.
- Harm (Ware et al., "Beyond Jain's Fairness Index", HotNets 2019): (solo - with) / solo of a figure of which
  more is better, (with - solo) / with of one of which less is better. 0: none, 1: all was taken.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mvfstrl.errors import ConfigError, MvfstrlError
from pantheon.episodes import play
from pantheon.schemes import Scheme, classic_scheme, native_of

if TYPE_CHECKING:
    from mvfstrl.config import Config

SMOOTHING_MS = 1000.0
TOLERANCE = 0.25
HOLD_MS = 5000.0
COMPETITOR = "cubic"

Floats = NDArray[np.float64]
Table = TypeVar("Table", pd.DataFrame, "pd.Series[float]")


@dataclass(frozen=True)
class Event:
    """A flow joined or left."""

    time_ms: float
    flow: int
    joined: bool
    convergence_ms: float
    """Until the flows that are active from then on have their shares; NaN: not before the next event."""


@dataclass(frozen=True)
class Sharing:
    """One episode."""

    jain: pd.Series[float]
    """By time in ms; NaN while fewer than two flows are active."""
    shares: dict[int, float]
    """By flow: what it got, over its fair share of the time in which it was active. 1 is fair."""
    events: list[Event]

    @property
    def mean_jain(self) -> float:
        """Over the time in which at least two flows were active; NaN if there was none."""
        return float(self.jain.mean())


@dataclass(frozen=True)
class Harm:
    """Done to one flow by another that shares its path. Delays are those of the bottleneck's queue."""

    throughput: float
    delay: float
    solo_mbps: float
    with_mbps: float
    solo_delay_ms: float
    with_delay_ms: float


def jain_index(rates: Sequence[float] | Floats) -> float:
    """1/n to 1; NaN without rates, or where nobody has any."""
    values = np.asarray(rates, dtype=np.float64)
    squares = float(np.square(values).sum())
    return float(values.sum() ** 2 / (values.size * squares)) if squares > 0 else float("nan")


def sharing(
    series: pd.DataFrame | Mapping[str, Any],
    *,
    tolerance: float = TOLERANCE,
    hold_ms: float = HOLD_MS,
    smoothing_ms: float = SMOOTHING_MS,
) -> Sharing:
    """What one episode's series says of its flows."""
    table = pd.DataFrame(series)
    for key, value in (("tolerance", tolerance), ("hold_ms", hold_ms), ("smoothing_ms", smoothing_ms)):
        if value <= 0:
            raise ValueError(f"{key}: must be positive, got {value}")
    duplicated = table.duplicated(["flow", "time_ms"])
    if duplicated.any():
        raise ValueError("series: more than one episode; pick one by scheme, scenario and seed")
    rates = table.pivot(index="time_ms", columns="flow", values="throughput_mbps").sort_index()
    by_time = table.drop_duplicates("time_ms").set_index("time_ms").sort_index()
    left = by_time["capacity_mbps"] - by_time.get("cross_mbps", 0.0)
    active = rates.notna()
    fair = left / active.sum(axis=1)
    changes = (active != active.shift(fill_value=False)).any(axis=1).cumsum()
    smooth = _smooth(rates, changes, smoothing_ms)
    smooth_fair = _smooth(fair, changes, smoothing_ms)
    several = active.sum(axis=1) >= 2
    index = [jain_index(row[~np.isnan(row)]) for row in smooth.to_numpy()]
    jain = pd.Series(index, index=rates.index, dtype=float).where(several)
    shares = {
        int(flow): float(rates[flow][active[flow]].sum() / max(fair[active[flow]].sum(), 1e-12))
        for flow in rates.columns
    }
    near = ((smooth.sub(smooth_fair, axis=0)).abs().le(tolerance * smooth_fair, axis=0) | ~active).all(axis=1)
    return Sharing(jain, shares, _events(active, near, hold_ms))


def _smooth(values: Table, changes: pd.Series[Any], span_ms: float) -> Table:
    """Means over the latest `span_ms`, but of no window before the set of active flows last changed."""
    step = float(np.median(np.diff(values.index))) if len(values.index) > 1 else span_ms
    rows = max(1, round(span_ms / step))
    parts = [part.rolling(rows, min_periods=1).mean() for _, part in values.groupby(changes)]
    return pd.concat(parts) if parts else values


def _events(active: pd.DataFrame, near: pd.Series[bool], hold_ms: float) -> list[Event]:
    times = active.index.to_numpy(dtype=np.float64)
    before = active.shift(fill_value=False)
    before.iloc[0] = active.iloc[0]  # who is there from the beginning does not join
    changed = (active != before).any(axis=1).to_numpy()
    starts = [int(i) for i in np.flatnonzero(changed)]
    events = []
    for start, end in zip(starts, [*starts, len(times)][1:], strict=True):
        at = times[start - 1]  # the end of the window before
        convergence = _convergence(times[start:end], near.to_numpy()[start:end], at, hold_ms)
        row, previous = active.iloc[start], before.iloc[start]
        events += [
            Event(float(at), int(flow), bool(row[flow]), convergence)
            for flow in active.columns
            if row[flow] != previous[flow]
        ]
    return events


def _convergence(times: Floats, near: NDArray[np.bool_], at: float, hold_ms: float) -> float:
    """From `at` to the begin of the first span of `hold_ms` through which every window is near."""
    begin: float | None = None
    previous = at
    for time, good in zip(times, near, strict=True):
        if not good:
            begin = None
        elif begin is None:
            begin = previous
        if begin is not None and time - begin >= hold_ms - 1e-6:
            return begin - at
        previous = time
    return float("nan")


# --- harm ---


def harm(solo: Mapping[str, float], shared: Mapping[str, float]) -> Harm:
    """`solo` and `shared`: the reports of one flow, without its competitor and with it."""
    alone, beside = solo["throughput_mbps"], shared["throughput_mbps"]
    quiet, queued = solo["queue_delay_mean_ms"], shared["queue_delay_mean_ms"]
    return Harm(
        throughput=(alone - beside) / alone if alone > 0 else float("nan"),
        delay=(queued - quiet) / queued if queued > 0 else float("nan"),
        solo_mbps=alone,
        with_mbps=beside,
        solo_delay_ms=quiet,
        with_delay_ms=queued,
    )


def harm_to(
    cfg: Config, scheme: Scheme, scenario: str, seeds: Sequence[int], competitor: str = COMPETITOR
) -> list[Harm]:
    """Harm that a flow of `scheme` does to one of `competitor`, episode by episode: the same path once with
    both from the beginning, once with the competitor alone."""
    job = list(cfg.env.scenarios).index(scenario)
    both = replace(cfg, env=replace(cfg.env, flows=[{"scheme": "agent"}, {"scheme": competitor}]))
    alone = replace(cfg, env=replace(cfg.env, flows=[{"scheme": "agent"}]))
    solo = play(native_of(alone, classic_scheme(competitor), scenario), seeds)
    with_scheme = play(native_of(both, scheme, scenario), seeds, job=job, policy=scheme.virtual_policy)
    return [
        harm(before["flows"][0], after["flows"][1])
        for before, after in zip(solo.reports, with_scheme.reports, strict=True)
    ]


# --- the command ---


def print_sharing(folder: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    path = folder / "series.parquet"
    if not path.is_file():
        raise MvfstrlError(f"{path}: no such file; mode=test writes it for test.series_runs episodes")
    table = Table(title=f"Sharing: rates over {SMOOTHING_MS / 1000:g} s, fair within {TOLERANCE:.0%}")
    for name in ("scheme", "scenario", "seed", "Jain", "share of the fair share", "convergence, s"):
        table.add_column(name)
    for (scheme, scenario, seed), series in pd.read_parquet(path).groupby(
        ["scheme", "scenario", "seed"], sort=False
    ):
        found = sharing(series)
        shares = ", ".join(f"{flow}: {share:.2f}" for flow, share in found.shares.items())
        table.add_row(
            str(scheme), str(scenario), str(seed), f"{found.mean_jain:.3f}", shares, _told(found.events)
        )
    Console().print(table)


def _told(events: Sequence[Event]) -> str:
    return ", ".join(
        f"{'+' if event.joined else '-'}{event.flow} at {event.time_ms / 1000:g}: "
        + ("not" if np.isnan(event.convergence_ms) else f"{event.convergence_ms / 1000:.1f}")
        for event in events
    )


def print_harm(overrides: Sequence[str]) -> None:
    from rich.console import Console
    from rich.table import Table

    from mvfstrl.config import compose
    from mvfstrl.rundir import RunDirectory
    from pantheon.benchmark import held_out_seeds
    from pantheon.schemes import agent_under_test

    cfg = compose(["mode=test", *overrides])
    scheme = agent_under_test(cfg, RunDirectory(Path.cwd()))
    table = Table(title=f"Harm of {scheme.name} to {COMPETITOR}, mean of {cfg.test.runs} episodes")
    for name in ("scenario", "throughput", "alone", "beside it", "delay", "alone", "beside it"):
        table.add_column(name)
    for scenario in cfg.env.scenarios:
        harms = harm_to(cfg, scheme, scenario, held_out_seeds(cfg.test.seed, cfg.test.runs))
        mean = {key: float(np.mean([getattr(one, key) for one in harms])) for key in vars(harms[0])}
        table.add_row(
            scenario,
            f"{mean['throughput']:.2f}",
            f"{mean['solo_mbps']:.2f} Mbps",
            f"{mean['with_mbps']:.2f} Mbps",
            f"{mean['delay']:.2f}",
            f"{mean['solo_delay_ms']:.1f} ms",
            f"{mean['with_delay_ms']:.1f} ms",
        )
    Console().print(table)


def main(arguments: Sequence[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        print(__doc__)
        return 0 if arguments else 2
    try:
        if arguments[0] == "harm":
            print_harm(arguments[1:])
        elif len(arguments) == 1:
            print_sharing(Path(arguments[0]))
        else:
            raise ConfigError(f"expected one run directory, or harm and overrides, got {' '.join(arguments)}")
    except MvfstrlError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
