"""SqliteRegistry: a registry in one SQLite file, for any number of processes of one machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.schema import CreateTable

from gnomon.abc.registry import NewRevision, StoredKey
from gnomon.errors import GnomonError, Unavailable, UsageError
from gnomon.registry.backends import sql
from gnomon.registry.backends.sql import DOCUMENTS, REVISIONS, SqlRegistry, parse_url, unusable

EXAMPLE = "sqlite:///.gnomon/registry.db"


COPY = sa.Table(
    "gnomon_copy",
    sa.MetaData(),
    sa.Column("primary", sa.Text, nullable=False),
    sa.Column("compared", sa.BigInteger, nullable=False),
)
"""In a file that copies another registry: one row, that tells of which and as of when."""


class SqliteRegistry(SqlRegistry):
    """Keeps revisions in the file of `url`. A relative path is taken from `root`, the project's folder.

    A file that is the copy of another registry can be read, and refuses to be written.
    Raises: UsageError if the URL cannot be used; Unavailable if the file cannot be opened.
    """

    def __init__(self, url: str, *, root: str | Path = ".") -> None:
        parsed = parse_url(url, EXAMPLE)
        try:
            resolved = _resolve(parsed, Path(root))
            engine = sa.create_engine(resolved, poolclass=sa.pool.NullPool)
        except (sa.exc.ArgumentError, sa.exc.NoSuchModuleError) as error:
            raise unusable(error, EXAMPLE) from None
        sa.event.listen(engine, "connect", _set_up)
        self.is_copy = False
        super().__init__(resolved, engine)

    def swap(self, base: int, new: NewRevision) -> None:
        self._refuse_a_copy()
        super().swap(base, new)

    def add_key(self, key: StoredKey) -> None:
        self._refuse_a_copy()
        super().add_key(key)

    def revoke_key(self, id: str, time: int, author: str) -> StoredKey:
        self._refuse_a_copy()
        return super().revoke_key(id, time, author)

    def _refuse_a_copy(self) -> None:
        if self.is_copy:
            raise UsageError(
                "this registry is the copy of another one, and only follows it",
                at=self.shown,
                hint="write to the other one: set [registry] url in gnomon.toml to it",
            )

    def _make_tables(self) -> None:
        with self._connect() as connection:
            self.is_copy = sa.inspect(connection).has_table(COPY.name)
            if not sa.inspect(connection).has_table(DOCUMENTS.name):  # the last one made
                for table in (REVISIONS, DOCUMENTS):
                    connection.execute(CreateTable(table, if_not_exists=True))
                connection.commit()

    def _prepare_read(self, connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN")  # without it each statement would see a moment of its own

    def _unavailable(self, error: sa.exc.OperationalError) -> GnomonError:
        return Unavailable(
            f"the registry cannot be reached: {error.orig}",
            at=self.shown,
            hint="another process may be writing for long, or the file cannot be opened",
        )


def _resolve(url: sa.URL, root: Path) -> sa.URL:
    """The URL with an absolute path, and the folder of a SQLite file made."""
    if url.get_backend_name() != "sqlite":
        raise unusable(f"`{url.drivername}` is not SQLite", EXAMPLE)
    if not url.database or url.database == ":memory:":
        raise UsageError(
            "a registry in memory would be gone with its first connection",
            at="registry.url",
            hint=f"name a file: {EXAMPLE}",
        )
    path = (root / url.database).absolute()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Unavailable(f"the registry's folder cannot be made: {error}", at=str(path)) from error
    return url.set(database=str(path))


def _set_up(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    # The wait first: changing the journal's mode needs the lock too.
    cursor.execute(f"PRAGMA busy_timeout = {int(sql.WAIT_SECONDS * 1000)}")
    if cursor.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")  # a revision that was acknowledged survives a power cut
    cursor.close()
