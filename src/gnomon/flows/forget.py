"""Forget: groups that are no longer registered → their online rows go; the values of other groups stay.

The table of a cached group stays where it is, so that a revert brings everything back. It is set aside, and not
deleted, when a group is made anew under the old name: that one begins empty.
"""

from __future__ import annotations

from collections.abc import Iterable

from gnomon.define.group import FeatureGroup
from gnomon.errors import Unavailable
from gnomon.flows.online import filling, forget_group
from gnomon.flows.project import Project
from gnomon.flows.table import forget_filled, table_name
from gnomon.registry.snapshot import Snapshot


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


def set_aside(project: Project, before: Snapshot, added: Iterable[FeatureGroup]) -> dict[str, str]:
    """Give the tables of groups that were removed, and are now made anew, another name; group → that name.

    The name tells the revision that removed the group, so that of two processes that make it anew only one moves the
    table, and none moves what was written since.
    """
    moved = {}
    registered = set(before.refs("group"))
    for group in added:
        stamp = before.changed.get(("group", group.ref))
        if group.source is not None or stamp is None or group.ref in registered:
            continue
        name = f"{table_name(group)}-removed-{stamp.revision}"
        with project.offline.writing(table_name(group)):
            # First: a group that is killed in between has its rows and no note, and not the other way round.
            forget_filled(project.root, group)
            if project.offline.rename(table_name(group), name):
                moved[group.ref] = name
    return moved
