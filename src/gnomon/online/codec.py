"""The value of a key in the online store: rows of many keys ↔ one packed value a key. No input or output.

The bytes are described in `gnomon.kernels.rows`; how values meet is in `gnomon.online.merge`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import blake2b
from typing import Literal

import numpy as np

from gnomon.columns import Kind
from gnomon.errors import CorruptValue, DataError
from gnomon.kernels import rows as kernel
from gnomon.online.arrays import NO_BYTES, NO_INTS, Bytes, Column, Int64s, VarColumn, WordColumn

__all__ = [
    "MAX",
    "MIN",
    "FlatRows",
    "IdKind",
    "Lane",
    "Layout",
    "fresh",
    "join_values",
    "nothing",
    "pack",
    "select_keys",
    "unpack",
]

MAX, MIN = kernel.MAX, kernel.MIN

IdKind = Literal["hash", "int", "text"]
"""hash: 128 bits of content, two words · int: one word · text: bytes, UTF-8."""

_FORM = {"word": kernel.FIXED, "float": kernel.FIXED, "wide": kernel.WIDE, "bytes": kernel.VAR}
_WORDS = {"word": 1, "float": 1, "wide": 2, "bytes": 0, "hash": 2, "int": 1, "text": 0}
"""Words of one row of a column of each kind; 0 where they differ from row to row."""
_ID_FORM = {"hash": kernel.ID_HASH, "int": kernel.ID_INT, "text": kernel.ID_TEXT}

# Words of one chunk: what fits into a core's cache beside the columns that it is written from.
_CHUNK = 1 << 16
# Words from which a second thread is worth its start.
_SPLIT = 1 << 21
_MAX_VAR = 1 << 32


@dataclass(frozen=True, slots=True)
class Lane:
    """One column of the rows of a group."""

    name: str
    kind: Kind


@dataclass(frozen=True)
class Layout:
    """What stands in the values of one group."""

    kind: Literal["state", "event"]
    id_kind: IdKind
    """Of a state group: the kind of its `event_id`, or hash where it has none."""
    declared_known: bool
    """Whether the source declares `known_at`; only a declared one orders the rows of an event group."""
    lag: int
    """Microseconds, >= 0: known_at = event_time + lag, unless a row says otherwise."""
    lanes: tuple[Lane, ...]

    @cached_property
    def digest(self) -> int:
        """An int64, stored with each value. The lag is a part of it: it gives a meaning to absent columns."""
        parts = [self.kind, self.id_kind, str(self.declared_known), str(self.lag)]
        for lane in self.lanes:
            parts += [lane.name, lane.kind]
        text = "".join(f"{len(part)}:{part}" for part in parts)
        return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little", signed=True)

    @cached_property
    def form(self) -> Int64s:
        """[1 + lanes]: the kinds of the id and the lanes, as the kernels want them."""
        return np.array([_ID_FORM[self.id_kind], *(_FORM[lane.kind] for lane in self.lanes)], np.int64)


@dataclass(frozen=True, slots=True)
class FlatRows:
    """The row versions of K keys, one key after the other; n rows in all, those of a key in order."""

    key_start: Int64s
    """[K + 1]: the rows of key k are `[key_start[k], key_start[k + 1])`."""
    event_time: Int64s
    """[n]. A delete marker has the time of what it deletes where that is known."""
    known_at: Int64s
    """[n]; MAX: not known yet."""
    until: Int64s
    """[n]: known_at of the version that replaces this one, MAX for none; its own, if it never counted."""
    dead: Bytes
    """[n]: 1 for the marker of a delete, which has no values and, in a state group, no id of its own."""
    row_id: Column
    """[n]; of a state group its event ids, or the content hashes where it has none."""
    content: Int64s
    """[2n]: content hashes; [0] where the row id is the hash."""
    lanes: tuple[Column, ...]
    counter: Int64s
    """[K]: how many updates each key has seen."""
    first_activation: Int64s
    """[K]: of the rows that retention dropped; MAX for none."""
    newest_dropped: Int64s
    """[K]: greatest event_time that counted among the rows that retention dropped; MIN for none."""

    @property
    def n_keys(self) -> int:
        return self.key_start.size - 1

    @property
    def n_rows(self) -> int:
        return self.event_time.size

    @property
    def hashes(self) -> Int64s:
        """[n, 2]: the content hash of each row."""
        if self.content.size or not isinstance(self.row_id, WordColumn) or self.row_id.width != 2:
            return self.content.reshape(-1, 2)
        return self.row_id.pairs

    def key_of_row(self) -> Int64s:
        """[n]"""
        return np.repeat(np.arange(self.n_keys), np.diff(self.key_start))


def fresh(
    key_start: Int64s,
    event_time: Int64s,
    known_at: Int64s,
    row_id: Column,
    lanes: tuple[Column, ...],
    *,
    content: Int64s = NO_INTS,
    dead: Bytes = NO_BYTES,
) -> FlatRows:
    """Rows as they arrive, one update a key. Versions are not resolved nor rows ordered before a `merge`."""
    n, keys = event_time.size, key_start.size - 1
    return FlatRows(
        key_start=key_start,
        event_time=event_time,
        known_at=known_at,
        until=np.full(n, MAX),
        dead=dead if dead.size else np.zeros(n, np.uint8),
        row_id=row_id,
        content=content,
        lanes=lanes,
        counter=np.ones(keys, np.int64),
        first_activation=np.full(keys, MAX),
        newest_dropped=np.full(keys, MIN),
    )


def select_keys(rows: FlatRows, keys: Sequence[int]) -> FlatRows:
    """The rows of some keys, in the order given."""
    chosen = np.asarray(keys, np.int64)
    starts, ends = rows.key_start[chosen], rows.key_start[chosen + 1]
    sizes = ends - starts
    key_start = np.zeros(len(chosen) + 1, np.int64)
    np.cumsum(sizes, out=key_start[1:])
    at = np.arange(key_start[-1]) + np.repeat(starts - key_start[:-1], sizes)
    content = rows.content.reshape(-1, 2)[at].reshape(-1) if rows.content.size else rows.content
    return FlatRows(
        key_start=key_start,
        event_time=rows.event_time[at],
        known_at=rows.known_at[at],
        until=rows.until[at],
        dead=rows.dead[at],
        row_id=rows.row_id.take(at),
        content=content,
        lanes=tuple(column.take(at) for column in rows.lanes),
        counter=rows.counter[chosen],
        first_activation=rows.first_activation[chosen],
        newest_dropped=rows.newest_dropped[chosen],
    )


# ---------------------------------------------------------------------------------------------------- writing


@dataclass(slots=True)
class _Writer:
    """Values under construction: where each begins, and how far it is written."""

    words: Int64s
    octets: Bytes
    starts: Int64s
    cursor: Int64s
    nulls: list[Bytes] = field(default_factory=list)


def pack(layout: Layout, rows: FlatRows) -> tuple[Bytes, Int64s]:
    """Write one value a key, also for a key without rows, which keeps its counter and times.

    Shape:  K keys → (buffer uint8[], offsets int64[K + 1] in bytes, multiples of 8)
    Raises: DataError where the bytes of one text lane of one key reach 4 GiB; TypeError for columns that are not
            those of the layout, whose values could be read as nothing but other values.
    """
    _check_form(layout, rows)
    key_start = rows.key_start
    flags = kernel.value_flags(key_start, rows.event_time, rows.known_at, rows.until, rows.dead, layout.lag)
    sizes = kernel.value_words(key_start, flags, _row_words(layout), len(layout.lanes))
    nulls = [kernel.any_null(key_start, lane.valid) if lane.valid.size else NO_BYTES for lane in rows.lanes]
    for chosen in nulls:
        if chosen.size:
            kernel.add_bit_words(key_start, chosen, sizes)
    for column in (rows.row_id, *rows.lanes):
        if isinstance(column, VarColumn):
            longest = kernel.add_var_words(key_start, column.offsets, sizes)
            if longest >= _MAX_VAR:
                raise DataError(f"{longest} bytes of one column of one key are too many for one online value")
    starts = np.zeros(rows.n_keys + 1, np.int64)
    np.cumsum(sizes, out=starts[1:])
    words = np.empty(starts[-1], np.int64)
    writer = _Writer(words, words.view(np.uint8), starts, starts[:-1].copy(), nulls)

    def write(first: int, last: int) -> None:
        for low, high in _chunks(starts, first, last):
            _write_chunk(layout, rows, flags, writer, low, high)

    _by_halves(write, starts)
    return writer.octets, starts * 8


def _check_form(layout: Layout, rows: FlatRows) -> None:
    names = ["row id", *(f"lane `{lane.name}`" for lane in layout.lanes)]
    columns = (rows.row_id, *rows.lanes)
    if len(names) != len(columns):
        raise TypeError(f"{len(rows.lanes)} lanes for a layout of {len(layout.lanes)}")
    kinds = [layout.id_kind, *(lane.kind for lane in layout.lanes)]
    for name, kind, column in zip(names, kinds, columns, strict=True):
        words = column.width if isinstance(column, WordColumn) else 0
        if words != _WORDS[kind]:
            raise TypeError(f"the {name} is of kind {kind}, and its column is not")


def _row_words(layout: Layout) -> int:
    """Words of a row in every value: event_time, ids, lanes of fixed width."""
    content = 0 if layout.id_kind == "hash" else 2
    return 1 + _WORDS[layout.id_kind] + content + sum(_WORDS[lane.kind] for lane in layout.lanes)


def _write_chunk(layout: Layout, rows: FlatRows, flags: Bytes, to: _Writer, low: int, high: int) -> None:
    """Write the values of keys [low, high), section by section."""
    start = rows.key_start
    kernel.put_headers(
        to.words, to.cursor, start, low, high, flags,
        rows.counter, rows.first_activation, rows.newest_dropped, layout.digest, len(layout.lanes),
    )  # fmt: skip
    _put_words(to, start, low, high, rows.event_time, 1)
    kernel.put_words(to.words, to.cursor, start, low, high, rows.known_at, 1, flags & kernel.KNOWN)
    kernel.put_words(to.words, to.cursor, start, low, high, rows.until, 1, flags & kernel.UNTIL)
    kernel.put_bits(to.words, to.cursor, start, low, high, rows.dead, flags & kernel.DEAD, to.starts, -1)
    _put_column(to, start, low, high, rows.row_id)
    _put_words(to, start, low, high, rows.content, 2)
    for number, (lane, nulls) in enumerate(zip(rows.lanes, to.nulls, strict=True)):
        _put_column(to, start, low, high, lane)
        if nulls.size:
            kernel.put_bits(to.words, to.cursor, start, low, high, lane.valid, nulls, to.starts, number)
    kernel.seal(to.words, to.starts, low, high)


def _put_column(to: _Writer, key_start: Int64s, low: int, high: int, column: Column) -> None:
    if isinstance(column, WordColumn):
        _put_words(to, key_start, low, high, column.words, column.width)
    else:
        kernel.put_var(to.words, to.octets, to.cursor, key_start, low, high, column.offsets, column.data)


def _put_words(to: _Writer, key_start: Int64s, low: int, high: int, values: Int64s, width: int) -> None:
    if values.size:
        kernel.put_words(to.words, to.cursor, key_start, low, high, values, width, NO_BYTES)


def _chunks(starts: Int64s, first: int, last: int) -> Iterator[tuple[int, int]]:
    """Ranges of keys whose values are together about `_CHUNK` words, at least one key each."""
    while first < last:
        after = int(np.searchsorted(starts[: last + 1], starts[first] + _CHUNK, side="right")) - 1
        after = min(max(after, first + 1), last)
        yield first, after
        first = after


def _by_halves(work: Callable[[int, int], None], starts: Int64s) -> None:
    """Do `work` for all keys; in two threads where there is much of it, as kernels let go of the GIL."""
    keys = starts.size - 1
    if starts[-1] < _SPLIT:
        work(0, keys)
        return
    middle = int(np.searchsorted(starts, starts[-1] // 2))
    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(work, 0, middle), pool.submit(work, middle, keys)]:
            done.result()


# ---------------------------------------------------------------------------------------------------- reading


def join_values(values: Sequence[bytes | memoryview | None]) -> tuple[Int64s, Int64s]:
    """Lay values side by side, as the kernels read them.

    Shape:  K values → (words int64[], read-only; offsets int64[K + 1] in words)
    Raises: CorruptValue where a value is not a whole number of words.
    """
    if len(values) == 1:
        buffer = bytes(values[0] or b"")
        size = len(buffer)
        offsets = np.zeros(2, np.int64)
        offsets[1] = size >> 3
        odd = size & 7
    else:
        parts = [value or b"" for value in values]
        buffer = b"".join(parts)
        lengths = np.fromiter(map(len, parts), np.int64, len(parts))
        offsets = np.zeros(len(parts) + 1, np.int64)
        np.cumsum(lengths >> 3, out=offsets[1:])
        odd = int(np.bitwise_or.reduce(lengths & 7, initial=0))
    if odd:
        raise CorruptValue("an online value is not a whole number of words", hint=_REBUILD)
    return np.frombuffer(buffer, np.int64), offsets


_REBUILD = "materialize the group again"
_REASONS = {
    kernel.BAD_CHECKSUM: "its checksum does not match",
    kernel.BAD_FORMAT: "it is of no format that this release knows",
    kernel.BAD_LAYOUT: "it was written for other columns",
    kernel.NO_LEAF: "some of its rows are missing",
}


def refuse(reason: int, at: str) -> CorruptValue:
    """The error for a value that the kernels refused. at: names table and key."""
    return CorruptValue(f"an online value cannot be read: {_REASONS[reason]}", at=at, hint=_REBUILD)


def unpack(
    layout: Layout,
    values: Sequence[bytes | memoryview | None],
    name: Callable[[int], str] = "value {}".format,
) -> FlatRows:
    """Read values; a missing one has no rows and no updates.

    name: position → the table and key, for the error.
    Raises: CorruptValue for the first value whose checksum, format or layout is wrong.
    """
    words, offsets = join_values(values)
    counts, error, var_bytes, nulls = kernel.inspect(words, offsets, layout.digest, layout.form)
    if error.any():
        wrong = int(np.flatnonzero(error)[0])
        raise refuse(int(error[wrong]), name(wrong))
    key_start = np.zeros(len(values) + 1, np.int64)
    np.cumsum(counts, out=key_start[1:])
    rows = _blank(layout, key_start, var_bytes, nulls)
    kernel.take_headers(words, offsets, rows.counter, rows.first_activation, rows.newest_dropped)
    for low, high in _chunks(offsets, 0, len(values)):
        _read_chunk(layout, words, kernel.locate(words, offsets, low, high, layout.form), rows, low, high)
    return rows


def nothing(layout: Layout, keys: int) -> FlatRows:
    """The rows of keys that hold none."""
    columns = 1 + len(layout.lanes)
    return _blank(
        layout, np.zeros(keys + 1, np.int64), np.zeros(columns, np.int64), np.zeros(columns, np.int64)
    )


def _blank(layout: Layout, key_start: Int64s, var_bytes: Int64s, nulls: Bytes) -> FlatRows:
    """Rows to be filled: columns of the right sizes, holding what a value without the column means.

    var_bytes, nulls: [1 + lanes], of the row id and the lanes: bytes in all, whether there is any null.
    """
    n, keys = int(key_start[-1]), key_start.size - 1

    def column(kind: str, number: int) -> Column:
        valid = np.ones(n, np.uint8) if nulls[number] else NO_BYTES
        if kind in ("bytes", "text"):
            return VarColumn(np.zeros(n + 1, np.int64), np.empty(var_bytes[number], np.uint8), valid)
        width = 2 if kind in ("wide", "hash") else 1
        return WordColumn(np.empty(n * width, np.int64), width, valid)

    return FlatRows(
        key_start=key_start,
        event_time=np.empty(n, np.int64),
        known_at=np.empty(n, np.int64),
        until=np.full(n, MAX),
        dead=np.zeros(n, np.uint8),
        row_id=column(layout.id_kind, 0),
        content=NO_INTS if layout.id_kind == "hash" else np.empty(2 * n, np.int64),
        lanes=tuple(column(lane.kind, number) for number, lane in enumerate(layout.lanes, 1)),
        counter=np.zeros(keys, np.int64),
        first_activation=np.full(keys, MAX),
        newest_dropped=np.full(keys, MIN),
    )


def _read_chunk(layout: Layout, words: Int64s, places: Int64s, rows: FlatRows, low: int, high: int) -> None:
    """Read the values of keys [low, high), section by section, into `rows`."""
    start = rows.key_start
    kernel.take_words(words, places[kernel.EVENT_TIME], start, low, high, rows.event_time, 1)
    kernel.add_lag(rows.event_time, layout.lag, start[low], start[high], rows.known_at)
    kernel.take_words(words, places[kernel.KNOWN_AT], start, low, high, rows.known_at, 1)
    kernel.take_words(words, places[kernel.REPLACED], start, low, high, rows.until, 1)
    kernel.take_bits(words, places[kernel.DEAD_BITS], start, low, high, rows.dead)
    _take_column(words, places[kernel.ROW_ID], start, low, high, rows.row_id)
    if rows.content.size:
        kernel.take_words(words, places[kernel.CONTENT], start, low, high, rows.content, 2)
    for number, lane in enumerate(rows.lanes):
        section = kernel.LANES + 2 * number
        _take_column(words, places[section], start, low, high, lane)
        if lane.valid.size:
            kernel.take_bits(words, places[section + 1], start, low, high, lane.valid)


def _take_column(words: Int64s, places: Int64s, start: Int64s, low: int, high: int, column: Column) -> None:
    if isinstance(column, WordColumn):
        kernel.take_words(words, places, start, low, high, column.words, column.width)
    else:
        kernel.take_var(words, words.view(np.uint8), places, start, low, high, column.offsets, column.data)
