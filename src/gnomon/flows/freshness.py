"""Freshness: how old what a group has online is, and whether that is older than its group declares."""

from __future__ import annotations

from dataclasses import dataclass

from gnomon.flows.online import read_document
from gnomon.flows.project import Project
from gnomon.time import ALWAYS, SECOND, show, show_duration


@dataclass(frozen=True, slots=True)
class Age:
    """How old what a group has online is."""

    group: str
    """With its version."""
    newest: int | None
    """The newest activation that is online and not in the future; an instant. None: nothing is online."""
    age: int | None
    """Microseconds since then."""
    promised: int | None
    """The `freshness` that is declared, in microseconds."""

    @property
    def is_stale(self) -> bool:
        """Exactly as old as promised is fresh."""
        return self.promised is not None and (self.age is None or self.age > self.promised)

    def __str__(self) -> str:
        if self.newest is None or self.age is None:
            return "without any row online"
        shown = self.age // SECOND * SECOND or self.age
        return f"{show_duration(shown)} old, with its newest row of {show(self.newest)}"


def age_of(project: Project, group: str, promised: int | None) -> Age:
    """How old the newest row online of a group is now. `group`: with its version."""
    live = read_document(project.online, group).live
    if live is None or live.watermark == ALWAYS:
        return Age(group, None, None, promised)
    return Age(group, live.watermark, max(0, project.clock() - live.watermark), promised)
