"""Rows as read → rows in order: keys matched with the spine's, versions resolved, visibility told.

The frames are in normal form (`plan.normal`). What is known at t, and which version counts, is decided here
and in `kernels.order` and `kernels.bounds`, for every path that reads rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gnomon import columns
from gnomon.columns import NO_FLAGS, NO_WORDS, Flags, Words
from gnomon.errors import DataError, counted
from gnomon.kernels import order
from gnomon.plan.identity import content_columns, content_hashes, row_hashes
from gnomon.plan.layout import NONE, Layout, Output
from gnomon.plan.normal import ALIVE, DEAD, ID, KNOWN, PART, STORED, TIME, key
from gnomon.time import NEVER

AsOf = Literal["known", "latest"] | int
"""Which rows are seen at t: those known at t, all, or those known at an instant."""

_ORDERED = {"first", "last", "first_k", "last_k"}
_SIGN = np.uint64(1 << 63)


@dataclass(frozen=True)
class Rows:
    """The rows of a part that matter, sorted by (code, event time, declared known_at, row id)."""

    position: Words
    """Of each row in the frame it came from, int64[n]."""
    code: Words
    time: Words
    known: Words
    """When each row becomes known; zero-length where that is not later than its event time."""
    until: Words
    """When each row is replaced; zero-length where none is."""
    ties: int = 0
    """State groups: rows that lost to another of the same event time, known_at and id."""


def needs_content(layout: Layout, outputs: Sequence[Output], many_parts: bool) -> bool:
    """Whether row hashes may be needed, so that content columns must be read."""
    return layout.kind == "state" or layout.event_id is not None or many_parts or orders(outputs)


def orders(outputs: Sequence[Output]) -> bool:
    """Whether any value depends on the order of rows with equal times."""
    return any(o.function in _ORDERED or o.limit != NONE for o in outputs)


def match_keys(spine: pl.DataFrame, n: int, rows: pl.DataFrame, layout: Layout) -> tuple[Words, Words]:
    """Number the keys: codes of the `n` spine rows (-1 for a null key) and of rows (-1 where the spine lacks
    the key).

    Without key columns all have the same key; `spine` then has no columns, and so no height.
    """
    names = [key(i) for i in range(len(layout.keys))]
    if not names:
        return np.zeros(n, np.int64), np.zeros(len(rows), np.int64)
    whole = spine.select(pl.all_horizontal(pl.col(n).is_not_null() for n in names)).to_series()
    if len(names) == 1 and columns.kind_of(layout.keys[0][1]) == "word":
        found = np.full(len(spine), -1, np.int64)
        at = np.flatnonzero(whole.to_numpy())
        wanted = columns.words(spine[names[0]])
        _, found[at], row_code = order.index_ints(wanted[at], columns.words(rows[names[0]]))
        return found, row_code
    known = spine.filter(whole).select(names).unique(maintain_order=True).with_row_index("__code")

    def codes(frame: pl.DataFrame) -> Words:
        joined = frame.select(names).join(known, on=names, how="left", maintain_order="left")
        return columns.words(joined["__code"].cast(pl.Int64).fill_null(-1))

    return codes(spine), codes(rows)


def resolve(layout: Layout, frame: pl.DataFrame, code: Words, as_of: AsOf, outputs: Sequence[Output]) -> Rows:
    """Sort the rows with code >= 0 and resolve their versions.

    Raises: DataError when one event id has two contents at one known_at.
    """
    time = columns.words(frame[TIME])
    declared = columns.words(frame[KNOWN]) if layout.known_at is not None else NO_WORDS
    known = known_times(layout, frame, time)
    dead = markers(frame)
    if as_of == "latest" and len(declared):
        # What is not known yet is the latest version all the same: its time must come before NEVER, which
        # says that nothing replaces a row.
        known = np.minimum(known, NEVER - 1)
    code = np.array(code)
    if isinstance(as_of, int):
        code[known > as_of] = -1
    until = NO_WORDS
    if layout.kind == "event":
        if PART in frame.columns:
            code[_delivered_before(frame, layout, code)] = -1
        if layout.event_id is not None:
            until = _event_versions(layout, frame, code, known, dead)
        if len(dead):
            code[dead != 0] = -1
    position = order.sort_rows(code, time)
    _sort_ties(layout, frame, position, code, time, declared, outputs)
    rows_code, rows_time = code[position], time[position]
    rows_until = until[position] if len(until) else NO_WORDS
    ties = 0
    if layout.kind == "state":
        before = position
        position, rows_until, ties = _state_versions(
            layout, frame, position, rows_code, rows_time, known, dead
        )
        if position is not before:
            rows_code, rows_time = code[position], time[position]
    rows_known = known[position] if known is not time else NO_WORDS
    if as_of != "known":
        if len(rows_until):
            newest = rows_until == NEVER
            position, rows_code, rows_time = position[newest], rows_code[newest], rows_time[newest]
        return Rows(position, rows_code, rows_time, NO_WORDS, NO_WORDS, ties)
    return Rows(position, rows_code, rows_time, rows_known, rows_until, ties)


def known_times(layout: Layout, frame: pl.DataFrame, time: Words) -> Words:
    """When each row of a frame in normal form became known: as stored with a change, as declared, or `time` and the
    lag. The array `time` itself where that is all.
    """
    if layout.known_at is not None:
        known = columns.words(frame[KNOWN])
    else:
        # A lag moves all rows alike, so that it needs no column; versions compare by it all the same.
        known = later(time, layout.lag) if layout.lag else time
    if STORED not in frame.columns or frame[STORED].null_count() == len(frame):
        return known
    stored = frame[STORED]
    return np.where(stored.is_not_null().to_numpy(), columns.words(stored.fill_null(0)), known)


def markers(frame: pl.DataFrame) -> Flags:
    """Which rows are markers of deletes, uint8[n]; zero-length where none is."""
    if DEAD not in frame.columns:
        return NO_FLAGS
    dead = columns.flags(frame[DEAD] != ALIVE)
    return dead if dead.any() else NO_FLAGS


def later(time: Words, lag: int) -> Words:
    return np.where(time > NEVER - lag, NEVER, time + lag)


def _delivered_before(frame: pl.DataFrame, layout: Layout, code: Words) -> NDArray[np.bool_]:
    """Rows without an event id whose content, and ordinal in its batch, another batch has brought already."""
    h1, h2 = row_hashes(frame, layout, frame[PART])
    if layout.event_id is not None:
        return np.zeros(len(code), bool)
    again = pl.DataFrame({"a": h1, "b": h2}).select(
        (~pl.struct("a", "b").is_first_distinct()).alias("again")
    )["again"]
    return again.to_numpy()


def _event_versions(layout: Layout, frame: pl.DataFrame, code: Words, known: Words, dead: Flags) -> Words:
    """Resolve rows of one (key, event id). Marks what does not count with code -1; returns until, or nothing."""
    ids = frame[ID]
    if ids.null_count():
        raise DataError(
            f"group `{layout.name}`: `{layout.event_id}` is null in {counted(ids.null_count(), 'row')}",
            hint="every row of a source with an event_id column needs one",
        )
    if ids.n_unique() == len(ids):
        return NO_WORDS
    pairs = pl.DataFrame({"code": code, "id": ids}).with_row_index("at").filter(pl.col("code") >= 0)
    shared = pairs.filter(pl.struct("code", "id").is_duplicated())
    if not len(shared):
        return NO_WORDS
    at = shared["at"].cast(pl.Int64).to_numpy()
    ident = columns.words(shared.select(pl.struct("code", "id").rank("dense")).to_series()) - 1
    h1, h2 = content_hashes(frame[at], layout)
    n = len(at)
    keep, until_here, conflict, _ = order.versions(
        ident, known[at], np.zeros(n, np.int64), h1, h2, _dead_at(dead, at), True
    )
    if len(conflict):
        first = int(at[conflict[0]])
        raise DataError(
            f"group `{layout.name}`: event_id `{layout.event_id}` is not unique: {counted(len(conflict), 'row')} "
            f"with an id in common with other content known at the same time",
            at=f"{layout.event_id} = {ids[first]!r}",
            hint="a correction needs a later known_at; rows that are different events need different ids",
        )
    code[at[keep == 0]] = -1
    until = np.full(len(code), NEVER)
    until[at] = until_here
    return until


class ContentNeeded(Exception):
    """Rows tie, and the frame lacks the content that decides."""


def _dead_at(dead: Flags, at: Words) -> Flags:
    return dead[at] if len(dead) else np.zeros(len(at), np.uint8)


def _state_versions(
    layout: Layout, frame: pl.DataFrame, position: Words, code: Words, time: Words, known: Words, dead: Flags
) -> tuple[Words, Words, int]:
    """Resolve rows of one (key, event time): positions that stay, their until (or nothing), and the number
    of ties.
    """
    starts, ends = order.tied_runs(code, time, NO_WORDS)
    if not len(starts):
        return (position[dead[position] == 0], NO_WORDS, 0) if len(dead) else (position, NO_WORDS, 0)
    if not set(content_columns(layout)) <= set(frame.columns):
        raise ContentNeeded
    within = order.run_positions(starts, ends)
    at = position[within]
    ident = np.repeat(np.arange(len(starts)), ends - starts)
    h1, h2 = content_hashes(frame[at], layout)
    ids = _id_ranks(frame[ID][at]) if layout.event_id is not None else np.zeros(len(at), np.int64)
    keep, until_here, _, ties = order.versions(ident, known[at], ids, h1, h2, _dead_at(dead, at), False)
    stays = dead[position] == 0 if len(dead) else np.ones(len(position), bool)
    stays[within] = keep != 0
    until = np.full(len(position), NEVER)
    until[within] = until_here
    return position[stays], until[stays], int(ties)


def _sort_ties(
    layout: Layout,
    frame: pl.DataFrame,
    position: Words,
    code: Words,
    time: Words,
    declared: Words,
    outputs: Sequence[Output],
) -> None:
    """Put rows of one key and time into the order of declared known_at and row id, in place."""
    no_rank = np.empty(0, np.uint64)
    if len(declared):
        starts, ends = order.tied_runs(code[position], time[position], NO_WORDS)
        if len(starts):
            at = position[order.run_positions(starts, ends)]
            order.sort_runs(position, starts, ends, declared[at], no_rank, no_rank)
    if layout.kind == "state" or not orders(outputs):
        return
    known = declared[position] if len(declared) else NO_WORDS
    starts, ends = order.tied_runs(code[position], time[position], known)
    if not len(starts):
        return
    at = position[order.run_positions(starts, ends)]
    if layout.event_id is not None:
        order.sort_runs(position, starts, ends, _id_ranks(frame[ID][at]), no_rank, no_rank)
    else:
        # Equal rows stand in one run, so that their ordinals are those of their ids, whichever batches they
        # came in.
        h1, h2 = row_hashes(frame[at], layout)
        order.sort_runs(position, starts, ends, NO_WORDS, h1, h2)


def _id_ranks(ids: pl.Series) -> Words:
    """Integers that order as the ids do: numbers by value, text by code point."""
    return columns.words(ids) if ids.dtype.is_integer() else columns.words(ids.rank("dense"))
