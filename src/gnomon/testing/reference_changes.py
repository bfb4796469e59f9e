"""The reference of changes: inserts, deletes and retractions, one after another → every version of every row.

What the store decides at a commit is decided here in plain, slow Python: which row is an update, which delete says
something new, and when each is known. `reference.historical(…, versions=)` and `online` then tell the values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from gnomon.define.group import FeatureGroup
from gnomon.testing.reference import Row, Schema, Version, key_of, read, row_of
from gnomon.time import NEVER, instant

__all__ = ["Insert", "Retract", "read_changes"]


@dataclass(frozen=True)
class Insert:
    """One insert into a cached group."""

    at: int
    """Instant of the commit, µs."""
    rows: Sequence[Row] = ()
    deletes: Sequence[Row] = ()
    """Rows named by key and id, or key and time."""
    update: bool = False
    """Whether the rows are said to be updates."""


@dataclass(frozen=True)
class Retract:
    """One retraction."""

    at: int
    ids: Sequence[Any]


def read_changes(group: FeatureGroup, done: Sequence[Insert | Retract], schema: Schema) -> list[Version]:
    """Every version of every row, deletes among them.

    Raises: DataError where two contents have one event id and one known_at.
    """
    held: list[Version] = []
    moments: dict[Any, list[int]] = {}
    for step in done:
        if isinstance(step, Retract):
            _retract(held, moments, step)
        else:
            held += _new(group, [*held, *_retracted(held, moments)], step, schema)
    return [*held, *_retracted(held, moments)]


def _retract(held: Sequence[Version], moments: dict[Any, list[int]], step: Retract) -> None:
    for one in set(step.ids):
        told = moments.setdefault(one, [])
        known = [v.known for v in held if v.id == one and not v.dead]
        alive = [k for k in known if not told or k > max(told)]
        if alive or not told:
            told += [max(step.at, k) for k in alive or [step.at]]


def _retracted(held: Sequence[Version], moments: dict[Any, list[int]]) -> list[Version]:
    """The deletes that retractions are: of every row of an id."""
    return [
        _dead(v, moment) for v in held if not v.dead and v.id is not None for moment in moments.get(v.id, ())
    ]


def _new(group: FeatureGroup, held: Sequence[Version], step: Insert, schema: Schema) -> list[Version]:
    """What an insert adds to what is held."""
    given = [v for v in read(group, [step.rows], schema) if not _is_held(v, held)]
    named = [name for name in (_named(group, row) for row in step.deletes) if name is not None]
    here = {row_of(group, v) for v in read(group, [step.rows], schema)}
    made = []
    for v in given:
        same = [h for h in held if row_of(group, h) == row_of(group, v)]
        update = step.update or row_of(group, v) in named
        by_id = group.kind == "event" and group.event_id is not None and any(not h.dead for h in same)
        if group.known_at is None and (update or by_id):
            v = replace(v, known=max([step.at, *(h.known + 1 for h in same if h.known < NEVER)]))
        made.append(v)
    for name in dict.fromkeys(named):
        if name not in here:
            made += _deletes(group, name, [h for h in held if row_of(group, h) == name], step.at)
    return made


def _is_held(version: Version, held: Sequence[Version]) -> bool:
    """Whether the content is that of a version which is held: then it changes nothing."""
    mine = (version.key, version.id, version.content)
    return any((h.key, h.id, h.content) == mine for h in held if not h.dead)


def _named(group: FeatureGroup, row: Row) -> Any:
    """The row that a delete names; None if it has no key."""
    key = key_of(group, row)
    name = row.get(group.timestamp if group.kind == "state" else group.event_id)  # type: ignore[arg-type]
    if key is None or name is None:
        return None
    return key, instant(name) if group.kind == "state" else name


def _deletes(group: FeatureGroup, name: Any, same: Sequence[Version], at: int) -> list[Version]:
    """The deletes of a row: now, and when a version would become known that is not known yet."""
    ends = [v.known for v in same if v.dead]
    alive = [v for v in same if not v.dead and (not ends or v.known > max(ends))]
    if alive:
        return [_dead(v, max(at, v.known)) for v in alive]
    if same:
        return []
    key, one = name
    state = group.kind == "state"
    time, row_id = (one, None) if state else (at, one)
    return [Version(key, time, at, 0, row_id, (0, 0), {}, dead=True)]


def _dead(version: Version, moment: int) -> Version:
    return replace(version, known=moment, content=(0, 0), values={}, dead=True)
