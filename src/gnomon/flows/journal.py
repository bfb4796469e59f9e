"""Journal: what the online store held, and when: a note before each write of rows, and one after it.

    begin    which rows are about to be written into which table; durable before the first of them is
    end      when the last of them was, and which version counter the write left at each key
    publish  that a table answers from now on

Whoever is killed in between leaves a write without an end: from its beginning on its rows may be online, and the next
write of the same rows has an end. Notes lie in the offline store, beside the tables whose rows they tell of, so that
all who share those share the journal. Why counters and instants both: docs/decisions/0032.
"""

from __future__ import annotations

import zlib
from base64 import b85decode, b85encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit
from uuid import uuid4

import msgspec
import numpy as np
import polars as pl
from msgspec.structs import replace
from numpy.typing import NDArray

from gnomon.abc.offline import OfflineStore
from gnomon.abc.source import Part, SourceReader
from gnomon.plan.identity import hashes_of
from gnomon.time import ALWAYS, NEVER, Clock

_FOLD_AT = 64
"""Notes of a group that this process may leave before it folds them: many small files are slow to read."""
_COLUMNS = {"id": pl.String(), "text": pl.String()}
_SUFFIX = "@journal"

Words = NDArray[np.int64]


class Carried(msgspec.Struct, frozen=True):
    """What of a part was written: its rows with an activation in [since, end)."""

    etag: str
    since: int = ALWAYS
    end: int = NEVER


class Published(msgspec.Struct, frozen=True):
    """A table that answers from the end of its entry on."""

    start: int
    """Windows that begin before it cannot be answered from the table."""
    lanes: tuple[str, ...]
    """What its rows hold: a feature that needs another input cannot be answered from it."""


class Entry(msgspec.Struct, frozen=True):
    """One write, or one publication."""

    id: str
    group: str
    """`name@version`."""
    table: str
    """The identity of the table: names are used again where an online store was lost."""
    begin: int
    """Instant before the first row was written."""
    end: int | None = None
    """Instant after the last one was; None: the writer was killed, or is still at it."""
    parts: dict[str, Carried] = {}
    """What was written, by the names of parts; of a rewritten part under the names of its origins too."""
    retracted: int = 0
    """How many commits of retractions the rows, and all else of their keys, are without."""
    counters: str = ""
    """Packed: each key's hash, and the version counter that the write left at it."""
    only: bool = False
    """Whether nothing but the keys of `counters` was written, of all that the parts hold."""
    published: Published | None = None
    online: str = ""
    """Of a publication: the online store that the table lies in, `where_of` its URL."""


_decode = msgspec.json.Decoder(Entry).decode
_encode = msgspec.json.Encoder().encode


def new_identity() -> str:
    """A name for a table that no other table has, wherever and whenever it is made."""
    return uuid4().hex[:16]


def where_of(url: str) -> str:
    """An online store's URL without what does not tell where it is, and may be secret."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}"


def journal_name(ref: str) -> str:
    """The offline table that holds what is folded of a group's journal."""
    return ref + _SUFFIX


def of_group(table: str) -> str:
    """The group whose journal a table is; the table's own name, if it is none."""
    return table.removesuffix(_SUFFIX)


def hash_keys(keys: Sequence[bytes]) -> Words:
    """[n] int64: the keys' bytes, hashed as rows are; never another hash in a later release."""
    first, _ = hashes_of([pl.Series(keys, dtype=pl.Binary)], len(keys))
    return first.view(np.int64)


@dataclass
class Written:
    """What a write tells of itself while it goes on."""

    keys: list[Words] = field(default_factory=list)
    counters: list[Words] = field(default_factory=list)
    noted: bool = True
    until: int | None = None
    """Of a part that grows: rows up to this instant were there to be read."""

    def add(self, keys: Sequence[bytes], counters: Words) -> None:
        """Note the version counters that keys were left with."""
        if not self.noted:
            return
        self.keys.append(hash_keys(keys))
        self.counters.append(counters)

    def packed(self) -> str:
        if not self.keys:
            return ""
        pairs = np.stack([np.concatenate(self.keys), np.concatenate(self.counters)]).astype("<i8")
        return b85encode(zlib.compress(pairs.tobytes(), 1)).decode()


def unpack_counters(text: str) -> tuple[Words, Words]:
    """Key hashes and version counters of `Entry.counters`: two arrays int64[n]."""
    pairs = np.frombuffer(zlib.decompress(b85decode(text)) if text else b"", "<i8").reshape(2, -1)
    return pairs[0].astype(np.int64), pairs[1].astype(np.int64)


class Journal:
    """The journal of a project. Thread-safe: entries are independent, and folding twice is folding once."""

    def __init__(self, offline: Callable[[], OfflineStore], clock: Clock, online: str = "") -> None:
        """`online`: where the online store is."""
        self.online = online
        self._offline = offline
        self._clock = clock
        self._left: dict[str, int] = {}

    @contextmanager
    def writing(
        self,
        ref: str,
        table: str,
        parts: Mapping[str, Carried],
        *,
        retracted: int,
        only: bool = False,
    ) -> Iterator[Written]:
        """Write within a `with` block. A block that fails leaves an entry without an end, as a killed one does.

        table: the table's identity; of a table without one nothing is noted.
        """
        if not table:
            yield Written(noted=False)
            return
        entry = Entry(
            uuid4().hex, ref, table, self._clock(), parts=dict(parts), retracted=retracted, only=only
        )
        self._note(entry)
        written = Written()
        yield written
        if written.until is not None:
            until = written.until
            entry = replace(entry, parts={n: replace(p, end=until) for n, p in entry.parts.items()})
        self._finish(replace(entry, end=self._clock(), counters=written.packed()))

    def publish(
        self,
        ref: str,
        table: str,
        *,
        start: int,
        lanes: Sequence[str],
        parts: Mapping[str, Carried] | None = None,
        retracted: int = 0,
    ) -> None:
        """Note that a table answers from now on. `parts`: what it holds of which no write was noted."""
        now = self._clock()
        told = Published(start, tuple(lanes))
        self._finish(
            Entry(
                uuid4().hex,
                ref,
                table,
                now,
                now,
                dict(parts or {}),
                retracted,
                published=told,
                online=self.online,
            )
        )

    def read(self, ref: str) -> list[Entry]:
        """All entries of a group, each but once, in the order of their ends; without an end, last."""
        folded = self._offline().scan(journal_name(ref), _COLUMNS).collect()
        texts: dict[str, str] = dict(folded.iter_rows())
        texts |= {name.rpartition("-")[2]: text for name, text in self._notes(ref).items()}
        found = [_decode(text) for text in texts.values()]
        return sorted(found, key=lambda e: (NEVER if e.end is None else e.end, e.begin, e.id))

    def fold(self, ref: str) -> int:
        """Put notes of what has ended into one table; return how many. Killed in between, it is just done again."""
        ended = {n: t for n, t in self._notes(ref).items() if _decode(t).end is not None}
        if ended:
            offline = self._offline()
            rows = {"id": [name.rpartition("-")[2] for name in ended], "text": list(ended.values())}
            offline.append(journal_name(ref), pl.DataFrame(rows, schema=_COLUMNS))
            for name in ended:
                offline.write_note(name, None)
        self._left[ref] = 0
        return len(ended)

    def _notes(self, ref: str) -> dict[str, str]:
        return self._offline().notes(f"journal-{ref}-")

    def _note(self, entry: Entry) -> None:
        self._offline().write_note(f"journal-{entry.group}-{entry.id}", _encode(entry).decode())

    def _finish(self, entry: Entry) -> None:
        self._note(entry)
        self._left[entry.group] = self._left.get(entry.group, 0) + 1
        if self._left[entry.group] >= _FOLD_AT:
            self.fold(entry.group)


def name_of(part: Part) -> str:
    """What the journal calls a part: a file of a table by its own name, wherever the project lies now."""
    return part.etag if part.name.endswith(f"/{part.etag}") else part.name


def carried(reader: SourceReader, part: Part, since: int = ALWAYS, end: int = NEVER) -> dict[str, Carried]:
    """What of a part is written, under its name and under those of the parts that its rows came in."""
    return {name_of(one): Carried(one.etag, since, end) for one in (part, *reader.origins(part))}
