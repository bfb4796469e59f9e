"""The seam of offline stores: tables of rows that grow by atomic commits."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import polars as pl

from gnomon.abc.source import Part
from gnomon.types import DType


@dataclass(frozen=True, slots=True)
class Committed:
    """One commit of a table."""

    version: int
    """Counts up from 0."""
    rows: int
    time: int
    """Instant of the commit."""
    note: Mapping[str, str] = field(default_factory=dict)
    """What the writer noted beside it."""


class OfflineStore(ABC):
    """Tables by name. Appends are atomic: a reader sees all of a commit or nothing of it."""

    @classmethod
    @abstractmethod
    def from_url(cls, url: str, *, root: Path) -> Self:
        """Open what a line of gnomon.toml names. Relative paths begin at `root`, the project's folder."""

    @abstractmethod
    def append(self, table: str, frame: pl.DataFrame, *, note: Mapping[str, str] | None = None) -> int:
        """Add rows in one commit and return its version. The first append makes the table.

        Columns that the table lacks are added to it, null in older rows.
        """

    @abstractmethod
    def writing(self, table: str) -> AbstractContextManager[None]:
        """Hold the table for one writer, so that reading what is there and appending to it is one step.

        Raises: Unavailable if another writer holds it too long.
        """

    @abstractmethod
    def version(self, table: str) -> int | None:
        """The newest version, None if the table does not exist."""

    @abstractmethod
    def history(self, table: str) -> tuple[Committed, ...]:
        """The table's commits, oldest first; empty if it does not exist."""

    @abstractmethod
    def schema(self, table: str) -> dict[str, DType]:
        """Types of a table's columns as they lie there; empty if it does not exist."""

    @abstractmethod
    def parts(self, table: str, version: int | None = None) -> tuple[Part, ...]:
        """The files of a version (the newest), sorted by name. A file never changes; none if the table does not exist.

        Raises: NotFound if the table has no such version.
        """

    @abstractmethod
    def scan(
        self,
        table: str,
        columns: Mapping[str, DType],
        *,
        parts: Sequence[Part] | None = None,
        version: int | None = None,
    ) -> pl.LazyFrame:
        """Rows of a version, or of some of its parts, lazily. `columns` tells the types that went in.

        Shape: the columns asked for, whatever order; no rows if the table does not exist. A column that the
        table lacks is null.
        Raises: NotFound if the table has no such version.
        """

    @abstractmethod
    def tables(self) -> list[str]:
        """The names of all tables, sorted."""

    @abstractmethod
    def rename(self, table: str, name: str) -> bool:
        """Give a table another name, at once and with all its commits.

        Returns: False if there is no such table, or already one of the new name.
        """

    @abstractmethod
    def drop(self, table: str) -> None:
        """Remove a table and its files; one that does not exist is ignored."""
