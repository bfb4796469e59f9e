"""SqliteCopy: a SQLite file that holds the revisions of another registry, and when it was last compared with it.

Such a file can be opened as any registry and read; it refuses to be written, since what would be written there is in no
other registry.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.schema import CreateTable

from gnomon.abc.registry import NewRevision, StoredKey
from gnomon.errors import UsageError
from gnomon.registry.backends import keys
from gnomon.registry.backends.sql import DOCUMENTS, REVISIONS, insert_documents, insert_revision, read_head
from gnomon.registry.backends.sqlite import COPY, SqliteRegistry


@dataclass(frozen=True, slots=True)
class Origin:
    """What a copy is of."""

    primary: str
    """The other registry's URL, without its password."""
    compared: int
    """Instant at which it last had all the revisions of the other one."""


class SqliteCopy(SqliteRegistry):
    """The copy in the file of `url`, made if there is none.

    Raises: UsageError if the file holds a registry of its own, which would be lost.
    """

    def __init__(self, url: str, *, root: str | Path = ".") -> None:
        super().__init__(url, root=root)
        if self.is_copy:
            return
        if self.head():
            raise UsageError(
                "the file holds a registry of its own, which a copy would take the place of",
                at=self.shown,
                hint="name another file as replica",
            )
        with self._connect() as connection:
            connection.execute(CreateTable(COPY, if_not_exists=True))
            connection.commit()
        self.is_copy = True

    def origin(self) -> Origin | None:
        """None before anything was copied."""
        with self._connect() as connection:
            row = connection.execute(sa.select(COPY)).one_or_none()
        return None if row is None else Origin(row.primary, row.compared)

    def add(self, base: int, changes: Sequence[NewRevision], origin: Origin) -> None:
        """Write the revisions after `base`, in one step. Whoever of several processes comes second changes nothing."""
        with self._connect() as connection, connection.begin():
            _note(connection, origin)  # first, for the lock of writers
            if read_head(connection) == base:
                _write(connection, base, changes)

    def replace(self, changes: Sequence[NewRevision], origin: Origin) -> None:
        """Hold these revisions and no others. Readers see the old ones or the new ones."""
        with self._connect() as connection, connection.begin():
            _note(connection, origin)
            connection.execute(sa.delete(DOCUMENTS))
            connection.execute(sa.delete(REVISIONS))
            _write(connection, 0, changes)

    def keep_keys(self, held: Sequence[StoredKey]) -> None:
        """Hold these API keys and no others."""
        with self._connect() as connection, connection.begin():
            self._make_table(connection, keys.KEYS)
            keys.replace(connection, held)


def _note(connection: sa.Connection, origin: Origin) -> None:
    connection.execute(sa.delete(COPY))
    connection.execute(sa.insert(COPY).values(primary=origin.primary, compared=origin.compared))


def _write(connection: sa.Connection, base: int, changes: Sequence[NewRevision]) -> None:
    for number, one in enumerate(changes, base + 1):
        insert_revision(connection, number, one)
        insert_documents(connection, number, one.documents)
