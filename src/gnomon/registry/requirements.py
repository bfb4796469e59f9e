"""Requirements: what a commit relies on, as data, checked again whenever another commit came in between."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gnomon.abc.registry import Address
from gnomon.define.collect import Kind
from gnomon.errors import Conflict
from gnomon.registry.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Unchanged:
    """The object is as it was in revision `since`, or missing as it was then."""

    kind: Kind
    ref: str
    since: int

    @property
    def address(self) -> Address:
        return self.kind, self.ref


@dataclass(frozen=True, slots=True)
class RevisionIs:
    """Nothing at all has changed since the revision."""

    number: int


Requirement = Unchanged | RevisionIs


def violation(requirement: Requirement, snapshot: Snapshot) -> str | None:
    """Why the requirement does not hold in the snapshot, naming revision and author; None if it holds."""
    if isinstance(requirement, RevisionIs):
        if requirement.number == snapshot.revision:
            return None
        if requirement.number > snapshot.revision:
            return f"there is no revision {requirement.number} (any more)"
        return f"the registry changed in revision {snapshot.revision} by {snapshot.author}"
    stamp = snapshot.changed.get(requirement.address)
    if stamp is None or stamp.revision <= requirement.since:
        return None
    verb = "changed" if requirement.address in snapshot.documents else "was removed"
    return f"`{requirement.ref}` {verb} in revision {stamp.revision} by {stamp.author}"


def check(requirements: Iterable[Requirement], snapshot: Snapshot) -> None:
    """Raises: Conflict that names all that does not hold."""
    found = [why for requirement in requirements if (why := violation(requirement, snapshot))]
    if found:
        raise Conflict("; ".join(found), hint="run `gnomon plan` again")
