"""The way to a Bigtable: rows of cells by key, whatever went wrong as one of our errors.

The driver makes requests again that may be made again, until the time is over. A conditional change may not: whether it
happened before its answer was lost, nobody knows.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any, TypeAlias, TypeVar

import google.auth.exceptions
import grpc
from google.api_core import exceptions
from google.cloud.bigtable.data import BigtableDataClient, ReadRowsQuery, RowMutationEntry, RowRange
from google.cloud.bigtable.data import Table as DataTable
from google.cloud.bigtable.data.exceptions import MutationsExceptionGroup
from google.cloud.bigtable.data.mutations import DeleteAllFromRow, DeleteRangeFromColumn, Mutation, SetCell
from google.cloud.bigtable.data.row_filters import (
    CellsColumnLimitFilter,
    ColumnQualifierRegexFilter,
    LiteralValueFilter,
    RowFilter,
    RowFilterChain,
)
from google.cloud.bigtable_admin_v2 import BigtableTableAdminClient
from google.cloud.bigtable_admin_v2.services.bigtable_table_admin.transports import (
    BigtableTableAdminGrpcTransport,
)
from google.cloud.bigtable_admin_v2.types import ColumnFamily, GcRule
from google.cloud.bigtable_admin_v2.types import Table as AdminTable

from gnomon.abc.online import closed
from gnomon.errors import Unavailable, UsageError
from gnomon.online.bigtable_url import Settings

T = TypeVar("T")
R = TypeVar("R")

Cells: TypeAlias = Mapping[bytes, bytes]
"""Column → value, of one row."""

Changes: TypeAlias = Mapping[bytes, bytes | None]
"""Column → its new value; None removes it."""

TOKEN = b"n"
"""The column that every write of a row draws anew."""

# Keys of one read, and requests of one caller that are under way at a time.
_READ, _PARALLEL = 1_000, 16

_FAMILY = "g"

# Every cell has this instant. So a write takes the place of the last one, whatever the clocks of servers say.
_INSTANT = 0

_TRANSIENT = (
    exceptions.Aborted,
    exceptions.DeadlineExceeded,
    exceptions.ServerError,
    exceptions.TooManyRequests,
    exceptions.Cancelled,
)


class Missing(Exception):
    """There is no table of ours yet."""


class Wire:
    """One table of Bigtable. Thread-safe; the first request connects."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._times: Any = dict.fromkeys(("operation_timeout", "attempt_timeout"), settings.timeout)
        """The arguments of a request that tell how long it may take."""
        self._open = True
        # By process: neither the connections nor the threads of a parent are a child's.
        self._connected: dict[int, tuple[BigtableDataClient, DataTable]] = {}
        self._pools: dict[int, ThreadPoolExecutor] = {}

    def require_open(self) -> None:
        if not self._open:
            raise closed(f"the store in {self._settings.shown}")

    # ---- rows

    def read(self, keys: Sequence[bytes]) -> dict[bytes, Cells]:
        """Return the rows there are. Each is as of some moment during the call. Raises: Missing."""
        wanted = list(dict.fromkeys(keys))
        batches = [wanted[start : start + _READ] for start in range(0, len(wanted), _READ)]
        return {key: cells for batch in self.each(self._read, batches) for key, cells in batch}

    def _read(self, keys: Sequence[bytes]) -> list[tuple[bytes, Cells]]:
        with self._asking() as table:
            rows = table.read_rows(ReadRowsQuery(row_keys=list(keys)), **self._times)
        return [(row.row_key, _cells(row)) for row in rows]

    def scan(self, prefix: bytes, limit: int) -> Iterator[tuple[bytes, Cells]]:
        """Iterate over the rows whose keys begin with `prefix`, in their order, `limit` at a time."""
        start, end = prefix, _after(prefix)
        while True:
            query = ReadRowsQuery(row_ranges=RowRange(start, end), limit=limit)
            with self._asking() as table:
                rows = table.read_rows(query, **self._times)
            yield from ((row.row_key, _cells(row)) for row in rows)
            if len(rows) < limit:
                return
            start = rows[-1].row_key + b"\0"

    def write(self, rows: Sequence[tuple[bytes, Changes | None]]) -> None:
        """Change rows, whatever they hold; None removes one. Raises: Missing."""
        if not rows:
            return
        entries = [RowMutationEntry(key, _mutations(changes)) for key, changes in rows]
        with self._asking() as table:
            table.bulk_mutate_rows(entries, **self._times)

    def change(self, key: bytes, token: bytes | None, changes: Changes | None) -> bool:
        """Change a row if its token still is this one (None: if it has none); tell whether it was. Raises: Missing."""
        done = _mutations(changes)
        with self._asking() as table:
            matched = table.check_and_mutate_row(
                key,
                _has_token(token),
                true_case_mutations=None if token is None else done,
                false_case_mutations=done if token is None else None,
                operation_timeout=self._settings.timeout,
            )
        return bool(matched) is (token is not None)

    def each(self, do: Callable[[T], R], works: Sequence[T]) -> list[R]:
        """Call `do` for each, several at a time; raise what any of them raised, when all have ended.

        Not from within `do`: threads that wait for threads would wait for ever.
        """
        if len(works) <= 1:
            return [do(work) for work in works]
        running = [self._pool().submit(do, work) for work in works]
        errors = [error for one in running if (error := one.exception()) is not None]
        if errors:
            raise errors[0]
        return [one.result() for one in running]

    # ---- the table

    def make_table(self) -> None:
        """Make our table, if there is none."""
        family = ColumnFamily(gc_rule=GcRule(max_num_versions=1))
        with self._administering() as (admin, instance), suppress(exceptions.AlreadyExists):
            admin.create_table(
                parent=instance,
                table_id=self._settings.table,
                table=AdminTable(column_families={_FAMILY: family}),
                timeout=60.0,
            )

    def drop_rows(self, prefix: bytes) -> None:
        """Remove all rows whose keys begin with `prefix`."""
        with self._administering() as (admin, instance):
            admin.drop_row_range(
                request={"name": f"{instance}/tables/{self._settings.table}", "row_key_prefix": prefix},
                timeout=60.0,
            )

    @contextmanager
    def _administering(self) -> Iterator[tuple[BigtableTableAdminClient, str]]:
        """Who administers is connected for that alone: it is rare, and another service."""
        self.require_open()
        with self._telling():
            emulator = os.environ.get("BIGTABLE_EMULATOR_HOST")
            if emulator is None:
                admin = BigtableTableAdminClient()
            else:
                admin = BigtableTableAdminClient(
                    transport=BigtableTableAdminGrpcTransport(channel=grpc.insecure_channel(emulator))
                )
            with admin:
                yield admin, admin.instance_path(self._settings.project, self._settings.instance)

    # ---- requests

    @contextmanager
    def _asking(self) -> Iterator[DataTable]:
        self.require_open()
        with self._telling():
            yield self._table()

    def _table(self) -> DataTable:
        connected = self._connected.get(os.getpid())
        if connected is None:
            client = BigtableDataClient(project=self._settings.project)
            table = client.get_table(
                self._settings.instance, self._settings.table, app_profile_id=self._settings.app_profile
            )
            # Two threads may each connect; the first to be kept is everybody's.
            connected = self._connected.setdefault(os.getpid(), (client, table))
            if connected[0] is not client:
                client.close()
        return connected[1]

    def _pool(self) -> ThreadPoolExecutor:
        pool = self._pools.get(os.getpid())
        if pool is None:
            pool = self._pools.setdefault(os.getpid(), ThreadPoolExecutor(_PARALLEL, "gnomon-bigtable"))
        return pool

    def close(self) -> None:
        self._open = False
        # What is a parent's stays referenced and untouched.
        if (pool := self._pools.pop(os.getpid(), None)) is not None:
            pool.shutdown()
        if (connected := self._connected.pop(os.getpid(), None)) is not None:
            connected[0].close()

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Raise our errors for the driver's."""
        try:
            yield
        except (
            exceptions.GoogleAPICallError,
            exceptions.RetryError,
            google.auth.exceptions.GoogleAuthError,
            MutationsExceptionGroup,
        ) as error:
            raise _translated(error, self._settings) from error


def _cells(row: Any) -> Cells:
    return {cell.qualifier: cell.value for cell in row}


def _mutations(changes: Changes | None) -> list[Mutation]:
    if changes is None:
        return [DeleteAllFromRow()]
    return [
        DeleteRangeFromColumn(_FAMILY, column)
        if value is None
        else SetCell(_FAMILY, column, value, timestamp_micros=_INSTANT)
        for column, value in changes.items()
    ]


def _has_token(token: bytes | None) -> RowFilter:
    """What lets something through if a row has this token; None: if it has any."""
    column: list[RowFilter] = [ColumnQualifierRegexFilter(TOKEN), CellsColumnLimitFilter(1)]
    return RowFilterChain(column if token is None else [*column, LiteralValueFilter(token)])


def _after(prefix: bytes) -> bytes:
    """The first key after all that begin with `prefix`, whose last byte is not 255."""
    return prefix[:-1] + bytes([prefix[-1] + 1])


def _causes(error: BaseException) -> Iterator[BaseException]:
    """What lies behind an error: several requests failed, each after several tries."""
    yield error
    if isinstance(error, BaseExceptionGroup):
        for one in error.exceptions:
            yield from _causes(one)
    if error.__cause__ is not None:
        yield from _causes(error.__cause__)


def _translated(error: Exception, settings: Settings) -> Exception:
    """What is raised instead of the driver's error."""
    causes = list(_causes(error))
    last = next(
        (one for one in reversed(causes) if isinstance(one, exceptions.GoogleAPICallError)), causes[-1]
    )
    if isinstance(last, exceptions.NotFound) and "table" in str(last).lower():
        return Missing(str(last))
    if isinstance(error, google.auth.exceptions.TransportError):
        return Unavailable(f"{settings.shown} cannot be reached: {error}", at="online.url", hint="try again")
    if isinstance(last, (exceptions.Forbidden, exceptions.Unauthorized)) or isinstance(
        error, google.auth.exceptions.GoogleAuthError
    ):
        return UsageError(
            f"{settings.shown} does not let us in: {last}",
            at="online.url",
            hint="check the credentials (GOOGLE_APPLICATION_CREDENTIALS, the machine's account) and their roles",
        )
    if isinstance(last, _TRANSIENT) or isinstance(error, exceptions.RetryError):
        return Unavailable(
            f"{settings.shown} cannot be reached, or is too busy: {last}",
            at="online.url",
            hint="try again; `timeout` in the URL is how many seconds to wait",
        )
    return UsageError(f"{settings.shown} refuses: {last}", at="online.url")
