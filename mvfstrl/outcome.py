"""outcome.json: how a run stands or ended, what it scored, what went wrong. docs/outputs.md has its form.

A run that was killed hard cannot say so: "running" means running or lost.
"""

from __future__ import annotations

import json
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from mvfstrl.errors import MvfstrlError
from mvfstrl.files import write_whole

FILE = "outcome.json"

MAXIMIZE, MINIMIZE = "maximize", "minimize"
OBJECTIVES: dict[str, str] = {
    "reward": MAXIMIZE,
    "score": MAXIMIZE,
    "throughput_mbps": MAXIMIZE,
    "utilisation": MAXIMIZE,
    "delay_mean_ms": MINIMIZE,
    "delay_p95_ms": MINIMIZE,
    "queue_delay_mean_ms": MINIMIZE,
    "queue_delay_p95_ms": MINIMIZE,
    "loss": MINIMIZE,
    "queue_loss": MINIMIZE,
    "episode_return": MAXIMIZE,
}
"""What `objective` may name, and which way is better. All but `episode_return`, which is the training's own,
are of the agent under test in held-out episodes: means over the scenarios, each weighing the same."""

TRAINING_OBJECTIVE = "episode_return"


class State(StrEnum):
    running = "running"
    finished = "finished"
    failed = "failed"
    interrupted = "interrupted"
    pruned = "pruned"


class OutcomeError(MvfstrlError):
    """An outcome.json that no run has written."""


@dataclass
class Outcome:
    """Of the latest start in a folder."""

    state: State
    mode: str
    objective: float | list[float] | None = None
    scores: dict[str, float] = field(default_factory=dict)
    error: dict[str, str] | None = None
    """`kind`, `message` and `traceback` of what a failed run met."""
    started_utc: str = ""
    ended_utc: str | None = None
    starts: int = 1
    overrides: list[str] = field(default_factory=list)
    sweep: dict[str, int | None] = field(default_factory=lambda: {"number": None})


def read_outcome(folder: Path) -> Outcome | None:
    """None: the folder has none. Of a failed, torn or foreign file the folder is named."""
    path = folder / FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return Outcome(**content | {"state": State(content["state"])})
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise OutcomeError(f"{path}: not the outcome of a run ({error})") from error


def outcome_of(folder: Path) -> Outcome | None:
    """None too where the file cannot be read: for whoever looks while it may be anything."""
    try:
        return read_outcome(folder)
    except OutcomeError:
        return None


def write_outcome(folder: Path, outcome: Outcome) -> None:
    """Whole or not at all."""
    write_whole(folder / FILE, json.dumps(asdict(outcome), indent=2) + "\n")


def objective_of(names: Sequence[str], scores: Mapping[str, float]) -> float | list[float] | None:
    """What a sweeper is told: one number for one name, several for several, None where one is missing."""
    values = [scores[name] for name in names if name in scores]
    if len(values) < len(names):
        return None
    return values[0] if len(values) == 1 else values


@contextmanager
def recorded(
    folder: Path, mode: str, overrides: Sequence[str] = (), number: int | None = None
) -> Iterator[Outcome]:
    """Says in the folder that a run is on, then how it ended. Whoever runs it fills `objective` and `scores`,
    and sets `state` where the run ends early but well."""
    earlier = outcome_of(folder)
    outcome = Outcome(
        State.running,
        mode,
        started_utc=_now(),
        starts=1 + (0 if earlier is None else earlier.starts),
        overrides=list(overrides),
        sweep={"number": number},
    )
    write_outcome(folder, outcome)
    try:
        yield outcome
    except Exception as error:
        outcome.state = State.failed
        outcome.error = _told(error)
        raise
    except BaseException:  # Ctrl-C, or a batch system that wants to start the run again
        outcome.state = State.interrupted
        raise
    else:
        if outcome.state is State.running:
            outcome.state = State.finished
    finally:
        outcome.ended_utc = _now()
        write_outcome(folder, outcome)


def _told(error: Exception) -> dict[str, str]:
    return {
        "kind": type(error).__name__,
        "message": str(error),
        "traceback": "".join(traceback.format_exception(error)),
    }


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
