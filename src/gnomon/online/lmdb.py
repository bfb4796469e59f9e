"""LmdbStore: bytes by key in a memory-mapped file; many processes read while one writes.

In the file, each table lives in a named database called a *slot*, and a directory in the main database says
in which. A swap writes one entry of the directory. Slots are emptied and used again but never removed, so
that a handle stays good in every process.

    gnomon            → version of this layout
    table:{name}      → slot:{number}
    meta:{name}       → a document
    slot:{number}     → LMDB's own record of a slot
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import Any, NoReturn, Self
from urllib.parse import parse_qsl

import lmdb

from gnomon.abc.capabilities import Capabilities
from gnomon.abc.online import Merge, OnlineStore, check_distinct, check_merged, check_name, closed
from gnomon.errors import UsageError, not_found
from gnomon.online import lmdb_environment as shared
from gnomon.online.lmdb_environment import Database, Live, SharedEnvironment, Transaction
from gnomon.online.lmdb_keys import all_plain, fold, is_folded, is_plain, pack, unpack

_TABLE, _META = b"table:", b"meta:"

# Slots made with the file, whose handles every process has from its start.
_READY_SLOTS = 16

_LAYOUT = shared.Layout(b"gnomon", b"1", tuple(b"slot:%d" % i for i in range(_READY_SLOTS)))

# Keys of one write transaction of `update`. Other writers get their turn in between.
_UPDATE_KEYS = 20_000

# `load` commits after so many bytes, which hide the cost of a commit; it counts them every so many rows.
_LOAD_BYTES = 32 << 20
_LOAD_ROWS = 256

# `scan` reads so many bytes in one transaction: an open one keeps old pages from being used again.
_SCAN_BYTES = 1 << 20

Row = tuple[bytes, bytes | memoryview]


class LmdbStore(OnlineStore):
    """Bytes by key in the folder `path`, which is made if need be.

    `map_size`: bytes of address space to begin with; it grows by itself.
    `sync`: a write that has returned survives a loss of power. Without, a crash of the machine may damage the
    file.
    `max_tables`: tables at one time, those of running rebuilds included.
    """

    capabilities = Capabilities(
        batch_keys=_UPDATE_KEYS,
        durable=True,
        multi_process=True,
        atomic_swap=True,
        in_process=True,
        max_value_bytes=(1 << 32) - 1,
    )

    def __init__(
        self, path: str | Path, *, map_size: int = 64 << 20, sync: bool = True, max_tables: int = 500
    ) -> None:
        if map_size < 1 or max_tables < 1:
            raise UsageError("`map_size` and `max_tables` are at least 1", at=str(path))
        options = shared.Options(sync=sync, max_databases=max(max_tables, _READY_SLOTS))
        self._entries = _Entries()
        self._closing = threading.Lock()
        self._environment: SharedEnvironment | _Closed = shared.acquire(
            Path(path), map_size, options, _LAYOUT
        )

    @classmethod
    def from_url(cls, url: str, *, root: Path) -> Self:
        """Open `lmdb://folder`, relative to `root`, or `lmdb:///folder`.

        Options are the arguments' names: `lmdb://folder?sync=off&max_tables=2000`.
        """
        folder, _, query = url.removeprefix("lmdb://").partition("?")
        if not folder:
            raise UsageError(
                "the URL names no folder", at="online.url", hint="such as `lmdb://.gnomon/online`"
            )
        return cls(root / folder, **_options(query))

    # ---- reading

    def read(self, table: str, keys: Sequence[bytes]) -> list[bytes | None]:
        entry = self._entries[table]
        plain = all_plain(keys)
        # `SharedEnvironment.look` written out, and a loop for a comprehension: a read of one key takes a
        # microsecond, and each of the two would add a third of it.
        while True:
            live = self._environment.live
            try:
                with live.handle.begin() as txn:
                    slot = txn.get(entry)
                    if slot is None:
                        return [None] * len(keys)
                    database = live.databases[slot]
                    if not plain:
                        return [_get(txn, database, key) for key in keys]
                    values = []
                    for key in keys:
                        values.append(txn.get(key, None, database))
                    return values
            except lmdb.Error as error:
                self._environment.recover(error, live)

    def scan(self, table: str) -> Iterator[tuple[bytes, bytes]]:
        entry = self._entries[table]
        items = self._items_after(entry, b"")  # here, so that errors come from this call
        return self._scan(entry, items)

    def _scan(self, entry: bytes, items: list[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
        while items:
            for stored, value in items:
                if is_folded(stored):
                    yield from unpack(value).items()
                else:
                    yield stored, value
            items = self._items_after(entry, items[-1][0])

    def _items_after(self, entry: bytes, last: bytes) -> list[tuple[bytes, bytes]]:
        """Return the next items as stored. No transaction stays open while the caller of `scan` is busy."""

        def look(live: Live, txn: Transaction) -> list[tuple[bytes, bytes]]:
            slot = txn.get(entry)
            return [] if slot is None else _items_after(txn, live.databases[slot], last)

        return self._environment.look(look)

    def tables(self) -> list[str]:
        return self._environment.look(lambda _, txn: sorted(_directory(txn)))

    def get_meta(self, name: str) -> bytes | None:
        key = _META + check_name("document", name)
        return self._environment.look(lambda _, txn: txn.get(key))

    # ---- writing

    def update(self, table: str, keys: Sequence[bytes], merge: Merge) -> None:
        check_distinct(keys)
        entry = self._entries[table]
        for start in range(0, len(keys), _UPDATE_KEYS):
            positions = range(start, min(start + _UPDATE_KEYS, len(keys)))
            self._update(entry, keys[start : positions.stop], positions, merge)
        if not keys:
            self._environment.require_open()

    def _update(self, entry: bytes, keys: Sequence[bytes], positions: range, merge: Merge) -> None:
        plain = all_plain(keys)

        def work(live: Live, txn: Transaction) -> None:
            database = _made(live, txn, entry)
            if plain:
                get = txn.get
                old = [get(key, None, database) for key in keys]
            else:
                old = [_get(txn, database, key) for key in keys]
            new = merge(positions, list(old))
            check_merged(new, len(keys))
            writes: list[Row] = []
            for key, before, after in zip(keys, old, new, strict=True):
                if after is before:
                    continue
                if plain and after is not None:
                    writes.append((key, after))
                else:
                    _put(txn, database, key, after)
            txn.cursor(database).putmulti(writes)

        self._environment.write(work)

    def load(self, table: str, rows: Iterable[Row]) -> int:
        entry = self._entries[table]
        return sum(self._load(entry, batch) for batch in _batches(rows))

    def _load(self, entry: bytes, batch: _Batch) -> int:
        batch.rows.sort(key=itemgetter(0))
        plain = batch.rows if batch.plain else [row for row in batch.rows if is_plain(row[0])]

        def work(live: Live, txn: Transaction) -> None:
            database = _made(live, txn, entry)
            _put_sorted(txn, database, plain)
            if not batch.plain:
                for key, value in batch.rows:
                    if not is_plain(key):
                        _put(txn, database, key, value)

        # Twice the bytes: pages are half full when they are split.
        self._environment.write(work, room=2 * batch.size)
        return len(batch.rows)

    def delete(self, table: str, keys: Sequence[bytes]) -> None:
        entry = self._entries[table]

        def work(live: Live, txn: Transaction) -> None:
            slot = txn.get(entry)
            if slot is not None:
                database = _opened(live, txn, slot)
                for key in keys:
                    _put(txn, database, key, None)

        self._environment.write(work)

    def drop(self, table: str) -> None:
        entry = self._entries[table]

        def work(live: Live, txn: Transaction) -> None:
            slot = txn.pop(entry)
            if slot is not None:
                txn.drop(_opened(live, txn, slot), delete=False)

        self._environment.write(work)

    def swap(self, new: str, name: str) -> None:
        source, target = self._entries[new], self._entries[name]

        def work(live: Live, txn: Transaction) -> None:
            slot = txn.pop(source)
            if slot is None:
                raise not_found("Table", new, _directory(txn))
            old = txn.replace(target, slot)
            if old is not None:
                txn.drop(_opened(live, txn, old), delete=False)

        self._environment.write(work)

    def set_meta(self, name: str, expected: bytes | None, value: bytes | None) -> bool:
        key = _META + check_name("document", name)

        def work(_: Live, txn: Transaction) -> bool:
            if txn.get(key) != expected:
                return False
            if value is not None:
                txn.put(key, value)
            elif expected is not None:
                txn.delete(key)
            return True

        return self._environment.write(work)

    def close(self) -> None:
        with self._closing:
            environment = self._environment
            if isinstance(environment, SharedEnvironment):
                self._environment = _Closed(environment.path)
                shared.release(environment)


@dataclass(slots=True)
class _Batch:
    """What `load` writes in one transaction."""

    rows: list[Row]
    size: int = 0
    """Bytes of keys and values."""
    plain: bool = True
    """Whether all keys are plain."""


class _Entries(dict[str, bytes]):
    """Table → its key in the directory, made once: it is a part of every read."""

    def __missing__(self, table: str) -> bytes:
        entry = _TABLE + check_name("table", table)
        self[table] = entry
        return entry


class _Closed:
    """Stands where the environment stood, so that no read needs to ask whether the store is open."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def live(self) -> NoReturn:
        self.require_open()

    def recover(self, error: lmdb.Error, seen: Live) -> NoReturn:
        self.require_open()

    def require_open(self) -> NoReturn:
        raise closed(f"the store in `{self._path}`")

    def look(self, work: Callable[[Live, Transaction], Any]) -> NoReturn:
        self.require_open()

    def write(self, work: Callable[[Live, Transaction], Any], *, room: int = 0) -> NoReturn:
        self.require_open()


# ---- the directory


def _slot(number: int) -> bytes:
    return b"slot:%d" % number


def _directory(txn: Transaction) -> dict[str, bytes]:
    """Return table → slot."""
    cursor = txn.cursor()
    found: dict[str, bytes] = {}
    if cursor.set_range(_TABLE):
        for key, slot in cursor.iternext():
            if not key.startswith(_TABLE):
                break
            found[key[len(_TABLE) :].decode()] = slot
    return found


def _opened(live: Live, txn: Transaction, slot: bytes) -> Database:
    """In a write transaction."""
    return live.databases.get(slot) or live.handle.open_db(slot, txn=txn)


def _made(live: Live, txn: Transaction, entry: bytes) -> Database:
    """In a write transaction: the table's database; a table that does not exist gets the first free slot."""
    slot = txn.get(entry)
    if slot is None:
        taken = set(_directory(txn).values())
        slot = next(one for one in map(_slot, range(len(taken) + 1)) if one not in taken)
        txn.put(entry, slot)
    return _opened(live, txn, slot)


# ---- keys and values


def _get(txn: Transaction, database: Database, key: bytes) -> bytes | None:
    if is_plain(key):
        return txn.get(key, None, database)
    return unpack(txn.get(fold(key), b"", database)).get(key)


def _put(txn: Transaction, database: Database, key: bytes, value: bytes | memoryview | None) -> None:
    """Write a value, or delete it (None)."""
    if not is_plain(key):
        folded = fold(key)
        bucket = unpack(txn.get(folded, b"", database))
        bucket.pop(key, None)
        if value is not None:
            bucket[key] = bytes(value)
        key, value = folded, pack(bucket) or None
    if value is None:
        txn.delete(key, db=database)
    else:
        txn.put(key, value, db=database)


def _put_sorted(txn: Transaction, database: Database, rows: list[Row]) -> None:
    """Write plain keys in their order; of equal ones the last counts."""
    if not rows:
        return
    cursor = txn.cursor(database)
    # Appending fills pages to the brim and searches nothing, but leaves out a key that is not greater than
    # the last.
    append = not cursor.last() or rows[0][0] > cursor.key()
    consumed, added = cursor.putmulti(rows, append=append)
    if append and added < consumed:
        cursor.putmulti(rows)


def _items_after(txn: Transaction, database: Database, last: bytes) -> list[tuple[bytes, bytes]]:
    """Return up to `_SCAN_BYTES` of stored items, and at least one if any is left after `last`."""
    items: list[tuple[bytes, bytes]] = []
    cursor = txn.cursor(database)
    found = cursor.set_range(last)
    if found and cursor.key() == last:
        found = cursor.next()
    size = 0
    # Not found: the cursor has no position, and iterating would begin at the first key.
    for item in cursor.iternext() if found else ():
        items.append(item)
        size += len(item[0]) + len(item[1])
        if size >= _SCAN_BYTES:
            break
    return items


def _batches(rows: Iterable[Row]) -> Iterator[_Batch]:
    """Cut rows into what one transaction writes. At least one batch, even of no rows."""
    source = iter(rows)
    batch = _Batch([])
    while step := list(islice(source, _LOAD_ROWS)):
        keys, values = zip(*step, strict=True)
        batch.rows += step
        batch.plain = batch.plain and all_plain(keys)
        batch.size += sum(map(len, keys)) + sum(map(len, values))
        if batch.size >= _LOAD_BYTES:
            yield batch
            batch = _Batch([])
    yield batch


# ---- the URL

_OPTIONS: dict[str, Callable[[str], Any]] = {
    "map_size": int,
    "max_tables": int,
    "sync": {"on": True, "off": False}.__getitem__,
}


def _options(query: str) -> dict[str, Any]:
    """Read the arguments of `LmdbStore` in a URL."""
    texts = dict(parse_qsl(query, keep_blank_values=True))
    for name in texts:
        if name not in _OPTIONS:
            raise not_found("Option", name, _OPTIONS, at="online.url")
    try:
        return {name: _OPTIONS[name](text) for name, text in texts.items()}
    except (ValueError, KeyError) as error:
        raise UsageError(
            f"cannot read the options `{query}`",
            at="online.url",
            hint="`sync` is on or off, the others are whole numbers",
        ) from error
