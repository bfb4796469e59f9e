"""Rewriting: the many files of a table → few, sorted by key and time, with the same rows.

A file that was rewritten names, in its own footer, the files in which its rows were once inserted: its *origins*.
Progress is counted in those, so that what was loaded from them need not be loaded again, however often rows move.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from uuid import uuid4

import polars as pl
from deltalake.transaction import AddAction, RemoveAction

from gnomon.abc.source import Part
from gnomon.time import system_clock

_PREFIX = "sorted-"
_ORIGINS = "gnomon.origins"
ROWS = 1 << 23
"""About how many rows a file gets, so that sorting fits into memory whatever a table's size."""
_ROW_GROUP = 1 << 17
"""Rows whose least and greatest values stand in the footer."""


def is_rewritten(file: str) -> bool:
    """Whether a file is one of ours; told by its name, without reading it."""
    return file.startswith(_PREFIX)


def origins(file: str, options: Mapping[str, str] | None) -> list[str]:
    """The names of the files that the rows of `file` were inserted in."""
    metadata = pl.read_parquet_metadata(file, storage_options=dict(options) if options else None)
    names: list[str] = json.loads(metadata[_ORIGINS])
    return names


def write_sorted(
    rows: pl.LazyFrame,
    by: Sequence[str],
    leaves: Sequence[str],
    place: Callable[[str], str],
    options: Mapping[str, str] | None,
) -> list[tuple[str, int]]:
    """Write the rows in the order of `by`, cut into files by the first column of it.

    Returns: each file's name and rows. Without rows there is one file all the same: it tells the origins.
    """
    written = []
    for stretch in _stretches(rows, by[0]):
        name = f"{_PREFIX}{uuid4().hex}.parquet"
        ordered = (rows if stretch is None else rows.filter(stretch)).sort(by, maintain_order=True).collect()
        ordered.write_parquet(
            place(name),
            compression="lz4",
            row_group_size=_ROW_GROUP,
            metadata={_ORIGINS: json.dumps(leaves)},
            storage_options=dict(options) if options else None,
        )
        written.append((name, len(ordered)))
    return written


def _stretches(rows: pl.LazyFrame, column: str) -> Iterator[pl.Expr | None]:
    """Conditions that part the rows into stretches of `column`, in its order, nulls first; None for all rows."""
    total = rows.select(pl.len()).collect().item()
    if total <= ROWS:
        yield None
        return
    values = rows.select(column).collect()[column].sort()
    cuts = values.gather(list(range(ROWS, total, ROWS))).drop_nulls().unique(maintain_order=True)
    edges = [cuts[i : i + 1] for i in range(len(cuts))]
    if not edges:
        yield None
        return
    value = pl.col(column)
    yield value.is_null() | (value < pl.lit(edges[0]).first())
    for low, high in pairwise(edges):
        yield (value >= pl.lit(low).first()) & (value < pl.lit(high).first())
    yield value >= pl.lit(edges[-1]).first()


def actions(before: Sequence[Part], after: Sequence[tuple[str, int, int]]) -> list[AddAction | RemoveAction]:
    """What puts the files `after` (name, rows, bytes) in the place of `before`, without changing any data."""
    now = system_clock() // 1000
    added = [
        AddAction(name, size, {}, now, data_change=False, stats=json.dumps({"numRecords": rows}))
        for name, rows, size in after
    ]
    return [
        *added,
        *(RemoveAction(p.etag, data_change=False, deletion_timestamp=now, size=p.size) for p in before),
    ]
