"""Holding: what the table of a cached group holds that pushed rows could meet, without reading it anew each time.

A push must know whether its rows are there already, and what they replace. Between two pushes of one process only few
files are new: their rows are kept in normal form, and files that are not kept are read only where times, or ids, of
theirs and of the pushed rows meet.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import polars as pl

from gnomon.abc.source import Part
from gnomon.define.group import FeatureGroup
from gnomon.flows.project import Project
from gnomon.flows.read import collect_rows
from gnomon.flows.retractions import read_retractions, retracted
from gnomon.flows.table import HASHES, TableReader
from gnomon.plan.layout import Layout
from gnomon.plan.normal import ALIVE, DEAD, ID, KNOWN, STORED, TIME, key, normalise, raw_columns

_MOST = 1_000_000
"""Rows that are kept; beyond, all are set aside, and files are read again where they are met."""
_SMALL = 100_000
"""A file of more rows is never kept."""


@dataclass(frozen=True)
class _Aside:
    """A file whose rows are not kept, and between which times (or ids) they lie."""

    part: Part
    low: object
    high: object


@dataclass
class Holding:
    """The rows of one table. Used by one thread at a time."""

    project: Project
    group: FeatureGroup
    layout: Layout
    _version: int | None = None
    _rows: pl.DataFrame = field(default_factory=pl.DataFrame)
    """Of the files in `_kept`."""
    _own: list[pl.DataFrame] = field(default_factory=list)
    """What was appended here since, whose files have not been listed yet."""
    _kept: dict[str, Part] = field(default_factory=dict)
    _aside: dict[str, _Aside] = field(default_factory=dict)

    def look(self, version: int, normal: pl.DataFrame) -> pl.DataFrame:
        """The rows of a version that could meet some in normal form: keys, times, ids, hashes, and what deletes and
        retractions say of them.
        """
        if version != self._version:
            self._catch_up(version)
        near = _near(self.layout, normal)
        met = [rows.filter(near) for rows in (self._rows, *self._own) if len(rows)]
        by = _by(self.layout)
        least, greatest = normal[by].min(), normal[by].max()
        far = [
            aside.part
            for aside in self._aside.values()
            if not (aside.high < least or greatest < aside.low)  # type: ignore[operator]
        ]
        if far:
            met.append(collect_rows(self._read(far).filter(near), self.layout.ref))
        rows = _with_changes(pl.concat(met, how="diagonal") if met else self._read([]).collect())
        return retracted(self.layout, rows, read_retractions(self.project.offline, self.group, self.layout))

    def add(self, version: int, rows: pl.DataFrame) -> None:
        """Take note of rows, in normal form with hashes and changes, that were appended as a version."""
        if self._version is None or version != self._version + 1:
            return
        self._version = version
        self._own.append(rows.select(c for c in _columns(self.layout) if c in rows.columns))
        # Few frames, each at least twice as long as the next: looking through them, and joining them, stays cheap.
        while len(self._own) > 1 and len(self._own[-2]) <= 2 * len(self._own[-1]):
            last = self._own.pop()
            self._own[-1] = pl.concat([self._own[-1], last], how="diagonal").rechunk()
        if len(self._own[0]) > _MOST:
            self._version = None

    def _catch_up(self, version: int) -> None:
        """Look which files there are, and read those that are new."""
        parts = {part.name: part for part in self._reader().parts()}
        if not (self._kept.keys() | self._aside.keys()) <= parts.keys():
            # Files were rewritten, or the table was emptied.
            self._rows, self._kept, self._aside = pl.DataFrame(), {}, {}
        new = [part for name, part in parts.items() if name not in self._kept and name not in self._aside]
        small = [part for part in new if 0 <= part.rows <= _SMALL]
        for part in new:
            if part not in small:
                self._set_aside(part)
        if small:
            self._kept.update({part.name: part for part in small})
            read = collect_rows(self._read(small), self.layout.ref)
            self._rows = pl.concat([self._rows, read], how="diagonal").rechunk() if len(self._rows) else read
        if len(self._rows) > _MOST:
            by = self._rows[_by(self.layout)]
            self._aside.update({n: _Aside(p, by.min(), by.max()) for n, p in self._kept.items()})
            self._rows, self._kept = pl.DataFrame(), {}
        self._own = []
        self._version = version

    def _set_aside(self, part: Part) -> None:
        by = pl.col(_by(self.layout))
        span = collect_rows(
            self._read([part]).select(by.min().alias("low"), by.max().alias("high")), self.layout.ref
        )
        self._aside[part.name] = _Aside(part, span["low"][0], span["high"][0])

    def _reader(self) -> TableReader:
        return TableReader(self.project.offline, self.group)

    def _read(self, parts: list[Part]) -> pl.LazyFrame:
        reader = self._reader()
        raw = reader.scan([*raw_columns(self.layout), *HASHES, *reader.changes()], parts=parts)
        return normalise(raw, self.layout, inputs=(), keep=HASHES)


def _columns(layout: Layout) -> list[str]:
    """The columns of rows that are kept, where a table has them."""
    return [*(key(i) for i in range(len(layout.keys))), TIME, KNOWN, ID, DEAD, STORED, *HASHES]


def _by(layout: Layout) -> str:
    """What versions of a row have in common, and files are told apart by."""
    return ID if layout.kind == "event" and layout.event_id is not None else TIME


def _near(layout: Layout, normal: pl.DataFrame) -> pl.Expr:
    """Whether a row may be the same as one of those, or another version of it."""
    by = _by(layout)
    if by == ID:
        return pl.col(ID).is_in(normal[ID].unique().implode())
    return pl.col(TIME).is_between(normal[TIME].min(), normal[TIME].max())


def _with_changes(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows with DEAD and STORED, as a table without changes lacks them."""
    if DEAD not in rows.columns:
        return rows.with_columns(pl.lit(ALIVE, pl.UInt8).alias(DEAD), pl.lit(None, pl.Int64).alias(STORED))
    return rows.with_columns(pl.col(DEAD).fill_null(ALIVE))
