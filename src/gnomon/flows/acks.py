"""Acks: what became of rows that were pushed, told alike by a store and by a client of a server."""

from __future__ import annotations

from dataclasses import dataclass

from gnomon.errors import counted
from gnomon.flows.markup import preformatted


@dataclass(frozen=True, slots=True)
class Rejected:
    """A row that was not taken."""

    row: int
    """Its number among the rows that were given, from 0."""
    reason: str


@dataclass(frozen=True, slots=True)
class PushAck:
    """What became of a push. What was accepted is durable, and online."""

    source: str
    id: int | None
    """The table's version that holds the rows; None if nothing was new."""
    rows: int
    """Rows given."""
    accepted: int
    duplicates: int
    """Rows whose content was there already."""
    rejected: tuple[Rejected, ...] = ()
    """Rows that were not taken, each with its number and the reason."""
    online: bool = True
    """Whether answers tell of the rows; False for a group that is not online."""

    def __str__(self) -> str:
        text = f"{self.source}: {self.accepted:,} of {counted(self.rows, 'row')} taken"
        if self.duplicates:
            text += f", {self.duplicates:,} there already"
        if self.rejected:
            first = self.rejected[0]
            text += f", {len(self.rejected):,} rejected (row {first.row}: {first.reason})"
        return text + (f" (commit {self.id})" if self.id is not None else "")

    def _repr_html_(self) -> str:
        return preformatted(str(self))
