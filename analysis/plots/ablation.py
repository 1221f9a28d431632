"""The ablation table: each configuration's scores, and what they differ by from a baseline's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analysis.configurations import Configuration, configurations, near, says
from analysis.plots.drawing import title_of
from analysis.plots.held_out import Unit, difference, held_out, improvement, mean, reward_differences
from analysis.study import Study, StudyError
from mvfstrl.outcome import MINIMIZE, OBJECTIVES
from pantheon.metrics import Interval

METRICS = ("reward", "throughput_mbps", "delay_p95_ms")
_MINUS = "−"


@dataclass(frozen=True)
class Entry:
    """A configuration's score by one metric."""

    value: Interval
    difference: Interval | None
    """From the baseline's; None: this is the baseline."""
    improvement: Interval | None
    """How likely it is better than the baseline, whichever way is better."""
    best: bool

    @property
    def sure(self) -> bool:
        """Whether the difference's interval leaves zero out."""
        return self.difference is not None and self.difference.low * self.difference.high > 0.0


@dataclass(frozen=True)
class AblationTable:
    metrics: list[str]
    baseline: str
    unit: Unit
    scenarios: list[str]
    rows: list[tuple[str, int, list[Entry]]]
    """Configuration, number of its runs, an entry a metric."""

    def markdown(self) -> str:
        """A GitHub table with its legend below."""
        heads = ["configuration", "runs", *self._heads()]
        lines = [_row(heads), _row(["---", "---:", *["---:"] * (len(heads) - 2)])]
        for label, runs, entries in self.rows:
            name = f"{label} (baseline)" if label == self.baseline else label
            cells = [cell for entry in entries for cell in _cells(entry, _markdown)]
            lines.append(_row([name.replace("|", "\\|"), str(runs), *cells]))
        return "\n".join([*lines, "", self._legend(), ""])

    def latex(self) -> str:
        """A table for LaTeX with booktabs (and \\pm in text mode)."""
        columns = "lr" + "r@{ }r@{ }r" * len(self.metrics)
        heads = [f"\\multicolumn{{3}}{{c}}{{{_escape(title_of(metric))}}}" for metric in self.metrics]
        rules = [f"\\cmidrule(lr){{{3 + 3 * i}-{5 + 3 * i}}}" for i in range(len(self.metrics))]
        second = ["configuration", "runs", *["mean", "difference", "$P$(better)"] * len(self.metrics)]
        lines = [
            "% \\usepackage{booktabs}",
            f"\\begin{{tabular}}{{{columns}}}",
            "\\toprule",
            " & ".join(["", "", *heads]) + " \\\\",
            "".join(rules),
            " & ".join(second) + " \\\\",
            "\\midrule",
        ]
        for label, runs, entries in self.rows:
            name = f"{label} (baseline)" if label == self.baseline else label
            cells = [cell for entry in entries for cell in _cells(entry, _latex)]
            lines.append(" & ".join([_escape(name), str(runs), *cells]) + " \\\\")
        return "\n".join([*lines, "\\bottomrule", "\\end{tabular}", f"% {self._legend()}", ""])

    def _heads(self) -> list[str]:
        return [head for metric in self.metrics for head in (title_of(metric), "difference", "P(better)")]

    def _legend(self) -> str:
        many = len(self.scenarios) > 4
        played = f"{len(self.scenarios)} scenarios" if many else ", ".join(self.scenarios)
        return (
            f"Held-out episodes of {played}; every scenario weighs the same. ± is half of the 95 % "
            f"bootstrap interval over {self.unit}, brackets are such intervals. Differences are from "
            f"{self.baseline}; bold: the interval leaves zero out. P(better): how likely one of its "
            f"{self.unit} is better than one of the baseline's."
        )


def ablation(
    study: Study,
    metrics: Sequence[str] | None = None,
    *,
    by: Sequence[str] | None = None,
    baseline: str | None = None,
    scenarios: Sequence[str] | None = None,
) -> AblationTable:
    """Mean, difference from the baseline and probability of improvement of every configuration, by metric
    (None: `METRICS`, without the reward where runs were rewarded differently).
    `baseline` is a configuration's label, or what only one label holds; default: the first."""
    groups = configurations(study, by)
    if len(groups) < 2:
        raise StudyError("nothing to compare: all runs have one configuration (--by KEY groups them)")
    metrics = _comparable(study, metrics)
    first = _named(groups, baseline) if baseline is not None else groups[0].label
    columns = [_column(study, groups, metric, first, scenarios) for metric in metrics]
    held = held_out(study, groups, metrics[0], scenarios)
    rows = [
        (label, held.runs[label], [column[label] for column in columns])
        for label in sorted(held.scores, key=lambda label: label != first)
    ]
    return AblationTable(list(metrics), first, held.unit, held.scenarios, rows)


def _comparable(study: Study, asked: Sequence[str] | None) -> list[str]:
    """The metrics; a reward is none where it is computed in several ways."""
    differ = reward_differences(study)
    if asked is None:
        return [metric for metric in METRICS if metric != "reward" or not differ]
    if differ and "reward" in asked:
        raise StudyError(f"reward: no common measure, the runs differ in {', '.join(differ)}")
    return list(asked)


def _named(groups: Sequence[Configuration], wanted: str) -> str:
    labels = [group.label for group in groups]
    if wanted in labels:
        return wanted
    key, equals, value = wanted.partition("=")
    holding = [
        group.label
        for group in groups
        if (equals and any(k.endswith(key) and says(v) == value for k, v in group.values.items()))
        or (not equals and wanted in group.label)
    ]
    if len(holding) == 1:
        return holding[0]
    if holding:
        raise StudyError(f"baseline {wanted}: which of {'; '.join(holding)}?")
    raise StudyError(f"baseline {wanted}: no such configuration{near(wanted, labels)}")


def _column(
    study: Study, groups: Sequence[Configuration], metric: str, baseline: str, scenarios: Sequence[str] | None
) -> dict[str, Entry]:
    """The entry of each configuration that has results."""
    scores = held_out(study, groups, metric, scenarios).scores
    if baseline not in scores:
        raise StudyError(f"baseline {baseline}: none of its runs has results")
    smaller = OBJECTIVES.get(metric) == MINIMIZE
    means = {label: matrix.mean() for label, matrix in scores.items()}
    best = (min if smaller else max)(means.values())
    sign = -1.0 if smaller else 1.0
    found = {}
    for label, matrix in scores.items():
        own = label == baseline
        found[label] = Entry(
            mean(matrix),
            None if own else difference(matrix, scores[baseline]),
            None if own else improvement(sign * matrix, sign * scores[baseline]),
            bool(means[label] == best),
        )
    return found


def _digits(*values: float) -> int:
    """As many decimals as show three digits of the smallest width that is not zero."""
    widths = [abs(value) for value in values if value]
    return int(np.clip(2 - np.floor(np.log10(min(widths))), 0, 6)) if widths else 3


def _cells(entry: Entry, style: _Style) -> list[str]:
    value = entry.value
    half = (value.high - value.low) / 2.0
    digits = max(_digits(half) - 1, 0) if half else _digits(value.mean)
    text = style.number(value.mean, digits) + (style.plus_minus + f"{half:.{digits}f}" if half else "")
    cells = [style.bold(text) if entry.best else text]
    if entry.difference is None or entry.improvement is None:
        return [*cells, style.dash, style.dash]
    apart, better = entry.difference, entry.improvement
    digits = max(_digits(apart.high - apart.low) - 1, 0)
    text = style.number(apart.mean, digits, sign=True) + " " + style.bounds(apart, digits)
    return [*cells, style.bold(text) if entry.sure else text, f"{better.mean:.2f} {style.bounds(better, 2)}"]


@dataclass(frozen=True)
class _Style:
    minus: str
    plus_minus: str
    dash: str
    strong: tuple[str, str]

    def number(self, value: float, digits: int, *, sign: bool = False) -> str:
        text = f"{value:+.{digits}f}" if sign else f"{value:.{digits}f}"
        if float(text) == 0.0:
            text = text.lstrip("+-")
        return text.replace("-", self.minus)

    def bounds(self, interval: Interval, digits: int) -> str:
        return f"[{self.number(interval.low, digits)}, {self.number(interval.high, digits)}]"

    def bold(self, text: str) -> str:
        return text.join(self.strong)


_markdown = _Style(_MINUS, " ± ", "–", ("**", "**"))
_latex = _Style("$-$", " $\\pm$ ", "--", ("\\textbf{", "}"))


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _escape(text: str) -> str:
    for letter in "&%$#_{}":
        text = text.replace(letter, f"\\{letter}")
    return text
