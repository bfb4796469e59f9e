"""The seam of sources: anything whose rows can be read by column."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from types import MappingProxyType
from typing import Self

import polars as pl

from gnomon.errors import DataError, GnomonError, UsageError
from gnomon.time import ALWAYS, NEVER
from gnomon.types import DType, as_dtype


@dataclass(frozen=True, slots=True, order=True)
class Part:
    """A piece of a source that is read as a whole, such as a file."""

    name: str
    etag: str
    """Differs when the content differs; empty if the source cannot tell, and must be rescanned."""
    rows: int = -1
    """Rows in it, -1 if not known without reading."""
    size: int = -1
    """Bytes, -1 if not known."""
    grows: bool = False
    """Whether rows are only ever added, none known earlier than what has been read: progress counts in
    known_at.
    """


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which rows matter, by their times in µs. Whoever asks filters by itself: this spares the source, the network
    and the memory what it can, and a source may bring more.
    """

    since: int = ALWAYS
    """Rows with an earlier event time do not matter."""
    until: int = NEVER
    """Rows with a later event time do not matter."""
    active_since: int = ALWAYS
    """Rows of which event time and declared known_at both lie before it do not matter."""


EVERY_ROW = Wanted()


class SourceReader(ABC):
    """Reads the rows of one source. Made for each run.

    `types`: columns that are read as these types, whatever their values look like, or not at all: what a group
    declares in `schema`, and from its apply on all that it reads. `may_be_empty`: the group is registered, and a place
    where there is nothing any more is a source without rows.
    """

    name: str
    numbered: bool = False
    """Whether rows have a fixed order, so that a stretch of them can be read by number at little cost."""
    types: Mapping[str, DType] = MappingProxyType({})
    may_be_empty: bool = False

    def with_types(self, types: Mapping[str, DType]) -> Self:
        """The same reader, which reads some columns as other types."""
        other = copy(self)
        other.types = {**self.types, **types}
        return other

    @abstractmethod
    def schema(self) -> dict[str, DType]:
        """Column names and types: Null where no value tells one, and no columns if nothing tells of any.

        Raises: DataError, naming the source and the place, if there is nothing to read, or nothing that can
        be used.
        """

    @abstractmethod
    def parts(self) -> tuple[Part, ...]:
        """The pieces that the source consists of now, sorted by name."""

    @abstractmethod
    def scan(
        self,
        columns: Sequence[str],
        *,
        parts: Sequence[Part] | None = None,
        part_column: str | None = None,
        wanted: Wanted = EVERY_ROW,
    ) -> pl.LazyFrame:
        """The rows, lazily: filters put on the frame reach the files.

        Shape: the columns asked for; with `part_column`, one more that tells each row's part (String).
        Raises: Unavailable, when the rows are read, if a server goes away meanwhile.
        """

    def reads(self, columns: Sequence[str], wanted: Wanted = EVERY_ROW) -> tuple[str, ...]:
        """What of a scan reaches the source, line by line, for people: which files, columns and conditions."""
        return ()

    def failure(self, error: Exception) -> GnomonError | None:
        """What an error means that Polars or the system raised while rows were read; None where that is nothing that
        only the source can know.
        """
        return None

    def changes(self) -> tuple[str, ...]:
        """Columns that tell which rows are updates and deletes, for `scan`; none where no row is."""
        return ()

    def origins(self, part: Part) -> tuple[Part, ...]:
        """The parts that its rows came in, be they still there or not; none for a part that is as it came."""
        return ()

    def present(self, parts: Sequence[Part]) -> tuple[Part, ...]:
        """Those of some origins that can still be read."""
        return tuple(parts)

    def expected_rows(self) -> int:
        """About how many rows there are, told without reading them; -1 if that cannot be told."""
        rows = [part.rows for part in self.parts()]
        return -1 if any(n < 0 for n in rows) else sum(rows)

    @abstractmethod
    def describe(self) -> str:
        """Where the rows come from, for people."""


def usable(columns: Mapping[str, DType], source: str, at: str) -> dict[str, DType]:
    """The columns with the types that definitions know. `at`: where they were found.

    Raises: DataError naming the column whose values cannot be used.
    """
    types = {}
    for name, dtype in columns.items():
        try:
            types[name] = as_dtype(dtype)
        except UsageError:
            raise DataError(
                f"source `{source}`: column `{name}` is {dtype}, which cannot be used",
                at=at,
                hint="write it as another type, such as Int64, Float64 or a Decimal",
            ) from None
    return types
