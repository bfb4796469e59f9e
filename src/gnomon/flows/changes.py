"""Changes: what an insert updates and deletes, of rows that the table of a cached group holds.

A change is known from its commit on: it is stored with its known_at, while a plain row is known at its event time
and the lag. A delete is stored as a marker: the key, the id or the time of the row, and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from gnomon.define.group import FeatureGroup
from gnomon.errors import DataError, UsageError, counted
from gnomon.flows.table import HASHES, INSTANT, declared_columns
from gnomon.plan.layout import Layout
from gnomon.plan.normal import DELETE, ID, KNOWN_AT, OP, TIME, UPDATE, key
from gnomon.time import NEVER
from gnomon.types import DType

_PLAIN = ("insert", "c", "r")
_UPDATES = (UPDATE, "u")
_DELETES = (DELETE, "d")
"""What may stand in `__op`: words, or the letters of Debezium."""
_EXPLICIT = "__explicit"


@dataclass(frozen=True)
class Given:
    """What was given to an insert."""

    rows: pl.DataFrame
    explicit: pl.Series
    """Boolean: rows that are said to be updates."""
    deletes: pl.DataFrame


def split(rows: pl.DataFrame, deletes: pl.DataFrame, group: FeatureGroup) -> Given:
    """Sort the rows of a frame by what its column `__op` says of them; without one all are plain.

    Raises: DataError for another word; UsageError if there are changes and nothing names a row.
    """
    if OP not in rows.columns:
        given = Given(rows, pl.repeat(False, len(rows), dtype=pl.Boolean, eager=True), deletes)
    else:
        op = rows[OP].cast(pl.String).fill_null(_PLAIN[0])
        other = op.filter(~op.is_in([*_PLAIN, *_UPDATES, *_DELETES]))
        if len(other):
            raise DataError(
                f"`{OP}` of the frame for `{group.name}` is `{other[0]}` in {counted(len(other), 'row')}",
                hint="it says insert, update or delete (or c, r, u, d)",
            )
        going = op.is_in(_DELETES)
        plain = rows.drop(OP)
        gone = plain.filter(going)
        given = Given(
            plain.filter(~going),
            op.is_in(_UPDATES).filter(~going),
            pl.concat([deletes, gone], how="diagonal_relaxed") if len(gone) else deletes,
        )
    if (len(given.deletes) or given.explicit.any()) and group.kind == "event" and group.event_id is None:
        raise UsageError(
            f"rows of group `{group.name}` have no ids: nothing tells which is updated or deleted",
            hint='declare its `event_id="…"`',
        )
    return given


def naming_columns(group: FeatureGroup, layout: Layout) -> dict[str, DType]:
    """The columns that name a row of a cached group: its keys, and its id or its time."""
    named = layout.timestamp if layout.kind == "state" else layout.event_id
    columns = declared_columns(group)
    return {name: columns[name] for name in (*layout.key_names, *([named] if named is not None else []))}


def row(layout: Layout) -> pl.Expr:
    """Of rows in normal form: what their versions have in common."""
    named = [TIME] if layout.kind == "state" else [ID] if layout.event_id is not None else []
    parts = [*(key(i) for i in range(len(layout.keys))), *named]
    return pl.struct(parts) if parts else pl.lit(0)


def times_of_updates(
    layout: Layout, new: pl.DataFrame, held: pl.DataFrame, explicit: pl.Series, now: int
) -> pl.Series:
    """When each new row becomes known as an update, int64 µs: null for a plain row.

    A row is an update if it says so, or if a row of the same id is held already; where known_at is declared, it says
    by itself when it is known. An update is known at its commit, and after everything that it replaces.

    Shape: new [n] with `row`; explicit [n]; held with `row`, `known`, `dead` → [n].
    """
    if layout.known_at is not None:
        return pl.repeat(None, len(new), dtype=pl.Int64, eager=True)
    prior = held.group_by("row").agg(newest=pl.col("known").max(), lives=(~pl.col("dead")).any())
    met = new.with_columns(explicit.alias(_EXPLICIT)).join(prior, on="row", how="left", maintain_order="left")
    by_id = layout.kind == "event" and layout.event_id is not None
    changed = pl.col(_EXPLICIT) | (pl.col("lives").fill_null(False) if by_id else pl.lit(False))
    after = pl.when(pl.col("newest") < NEVER).then(pl.col("newest") + 1)
    return met.select(pl.when(changed).then(pl.max_horizontal(pl.lit(now), after)).alias("stored"))["stored"]


@dataclass(frozen=True)
class Deleted:
    """What becomes of deletes."""

    markers: pl.DataFrame
    """`at`: the place of a delete among those given; `time`: the raw event time of its row, null where no row is
    held; `stored`: when the delete is known, int64 µs."""
    repeated: int
    """Deletes of rows that are deleted already."""
    unknown: int
    """Deletes of rows that are not held. They are kept: the row may come yet."""


def find_deleted(deletes: pl.DataFrame, held: pl.DataFrame, now: int) -> Deleted:
    """The markers of deletes. A version that is known only after `now` goes when it would become known.

    deletes: [d] with `row` (each but once) and `declared`, the known_at that is given for the delete, int64 µs or
    null. held: `row`, `known`, `dead`, `time`.
    """
    numbered = deletes.with_row_index("at")
    ends = held.filter("dead").group_by("row").agg(end=pl.col("known").max(), ends=pl.col("known"))
    versions = held.filter(~pl.col("dead")).select("row", "known", "time")
    met = numbered.join(ends, on="row", how="left").join(versions, on="row", how="left")
    there = pl.col("known").is_not_null()
    alive = there & (pl.col("end").is_null() | (pl.col("known") > pl.col("end")))
    repeats = (
        pl.when(pl.col("declared").is_not_null())
        .then(pl.col("ends").list.contains(pl.col("declared")).fill_null(False))
        .when(there)
        .then(~alive)
        .otherwise(pl.col("end").is_not_null())
    )
    stored = pl.col("declared").fill_null(pl.max_horizontal(pl.lit(now), pl.col("known")))
    markers = (
        met.filter(~repeats)
        .select("at", "time", stored.alias("stored"))
        .sort("at", "stored", "time")
        .unique(["at", "stored"], keep="last", maintain_order=True)
    )
    unknown = met.filter(~there & ~repeats)["at"].n_unique()
    return Deleted(markers, len(deletes) - markers["at"].n_unique(), unknown)


def marker_rows(group: FeatureGroup, named: pl.DataFrame, deleted: Deleted, now: int) -> pl.DataFrame:
    """Markers as rows of the table. named: [d] raw columns that name rows, and the time where it is given."""
    timestamp = str(group.timestamp)
    dtype = declared_columns(group)[timestamp]
    rows = named[deleted.markers["at"]]
    time = pl.coalesce(deleted.markers["time"], rows[timestamp], as_time(now, dtype))
    return rows.with_columns(
        time.alias(timestamp),
        *(pl.lit(0, pl.Int64).alias(name) for name in HASHES),
        pl.lit(DELETE).alias(OP),
        deleted.markers["stored"].cast(INSTANT).alias(KNOWN_AT),
    )


def as_time(instant: int, dtype: DType) -> pl.Expr:
    """An instant as a value of a time column."""
    moment = pl.lit(instant, pl.Int64).cast(INSTANT)
    if isinstance(dtype, pl.String):
        return moment.dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ")
    if isinstance(dtype, pl.Datetime) and dtype.time_zone is None:
        return moment.dt.replace_time_zone(None).cast(dtype)
    return moment.cast(dtype)
