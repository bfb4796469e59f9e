"""DuckDB: the rows of a query on a database's file, batch by batch in Arrow's form."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import cached_property
from typing import Any, cast

import duckdb
import polars as pl

from gnomon.abc.source import usable
from gnomon.errors import GnomonError
from gnomon.sources.database import BATCH, Database
from gnomon.types import DType

_AS_TEXT = re.compile(r"\b(INTERVAL|UUID|JSON|BIT|UNION|ENUM|BIGNUM|UHUGEINT|VARIANT|TIME WITH TIME ZONE)\b")
"""Types that are read as the text that DuckDB writes, also where they stand within another."""


class DuckDB(Database):
    """A database's file, opened for reading: no other process may be writing to it. `url`: the file's path."""

    def columns(self) -> dict[str, DType]:
        schema: dict[str, DType] = {}
        for frame in self.batches(list(self._declared), "false"):
            schema = dict(frame.schema)
        return usable(schema, self.name, self.at)

    def batches(self, columns: Sequence[str], where: str = "") -> Iterator[pl.DataFrame]:
        try:
            with closing(self._connect()) as connection:
                reader = connection.sql(self.text(columns, where)).to_arrow_reader(BATCH)
                yield cast(pl.DataFrame, pl.from_arrow(reader.schema.empty_table()))
                for batch in reader:
                    yield cast(pl.DataFrame, pl.from_arrow(batch))
        except duckdb.Error as error:
            raise self._told(error) from None

    def expression(self, column: str) -> str:
        name = self.quoted(column)
        cast_to = "::VARCHAR" if _AS_TEXT.search(self._declared[column]) else ""
        return f"{name}{cast_to} AS {name.removeprefix('q.')}"

    @cached_property
    def _declared(self) -> dict[str, str]:
        """Each column with its type as DuckDB writes it."""
        try:
            with closing(self._connect()) as connection:
                rows = connection.sql(f"SELECT * FROM ({self.inner}) AS q LIMIT 0")
                return {name: str(dtype) for name, dtype in zip(rows.columns, rows.types, strict=True)}
        except duckdb.Error as error:
            raise self._told(error) from None

    def _told(self, error: duckdb.Error) -> GnomonError:
        # Whoever writes to the file locks it.
        locked = isinstance(error, duckdb.IOException) and "lock" in str(error)
        return self.away(error) if locked else self.refused(error)

    def _connect(self) -> Any:
        connection = duckdb.connect(self.url, read_only=self.url != ":memory:")
        connection.execute("SET TimeZone = 'UTC'")
        return connection
