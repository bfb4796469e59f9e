"""SQL: the rows of a query, through SQLAlchemy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

import polars as pl
import sqlalchemy as sa

from gnomon.abc.source import Part, SourceReader, usable
from gnomon.define.source import SQLSource
from gnomon.errors import DataError
from gnomon.plugins import redacted
from gnomon.types import DType, dtype_text

_SCHEMA_ROWS = 10_000


class SQLReader(SourceReader):
    """Reads an `SQLSource`. SQLite paths are relative to `root`, the project's folder.

    A query has one part. With a known_at column it grows: what became known since the last run is new.
    Without one nothing tells what has changed, and it is read whole in each run.
    """

    def __init__(self, source: SQLSource, root: Path) -> None:
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
        return dict(self._columns)

    def parts(self) -> tuple[Part, ...]:
        grows = self.source.known_at is not None
        return (Part(self._part, "known_at" if grows else "", grows=grows),)

    @property
    def _part(self) -> str:
        return f"{redacted(self.source.url)}?{self.source.query}"

    def scan(
        self, columns: Sequence[str], *, parts: Sequence[Part] | None = None, part_column: str | None = None
    ) -> pl.LazyFrame:
        types = self._columns  # first, because it takes nothing but a query: what deletes rows has no columns
        read = self._read()
        self._check_types(read, types)
        frame = read.lazy().select(list(dict.fromkeys(columns)))
        if part_column is not None:
            frame = frame.with_columns(pl.lit(self._part).alias(part_column))
        return frame

    def _check_types(self, read: pl.DataFrame, types: Mapping[str, DType]) -> None:
        """SQLite keeps values of several types in one column, so that a column may change on the way down. Cast
        to the type of its first rows, 0.5 would silently become 0.
        """
        for name, dtype in types.items():
            found = read.schema.get(name, dtype)
            if found != dtype and not isinstance(dtype, pl.Null):
                raise DataError(
                    f"source `{self.name}`: column `{name}` is {dtype_text(dtype)} in the first {_SCHEMA_ROWS:,} rows, "
                    f"and {dtype_text(found)} with those after",
                    at=redacted(self.source.url),
                    hint=f"give it one type in the query: CAST({name} AS …) AS {name}",
                )

    def describe(self) -> str:
        return f"query on {redacted(self.source.url)}"
