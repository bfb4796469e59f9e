"""Writing: rows of many keys → the online store, whatever their values hold, and whoever writes beside.

A key's rows are merged inside of `OnlineStore.update`, which is atomic, where its own value is enough: always for a key
that is not hot, and for a hot one whose arriving rows are its newest. Else leaves are read first, new ones are written
under names of their own, and the index that names them takes the place of the old one, if that is still what was read;
only then do the leaves go that it names no longer. Who is killed in between leaves leaves that nobody names, and
whoever reads an index and misses one of its leaves reads the index again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from gnomon.abc.online import OnlineStore
from gnomon.errors import Unavailable
from gnomon.kernels import leaves as kernel
from gnomon.kernels.rows import NO_LEAF
from gnomon.online.arrays import NO_INTS, Column, Int64s, VarColumn
from gnomon.online.codec import FlatRows, Layout, nothing, pack, refuse, select_keys, unpack
from gnomon.online.index import (
    NO_LEAVES,
    Index,
    View,
    glance,
    ids_key,
    is_index,
    leaf_key,
    leaves_table,
    pack_index,
    read_index,
    tail_of,
    with_tail,
)
from gnomon.online.merge import KEEP_ALL, Merged, Retention, merge
from gnomon.online.sealing import (
    SIZES,
    TAIL,
    Grown,
    Leaf,
    Sizes,
    expired,
    fingerprints,
    grow,
    heads,
    may_stray,
    place_of,
    restate,
    serves,
)

__all__ = ["Counts", "Target", "load", "update"]

_TRIES = 64


@dataclass(frozen=True, slots=True)
class Target:
    """Where rows are written."""

    table: str
    layout: Layout
    views: tuple[View, ...] = ()
    """What indexes of hot keys are to tell: `views.views_of` the group's outputs."""
    sizes: Sizes = field(default_factory=lambda: SIZES)


@dataclass(slots=True)
class Counts:
    """What became of rows."""

    duplicates: int = 0
    ties: int = 0
    late: int = 0
    retired: int = 0
    versions: Int64s = field(default_factory=lambda: NO_INTS)
    """[K]: the version counter that each key was left with."""

    def add(self, merged: Merged, retired: int = 0) -> None:
        self.duplicates += merged.duplicates
        self.ties += merged.ties
        self.late += merged.late
        self.retired += merged.retired + retired


def load(
    store: OnlineStore, target: Target, keys: Sequence[bytes], rows: FlatRows, retention: Retention = KEEP_ALL
) -> Counts:
    """Fill a table that is empty. keys: ascending, of `rows`, key by key.

    Raises: IdConflict.
    """
    counts = Counts(versions=np.ones(len(keys), np.int64))
    layout = target.layout
    hot = np.flatnonzero(np.diff(rows.key_start) >= target.sizes.limit).tolist()
    if not hot:
        _load_flat(store, target, keys, rows, retention, counts)
        return counts
    few = sorted(set(range(len(keys))) - set(hot))
    # Leaves that a killed run has left would lie there for ever.
    store.drop(leaves_table(target.table))
    values = []
    for k in hot:
        grown = grow(
            layout, target.views, NO_LEAVES, [], nothing(layout, 0), nothing(layout, 1), select_keys(rows, [k]),
            retention, target.sizes,
        )  # fmt: skip
        counts.add(grown.merged, grown.retired)
        store.load(leaves_table(target.table), _stored(keys[k], grown.made))
        values.append((keys[k], _value(layout, grown)))
    _load_flat(store, target, [keys[k] for k in few], select_keys(rows, few), retention, counts)
    store.load(target.table, values)
    return counts


def _load_flat(
    store: OnlineStore,
    target: Target,
    keys: Sequence[bytes],
    rows: FlatRows,
    retention: Retention,
    counts: Counts,
) -> None:
    merged = merge(target.layout, nothing(target.layout, len(keys)), rows, retention)
    buffer, offsets = pack(target.layout, merged.rows)
    # Copies: a million views of one buffer keep the garbage collector busy for longer than copying takes.
    view, bounds = buffer.tobytes(), offsets.tolist()
    store.load(target.table, ((k, view[a:b]) for k, a, b in zip(keys, bounds, bounds[1:], strict=False)))
    counts.add(merged)


def _stored(key: bytes, made: Sequence[Leaf]) -> list[tuple[bytes, bytes]]:
    """New leaves as they are kept, with the fingerprints of their ids beside them."""
    rows = [(leaf_key(key, leaf.name), leaf.value) for leaf in made]
    return rows + [(ids_key(key, leaf.name), leaf.ids) for leaf in made if leaf.ids]


def _value(layout: Layout, grown: Grown) -> bytes:
    buffer, _ = pack(layout, grown.tail)
    if grown.index.n_leaves == 0:
        return buffer.tobytes()
    return pack_index(layout, grown.index, buffer.tobytes())


def update(
    store: OnlineStore,
    target: Target,
    keys: Sequence[bytes],
    rows: FlatRows,
    retention: Retention = KEEP_ALL,
    *,
    whole: bool = False,
) -> Counts:
    """Merge rows into what the keys hold. keys: ascending, of `rows`, key by key · whole: as for `merge`.

    After an error some keys are written and some not; doing it again is safe.
    Raises: IdConflict; CorruptValue; Unavailable, also if a key changes each time that its leaves are read.
    """
    layout, table = target.layout, target.table
    done: dict[int, Merged] = {}
    versions = np.zeros(len(keys), np.int64)
    left: dict[int, bytes | None] = {}

    def combine(positions: Sequence[int], old: list[bytes | None]) -> list[bytes | memoryview | None]:
        """Merge where a key's own value is enough; the others stay as they are."""
        new: list[bytes | memoryview | None] = list(old)
        here = [i for i, p in enumerate(positions) if _is_enough(target, rows, p, old[i], retention)]
        left.update({p: old[i] for i, p in enumerate(positions)})
        for i in here:
            del left[positions[i]]
        tails = [_rows_of(old[i]) for i in here]
        held = unpack(layout, tails, lambda i: f"{table}, key {keys[positions[here[i]]]!r}")
        merged = merge(layout, held, select_keys(rows, [positions[i] for i in here]), retention, whole=whole)
        buffer, offsets = pack(layout, merged.rows)
        # A store may ask again for the same keys: what the last answer did is what was done.
        done[positions[0]] = merged
        versions[[positions[i] for i in here]] = merged.rows.counter
        for i, (a, b) in zip(here, pairwise(offsets.tolist()), strict=True):
            before = old[i]
            tail = buffer.data[a:b]
            new[i] = with_tail(before, tail) if before is not None and is_index(before) else tail
        return new

    store.update(table, keys, combine)
    counts = Counts(versions=versions)
    for merged in done.values():
        counts.add(merged)
    _update_hot(store, target, keys, rows, retention, left, counts, whole)
    return counts


def _rows_of(value: bytes | None) -> bytes | memoryview | None:
    """The value of rows that is in a value."""
    return tail_of(value) if value is not None and is_index(value) else value


def _count(value: bytes | memoryview | None) -> int:
    """The rows of a value of rows; broken ones tell anything."""
    return int.from_bytes(value[4:8], "little") if value is not None else 0


def _is_enough(target: Target, rows: FlatRows, k: int, value: bytes | None, retention: Retention) -> bool:
    """Whether the rows of key k can be merged without a look at leaves, and none need be made."""
    first, last = int(rows.key_start[k]), int(rows.key_start[k + 1])
    if _count(_rows_of(value)) + last - first >= target.sizes.limit:
        return False
    if value is None or not is_index(value):
        return True
    layout = target.layout
    fields, views = glance(value)
    if not serves(views, target.views) or expired(layout, fields, retention).any():
        return False
    if rows.dead[first:last].any() or rows.event_time[first:last].min() <= fields[kernel.LAST_TIME, -1]:
        return False
    if not may_stray(layout):
        return True
    new = heads(layout, rows.row_id.take(np.arange(first, last)))
    return bool(new.min() > fields[kernel.ID_MAX].max() or new.max() < fields[kernel.ID_MIN].min())


# ---------------------------------------------------------------------------------------------------- hot keys


@dataclass(slots=True)
class _Step:
    """A hot key under way."""

    k: int
    value: bytes | None
    """As it was read."""
    new: FlatRows
    index: Index = NO_LEAVES
    tail: FlatRows | None = None
    leaves: dict[int, bytes] = field(default_factory=dict)
    grown: Grown | None = None
    packed: bytes = b""
    published: bool = False


def _update_hot(
    store: OnlineStore,
    target: Target,
    keys: Sequence[bytes],
    rows: FlatRows,
    retention: Retention,
    values: dict[int, bytes | None],
    counts: Counts,
    whole: bool,
) -> None:
    for _ in range(_TRIES):
        if not values:
            return
        steps = [_Step(k, values[k], select_keys(rows, [k])) for k in sorted(values)]
        ready = [step for step in steps if _prepare(store, target, keys, step)]
        for step in ready:
            _grow(target, step, retention, whole)
        _publish(store, target, keys, ready)
        for step in ready:
            if step.published and step.grown is not None:
                counts.add(step.grown.merged, step.grown.retired)
                counts.versions[step.k] = step.grown.tail.counter[0]
                del values[step.k]
        again = [step for step in steps if step.k in values]
        for step, value in zip(again, store.read(target.table, [keys[s.k] for s in again]), strict=True):
            if step.grown is None and value == step.value:
                raise refuse(NO_LEAF, f"{target.table}, key {keys[step.k]!r}")
            values[step.k] = value
    raise Unavailable(
        f"keys of `{target.table}` change all the time: {keys[min(values)]!r}",
        hint="try again when other writers are done",
    )


def _prepare(store: OnlineStore, target: Target, keys: Sequence[bytes], step: _Step) -> bool:
    """Read what of a key must be looked at; False if it has changed meanwhile."""
    layout, at = target.layout, f"{target.table}, key {keys[step.k]!r}"
    step.tail = unpack(layout, [_rows_of(step.value)], lambda _: at)
    if step.value is None or not is_index(step.value):
        return True
    step.index = read_index(layout, step.value, at)
    if not serves([view.word for view in step.index.views], target.views):
        return _read(store, target, keys, step, range(step.index.n_leaves))
    first, last = place_of(layout, step.index, step.new)
    wanted = {
        leaf for a, b in set(zip(first.tolist(), last.tolist(), strict=True)) for leaf in range(a, b + 1)
    }
    if not _read(store, target, keys, step, wanted - {TAIL}):
        return False
    return _read(store, target, keys, step, _others(store, target, keys, step))


def _read(
    store: OnlineStore, target: Target, keys: Sequence[bytes], step: _Step, leaves: Sequence[int] | set[int]
) -> bool:
    wanted = sorted(set(leaves) - set(step.leaves))
    names = [leaf_key(keys[step.k], name) for name in step.index.names(wanted)]
    found = store.read(leaves_table(target.table), names) if names else []
    for leaf, value in zip(wanted, found, strict=True):
        if value is None:
            return False
        step.leaves[leaf] = value
    return True


def _others(store: OnlineStore, target: Target, keys: Sequence[bytes], step: _Step) -> list[int]:
    """Leaves in which other versions of arriving rows may stand, although their time is another.

    All versions of a row stand in one place: it is found at its own time, or is looked for everywhere. Which leaves may
    have its id is told by the range of theirs, and then by their fingerprints.
    """
    layout, new, index = target.layout, step.new, step.index
    if layout.kind == "state":
        return []
    strays = np.arange(new.n_rows) if may_stray(layout) else np.flatnonzero(new.dead)
    if not strays.size:
        return []
    at_hand = unpack(layout, [_rows_of(step.value), *step.leaves.values()])
    known, ids = set(_ids(at_hand.row_id)), _ids(new.row_id)
    unknown = np.array([i for i in strays.tolist() if ids[i] not in known], np.int64)
    if not unknown.size:
        return []
    sought = new.row_id.take(unknown)
    least, greatest = index.fields[kernel.ID_MIN], index.fields[kernel.ID_MAX]
    head = np.sort(heads(layout, sought))
    # Of ascending heads, the first one that is not below the least of a leaf is not above its greatest.
    first = np.searchsorted(head, least)
    may = np.flatnonzero((first < head.size) & (head[first.clip(max=head.size - 1)] <= greatest)).tolist()
    left = [leaf for leaf in may if leaf not in step.leaves]
    if not may_stray(layout) or not left:
        return left
    held = store.read(leaves_table(target.table), [ids_key(keys[step.k], name) for name in index.names(left)])
    # A leaf without one fingerprint a row is looked at itself.
    sizes = index.fields[kernel.ROWS, left]
    whole = np.array([len(value or b"") for value in held]) == 4 * sizes
    starts = np.zeros(len(left) + 1, np.int64)
    np.cumsum(np.where(whole, sizes, 0), out=starts[1:])
    parts = [value or b"" for value, here in zip(held, whole, strict=True) if here]
    prints = np.frombuffer(b"".join(parts), np.uint32)
    meets = kernel.meets(prints, starts, np.sort(fingerprints(layout, sought)))
    return [leaf for leaf, found in zip(left, (meets != 0) | ~whole, strict=True) if found]


def _ids(column: Column) -> list[object]:
    """Row ids as values that compare."""
    if isinstance(column, VarColumn):
        return list(column.to_list())
    return list(column.words.tolist()) if column.width == 1 else list(map(tuple, column.pairs.tolist()))


def _grow(target: Target, step: _Step, retention: Retention, whole: bool) -> None:
    layout = target.layout
    assert step.tail is not None
    touched = sorted(step.leaves)
    held = unpack(layout, [step.leaves[leaf] for leaf in touched])
    index = step.index
    if index.n_leaves and not serves([view.word for view in index.views], target.views):
        values = [step.leaves[leaf] for leaf in touched]
        index = restate(layout, target.views, index, values, held)
    step.grown = grow(
        layout,
        target.views,
        index,
        touched,
        held,
        step.tail,
        step.new,
        retention,
        target.sizes,
        whole=whole,
    )
    if step.value is not None and index is step.index and not step.grown.made and not step.grown.gone:
        buffer, _ = pack(layout, step.grown.tail)
        step.packed = with_tail(step.value, buffer.data) if is_index(step.value) else buffer.tobytes()
    else:
        step.packed = _value(layout, step.grown)


def _publish(store: OnlineStore, target: Target, keys: Sequence[bytes], steps: Sequence[_Step]) -> None:
    """Write new leaves, then the indexes that name them, then let go of the leaves that no index names."""
    leaves = leaves_table(target.table)
    made = [row for step in steps if step.grown for row in _stored(keys[step.k], step.grown.made)]
    if made:
        store.load(leaves, made)

    def replace(positions: Sequence[int], old: list[bytes | None]) -> list[bytes | None]:
        new = list(old)
        for i, p in enumerate(positions):
            step = steps[p]
            step.published = old[i] == step.value
            if step.published:
                new[i] = step.packed
        return new

    store.update(target.table, [keys[step.k] for step in steps], replace)
    strays = may_stray(target.layout)
    unnamed = [
        key
        for step in steps
        if step.grown
        for name in (step.grown.gone if step.published else [leaf.name for leaf in step.grown.made])
        for key in (leaf_key(keys[step.k], name), *([ids_key(keys[step.k], name)] if strays else []))
    ]
    if unnamed:
        store.delete(leaves, unnamed)
