"""The seam of offline stores: tables of rows that grow by atomic commits."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self, TypeVar

import polars as pl

from gnomon.abc.source import Part
from gnomon.errors import Conflict, Unavailable
from gnomon.time import sleep
from gnomon.types import DType

T = TypeVar("T")

NO_TABLE = -1
"""The version of a table that does not exist, where one is relied on."""
_TRIES = 64
_LONGEST_PAUSE = 0.5
"""Seconds."""


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
    def from_url(cls, url: str, *, root: Path, options: Mapping[str, str] | None = None) -> Self:
        """Open what a line of gnomon.toml names. Relative paths begin at `root`, the project's folder.

        `options`: what `[offline.options]` says besides.
        """

    # ---- reading

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

    def added(self, table: str, version: int) -> tuple[Part, ...]:
        """The parts that a version has and the one before it had not.

        Raises: NotFound if the table has no such version.
        """
        before = self.parts(table, version - 1) if version > 0 else ()
        return tuple(part for part in self.parts(table, version) if part not in before)

    @abstractmethod
    def origins(self, table: str, part: Part) -> tuple[Part, ...]:
        """The parts in which the rows of a rewritten part were appended, be they still there or not; none for one that
        lies as it was appended.
        """

    @abstractmethod
    def present(self, table: str, parts: Sequence[Part]) -> tuple[Part, ...]:
        """Those of the parts that are still there, be they of the newest version or not."""

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
        Raises: NotFound if the table has no such version; Gone if a part is not there any more.
        """

    # ---- writing

    @abstractmethod
    def append(
        self,
        table: str,
        frame: pl.DataFrame,
        *,
        note: Mapping[str, str] | None = None,
        after: int | None = None,
    ) -> int:
        """Add rows in one commit and return its version. The first append makes the table.

        Columns that the table lacks are added to it, null in older rows. `after`: the version that the rows rest
        on; None: any.
        Raises: Conflict if `after` is not the newest version. Nothing is written then.
        """

    @abstractmethod
    def empty(
        self, table: str, columns: Mapping[str, DType], *, note: Mapping[str, str] | None = None, after: int
    ) -> int:
        """Take all rows out, in one commit, and give the table other columns; return the commit's version.

        The version before it can be read for ever: no vacuum takes its files.
        Raises: Conflict if `after` is not the newest version; NotFound if there is no table.
        """

    def change(self, table: str, step: Callable[[int], T]) -> T:
        """Look and write as one step: call `step` with the newest version (`NO_TABLE`: there is none), to be given as
        `after` to what it writes, and call it again where somebody else came first.

        Raises: Unavailable if somebody always does.
        """
        for attempt in range(_TRIES):
            newest = self.version(table)
            try:
                return step(NO_TABLE if newest is None else newest)
            except Conflict:
                # By chance, so that writers that met once do not meet again.
                sleep(random.uniform(0, min(_LONGEST_PAUSE, 0.02 * 2**attempt)))
        raise Unavailable(
            f"the table `{table}` changes all the time", hint="try again when other writers are done"
        )

    # ---- keeping

    @abstractmethod
    def rewrite(self, table: str, by: Sequence[str], *, note: Mapping[str, str] | None = None) -> int | None:
        """Put the same rows into few files, sorted by the columns `by`, and return the commit's version; None if there
        is nothing to do.

        Appends that come meanwhile are kept; rows, and what was noted of `origins`, stay as they are.
        Raises: Conflict if somebody else rewrote or emptied the table meanwhile.
        """

    @abstractmethod
    def unneeded(self, table: str, *, age: int, keep: Collection[str] = ()) -> dict[str, int]:
        """The files, with their bytes, that no version needs that was the newest within the last `age` microseconds
        (rounded up to hours), be they of older versions or of writers that were killed before their commit.

        `keep`: etags of parts that are needed all the same.
        """

    @abstractmethod
    def remove(self, table: str, files: Collection[str]) -> None:
        """Remove files that `unneeded` told. Versions that need them can no longer be read."""

    # ---- notes

    @abstractmethod
    def write_note(self, name: str, text: str | None) -> None:
        """Keep a small text beside the tables, for all who share them, in the place of an older one.

        None removes it.
        """

    @abstractmethod
    def notes(self, prefix: str = "") -> dict[str, str]:
        """The notes whose names begin with `prefix`, by name, sorted."""

    # ---- whole tables

    @abstractmethod
    def tables(self) -> list[str]:
        """The names of all tables, sorted."""

    @abstractmethod
    def drop(self, table: str) -> None:
        """Remove a table and its files; one that does not exist is ignored."""
