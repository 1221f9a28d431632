"""Keeps a trained policy: its weights, how it was trained and how it was tested, in a small folder.

    python -m pantheon.publish RUN FOLDER [--tested TEST ...]

RUN is the run directory of a training. FOLDER gets the newest checkpoint without all that only training needs
(the optimiser's state, a deterministic run's actions), the resolved configuration, and a README.md with seed,
steps and, for every folder of a finished test (`mode=test`), the schemes' mean rewards and scores. FOLDER is
then as good as a run directory for `mode=test checkpoint=FOLDER` and `mode=trace checkpoint=FOLDER`. A policy
that was in FOLDER is replaced once the new one is whole; other files there are left alone.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from omegaconf import OmegaConf

from mvfstrl.checkpoint import checkpoints_in, load_checkpoint, save_checkpoint
from mvfstrl.errors import MvfstrlError
from mvfstrl.files import write_whole
from pantheon.results import read_results, summarise
from pantheon.statistics import interval, normalised_scores

KEPT = ("spec", "config", "jobs", "shape", "network", "step", "deterministic")
LEARNT = ("network", "value_scale")


def publish(run: Path, folder: Path, tested: Sequence[Path] = ()) -> Path:
    """Fills `folder` from a training's run directory; returns the checkpoint's file."""
    content = load_checkpoint(run)
    slim = {key: content[key] for key in KEPT}
    slim["learner"] = {key: content["learner"][key] for key in LEARNT}
    page = _head(folder, content)
    for test in tested:
        page += _results(test)
    with _made(folder), TemporaryDirectory(dir=folder, prefix=".new.") as beside:
        whole = Path(beside)
        checkpoint = save_checkpoint(whole, slim, step=content["step"])
        write_whole(
            whole / "config.yaml", OmegaConf.to_yaml(OmegaConf.create(content["config"])), durable=True
        )
        write_whole(whole / "README.md", "\n".join(page) + "\n", durable=True)
        for file in (checkpoint, whole / "config.yaml", whole / "README.md"):
            file.replace(folder / file.name)
    for old in checkpoints_in(folder):
        if old.name != checkpoint.name:
            old.unlink()
    return folder / checkpoint.name


@contextmanager
def _made(folder: Path) -> Iterator[None]:
    """The folder, which goes again if nothing comes of what it is for."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        if not any(folder.iterdir()):
            folder.rmdir()
        raise


def _head(folder: Path, content: dict[str, Any]) -> list[str]:
    config = content["config"]
    weights = sum(tensor.numel() for tensor in content["learner"]["network"].values())
    return [
        f"# Policy `{folder.name}`",
        "",
        f"`python run.py mode=test checkpoint={folder}` tests it; config.yaml is what it learnt with.",
        "",
        f"- {content['step']:,} decisions, seed {config['seed']}, reward `{config['reward']['kind']}`",
        f"- {weights:,} weights; actions {', '.join(config['actions']['choices'])}",
        f"- trained on {', '.join(content['jobs'])}",
    ]


def _results(test: Path) -> list[str]:
    table = read_results(test / "results.parquet")
    observed = table[table["flow"] == 0]
    scored = normalised_scores(table)
    scores = {scheme: interval(values) for scheme, values in scored.scores.items()}
    episodes = int(observed.groupby(["scheme", "scenario"]).size().max())
    scenarios = list(dict.fromkeys(observed["scenario"]))
    lines = [
        "",
        f"## Tested on {', '.join(scenarios) if len(scenarios) < 5 else f'{len(scenarios)} scenarios'}",
        "",
        f"{episodes} episodes each: mean reward a window, and interquartile mean of the normalised score (0:",
        "random actions, 1: the best fixed window of each scenario), with 95 % intervals.",
        "",
        "| scheme | reward | score |",
        "|---|---|---|",
    ]
    overall = [s for s in summarise(table) if s.flow == 0][-len(set(observed["scheme"])) :]
    for summary in sorted(overall, key=lambda s: -s.metrics["reward"].mean):
        reward, score = summary.metrics["reward"], scores.get(summary.scheme)
        cell = f"{score.mean:.3f} [{score.low:.3f}, {score.high:.3f}]" if score else "–"
        lines.append(
            f"| {summary.scheme} | {reward.mean:.3f} [{reward.low:.3f}, {reward.high:.3f}] | {cell} |"
        )
    return lines


def main(arguments: list[str]) -> int:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="python -m pantheon.publish", description=__doc__, formatter_class=raw
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="a training's run directory, or a checkpoint")
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="where it goes, e.g. policies/lte")
    parser.add_argument(
        "--tested", type=Path, nargs="+", default=[], metavar="TEST", help="run directories of mode=test"
    )
    options = parser.parse_args(arguments)
    try:
        print(publish(options.run, options.folder, options.tested))
    except (MvfstrlError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
