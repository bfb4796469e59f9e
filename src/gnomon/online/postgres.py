"""PostgresStore: bytes by key in a schema of a PostgreSQL database.

A table is a table of two columns. Its name is readable in the database as far as PostgreSQL's 63 bytes reach;
the directory knows the whole of it.

    {schema}.layout       → version of this layout
    {schema}.tables       → the names of the tables
    {schema}.documents    → name, value
    {schema}."data:…"     → key, value: one for each table
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property, partial
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import Any, Self, TypeVar

from psycopg import Cursor, errors

from gnomon.abc.capabilities import Capabilities
from gnomon.abc.online import Merge, OnlineStore, check_distinct, check_merged, check_name, closed
from gnomon.errors import Unavailable, UsageError, not_found
from gnomon.online.postgres_statements import (
    LAYOUT,
    TableStatements,
    renamed,
    schema_statements,
    table_statements,
)
from gnomon.online.postgres_url import Settings, parse
from gnomon.online.postgres_wire import ByteaArray, Connection, Database, copy_pieces
from gnomon.time import instant, sleep

# Keys of one transaction of `update`. Who wants one of them as well waits until it ends.
_UPDATE_KEYS = 5_000

# Rows and bytes of one transaction of `load`; rows are looked at for their size so many at a time.
_LOAD_ROWS, _LOAD_BYTES, _LOAD_STEP = 50_000, 32 << 20, 256

# `scan` asks for about so many bytes at a time.
_SCAN_BYTES = 1 << 20

# A value is sent and comes back in messages of at most 1 GB.
_MAX_VALUE = 1 << 29

# What others cross again and again is given up after so many tries.
_TRIES = 100

# `read_many` finds tables come and gone so often before it reads them one by one.
_LOOKS = 4

T = TypeVar("T")
Row = tuple[bytes, bytes | memoryview]


class PostgresStore(OnlineStore):
    """Bytes by key in the PostgreSQL that `settings` tell of. The first use connects."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._database = Database(settings)
        self._statements = schema_statements(settings.schema)
        self._tables = _Tables(settings.schema)
        self._seen: set[bytes] = set()
        """Tables that were there when last looked for; a read of another asks the directory in the same breath."""
        self._open = True
        self._is_ours = False
        """Whether the layout of what lies there has been looked at."""

    @classmethod
    def from_url(cls, url: str, *, root: Path) -> Self:
        """Open `postgresql://user:password@host:port/database?schema=…&timeout=…`; other options are libpq's."""
        return cls(parse(url))

    @cached_property
    def capabilities(self) -> Capabilities:
        """What the store can do; how its server writes, the server is asked for once."""
        why = self._why_not_durable()
        return Capabilities(
            batch_keys=_UPDATE_KEYS,
            durable=why is None,
            multi_process=True,
            atomic_swap=True,
            max_value_bytes=_MAX_VALUE,
            reasons={} if why is None else {"durable": why},
        )

    # ---- reading

    def read(self, table: str, keys: Sequence[bytes]) -> list[bytes | None]:
        statements = self._tables[table]
        if not keys:
            self._require_open()
            return []
        with self._connection() as connection:
            return _read(connection, statements, keys)

    def read_many(
        self, asked: Sequence[tuple[str, Sequence[bytes]]], document: str
    ) -> tuple[list[list[bytes | None]], bytes | None]:
        name = check_name("document", document)
        wanted = [(self._tables[table], keys) for table, keys in asked]
        for _ in range(_LOOKS):
            answer = self._read_seen(wanted, name)
            if answer is not None:
                return answer
        # One by one, so that a table that somebody removed behind the directory's back is empty.
        return super().read_many(asked, document)

    def _read_seen(
        self, wanted: Sequence[tuple[TableStatements, Sequence[bytes]]], document: bytes
    ) -> tuple[list[list[bytes | None]], bytes | None] | None:
        """What `read_many` returns, in one round trip; None if tables have come or gone, which is known afterwards.

        A table that is not there is an error that costs the connection, so only tables that were seen are read. The
        others are looked for in the directory, and are empty if it does not have them.
        """
        names = {say.name for say, _ in wanted}
        seen = names & self._seen
        unseen = names - seen
        new: list[tuple[bytes]] = []
        with self._connection() as connection:
            try:
                # Each statement sees what was committed when it began: the document's comes last.
                with connection.pipeline():
                    cursors = [
                        connection.execute(say.read, [ByteaArray(keys)], binary=True)
                        if say.name in seen
                        else None
                        for say, keys in wanted
                    ]
                    if unseen:
                        looked = connection.execute(
                            self._statements.which, [ByteaArray([*unseen])], binary=True
                        )
                    told = connection.execute(self._statements.get_document, [document], binary=True)
            except errors.UndefinedTable:
                connection.give_up()
                self._seen -= names
                return None
            if unseen:
                new = looked.fetchall()
                self._seen.update(found for (found,) in new)
            if new:
                return None
            held = [{} if cursor is None else dict(cursor.fetchall()) for cursor in cursors]
            values = [[one.get(key) for key in keys] for one, (_, keys) in zip(held, wanted, strict=True)]
            return values, _first(told)

    def scan(self, table: str) -> Iterator[tuple[bytes, bytes]]:
        statements = self._tables[table]
        first = self._page(statements, None, 100)  # here, so that errors come from this call
        return self._scan(statements, first)

    def _scan(
        self, statements: TableStatements, page: list[tuple[bytes, bytes]]
    ) -> Iterator[tuple[bytes, bytes]]:
        while page:
            yield from page
            size = sum(len(key) + len(value) for key, value in page)
            rows = max(1, min(len(page) * _SCAN_BYTES // max(size, 1), 4 * len(page), 100_000))
            page = self._page(statements, page[-1][0], rows)

    def _page(self, statements: TableStatements, last: bytes | None, rows: int) -> list[tuple[bytes, bytes]]:
        """The next rows in the order of their keys; none if there is no table any more."""
        with self._connection() as connection:
            try:
                if last is None:
                    return connection.execute(statements.first_page, [rows], binary=True).fetchall()
                return connection.execute(statements.page, [last, rows], binary=True).fetchall()
            except errors.UndefinedTable:
                return []

    def tables(self) -> list[str]:
        with self._connection() as connection:
            return sorted(name.decode() for (name,) in connection.execute(self._statements.tables))

    def get_meta(self, name: str) -> bytes | None:
        encoded = check_name("document", name)
        with self._connection() as connection:
            value: bytes | None = _first(
                connection.execute(self._statements.get_document, [encoded], binary=True)
            )
            return value

    def server_time(self) -> int | None:
        with self._connection() as connection:
            return instant(_first(connection.execute("SELECT clock_timestamp()")))

    # ---- writing

    def update(self, table: str, keys: Sequence[bytes], merge: Merge) -> None:
        check_distinct(keys)
        statements = self._tables[table]
        if not keys:
            self._require_open()
        for start in range(0, len(keys), _UPDATE_KEYS):
            positions: Sequence[int] = range(start, min(start + _UPDATE_KEYS, len(keys)))
            for _ in range(_TRIES):
                positions = self._write(statements, partial(_update, keys, positions, merge))
                if not positions:
                    break
            else:
                raise self._crossed(f"{len(positions)} keys of `{table}`")

    def load(self, table: str, rows: Iterable[Row]) -> int:
        statements = self._tables[table]
        # Into an empty table rows are copied as they are, until one comes whose key is there already.
        distinct = self._write(statements, _is_empty)
        count = 0
        # The server takes one batch while the caller makes the next.
        with ThreadPoolExecutor(1) as aside:
            under_way: Future[bool] | None = None
            for batch in _batches(rows):
                count += len(batch)
                # In the order of keys the index grows at its end, and nobody waits for each other in a circle.
                last_of_each = sorted(dict(batch).items(), key=itemgetter(0))
                if under_way is not None:
                    distinct = under_way.result()
                under_way = aside.submit(self._load, statements, last_of_each, distinct)
            if under_way is not None:
                under_way.result()
        return count

    def _load(self, statements: TableStatements, rows: Sequence[Row], distinct: bool) -> bool:
        """Write a batch of rows with different keys; return whether all keys so far were new to the table."""
        if distinct and self._write(statements, partial(_copied, rows)):
            return True
        self._write(statements, partial(_overwrite, rows))
        return False

    def delete(self, table: str, keys: Sequence[bytes]) -> None:
        statements = self._tables[table]
        if not keys:
            self._require_open()
            return
        with self._connection() as connection:
            try:
                connection.execute(statements.delete, [ByteaArray(keys)])
            except errors.UndefinedTable:
                return

    def drop(self, table: str) -> None:
        statements = self._tables[table]
        with self._connection() as connection, self._alone(connection):
            connection.execute(statements.drop)
            connection.execute(statements.leave, [statements.name])

    def swap(self, new: str, name: str) -> None:
        source, target = self._tables[new], self._tables[name]
        with self._connection() as connection, self._alone(connection):
            known = [found for (found,) in connection.execute(self._statements.tables)]
            if source.name not in known:
                raise not_found("Table", new, [found.decode() for found in known])
            if source.name != target.name:
                connection.execute(target.drop)
                connection.execute(renamed(self._settings.schema, new, name))
                connection.execute(source.leave, [source.name])
                connection.execute(target.enter, [target.name])

    def set_meta(self, name: str, expected: bytes | None, value: bytes | None) -> bool:
        encoded = check_name("document", name)
        say = self._statements
        with self._connection() as connection:
            if expected is None and value is None:
                return _first(connection.execute(say.get_document, [encoded], binary=True)) is None
            if expected is None:
                done = connection.execute(say.add_document, [encoded, value])
            elif value is None:
                done = connection.execute(say.remove_document, [encoded, expected])
            else:
                done = connection.execute(say.change_document, [value, encoded, expected])
            return done.rowcount == 1

    def close(self) -> None:
        self._open = False
        self._database.close()

    # ---- the server

    def _connection(self) -> AbstractContextManager[Connection]:
        if not self._is_ours:
            self._look_at_layout()
        return self._database.connection()

    def _write(self, statements: TableStatements, work: Callable[[TableStatements, Connection], T]) -> T:
        """Do `work`, a transaction: after making the table if there is none, and again if others crossed it."""
        for attempt in range(_TRIES):
            with self._connection() as connection:
                try:
                    return work(statements, connection)
                except errors.UndefinedTable:
                    is_missing = True
                except (errors.DeadlockDetected, errors.SerializationFailure):
                    is_missing = False
                connection.give_up()
            if is_missing:
                self._create(statements)
            else:
                sleep(random.uniform(0, min(0.001 * attempt, 0.05)))
        raise self._crossed(f"`{statements.name.decode()}`")

    def _create(self, statements: TableStatements) -> None:
        with self._connection() as connection, self._alone(connection):
            connection.execute(statements.create)
            connection.execute(statements.enter, [statements.name])

    def _crossed(self, what: str) -> Unavailable:
        return Unavailable(
            f"in {self._settings.shown}, others change {what} all the time",
            hint="try again when other writers are done",
        )

    @contextmanager
    def _alone(self, connection: Connection) -> Iterator[None]:
        """A transaction that makes, drops or renames tables, one of all processes at a time."""
        with connection.transaction():
            connection.execute(self._statements.alone)
            yield

    def _look_at_layout(self) -> None:
        """Make the schema, or learn what lies in it."""
        with self._database.connection() as connection:
            try:
                version = _first(connection.execute(self._statements.version))
            except errors.UndefinedTable:
                with self._alone(connection):
                    # Asked for and not left to IF NOT EXISTS, which wants the right to make one in any case.
                    if not _first(connection.execute(self._statements.has_schema)):
                        connection.execute(self._statements.make_schema)
                    for statement in self._statements.make:
                        connection.execute(statement)
                version = LAYOUT
        if version != LAYOUT:
            raise UsageError(
                f"{self._settings.shown} holds the layout {version} in the schema `{self._settings.schema}`, "
                f"and we are to use {LAYOUT}",
                at="online.url",
                hint="use the release that wrote it, or another `schema` and materialize into it",
            )
        self._is_ours = True

    def _why_not_durable(self) -> str | None:
        """Why a write that has returned may be lost, in the words of the server's configuration."""
        with self._connection() as connection:
            for name in ("fsync", "full_page_writes", "synchronous_commit"):
                if _first(connection.execute("SELECT current_setting(%s)", [name])) == "off":
                    return (
                        f"the server's {name} is off: a loss of power takes the last writes, or more, with it"
                    )
        return None

    def _require_open(self) -> None:
        if not self._open:
            raise closed(f"the store in {self._settings.shown}")


class _Tables(dict[str, TableStatements]):
    """Table → what is said about it, made once: it is a part of every read."""

    def __init__(self, schema: str) -> None:
        super().__init__()
        self._schema = schema

    def __missing__(self, table: str) -> TableStatements:
        check_name("table", table)
        self[table] = statements = table_statements(self._schema, table)
        return statements


# --- what is done over a connection -------------------------------------------------------------------------


def _first(cursor: Cursor[Any]) -> Any:
    """The first column of the first row, or None."""
    row = cursor.fetchone()
    return None if row is None else row[0]


def _read(connection: Connection, say: TableStatements, keys: Sequence[bytes]) -> list[bytes | None]:
    try:
        held = dict(connection.execute(say.read, [ByteaArray(keys)], binary=True).fetchall())
    except errors.UndefinedTable:
        return [None] * len(keys)
    return [held.get(key) for key in keys]


def _update(
    keys: Sequence[bytes],
    positions: Sequence[int],
    merge: Merge,
    say: TableStatements,
    connection: Connection,
) -> Sequence[int]:
    """Replace keys by `merge` of what they hold, in one transaction and two round trips.

    Rows that are there are locked before they are read. A row that is not cannot be: where somebody else adds
    it meanwhile, his stays, and its position is returned, to be merged with.
    """
    chosen = [keys[i] for i in positions]
    with connection.pipeline(), connection.transaction():
        locked = dict(connection.execute(say.lock, [ByteaArray(chosen)], binary=True).fetchall())
        held = [locked.get(key) for key in chosen]
        merged = merge(positions, list(held))
        check_merged(merged, len(positions))
        added: dict[bytes, tuple[int, bytes | memoryview]] = {}
        changed: dict[bytes, bytes | memoryview] = {}
        removed: list[bytes] = []
        for position, key, before, after in zip(positions, chosen, held, merged, strict=True):
            if after is before:
                continue
            if after is None:
                removed.append(key)
            elif before is None:
                added[key] = position, after
            else:
                changed[key] = after
        if added:
            new = sorted(added)
            inserted = connection.execute(
                say.insert, [ByteaArray(new), ByteaArray([added[key][1] for key in new])], binary=True
            )
        if changed:
            connection.execute(say.change, [ByteaArray([*changed]), ByteaArray([*changed.values()])])
        if removed:
            connection.execute(say.remove, [ByteaArray(removed)])
    if not added:
        return ()
    ours = {key for (key,) in inserted.fetchall()}
    return [position for key, (position, _) in added.items() if key not in ours]


def _is_empty(say: TableStatements, connection: Connection) -> bool:
    return bool(_first(connection.execute(say.is_empty)))


def _copied(rows: Sequence[Row], say: TableStatements, connection: Connection) -> bool:
    """Copy rows into the table; False, and nothing is changed, if it has one of the keys already."""
    try:
        with connection.cursor() as cursor, cursor.copy(say.copy) as copy:
            for piece in copy_pieces(rows):
                copy.write(piece)
    except errors.UniqueViolation:
        return False
    return True


def _overwrite(rows: Sequence[Row], say: TableStatements, connection: Connection) -> None:
    connection.execute(
        say.overwrite, [ByteaArray([key for key, _ in rows]), ByteaArray([value for _, value in rows])]
    )


def _batches(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Cut rows into what one transaction writes."""
    source = iter(rows)
    batch: list[Row] = []
    size = 0
    while step := list(islice(source, _LOAD_STEP)):
        batch += step
        size += sum(len(key) + len(value) for key, value in step)
        if size >= _LOAD_BYTES or len(batch) >= _LOAD_ROWS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
