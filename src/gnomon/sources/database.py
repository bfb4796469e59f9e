"""Databases: what differs between them when the rows of a query are read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import polars as pl

from gnomon.abc.source import Wanted
from gnomon.define.source import SQLSource
from gnomon.errors import DataError, Unavailable
from gnomon.plugins import redacted
from gnomon.time import ALWAYS, NEVER
from gnomon.types import DType

BATCH = 1 << 17
"""Rows that are held at once where the driver lets us choose."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST, _LAST = (
    int((datetime(year, 1, 1, tzinfo=UTC) - _EPOCH) / timedelta(microseconds=1)) for year in (1, 9999)
)


class Database(ABC):
    """One database, as a source reads it. Each reading has a connection of its own.

    `url`: with the values of variables in it, which must not be told.
    """

    def __init__(self, source: SQLSource, url: str, types: Mapping[str, DType]) -> None:
        self.source = source
        self.name = source.name
        self.url = url
        self.types = types
        self.at = redacted(source.url)

    @abstractmethod
    def columns(self) -> dict[str, DType]:
        """The columns that the query gives; Null where nothing tells a type.

        Raises: DataError if the database refuses the query; Unavailable.
        """

    @abstractmethod
    def batches(self, columns: Sequence[str], where: str = "") -> Iterator[pl.DataFrame]:
        """The rows, some at a time. `where`: a condition, or empty.

        Raises: DataError; Unavailable if the database goes away meanwhile.
        """

    def condition(self, types: Mapping[str, DType], wanted: Wanted) -> str:
        """The rows that are wanted, in SQL; empty if the database cannot be told by the columns' types.

        A row whose event time is null is none of `since` and `until`: it takes no part.
        """
        time, known = self.source.timestamp, self.source.known_at
        found = [
            self._compare(time, types, ">=", wanted.since),
            self._compare(time, types, "<", wanted.until + 1 if wanted.until != NEVER else NEVER),
        ]
        if known is not None and wanted.active_since != ALWAYS:
            either = [self._compare(c, types, ">=", wanted.active_since) for c in (known, time)]
            if all(either):
                found.append(f"({' OR '.join([*either, f'{self.quoted(known)} IS NULL'])})")
        return " AND ".join(part for part in found if part)

    def _compare(self, column: str, types: Mapping[str, DType], sign: str, instant: int) -> str:
        dtype = types.get(column)
        # Text may write its times in any form, and what is beyond the calendar no database can read.
        if not isinstance(dtype, pl.Datetime | pl.Date) or not _FIRST <= instant < _LAST:
            return ""
        return f"{self.quoted(column)} {sign} {self.instant(_EPOCH + timedelta(microseconds=instant), dtype)}"

    def instant(self, time: datetime, dtype: DType) -> str:
        """A literal to compare a column of times with; naive ones are UTC."""
        zoned = isinstance(dtype, pl.Datetime) and dtype.time_zone is not None
        text = time.strftime("%Y-%m-%d %H:%M:%S.%f").rjust(26, "0")
        return f"TIMESTAMPTZ '{text}+00'" if zoned else f"TIMESTAMP '{text}'"

    def quoted(self, column: str) -> str:
        """A column of the query by its name, whatever stands in it."""
        return 'q."' + column.replace('"', '""') + '"'

    def text(self, columns: Sequence[str], where: str = "") -> str:
        """The query, of which only some columns and rows are asked for."""
        chosen = ", ".join(self.expression(column) for column in columns)
        return f"SELECT {chosen} FROM ({self.inner}) AS q" + (f" WHERE {where}" if where else "")

    @property
    def inner(self) -> str:
        """The query to stand in parentheses: on lines of its own, since it may end with a comment."""
        return f"\n{self.source.query.rstrip().rstrip(';')}\n"

    def expression(self, column: str) -> str:
        """A column as it is asked for."""
        return f"{self.quoted(column)} AS {self.quoted(column).removeprefix('q.')}"

    def refused(self, error: Exception) -> DataError:
        # The query is known to who wrote it.
        reason = str(error.__cause__ or error).partition("\n\nQuery was:")[0].strip()
        return DataError(
            f"source `{self.name}`: the query failed: {reason}",
            at=self.at,
            hint="try it in the database's own console",
        )

    def away(self, error: Exception) -> Unavailable:
        reason = str(error.__cause__ or error).strip().split("\n", maxsplit=1)[0]
        return Unavailable(
            f"source `{self.name}`: the database cannot be reached: {reason}",
            at=self.at,
            hint="run it again when the database answers: what was done before stays done",
        )
