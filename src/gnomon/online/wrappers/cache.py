"""CachedStore: what was read a short time ago is answered from memory.

Only questions are, which come by `read_many`. `read`, `get_meta` and everything that writes go to the store itself, and
make what is remembered as new as what they saw; so whoever merges, and whoever looks again because a value and its
leaves do not fit together, sees the truth.

How old an answer may be is declared, and counted from before the value was read. A document is answered from memory
only if it was read after every value that it is given with (the promise of `read_many`): of a table that was replaced,
nobody gets values with a document that does not know it yet.

Own writes are seen at once: a write takes what it changed out of the memory, and out of what is being read meanwhile.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from typing import NamedTuple

from gnomon.abc.capabilities import Capabilities
from gnomon.abc.online import Merge, OnlineStore, check_name
from gnomon.errors import UsageError
from gnomon.online.wrappers.base import WrapperStore
from gnomon.time import SECOND, monotonic

MEMORY = 64 << 20
"""Bytes of keys and values that are remembered, with what it takes to find them."""

_ENTRY = 300
"""Bytes that an entry takes besides its key and value."""

_DOCUMENTS = ""
"""Where documents are remembered: no table has this name."""

_STALE = "a value is remembered for up to {} µs while others write"

_Place = tuple[str, int, bytes]
"""Table, how often it was emptied, and key."""


class _Entry(NamedTuple):
    value: bytes | None
    reading: _Reading
    """What read it: the document of a question was read after all values of the same question."""
    ended: int
    """The turn after it was read: so new it may be."""


@dataclass(eq=False, slots=True)
class _Reading:
    """A read that is under way, and what was written meanwhile, which it may have missed."""

    start: float
    """Seconds of the clock before it: so old its values may be."""
    began: int
    """The turn before it. Turns tell what came first, which clocks do not within one of their ticks."""
    tables: set[str] = field(default_factory=set)
    keys: set[tuple[str, bytes]] = field(default_factory=set)


class CachedStore(WrapperStore):
    """Answers questions from memory, with values at most `staleness` microseconds old."""

    def __init__(
        self,
        store: OnlineStore,
        staleness: int,
        *,
        memory: int = MEMORY,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """`memory`: bytes; what was not asked for longest goes first. `clock`: seconds that only grow."""
        if staleness <= 0:
            raise UsageError(
                "what is remembered is at least 1 µs old", at="online.cache", hint='such as "500ms"'
            )
        super().__init__(store)
        self._staleness = staleness / SECOND
        self._memory = memory
        self._clock = clock
        self._lock = threading.Lock()
        self._turns = count()
        self._entries: OrderedDict[_Place, _Entry] = OrderedDict()
        self._emptied: dict[str, int] = {}
        self._reading: set[_Reading] = set()
        self.size = 0
        """Bytes remembered."""
        self.hits = 0
        """Keys of questions that were answered from memory."""
        self.misses = 0
        """Keys of questions that were not."""

    @property
    def capabilities(self) -> Capabilities:
        told = self._store.capabilities
        stale = _STALE.format(f"{self._staleness * SECOND:,.0f}")
        return replace(
            told,
            one_moment=False,
            atomic_swap=False,
            reasons={**told.reasons, "one_moment": stale, "atomic_swap": stale},
        )

    # ---- questions

    def read_many(
        self, asked: Sequence[tuple[str, Sequence[bytes]]], document: str
    ) -> tuple[list[list[bytes | None]], bytes | None]:
        check_name("document", document)
        for table, _ in asked:
            check_name("table", table)
        with self._lock:
            held = self._fresh(_DOCUMENTS, document.encode())
            entries = [[self._fresh(table, key) for key in keys] for table, keys in asked]
            missing = [[i for i, entry in enumerate(of_table) if entry is None] for of_table in entries]
            lacking = sum(map(len, missing))
            self.misses += lacking
            self.hits += sum(map(len, entries)) - lacking
        values = [[None if entry is None else entry.value for entry in of_table] for of_table in entries]
        if lacking:
            return self._with_missing(asked, values, missing, document)
        if held is not None and all(_is_before(entry, held) for of_table in entries for entry in of_table):
            return values, held.value
        return values, self.get_meta(document)

    def _with_missing(
        self,
        asked: Sequence[tuple[str, Sequence[bytes]]],
        values: list[list[bytes | None]],
        missing: Sequence[Sequence[int]],
        document: str,
    ) -> tuple[list[list[bytes | None]], bytes | None]:
        """Ask the store for the rest, and for the document, which is newer than all values then."""
        rest = [
            (table, [keys[i] for i in positions])
            for (table, keys), positions in zip(asked, missing, strict=True)
        ]
        with self._read_now() as keep:
            found, held = self._store.read_many([one for one in rest if one[1]], document)
            each = iter(found)
            for (table, keys), positions, into in zip(rest, missing, values, strict=True):
                if not keys:
                    continue
                given = next(each)
                keep(table, keys, given)
                for i, value in zip(positions, given, strict=True):
                    into[i] = value
            keep(_DOCUMENTS, [document.encode()], [held])
        return values, held

    # ---- what goes to the store itself, and is remembered

    def read(self, table: str, keys: Sequence[bytes]) -> list[bytes | None]:
        with self._read_now() as keep:
            values = self._store.read(table, keys)
            with self._lock:
                known = [i for i, key in enumerate(keys) if self._place(table, key) in self._entries]
            keep(table, [keys[i] for i in known], [values[i] for i in known])
        return values

    def get_meta(self, name: str) -> bytes | None:
        with self._read_now() as keep:
            value = self._store.get_meta(name)
            keep(_DOCUMENTS, [name.encode()], [value])
        return value

    # ---- what changes something, and is forgotten

    def update(self, table: str, keys: Sequence[bytes], merge: Merge) -> None:
        with self._forgetting(table, keys):
            self._store.update(table, keys, merge)

    def load(self, table: str, rows: Iterable[tuple[bytes, bytes | memoryview]]) -> int:
        with self._forgetting(table):
            return self._store.load(table, rows)

    def delete(self, table: str, keys: Sequence[bytes]) -> None:
        with self._forgetting(table, keys):
            self._store.delete(table, keys)

    def drop(self, table: str) -> None:
        with self._forgetting(table):
            self._store.drop(table)

    def swap(self, new: str, name: str) -> None:
        with self._forgetting(new), self._forgetting(name):
            self._store.swap(new, name)

    def set_meta(self, name: str, expected: bytes | None, value: bytes | None) -> bool:
        with self._forgetting(_DOCUMENTS, [name.encode()]):
            return self._store.set_meta(name, expected, value)

    def close(self) -> None:
        with self._lock:
            self._entries.clear()
            # So that what is asked for afterwards is asked of the store, which says that it is closed.
            self._memory = self.size = 0
        self._store.close()

    # ---- the memory

    def _place(self, table: str, key: bytes) -> _Place:
        return table, self._emptied.get(table, 0), key

    def _fresh(self, table: str, key: bytes) -> _Entry | None:
        place = self._place(table, key)
        entry = self._entries.get(place)
        if entry is None or self._clock() - entry.reading.start > self._staleness:
            return None
        self._entries.move_to_end(place)
        return entry

    @contextmanager
    def _read_now(self) -> Iterator[Callable[[str, Sequence[bytes], Sequence[bytes | None]], None]]:
        """Give a function that remembers what is read within the block, but for what is written meanwhile."""
        reading = _Reading(self._clock(), next(self._turns))
        with self._lock:
            self._reading.add(reading)

        def keep(table: str, keys: Sequence[bytes], values: Sequence[bytes | None]) -> None:
            ended = next(self._turns)
            with self._lock:
                if table in reading.tables:
                    return
                for key, value in zip(keys, values, strict=True):
                    if (table, key) not in reading.keys:
                        self._keep(self._place(table, key), _Entry(value, reading, ended))

        try:
            yield keep
        finally:
            with self._lock:
                self._reading.discard(reading)

    def _keep(self, place: _Place, entry: _Entry) -> None:
        held = self._entries.get(place)
        if held is not None and held.reading.began > entry.reading.began:
            return  # somebody has read it later
        self._drop(place)
        self._entries[place] = entry
        self.size += _weight(place, entry)
        while self.size > self._memory and self._entries:
            self._drop(next(iter(self._entries)))

    def _drop(self, place: _Place) -> None:
        entry = self._entries.pop(place, None)
        if entry is not None:
            self.size -= _weight(place, entry)

    @contextmanager
    def _forgetting(self, table: str, keys: Sequence[bytes] | None = None) -> Iterator[None]:
        """Forget keys, or all of a table, when the block has ended, however it ended."""
        try:
            yield
        finally:
            with self._lock:
                if keys is None:
                    # What is remembered under the old count is not found any more, and goes in its turn.
                    self._emptied[table] = self._emptied.get(table, 0) + 1
                    for reading in self._reading:
                        reading.tables.add(table)
                else:
                    for key in keys:
                        self._drop(self._place(table, key))
                    for reading in self._reading:
                        reading.keys.update((table, key) for key in keys)


def _is_before(entry: _Entry | None, document: _Entry) -> bool:
    """Whether a value was read before a document."""
    return entry is None or entry.reading is document.reading or entry.ended < document.reading.began


def _weight(place: _Place, entry: _Entry) -> int:
    return _ENTRY + len(place[2]) + len(entry.value or b"")
