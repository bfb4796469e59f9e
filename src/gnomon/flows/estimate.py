"""Estimate: what filling a group's online table will take, told before it is done.

survey     every row's key and times: how many rows, and from when to when
sample     some rows, loaded into a store in memory: how long a row takes, and how much room
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from gnomon.abc.online import OnlineStore
from gnomon.abc.source import EVERY_ROW, Part, SourceReader, Wanted
from gnomon.errors import counted
from gnomon.flows.fill import activation
from gnomon.flows.load import LoadedPiece, Piece, load
from gnomon.flows.online import Table, keys_of, shape_of
from gnomon.flows.project import Project
from gnomon.flows.read import Origin, collect_rows
from gnomon.online import codec
from gnomon.online.memory import MemoryStore
from gnomon.online.weighing import WeighingStore
from gnomon.plan.layout import Layout
from gnomon.plan.normal import TIME, key, normalise, raw_columns
from gnomon.time import ALWAYS, NEVER, stopwatch
from gnomon.types import DType

_SAMPLE = 50_000
"""Rows of a sample."""
_WARM_UP = 500
"""Rows that are loaded before, so that compiling kernels is not taken for work."""


@dataclass(frozen=True, slots=True)
class Survey:
    """What lies in a source between two activations."""

    rows: int
    asked: int
    """Rows among them of the interval that was asked for."""
    first: int
    """The least activation; NEVER if there are no rows."""
    last: int
    """The greatest activation, of rows that become active at all; ALWAYS if there are none."""
    newest: int
    """The greatest that is not in the future; ALWAYS if there is none."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What will be read, and what it will take."""

    rows: int
    """Rows to be read."""
    keys: int
    """Keys of the table."""
    size: int
    """Bytes that the table will take beside the one that answers meanwhile."""
    seconds: float
    basis: str
    """What the seconds were told from."""


def survey(
    reader: SourceReader,
    layout: Layout,
    parts: Sequence[Part],
    extent: tuple[int, int],
    asked: tuple[int, int],
    now: int,
) -> Survey:
    """Look at the times of all rows. Both intervals: [start, end) of activations.

    Cost: one pass over keys and times.
    """
    if not parts:
        return Survey(0, 0, NEVER, ALWAYS, ALWAYS)
    rows = _rows(reader, layout, parts, extent)
    active = pl.col("__active")
    found = collect_rows(
        rows.select(
            pl.len().alias("rows"),
            _inside(active, asked).sum().alias("asked"),
            active.min().alias("first"),
            active.filter(active < NEVER).max().alias("last"),
            active.filter(active <= now).max().alias("newest"),
        ),
        layout.ref,
        Origin(reader, layout, tuple(parts)),
    ).row(0, named=True)
    if not found["rows"]:
        return Survey(0, 0, NEVER, ALWAYS, ALWAYS)
    last, newest = (ALWAYS if found[name] is None else found[name] for name in ("last", "newest"))
    return Survey(found["rows"], found["asked"] or 0, found["first"], last, newest)


def bins(
    reader: SourceReader, layout: Layout, parts: Sequence[Part], extent: tuple[int, int], length: int
) -> list[tuple[int, int]]:
    """How many rows have an activation in [n * length, (n + 1) * length), for each n with any, rising.

    Cost: one pass over times.
    """
    if not parts:
        return []
    rows = _rows(reader, layout, parts, extent)
    counts = rows.group_by((pl.col("__active") // length).alias("bin")).agg(pl.len().alias("rows"))
    return collect_rows(counts.sort("bin"), layout.ref, Origin(reader, layout, tuple(parts))).rows()


def estimate(
    project: Project,
    layout: Layout,
    reader: SourceReader,
    parts: Sequence[Part],
    surveyed: Survey,
    table: Table,
    extent: tuple[int, int],
    chunks: int,
    slowness: float | None,
) -> Estimate:
    """What filling `table`, whose horizon is set, with the surveyed rows in `chunks` steps will take.

    `slowness`: how many times longer than told the last run took.
    """
    if not surveyed.rows:
        return Estimate(0, 0, 0, 0.0, "there are no rows")
    names = [key(i) for i in range(len(layout.keys))]
    found = collect_rows(
        _rows(reader, layout, parts, extent).select(
            (pl.col(TIME) >= table.horizon).sum().alias("kept"),
            (pl.struct(names).n_unique() if names else pl.lit(1)).alias("keys"),
        ),
        layout.ref,
        Origin(reader, layout, tuple(parts)),
    ).row(0, named=True)
    keys = int(found["keys"])
    # Of a state group the newest row at the horizon stays too.
    kept = min(surveyed.rows, int(found["kept"]) + (keys if layout.kind == "state" else 0))
    taken = _sample(project, layout, reader, parts)
    # Each chunk but the first meets what those before have brought: on average half of all.
    seconds = surveyed.rows * taken.seconds_a_row + (chunks - 1) * kept / 2 * taken.seconds_a_row_held
    basis = f"a sample of {counted(taken.rows, 'row')}, without the store's own time"
    if slowness is not None:
        seconds *= slowness
        basis = f"a sample of {counted(taken.rows, 'row')} and how long the last backfill took"
    size = kept * taken.bytes_a_row + keys * taken.bytes_a_key
    return Estimate(surveyed.rows, keys, round(size), seconds, basis)


@dataclass(frozen=True, slots=True)
class _Taken:
    """What the rows of a sample took."""

    rows: int
    seconds_a_row: float
    seconds_a_row_held: float
    """To merge with, for each row that is there already."""
    bytes_a_row: float
    bytes_a_key: float


class _Beginning(SourceReader):
    """The first rows of a part."""

    def __init__(self, reader: SourceReader, rows: int) -> None:
        self.name = reader.name
        self._reader = reader
        self._rows = rows

    def schema(self) -> dict[str, DType]:
        return self._reader.schema()

    def parts(self) -> tuple[Part, ...]:
        return self._reader.parts()

    def scan(
        self,
        columns: Sequence[str],
        *,
        parts: Sequence[Part] | None = None,
        part_column: str | None = None,
        wanted: Wanted = EVERY_ROW,
    ) -> pl.LazyFrame:
        rows = self._reader.scan(columns, parts=parts, part_column=part_column, wanted=wanted)
        return rows.head(self._rows)

    def changes(self) -> tuple[str, ...]:
        return self._reader.changes()

    def describe(self) -> str:
        return self._reader.describe()


def _sample(project: Project, layout: Layout, reader: SourceReader, parts: Sequence[Part]) -> _Taken:
    """Load the first rows of the newest part that has some into a store in memory, and load them again."""
    # No horizon: what a row takes is wanted, and not whether it stays.
    table = Table("sample", shape_of(layout), keys_of(layout))
    few, some = _Beginning(reader, _WARM_UP), _Beginning(reader, _SAMPLE)
    for part in reversed(parts):

        def once(rows: SourceReader, store: OnlineStore, part: Part = part) -> tuple[float, LoadedPiece]:
            elapsed = stopwatch()
            loaded = load(project, layout, rows, table, Piece(part, ALWAYS, NEVER), store=store, quiet=True)
            return elapsed(), loaded

        warm, store = MemoryStore(), WeighingStore(MemoryStore())
        if not once(few, warm)[1].rows:
            continue
        once(few, warm)
        first, loaded = once(some, store)
        size = store.grown
        again, _ = once(some, store)
        empty = codec.pack(table.shape.layout(), codec.nothing(table.shape.layout(), 1))[0].nbytes
        names = [len(name) for name, _ in store.scan(table.name)]
        of_keys = len(names) * empty + sum(names)
        return _Taken(
            loaded.rows,
            first / loaded.rows,
            max(0.0, again - first) / loaded.rows,
            (size - of_keys) / loaded.rows,
            of_keys / len(names),
        )
    return _Taken(0, 0.0, 0.0, 0.0, 0.0)


def _rows(
    reader: SourceReader, layout: Layout, parts: Sequence[Part], extent: tuple[int, int]
) -> pl.LazyFrame:
    """Keys, times and activations of the rows of an interval."""
    raw = reader.scan([*raw_columns(layout), *reader.changes()], parts=parts)
    rows = activation(layout, normalise(raw, layout, inputs=()))
    return rows.filter(_inside(pl.col("__active"), extent))


def _inside(active: pl.Expr, interval: tuple[int, int]) -> pl.Expr:
    start, end = interval
    return (active >= start) & ((active < end) if end != NEVER else pl.lit(True))
