"""Row identity: the 128-bit hash of a row's content (SEMANTICS §2).

Content is the key, the event time, the declared known_at and the raw columns that the group uses, each
encoded by type and width-free: an Int32 5 and an Int64 5 are the same content. The hashes are stored, so
they never change.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gnomon import columns
from gnomon.kernels import hashing
from gnomon.plan.layout import Layout
from gnomon.plan.normal import KNOWN, TIME, content, key

Hashes = tuple[NDArray[np.uint64], NDArray[np.uint64]]


def content_columns(layout: Layout) -> list[str]:
    """The columns of a normal frame (with content) that make up a row's content, in their fixed order."""
    times = [TIME] if layout.known_at is None else [TIME, KNOWN]
    names = [key(i) for i in range(len(layout.keys))]
    return [*names, *times, *(content(i) for i in range(len(layout.columns)))]


def content_hashes(frame: pl.DataFrame, layout: Layout) -> Hashes:
    """Hash each row's content. `frame` is in normal form with content; two arrays uint64[n]."""
    return hashes_of((frame[name] for name in content_columns(layout)), len(frame))


def hashes_of(columns: Iterable[pl.Series], n: int) -> Hashes:
    """Hash the `n` rows of some columns, by type and width-free, in the columns' order."""
    h1, h2 = hashing.start(n)
    for column in columns:
        _absorb(h1, h2, column)
    hashing.finish(h1, h2)
    return h1, h2


def row_hashes(frame: pl.DataFrame, layout: Layout, batch: pl.Series | None = None) -> Hashes:
    """Content hashes with the ordinal among identical rows of one batch mixed in: the ids of rows without an
    event id.

    `batch` tells which file or insert each row came with; None means all came together.
    """
    h1, h2 = content_hashes(frame, layout)
    if batch is None or batch.n_unique() <= 1:
        hashing.with_ordinals(h1, h2)
        return h1, h2
    for _, at in batch.to_frame("b").with_row_index("i").group_by("b"):
        rows = at["i"].to_numpy()
        part1, part2 = h1[rows], h2[rows]
        hashing.with_ordinals(part1, part2)
        h1[rows], h2[rows] = part1, part2
    return h1, h2


def _absorb(h1: NDArray[np.uint64], h2: NDArray[np.uint64], column: pl.Series) -> None:
    valid = columns.valid(column)
    if not len(valid):
        valid = np.ones(len(column), np.uint8)
    kind = columns.kind_of(column.dtype)
    if kind == "word":
        hashing.absorb_words(h1, h2, columns.words(column), valid)
    elif kind == "float":
        values = columns.floats(column)
        # One NaN: a payload is no content.
        bits = np.where(np.isnan(values), np.nan, values).view(np.int64)
        hashing.absorb_words(h1, h2, bits, valid)
    elif kind == "wide":
        high, low = columns.halves(column)
        hashing.absorb_words(h1, h2, high, valid)
        hashing.absorb_words(h1, h2, low.view(np.int64), valid)
    else:
        offsets, data = columns.to_bytes(column)
        hashing.absorb_bytes(h1, h2, offsets, data, valid)
