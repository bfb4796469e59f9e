"""BigtableStore: bytes by key in Google's Bigtable, all in one of its tables.

    \\0                     the catalog: `t` + name of a table → its number · `l` → layout
    \\1 name                a document: v → its bytes
    \\2 number \\0 key       a key of a table: v → its value
    \\2 number \\1 digest    the same for a key too long for a row's: x → the key

A table is the rows that begin with its number, so that it is read through as a range and dropped by one request; it
gets another name by one change of the catalog's row. Which number a table has is remembered, and looked up again after
its values were read: so an answer is of one table, before or after another took its name. So does
a write.

What changes a row draws a new token (the column n), so that a change can be made conditional on what was read.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Self

from gnomon.abc.capabilities import Capabilities
from gnomon.abc.online import Merge, OnlineStore, check_distinct, check_merged, check_name
from gnomon.errors import Unavailable, UsageError, not_found
from gnomon.online.bigtable_url import Settings, parse
from gnomon.online.bigtable_wire import TOKEN, Cells, Changes, Missing, Wire
from gnomon.time import sleep

# Keys that an update reads, merges and writes at a time.
_UPDATE_KEYS = 400

# A call whose keys or tables others change again and again gives up after so many tries.
_TRIES = 200

# Rows and bytes of one request of `load`, and how many of those are under way at a time.
_LOAD_ROWS, _LOAD_BYTES, _LOADING = 1_000, 4 << 20, 4

# Rows that `scan` asks for at a time.
_SCAN_ROWS = 2_000

# The service takes 100 MB in a cell and 256 MB in a row, and advises against either.
_MAX_VALUE = 64 << 20

# A row's key has at most 4 KB.
_NAME = 2_048

_CATALOG, _DOCUMENT, _DATA = b"\0", b"\1", b"\2"
_WHOLE, _DIGEST = b"\0", b"\1"
_VALUE, _KEY, _LAYOUT_AT, _LAYOUT = b"v", b"x", b"l", b"1"

Row = tuple[bytes, bytes | memoryview]
_Step = tuple[bytes, Cells, bytes | memoryview | None]


class BigtableStore(OnlineStore):
    """Bytes by key in the Bigtable that `settings` tell of. The first use connects."""

    capabilities = Capabilities(
        batch_keys=1_000,
        durable=True,
        multi_process=True,
        atomic_swap=True,
        one_moment=False,
        max_value_bytes=_MAX_VALUE,
        reasons={"one_moment": "Bigtable reads and writes each row by itself"},
    )

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._wire = Wire(settings)
        self._numbers: dict[str, bytes] = {}
        """Table → the number that it had when somebody looked last."""

    @classmethod
    def from_url(cls, url: str, *, root: Path) -> Self:
        """Open `bigtable://project/instance/table?app_profile=…&timeout=…`."""
        return cls(parse(url))

    # ---- reading

    def read(self, table: str, keys: Sequence[bytes]) -> list[bytes | None]:
        check_name("table", table)
        return self._read([(table, keys)], None)[0][0]

    def read_many(
        self, asked: Sequence[tuple[str, Sequence[bytes]]], document: str
    ) -> tuple[list[list[bytes | None]], bytes | None]:
        for table, _ in asked:
            check_name("table", table)
        return self._read(asked, _document_key(document))

    def _read(
        self, asked: Sequence[tuple[str, Sequence[bytes]]], document: bytes | None
    ) -> tuple[list[list[bytes | None]], bytes | None]:
        """Values, and a document read after them."""
        self._wire.require_open()
        try:
            return self._read_from(asked, document)
        except Missing:
            return [[None] * len(keys) for _, keys in asked], None

    def _read_from(
        self, asked: Sequence[tuple[str, Sequence[bytes]]], document: bytes | None
    ) -> tuple[list[list[bytes | None]], bytes | None]:
        afterwards = [_CATALOG] if document is None else [_CATALOG, document]
        numbers = {table: self._numbers.get(table) for table, keys in asked if keys}
        if None in numbers.values():
            catalog = self._wire.read([_CATALOG]).get(_CATALOG, {})
            numbers = {table: _number_in(catalog, table) for table in numbers}
        for _ in range(_TRIES):
            named = [
                [] if (number := numbers.get(table)) is None else [_row_key(number, key) for key in keys]
                for table, keys in asked
            ]
            rows = self._wire.read([name for names in named for name in names])
            now = self._wire.read(afterwards)
            catalog = self._looked_at(now.get(_CATALOG, {}))
            if all(_number_in(catalog, table) == number for table, number in numbers.items()):
                self._numbers.update({t: number for t, number in numbers.items() if number is not None})
                held = now.get(document, {}).get(_VALUE) if document is not None else None
                values = [
                    [rows.get(name, {}).get(_VALUE) for name in names] or [None] * len(keys)
                    for names, (_, keys) in zip(named, asked, strict=True)
                ]
                return values, held
            numbers = {table: _number_in(catalog, table) for table in numbers}
        raise self._changing("the tables that are read")

    def scan(self, table: str) -> Iterator[tuple[bytes, bytes]]:
        check_name("table", table)
        number = self._look_up(table)
        return iter(()) if number is None else self._scan(table, number)

    def _scan(self, table: str, number: bytes) -> Iterator[tuple[bytes, bytes]]:
        start = len(_DATA + number)
        for name, cells in self._wire.scan(_DATA + number, _SCAN_ROWS):
            if _VALUE in cells:
                yield cells.get(_KEY, name[start + 1 :]), cells[_VALUE]
        if self._look_up(table) not in (None, number):
            raise Unavailable(
                f"in {self._settings.shown}, the table `{table}` was replaced while it was read through",
                hint="read it again",
            )

    def tables(self) -> list[str]:
        return sorted(column[1:].decode() for column in self._catalog() if column[:1] == b"t")

    def get_meta(self, name: str) -> bytes | None:
        return self._document(_document_key(name)).get(_VALUE)

    # ---- writing

    def update(self, table: str, keys: Sequence[bytes], merge: Merge) -> None:
        check_distinct(keys)
        check_name("table", table)
        self._wire.require_open()
        for start in range(0, len(keys), _UPDATE_KEYS):
            positions = range(start, min(start + _UPDATE_KEYS, len(keys)))
            self._where_it_lies(table, partial(self._update, keys, positions, merge))

    def _where_it_lies(self, table: str, write: Callable[[bytes], None]) -> None:
        """Write into a table, which is made if there is none: again, if it is another when that is done."""
        number = self._numbers.get(table) or self._made(table)
        for _ in range(_TRIES):
            try:
                write(number)
                now = self._look_up(table)
            except Missing:
                now = None
            if now == number:
                return
            number = now or self._made(table)
        raise self._changing(f"the table `{table}`")

    def _update(self, keys: Sequence[bytes], positions: Sequence[int], merge: Merge, number: bytes) -> None:
        for attempt in range(_TRIES):
            names = [_row_key(number, keys[i]) for i in positions]
            rows = self._wire.read(names)
            held = [rows.get(name, {}) for name in names]
            merged = merge(positions, [cells.get(_VALUE) for cells in held])
            check_merged(merged, len(positions))
            steps = list(zip((keys[i] for i in positions), held, merged, strict=True))
            for _, _, value in steps:
                self._check_size(value)
            done = self._wire.each(partial(self._replace, number), steps)
            positions = [position for position, was_done in zip(positions, done, strict=True) if not was_done]
            if not positions:
                return
            # Others are busy with these keys: out of step with them.
            sleep(random.uniform(0, min(0.005 * attempt, 0.1)))
        raise self._changing(f"{len(positions)} of the keys to update")

    def _replace(self, number: bytes, step: _Step) -> bool:
        """Write one key, if it still holds what was read; tell whether it did."""
        key, held, new = step
        if new is held.get(_VALUE):
            return True
        changes = None if new is None else _changes(key, new)
        return self._wire.change(_row_key(number, key), held.get(TOKEN), changes)

    def load(self, table: str, rows: Iterable[Row]) -> int:
        number = self._made(table)
        count = 0
        source = _batches(rows)
        while batches := list(islice(source, _LOADING)):
            count += sum(map(len, batches))
            # Of equal keys the last: of all that is under way, for nobody knows what arrives first.
            last = dict(row for batch in batches for row in batch)
            for value in last.values():
                self._check_size(value)
            self._wire.each(partial(self._load, number), list(_batches(last.items())))
            if not self._is_of(table, number):
                number = self._made(table)
        return count

    def _load(self, number: bytes, rows: Sequence[Row]) -> None:
        self._wire.write([(_row_key(number, key), _changes(key, value)) for key, value in rows])

    def delete(self, table: str, keys: Sequence[bytes]) -> None:
        check_name("table", table)
        number = self._look_up(table)
        for _ in range(_TRIES):
            if number is None:
                return
            self._wire.write([(_row_key(number, key), None) for key in dict.fromkeys(keys)])
            now = self._look_up(table)
            if now == number:
                return
            number = now
        raise self._changing(f"the table `{table}`")

    # ---- tables and documents

    def drop(self, table: str) -> None:
        column = _column(table)
        for _ in range(_TRIES):
            catalog = self._catalog()
            number = catalog.get(column)
            if number is None:
                return
            if self._change_catalog(catalog, {column: None}):
                self._numbers.pop(table, None)
                self._wire.drop_rows(_DATA + number)
                return
        raise self._changing("the tables")

    def swap(self, new: str, name: str) -> None:
        source, target = _column(new), _column(name)
        for _ in range(_TRIES):
            catalog = self._catalog()
            if source not in catalog:
                raise not_found("Table", new, self.tables())
            if new == name:
                return
            if self._change_catalog(catalog, {source: None, target: catalog[source]}):
                self._numbers.pop(new, None)
                self._numbers[name] = catalog[source]
                if (old := catalog.get(target)) is not None:
                    self._wire.drop_rows(_DATA + old)
                return
        raise self._changing("the tables")

    def set_meta(self, name: str, expected: bytes | None, value: bytes | None) -> bool:
        key = _document_key(name)
        for _ in range(_TRIES):
            held = self._document(key)
            if held.get(_VALUE) != expected:
                return False
            if value is expected is None:
                return True
            self._check_size(value)
            changes = None if value is None else {_VALUE: value, TOKEN: _token()}
            if self._change(key, held.get(TOKEN), changes):
                return True
        raise self._changing(f"the document `{name}`")

    def _document(self, key: bytes) -> Cells:
        try:
            return self._wire.read([key]).get(key, {})
        except Missing:
            return {}

    def _catalog(self) -> Cells:
        return self._looked_at(self._document(_CATALOG))

    def _change_catalog(self, catalog: Cells, changes: Changes) -> bool:
        """Change the row of tables, if nobody else did."""
        changes = {**changes, TOKEN: _token(), _LAYOUT_AT: _LAYOUT}
        return self._change(_CATALOG, catalog.get(TOKEN), changes)

    def _change(self, key: bytes, token: bytes | None, changes: Changes | None) -> bool:
        try:
            return self._wire.change(key, token, changes)
        except Missing:
            self._wire.make_table()
            return self._wire.change(key, token, changes)

    def _look_up(self, table: str) -> bytes | None:
        """The number of a table; None if there is none."""
        number = _number_in(self._catalog(), table)
        if number is None:
            self._numbers.pop(table, None)
        else:
            self._numbers[table] = number
        return number

    def _made(self, table: str) -> bytes:
        """The number of a table, which is made if there is none."""
        column = _column(table)
        for _ in range(_TRIES):
            catalog = self._catalog()
            number = catalog.get(column)
            if number is None:
                number = os.urandom(7) + b"\0"  # what a range ends after must not end with 255
                if not self._change_catalog(catalog, {column: number}):
                    sleep(random.uniform(0, 0.01))
                    continue
            self._numbers[table] = number
            return number
        raise self._changing("the tables")

    def _is_of(self, table: str, number: bytes) -> bool:
        return self._look_up(table) == number

    def _looked_at(self, catalog: Cells) -> Cells:
        """The catalog, if what lies there is laid out as we would."""
        layout = catalog.get(_LAYOUT_AT, _LAYOUT)
        if layout != _LAYOUT:
            raise UsageError(
                f"{self._settings.shown} has the layout `{layout.decode(errors='replace')}`, "
                f"and we are to use `{_LAYOUT.decode()}`",
                at="online.url",
                hint="use the release that wrote it, or another table and materialize into it",
            )
        return catalog

    def _check_size(self, value: bytes | memoryview | None) -> None:
        size = 0 if value is None else memoryview(value).nbytes
        if size > _MAX_VALUE:
            raise UsageError(
                f"a value of {size:,} bytes does not fit into {self._settings.shown}, which takes {_MAX_VALUE:,}",
                hint="a shorter window, or fewer columns; `redis://` and `postgresql://` take 512 MB",
            )

    def _changing(self, what: str) -> Unavailable:
        return Unavailable(
            f"in {self._settings.shown}, {what} change all the time",
            hint="try again when other writers are done",
        )

    def close(self) -> None:
        self._wire.close()


def _token() -> bytes:
    """Drawn by every write: text, so that no filter takes it for a pattern."""
    return os.urandom(8).hex().encode()


def _column(table: str) -> bytes:
    return b"t" + check_name("table", table)


def _number_in(catalog: Cells, table: str) -> bytes | None:
    return catalog.get(_column(table))


def _document_key(name: str) -> bytes:
    return _DOCUMENT + check_name("document", name)


def _row_key(number: bytes, key: bytes) -> bytes:
    """The key of the row that holds a key."""
    if len(key) <= _NAME:
        return _DATA + number + _WHOLE + key
    return _DATA + number + _DIGEST + sha256(key).digest()


def _changes(key: bytes, value: bytes | memoryview) -> Changes:
    """The cells of a key that gets a value."""
    cells = {_VALUE: bytes(value), TOKEN: _token()}
    return cells if len(key) <= _NAME else {**cells, _KEY: key}


def _batches(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Cut rows into what one request writes."""
    batch: list[Row] = []
    size = 0
    for key, value in rows:
        # A view may be of a buffer that its owner fills again.
        batch.append((key, bytes(value)))
        size += len(key) + len(value)
        if len(batch) >= _LOAD_ROWS or size >= _LOAD_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
