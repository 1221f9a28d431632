"""Who gathers experience: simulated environments, and actors that play real connections in real time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mvfstrl.errors import ConfigError

if TYPE_CHECKING:
    from mvfstrl.config.schema import Config


@dataclass
class ActorsConfig:
    """Who gathers experience, and where actors of other hosts join (docs/remote.md)."""

    simulated: int = 64
    """Environments in virtual time, in all."""
    realtime: int = 0
    """Processes on this host, each of which plays one real connection at a time."""
    count: int | None = None
    """So many of the transport's own kind, and none of the other: real-time ones of a real transport."""
    groups: int = 2
    """Sets of simulated environments that take turns: while one waits for its actions the others are
    stepped."""
    threads: int = 0
    """Native worker threads, of each rank; 0: one a core."""
    listen: str | None = None
    """HOST:PORT or unix:FILE where further real-time actors may join; null: nowhere."""
    token_file: str | None = None
    """Holds the token that they show. Like the next two needed wherever other hosts can reach `listen`."""
    tls_cert: str | None = None
    tls_key: str | None = None
    batch: int = 32
    """Real-time actors that are answered at once, at most..."""
    batch_ms: float = 1.0
    """...and how long one waits for the others."""

    @property
    def remote(self) -> bool:
        """Whether any may play in real time."""
        return self.realtime > 0 or self.listen is not None


def counted(cfg: Config) -> ActorsConfig:
    """With `count` spread over `simulated` and `realtime`."""
    actors = cfg.actors
    if actors.count is None:
        return actors
    from dataclasses import replace

    real = cfg.realtime.host != "virtual"
    return replace(
        actors, count=None, simulated=0 if real else actors.count, realtime=actors.count if real else 0
    )


def check_actors(cfg: Config) -> None:
    """Raises ConfigError for the first problem found."""
    given = cfg.actors
    if given.count is not None:
        _need(given.count >= 1, "actors.count", "null or at least 1", given.count)
        if given.realtime:
            raise ConfigError(
                "actors.count: stands for actors.simulated and actors.realtime: give it or these"
            )
    actors = counted(cfg)
    _need(actors.simulated >= 0, "actors.simulated", "0 or more", actors.simulated)
    _need(actors.realtime >= 0, "actors.realtime", "0 or more", actors.realtime)
    _need(actors.groups >= 1, "actors.groups", "at least 1", actors.groups)
    _need(actors.threads >= 0, "actors.threads", "0 (one a core) or more", actors.threads)
    _need(actors.batch >= 1, "actors.batch", "at least 1", actors.batch)
    _need(actors.batch_ms >= 0, "actors.batch_ms", "0 or more", actors.batch_ms)
    key = "actors.simulated" if given.count is None else "actors.count"
    if actors.simulated % actors.groups:
        raise ConfigError(f"{key}: {actors.simulated} do not split into {actors.groups} equal groups")
    if actors.simulated == 0 and not actors.remote:
        raise ConfigError(f"{key}: must be at least 1 where no real-time actors play (actors.realtime)")
    if actors.remote:
        _check_remote(cfg, actors)


def _check_remote(cfg: Config, actors: ActorsConfig) -> None:
    from mvfstrl.rpc.security import Address, SecurityError, ServerSecurity

    key = "actors.listen" if actors.realtime == 0 else "actors.realtime"
    if cfg.realtime.host == "virtual":
        raise ConfigError(
            f"{key}: real-time actors need a real transport; add transport=aioquic or transport=mvfst"
        )
    if cfg.deterministic:
        raise ConfigError(f"{key}: no two real-time episodes are alike; deterministic=true has none")
    if actors.listen is None:
        return
    try:
        ServerSecurity.of(Address(actors.listen), actors.token_file, actors.tls_cert, actors.tls_key)
    except SecurityError as error:
        raise ConfigError(f"actors.listen: {error}") from error
    folder = Address(actors.listen).socket
    if folder is not None and not Path(folder).parent.is_dir():
        raise ConfigError(f"actors.listen: no such folder: {folder.parent}")


def _need(ok: bool, key: str, rule: str, value: object) -> None:
    if not ok:
        raise ConfigError(f"{key}: must be {rule}, got {value!r}")
