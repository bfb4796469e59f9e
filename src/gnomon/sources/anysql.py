"""Any database that SQLAlchemy has a driver for. Rows come one by one as Python values, so this is the slow way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

import polars as pl
import sqlalchemy as sa

from gnomon.abc.source import Wanted, usable
from gnomon.define.source import SQLSource
from gnomon.errors import DataError
from gnomon.sources.database import BATCH, Database
from gnomon.types import DType

LOOKED_AT = 10_000
"""Rows that tell the types of columns, which a driver may not know: SQLite has types of values."""
_TIMES = ("postgresql", "mysql", "mariadb", "oracle")
"""Dialects whose literals of times are those of the standard."""


class AnySQL(Database):
    """A database by its SQLAlchemy URL."""

    def __init__(self, source: SQLSource, url: str, types: Mapping[str, DType]) -> None:
        super().__init__(source, url, types)
        try:
            self.engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
        except (sa.exc.ArgumentError, ModuleNotFoundError) as error:
            raise DataError(
                f"source `{self.name}`: cannot open `{self.at}`: {error}",
                hint="what SQLAlchemy has an installed driver for can be read",
            ) from None

    def columns(self) -> dict[str, DType]:
        (head,) = self._frames(f"SELECT * FROM ({self.inner}) AS q LIMIT {LOOKED_AT}", None)
        return usable(head.schema, self.name, self.at)

    @cached_property
    def names(self) -> list[str]:
        """The columns without their types, which takes no rows."""
        (head,) = self._frames(f"SELECT * FROM ({self.inner}) AS q LIMIT 0", None)
        return head.columns

    def batches(self, columns: Sequence[str], where: str = "") -> Iterator[pl.DataFrame]:
        return self._frames(self.text(columns, where), BATCH)

    def condition(self, types: Mapping[str, DType], wanted: Wanted) -> str:
        return super().condition(types, wanted) if self.engine.dialect.name in _TIMES else ""

    def quoted(self, column: str) -> str:
        return "q." + self.engine.dialect.identifier_preparer.quote_identifier(column)

    def _frames(self, text: str, size: int | None) -> Iterator[pl.DataFrame]:
        """The rows in frames of `size`, or in one."""
        # A colon is one: the query has no parameters.
        statement = sa.text(text.replace(":", r"\:"))
        try:
            with self.engine.connect() as connection:
                streamed = connection.execution_options(stream_results=size is not None)
                if size is None:
                    yield pl.read_database(statement, streamed, infer_schema_length=None)
                else:
                    yield from pl.read_database(
                        statement, streamed, iter_batches=True, batch_size=size, infer_schema_length=None
                    )
        except sa.exc.DBAPIError as error:
            raise self.away(error) if error.connection_invalidated else self.refused(error) from None
        except (sa.exc.SQLAlchemyError, pl.exceptions.PolarsError) as error:
            raise self.refused(error) from None
