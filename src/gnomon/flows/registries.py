"""Registries: the one that gnomon.toml names, with its replica, and a replica for elsewhere."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from gnomon import plugins
from gnomon.abc.registry import RegistryBackend
from gnomon.config import Config
from gnomon.errors import UsageError
from gnomon.registry.backends.copy import SqliteCopy
from gnomon.registry.registry import Registry
from gnomon.registry.replica import Freshness, Replica
from gnomon.time import Clock, system_clock


def open_registry(config: Config, *, clock: Clock = system_clock, author: str = "unknown") -> Registry:
    """The registry of a project, behind its replica if it has one."""
    backend = _primary(config) if config.replica is None else _replica(config, config.replica, clock)
    return Registry(backend, clock=clock, author=author)


def replicate(config: Config, to: str | None = None, *, clock: Clock = system_clock) -> Freshness:
    """Bring the replica of gnomon.toml, or the one in the file `to`, up to date.

    Raises: UsageError if neither is given; Unavailable if the registry cannot be reached.
    """
    chosen = to or config.replica
    if chosen is None:
        raise UsageError(
            "no replica is named",
            at="registry.replica",
            hint="add --to FILE, or a line `replica` under [registry] in gnomon.toml",
        )
    replica = _replica(config, chosen, clock)
    try:
        return replica.replicate()
    finally:
        replica.close()


def freshness(registry: Registry) -> Freshness | None:
    """How old the replica is that stands before a registry; None without one."""
    return registry.backend.freshness() if isinstance(registry.backend, Replica) else None


def _primary(config: Config) -> RegistryBackend:
    backend: RegistryBackend = plugins.resolve("registry", config.registry)(config.registry, root=config.root)
    return backend


def _replica(config: Config, place: str, clock: Clock) -> Replica:
    url = place if "://" in place else f"sqlite:///{Path(place)}"
    return Replica(
        partial(_primary, config),
        plugins.redacted(config.registry),
        SqliteCopy(url, root=config.root),
        clock=clock,
    )
