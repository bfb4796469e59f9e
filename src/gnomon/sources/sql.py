"""SQL: the rows of a query, through SQLAlchemy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

import polars as pl
import sqlalchemy as sa

from gnomon.abc.source import Part, SourceReader, usable
from gnomon.define.source import SQLSource
from gnomon.errors import DataError, nearest
from gnomon.plan.normal import as_type, days_are_times
from gnomon.plugins import redacted
from gnomon.sources.agree import check_fits
from gnomon.types import DType, dtype_text

_SCHEMA_ROWS = 10_000


class SQLReader(SourceReader):
    """Reads an `SQLSource`. SQLite paths are relative to `root`, the project's folder.

    A query has one part. With a known_at column it grows: what became known since the last run is new.
    Without one nothing tells what has changed, and it is read whole in each run.
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
        self.name = source.name
        url = source.url
        prefix = "sqlite:///"
        if url.startswith(prefix) and not url.startswith(prefix + "/") and url != prefix + ":memory:":
            file = root / url.removeprefix(prefix)
            if not file.exists():
                raise DataError(
                    f"source `{self.name}`: no database at `{url}`",
                    at=str(file),
                    hint="paths are relative to the project's folder",
                )
            url = f"{prefix}{file}"
        try:
            self.engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
        except (sa.exc.ArgumentError, ModuleNotFoundError) as error:
            raise DataError(
                f"source `{self.name}`: cannot open `{redacted(source.url)}`: {error}",
                hint="this release reads SQLite, and what SQLAlchemy has an installed driver for",
            ) from None

    def _read(self, limit: int | None = None) -> pl.DataFrame:
        query = self.source.query.rstrip().rstrip(";")
        if limit is not None:
            # On lines of its own: the query may end with a comment.
            query = f"SELECT * FROM (\n{query}\n) AS q LIMIT {limit}"
        # A colon is one: the query has no parameters.
        statement = sa.text(query.replace(":", r"\:"))
        try:
            with self.engine.connect() as connection:
                return pl.read_database(statement, connection, infer_schema_length=None)
        except (sa.exc.SQLAlchemyError, pl.exceptions.PolarsError) as error:
            reason = str(error.__cause__ or error).strip()
            raise DataError(
                f"source `{self.name}`: the query failed: {reason}",
                at=redacted(self.source.url),
                hint="try it in the database's own console",
            ) from None

    @cached_property
    def _columns(self) -> dict[str, DType]:
        return usable(self._read(_SCHEMA_ROWS).schema, self.name, redacted(self.source.url))

    def schema(self) -> dict[str, DType]:
        found = self._columns
        self._check_types(found, self.types)
        return {**found, **self.types}

    def parts(self) -> tuple[Part, ...]:
        grows = self.source.known_at is not None
        return (Part(self._part, "known_at" if grows else "", grows=grows),)

    @property
    def _part(self) -> str:
        return f"{redacted(self.source.url)}?{self.source.query}"

    def scan(
        self, columns: Sequence[str], *, parts: Sequence[Part] | None = None, part_column: str | None = None
    ) -> pl.LazyFrame:
        # Where types are not given, the columns first: they take nothing but a query, and what deletes rows has none.
        wanted = {
            name: self.types[name] if name in self.types else self._columns[name]
            for name in dict.fromkeys(columns)
        }
        read = self._read()
        self._check_types(read.schema, wanted)
        frame = read.lazy().select(
            as_type(pl.col(name), read.schema[name], dtype, days=self._days(name)).alias(name)
            for name, dtype in wanted.items()
        )
        if part_column is not None:
            frame = frame.with_columns(pl.lit(self._part).alias(part_column))
        return frame

    def _days(self, name: str) -> bool:
        times = (self.source.lag, self.source.known_at)
        return name != self.source.timestamp or days_are_times(*times)  # type: ignore[arg-type]

    def _check_types(self, found: Mapping[str, DType], types: Mapping[str, DType]) -> None:
        """SQLite keeps values of several types in one column, so that a column may change on the way down. Cast
        to the type of its first rows, 0.5 would silently become 0.
        """
        for name, dtype in types.items():
            at = redacted(self.source.url)
            if name not in found:
                close = nearest(name, found)
                raise DataError(
                    f"source `{self.name}`: the query gives no column `{name}`",
                    at=at,
                    hint=f"did you mean `{close}`?" if close else f"columns: {', '.join(list(found)[:20])}",
                )
            if name in self.types:
                check_fits(name, found[name], dtype, self.name, at)
            elif found[name] != dtype and not isinstance(dtype, pl.Null):
                raise DataError(
                    f"source `{self.name}`: column `{name}` is {dtype_text(dtype)} in the first {_SCHEMA_ROWS:,} rows, "
                    f"and {dtype_text(found[name])} with those after",
                    at=at,
                    hint=f"give it one type in the query: CAST({name} AS …) AS {name}",
                )

    def describe(self) -> str:
        return f"query on {redacted(self.source.url)}"
