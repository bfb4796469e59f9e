"""The value of a hot key: the newest rows, and an index of the sealed leaves that hold the others.

The bytes are described in `gnomon.kernels.leaves`. A leaf is a value of rows as any other, under a name of its own in
a second table, and is never written again.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from gnomon.kernels import leaves as kernel
from gnomon.kernels import states
from gnomon.online.arrays import NO_INTS, Bytes, Column, Int64s, VarColumn, WordColumn
from gnomon.online.codec import Layout, refuse

__all__ = [
    "Index",
    "View",
    "ViewStates",
    "is_index",
    "leaf_key",
    "leaves_table",
    "pack_index",
    "read_index",
    "tail_of",
]

_MAGIC = kernel.MAGIC.to_bytes(3, "little")
_WORD = 8
_NEEDS_SHIFT: int = kernel.NEEDS_SHIFT
_NAME = 16
"""Bytes of a leaf's name."""


@dataclass(frozen=True, slots=True)
class View:
    """A choice of a key's rows, and what is kept of them for each leaf."""

    lane: int
    """−1: none, rows are counted."""
    where: int
    """The lane of a condition, or −1."""
    keeps_nulls: bool
    needs: int
    """Bits of `kernels.states`: SUMS, SQUARES, EXTREMA, ENDS, DISTINCT."""

    @property
    def word(self) -> int:
        """As an index has it."""
        places = self.lane + 1 | (self.where + 1) << 16 | int(self.keeps_nulls) << 32
        return places | self.needs << _NEEDS_SHIFT

    @staticmethod
    def of(word: int) -> View:
        return View(
            (word & 0xFFFF) - 1,
            (word >> 16 & 0xFFFF) - 1,
            bool(word >> 32 & 1),
            word >> _NEEDS_SHIFT & 0xFF,
        )


@dataclass(frozen=True, slots=True)
class ViewStates:
    """The records of a view, leaf by leaf."""

    view: View
    starts: Int64s
    """[n + 1]: the record of leaf k is `records[starts[k]:starts[k + 1]]`."""
    records: Int64s


@dataclass(frozen=True, slots=True)
class Index:
    """What an index value tells of its leaves, in order."""

    fields: Int64s
    """[FIELDS, n]: see `kernels.leaves`."""
    states: tuple[ViewStates, ...] = ()
    dictionaries: Mapping[int, Column] = field(default_factory=dict)
    """Lane → its different values, each once; of floats one zero and one NaN."""

    @property
    def n_leaves(self) -> int:
        return int(self.fields.shape[1])

    @property
    def views(self) -> tuple[View, ...]:
        return tuple(states.view for states in self.states)

    def names(self, leaves: Sequence[int]) -> list[bytes]:
        """The names of some leaves."""
        pairs = np.ascontiguousarray(self.fields[kernel.ID : kernel.ID + 2, list(leaves)].T)
        whole = pairs.tobytes()
        return [whole[i : i + _NAME] for i in range(0, len(whole), _NAME)]


NO_LEAVES = Index(np.empty((kernel.FIELDS, 0), np.int64))


def leaves_table(table: str) -> str:
    """The table of the leaves of a table's hot keys."""
    return f"{table}/leaves"


def leaf_key(key: bytes, name: bytes) -> bytes:
    """Under which a leaf is kept: keys of any length cannot meet, as the name's length is fixed."""
    return key + name


def ids_key(key: bytes, name: bytes) -> bytes:
    """Under which the fingerprints of a leaf's ids are kept, beside it. The last bit of a leaf's own name is 0."""
    return key + name[:-1] + bytes([name[-1] | 1])


def new_name() -> bytes:
    """A name that nobody else can give to a leaf: who fails to publish may delete what he wrote."""
    name = uuid.uuid4().bytes
    return name[:-1] + bytes([name[-1] & 0xFE])


def key_of_leaf(leaf: bytes) -> bytes:
    """The key whose leaf it is."""
    return leaf[:-_NAME]


def is_index(value: bytes | memoryview | None) -> bool:
    """Whether a value is that of a hot key."""
    return value is not None and len(value) >= kernel.HEAD * _WORD and value[:3] == _MAGIC


def tail_of(value: bytes | memoryview) -> memoryview:
    """The rows of a hot key that are in no leaf: a value of rows."""
    whole = memoryview(value)
    return whole[int.from_bytes(whole[16:24], "little") * _WORD :]


def with_tail(value: bytes | memoryview, tail: bytes | memoryview) -> bytes:
    """The value of a hot key with other rows in its tail, and the same leaves."""
    whole = memoryview(value)
    return b"".join([whole[: int.from_bytes(whole[16:24], "little") * _WORD], tail])


# ---------------------------------------------------------------------------------------------------- writing


def pack_index(layout: Layout, index: Index, tail: bytes | memoryview) -> bytes:
    """The value of a hot key."""
    n = index.n_leaves
    parts = [index.fields.reshape(-1)]
    views = np.zeros((len(index.states), 2), np.int64)
    dictionaries = np.zeros((len(index.dictionaries), 2), np.int64)
    at = kernel.HEAD + kernel.FIELDS * n + views.size + dictionaries.size
    sections: list[Int64s] = []
    for number, held in enumerate(index.states):
        section = _states_section(layout, held, index.dictionaries)
        views[number] = held.view.word, at
        at += section.size
        sections.append(section)
    for number, (lane, column) in enumerate(index.dictionaries.items()):
        section = _dictionary_section(column)
        dictionaries[number] = lane, at
        at += section.size
        sections.append(section)
    head = np.array(
        [
            kernel.MAGIC | n << 32,
            0,
            at,
            layout.digest,
            len(views) | len(dictionaries) << 32,
            int(index.fields[kernel.ROWS].sum()),
        ],
        np.int64,
    )
    words = np.concatenate([head, *parts, views.reshape(-1), dictionaries.reshape(-1), *sections])
    kernel.seal_index(words, at)
    return words.tobytes() + tail


def _states_section(layout: Layout, held: ViewStates, dictionaries: Mapping[int, Column]) -> Int64s:
    view, n = held.view, held.starts.size - 1
    words = bit_words(dictionaries.get(view.lane))
    blocks = -(-n // kernel.BLOCK)
    starts = np.empty(blocks, np.int64)
    records = np.empty(blocks * states.record_room(view.needs, words), np.int64)
    end = kernel.block_records(
        held.records, held.starts, lane_kind(layout, view.lane), view.lane >= 0, view.keeps_nulls, view.needs, words,
        starts, records,
    )  # fmt: skip
    after = held.records.size
    return np.concatenate(
        [held.starts[:n], starts + after, np.array([after + end], np.int64), held.records, records[:end]]
    )


def _dictionary_section(column: Column) -> Int64s:
    count = np.array([len(column)], np.int64)
    if isinstance(column, WordColumn):
        return np.concatenate([count, column.words])
    n = len(column)
    offsets = np.zeros((n + 2) // 2 * 2, np.uint32)
    offsets[: n + 1] = column.offsets
    data = np.zeros(-(-column.data.size // _WORD) * _WORD, np.uint8)
    data[: column.data.size] = column.data
    return np.concatenate([count, offsets.view(np.int64), data.view(np.int64)])


def lane_kind(layout: Layout, lane: int) -> int:
    """How a lane's words are read, as kernels have it."""
    return KINDS[layout.lanes[lane].kind] if lane >= 0 else KINDS["word"]


KINDS = {"word": 0, "float": 1, "wide": 2, "bytes": 3}


def bit_words(dictionary: Column | None) -> int:
    """Words of a set of bits, one for each value of a dictionary."""
    return 0 if dictionary is None else -(-len(dictionary) // 64)


# ---------------------------------------------------------------------------------------------------- reading


def glance(value: bytes | memoryview) -> tuple[Int64s, list[int]]:
    """(FIELDS of the leaves, words of the views) of the value of a hot key, unchecked and uncopied.

    For who goes on to check it, or leaves it as it is.
    """
    words = np.frombuffer(value, np.int64)
    n, n_views = int(words[0]) >> 32 & 0xFFFF_FFFF, int(words[4]) & 0xFFFF_FFFF
    end = kernel.HEAD + kernel.FIELDS * n
    fields = words[kernel.HEAD : end].reshape(kernel.FIELDS, n)
    return fields, words[end : end + 2 * n_views : 2].tolist()


def read_index(layout: Layout, value: bytes | memoryview, at: str) -> Index:
    """What the value of a hot key tells of its leaves. at: names table and key, for the error.

    Raises: CorruptValue if its checksum, format or layout is wrong; the tail is another value.
    """
    # A copy: kernels are compiled for arrays that can be written, and most of these come back to them.
    words = np.frombuffer(value, np.int64).copy()
    reason = kernel.verify_index(words, 0, words.size, layout.digest)
    if reason:
        raise refuse(reason, at)
    n = int(words[0]) >> 32 & 0xFFFF_FFFF
    fields = words[kernel.HEAD : kernel.HEAD + kernel.FIELDS * n].reshape(kernel.FIELDS, n)
    n_views, n_dictionaries = int(words[4]) & 0xFFFF_FFFF, int(words[4]) >> 32
    table = kernel.HEAD + kernel.FIELDS * n
    views = words[table : table + 2 * n_views].reshape(-1, 2).tolist()
    table += 2 * n_views
    dictionaries = words[table : table + 2 * n_dictionaries].reshape(-1, 2).tolist()
    return Index(
        fields,
        tuple(_read_states(words, View.of(word), place, n) for word, place in views),
        {lane: _read_dictionary(layout, words, lane, place) for lane, place in dictionaries},
    )


def _read_states(words: Int64s, view: View, place: int, n: int) -> ViewStates:
    blocks = -(-n // kernel.BLOCK)
    starts = words[place : place + n + 1]
    records = place + n + blocks + 1
    # The record of the last leaf ends where that of the first block begins.
    return ViewStates(view, starts, words[records : records + int(starts[n])])


def _read_dictionary(layout: Layout, words: Int64s, lane: int, place: int) -> Column:
    count = int(words[place])
    place += 1
    kind = layout.lanes[lane].kind
    if kind != "bytes":
        width = 2 if kind == "wide" else 1
        return WordColumn(words[place : place + count * width], width)
    offsets = words[place : place + (count + 2) // 2].view(np.uint32)[: count + 1].astype(np.int64)
    place += (count + 2) // 2
    data: Bytes = words[place : place + -(-int(offsets[-1]) // _WORD)].view(np.uint8)[: offsets[-1]]
    return VarColumn(offsets, data)


def no_states(view: View) -> ViewStates:
    """Of no leaves."""
    return ViewStates(view, np.zeros(1, np.int64), NO_INTS)
