"""Doctor: a project → what works and what does not, each with what to do about it. It mends nothing."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

import msgspec

from gnomon import config as settings
from gnomon.config import Config
from gnomon.define.collect import Collected, collect
from gnomon.define.group import FeatureGroup
from gnomon.define.source import FileSource
from gnomon.errors import DataError, GnomonError, counted
from gnomon.flows import apply as applying
from gnomon.flows.definitions import load_definitions
from gnomon.flows.project import Project
from gnomon.kernels import _jit
from gnomon.plan.layout import make_layout
from gnomon.plugins import redacted
from gnomon.registry.snapshot import Snapshot
from gnomon.time import SECOND, Clock, show, show_duration, system_clock
from gnomon.types import dtype_text

Level = Literal["ok", "warn", "error"]

PACKAGES = ("polars", "numba", "numpy", "deltalake", "lmdb", "sqlalchemy", "msgspec", "typer", "rich")
"""What gnomon does not run without."""
OPTIONAL = ("pyarrow", "pandas")

_LOW_DISK, _NO_DISK = 2 << 30, 100 << 20
_TOLERANCE = 2 * SECOND
"""By how much a file may seem newer than now: file systems round their times."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    name: str
    level: Level
    found: str
    hint: str | None = None
    """What to do, if it is not ok."""

    def to_dict(self) -> dict[str, Any]:
        return dict(msgspec.to_builtins(self))


Found = tuple[Level, str, str | None]


def diagnose(root: Path | None, *, clock: Clock = system_clock) -> Iterator[Check]:
    """Look at the installation, and at the project in `root` if there is one, from the ground up."""
    yield Check("python", "ok", f"{platform.python_version()} on {platform.system()} {platform.machine()}")
    yield _attempt("packages", _packages)
    yield _attempt("kernel cache", _kernel_cache)
    if root is None:
        yield Check(
            "project", "warn", "none here or above", "`gnomon init DIR` makes one; --project DIR names one"
        )
        return
    try:
        config = settings.load(root)
    except GnomonError as error:
        yield _failed("project", error)
        return
    yield Check("project", "ok", f"`{config.name}` at {root}")
    project = Project(config, clock=clock)
    try:
        yield from _of_project(project)
    finally:
        project.close()


def _of_project(project: Project) -> Iterator[Check]:
    registry = _attempt("registry", lambda: _registry(project))
    yield registry
    collected = _loaded(project.config)
    if isinstance(collected, Check):
        yield collected
    else:
        counts = [counted(len(collected.groups), "group"), counted(len(collected.services), "service")]
        yield Check("definitions", "ok", f"{project.config.definitions}: {', '.join(counts)}")
        if registry.level != "error":
            yield _attempt("applied", lambda: _applied(project, collected))
    # Without a registry that can be read, nothing is known of it: as if it were empty.
    snapshot = Snapshot() if registry.level == "error" else project.registry.snapshot()
    groups = snapshot.groups() or (() if isinstance(collected, Check) else collected.groups)
    for group in groups:
        yield _attempt(f"source of {group.ref}", partial(_source, project, snapshot, group))
    yield _attempt("offline store", lambda: _offline(project))
    yield _attempt("online store", lambda: _online(project))
    yield _attempt("clock", lambda: _clock(project, snapshot, groups))
    yield _attempt("disk", lambda: _disk(project.root))


def _attempt(name: str, look: Callable[[], Found]) -> Check:
    """One check. Whatever goes wrong in it is what it finds."""
    try:
        level, found, hint = look()
    except GnomonError as error:
        return _failed(name, error)
    except Exception as error:  # noqa: BLE001 — a broken installation fails in ways that nobody foresaw
        return Check(
            name,
            "error",
            f"{type(error).__name__}: {error}",
            "GNOMON_DEBUG=1 and the command itself tell more",
        )
    return Check(name, level, found, hint)


def _failed(name: str, error: GnomonError) -> Check:
    # Its first line: below it may stand a piece of code.
    found = error.what.partition("\n")[0] + (f" - at `{error.at}`" if error.at else "")
    more = len(error.problems) - 1
    return Check(
        name, "error", found + (f" (and {counted(more, 'more problem')})" if more else ""), error.hint
    )


def _packages() -> Found:
    present, missing = [], []
    for package in (*PACKAGES, *OPTIONAL):
        try:
            present.append(f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            missing.append(package)
    needed = [package for package in missing if package in PACKAGES]
    if needed:
        return "error", f"not installed: {', '.join(needed)}", "pip install --force-reinstall gnomon"
    absent = f"; without {', '.join(missing)} (optional)" if missing else ""
    return "ok", ", ".join(present) + absent, None


def _kernel_cache() -> Found:
    folder = _jit.cache_folder()
    if folder is None:
        return (
            "warn",
            "no folder can be written: kernels are compiled again in every process",
            "set GNOMON_CACHE_DIR to a folder of your own",
        )
    files = [path for path in folder.rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in files)
    return (
        "ok",
        f"{folder} ({counted(len(files), 'kernel')}, {_megabytes(size)}, key {_jit.kernel_key()[:12]})",
        None,
    )


def _registry(project: Project) -> Found:
    url = redacted(project.config.registry)
    snapshot = project.registry.snapshot()
    if not snapshot.revision:
        return "warn", f"{url}: empty", "`gnomon apply` registers the definitions"
    return "ok", f"{url}: revision {snapshot.revision} by {snapshot.author}, {show(snapshot.time)}", None


def _loaded(config: Config) -> Collected | Check:
    try:
        return collect(load_definitions(config))
    except GnomonError as error:
        return _failed("definitions", error)


def _applied(project: Project, collected: Collected) -> Found:
    """Whether the registry holds what the definitions say."""
    plan = applying.make_plan(project, [definition for _, _, definition in collected])
    waiting = [c for c in plan.changes if c.action in ("add", "change")]
    if plan.breaking:
        return (
            "error",
            f"in the definitions: {counted(len(plan.breaking), 'breaking change')}",
            "`gnomon plan` tells which",
        )
    if waiting:
        return (
            "warn",
            f"not applied: {counted(len(waiting), 'change')}",
            "`gnomon plan` shows them, `gnomon apply` makes them",
        )
    return "ok", f"the registry holds the definitions (revision {plan.base})", None


def _source(project: Project, snapshot: Snapshot, group: FeatureGroup) -> Found:
    """Whether a group's source can be read, and its columns are those that the group was applied with."""
    schema = applying.source_schema(project, snapshot, group)
    reader = project.reader(group, make_layout(group, schema))
    registered = snapshot.columns(group.name, group.version) if group.ref in snapshot.refs("group") else None
    moved = [
        f"`{name}` is {dtype_text(schema[name])}, was {dtype_text(dtype)}"
        for name, dtype in (registered or {}).items()
        if name in schema and schema[name] != dtype
    ]
    if moved:
        raise DataError(
            f"{reader.describe()}: {'; '.join(moved)}",
            hint="mend the source, or `gnomon plan` to see what it changes",
        )
    parts = reader.parts()
    if not parts:
        return "warn", f"{reader.describe()}: no rows yet", f"`gnomon insert {group.name} FILE`"
    known = [part.size for part in parts if part.size >= 0]
    return "ok", reader.describe() + (f", {_megabytes(sum(known))}" if known else ""), None


def _offline(project: Project) -> Found:
    tables = project.offline.tables()
    return "ok", f"{redacted(project.config.offline)}: {counted(len(tables), 'table')}", None


def _online(project: Project) -> Found:
    url, tables = redacted(project.config.online), project.online.tables()
    if not tables:
        return "warn", f"{url}: empty", "`gnomon materialize` fills it"
    return "ok", f"{url}: {counted(len(tables), 'table')}", None


def _clock(project: Project, snapshot: Snapshot, groups: Sequence[FeatureGroup]) -> Found:
    """Whether the clock goes on, and is not behind what was already written."""
    now = project.clock()
    seen = [("the newest revision", snapshot.time)]
    for group in groups:
        if isinstance(group.source, FileSource):
            seen += _written(project, group)
    what, newest = max(seen, key=lambda item: item[1])
    if project.clock() < now:
        return "error", "the clock went backwards while looking", "let the machine keep its time by NTP"
    if newest > now + _TOLERANCE:
        return (
            "warn",
            f"{show(now)} is {show_duration((newest - now) // SECOND * SECOND)} before {what} was written",
            "set the clock: what is known when, and which rows are kept online, depend on it",
        )
    return "ok", show(now), None


def _written(project: Project, group: FeatureGroup) -> list[tuple[str, int]]:
    """A source's files with the instants at which they were written."""
    try:
        files = [Path(part.name) for part in project.reader(group).parts()]
    except DataError:  # reported by the source's own check
        return []
    return [(f"`{file.name}`", file.stat().st_mtime_ns // 1000) for file in files]


def _disk(root: Path) -> Found:
    free = shutil.disk_usage(root).free
    found = f"{_megabytes(free)} free at {root}"
    if not os.access(root, os.W_OK):
        return "error", f"{root} cannot be written", "the project's folder must belong to who runs gnomon"
    if free < _NO_DISK:
        return "error", found, "make room: a full disk stops every write"
    if free < _LOW_DISK:
        return "warn", found, "make room before it is full"
    return "ok", found, None


def _megabytes(size: int) -> str:
    return f"{size / 1e9:,.1f} GB" if size >= 1e9 else f"{size / 1e6:,.1f} MB"
