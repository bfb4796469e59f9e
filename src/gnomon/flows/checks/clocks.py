"""Clocks: this machine's against its own files, against the servers', and against the rows'."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from gnomon.define.group import FeatureGroup
from gnomon.define.source import FileSource
from gnomon.errors import DataError, GnomonError, counted
from gnomon.flows.checks.check import Found
from gnomon.flows.project import Project
from gnomon.flows.read import Origin, collect_rows
from gnomon.plan.normal import TIME, normalise, raw_columns
from gnomon.registry.snapshot import Snapshot
from gnomon.time import SECOND, show, show_duration

_TOLERANCE = 2 * SECOND
"""By how much a clock may seem to be off: file systems round, and clocks are never quite the same."""
_MOST_ROWS = 20_000_000
"""Of a group whose times are looked at."""


def own_clock(project: Project, snapshot: Snapshot, groups: Sequence[FeatureGroup]) -> Found:
    """Whether the clock goes on, and is not behind what was already written."""
    now = project.clock()
    seen = [("the newest revision", snapshot.time)]
    for group in groups:
        if isinstance(group.source, FileSource):
            seen += _written(project, group)
    what, newest = max(seen, key=lambda item: item[1])
    if project.clock() < now:
        return Found(
            "error", "the clock went backwards while looking", "let the machine keep its time by NTP"
        )
    if newest > now + _TOLERANCE:
        return Found(
            "warn",
            f"{show(now)} is {_length(newest - now)} before {what} was written",
            "set the clock: what is known when, and which rows are kept online, depend on it",
        )
    return Found("ok", show(now))


def server_clocks(project: Project) -> Found:
    """How far the clocks of the servers that tell theirs are from ours: known_at is told by one, `now` by the other."""
    told: list[str] = []
    off: list[str] = []
    servers = {"registry": project.registry.backend.server_time, "online store": project.online.server_time}
    for name, ask in servers.items():
        before = project.clock()
        theirs = ask()
        after = project.clock()
        if theirs is None:
            continue
        skew = theirs - (before + after) // 2
        # How long the answer took is how exactly it is known.
        line = f"the {name}'s clock is {_length(abs(skew))} {'ahead' if skew > 0 else 'behind'}"
        (off if abs(skew) > _TOLERANCE + (after - before) else told).append(line)
    if off:
        return Found("warn", "; ".join(off + told), "let both machines keep their time by NTP")
    return Found("ok", "; ".join(told) or "no server tells its time")


def dates(project: Project, snapshot: Snapshot) -> Found:
    """Rows that say they happened later than now. They wait, and nobody sees them before."""
    future, skipped = [], []
    latest = project.clock() + _TOLERANCE
    for group in snapshot.groups():
        try:
            rows, newest = _after(project, snapshot, group, latest)
        except GnomonError:  # reported by the source's own check
            continue
        if rows < 0:
            skipped.append(group.ref)
        elif rows:
            future.append(f"{counted(rows, 'row')} of {group.ref}, the last {show(newest)}")
    note = f"; too many rows to look at: {', '.join(skipped)}" if skipped else ""
    if future:
        return Found(
            "warn",
            f"dated after now: {'; '.join(future)}{note}",
            "if they did not happen yet, their source's clock or unit of time is wrong; until then they wait",
        )
    return Found("ok", f"no rows dated after now{note}")


def _after(project: Project, snapshot: Snapshot, group: FeatureGroup, latest: int) -> tuple[int, int]:
    """How many rows of a group are dated after `latest`, and when the last; -1 if there are too many to look at."""
    layout = project.layout(snapshot, group)
    reader = project.reader(group, layout)
    parts = reader.parts()
    if not parts:
        return 0, latest
    if reader.expected_rows() > _MOST_ROWS:
        return -1, latest
    times = normalise(reader.scan(raw_columns(layout), parts=parts), layout, inputs=()).select(TIME)
    after = times.filter(pl.col(TIME) > latest).select(
        pl.len().alias("rows"), pl.col(TIME).max().alias("newest")
    )
    return collect_rows(after, layout.ref, Origin(reader, layout, parts)).row(0)


def _written(project: Project, group: FeatureGroup) -> list[tuple[str, int]]:
    """A source's files with the instants at which they were written."""
    try:
        files = [Path(part.name) for part in project.reader(group).parts()]
        return [(f"`{file.name}`", file.stat().st_mtime_ns // 1000) for file in files if file.exists()]
    except DataError:  # reported by the source's own check
        return []


def _length(duration: int) -> str:
    """A duration in whole seconds, or in milliseconds below one."""
    unit = SECOND if duration >= SECOND else SECOND // 1000
    return show_duration(duration // unit * unit)
