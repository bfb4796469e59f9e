"""The way to a PostgreSQL: connections that do not wait for ever, bytes in its binary formats, and our errors."""

from __future__ import annotations

import select
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from struct import Struct
from typing import Any, TypeVar

import psycopg
from psycopg import errors
from psycopg.abc import PQGen
from psycopg.adapt import Dumper
from psycopg.pq import Format, TransactionStatus

from gnomon.errors import GnomonError, Unavailable, UsageError
from gnomon.online.pool import Pool
from gnomon.online.postgres_url import Settings

RV = TypeVar("RV")

_AT = "online.url"

# Idle connections of a process: each is a process of the server.
_KEEP = 16

_LASTING_STATES = ("28", "3D", "42")
"""Classes of SQLSTATE that trying again does not mend: who we are, which database, what we may do."""

_LASTING_TEXTS = (
    "authentication failed",
    "does not exist",
    "no pg_hba.conf entry",
    "permission denied",
    "certificate verify failed",
    "does not support SSL",
)
"""The same for connections that were refused, of which libpq tells no SQLSTATE."""


class Connection(psycopg.Connection[Any]):
    """A connection that waits `patience` seconds for whatever it is waiting for."""

    patience: float = 10.0

    def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
        try:
            return super().wait(gen, interval, self.patience if timeout is None else timeout)
        except errors._WaitTimeout:
            # What was asked is still under way, and its answer would be the next one's.
            self.close()
            raise errors.ConnectionTimeout(f"no answer in {self.patience:g} s") from None

    def give_up(self) -> None:
        """End it after an error in a pipeline: psycopg may take a statement for prepared that is not."""
        self.close()


class Database:
    """Where a store's connections come from."""

    def __init__(self, settings: Settings) -> None:
        """No connection is opened before the first is needed."""
        self._settings = settings
        self._pool: Pool[Connection] = Pool(
            self._connect, _is_silent, Connection.close, what=f"the store in {settings.shown}", keep=_KEEP
        )

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """Lend a connection, in autocommit; what psycopg raises under way becomes one of our errors.

        Errors that a caller can do something about, and catches itself within the block, stay psycopg's.
        """
        connection = None
        try:
            connection = self._pool.take()
            yield connection
        except psycopg.Error as error:
            if isinstance(error, psycopg.OperationalError):
                # The other connections lead to where this one led.
                self._pool.clear()
            raise translated(error, self._settings.shown) from error
        finally:
            if connection is not None:
                self._give(connection)

    def close(self) -> None:
        self._pool.close()

    def _connect(self) -> Connection:
        settings = self._settings
        connection = Connection.connect(
            settings.conninfo,
            autocommit=True,
            prepare_threshold=2,
            # libpq counts whole seconds, two at least.
            connect_timeout=max(2, round(settings.timeout)),
            application_name="gnomon",
        )
        connection.patience = settings.timeout
        connection.adapters.register_dumper(ByteaArray, _ByteaArrayDumper)
        return connection

    def _give(self, connection: Connection) -> None:
        if connection.closed or connection.pgconn.transaction_status != TransactionStatus.IDLE:
            # Broken, or left in the middle of something: the server ends what was under way.
            connection.close()
        else:
            self._pool.give(connection)


def _is_silent(connection: Connection) -> bool:
    """Whether nothing has come over an idle connection: neither its end nor word that it will end."""
    if connection.closed:
        return False
    poll = select.poll()
    poll.register(connection.pgconn.socket, select.POLLIN)
    return not poll.poll(0)


def translated(error: psycopg.Error, what: str) -> GnomonError:
    """What a user is told instead of the driver's error."""
    text = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    state = error.sqlstate or ""
    lasting = state.startswith(_LASTING_STATES) if state else any(known in text for known in _LASTING_TEXTS)
    if lasting:
        return UsageError(
            f"{what} refuses: {text}", at=_AT, hint="check the URL, and what its user may do in that database"
        )
    if isinstance(error, errors.ConnectionTimeout | errors.QueryCanceled):
        return Unavailable(
            f"{what} does not answer in time: {text}",
            at=_AT,
            hint="try again; `timeout` in the URL is how many seconds to wait",
        )
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return Unavailable(
            f"{what} cannot be reached: {text}", at=_AT, hint="is it running? Trying again may work"
        )
    if isinstance(error, errors.ReadOnlySqlTransaction):
        return Unavailable(
            f"{what} takes no writes just now: {text}",
            at=_AT,
            hint="is it a replica? `target_session_attrs=read-write` in the URL asks for the primary",
        )
    return UsageError(f"{what} refuses: {text}", at=_AT)


# --- binary formats -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ByteaArray:
    """Many bytes as one parameter. Written out at once, since psycopg's own way asks for each what it is."""

    items: Sequence[bytes | memoryview]


_BYTEA, _BYTEA_ARRAY = 17, 1001
_length = Struct(">i").pack
_array_head = Struct(">iiiii").pack
_row_head = Struct(">hi").pack
_COPY_BEGIN = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_COPY_END = b"\xff\xff"
_PIECE = 1_000
"""Rows of a piece."""


class _ByteaArrayDumper(Dumper):
    format = Format.BINARY
    oid = _BYTEA_ARRAY

    def dump(self, obj: ByteaArray) -> bytes:
        if not obj.items:
            return _array_head(0, 0, _BYTEA, 0, 1)[:12]
        parts: list[bytes | memoryview] = [_array_head(1, 0, _BYTEA, len(obj.items), 1)]
        for item in obj.items:
            parts.append(_length(len(item)))
            parts.append(item)
        return b"".join(parts)


def copy_pieces(rows: Iterable[tuple[bytes, bytes | memoryview]]) -> Iterator[bytes]:
    """Rows of two bytea columns as `COPY … (FORMAT BINARY)` reads them.

    In pieces, so that the server takes one while the next is made.
    """
    parts: list[bytes | memoryview] = [_COPY_BEGIN]
    for number, (key, value) in enumerate(rows, 1):
        parts += (_row_head(2, len(key)), key, _length(len(value)), value)
        if number % _PIECE == 0:
            yield b"".join(parts)
            parts.clear()
    parts.append(_COPY_END)
    yield b"".join(parts)
