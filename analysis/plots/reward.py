"""What rewards are made of: terms for throughput, delay and loss, as the environment itself summed them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.configurations import configurations
from analysis.plots.drawing import footnote, legend_below
from analysis.plots.frontier import classic_rows
from analysis.plots.held_out import REWARD_KIND, agent_rows, held_out, reward_differences
from analysis.study import Study, StudyError
from pantheon.report.album import INK, panels
from pantheon.results import REWARD_TERMS

_COLOURS = {"reward_throughput": "#0072B2", "reward_delay": "#E69F00", "reward_loss": "#CC79A7"}


@dataclass(frozen=True)
class Made:
    """A bar: means over scenarios of a configuration or scheme."""

    name: str
    terms: dict[str, float]
    reward: float


def reward(
    study: Study,
    *,
    by: Sequence[str] | None = None,
    scenarios: Sequence[str] | None = None,
    schemes: Sequence[str] | None = None,
    width: float = 5.2,
    height: float | None = None,
) -> Figure:
    """A bar a configuration or classic scheme: its reward's terms a window, those that pay to the right,
    those that cost to the left, and a mark at their sum."""
    made = decomposition(study, by=by, scenarios=scenarios, schemes=schemes)
    figure, (axis,) = panels(width=width, height=height or 1.3 + 0.3 * len(made))
    ends = np.zeros((2, len(made)))  # how far each bar has come below and above zero
    for term in REWARD_TERMS:
        values = np.array([one.terms[term] for one in made])
        side = (values > 0.0).astype(int)
        starts = ends[side, range(len(made))]
        name = term.removeprefix("reward_")
        axis.barh(range(len(made)), values, left=starts, height=0.66, color=_COLOURS[term], label=name)
        ends[side, range(len(made))] += values
    sums = [one.reward for one in made]
    axis.plot(sums, range(len(made)), "D", color=INK, markersize=5, markeredgecolor="white", label="reward")
    axis.axvline(0.0, color=INK, linewidth=0.8)
    axis.set_yticks(range(len(made)), [one.name for one in made])
    axis.set_ylim(len(made) - 0.4, -0.6)
    axis.tick_params(axis="y", length=0)
    axis.grid(axis="y", visible=False)
    axis.set_xlabel(f"reward a window ({study.runs[REWARD_KIND].iloc[0]})")
    footnote(axis, "means over held-out episodes; every scenario weighs the same")
    legend_below(figure, axis)
    return figure


def decomposition(
    study: Study,
    *,
    by: Sequence[str] | None = None,
    scenarios: Sequence[str] | None = None,
    schemes: Sequence[str] | None = None,
) -> list[Made]:
    """What `reward` draws, configurations first."""
    _require_one_reward(study)
    groups = configurations(study, by)
    rows = agent_rows(study, scenarios)
    _require_terms(rows)
    names = held_out(study, groups, "reward", scenarios).scenarios
    tables = [(group.label, rows[rows["run"].isin(group.runs)]) for group in groups]
    tables += classic_rows(study, names, schemes, ("reward",))
    return [_made(name, table) for name, table in tables if len(table)]


def _made(name: str, table: pd.DataFrame) -> Made:
    columns = [*REWARD_TERMS, "reward"]
    means = table.groupby("scenario", observed=True)[columns].mean().mean()
    if table["reward_throughput"].isna().any():
        raise StudyError(f"{name}: its rewards were recorded without their terms; test it again")
    return Made(name, {term: float(means[term]) for term in REWARD_TERMS}, float(means["reward"]))


def _require_one_reward(study: Study) -> None:
    """That all runs were paid alike: the same formula and weights."""
    for key in reward_differences(study):
        values = study.runs[key].astype(object).map(str)
        first, second = values.drop_duplicates().index[:2]
        runs = " and ".join(study.runs["run"][[first, second]])
        raise StudyError(
            f"runs {runs} cannot be compared: {key} is {values[first]} in one and {values[second]} in "
            f"the other (choose: --where {key}={values[first]})"
        )


def _require_terms(rows: pd.DataFrame) -> None:
    if rows["reward_throughput"].isna().all():
        raise StudyError("these results are older than the record of the reward's terms; test the runs again")
    apart = (rows[list(REWARD_TERMS)].sum(axis=1) - rows["reward"]).abs()
    odd = apart[apart > 1e-6 * rows["reward"].abs().clip(lower=1.0)]
    if len(odd):
        row = rows.loc[odd.index[0]]
        raise StudyError(
            f"run {row['run']}, episode {row['seed']} of {row['scenario']}: the reward's terms add up to "
            f"{row[list(REWARD_TERMS)].sum():g}, and the reward is {row['reward']:g}"
        )
