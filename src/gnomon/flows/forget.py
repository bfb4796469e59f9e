"""Forget: groups that are no longer registered → their online rows go; the values of other groups stay.

The table of a cached group stays as it is, so that a revert brings everything back. When a group is made anew under
the old name it is emptied, that one begins empty, and the version before keeps the rows.
"""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from gnomon.abc.offline import NO_TABLE
from gnomon.define.group import FeatureGroup
from gnomon.errors import Unavailable
from gnomon.flows.online import filling, forget_group
from gnomon.flows.project import Project
from gnomon.flows.retractions import empty_retractions, log_name
from gnomon.flows.table import HASHES, declared_columns, forget_filled, table_name
from gnomon.registry.snapshot import Snapshot

_REMOVAL = "removal"
"""The note of the commit that emptied a table: the revision that removed its group."""


def forget_removed(project: Project) -> list[str]:
    """Remove what groups have online that the registry once had and has no longer; return their names.

    A group that another process is filling, or a store that cannot be reached just now, is left to the next
    time: apply with prune and materialize both come here.
    """
    snapshot = project.registry.snapshot()
    groups = {ref for kind, ref in snapshot.changed if kind == "group"}
    forgotten = []
    for ref in sorted(groups - set(snapshot.refs("group"))):
        try:
            with filling(project.root, ref, wait=0.0):
                if forget_group(project.online, ref):
                    forgotten.append(ref)
        except Unavailable:
            continue
    return forgotten


def set_aside(project: Project, before: Snapshot, added: Iterable[FeatureGroup]) -> dict[str, int]:
    """Empty the tables of groups that were removed, and are now made anew; group → the version that has the old rows.

    The commit notes the revision that removed the group, so that of two processes that make it anew only one takes
    rows out, and none takes out what was written since.
    """
    emptied = {}
    registered = set(before.refs("group"))
    for group in added:
        stamp = before.changed.get(("group", group.ref))
        if group.source is None and stamp is not None and group.ref not in registered:
            version = _empty(project, group, str(stamp.revision))
            if version is not None:
                emptied[group.ref] = version
    return emptied


def _empty(project: Project, group: FeatureGroup, removal: str) -> int | None:
    table, offline = table_name(group), project.offline

    def step(version: int) -> int | None:
        if any(c.note.get(_REMOVAL) == removal for c in offline.history(table)):
            return None
        # First: a group that is killed in between has its rows and no note, and not the other way round.
        forget_filled(project.root, offline, group)
        if version == NO_TABLE:
            return None
        columns = declared_columns(group) | dict.fromkeys(HASHES, pl.Int64())
        offline.empty(table, columns, note={_REMOVAL: removal, "author": project.author}, after=version)
        return version

    emptied = offline.change(table, step)
    _empty_log(project, group, removal)
    return emptied


def _empty_log(project: Project, group: FeatureGroup, removal: str) -> None:
    """What was retracted of the rows of before says nothing of those that come."""
    log, offline = log_name(group), project.offline

    def step(version: int) -> None:
        if version != NO_TABLE and not any(c.note.get(_REMOVAL) == removal for c in offline.history(log)):
            note = {_REMOVAL: removal, "author": project.author}
            empty_retractions(offline, group, note=note, after=version)

    offline.change(log, step)
