"""Weights & Biases: online where a key is configured and the server answers in time, else offline with one
line that says why. Offline runs lie in RUN/wandb and go up later with `wandb sync`."""

from __future__ import annotations

import logging
import netrc
import os
import secrets
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pandas as pd

from mvfstrl.config.schema import Config, WandbConfig
from mvfstrl.rundir import RunDirectory

logger = logging.getLogger(__name__)

KEY_HOST = "api.wandb.ai"  # where `wandb login` puts the key of the public server, whatever its present name
FINISH_TIMEOUT_S = 20.0


class WandbTracker:
    def __init__(self, cfg: Config, run: RunDirectory) -> None:
        assert isinstance(cfg.tracker, WandbConfig)
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

    def log(self, metrics: Mapping[str, Any], step: int) -> None:
        # Steps as a metric of their own: wandb's counter refuses to go back, which a resumed run must.
        flat: dict[str, Any] = {"step": step}
        for name, value in metrics.items():
            flat |= (
                {f"{name}/{i}": v for i, v in enumerate(value)} if isinstance(value, list) else {name: value}
            )
        self._run.log(flat)

    def log_figure(self, name: str, image: Path, step: int) -> None:
        self._run.log({"step": step, name: self._wandb.Image(str(image))})

    def log_table(self, name: str, table: pd.DataFrame, step: int) -> None:
        self._run.log({"step": step, name: self._wandb.Table(dataframe=table)})

    def close(self) -> None:
        self._run.finish()

    def _init(self, cfg: Config, run: RunDirectory, mode: str, deadline: float | None) -> Any:
        wandb = self._wandb
        settings = wandb.Settings(console="off", silent=True, finish_timeout=FINISH_TIMEOUT_S)
        if deadline is not None:
            settings.init_timeout = max(deadline - time.monotonic(), 1.0)
        assert isinstance(cfg.tracker, WandbConfig)
        started = wandb.init(
            mode=mode,
            project=cfg.tracker.project,
            entity=cfg.tracker.entity,
            group=cfg.tracker.group,
            tags=cfg.tracker.tags,
            name=run.path.resolve().name,
            id=run_id(run),
            resume="allow",
            dir=str(run.path),
            config=asdict(cfg),
            settings=settings,
        )
        started.define_metric("*", step_metric="step")
        return started


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
        except (OSError, ValueError):
            return
        answered.set()

    thread = threading.Thread(target=probe, daemon=True)
    thread.start()
    thread.join(max(deadline - time.monotonic(), 0.1))
    return answered.is_set()
