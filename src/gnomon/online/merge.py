"""Merge: rows held + rows that arrive → rows to hold: the union of row versions, cut at the horizon.

The union is commutative, associative and idempotent, so load, replay and repair run in any order, and twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gnomon.errors import DataError
from gnomon.kernels import order, union
from gnomon.online.arrays import NO_INTS, Bytes, Column, Int64s, VarColumn, joined
from gnomon.online.codec import MAX, MIN, FlatRows, Layout

__all__ = ["KEEP_ALL", "IdConflict", "Merged", "Retention", "merge"]

Words: TypeAlias = NDArray[np.uint64]
_NO_WORDS = np.empty(0, np.uint64), np.empty(0, np.uint64)
_SIGN = np.uint64(1 << 63)


@dataclass(frozen=True, slots=True)
class Retention:
    """Where a group's online past ends."""

    horizon: int = MIN
    """Microseconds. From it on an event group answers windows, a state group questions."""
    watermark: int = MIN
    """Microseconds: the greatest activation applied, at most now. Rows that are not active by then wait."""
    start: int = MIN
    """Microseconds. From it on the group was filled: it bounds what can be asked as the horizon does. Rows that were
    active before it come for what they leave behind, and are not late."""

    @property
    def first(self) -> int:
        """The earliest t that is asked about."""
        return max(self.horizon, self.start)


KEEP_ALL = Retention()


@dataclass(frozen=True, slots=True)
class Merged:
    """What became of the rows."""

    rows: FlatRows
    duplicates: int
    """Versions that said nothing new."""
    ties: int
    """Versions that lost against another of the same known_at (state groups)."""
    late: int
    """Arriving rows from beyond the horizon, and active since the start: not kept."""
    retired: int
    """Rows held until now that fell behind the horizon."""
    source: Int64s
    """[n]: where each of the rows came from: its position among the old rows, then the new ones."""
    ident: Int64s
    """[old and new rows]: rows of equal number are versions of one."""


class IdConflict(DataError):
    """One row id has two contents at one known_at: the ids are not unique."""

    def __init__(self, keys: Int64s) -> None:
        super().__init__(
            f"one event id with two contents at one known_at, for {keys.size} keys",
            hint="`event_id` must be unique for each row of a key, or a correction must be known later",
        )
        self.keys = keys
        """Positions of the keys, ascending."""


def merge(
    layout: Layout, old: FlatRows, new: FlatRows, retention: Retention = KEEP_ALL, *, whole: bool = False
) -> Merged:
    """Unite the row versions of K keys, resolve them, order them, and drop what lies beyond the horizon.

    whole: the arriving rows are all that is known of their keys.
    Shape:  old, new of K keys each, key by key → K keys. The counters are added.
    Raises: IdConflict for an event group.
    Cost:   O(n log n); O(n) where nothing is held and the arriving rows of a state group rise in time.
    """
    both = _Union(layout, old, new)
    positions, key_start = union.interleave(old.key_start, new.key_start)
    in_order = old.n_rows == 0 and not both.dead.any() and union.rises(new.key_start, new.event_time)
    if in_order and layout.kind == "state":
        found = _Resolved(np.arange(both.n), both.n, np.zeros(both.n, np.uint8), new.until, 0)
    else:
        found = _resolve(both)
    if not in_order:
        _put_in_order(both, positions, key_start)
    first_activation = np.minimum(old.first_activation, new.first_activation)
    # What was dropped may have been deleted since: of whole keys it is found again among the rows that come.
    newest_dropped = new.newest_dropped if whole else np.maximum(old.newest_dropped, new.newest_dropped)
    dropped = _beyond(both, found, positions, key_start, newest_dropped, retention)
    union.leave_marks(
        dropped,
        both.key,
        both.event_time,
        both.known_at,
        found.until,
        both.dead,
        retention.first,
        first_activation,
        newest_dropped,
    )
    stays = (found.repeated | dropped) == 0
    if not stays.all():
        kept = stays[positions]
        before = np.concatenate([[0], np.cumsum(kept)])
        positions, key_start = positions[kept], before[key_start]
    rows = FlatRows(
        key_start=key_start,
        event_time=both.event_time[positions],
        known_at=both.known_at[positions],
        until=found.until[positions],
        dead=both.dead[positions],
        row_id=_taken(both.row_id, positions),
        content=both.content.reshape(-1, 2)[positions].reshape(-1) if both.content.size else NO_INTS,
        lanes=tuple(_taken(_joined(a, b), positions) for a, b in zip(old.lanes, new.lanes, strict=True)),
        counter=old.counter + new.counter,
        first_activation=first_activation,
        newest_dropped=newest_dropped,
    )
    arrived = dropped[old.n_rows :] != 0
    news = np.maximum(new.event_time, new.known_at) >= retention.start
    late = int(np.count_nonzero(arrived & news))
    retired = int(np.count_nonzero(dropped[: old.n_rows]))
    return Merged(
        rows, int(np.count_nonzero(found.repeated)), found.ties, late, retired, positions, found.ident
    )


@dataclass(frozen=True, slots=True)
class _Resolved:
    """What each of n rows is."""

    ident: Int64s
    """[n]: rows of equal number are versions of one."""
    n_idents: int
    repeated: Bytes
    """[n]: 1 for a version that says nothing new."""
    until: Int64s
    """[n]: of the others."""
    ties: int


class _Union:
    """The rows of both sides as columns, the old ones first; without lanes, which only some rows need."""

    def __init__(self, layout: Layout, old: FlatRows, new: FlatRows) -> None:
        self.layout = layout
        self.n = old.n_rows + new.n_rows
        self.n_keys = old.n_keys
        self.key = np.concatenate([old.key_of_row(), new.key_of_row()])
        self.event_time = np.concatenate([old.event_time, new.event_time])
        self.known_at = np.concatenate([old.known_at, new.known_at])
        self.dead = np.concatenate([old.dead, new.dead])
        self.row_id = _joined(old.row_id, new.row_id)
        self.content = np.concatenate([old.content, new.content])
        # Ids as two words that compare as the ids do: a text by its rank among those at hand.
        if isinstance(self.row_id, VarColumn):
            self.id_words = _ranks(self.row_id), np.zeros(self.n, np.int64)
        elif self.row_id.width == 1:
            self.id_words = self.row_id.words, np.zeros(self.n, np.int64)
        else:
            self.id_words = self._halves(self.row_id.pairs)
        self.hashes = self._halves(self.content.reshape(-1, 2)) if self.content.size else self.id_words

    @staticmethod
    def _halves(pairs: Int64s) -> tuple[Int64s, Int64s]:
        return np.ascontiguousarray(pairs[:, 0]), np.ascontiguousarray(pairs[:, 1])

    def order_words(self) -> tuple[Int64s, Int64s, Words, Words, Int64s]:
        """What a key's rows are sorted by; the last word makes the order of versions one of the set."""
        high, low = (words.view(np.uint64) for words in self.id_words)
        if self.layout.id_kind != "hash":
            high = high ^ _SIGN
        if self.layout.kind == "state":
            return self.event_time, self.known_at, high, low, self.hashes[0]
        declared = self.known_at if self.layout.declared_known else NO_INTS
        return self.event_time, declared, high, low, self.known_at


def _resolve(both: _Union) -> _Resolved:
    state = both.layout.kind == "state"
    nothing = np.zeros(both.n, np.int64)
    a, b = (both.event_time, nothing) if state else both.id_words
    hashed = union.spread(both.key, a, b)
    by_ident = np.argsort(hashed)
    ident, n_idents, collided = union.number(by_ident, hashed, both.key, a, b)
    if collided:
        by_ident = np.lexsort((b, a, both.key))
        ident, n_idents, _ = union.number(by_ident, np.arange(both.n), both.key, a, b)
    until = np.full(both.n, MAX)
    if n_idents == both.n:
        return _Resolved(ident, n_idents, np.zeros(both.n, np.uint8), until, 0)
    v1 = both.id_words[0] if state and both.layout.id_kind != "hash" else nothing
    h1, h2 = both.hashes
    rank = both.known_at
    if both.dead.any():
        # Deletes have no content: those of one instant are one, and the one of the latest event_time stays.
        alive = both.dead == 0
        v1, h1, h2 = np.where(alive, v1, 0), np.where(alive, h1, both.known_at), np.where(alive, h2, 0)
        rank = np.where(alive, both.known_at, ~both.event_time)
    w1, w2 = h1.view(np.uint64), h2.view(np.uint64)
    repeated = union.repeats(by_ident, ident, both.dead.astype(np.int64), v1, w1, w2, rank)
    rows = np.flatnonzero(repeated == 0)
    keep, until_of, conflict, ties = order.versions(
        ident[rows], both.known_at[rows], v1[rows], w1[rows], w2[rows], both.dead[rows], not state
    )
    if conflict.size:
        raise IdConflict(np.unique(both.key[rows[conflict]]))
    # A version that another of its instant beats never counts; it is held to be known when it comes again.
    beaten = (keep == 0) & (both.dead[rows] == 0)
    until[rows] = np.where(beaten, both.known_at[rows], until_of)
    return _Resolved(ident, n_idents, repeated, until, int(ties))


def _put_in_order(both: _Union, positions: Int64s, key_start: Int64s) -> None:
    """Sort the positions of each key by its rows, in place."""
    if both.dead.any():
        # Sorting is stable: a delete and a row that are equal in all else have an order too.
        union.sort_in_keys(positions, key_start, both.dead.astype(np.int64), NO_INTS, *_NO_WORDS, NO_INTS)
    union.sort_in_keys(positions, key_start, *both.order_words())


def _beyond(
    both: _Union,
    found: _Resolved,
    positions: Int64s,
    key_start: Int64s,
    newest_dropped: Int64s,
    retention: Retention,
) -> Bytes:
    """[n]: 1 for rows beyond the horizon. `positions`: of all rows, in order."""
    if retention.first == MIN:
        return np.zeros(both.n, np.uint8)
    dropped: Bytes
    if both.layout.kind == "event":
        dropped = union.drop_events(
            positions, key_start, newest_dropped, found.ident, found.n_idents, found.repeated, both.event_time,
            both.known_at, found.until, both.dead, both.layout.id_kind != "hash",
            retention.first, retention.watermark,
        )  # fmt: skip
    else:
        dropped = union.drop_states(
            both.key, both.n_keys, found.ident, found.n_idents, found.repeated, both.event_time,
            both.known_at, found.until, both.dead, retention.first,
        )  # fmt: skip
    return dropped


def _ranks(column: VarColumn) -> Int64s:
    """[n]: dense ranks by bytes, which for UTF-8 is by code point."""
    ranks = pl.Series(column.to_list(), dtype=pl.Binary).rank("dense")
    return ranks.cast(pl.Int64).to_numpy().copy()


def _joined(old: Column, new: Column) -> Column:
    return new if len(old) == 0 else joined(old, new)


def _taken(column: Column, rows: Int64s) -> Column:
    return column if _is_all(rows, len(column)) else column.take(rows)


def _is_all(rows: Int64s, n: int) -> bool:
    """Whether `rows` is 0, 1, …, n − 1: nothing held and nothing to do, as in a first load."""
    return rows.size == n and bool((rows == np.arange(n)).all())
