"""Weights & Biases: online where a key is configured and the server answers in time, else offline with one
line that says why. Offline runs lie in RUN/wandb and go up later with `wandb sync`.

A run that is started again goes on under its id, from its newest checkpoint. So that wandb shows each row
once, the tracker sends a row when a checkpoint covers it: later rows would be made again. And before its
first row it sends those of the run's own record that wandb did not get, because the program was killed.
"""

from __future__ import annotations

import http.client
import json
import logging
import netrc
import os
import secrets
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pandas as pd

from mvfstrl.config.schema import Config, WandbConfig
from mvfstrl.metrics import read_metrics
from mvfstrl.outcome import FILE
from mvfstrl.rundir import RunDirectory
from mvfstrl.trackers.base import newest_checkpoint
from mvfstrl.trackers.wandb_files import logged_before

logger = logging.getLogger(__name__)

KEY_HOST = "api.wandb.ai"  # where `wandb login` puts the key of the public server, whatever its present name
FINISH_TIMEOUT_S = 20.0
LONGEST_TAG = 64  # wandb refuses longer ones


class WandbTracker:
    """`after`: the step of the checkpoint that a training resumes from; -1: a fresh start, or no training."""

    def __init__(self, cfg: Config, run: RunDirectory, *, after: int = -1) -> None:
        assert isinstance(cfg.tracker, WandbConfig)
        self._folder = run.path
        self._held: list[dict[str, Any]] = []
        # Its crash reporting would hold up the program's end while a server hangs.
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        import wandb

        self._wandb = wandb
        logging.getLogger("wandb").setLevel(logging.WARNING)  # it tells its whole life on the root logger
        deadline = time.monotonic() + cfg.tracker.timeout_s
        server = str(wandb.setup(settings=wandb.Settings(silent=True)).settings.base_url)
        reason = offline_reason(server, deadline)
        if reason is None:
            try:
                self._run = self._init(cfg, run, "online", deadline)
            except Exception as error:  # noqa: BLE001  wandb raises half a dozen kinds for keys and networks
                wandb.teardown()  # else its service still holds the run's id
                reason = f"the server refused or did not answer in time ({str(error).splitlines()[0]})"
        if reason is not None:
            logger.warning("wandb: offline, %s", reason)
            self._run = self._init(cfg, run, "offline", None)
        latest, count = logged_before(run.path / "wandb", run_id(run))
        # Left to itself wandb numbers the rows of every offline start from 0, and `wandb sync` sends them so.
        self._count = max(count, self._run.step)
        self._make_up(after, latest)

    def log(self, metrics: Mapping[str, Any], step: int) -> None:
        # Steps as a metric of their own: wandb's counter counts rows.
        flat: dict[str, Any] = {"step": step}
        for name, value in metrics.items():
            flat |= (
                {f"{name}/{i}": v for i, v in enumerate(value)} if isinstance(value, list) else {name: value}
            )
        self._held.append(flat)
        self._send()

    def log_figure(self, name: str, image: Path, step: int) -> None:
        self._put({"step": step, name: self._wandb.Image(str(image))})

    def log_table(self, name: str, table: pd.DataFrame, step: int) -> None:
        self._put({"step": step, name: self._wandb.Table(dataframe=table)})

    def log_artifact(self, kind: str, files: Sequence[Path], step: int) -> None:
        """A new version of the run's `kind`; its alias `step-N` says of which moment."""
        artifact = self._wandb.Artifact(
            f"{kind}-{self._run.id}", type=kind, metadata={"step": step, "run": self._folder.resolve().name}
        )
        for file in files:
            artifact.add_file(str(file), policy="immutable")  # the run directory keeps it: no second copy
        self._run.log_artifact(artifact, aliases=["latest", f"step-{step}"])

    def close(self) -> None:
        self._send()
        self._run.finish()

    def _send(self) -> None:
        """The rows that no later start will make again."""
        kept = newest_checkpoint(self._folder / "checkpoints")
        covered = -1 if kept is None else kept[1]
        while self._held and self._held[0]["step"] <= covered:
            self._put(self._held.pop(0))

    def _put(self, row: dict[str, Any]) -> None:
        self._run.log(row, step=self._count, commit=True)
        self._count += 1

    def _make_up(self, after: int, known: int) -> None:
        """Sends what an earlier start recorded in the run directory, and wandb, which knows the rows up to
        `known` from files here, did not get."""
        if after < 0:
            return
        told = self._run.summary.get("step")  # what a server knows
        if isinstance(told, int | float):
            known = max(known, int(told))
        for row in read_metrics(self._folder / "metrics.jsonl"):
            if known < row["step"] <= after:
                self.log({name: value for name, value in row.items() if name != "step"}, row["step"])

    def _init(self, cfg: Config, run: RunDirectory, mode: str, deadline: float | None) -> Any:
        wandb = self._wandb
        settings = wandb.Settings(console="off", silent=True, finish_timeout=FINISH_TIMEOUT_S)
        if deadline is not None:
            settings.init_timeout = max(deadline - time.monotonic(), 1.0)
        assert isinstance(cfg.tracker, WandbConfig)
        sweep = sweep_of(run.path)
        started = wandb.init(
            mode=mode,
            project=cfg.tracker.project,
            entity=cfg.tracker.entity,
            group=cfg.tracker.group or (sweep[0] if sweep else None),
            tags=tags_of(cfg, sweep[1] if sweep else None),
            name=run.path.resolve().name,
            id=run_id(run),
            resume="allow",
            dir=str(run.path),
            config=asdict(cfg),
            settings=settings,
        )
        started.define_metric("*", step_metric="step")
        return started


def sweep_of(folder: Path) -> tuple[str, int] | None:
    """The name of the sweep's folder that a run lies in, and the run's number there; None of a single run."""
    try:
        number = json.loads((folder / FILE).read_text(encoding="utf-8"))["sweep"]["number"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if number is None:
        return None
    above = folder.resolve().parents
    records = ("sweep.json", "multirun.yaml")
    sweep = next((parent for parent in above if any((parent / name).exists() for name in records)), above[0])
    return sweep.name, int(number)


def tags_of(cfg: Config, number: int | None) -> list[str]:
    """The configured ones, then agent, scenarios and the number in a sweep."""
    assert isinstance(cfg.tracker, WandbConfig)
    own = [cfg.agent.name, *cfg.env.scenarios, *([] if number is None else [f"run-{number}"])]
    return list(dict.fromkeys(tag[:LONGEST_TAG] for tag in (*cfg.tracker.tags, *own)))


def run_id(run: RunDirectory) -> str:
    """The run directory's wandb id: a resumed run continues under it."""
    file = run.path / "wandb_id"
    if not file.exists():
        file.write_text(secrets.token_hex(4) + "\n")
    return file.read_text().strip()


def offline_reason(server: str, deadline: float) -> str | None:
    """Why the run must stay offline; None when nothing stands against trying online."""
    mode = os.environ.get("WANDB_MODE", "online")
    if mode != "online":
        return f"as WANDB_MODE={mode} asks"
    if not key_configured(server):
        return "no key is configured (wandb login, or WANDB_API_KEY)"
    if not _answers(server, deadline):
        return f"{server} does not answer"
    return None


def key_configured(server: str) -> bool:
    if os.environ.get("WANDB_API_KEY"):
        return True
    file = Path(os.environ.get("NETRC", "~/.netrc")).expanduser()
    try:
        keys = netrc.netrc(file)
    except (OSError, netrc.NetrcParseError):
        return False
    return any(keys.authenticators(host) is not None for host in (urlsplit(server).netloc, KEY_HOST))


def _answers(server: str, deadline: float) -> bool:
    """Whether any HTTP answer comes in time. On a thread, because name look-ups know no time limit."""
    answered = threading.Event()

    def probe() -> None:
        try:
            urllib.request.urlopen(server, timeout=max(deadline - time.monotonic(), 0.1)).close()
        except urllib.error.HTTPError:
            pass  # an answer
        except (OSError, ValueError, http.client.HTTPException):
            return
        answered.set()

    thread = threading.Thread(target=probe, daemon=True)
    thread.start()
    thread.join(max(deadline - time.monotonic(), 0.1))
    return answered.is_set()
