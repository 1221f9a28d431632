"""mode=test_local: trained policies as the native core runs them, from the file that a host would be given.

Such a policy is one more thing that drives the observed flow: it plays whole episodes by itself, under a
guard (docs/guard.md), and what comes out is what mode=test would say of the same policy.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from mvfstrl.agents.impala.config import ImpalaConfig
from mvfstrl.config.native_config import native_guard
from mvfstrl.errors import CheckpointError
from pantheon.schemes import Scheme, offered

if TYPE_CHECKING:
    from mvfstrl._native import PolicyModel
    from mvfstrl.config import Config
    from mvfstrl.rundir import RunDirectory

SUFFIX = ".mvfstrl"


@dataclass(frozen=True)
class LocalPolicy:
    """An exported policy and its guard."""

    model: PolicyModel
    path: Path
    guard: dict[str, Any]
    jobs: tuple[int, ...]
    """By the number of a scenario in the test, the index that it had in training, -1 for none."""

    def play(
        self,
        config: dict[str, Any],
        seeds: Sequence[int],
        *,
        job: int,
        threads: int,
        series: bool,
        events: bool,
        progress: Callable[[int], None] | None,
    ) -> list[dict[str, Any]]:
        """The reports of these episodes in the configuration's only scenario, number `job` of the test."""
        from mvfstrl._native import play_local

        def told(episodes: int, decisions: int) -> None:
            if progress is not None:
                progress(decisions // len(seeds))

        return play_local(
            config,
            self.model,
            seeds=list(seeds),
            scenarios=[0] * len(seeds),
            jobs=[self.jobs[job]],
            num_threads=max(threads, 1),
            guard=self.guard,
            record_series=series,
            record_events=events,
            progress=told,
        )


def local(name: str, checkpoint: Path | str, cfg: Config, run: RunDirectory, key: str) -> Scheme:
    """The policy of an exported file, or of a checkpoint, which is exported into the run directory first."""
    from mvfstrl.policy_file import ExportError, load_model

    path = Path(checkpoint)
    if path.suffix != SUFFIX:
        path = _exported(name, path, cfg, run)
    try:
        model = load_model(path, cfg.local.instructions)
        described = json.loads(model.text)
    except (ExportError, ValueError) as error:
        raise CheckpointError(f"{key}: {error}") from error
    if cfg.local.precision not in ("auto", model.precision):
        raise CheckpointError(
            f"local.precision: {path} holds {model.precision}, not {cfg.local.precision}; export it anew "
            "from its checkpoint (checkpoint=RUN)"
        )
    where = f"{key}: {checkpoint}"
    history, actions = offered(name, described["config"], described["spec"], cfg, where)
    trained_on = described["jobs"] if model.network["job_inputs"] else []
    jobs = tuple(trained_on.index(s) if s in trained_on else -1 for s in cfg.env.scenarios)
    policy = LocalPolicy(model, path, native_guard(cfg), jobs)
    identity = hashlib.sha256(path.read_bytes()).hexdigest()
    identity += f" {model.instructions} {json.dumps(policy.guard, sort_keys=True)}"
    return Scheme(name, ImpalaConfig(), policy, identity, history, actions)


def _exported(name: str, checkpoint: Path, cfg: Config, run: RunDirectory) -> Path:
    from mvfstrl import policy_file
    from mvfstrl.policy import load_policy

    precision = "fp32" if cfg.local.precision == "auto" else cfg.local.precision
    path = run.path / (policy_file.NAME if name == cfg.agent.name else f"{name}{SUFFIX}")
    policy_file.write(load_policy(checkpoint), path, cast(Literal["fp32", "bf16"], precision))
    return path
