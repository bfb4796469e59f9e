"""Visible: which objects of the registry somebody may see who may not read every group.

groups                      those that he may read
entities, sources           those of such groups
on-demand, services         those that read such groups only
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

from gnomon.define.collect import KINDS, Kind
from gnomon.define.group import Selection
from gnomon.define.ondemand import OnDemand
from gnomon.registry.snapshot import Snapshot
from gnomon.serve.access.roles import Principal


class Visible:
    """What of a revision a principal may see."""

    def __init__(self, principal: Principal, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._principal = principal
        self.everything = principal.open or principal.may_everywhere("read")

    def shows(self, kind: Kind, ref: str) -> bool:
        """Whether an object may be seen. `ref`: its full name."""
        return self.everything or ref in self._refs[kind]

    def related(self, names: Iterable[str]) -> list[str]:
        """Of names in a lineage (`group@1:feature`, `source.column`, `service@1`), those of visible objects."""
        if self.everything:
            return [*names]
        return [name for name in names if self._is_shown(name)]

    def _is_shown(self, name: str) -> bool:
        if not any(mark in name for mark in "@:."):
            return True  # a value of requests, which belongs to no object
        return any(
            name == ref or name.startswith((f"{ref}:", f"{ref}."))
            for kind in KINDS
            for ref in self._refs[kind]
        )

    @cached_property
    def _refs(self) -> dict[Kind, frozenset[str]]:
        collected = self._snapshot.collected()
        groups = [group for group in collected.groups if self._principal.may("read", group.ref)]
        mine = frozenset(group.ref for group in groups)
        return {
            "group": mine,
            "entity": frozenset(entity.name for group in groups for entity in group.entities),
            "source": frozenset(group.source_name for group in groups if group.source_name),
            "on_demand": frozenset(one.ref for one in collected.on_demand if _groups_of(one.inputs) <= mine),
            "service": frozenset(one.ref for one in collected.services if _groups_of(one.features) <= mine),
        }


def _groups_of(parts: Iterable[object]) -> set[str]:
    """The groups behind inputs of a function, or features of a service."""
    found: set[str] = set()
    for part in parts:
        if isinstance(part, Selection):
            found.add(part.group.ref)
        elif isinstance(part, OnDemand):
            found |= _groups_of(part.inputs)
    return found
