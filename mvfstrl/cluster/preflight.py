"""Refuses what hydra/launcher and `cluster` cannot do together, before a run begins."""

from __future__ import annotations

from mvfstrl.errors import ConfigError

LAUNCHER = "SlurmLauncher"


def require_launcher(launcher: str, *, multirun: bool, detach: bool) -> None:
    """`launcher`: the `_target_` of hydra.launcher."""
    ours = launcher.endswith(f".{LAUNCHER}")
    if ours and not multirun:
        raise ConfigError(
            "hydra/launcher: slurm starts jobs with -m only, also for a single run; without it the run would"
            " be on this machine"
        )
    if detach and not ours:
        raise ConfigError("cluster.detach: only SLURM's jobs can be left alone; add hydra/launcher=slurm")
