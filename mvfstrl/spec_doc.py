"""Writes `docs/environment.md` from the native core's spec: `python -m mvfstrl.spec_doc`, or with `--check`
to see whether the committed page is current. Nothing in that page is written by hand."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from mvfstrl._native import default_alternatives, default_config, observation_fields, observation_spec
from mvfstrl.config import measured_delays

PAGE = Path(__file__).resolve().parents[1] / "docs" / "environment.md"

_INTRODUCTION = """\
# What the agent sees, does and is paid for

Made by `python -m mvfstrl.spec_doc` from the native spec (`native/observe`); a test holds it current. It
describes the defaults: `{reward}` reward, windows of {window}, {history} past actions. Checkpoints and
exported policies carry the spec of their own configuration, and one of another spec is refused.

| | |
|---|---|
| spec version | {version} |
| hash | `{hash}` |
| observation | {size} numbers, {dtype} |
| actions | {actions} |
"""

_TIME = """\
## A step

A decision window closes every {window_ms} ms of virtual time (`history.window_kind=count`: after
{window_events} ACK or loss events). The agent is shown the window; its action takes effect
`env.action_delay_ms` later ({action_delay_ms} ms by default) while packets keep flowing. A window that
closes before the answer has taken effect is not shown: it is counted (`skipped`), and its reward is added
to the step that owns the action. A window in which nothing was heard is a step like any other.

`env.action_delay_ms=from:FILE` draws the delays from those of real answers. FILE is Parquet with a row an
answer and a column `{delay_column}` (finite, at least 0); other columns, such as `scheme` and `scenario`, are
not looked at. A real-time test leaves one as `{delay_file}`, and FILE may be its run's folder. It is read
once, when the configuration is composed. Of more than {delay_samples} rows the {delay_samples} quantiles
in the middles of equal shares stand for all, and the run's `config.yaml` has them, as
`{{from: FILE, samples: [...]}}`.

An episode lasts {episode_s} s. It is truncated there, not terminated; a fixed-size transfer that
completes terminates it. Auto-reset is Gymnasium's NEXT_STEP: the step after the last ignores its action
and brings the next episode's first observation, with reward 0.
"""

_OBSERVATION = """\
## The observation

One vector. Element 0 is `no_events`: 1 if no ACK or loss event fell into the window. Then the statistics
of twenty fields, which are sampled at each ACK or loss event: of a level `mean`, `std`, `min`, `max`, of
a counter also the `sum`. Totals of the connection show as what each event added to them. `std` is the
sample deviation, 0 for one event. Times are in units of 100 ms, bytes in units of 1000 bytes, the rate in
1000 bytes / 100 ms; every value is clipped to its bounds. A window without events holds one sample of the
connection at rest: throughput 0, and as delay the time since the last ACK (since the start, if there was
none) beyond the smallest RTT.
"""

_HISTORY = """\
Elements {first} to {last} are the last {history} actions, the latest first: each a one-hot of the action
({actions}), then the congestion window that it left, in 1000 bytes. Names: `{example_action}`,
`{example_window}`. Before the first action they hold `0` at the initial window.
"""

_ACTIONS = """\
## The actions

`actions.choices` lists them; the first is `0`, which keeps the window. `+N` and `-N` add whole packets of
the transport's size, `*F` and `/F` scale, by factors such as 1.1. The result is rounded to a byte and
kept between {min_window_packets} and {max_window_packets} packets (`actions.min_window_packets`,
`actions.max_window_packets`); a connection starts with {initial_window_packets}
(`actions.initial_window_packets`).
"""

_REWARDS = """\
## The rewards

Chosen with `reward=KIND`; formulas and sources are in [rewards.md](rewards.md).
"""


def page() -> str:
    """The page's text."""
    config = default_config()
    spec = observation_spec(config)
    elements = spec["observation"]
    names = [element["name"] for element in elements]
    first = names.index(next(name for name in names if name.startswith("past")))
    shown_actions = ", ".join(f"`{action}`" for action in spec["actions"])
    sections = [
        _INTRODUCTION.format(
            **{**spec, "actions": shown_actions},
            size=len(elements),
            history=config["observation"]["history"],
        ),
        _TIME.format(
            window_ms=_number(config["observation"]["window_ms"]),
            window_events=config["observation"]["window_events"],
            action_delay_ms=_number(config["action_delay"]["ms"]),
            delay_column=measured_delays.COLUMN,
            delay_file=measured_delays.FILE,
            delay_samples=measured_delays.LARGEST,
            episode_s=_number(config["episode_ms"] / 1000),
        ),
        _OBSERVATION,
        _field_table(elements),
        _HISTORY.format(
            first=first,
            last=len(elements) - 1,
            history=config["observation"]["history"],
            actions=shown_actions,
            example_action=names[first + 1],
            example_window=names[first + len(spec["actions"])],
        ),
        _ACTIONS.format(**config["actions"]),
        _REWARDS,
        _reward_table(),
    ]
    return "\n".join(sections)


def _field_table(elements: Sequence[dict[str, Any]]) -> str:
    rows = []
    for field in observation_fields():
        positions = [
            i for i, element in enumerate(elements) if element["name"].startswith(f"{field['name']}.")
        ]
        unit = elements[positions[0]]["unit"]
        rows.append(
            [
                f"{positions[0]}-{positions[-1]}",
                f"`{field['name']}`",
                field["kind"],
                unit,
                f"0 to {_number(field['high'])}",
                field["meaning"],
            ]
        )
    return _table(["elements", "field", "kind", "unit", "bounds", "meaning"], rows)


def _reward_table() -> str:
    rows = []
    for kind, weights in default_alternatives()["reward"].items():
        shown = ", ".join(f"`{name}={_number(value)}`" for name, value in weights.items() if name != "kind")
        rows.append([f"`{kind}`", shown])
    return _table(["kind", "weights and their defaults"], rows)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _number(value: float | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value:g}"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m mvfstrl.spec_doc", description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit 1 if the page is not current"
    )
    check = parser.parse_args(arguments).check
    text = page()
    if not check:
        PAGE.write_text(text, encoding="utf-8")
    elif not PAGE.is_file() or PAGE.read_text(encoding="utf-8") != text:
        print(
            f"{PAGE.name} is not what the native spec says: run python -m mvfstrl.spec_doc", file=sys.stderr
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
