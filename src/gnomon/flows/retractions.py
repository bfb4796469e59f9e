"""Retractions: the ids that a source must be read without, from a moment on, as every reader of it applies them.

They are a table of the offline store beside those of cached groups, one a source (or cached group): the id as text,
and the moment. A retraction becomes markers, one for each row of the id under every key: a marker replaces what is
known of its row up to its own instant, and so does a delete.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from gnomon.abc.offline import OfflineStore
from gnomon.define.group import FeatureGroup
from gnomon.flows.table import INSTANT, table_name
from gnomon.plan.layout import Layout
from gnomon.plan.normal import ALIVE, DEAD, ID, KNOWN, RETRACTED, ROW, STORED, TIME, key
from gnomon.time import NEVER

_LOG = "@retracted"
_COLUMNS = {"id": pl.String(), "moment": INSTANT}


@dataclass(frozen=True)
class Retractions:
    """What is retracted of a source."""

    moments: pl.DataFrame
    """ID, and the moment in STORED, int64 µs. One id may have several."""
    commits: int = 0
    """How many commits told of them: it grows with every further one."""

    def of(self, ids: pl.Series) -> Retractions:
        """Those of some ids."""
        return Retractions(self.moments.filter(pl.col(ID).is_in(ids.implode())), self.commits)


NONE_RETRACTED = Retractions(pl.DataFrame(schema={ID: pl.String, STORED: pl.Int64}))


def log_name(group: FeatureGroup) -> str:
    """The table that tells what is retracted of a group's source. Those of groups' rows end with a version."""
    name = table_name(group) if group.source is None else str(group.source_name)
    return name + _LOG


def of_group(table: str) -> str:
    """The name of the table whose log a table is; its own, if it is none."""
    return table.removesuffix(_LOG)


def read_retractions(
    offline: OfflineStore, group: FeatureGroup, layout: Layout, *, commits: int | None = None
) -> Retractions:
    """What is retracted of the group's source, in the type of its ids; nothing where rows have none.

    `commits`: only what the first so many told; None: all.
    """
    dtype = id_type(layout)
    if layout.event_id is None or commits == 0:
        return Retractions(pl.DataFrame(schema={ID: dtype, STORED: pl.Int64()}))
    version = offline.version(log_name(group)) if commits is None else commits - 1
    rows = offline.scan(log_name(group), _COLUMNS, version=version).select(
        pl.col("id").cast(dtype).alias(ID), pl.col("moment").to_physical().alias(STORED)
    )
    return Retractions(rows.unique().collect(), 0 if version is None else version + 1)


def id_type(layout: Layout) -> pl.DataType:
    """The type of ids in normal form."""
    whole = layout.id_dtype is not None and layout.id_dtype.is_integer()
    return pl.Int64() if whole else pl.String()


def append_retractions(
    offline: OfflineStore, group: FeatureGroup, moments: pl.DataFrame, *, author: str, after: int
) -> None:
    """Add retractions, with ID and STORED, in one commit. Raises: Conflict if `after` is not the newest of the log."""
    rows = moments.select(
        pl.col(ID).cast(pl.String).alias("id"), pl.col(STORED).cast(INSTANT).alias("moment")
    )
    offline.append(log_name(group), rows, note={"author": author}, after=after)


def carry_retractions(offline: OfflineStore, source: FeatureGroup, target: FeatureGroup, author: str) -> None:
    """Let what is retracted of one group be so of another that is to hold its rows. Doing it again changes nothing."""

    def step(base: int) -> None:
        told = offline.scan(log_name(source), _COLUMNS).collect()
        held = offline.scan(log_name(target), _COLUMNS).collect()
        lacks = told.unique(maintain_order=True).join(held, on=list(_COLUMNS), how="anti")
        if len(lacks):
            offline.append(log_name(target), lacks, note={"author": author}, after=base)

    offline.change(log_name(target), step)


def empty_retractions(
    offline: OfflineStore, group: FeatureGroup, note: Mapping[str, str], after: int
) -> None:
    """Begin the log of a group anew. Raises: Conflict if `after` is not its newest version; NotFound without one."""
    offline.empty(log_name(group), _COLUMNS, note=note, after=after)


def retracted(
    layout: Layout, rows: pl.DataFrame, retractions: Retractions, *, apart: tuple[str, ...] = ()
) -> pl.DataFrame:
    """The rows of a frame in normal form, with the markers of what is retracted of them behind.

    `apart`: columns of which rows of other values are not the same, and which markers have too.
    """
    made = markers_of(layout, rows, retractions, apart=apart)
    if not len(made):
        return rows
    if STORED not in rows.columns:
        rows = rows.with_columns(pl.lit(ALIVE, pl.UInt8).alias(DEAD), pl.lit(None, pl.Int64).alias(STORED))
    numbered = [pl.lit(0, rows.schema[ROW]).alias(ROW)] if ROW in rows.columns else []
    declared = [pl.lit(NEVER, pl.Int64).alias(KNOWN)] if KNOWN in rows.columns else []
    made = made.with_columns(*numbered, *declared)
    # One chunk a column: gathering from many costs twice the time.
    return pl.concat([rows, made.cast({c: rows.schema[c] for c in made.columns})], how="diagonal").rechunk()


def markers_of(
    layout: Layout, rows: pl.DataFrame, retractions: Retractions, *, apart: tuple[str, ...] = ()
) -> pl.DataFrame:
    """The markers of what is retracted of the rows: keys, TIME, ID, DEAD and STORED, and the columns `apart`."""
    names = [*(key(i) for i in range(len(layout.keys))), *apart]
    schema = rows.schema
    if retractions.moments.is_empty() or ID not in schema:
        return pl.DataFrame(
            schema={**{n: schema[n] for n in (*names, TIME)}, DEAD: pl.UInt8, STORED: pl.Int64}
        )
    return (
        rows.select(*names, TIME, ID)
        .join(retractions.moments, on=ID)
        .unique(maintain_order=True)
        .with_columns(pl.lit(RETRACTED, pl.UInt8).alias(DEAD))
    )
