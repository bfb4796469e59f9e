"""Sealing: rows of a hot key → leaves, and what the index tells of them. Pure; `online.writer` reads and writes.

Rows that arrive meet those of the leaves that they touch, and the tail (`merge`). Then each is given its place:

    leaf     rows of its time lie there, and all versions of the row do
    tail     it is newer than all leaves; or its versions belong into different leaves; or it is a delete whose row
             is not known yet

and what grew too long is cut: a leaf into several, the oldest rows of the tail into new leaves.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from gnomon.kernels import leaves as kernel
from gnomon.kernels import states
from gnomon.online.arrays import NO_BYTES, NO_INTS, Bytes, Column, Int64s, VarColumn, joined
from gnomon.online.codec import MAX, MIN, FlatRows, Layout, join_values, nothing, pack
from gnomon.online.dictionary import number_values
from gnomon.online.index import Index, View, ViewStates, bit_words, lane_kind, new_name
from gnomon.online.merge import Merged, Retention, merge

__all__ = [
    "LOST",
    "SIZES",
    "TAIL",
    "Grown",
    "Sizes",
    "expired",
    "grow",
    "heads",
    "place_of",
    "restate",
    "serves",
]

Flags: TypeAlias = NDArray[np.bool_]

LOST = 32
"""Of a view's needs: DISTINCT is wanted, and there are too many values to number them."""

TAIL = -1
"""Where a row belongs, beside the numbers of leaves."""

_NEW = -2
_NEEDS_SHIFT: int = kernel.NEEDS_SHIFT


@dataclass(frozen=True, slots=True)
class Sizes:
    """When rows are sealed."""

    leaf: int = 1024
    """Rows of a leaf, about; from a half to all of them where one was cut."""
    tail: int = 512
    """The newest rows, which are not sealed: a row that is a little late finds its place among them."""

    @property
    def limit(self) -> int:
        """As many rows outside of leaves are sealed in part."""
        return self.leaf + self.tail


SIZES = Sizes()


@dataclass(frozen=True, slots=True)
class Leaf:
    """A new leaf."""

    name: bytes
    value: bytes
    ids: bytes
    """The fingerprints of its ids, where these can stand elsewhere than their time tells; else nothing."""


@dataclass(frozen=True, slots=True)
class Grown:
    """What becomes of a hot key."""

    index: Index
    tail: FlatRows
    """Of one key."""
    made: list[Leaf]
    gone: list[bytes]
    """Names of the leaves that the index had and has no longer."""
    merged: Merged
    retired: int
    """Rows of leaves that fell behind the horizon as a whole."""


def grow(
    layout: Layout,
    views: Sequence[View],
    index: Index,
    touched: Sequence[int],
    held: FlatRows,
    tail: FlatRows,
    new: FlatRows,
    retention: Retention,
    sizes: Sizes = SIZES,
    *,
    whole: bool = False,
) -> Grown:
    """Add rows to a hot key, or to one that becomes hot.

    touched: leaves, ascending: all in which rows that arrive may belong, or versions of them may stand
    held: the rows of these, one key a leaf · tail, new: of one key · whole: as for `merge`
    Raises: IdConflict, as `merge` does.
    """
    retired = _beyond(layout, index, touched, held, tail, retention)
    first_active, newest = index.fields[[kernel.FIRST_ACTIVE, kernel.NEWEST]][:, retired]
    tail = replace(
        tail,
        first_activation=np.minimum(tail.first_activation, first_active.min(initial=MAX)),
        newest_dropped=np.maximum(tail.newest_dropped, newest.max(initial=MIN)),
    )
    old = _one_key(held, tail)
    merged = merge(layout, old, new, retention, whole=whole)
    rows, source, ident = merged.rows, merged.source, merged.ident[merged.source]
    if layout.kind == "event" and rows.dead.any():
        rows, order, ident = _with_deletes_beside_rows(layout, rows, ident)
        source = source[order]
    origin = _origin(touched, held, old.n_rows, source)
    region = _regions(layout, index, touched, rows, origin, ident)
    pieces: dict[int, list[Int64s]] = {}
    for leaf in touched:
        at = np.flatnonzero(region == leaf)
        if not _is_as_it_was(held, list(touched).index(leaf), rows, source[at], at):
            pieces[leaf] = list(_cut(layout, rows, ident, at, sizes.leaf))
    sealed, left = _seal(layout, index, rows, ident, region, sizes)
    pieces[index.n_leaves] = sealed
    chunks = [chunk for leaf in sorted(pieces) for chunk in pieces[leaf]]
    made = _leaves(layout, rows, chunks)
    order = _order(index, retired, pieces)
    gone = [*np.flatnonzero(retired).tolist(), *(leaf for leaf in pieces if leaf < index.n_leaves)]
    return Grown(
        index=_with(layout, views, index, made, order),
        tail=replace(
            _take(rows, left, np.array([0, left.size])),
            counter=rows.counter,
            first_activation=rows.first_activation,
            newest_dropped=rows.newest_dropped,
        ),
        made=made.leaves(layout),
        gone=index.names(gone),
        merged=merged,
        retired=int(index.fields[kernel.ROWS, retired].sum()),
    )


# --------------------------------------------------------------------------------------------- where rows belong


def heads(layout: Layout, ids: Column) -> Int64s:
    """[n]: what orders as row ids do, as far as 8 bytes tell."""
    kind = int(layout.form[0])
    made: Int64s
    if isinstance(ids, VarColumn):
        made = kernel.heads_of(kind, NO_INTS, ids.offsets, ids.data)
    else:
        made = kernel.heads_of(kind, ids.words, NO_INTS, NO_BYTES)
    return made


def may_stray(layout: Layout) -> bool:
    """Whether versions of one row may have different event times."""
    return layout.kind == "event" and layout.id_kind != "hash"


def fingerprints(layout: Layout, ids: Column) -> NDArray[np.uint32]:
    """[n]: of row ids; equal ids have equal ones."""
    kind = int(layout.form[0])
    made: NDArray[np.uint32]
    if isinstance(ids, VarColumn):
        made = kernel.fingerprints(kind, NO_INTS, ids.offsets, ids.data)
    else:
        made = kernel.fingerprints(kind, ids.words, NO_INTS, NO_BYTES)
    return made


def place_of(layout: Layout, index: Index, rows: FlatRows) -> tuple[Int64s, Int64s]:
    """The leaves [first, last] among which each row belongs; TAIL, TAIL for one that is newer than all of them.

    More than one where the head of the id does not tell.
    """
    if index.n_leaves == 0 or rows.n_rows == 0:
        return np.full(rows.n_rows, TAIL), np.full(rows.n_rows, TAIL)
    fields = index.fields
    if layout.kind == "state":
        # Versions of a row share their event_time, and a leaf ends where that changes.
        first = last = np.searchsorted(fields[kernel.FIRST_TIME], rows.event_time, side="right") - 1
    else:
        first, last = kernel.find_leaves(
            np.ascontiguousarray(fields[kernel.FIRST_TIME]), np.ascontiguousarray(fields[kernel.FIRST_KNOWN]),
            np.ascontiguousarray(fields[kernel.FIRST_ID]), rows.event_time, *_order_words(layout, rows),
        )  # fmt: skip
    behind = rows.event_time > fields[kernel.LAST_TIME, -1]
    return np.where(behind, TAIL, np.maximum(first, 0)), np.where(behind, TAIL, np.maximum(last, 0))


def _order_words(layout: Layout, rows: FlatRows) -> tuple[Int64s, Int64s]:
    """What rows of an event group are ordered by after their event_time, as leaves have it."""
    known = rows.known_at if layout.declared_known else np.zeros(rows.n_rows, np.int64)
    return known, heads(layout, rows.row_id)


def _origin(touched: Sequence[int], held: FlatRows, n_old: int, source: Int64s) -> Int64s:
    """[n]: the leaf from which each row came; TAIL, or _NEW."""
    origin = np.where(source < n_old, TAIL, _NEW)
    in_leaf = source < held.n_rows
    at = np.searchsorted(held.key_start, source[in_leaf], side="right") - 1
    origin[in_leaf] = np.asarray(touched, np.int64)[at]
    return origin


def _regions(
    layout: Layout, index: Index, touched: Sequence[int], rows: FlatRows, origin: Int64s, ident: Int64s
) -> Int64s:
    """[n]: the leaf in which each row is to stand, or TAIL."""
    if not touched:
        return np.full(rows.n_rows, TAIL)
    first, last = place_of(layout, index, rows)
    region = np.where(origin >= 0, origin, last)
    # Rows that heads of ids do not place stand in their order: behind the row of a leaf that comes before them.
    open_ = (origin < 0) & (first != last)
    if open_.any():
        before = np.maximum.accumulate(np.where(origin >= 0, np.arange(rows.n_rows), -1))
        near = np.where(before >= 0, origin[before], first)
        region = np.where(open_, np.where(near >= first, near, TAIL), region)
    region = np.where(np.isin(region, touched), region, TAIL)
    if layout.kind == "state":
        return region
    lowest, highest = _extent(region, ident, rows.dead == 0)
    return np.where(lowest == highest, lowest, TAIL)[ident]


def _extent(values: Int64s, ident: Int64s, chosen: Flags) -> tuple[Int64s, Int64s]:
    """(least, greatest) of the chosen rows' values, by ident; MAX and MIN where none is chosen."""
    count = int(ident.max(initial=-1)) + 1
    lowest, highest = np.full(count, MAX), np.full(count, MIN)
    np.minimum.at(lowest, ident[chosen], values[chosen])
    np.maximum.at(highest, ident[chosen], values[chosen])
    return lowest, highest


def _with_deletes_beside_rows(
    layout: Layout, rows: FlatRows, ident: Int64s
) -> tuple[FlatRows, Int64s, Int64s]:
    """Give markers of deletes the event_time of what they delete, so that they stand where that stands.

    Their own says nothing that an answer could show. Returns rows, where each was before, and their idents.
    """
    alive = rows.dead == 0
    _, newest = _extent(rows.event_time, ident, alive)
    moved = np.where(alive | (newest[ident] == MIN), rows.event_time, newest[ident])
    if (moved == rows.event_time).all():
        return rows, np.arange(rows.n_rows), ident
    again = merge(layout, nothing(layout, 1), replace(rows, event_time=moved))
    return again.rows, again.source, again.ident[again.source]


# -------------------------------------------------------------------------------------------------- cutting


def _is_as_it_was(held: FlatRows, k: int, rows: FlatRows, source: Int64s, at: Int64s) -> bool:
    """Whether the rows `at` are those of leaf k of `held`, unchanged."""
    first, last = int(held.key_start[k]), int(held.key_start[k + 1])
    if at.size != last - first or not np.array_equal(np.sort(source), np.arange(first, last)):
        return False
    same_until = np.array_equal(rows.until[at], held.until[source])
    return same_until and np.array_equal(rows.event_time[at], held.event_time[source])


def _seal(
    layout: Layout, index: Index, rows: FlatRows, ident: Int64s, region: Int64s, sizes: Sizes
) -> tuple[list[Int64s], Int64s]:
    """The rows of each leaf that is made of the tail's oldest, and the rows that stay in the tail."""
    tail = np.flatnonzero(region == TAIL)
    if tail.size < sizes.limit:
        return [], tail
    can = np.zeros(rows.n_rows, np.bool_)
    can[tail] = _after_all_leaves(layout, index, rows, region)[tail]
    if layout.kind == "event":
        # With all its versions or not at all; and no delete without its row.
        highest = _extent(can.astype(np.int64), ident, rows.dead == 0)[1]
        lowest = _extent(can.astype(np.int64), ident, np.ones(rows.n_rows, np.bool_))[0]
        can &= (highest[ident] == 1) & (lowest[ident] == 1)
    at = np.flatnonzero(can)
    many = (at.size - sizes.tail) // sizes.leaf
    if many <= 0:
        return [], tail
    bounds = _bounds(layout, rows, ident, at, np.arange(1, many + 1) * sizes.leaf, sizes.leaf)
    chunks = [at[a:b] for a, b in pairwise([0, *bounds])]
    sealed = np.zeros(rows.n_rows, np.bool_)
    for chunk in chunks:
        sealed[chunk] = True
    return chunks, tail[~sealed[tail]]


def _after_all_leaves(layout: Layout, index: Index, rows: FlatRows, region: Int64s) -> Flags:
    """[n]: whether a row is ordered behind all rows of leaves, for certain."""
    if index.n_leaves == 0:
        return np.ones(rows.n_rows, np.bool_)
    bound = tuple(index.fields[[kernel.LAST_TIME, kernel.LAST_KNOWN, kernel.LAST_ID], -1].tolist())
    after: Flags
    if layout.kind == "state":
        after = rows.event_time > bound[0]
        return after
    known, head = _order_words(layout, rows)
    grown = np.flatnonzero(region == index.n_leaves - 1)
    if grown.size:
        last = int(grown[-1])
        bound = max(bound, (int(rows.event_time[last]), int(known[last]), int(head[last])))
    after = (known > bound[1]) | ((known == bound[1]) & (head > bound[2]))
    after = (rows.event_time > bound[0]) | ((rows.event_time == bound[0]) & after)
    return after


def _cut(layout: Layout, rows: FlatRows, ident: Int64s, at: Int64s, size: int) -> Iterator[Int64s]:
    """The rows `at` in pieces of about equal length, at most `size` where that can be."""
    if not at.size:
        return
    many = -(-at.size // size)
    ideal = np.arange(1, many) * at.size // many
    bounds = [bound for bound in _bounds(layout, rows, ident, at, ideal, size) if bound < at.size]
    for a, b in pairwise([0, *bounds, at.size]):
        yield at[a:b]


def _bounds(layout: Layout, rows: FlatRows, ident: Int64s, at: Int64s, ideal: Int64s, size: int) -> list[int]:
    """Where to cut the rows `at`, near the ideal places: where the event_time changes, and no ident is cut.

    Without a change of the event_time nearby, any place will do for an event group.
    """
    may = np.ones(at.size + 1, np.bool_)
    changes = np.ones(at.size + 1, np.bool_)
    changes[1:-1] = np.diff(rows.event_time[at]) != 0
    if layout.kind == "state":
        may = changes
    else:
        place = np.arange(at.size)
        lowest, highest = _extent(place, ident[at], np.ones(at.size, np.bool_))
        several = np.flatnonzero(lowest < highest)
        inside = np.zeros(at.size + 2, np.int64)
        np.add.at(inside, lowest[several] + 1, 1)
        np.add.at(inside, highest[several] + 1, -1)
        may[np.cumsum(inside)[: at.size + 1] > 0] = False
    # The end of all rows is a bound that always may be.
    may[at.size] = True
    places, better = np.flatnonzero(may), np.flatnonzero(may & changes)
    chosen = _nearest(better, ideal)
    far = np.abs(chosen - ideal) > size // 4
    chosen[far] = _nearest(places, ideal[far])
    return [bound for bound in np.unique(chosen).tolist() if bound > 0]


def _nearest(places: Int64s, ideal: Int64s) -> Int64s:
    """The place nearest to each ideal one; places ascend."""
    after = np.searchsorted(places, ideal).clip(max=places.size - 1)
    before = np.maximum(after - 1, 0)
    nearest: Int64s = np.where(ideal - places[before] <= places[after] - ideal, places[before], places[after])
    return nearest


# ------------------------------------------------------------------------------------------------- retention


def _beyond(
    layout: Layout,
    index: Index,
    touched: Sequence[int],
    held: FlatRows,
    tail: FlatRows,
    retention: Retention,
) -> Flags:
    """[n leaves]: whether no answer from the horizon on needs a leaf. Those that are touched are left to `merge`."""
    gone = expired(layout, index.fields, retention)
    if layout.kind == "state" and gone.any():
        newest = int(index.fields[kernel.NEWEST, gone].max(initial=MIN))
        for rows in (held, tail):
            since = np.maximum(rows.event_time, rows.known_at)
            stays = (since <= retention.first) & (rows.until == MAX) & (rows.dead == 0)
            newest = max(newest, int(rows.event_time[stays].max(initial=MIN)))
        gone &= index.fields[kernel.LAST_TIME] < newest
    gone[list(touched)] = False
    return gone


def expired(layout: Layout, fields: Int64s, retention: Retention) -> Flags:
    """[n leaves]: whether all rows of a leaf were active before anything that can be asked about.

    In a state group they may be needed yet, unless a newer row was visible by then.
    """
    active = fields[kernel.LATEST]
    gone: Flags = active <= retention.first if layout.kind == "state" else active < retention.first
    gone &= active <= retention.watermark
    return gone


# ------------------------------------------------------------------------------------------------- new leaves


@dataclass(frozen=True, slots=True)
class _Made:
    """New leaves: as values, and as rows."""

    names: list[bytes]
    octets: Bytes
    offsets: Int64s
    """[K + 1], in bytes."""
    rows: FlatRows

    def leaves(self, layout: Layout) -> list[Leaf]:
        values = [self.octets[a:b].tobytes() for a, b in pairwise(self.offsets.tolist())]
        ids = [b""] * len(values)
        if may_stray(layout):
            prints = fingerprints(layout, self.rows.row_id)
            bounds = self.rows.key_start.tolist()
            ids = [np.sort(prints[a:b]).tobytes() for a, b in pairwise(bounds)]
        return [Leaf(*one) for one in zip(self.names, values, ids, strict=True)]


def _leaves(layout: Layout, rows: FlatRows, chunks: Sequence[Int64s]) -> _Made:
    sizes = [chunk.size for chunk in chunks]
    key_start = np.zeros(len(chunks) + 1, np.int64)
    np.cumsum(sizes, out=key_start[1:])
    at = np.concatenate(chunks) if chunks else NO_INTS
    of_leaves = _take(rows, at, key_start)
    octets, offsets = pack(layout, of_leaves)
    return _Made([new_name() for _ in chunks], octets, offsets, of_leaves)


def _order(index: Index, retired: Flags, pieces: dict[int, list[Int64s]]) -> Int64s:
    """The leaves of the new index: numbers of old ones, and behind them of new ones in the order of `pieces`."""
    n = index.n_leaves
    parts: list[Int64s] = []
    after, made = 0, n
    for leaf in sorted(pieces):
        parts += [np.arange(after, leaf), np.arange(made, made + len(pieces[leaf]))]
        after, made = leaf + 1, made + len(pieces[leaf])
    order: Int64s = np.concatenate([*parts, np.arange(after, n)])
    stays = np.ones(made, np.bool_)
    stays[:n] = ~retired
    kept: Int64s = order[stays[order]]
    return kept


def _with(layout: Layout, views: Sequence[View], index: Index, made: _Made, order: Int64s) -> Index:
    """The index with new leaves beside the old ones, of which `order` chooses."""
    fields = _describe(layout, made.octets, made.offsets, made.names)
    held = Index(np.concatenate([index.fields, fields], axis=1)[:, order], index.states, index.dictionaries)
    if not index.n_leaves:
        held = replace(held, states=tuple(_no_states(view, index.n_leaves) for view in views))
    if made.names:
        lanes, at = made.rows.lanes, made.rows.key_start
        held = _with_records(layout, held, made.octets, made.offsets, lanes, at)
    return replace(held, states=tuple(_chosen(states, order) for states in held.states))


def _no_states(view: View, n: int) -> ViewStates:
    return ViewStates(view, np.zeros(n + 1, np.int64), NO_INTS)


def _describe(layout: Layout, octets: Bytes, offsets: Int64s, names: Sequence[bytes]) -> Int64s:
    fields = np.empty((kernel.FIELDS, len(names)), np.int64)
    fields[kernel.ID : kernel.ID + 2] = np.frombuffer(b"".join(names), np.int64).reshape(-1, 2).T
    declared = layout.declared_known and layout.kind == "event"
    kernel.describe(octets.view(np.int64), offsets // 8, layout.form, layout.lag, declared, fields)
    return fields


def _with_records(
    layout: Layout,
    index: Index,
    octets: Bytes,
    offsets: Int64s,
    lanes: Sequence[Column],
    key_start: Int64s,
) -> Index:
    """Add the records of leaves behind those that the index has; their fields are not touched."""
    dictionaries = dict(index.dictionaries)
    codes: dict[int, Int64s] = {}
    lost: set[int] = set()
    for lane in {states_.view.lane for states_ in index.states if states_.view.needs & states.DISTINCT}:
        numbered = number_values(layout.lanes[lane].kind, lanes[lane], dictionaries.get(lane))
        if numbered is None:
            lost.add(lane)
            dictionaries.pop(lane, None)
        else:
            codes[lane], dictionaries[lane] = numbered
    words, bounds = octets.view(np.int64), offsets // 8
    grown = []
    for held in index.states:
        view = held.view
        if view.lane in lost and view.needs & states.DISTINCT:
            view = replace(view, needs=view.needs & ~states.DISTINCT | LOST)
        code = codes[view.lane] if view.needs & states.DISTINCT else NO_INTS
        many = bit_words(dictionaries.get(view.lane))
        starts = np.empty(bounds.size - 1, np.int64)
        records = np.empty(starts.size * states.record_room(view.needs, many), np.int64)
        end = kernel.leaf_records(
            words, bounds, layout.form, layout.lag, lane_kind(layout, view.lane), view.lane, view.where,
            view.keeps_nulls, view.needs, code, key_start, many, starts, records,
        )  # fmt: skip
        before = held.records.size
        grown.append(
            ViewStates(
                view,
                np.concatenate([held.starts[:-1], starts + before, np.array([before + end])]),
                np.concatenate([held.records, records[:end]]),
            )
        )
    return Index(index.fields, tuple(grown), dictionaries)


def _chosen(held: ViewStates, order: Int64s) -> ViewStates:
    """The records of some leaves, in their order."""
    n = held.starts.size - 1
    if order.size == n and (order == np.arange(n)).all():
        return held
    first, sizes = held.starts[order], np.diff(held.starts)[order]
    starts = np.zeros(order.size + 1, np.int64)
    np.cumsum(sizes, out=starts[1:])
    at = np.arange(starts[-1]) + np.repeat(first - starts[:-1], sizes)
    return ViewStates(held.view, starts, held.records[at])


# ------------------------------------------------------------------------------------------------- other views


def serves(held: Sequence[int], views: Sequence[View]) -> bool:
    """Whether an index has what the views need, or has found that it cannot. held: the words of its views."""
    return [_wanted(word) for word in held] == [view.word for view in views]


def _wanted(word: int) -> int:
    lost, distinct = LOST << _NEEDS_SHIFT, states.DISTINCT << _NEEDS_SHIFT
    return word & ~lost | distinct if word & lost else word


def restate(
    layout: Layout, views: Sequence[View], index: Index, values: Sequence[bytes], rows: FlatRows
) -> Index:
    """The index with the records of these views, made of all its leaves; `values` and `rows` are these leaves."""
    words, offsets = join_values(values)
    octets = words.view(np.uint8).copy()
    fresh = Index(index.fields, tuple(_no_states(view, 0) for view in views))
    return _with_records(layout, fresh, octets, offsets * 8, rows.lanes, rows.key_start)


# ------------------------------------------------------------------------------------------------- flat rows


def _one_key(held: FlatRows, tail: FlatRows) -> FlatRows:
    """The rows of leaves, then those of the tail, as rows of one key: the tail's, as its counter and times say."""
    if held.n_rows == 0:
        return tail
    n = held.n_rows + tail.n_rows
    return replace(
        tail,
        key_start=np.array([0, n]),
        event_time=np.concatenate([held.event_time, tail.event_time]),
        known_at=np.concatenate([held.known_at, tail.known_at]),
        until=np.concatenate([held.until, tail.until]),
        dead=np.concatenate([held.dead, tail.dead]),
        row_id=joined(held.row_id, tail.row_id),
        content=np.concatenate([held.content, tail.content]),
        lanes=tuple(joined(a, b) for a, b in zip(held.lanes, tail.lanes, strict=True)),
    )


def _take(rows: FlatRows, at: Int64s, key_start: Int64s) -> FlatRows:
    """Rows of one key as those of others, which never had any more."""
    keys = key_start.size - 1
    content = rows.content.reshape(-1, 2)[at].reshape(-1) if rows.content.size else rows.content
    return FlatRows(
        key_start=key_start,
        event_time=rows.event_time[at],
        known_at=rows.known_at[at],
        until=rows.until[at],
        dead=rows.dead[at],
        row_id=rows.row_id.take(at),
        content=content,
        lanes=tuple(lane.take(at) for lane in rows.lanes),
        counter=np.zeros(keys, np.int64),
        first_activation=np.full(keys, MAX),
        newest_dropped=np.full(keys, MIN),
    )
