"""Doctor: a project → what works and what does not, each with what to do about it.

It mends nothing, but with `fix` what is safe: it removes what is left over and nobody's.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from gnomon import config as settings
from gnomon.config import Config
from gnomon.define.collect import Collected, collect
from gnomon.errors import GnomonError, counted
from gnomon.flows.checks import clocks, installation, leftovers, places, sources, stores
from gnomon.flows.checks.check import Check, Found, attempt, failed
from gnomon.flows.definitions import load_definitions
from gnomon.flows.project import Project
from gnomon.registry.snapshot import Snapshot
from gnomon.time import Clock, system_clock

Look = Callable[[str, Callable[[], Found]], Check]


def diagnose(root: Path | None, *, fix: bool = False, clock: Clock = system_clock) -> Iterator[Check]:
    """Look at the installation, and at the project in `root` if there is one, from the ground up."""

    def look(name: str, check: Callable[[], Found]) -> Check:
        return attempt(name, check, fix=fix)

    yield Check("python", "ok", f"{platform.python_version()} on {platform.system()} {platform.machine()}")
    yield look("packages", installation.packages)
    yield look("kernel cache", installation.kernel_cache)
    yield look("old kernels", partial(installation.old_kernels, clock))
    if root is None:
        yield Check(
            "project", "warn", "none here or above", "`gnomon init DIR` makes one; --project DIR names one"
        )
        return
    try:
        config = settings.load(root)
    except GnomonError as error:
        yield failed("project", error)
        return
    yield Check("project", "ok", f"`{config.name}` at {root}")
    project = Project(config, clock=clock)
    try:
        yield from _of_project(project, look)
    finally:
        project.close()


def _of_project(project: Project, look: Look) -> Iterator[Check]:
    registry = look("registry", partial(stores.registry, project))
    yield registry
    collected = _loaded(project.config)
    if isinstance(collected, Check):
        yield collected
    else:
        counts = [counted(len(collected.groups), "group"), counted(len(collected.services), "service")]
        yield Check("definitions", "ok", f"{project.config.definitions}: {', '.join(counts)}")
        if registry.level != "error":
            yield look("applied", partial(stores.applied, project, collected))
    # Without a registry that can be read, nothing is known of it: as if it were empty.
    snapshot = Snapshot() if registry.level == "error" else project.registry.snapshot()
    groups = snapshot.groups() or (() if isinstance(collected, Check) else collected.groups)
    for group in groups:
        yield look(f"source of {group.ref}", partial(sources.source, project, snapshot, group))
    offline = look("offline store", partial(stores.offline, project))
    yield offline
    online = look("online store", partial(stores.online, project))
    yield online
    yield look("clock", partial(clocks.own_clock, project, snapshot, groups))
    if "error" not in (registry.level, online.level):
        yield look("server clocks", partial(clocks.server_clocks, project))
    yield look("dates", partial(clocks.dates, project, snapshot))
    yield look("disk", partial(places.room, project.config))
    # What is left over is told by what the registry names: without it, everything would seem to be.
    if registry.level != "error":
        if online.level != "error":
            yield look("runs", partial(leftovers.runs, project, snapshot))
            yield look("online tables", partial(leftovers.online_tables, project, snapshot))
            yield look("hot keys", partial(leftovers.leaves, project, snapshot))
        if offline.level != "error":
            yield look("offline tables", partial(leftovers.offline_tables, project, snapshot))
    yield look("files", partial(leftovers.files, project))


def _loaded(config: Config) -> Collected | Check:
    try:
        return collect(load_definitions(config))
    except GnomonError as error:
        return failed("definitions", error)
