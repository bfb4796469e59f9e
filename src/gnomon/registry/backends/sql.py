"""SqlRegistry: revisions in two tables of a SQL database, API keys in a third, made with the first key. What databases
differ in stands beside, a file each.

A revision writes only the documents that it changes, so that history costs what it says. Which of two writers
wins is decided by the primary key of `revisions`: both insert `base + 1`, and one of them cannot.
"""

from __future__ import annotations

import json
from abc import abstractmethod
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.schema import CreateTable

from gnomon.abc.registry import Address, Loaded, NewRevision, RegistryBackend, Revision, Stored, StoredKey
from gnomon.errors import Conflict, CorruptValue, GnomonError, NotFound, UsageError
from gnomon.registry.backends import keys

WAIT_SECONDS = 30.0
"""How long to wait for another writer's lock before giving up with Unavailable."""

TABLES = sa.MetaData()
REVISIONS = sa.Table(
    "gnomon_revisions",
    TABLES,
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("author", sa.Text, nullable=False),
    sa.Column("time", sa.BigInteger, nullable=False),
    sa.Column("message", sa.Text, nullable=False),
    # What it changed, as JSON: [[kind, ref, "put" or "remove"], …]. The documents stand in the other table.
    sa.Column("updates", sa.Text, nullable=False),
)
DOCUMENTS = sa.Table(
    "gnomon_documents",
    TABLES,
    sa.Column("kind", sa.String(20), primary_key=True),
    sa.Column("ref", sa.String(400), primary_key=True),
    sa.Column("revision", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("document", sa.Text, nullable=True),  # NULL: removed
)


class SqlRegistry(RegistryBackend):
    """Keeps revisions in the database that `engine` connects to.

    Each call opens a connection of its own, which makes forks and threads safe, ends with the call whatever a
    server does, and costs a millisecond or a few.
    """

    def __init__(self, url: sa.URL, engine: sa.Engine) -> None:
        self._url = url
        self._engine = engine
        self._make_tables()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.shown!r})"

    @property
    def shown(self) -> str:
        """The URL without its password."""
        return self._url.render_as_string(hide_password=True)

    def head(self) -> int:
        with self._connect() as connection:
            return read_head(connection)

    def load(self, revision: int | None = None) -> Loaded:
        with self._connect() as connection:
            self._prepare_read(connection)
            number = read_head(connection) if revision is None else revision
            if number == 0:
                return Loaded(Revision(0, "", 0, ""), ())
            row = connection.execute(sa.select(REVISIONS).where(REVISIONS.c.number == number)).one_or_none()
            if row is None:
                raise NotFound(
                    f"revision {number} not found", hint=f"the newest is revision {read_head(connection)}"
                )
            d = DOCUMENTS.c
            newest = (
                sa.select(d.kind, d.ref, sa.func.max(d.revision).label("revision"))
                .where(d.revision <= number)
                .group_by(d.kind, d.ref)
                .subquery()
            )
            found = connection.execute(
                sa.select(d.kind, d.ref, d.document, d.revision, REVISIONS.c.author)
                .join(
                    newest,
                    (d.kind == newest.c.kind) & (d.ref == newest.c.ref) & (d.revision == newest.c.revision),
                )
                .join(REVISIONS, d.revision == REVISIONS.c.number)
            )
            # Sorted here: each database has an order of texts of its own.
            stored = sorted((Stored(*one) for one in found), key=lambda s: (s.kind, s.ref))
            return Loaded(_revision(row), tuple(stored))

    def changes(self, since: int = 0) -> tuple[NewRevision, ...]:
        with self._connect() as connection:
            self._prepare_read(connection)
            rows = connection.execute(
                sa.select(REVISIONS).where(REVISIONS.c.number > since).order_by(REVISIONS.c.number)
            ).all()
            documents: dict[int, dict[Address, str | None]] = defaultdict(dict)
            for kind, ref, revision, document in connection.execute(
                sa.select(DOCUMENTS).where(DOCUMENTS.c.revision > since)
            ):
                documents[revision][kind, ref] = document
        return tuple(
            NewRevision(row.author, row.time, row.message, dict(sorted(documents[row.number].items())))
            for row in rows
        )

    def swap(self, base: int, new: NewRevision) -> None:
        check_texts(new)
        number = base + 1
        with self._connect() as connection, connection.begin():
            self._prepare_write(connection)
            # Written before anything is read: this takes the lock of writers, waiting for it if need be. A
            # transaction that has read first cannot wait in SQLite, its view being too old already.
            try:
                insert_revision(connection, number, new)
            except sa.exc.IntegrityError:
                raise Conflict(f"revision {number} has been written by somebody else") from None
            newest = connection.execute(
                sa.select(sa.func.max(REVISIONS.c.number)).where(REVISIONS.c.number != number)
            ).scalar()
            if (newest or 0) != base:
                raise Conflict(f"revision {base} is not the newest, which is {newest or 0}")
            insert_documents(connection, number, new.documents)

    def history(self) -> tuple[Revision, ...]:
        with self._connect() as connection:
            rows = connection.execute(sa.select(REVISIONS).order_by(REVISIONS.c.number.desc()))
            return tuple(_revision(row) for row in rows)

    def api_keys(self) -> tuple[StoredKey, ...]:
        with self._connect() as connection:
            return keys.read(connection) if self._has(connection, keys.KEYS) else ()

    def add_key(self, key: StoredKey) -> None:
        for what, text in (("id", key.id), ("name", key.name), ("author", key.author)):
            check_text(f"{what} of a key", text)
        # Made with the first key and not with the others: a user who may only read a registry of an earlier
        # release must get by.
        with self._connect() as connection, connection.begin():
            if not self._has(connection, keys.KEYS):
                self._make_table(connection, keys.KEYS)
        with self._connect() as connection, connection.begin():
            self._prepare_write(connection)
            keys.insert(connection, key)

    def revoke_key(self, id: str, time: int, author: str) -> StoredKey:
        check_text("author of a revocation", author)
        with self._connect() as connection, connection.begin():
            if not self._has(connection, keys.KEYS):
                raise keys.missing(id)
            self._prepare_write(connection)
            return keys.revoke(connection, id, time, author)

    def close(self) -> None:
        self._engine.dispose()

    @abstractmethod
    def _make_tables(self) -> None:
        """Make the tables where they are missing, whoever else does so at the same moment."""

    def _has(self, connection: sa.Connection, table: sa.Table) -> bool:
        """Whether a table is there."""
        return sa.inspect(connection).has_table(table.name)

    def _make_table(self, connection: sa.Connection, table: sa.Table) -> None:
        """Make one table, whoever else does so at the same moment."""
        connection.execute(CreateTable(table, if_not_exists=True))

    def _prepare_read(self, connection: sa.Connection) -> None:
        """Do what must stand before statements that belong together.

        History never changes, and a revision is found before its documents are: reading them in two statements is
        reading them at one moment, but where a history can be replaced by another.
        """

    def _prepare_write(self, connection: sa.Connection) -> None:
        """Do what must stand at the beginning of a transaction that writes."""

    @abstractmethod
    def _unavailable(self, error: sa.exc.OperationalError) -> GnomonError:
        """What a failure to reach the database is told as."""

    def _failed(self, error: sa.exc.DatabaseError) -> GnomonError:
        """What any other failure of the database is told as."""
        return CorruptValue(f"the registry cannot be read: {error.orig}", at=self.shown)

    @contextmanager
    def _connect(self) -> Iterator[sa.Connection]:
        try:
            with self._engine.connect() as connection:
                yield connection
        except sa.exc.OperationalError as error:
            raise self._unavailable(error) from error
        except sa.exc.DatabaseError as error:
            raise self._failed(error) from error


def parse_url(url: str, example: str) -> sa.URL:
    """The parts of a URL. Raises: UsageError with an example."""
    try:
        return sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError) as error:  # ValueError: of a port that is no number
        raise unusable(error, example) from None


def unusable(why: object, example: str) -> UsageError:
    return UsageError(
        f"the registry's URL cannot be used: {why}", at="registry.url", hint=f"such as {example}"
    )


def insert_revision(connection: sa.Connection, number: int, new: NewRevision) -> None:
    """Write a revision without its documents. Raises: IntegrityError if there is one of this number."""
    updates = [
        [kind, ref, "remove" if document is None else "put"]
        for (kind, ref), document in sorted(new.documents.items())
    ]
    connection.execute(
        sa.insert(REVISIONS).values(
            number=number,
            author=new.author,
            time=new.time,
            message=new.message,
            updates=json.dumps(updates),
        )
    )


def insert_documents(connection: sa.Connection, number: int, documents: Mapping[Address, str | None]) -> None:
    """Write the documents of a revision."""
    rows = [
        {"kind": kind, "ref": ref, "revision": number, "document": document}
        for (kind, ref), document in documents.items()
    ]
    if rows:
        connection.execute(sa.insert(DOCUMENTS), rows)


def check_texts(new: NewRevision) -> None:
    """Refuse texts that some database cannot hold, in all of them: a registry can move from each to each.

    Raises: UsageError that names the text.
    """
    texts = [("author", new.author), ("message", new.message)]
    for (kind, ref), document in new.documents.items():
        texts += [(f"name of {kind}", ref), (f"document of {kind} `{ref}`", document or "")]
    for what, text in texts:
        check_text(f"{what} of a revision", text)


def check_text(what: str, text: str) -> None:
    """Raises: UsageError for a text that some database cannot hold."""
    if "\0" in text or not _is_utf8(text):
        raise UsageError(
            f"the {what} holds what is no text: {text[:40]!r}",
            hint="leave out the zero character, and bytes that are not UTF-8",
        )


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def read_head(connection: sa.Connection) -> int:
    """The newest revision's number, 0 if there is none."""
    return connection.execute(sa.select(sa.func.max(REVISIONS.c.number))).scalar() or 0


def _revision(row: Any) -> Revision:
    updates: list[list[str]] = json.loads(row.updates)

    def of(action: str) -> tuple[Address, ...]:
        return tuple((kind, ref) for kind, ref, done in updates if done == action)

    return Revision(row.number, row.author, row.time, row.message, of("put"), of("remove"))
