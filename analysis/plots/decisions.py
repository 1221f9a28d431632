"""What policies decided in the recorded episodes of tests, with what they saw."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pandas as pd
from matplotlib.colors import LinearSegmentedColormap, to_hex

from analysis.configurations import AGENT, Configuration
from analysis.study import Study, StudyError
from pantheon.report.scenario_figures import effect_of

CHOICES = "actions.choices"
# From the strongest decrease to the strongest increase; both ends are told apart by colour-blind readers.
EFFECTS = LinearSegmentedColormap.from_list(
    "effects", ["#B35806", "#F1A340", "#F7F7F7", "#67A9CF", "#2166AC"]
)


def taken(study: Study) -> pd.DataFrame:
    """The decisions of the runs' own agents in recorded episodes, window by window, with what was known when
    each was made: `rtt_inflation` and `window` are those of the window before, whose end the policy saw.

    Inflation is the round-trip time over the propagation delay both ways. The series holds the bottleneck's
    delay, the results what of a packet's delay is propagation; the way back is taken to be as long and empty.
    """
    if study.series.empty:
        raise StudyError("no run has recorded episodes (series.parquet; test.series_runs=1 records one)")
    agents = dict(zip(study.runs["run"], study.runs[AGENT].astype(object), strict=True))
    series = study.series[study.series["flow"] == 0]
    own = series["run"].astype(object).map(agents) == series["scheme"].astype(object)
    names = ["run", "scheme", "scenario", "seed"]
    series = series[own].astype(dict.fromkeys(names[:3], object))
    series = series.sort_values("time_ms", kind="stable").sort_values(["run", "seed"], kind="stable")
    results = study.results[study.results["flow"] == 0].astype(dict.fromkeys(names[:3], object))
    propagation = (results["delay_mean_ms"] - results["queue_delay_mean_ms"]).clip(lower=0.0)
    series = series.merge(results[names].assign(round_trip_ms=2.0 * propagation), on=names, how="left")
    before = series.groupby(names)[["queue_delay_ms", "window_packets"]].shift(1)
    series["rtt_inflation"] = 1.0 + before["queue_delay_ms"] / series["round_trip_ms"].where(
        lambda v: v > 0.0
    )
    series["window"] = before["window_packets"]
    decided = series[series["action"] >= 0]
    if decided.empty:
        raise StudyError("no decisions in the recorded episodes: the runs' agents are no policies")
    return decided.reset_index(drop=True)


def choices(study: Study, groups: Sequence[Configuration]) -> list[str]:
    """The names of the actions, by their number; the same for all of the runs."""
    runs = study.runs.set_index("run")
    sets = {str(runs.at[run, CHOICES]): run for group in groups for run in group.runs}
    if len(sets) > 1:
        first, second = list(sets.items())[:2]
        raise StudyError(
            f"runs {first[1]} and {second[1]} cannot be compared: their actions are {first[0]} and "
            f"{second[0]} (choose among them: --where actions.choices=...)"
        )
    return [str(choice) for choice in json.loads(next(iter(sets)))]


def ordered(names: Sequence[str]) -> list[int]:
    """The actions' numbers, from the strongest decrease to the strongest increase."""
    return sorted(range(len(names)), key=lambda index: effect_of(names[index]))


def colours_of(names: Sequence[str]) -> dict[int, str]:
    """By the action's number: what decreases the window is orange, what leaves it grey, what increases it
    blue."""
    order = ordered(names)
    less = [i for i in order if effect_of(names[i]) < 100.0]
    more = [i for i in order if effect_of(names[i]) > 100.0]
    places = dict.fromkeys(order, 0.5)
    places |= {i: 0.32 * k / max(len(less) - 1, 1) for k, i in enumerate(less)}
    places |= {i: 1.0 - 0.32 * k / max(len(more) - 1, 1) for k, i in enumerate(reversed(more))}
    found = {i: to_hex(EFFECTS(place)) for i, place in places.items()}
    return found | {i: "#C9CDD2" for i in order if places[i] == 0.5}
