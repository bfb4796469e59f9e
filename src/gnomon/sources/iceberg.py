"""Iceberg tables, by a catalog or by their metadata: the data files of the newest snapshot, less what is deleted.

Planning and reading are pyiceberg's: it follows columns that were renamed, skips files by what the manifests tell of
them, and leaves out rows that position deletes name. Equality deletes it refuses, and so do we.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import cast

import polars as pl
from polars.io.plugins import register_io_source
from pyiceberg import exceptions as iceberg
from pyiceberg.catalog import load_catalog
from pyiceberg.expressions import AlwaysTrue, And, BooleanExpression, GreaterThanOrEqual, LessThanOrEqual
from pyiceberg.io.pyarrow import ArrowScan
from pyiceberg.table import FileScanTask, StaticTable, Table

from gnomon.abc.source import EVERY_ROW, Part, SourceReader, Wanted, usable
from gnomon.define.source import FileSource
from gnomon.errors import DataError, GnomonError, Unavailable, counted, nearest
from gnomon.plan.normal import as_type, days_are_times
from gnomon.sources.agree import check_fits
from gnomon.sources.places import Place
from gnomon.time import ALWAYS, NEVER
from gnomon.types import DType

_NAMES = {
    "aws_access_key_id": "s3.access-key-id",
    "aws_secret_access_key": "s3.secret-access-key",
    "aws_session_token": "s3.session-token",
    "aws_region": "s3.region",
    "aws_endpoint_url": "s3.endpoint",
}
"""Options of object stores as Polars calls them, and as pyiceberg does."""
_DEFAULT = "default"
"""What pyiceberg calls a catalog that nobody gave a name. In SQL catalogs tables belong to a name."""
_FAILURES = (iceberg.RESTError, iceberg.ValidationError, OSError, ValueError, NotImplementedError)
"""What pyiceberg raises for what it cannot reach, read or do."""
_VERSION = re.compile(r"v?(\d+)")
_SQLITE = "sqlite:///"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST, _LAST = (
    int((datetime(year, 1, 1, tzinfo=UTC) - _EPOCH) / timedelta(microseconds=1)) for year in (1, 9999)
)


def of_catalog(
    source: FileSource, root: Path, options: Mapping[str, str], types: Mapping[str, DType]
) -> IcebergReader:
    """A table by its name in a catalog. `options`: pyiceberg's properties of it, `uri` or `catalog` among them.

    Raises: DataError if there is no such table, or the catalog refuses to tell; Unavailable.
    """
    given = _properties(options)
    uri = given.get("uri", "")
    if uri.startswith(_SQLITE) and not uri.startswith(f"{_SQLITE}/"):
        given["uri"] = f"{_SQLITE}{root / uri.removeprefix(_SQLITE)}"
    try:
        table = load_catalog(given.pop("catalog", _DEFAULT), **given).load_table(source.path)
    except (iceberg.NoSuchTableError, iceberg.NoSuchNamespaceError):
        raise DataError(
            f"source `{source.name}`: the catalog has no table `{source.path}`",
            at=source.path,
            hint="tables are called `namespace.table`",
        ) from None
    except _FAILURES as error:
        raise _told(source, error) from None
    return IcebergReader(source, table, types)


def of_folder(source: FileSource, place: Place, types: Mapping[str, DType]) -> IcebergReader:
    """A table by its folder, or by one of the files of metadata in it: the newest, as of now.

    Raises: DataError if there is no table; Unavailable.
    """
    location = place.location
    if not location.endswith(".metadata.json"):
        found = [name for name in place.names_in("metadata") if name.endswith(".metadata.json")]
        if not found:
            raise DataError(
                f"source `{source.name}`: nothing to read at `{source.path}`",
                at=location,
                hint="an Iceberg table is a folder with `metadata/….metadata.json` in it, or a name in a catalog, "
                'which options={"uri": …} tells',
            )
        location = f"{location}/metadata/{max(found, key=_version)}"
    try:
        table = StaticTable.from_metadata(location, _properties(place.options or {}))
    except _FAILURES as error:
        raise _told(source, error) from None
    return IcebergReader(source, table, types)


def _properties(options: Mapping[str, str]) -> dict[str, str]:
    return {_NAMES.get(name, name): text for name, text in options.items()}


def _version(name: str) -> int:
    found = _VERSION.match(name)
    return int(found[1]) if found else -1


class IcebergReader(SourceReader):
    """Reads the snapshot that is the newest when the reader is made."""

    def __init__(self, source: FileSource, table: Table, types: Mapping[str, DType]) -> None:
        self.source = source
        self.table = table
        self.types = dict(types)
        self.name = source.name

    # ---- columns

    @cached_property
    def _columns(self) -> dict[str, DType]:
        empty = cast(pl.DataFrame, pl.from_arrow(self.table.schema().as_arrow().empty_table()))
        return usable(empty.schema, self.name, self.source.path)

    def schema(self) -> dict[str, DType]:
        for name in self.types:
            self._type(name)
        return {**self._columns, **self.types}

    def _type(self, name: str) -> DType:
        """The type in which a column is read. Raises: DataError if there is none, or one that does not fit."""
        if name not in self._columns:
            close = nearest(name, self._columns)
            raise DataError(
                f"source `{self.name}` has no column `{name}`",
                at=self.source.path,
                hint=f"did you mean `{close}`?"
                if close
                else f"columns: {', '.join(list(self._columns)[:20])}",
            )
        if name not in self.types:
            return self._columns[name]
        check_fits(name, self._columns[name], self.types[name], self.name, self.source.path)
        return self.types[name]

    # ---- files

    def _tasks(self, wanted: Wanted = EVERY_ROW) -> list[FileScanTask]:
        """The data files that may hold rows that are wanted, by name."""
        try:
            tasks = list(self.table.scan(row_filter=self._filter(wanted)).plan_files())
        except _FAILURES as error:
            raise _told(self.source, error) from None
        return sorted(tasks, key=lambda task: task.file.file_path)

    @cached_property
    def _all(self) -> list[FileScanTask]:
        return self._tasks()

    def parts(self) -> tuple[Part, ...]:
        return tuple(_part(task) for task in self._all)

    def expected_rows(self) -> int:
        return sum(task.file.record_count for task in self._all)

    def _filter(self, wanted: Wanted) -> BooleanExpression:
        column = self.source.timestamp
        dtype = self._columns.get(column)
        said: BooleanExpression = AlwaysTrue()
        if isinstance(dtype, pl.Datetime):
            if _FIRST <= wanted.since < _LAST:
                said = And(said, GreaterThanOrEqual(column, _iso(wanted.since, dtype)))  # type: ignore[call-arg, arg-type]
            if _FIRST <= wanted.until < _LAST:
                said = And(said, LessThanOrEqual(column, _iso(wanted.until, dtype)))  # type: ignore[call-arg, arg-type]
        return said

    # ---- rows

    def scan(
        self,
        columns: Sequence[str],
        *,
        parts: Sequence[Part] | None = None,
        part_column: str | None = None,
        wanted: Wanted = EVERY_ROW,
    ) -> pl.LazyFrame:
        types = {name: self._type(name) for name in dict.fromkeys(columns)}
        chosen = None if parts is None else {part.name for part in parts}

        def rows(
            only: list[str] | None, condition: pl.Expr | None, limit: int | None, size: int | None
        ) -> Iterator[pl.DataFrame]:
            """What Polars asks for of it: it tells the columns that it needs, and what it filters by."""
            left = limit
            needed = list(types) if only is None else [name for name in types if name in only]
            for task in self._tasks(wanted):
                if chosen is not None and task.file.file_path not in chosen:
                    continue
                for batch in self._batches(task, needed or list(types)[:1], wanted):
                    frame = batch.select(
                        self._converted(name, batch.schema[name], types) for name in batch.columns
                    )
                    if part_column is not None:
                        frame = frame.with_columns(pl.lit(task.file.file_path).alias(part_column))
                    frame = frame if condition is None else frame.filter(condition)
                    frame = frame.select(only or [*types, *([part_column] if part_column else [])])
                    if left is not None:
                        frame = frame.head(left)
                        left -= len(frame)
                    yield frame
                    if left == 0:
                        return

        schema = types | ({part_column: pl.String()} if part_column is not None else {})
        return register_io_source(rows, schema=schema, explain_name="Iceberg")

    def _batches(self, task: FileScanTask, columns: Sequence[str], wanted: Wanted) -> Iterator[pl.DataFrame]:
        scan = ArrowScan(
            self.table.metadata, self.table.io, self.table.schema().select(*columns), self._filter(wanted)
        )
        try:
            for batch in scan.to_record_batches([task]):
                yield cast(pl.DataFrame, pl.from_arrow(batch))
        except _FAILURES as error:
            raise _told(self.source, error) from None

    def _converted(self, name: str, found: DType, types: Mapping[str, DType]) -> pl.Expr:
        times = (self.source.lag, self.source.known_at)
        days = name != self.source.timestamp or days_are_times(*times)  # type: ignore[arg-type]
        return as_type(pl.col(name), found, types[name], days=days).alias(name)

    # ---- people

    def reads(self, columns: Sequence[str], wanted: Wanted = EVERY_ROW) -> tuple[str, ...]:
        tasks = self._tasks(wanted)
        why = "" if (wanted.since, wanted.until) == (ALWAYS, NEVER) else ", the others hold other times"
        return (
            f"columns {len(set(columns))} of {len(self._columns)}, {counted(len(tasks), 'file')} of {len(self._all)}"
            f"{why if len(tasks) < len(self._all) else ''}",
        )

    def describe(self) -> str:
        snapshot = self.table.current_snapshot()
        told = "empty" if snapshot is None else f"snapshot {snapshot.snapshot_id}"
        return f"Iceberg table {self.source.path}, {told} ({counted(len(self._all), 'file')})"


def _part(task: FileScanTask) -> Part:
    """A data file, which never changes but for the rows that are deleted from it."""
    path = task.file.file_path
    deletes = sorted(file.file_path for file in task.delete_files)
    etag = path.rpartition("/")[2]
    if deletes:
        etag += "-" + hashlib.blake2b("\n".join(deletes).encode(), digest_size=8).hexdigest()
    return Part(path, etag, rows=-1 if deletes else task.file.record_count, size=task.file.file_size_in_bytes)


def _iso(instant: int, dtype: pl.Datetime) -> str:
    zone = "+00:00" if dtype.time_zone else ""
    return (_EPOCH + timedelta(microseconds=instant)).strftime("%Y-%m-%dT%H:%M:%S.%f").rjust(26, "0") + zone


def _told(source: FileSource, error: Exception) -> GnomonError:
    """An error of pyiceberg, or of what it reads by, in our words."""
    reason = str(error).strip().split("\n", maxsplit=1)[0]
    if isinstance(error, iceberg.UnauthorizedError | iceberg.ForbiddenError | PermissionError):
        return DataError(
            f"source `{source.name}`: the catalog refuses to open `{source.path}`: {reason}",
            at=source.path,
            hint="its options, such as `credential`, are in `[storage]` of gnomon.toml or in options= of the source",
        )
    if "equality deletes" in reason:
        return DataError(
            f"source `{source.name}`: the Iceberg table holds equality deletes, which cannot be read yet",
            at=source.path,
            hint="let the engine that wrote them rewrite the data files (`rewrite_data_files`), which applies them",
        )
    if isinstance(error, OSError | iceberg.ServerError | iceberg.ServiceUnavailableError) and not isinstance(
        error, FileNotFoundError
    ):
        return Unavailable(
            f"source `{source.name}`: the Iceberg table cannot be reached: {reason}",
            at=source.path,
            hint="run it again when catalog and store answer",
        )
    return DataError(
        f"source `{source.name}`: the Iceberg table cannot be read: {reason}",
        at=source.path,
        hint="is it whole? the newest metadata names files that must be there",
    )
