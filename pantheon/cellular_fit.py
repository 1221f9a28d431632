"""Fit the synthetic cellular process to recorded traces, and show both side by side.

    python -m pantheon.cellular_fit            # prints the table and the fitted parameters
    python -m pantheon.cellular_fit --write    # and renews docs/cellular.md and docs/images/cellular_fit.png

Only the first half of each trace is looked at; the second halves are kept for evaluation. The fit is the
method of simulated moments: parameters are moved until statistics of synthetic runs, as long as the half
trace and always of the same seeds, come closest to those of the recording. Nothing here is random: a second
run prints the same numbers.
"""

from __future__ import annotations

import argparse
import itertools
import math
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mvfstrl import _native

PACKET_BITS = 1500 * 8  # one opportunity; recorded opportunities count as packets of this size too
OUTAGE_MS = 200.0  # a gap between opportunities longer than this is an outage
RUNS_SECONDS = 3_000  # synthetic seconds behind each evaluation
FIGURE_RUNS = 40  # synthetic runs behind the distribution and autocorrelation drawn
PROJECT = Path(__file__).resolve().parents[1]
PAGE = PROJECT / "docs" / "cellular.md"
FIGURE = PROJECT / "docs" / "images" / "cellular_fit.png"
TABLE_BEGIN = "<!-- table: written by python -m pantheon.cellular_fit --write -->"
TABLE_END = "<!-- end of table -->"

Times = NDArray[np.float64]


@dataclass(frozen=True)
class Parameters:
    """The cellular process's parameters, named as in conf/env/*.yaml."""

    level_mbps: float
    max_mbps: float
    volatility_mbps: float
    reversion_ms: float
    outage_ms: float
    burst: float


@dataclass(frozen=True)
class Statistics:
    """What is matched. Coefficients of variation are of the opportunities in windows of that length."""

    mean_mbps: float
    variation_100ms: float
    variation_1s: float
    variation_10s: float
    autocorrelation_1s: float
    autocorrelation_5s: float
    outage_share: float
    outage_mean_ms: float


LABELS = {
    "mean_mbps": "mean rate, Mbps",
    "variation_100ms": "coefficient of variation, 0.1 s",
    "variation_1s": "coefficient of variation, 1 s",
    "variation_10s": "coefficient of variation, 10 s",
    "autocorrelation_1s": "autocorrelation of 1 s means, lag 1 s",
    "autocorrelation_5s": "autocorrelation of 1 s means, lag 5 s",
    "outage_share": "share of time in gaps above 200 ms",
    "outage_mean_ms": "mean length of these gaps, ms",
}
# How much a difference counts: plain for the autocorrelations, of logarithms for the others. Outages are few
# in a recording of a minute, so their statistics weigh less.
WEIGHTS = {
    "mean_mbps": 6.0,
    "variation_100ms": 3.0,
    "variation_1s": 3.0,
    "variation_10s": 2.0,
    "autocorrelation_1s": 2.0,
    "autocorrelation_5s": 1.0,
    "outage_share": 0.5,
    "outage_mean_ms": 0.2,
}
PLAIN = {"autocorrelation_1s", "autocorrelation_5s"}


def first_half(path: Path) -> tuple[Times, float]:
    """Opportunities in the first half of a trace file, and the length of that half, in ms."""
    times = _native.load_trace(str(path)).astype(np.float64)
    half = float(times[-1] // 2)
    return times[times < half], half


def window_counts(times: Times, duration_ms: float, window_ms: float) -> Times:
    """Opportunities in each whole window."""
    windows = int(duration_ms // window_ms)
    index = (times // window_ms).astype(np.int64)
    return np.bincount(index[index < windows], minlength=windows).astype(np.float64)


def variation(counts: Times) -> float:
    return float(counts.std() / counts.mean())


def autocorrelation(counts: Times, lag: int) -> float:
    centred = counts - counts.mean()
    return float((centred[:-lag] * centred[lag:]).mean() / centred.var())


def gaps(times: Times) -> Times:
    """The gaps that count as outages."""
    between = np.diff(times)
    return between[between > OUTAGE_MS]


def statistics(runs: Sequence[Times], duration_ms: float) -> Statistics:
    """Statistics of one or more runs of the same length: means over runs; outages are pooled."""
    seconds = [window_counts(times, duration_ms, 1_000) for times in runs]
    outages = np.concatenate([gaps(times) for times in runs])
    return Statistics(
        mean_mbps=float(np.mean([len(times) for times in runs])) / duration_ms * PACKET_BITS / 1_000,
        variation_100ms=float(np.mean([variation(window_counts(t, duration_ms, 100)) for t in runs])),
        variation_1s=float(np.mean([variation(counts) for counts in seconds])),
        variation_10s=float(np.mean([variation(window_counts(t, duration_ms, 10_000)) for t in runs])),
        autocorrelation_1s=float(np.mean([autocorrelation(counts, 1) for counts in seconds])),
        autocorrelation_5s=float(np.mean([autocorrelation(counts, 5) for counts in seconds])),
        outage_share=float(outages.sum()) / (duration_ms * len(runs)),
        outage_mean_ms=float(outages.mean()) if len(outages) else 0.0,
    )


def synthetic(parameters: Parameters, duration_ms: float, seed: int) -> Times:
    return _native.cellular_opportunities(**asdict(parameters), duration_ms=duration_ms, seed=seed)


def synthetic_statistics(parameters: Parameters, duration_ms: float) -> Statistics:
    runs = max(8, round(RUNS_SECONDS * 1_000 / duration_ms))
    return statistics([synthetic(parameters, duration_ms, seed) for seed in range(runs)], duration_ms)


def distance(found: Statistics, wanted: Statistics) -> float:
    total = 0.0
    for name, weight in WEIGHTS.items():
        a, b = getattr(found, name), getattr(wanted, name)
        difference = a - b if name in PLAIN else math.log(max(a, 1e-9) / max(b, 1e-9))
        total += (weight * min(abs(difference), 3.0)) ** 2
    return total


def search_directions(size: int) -> list[list[float]]:
    """The axes, then the diagonals of all pairs but the last: these parameters act on the same statistics."""
    axes = [[float(i == j) for j in range(size)] for i in range(size)]
    diagonals = [
        [a + sign * b for a, b in zip(first, second, strict=True)]
        for first, second in itertools.combinations(axes[:-1], 2)
        for sign in (1.0, -1.0)
    ]
    return [[sign * value for value in direction] for direction in axes + diagonals for sign in (1.0, -1.0)]


def pattern_search(
    cost: Callable[[list[float]], float], start: list[float], step: float, smallest: float
) -> list[float]:
    """Minimises by trying one direction after the other, halving the step when none helps."""
    best, best_cost = start, cost(start)
    directions = search_directions(len(start))
    while step >= smallest:
        improved = False
        for direction in directions:
            candidate = [value + step * d for value, d in zip(best, direction, strict=True)]
            candidate_cost = cost(candidate)
            if candidate_cost < best_cost:
                best, best_cost, improved = candidate, candidate_cost, True
        if not improved:
            step /= 2
    return best


def fit(times: Times, duration_ms: float) -> Parameters:
    """The parameters whose runs are closest to the recording. The maximum is its fastest second."""
    wanted = statistics([times], duration_ms)
    mbps = PACKET_BITS / 1e6
    max_mbps = float(window_counts(times, duration_ms, 1_000).max()) * mbps

    # The search moves the rate's standard deviation and its time constant: they act on different statistics,
    # while volatility = deviation * sqrt(2 / time constant) acts on all.
    def decode(x: list[float]) -> Parameters:
        level, deviation, reversion_s, outage_ms, more_in_burst = (math.exp(value) for value in x)
        return Parameters(
            level_mbps=round(min(level, max_mbps), 3),
            max_mbps=round(max_mbps, 3),
            volatility_mbps=round(deviation * math.sqrt(2 / reversion_s), 3),
            reversion_ms=float(round(1_000 * reversion_s)),
            outage_ms=float(round(outage_ms)),
            burst=round(1 + more_in_burst, 2),
        )

    start = [
        math.log(wanted.mean_mbps),
        math.log(wanted.variation_1s * wanted.mean_mbps),
        math.log(-1 / math.log(wanted.autocorrelation_1s)),
        math.log(200.0),
        math.log(0.3),
    ]
    best = pattern_search(
        lambda x: distance(synthetic_statistics(decode(x), duration_ms), wanted),
        start,
        step=0.4,
        smallest=0.1,
    )
    return decode(best)


@dataclass(frozen=True)
class Fit:
    """One recording, what was fitted to it, and the statistics of both."""

    trace: str
    times: Times
    duration_ms: float
    parameters: Parameters
    recorded: Statistics
    synthetic: Statistics


def fit_trace(path: Path) -> Fit:
    times, duration_ms = first_half(path)
    parameters = fit(times, duration_ms)
    return Fit(
        trace=path.name,
        times=times,
        duration_ms=duration_ms,
        parameters=parameters,
        recorded=statistics([times], duration_ms),
        synthetic=synthetic_statistics(parameters, duration_ms),
    )


def table(fits: Sequence[Fit]) -> str:
    """Recorded and synthetic statistics side by side, and the parameters, as Markdown."""
    lines = [
        "| | " + " | ".join(f"{fit.trace} recorded | synthetic" for fit in fits) + " |",
        "|---" * (1 + 2 * len(fits)) + "|",
    ]
    for name, label in LABELS.items():
        digits = 0 if name.endswith("_ms") and name.startswith("outage") else 3
        cells = [
            f"{getattr(side, name):.{digits}f}" for fit in fits for side in (fit.recorded, fit.synthetic)
        ]
        lines.append(f"| {label} | " + " | ".join(cells) + " |")
    lines += [
        "",
        "| parameter | " + " | ".join(fit.trace for fit in fits) + " |",
        "|---" * (1 + len(fits)) + "|",
    ]
    for field in fields(Parameters):
        cells = [f"{getattr(fit.parameters, field.name):g}" for fit in fits]
        lines.append(f"| `{field.name}` | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def yaml(fits: Sequence[Fit]) -> str:
    """The parameters as a rate of conf/env/*.yaml."""
    lines = []
    for one in fits:
        values = ", ".join(f"{name}: {value:g}" for name, value in asdict(one.parameters).items())
        lines.append(f"{one.trace}: {{kind: cellular, {values}}}")
    return "\n".join(lines)


def draw(fits: Sequence[Fit], path: Path) -> None:
    """A row a trace: a run beside the recording, then distribution and autocorrelation over many runs."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(len(fits), 3, figsize=(13, 2.6 * len(fits)), squeeze=False)
    lags = range(1, 21)
    for row, one in zip(axes, fits, strict=True):
        runs = {
            "recorded": [one.times],
            "synthetic": [
                synthetic(one.parameters, one.duration_ms, seed) for seed in range(1, FIGURE_RUNS + 1)
            ],
        }
        for (name, times), colour in zip(runs.items(), ("black", "tab:orange"), strict=True):
            seconds = [window_counts(t, one.duration_ms, 1_000) * PACKET_BITS / 1e6 for t in times]
            pooled = np.sort(np.concatenate(seconds))
            correlations = [float(np.mean([autocorrelation(s, lag) for s in seconds])) for lag in lags]
            row[0].plot(np.arange(len(seconds[0])), seconds[0], color=colour, linewidth=1, label=name)
            row[1].plot(pooled, np.linspace(0, 1, len(pooled)), color=colour)
            row[2].plot(lags, correlations, color=colour)
        row[0].set(title=f"{one.trace}, first half", xlabel="s", ylabel="Mbps in 1 s")
        row[1].set(title="distribution of seconds", xlabel="Mbps in 1 s", ylabel="share below")
        row[2].set(title="autocorrelation", xlabel="lag, s", ylim=(-0.6, 1))
        row[2].axhline(0, color="grey", linewidth=0.5)
    axes[0][0].legend(frameon=False)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=80, metadata={"Software": ""})
    plt.close(figure)


def write_page(text: str) -> None:
    """Renews the table of docs/cellular.md."""
    page = PAGE.read_text(encoding="utf-8")
    before, rest = page.split(TABLE_BEGIN)
    _, after = rest.split(TABLE_END)
    PAGE.write_text(f"{before}{TABLE_BEGIN}\n{text}\n{TABLE_END}{after}", encoding="utf-8")


TRACES = (
    "Verizon-LTE-short.up",
    "Verizon-LTE-short.down",
    "TMobile-UMTS-driving.up",
    "TMobile-UMTS-driving.down",
)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m pantheon.cellular_fit",
        description="Fit the synthetic cellular process to recorded traces.",
    )
    shared = Path(os.environ.get("MVFSTRL_SHARED", PROJECT / ".." / "shared"))
    parser.add_argument(
        "--traces", type=Path, default=shared / "traces", help="their folder (default: %(default)s)"
    )
    parser.add_argument("--write", action="store_true", help="renew the table and the figure under docs/")
    parser.add_argument("recordings", nargs="*", help="of that folder; default: those of lte and umts")
    options = parser.parse_args(arguments)
    if options.write and options.recordings:
        parser.error("--write is for lte and umts alone")
    try:
        fits = [fit_trace(options.traces / name) for name in options.recordings or TRACES]
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(table(fits))
    print()
    print(yaml(fits))
    if options.write:
        write_page(table(fits))
        draw(fits, FIGURE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
