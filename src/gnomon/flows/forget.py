"""Forget: groups that are no longer registered → their online rows go; the values of other groups stay."""

from __future__ import annotations

from gnomon.errors import Unavailable
from gnomon.flows.online import filling, forget_group
from gnomon.flows.project import Project


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
