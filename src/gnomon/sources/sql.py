"""SQL: the rows of a query. What differs between databases is in `database` and the modules that inherit it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import cast

import polars as pl
from polars.io.plugins import register_io_source

from gnomon.abc.source import EVERY_ROW, Part, SourceReader, Wanted
from gnomon.config import expand
from gnomon.define.source import SQLSource
from gnomon.errors import DataError, counted, nearest
from gnomon.plan.normal import as_type, days_are_times
from gnomon.plugins import redacted, require
from gnomon.sources.agree import check_fits, common_type
from gnomon.sources.anysql import LOOKED_AT, AnySQL
from gnomon.sources.database import Database
from gnomon.types import DType, dtype_text

_POSTGRES = re.compile(r"postgres(?:ql)?(?:\+(?:adbc|psycopg))?://")
_FILE = re.compile(r"(sqlite(?:\+\w+)?|duckdb):///(?!/)(?!:memory:)(?=.)")
"""A URL that names a file by a relative path."""


class SQLReader(SourceReader):
    """Reads an `SQLSource`. Paths of files are relative to `root`, the project's folder.

    A query has one part. With a known_at column it grows: what became known since the last run is new.
    Without one nothing tells what has changed, and it is read whole in each run. Of the query only the columns
    asked for are taken, and of its rows those in the stretch of time that matters, where the database can tell it.
    """

    def __init__(
        self,
        source: SQLSource,
        root: Path,
        types: Mapping[str, DType] | None = None,
        *,
        may_be_empty: bool = False,
    ) -> None:
        self.types = dict(types or {})
        self.may_be_empty = may_be_empty
        self.source = source
        self.root = root
        self.name = source.name
        self.at = redacted(source.url)
        self.url = self._url()

    # ---- the database

    def _url(self) -> str:
        """The URL with variables filled in and the path of a file made absolute."""
        url = expand(self.source.url, f"source {self.name}: url", self.at)
        relative = _FILE.match(url)
        if relative is not None:
            file = self.root / url[relative.end() :]
            if not file.exists():
                raise DataError(
                    f"source `{self.name}`: no database at `{self.at}`",
                    at=str(file),
                    hint="paths are relative to the project's folder",
                )
            url = f"{relative[0]}{file}"
        return url

    @cached_property
    def database(self) -> Database:
        """What reads the database: the fastest way that is installed."""
        if self.url.startswith("duckdb://"):
            found = require("gnomon.sources.duckdb", extra="duckdb", purpose=f"source `{self.name}`")
            return cast(Database, found.DuckDB(self.source, self.url.removeprefix("duckdb:///"), self.types))
        if _POSTGRES.match(self.url):
            bare = _POSTGRES.sub("postgresql://", self.url)
            if find_spec("adbc_driver_postgresql") is None and find_spec("psycopg") is not None:
                return AnySQL(self.source, bare.replace("://", "+psycopg://", 1), self.types)
            found = require("gnomon.sources.postgres", extra="postgres", purpose=f"source `{self.name}`")
            return cast(Database, found.Postgres(self.source, bare, self.types))
        return AnySQL(self.source, self.url, self.types)

    # ---- columns

    @cached_property
    def _columns(self) -> dict[str, DType]:
        return self.database.columns()

    def with_types(self, types: Mapping[str, DType]) -> SQLReader:
        return SQLReader(self.source, self.root, {**self.types, **types}, may_be_empty=self.may_be_empty)

    def schema(self) -> dict[str, DType]:
        found = self._columns
        for name, dtype in self.types.items():
            self._check_there(name, found)
            check_fits(name, found[name], dtype, self.name, self.at)
        return {**found, **self.types}

    def _check_there(self, name: str, found: Mapping[str, DType] | Sequence[str]) -> None:
        if name not in found:
            close = nearest(name, found)
            raise DataError(
                f"source `{self.name}`: the query gives no column `{name}`",
                at=self.at,
                hint=f"did you mean `{close}`?" if close else f"columns: {', '.join(list(found)[:20])}",
            )

    # ---- rows

    def parts(self) -> tuple[Part, ...]:
        grows = self.source.known_at is not None
        return (Part(self._part, "known_at" if grows else "", grows=grows),)

    @property
    def _part(self) -> str:
        return f"{self.at}?{self.source.query}"

    def scan(
        self,
        columns: Sequence[str],
        *,
        parts: Sequence[Part] | None = None,
        part_column: str | None = None,
        wanted: Wanted = EVERY_ROW,
    ) -> pl.LazyFrame:
        types = self._types(columns)
        where = self._where(wanted)

        def rows(
            only: list[str] | None, condition: pl.Expr | None, limit: int | None, size: int | None
        ) -> Iterator[pl.DataFrame]:
            """What Polars asks for of it: it tells the columns that it needs, and what it filters by."""
            needed = list(types) if only is None else [name for name in types if name in only]
            left = limit
            for batch in self.database.batches(needed or list(types)[:1], where):
                frame = self._in_types(batch, types)
                if part_column is not None and (only is None or part_column in only):
                    frame = frame.with_columns(pl.lit(self._part).alias(part_column))
                if condition is not None:
                    frame = frame.filter(condition)
                if only is not None:
                    frame = frame.select(only)
                if left is not None:
                    frame = frame.head(left)
                    left -= len(frame)
                yield frame
                if left == 0:
                    return

        schema = types | ({part_column: pl.String()} if part_column is not None else {})
        return register_io_source(
            rows, schema=schema, explain_name="SQL", explain_detail=self.database.text(list(types), where)
        )

    def _types(self, columns: Sequence[str]) -> dict[str, DType]:
        """The columns asked for with their types. Raises: DataError where the query has no such, or none that fits."""
        wanted = dict.fromkeys(columns)
        if isinstance(self.database, AnySQL) and all(name in self.types for name in wanted):
            # Its types are those of values: they are compared as the rows come.
            for name in wanted:
                self._check_there(name, self.database.names)
            return {name: self.types[name] for name in wanted}
        for name in wanted:
            self._check_there(name, self._columns)
            if name in self.types:
                check_fits(name, self._columns[name], self.types[name], self.name, self.at)
        return {name: self.types.get(name, self._columns[name]) for name in wanted}

    def _in_types(self, batch: pl.DataFrame, types: Mapping[str, DType]) -> pl.DataFrame:
        found = {name: dtype for name, dtype in batch.schema.items() if name in types}
        for name, dtype in found.items():
            self._check_type(name, dtype, types[name])
        return batch.select(
            as_type(pl.col(name), dtype, types[name], days=self._days(name)).alias(name)
            for name, dtype in found.items()
        )

    def _check_type(self, name: str, found: DType, dtype: DType) -> None:
        """SQLite keeps values of several types in one column, so that a column may change on the way down. Cast
        to the type of its first rows, 0.5 would silently become 0.
        """
        if name in self.types:
            check_fits(name, found, dtype, self.name, self.at)
        elif common_type(found, dtype) != dtype:
            raise DataError(
                f"source `{self.name}`: column `{name}` is {dtype_text(dtype)} in the first {LOOKED_AT:,} rows, "
                f"and {dtype_text(found)} in some after",
                at=self.at,
                hint=f"give it one type in the query: CAST({name} AS …) AS {name}",
            )

    def _days(self, name: str) -> bool:
        times = (self.source.lag, self.source.known_at)
        return name != self.source.timestamp or days_are_times(*times)  # type: ignore[arg-type]

    # ---- people

    def _where(self, wanted: Wanted) -> str:
        if wanted == EVERY_ROW:
            return ""
        return self.database.condition(self._columns, wanted)

    def reads(self, columns: Sequence[str], wanted: Wanted = EVERY_ROW) -> tuple[str, ...]:
        return (
            f"SELECT {', '.join(columns)} FROM ({self.source.query})",
            f"WHERE {self._where(wanted) or 'true'}",
        )

    def asks(self, columns: Sequence[str]) -> str:
        """What the database is asked for, in words: how many columns, and whether all rows."""
        asked = f"{len(set(columns))} of the query's {counted(len(self._columns), 'column')}"
        # Any moment tells whether moments can be compared.
        if self._where(Wanted(since=0)):
            return f"{asked}, and rows of the stretch of time that is wanted"
        return f"{asked} and all rows: it cannot compare `{self.source.timestamp}` with a time"

    def describe(self) -> str:
        return f"query on {self.at}"
