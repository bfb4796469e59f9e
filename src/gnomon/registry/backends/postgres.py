"""PostgresRegistry: a registry on a PostgreSQL server, for any number of machines."""

from __future__ import annotations

from pathlib import Path

import psycopg
import sqlalchemy as sa
from sqlalchemy.schema import CreateSchema, CreateTable

from gnomon.errors import GnomonError, Unavailable, UsageError
from gnomon.registry.backends import sql
from gnomon.registry.backends.sql import DOCUMENTS, REVISIONS, SqlRegistry, parse_url, unusable
from gnomon.time import instant

EXAMPLE = "postgresql://user@host/database?schema=gnomon"
CONNECT_SECONDS = 10
"""How long to wait for a server that does not answer; `connect_timeout=` in the URL says otherwise.

Each call makes its own connection, so that this bounds how long a server that hangs is waited for.
"""

_MAKING = 0x676E6F6D6F6E
"""The advisory lock of whoever makes tables: `IF NOT EXISTS` alone fails when two do so at one moment."""


class PostgresRegistry(SqlRegistry):
    """Keeps revisions in two tables of a database, in the schema of `?schema=`, else in the first of the user's
    search path. Both are made where they are missing; after that a user who may only read them can read.

    `root` is not used: a server has no folder. Everything else in the URL's query is libpq's: `sslmode=`, ….
    Raises: UsageError if the URL cannot be used; Unavailable if the server cannot be reached.
    """

    def __init__(self, url: str, *, root: str | Path = ".") -> None:
        parsed = parse_url(url, EXAMPLE)
        if parsed.drivername not in ("postgresql", "postgresql+psycopg"):
            raise unusable(f"`{parsed.drivername}` is not served here", EXAMPLE)
        schema = parsed.query.get("schema")
        if schema is not None and (not isinstance(schema, str) or not schema):
            raise unusable("`schema` names one schema", EXAMPLE)
        self._schema = schema
        engine = sa.create_engine(
            parsed.set(drivername="postgresql+psycopg").difference_update_query(["schema"]),
            poolclass=sa.pool.NullPool,
            # In statements, and not as an option of the connection, which proxies refuse.
            execution_options={"schema_translate_map": {None: schema}},
            connect_args={
                "connect_timeout": parsed.query.get("connect_timeout", CONNECT_SECONDS),
                "fallback_application_name": "gnomon",
            },
        )
        super().__init__(parsed, engine)

    def server_time(self) -> int | None:
        with self._connect() as connection:
            return instant(connection.execute(sa.select(sa.func.clock_timestamp())).scalar_one())

    def _make_tables(self) -> None:
        with self._connect() as connection:
            # The last one made. A user who may only read must get by without another statement.
            if self._has(connection, DOCUMENTS):
                return
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MAKING)))
            if self._schema is not None and not sa.inspect(connection).has_schema(self._schema):
                connection.execute(CreateSchema(self._schema))
            for table in (REVISIONS, DOCUMENTS):
                connection.execute(CreateTable(table, if_not_exists=True))
            connection.commit()

    def _has(self, connection: sa.Connection, table: sa.Table) -> bool:
        return sa.inspect(connection).has_table(table.name, schema=self._schema)

    def _make_table(self, connection: sa.Connection, table: sa.Table) -> None:
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MAKING)))
        super()._make_table(connection, table)

    def _prepare_write(self, connection: sa.Connection) -> None:
        wait = f"{int(sql.WAIT_SECONDS * 1000)}ms"
        connection.execute(sa.select(sa.func.set_config("lock_timeout", wait, True)))

    def _unavailable(self, error: sa.exc.OperationalError) -> GnomonError:
        return Unavailable(
            f"the registry cannot be reached: {_first_line(error)}",
            at=self.shown,
            hint="does the server run, are user, password and database right, and does another writer hold a lock?",
        )

    def _failed(self, error: sa.exc.DatabaseError) -> GnomonError:
        if isinstance(error.orig, psycopg.errors.InsufficientPrivilege):
            return UsageError(
                f"the registry's user has not the right: {_first_line(error)}",
                at=self.shown,
                hint="reading needs SELECT on the tables, applying INSERT too, revoking a key UPDATE, and the first "
                "use (of the registry, and of keys) CREATE in the schema",
            )
        return super()._failed(error)


def _first_line(error: sa.exc.DBAPIError) -> str:
    return str(error.orig).strip().partition("\n")[0]
