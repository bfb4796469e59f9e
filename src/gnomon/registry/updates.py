"""Updates: what a commit changes, as data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gnomon.abc.registry import Address
from gnomon.define.collect import Kind


@dataclass(frozen=True, slots=True)
class Put:
    """Add an object, or replace it."""

    kind: Kind
    ref: str
    document: str

    @property
    def address(self) -> Address:
        return self.kind, self.ref


@dataclass(frozen=True, slots=True)
class Remove:
    """Remove an object. Removing what is not there changes nothing."""

    kind: Kind
    ref: str
    document: None = None

    @property
    def address(self) -> Address:
        return self.kind, self.ref


Update = Put | Remove


def apply_updates(documents: Mapping[Address, str], updates: Iterable[Update]) -> dict[Address, str]:
    """The documents after the updates, in their order."""
    after = dict(documents)
    for update in updates:
        if isinstance(update, Put):
            after[update.address] = update.document
        else:
            after.pop(update.address, None)
    return after


def effective(documents: Mapping[Address, str], updates: Iterable[Update]) -> tuple[Update, ...]:
    """The updates that change something, the last for each object."""
    last = {update.address: update for update in updates}
    return tuple(u for address, u in last.items() if documents.get(address) != u.document)
