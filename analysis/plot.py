"""Draws a figure, or writes a table, of finished runs.

    python -m analysis.plot KIND RUNS... -o FILE [options]

RUNS are folders of runs or sweeps, folders of those, or whatever else `python -m analysis.load` takes. Runs
that differ in their seed alone are repetitions of one configuration. The suffix of FILE chooses the form:
pdf, svg or png of a figure, md or tex of a table. `python -m analysis.plot KIND --help` tells the options.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from analysis import plots
from analysis.configurations import known_key, near, plain, says
from analysis.load import Study, StudyError, load
from mvfstrl.errors import MvfstrlError
from mvfstrl.files import write_whole
from pantheon.report.album import PNG_DPI, SETTINGS

FIGURES = (".pdf", ".svg", ".png")
TABLES = (".md", ".tex")
_SHOWN_PROBLEMS = 5


@dataclass(frozen=True)
class Kind:
    """What can be asked for: the function's keywords, and what it needs of the runs."""

    draw: Callable[..., Figure | plots.AblationTable]
    help: str
    example: str
    options: Callable[[argparse.ArgumentParser], None]
    metrics: bool = False
    results: bool = True
    series: bool = False
    suffixes: tuple[str, ...] = FIGURES


def _curves(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--metric", default="episode_return", help="a column of metrics.jsonl (%(default)s)")
    parser.add_argument(
        "--x", choices=("step", "time"), default="step", help="along steps, or time in training (%(default)s)"
    )
    parser.add_argument(
        "--statistic", choices=("mean", "iqm", "median"), default="mean", help="over runs (%(default)s)"
    )
    parser.add_argument("--points", type=_positive, default=60, help="places of a curve (%(default)s)")
    parser.add_argument("--seeds", action="store_true", help="draw each run as a thin line, too")


def _frontier(parser: argparse.ArgumentParser) -> None:
    _scenarios(parser)
    _schemes(parser)
    parser.add_argument("--delay", default="delay_p95_ms", help="a delay of the results (%(default)s)")
    parser.add_argument("--throughput", default="throughput_mbps", help="or utilisation (%(default)s)")


def _sensitivity(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--metric",
        default="objective",
        help="a column of the results, or the run's %(default)s (the default)",
    )
    parser.add_argument(
        "--parameter",
        action="append",
        dest="parameters",
        metavar="KEY",
        help="this one alone; may be repeated (default: all that differ)",
    )


def _actions(parser: argparse.ArgumentParser) -> None:
    _scenarios(parser)
    parser.add_argument("--per", choices=("run", "scenario", "training"), default="run", help="(%(default)s)")


def _heatmap(parser: argparse.ArgumentParser) -> None:
    _scenarios(parser)
    parser.add_argument("--action", help="the share of this action, instead of the mean change of the window")
    parser.add_argument("--cells", type=_positive, default=14, help="cells a side (%(default)s)")


def _reward(parser: argparse.ArgumentParser) -> None:
    _scenarios(parser)
    _schemes(parser)


def _ablation(parser: argparse.ArgumentParser) -> None:
    _scenarios(parser)
    parser.add_argument(
        "--metric",
        action="append",
        dest="metrics",
        metavar="METRIC",
        help="a column of the results; may be repeated (reward, where it is the same in all,"
        " throughput_mbps, delay_p95_ms)",
    )
    parser.add_argument("--baseline", help="the configuration to compare with: a label, or KEY=VALUE")


def _scenarios(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--scenario",
        action="append",
        dest="scenarios",
        metavar="NAME",
        help="this one alone; may be repeated (default: all)",
    )


def _schemes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--schemes",
        metavar="NAMES",
        help="classic schemes to show: names with commas, or `none` (default: all)",
    )


KINDS: dict[str, Kind] = {
    "curves": Kind(
        plots.curves,
        "learning curves, seeds aggregated by configuration",
        "curves outputs/sweep --metric episode_return --by agent.loss.discount -o curves.pdf",
        _curves,
        metrics=True,
        results=False,
    ),
    "frontier": Kind(
        plots.frontier,
        "throughput against delay, the Pareto front of the configurations, classic schemes",
        "frontier outputs/sweep --by reward.delay_factor --schemes cubic,bbr -o frontier.pdf",
        _frontier,
    ),
    "importance": Kind(
        plots.importance,
        "how much of the objective's variance each parameter explains",
        "importance outputs/sweep --metric reward -o importance.svg",
        _sensitivity,
    ),
    "slices": Kind(
        plots.slices,
        "the objective over each parameter",
        "slices outputs/sweep --parameter learning_rate --parameter discount -o slices.pdf",
        _sensitivity,
    ),
    "actions": Kind(
        plots.actions,
        "how often each action is taken: by configuration, by scenario or over training",
        "actions outputs/sweep --per scenario -o actions.pdf",
        _actions,
        metrics=True,
        series=True,
    ),
    "heatmap": Kind(
        plots.heatmap,
        "what the policy does to its window, over RTT inflation and window",
        "heatmap outputs/run --scenario lte -o heatmap.pdf",
        _heatmap,
        series=True,
    ),
    "reward": Kind(
        plots.reward,
        "what rewards are made of: throughput, delay, loss",
        "reward outputs/sweep --schemes cubic,bbr -o reward.pdf",
        _reward,
    ),
    "ablation": Kind(
        plots.ablation,
        "a table: each configuration's scores and its difference from a baseline",
        "ablation outputs/sweep --baseline history.length=20 -o ablation.tex",
        _ablation,
        suffixes=TABLES,
    ),
}
_COMMON = ("kind", "runs", "output", "where", "by", "schemes", "height", "width")


def main(arguments: Sequence[str]) -> int:
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    logging.getLogger("fontTools").setLevel(logging.WARNING)
    options = _parse(arguments)
    kind = KINDS[options.kind]
    try:
        path = _output(options.output, kind)
        study = load(options.runs, metrics=kind.metrics, results=kind.results, series=kind.series)
        _tell(study)
        study = chosen(study, options.where)
        keywords = {
            name: value for name, value in vars(options).items() if name not in _COMMON and value is not None
        }
        if options.by is not None:
            keywords["by"] = [key for text in options.by for key in text.split(",")]
        if getattr(options, "schemes", None) is not None:
            keywords["schemes"] = [] if options.schemes == "none" else options.schemes.split(",")
        sizes = {name: getattr(options, name) for name in ("width", "height") if getattr(options, name, None)}
        with mpl.rc_context(SETTINGS | {"svg.hashsalt": "mvfst-rl"}):
            save(kind.draw(study, **keywords, **sizes), path)
    except (MvfstrlError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(path)
    return 0


def chosen(study: Study, conditions: Sequence[str]) -> Study:
    """The study's runs that fulfil all of `KEY=VALUE`."""
    keep = study.runs["run"].notna()
    for condition in conditions:
        key, equals, value = condition.partition("=")
        if not equals:
            raise StudyError(f"--where {condition}: not of the form KEY=VALUE")
        column = study.runs[known_key(study, key)]
        told = [says(one) for one in map(plain, column)]
        met = [value in (text, str(one)) for text, one in zip(told, column, strict=True)]
        if not any(met):
            raise StudyError(f"--where {condition}: no run has this value{near(value, dict.fromkeys(told))}")
        keep &= np.array(met)
    if not keep.any():
        raise StudyError(f"--where {' '.join(conditions)}: no run has all of these values")
    names = set(study.runs.loc[keep, "run"])
    frames = {name: getattr(study, name) for name in ("metrics", "results", "series")}
    return replace(
        study,
        runs=study.runs[keep].reset_index(drop=True),
        **{name: frame[frame["run"].isin(names)] for name, frame in frames.items()},
    )


def save(made: Figure | plots.AblationTable, path: Path) -> None:
    """In the form that the suffix names; the same runs give the same bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(made, plots.AblationTable):
        text = made.markdown() if path.suffix == ".md" else made.latex()
        write_whole(path, text.encode())
        return
    dates = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}
    made.savefig(path, dpi=PNG_DPI, facecolor="white", metadata=dates.get(path.suffix))


def _output(path: Path, kind: Kind) -> Path:
    if path.suffix not in kind.suffixes:
        *most, last = kind.suffixes
        raise StudyError(f"-o {path}: its suffix has to be {', '.join(most)} or {last}")
    return path


def _tell(study: Study) -> None:
    """What could not be loaded, on standard error."""
    problems = list(zip(study.problems["folder"], study.problems["what"], strict=True))
    for folder, what in problems[:_SHOWN_PROBLEMS]:
        print(f"{folder}: {what}", file=sys.stderr)
    if len(problems) > _SHOWN_PROBLEMS:
        print(f"... and {len(problems) - _SHOWN_PROBLEMS} more problems", file=sys.stderr)


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="python -m analysis.plot", description=__doc__, formatter_class=raw)
    kinds = parser.add_subparsers(dest="kind", metavar="KIND", required=True)
    for name, kind in KINDS.items():
        example = f"example:\n  python -m analysis.plot {kind.example}"
        one = kinds.add_parser(
            name, help=kind.help, description=kind.help, epilog=example, formatter_class=raw
        )
        one.add_argument("runs", nargs="+", metavar="RUNS", help="folders of runs or sweeps")
        form = " or ".join(suffix.removeprefix(".") for suffix in kind.suffixes)
        one.add_argument("-o", dest="output", type=Path, required=True, metavar="FILE", help=form)
        one.add_argument(
            "--where",
            action="append",
            default=[],
            metavar="KEY=VALUE",
            help="runs with this value; may be repeated",
        )
        if kind.options is not _sensitivity:
            one.add_argument(
                "--by",
                action="append",
                metavar="KEY",
                help="group runs by this key; may be repeated (default: by all keys that differ)",
            )
        kind.options(one)
        if kind.suffixes == FIGURES:
            one.add_argument("--width", type=float, help="in inches; of a panel where there are several")
            one.add_argument("--height", type=float, help="in inches, likewise")
    options = parser.parse_args(arguments)
    if not hasattr(options, "by"):
        options.by = None
    return options


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not positive")
    return value


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
