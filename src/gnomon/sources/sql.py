"""SQL: the rows of a query, through SQLAlchemy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl
import sqlalchemy as sa

from gnomon.abc.source import Part, SourceReader
from gnomon.define.source import SQLSource
from gnomon.errors import DataError
from gnomon.plugins import redacted
from gnomon.types import DType, as_dtype

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
                raise DataError(f"source `{self.name}`: no database at `{url}`", at=str(file))
            url = f"{prefix}{file}"
        try:
            self.engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
        except (sa.exc.ArgumentError, ModuleNotFoundError) as error:
            raise DataError(f"source `{self.name}`: cannot open `{redacted(source.url)}`: {error}") from None

    def _read(self, limit: int | None = None) -> pl.DataFrame:
        query = self.source.query.rstrip().rstrip(";")
        if limit is not None:
            query = f"SELECT * FROM ({query}) AS q LIMIT {limit}"
        try:
            with self.engine.connect() as connection:
                return pl.read_database(sa.text(query), connection, infer_schema_length=None)
        except sa.exc.SQLAlchemyError as error:
            reason = str(error.__cause__ or error).strip()
            raise DataError(
                f"source `{self.name}`: the query failed: {reason}", at=redacted(self.source.url)
            ) from None

    def schema(self) -> dict[str, DType]:
        return {name: as_dtype(dtype) for name, dtype in self._read(_SCHEMA_ROWS).schema.items()}

    def parts(self) -> tuple[Part, ...]:
        grows = self.source.known_at is not None
        return (Part(f"{self.source.url}?{self.source.query}", "known_at" if grows else "", grows=grows),)

    def scan(
        self, columns: Sequence[str], *, parts: Sequence[Part] | None = None, part_column: str | None = None
    ) -> pl.LazyFrame:
        frame = self._read().lazy().select(list(dict.fromkeys(columns)))
        if part_column is not None:
            frame = frame.with_columns(pl.lit(self.source.url).alias(part_column))
        return frame

    def describe(self) -> str:
        return f"query on {redacted(self.source.url)}"
