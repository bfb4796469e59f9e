"""Delta tables: the files that the newest version of a table consists of, and of their rows those that are not deleted.

The log tells for each file which rows, times and partition it holds, so that files outside the stretch of time that
matters are not opened.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import unquote

import polars as pl
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError

from gnomon.abc.source import EVERY_ROW, Part, SourceReader, Wanted, usable
from gnomon.define.source import FileSource
from gnomon.errors import DataError, GnomonError, Unavailable, counted, nearest
from gnomon.plan.normal import as_type, days_are_times, micros
from gnomon.sources.agree import check_fits
from gnomon.sources.places import Place
from gnomon.time import ALWAYS, NEVER
from gnomon.types import DType

_MILLISECOND = 1000
"""µs. What the greatest time of a file may be too small by: logs keep milliseconds."""
_NUMBER = "__row_of_file"
# What a table's type may be wider than an older file's, and how other writers keep times.
_CASTS = pl.ScanCastOptions(
    integer_cast="upcast",
    float_cast="upcast",
    datetime_cast=["nanosecond-downcast", "convert-timezone"],
    missing_struct_fields="insert",
    extra_struct_fields="ignore",
)


@dataclass(frozen=True)
class _File:
    """A file of the table, as the log tells it."""

    part: Part
    partition: tuple[tuple[str, Any], ...]
    low: int | None
    """The least event time in it, µs; None if the log does not tell."""
    high: int | None
    deleted: tuple[int, ...] = ()
    """The numbers of rows that are deleted."""

    def may_hold(self, wanted: Wanted) -> bool:
        if self.low is None or self.high is None:
            return True
        return self.high + _MILLISECOND >= wanted.since and self.low <= wanted.until


class DeltaReader(SourceReader):
    """Reads the version of a Delta table that is the newest when the reader is made."""

    numbered = True

    def __init__(self, source: FileSource, place: Place, types: Mapping[str, DType]) -> None:
        self.source = source
        self.place = place
        self.types = dict(types)
        self.name = source.name
        self.location = place.location
        self.table = self._open()
        self._check_features()

    def _open(self) -> DeltaTable:
        options = self.place.polars_options()
        given = None if options is None else {name: str(value) for name, value in options.items()}
        try:
            return DeltaTable(self.location, storage_options=given)
        except TableNotFoundError:
            raise DataError(
                f"source `{self.name}`: nothing to read at `{self.source.path}`",
                at=self.location,
                hint="a Delta table is a folder with a `_delta_log` in it; format= tells another format",
            ) from None
        except (DeltaError, OSError) as error:
            known = self.place.failure(error) if isinstance(error, OSError) else None
            raise known or DataError(
                f"source `{self.name}`: the Delta table cannot be read: {_first_line(error)}",
                at=self.location,
                hint="its log is damaged, or asks for what this release cannot do",
            ) from None

    def _check_features(self) -> None:
        mode = self.table.metadata().configuration.get("delta.columnMapping.mode", "none")
        if mode != "none":
            raise DataError(
                f"source `{self.name}`: the Delta table maps its columns by {mode}, which cannot be read yet",
                at=self.location,
                hint="copy it to a table without delta.columnMapping.mode",
            )

    # ---- columns

    @cached_property
    def _columns(self) -> dict[str, DType]:
        empty = pl.DataFrame(self.table.schema().to_arrow().empty_table())
        return usable(empty.schema, self.name, self.location)

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
                at=self.location,
                hint=f"did you mean `{close}`?"
                if close
                else f"columns: {', '.join(list(self._columns)[:20])}",
            )
        if name not in self.types:
            return self._columns[name]
        check_fits(name, self._columns[name], self.types[name], self.name, self.location)
        return self.types[name]

    # ---- files

    @cached_property
    def _files(self) -> tuple[_File, ...]:
        actions = pl.DataFrame(self.table.get_add_actions(flatten=True))
        deleted = self._deleted()
        base = self.location + "/"
        files = []
        for row in actions.iter_rows(named=True):
            # The log writes paths as URLs do, and may name files that lie elsewhere.
            path = unquote(row["path"])
            url = path if "://" in path or path.startswith("/") else base + path
            gone = deleted.get(url.rpartition("/")[2], ())
            rows = row.get("num_records")
            files.append(
                _File(
                    Part(
                        url,
                        f"{row['size_bytes']}-{row['modification_time']}"
                        + (f"-{_digest(gone)}" if gone else ""),
                        rows=-1 if rows is None else rows - len(gone),
                        size=row["size_bytes"],
                    ),
                    tuple(
                        (name, row[f"partition.{name}"]) for name in self.table.metadata().partition_columns
                    ),
                    *self._span(actions, row),
                    deleted=gone,
                )
            )
        return tuple(sorted(files, key=lambda file: file.part.name))

    def _deleted(self) -> dict[str, tuple[int, ...]]:
        """By the name of a file, which are all different, the numbers of its deleted rows."""
        vectors = pl.DataFrame(self.table.deletion_vectors())
        return {
            unquote(path).rpartition("/")[2]: tuple((~kept).arg_true().to_list())
            for path, kept in zip(vectors["filepath"], vectors["selection_vector"], strict=True)
        }

    def _span(self, actions: pl.DataFrame, row: Mapping[str, Any]) -> tuple[int | None, int | None]:
        low, high = (f"{edge}.{self.source.timestamp}" for edge in ("min", "max"))
        if low not in actions.columns or not isinstance(actions.schema[low], pl.Datetime):
            return None, None
        dtype = actions.schema[low]
        edges = pl.DataFrame({"low": [row[low]], "high": [row[high]]}, schema={"low": dtype, "high": dtype})
        return edges.select(micros(pl.all(), dtype)).row(0)

    def parts(self) -> tuple[Part, ...]:
        return tuple(file.part for file in self._files)

    def expected_rows(self) -> int:
        known = [part.rows for part in self.parts()]
        return -1 if any(rows < 0 for rows in known) else sum(known)

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
        files = [f for f in self._wanted(wanted) if chosen is None or f.part.name in chosen]
        if not files:
            return pl.LazyFrame(schema=types | ({part_column: pl.String()} if part_column else {}))
        partitioned = set(self.table.metadata().partition_columns)
        alike: list[tuple[tuple[tuple[str, Any], ...], list[_File]]] = []
        for file in files:
            constants = tuple((name, value) for name, value in file.partition if name in types)
            # Only neighbours, so that rows stay in the order of the files.
            if alike and alike[-1][0] == constants and not file.deleted and not alike[-1][1][-1].deleted:
                alike[-1][1].append(file)
            else:
                alike.append((constants, [file]))
        stored = {name: self._columns[name] for name in types if name not in partitioned}
        frames = [self._read(same, stored, dict(constants), types, part_column) for constants, same in alike]
        return frames[0] if len(frames) == 1 else pl.concat(frames)

    def _wanted(self, wanted: Wanted) -> list[_File]:
        return [file for file in self._files if file.may_hold(wanted)]

    def _read(
        self,
        files: Sequence[_File],
        stored: Mapping[str, DType],
        constants: Mapping[str, Any],
        types: Mapping[str, DType],
        part_column: str | None,
    ) -> pl.LazyFrame:
        """Files of one partition, none of which has deleted rows unless it is the only one."""
        deleted = files[0].deleted
        rows = pl.scan_parquet(
            [file.part.name for file in files],
            schema=dict(stored),
            missing_columns="insert",
            extra_columns="ignore",
            cast_options=_CASTS,
            include_file_paths=part_column,
            row_index_name=_NUMBER if deleted else None,
            glob=False,
            hive_partitioning=False,
            storage_options=self.place.polars_options(),
        )
        if deleted:
            rows = rows.filter(~pl.col(_NUMBER).is_in(deleted))
        made = [
            as_type(self._column(name, constants), self._columns[name], dtype, days=self._days(name)).alias(
                name
            )
            for name, dtype in types.items()
        ]
        return rows.select(*made, *([part_column] if part_column else []))

    def _column(self, name: str, constants: Mapping[str, Any]) -> pl.Expr:
        return pl.lit(constants[name], self._columns[name]) if name in constants else pl.col(name)

    def _days(self, name: str) -> bool:
        times = (self.source.lag, self.source.known_at)
        return name != self.source.timestamp or days_are_times(*times)  # type: ignore[arg-type]

    # ---- people

    def failure(self, error: Exception) -> GnomonError | None:
        if isinstance(error, FileNotFoundError):
            return Unavailable(
                f"source `{self.name}`: a file of version {self.table.version()} is gone",
                at=self.location,
                hint="a vacuum may have removed it: run it again, which reads the newest version",
            )
        return self.place.failure(error)

    def reads(self, columns: Sequence[str], wanted: Wanted = EVERY_ROW) -> tuple[str, ...]:
        files = self._wanted(wanted)
        size = sum(file.part.size for file in files)
        why = "" if (wanted.since, wanted.until) == (ALWAYS, NEVER) else ", the others hold other times"
        return (
            f"columns {len(set(columns))} of {len(self._columns)}, {counted(len(files), 'file')} of "
            f"{len(self._files)} ({size / 1e6:,.1f} MB){why if len(files) < len(self._files) else ''}; row groups "
            "outside the stretch of time are skipped by their statistics",
        )

    def describe(self) -> str:
        files = counted(len(self._files), "file")
        return f"Delta table at {self.source.path}, version {self.table.version()} ({files})"


def _digest(numbers: tuple[int, ...]) -> str:
    return hashlib.blake2b(repr(numbers).encode(), digest_size=8).hexdigest()


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", maxsplit=1)[0]
