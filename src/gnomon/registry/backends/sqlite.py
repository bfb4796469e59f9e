"""SqlRegistry: revisions in two tables of a SQL database.

A revision writes only the documents that it changes, so that history costs what it says. Which of two writers
wins is decided by the primary key of `revisions`: both insert `base + 1`, and one of them cannot.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.schema import CreateTable

from gnomon.abc.registry import Address, Loaded, NewRevision, RegistryBackend, Revision, Stored
from gnomon.errors import Conflict, CorruptValue, NotFound, Unavailable, UsageError

WAIT_SECONDS = 30.0
"""How long to wait for another writer's lock before giving up with Unavailable."""

_TABLES = sa.MetaData()
_REVISIONS = sa.Table(
    "gnomon_revisions",
    _TABLES,
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("author", sa.Text, nullable=False),
    sa.Column("time", sa.BigInteger, nullable=False),
    sa.Column("message", sa.Text, nullable=False),
    # What it changed, as JSON: [[kind, ref, "put" or "remove"], …]. The documents stand in the other table.
    sa.Column("updates", sa.Text, nullable=False),
)
_DOCUMENTS = sa.Table(
    "gnomon_documents",
    _TABLES,
    sa.Column("kind", sa.String(20), primary_key=True),
    sa.Column("ref", sa.String(400), primary_key=True),
    sa.Column("revision", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("document", sa.Text, nullable=True),  # NULL: removed
)


class SqlRegistry(RegistryBackend):
    """Keeps revisions in the database at `url`. A relative SQLite path is taken from `root`, the project's
    folder.

    Each call opens a connection of its own, which makes forks and threads safe and costs less than a
    millisecond.
    Raises: UsageError if the URL cannot be used; Unavailable if the database cannot be opened.
    """

    def __init__(self, url: str, *, root: str | Path = ".") -> None:
        try:
            self._url = _resolve(sa.make_url(url), Path(root))
            self._engine = sa.create_engine(self._url, poolclass=sa.pool.NullPool)
        except (sa.exc.ArgumentError, sa.exc.NoSuchModuleError, ModuleNotFoundError) as error:
            raise UsageError(
                f"the registry's URL cannot be used: {error}",
                at="registry.url",
                hint="such as sqlite:///.gnomon/registry.db",
            ) from None
        if self._engine.dialect.name == "sqlite":
            sa.event.listen(self._engine, "connect", _set_up_sqlite)
        self._make_tables()

    def __repr__(self) -> str:
        return f"SqlRegistry({self._url.render_as_string(hide_password=True)!r})"

    def head(self) -> int:
        with self._connect() as connection:
            return _head(connection)

    def load(self, revision: int | None = None) -> Loaded:
        with self._connect() as connection:
            # History never changes, so reading it in two statements is reading it at one moment.
            number = _head(connection) if revision is None else revision
            if number == 0:
                return Loaded(Revision(0, "", 0, ""), ())
            row = connection.execute(sa.select(_REVISIONS).where(_REVISIONS.c.number == number)).one_or_none()
            if row is None:
                raise NotFound(
                    f"revision {number} not found", hint=f"the newest is revision {_head(connection)}"
                )
            d = _DOCUMENTS.c
            newest = (
                sa.select(d.kind, d.ref, sa.func.max(d.revision).label("revision"))
                .where(d.revision <= number)
                .group_by(d.kind, d.ref)
                .subquery()
            )
            found = connection.execute(
                sa.select(d.kind, d.ref, d.document, d.revision, _REVISIONS.c.author)
                .join(
                    newest,
                    (d.kind == newest.c.kind) & (d.ref == newest.c.ref) & (d.revision == newest.c.revision),
                )
                .join(_REVISIONS, d.revision == _REVISIONS.c.number)
                .order_by(d.kind, d.ref)
            )
            return Loaded(_revision(row), tuple(Stored(*stored) for stored in found))

    def swap(self, base: int, new: NewRevision) -> None:
        number = base + 1
        updates = [
            [kind, ref, "remove" if document is None else "put"]
            for (kind, ref), document in sorted(new.documents.items())
        ]
        with self._connect() as connection, connection.begin():
            # Written before anything is read: this takes the lock of writers, waiting for it if need be. A
            # transaction that has read first cannot wait in SQLite, its view being too old already.
            try:
                connection.execute(
                    sa.insert(_REVISIONS).values(
                        number=number,
                        author=new.author,
                        time=new.time,
                        message=new.message,
                        updates=json.dumps(updates),
                    )
                )
            except sa.exc.IntegrityError:
                raise Conflict(f"revision {number} has been written by somebody else") from None
            newest = connection.execute(
                sa.select(sa.func.max(_REVISIONS.c.number)).where(_REVISIONS.c.number != number)
            ).scalar()
            if (newest or 0) != base:
                raise Conflict(f"revision {base} is not the newest, which is {newest or 0}")
            if new.documents:
                connection.execute(
                    sa.insert(_DOCUMENTS),
                    [
                        {"kind": kind, "ref": ref, "revision": number, "document": document}
                        for (kind, ref), document in new.documents.items()
                    ],
                )

    def history(self) -> tuple[Revision, ...]:
        with self._connect() as connection:
            rows = connection.execute(sa.select(_REVISIONS).order_by(_REVISIONS.c.number.desc()))
            return tuple(_revision(row) for row in rows)

    def close(self) -> None:
        self._engine.dispose()

    def _make_tables(self) -> None:
        with self._connect() as connection:
            if not sa.inspect(connection).has_table(_DOCUMENTS.name):  # the last one made
                for table in (_REVISIONS, _DOCUMENTS):
                    connection.execute(CreateTable(table, if_not_exists=True))
                connection.commit()

    @contextmanager
    def _connect(self) -> Iterator[sa.Connection]:
        shown = self._url.render_as_string(hide_password=True)
        try:
            with self._engine.connect() as connection:
                yield connection
        except sa.exc.OperationalError as error:
            raise Unavailable(
                f"the registry cannot be reached: {error.orig}",
                at=shown,
                hint="another process may be writing for long, or the file cannot be opened",
            ) from error
        except sa.exc.DatabaseError as error:
            raise CorruptValue(f"the registry cannot be read: {error.orig}", at=shown) from error


def _resolve(url: sa.URL, root: Path) -> sa.URL:
    """The URL with an absolute path, and the folder of a SQLite file made."""
    if url.get_backend_name() != "sqlite":
        return url
    if not url.database or url.database == ":memory:":
        raise UsageError(
            "a registry in memory would be gone with its first connection",
            at="registry.url",
            hint="name a file: sqlite:///.gnomon/registry.db",
        )
    path = (root / url.database).absolute()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Unavailable(f"the registry's folder cannot be made: {error}", at=str(path)) from error
    return url.set(database=str(path))


def _set_up_sqlite(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    # The wait first: changing the journal's mode needs the lock too.
    cursor.execute(f"PRAGMA busy_timeout = {int(WAIT_SECONDS * 1000)}")
    if cursor.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")  # a revision that was acknowledged survives a power cut
    cursor.close()


def _head(connection: sa.Connection) -> int:
    return connection.execute(sa.select(sa.func.max(_REVISIONS.c.number))).scalar() or 0


def _revision(row: Any) -> Revision:
    updates: list[list[str]] = json.loads(row.updates)

    def of(action: str) -> tuple[Address, ...]:
        return tuple((kind, ref) for kind, ref, done in updates if done == action)

    return Revision(row.number, row.author, row.time, row.message, of("put"), of("remove"))
