"""Rows for tests as plain tuples, to flat rows and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
import polars as pl

from gnomon.columns import kind_of
from gnomon.online.arrays import NO_BYTES, Bytes, VarColumn, WordColumn
from gnomon.online.codec import MAX, FlatRows, Lane, Layout, fresh
from gnomon.online.values import decode, encode


@dataclass(frozen=True)
class Row:
    """One version of a row, as it arrives; `until` is known only of rows that were merged."""

    key: int
    event_time: int
    known_at: int
    row_id: int | str | None
    values: tuple[Any, ...] = ()
    dead: bool = False
    until: int = MAX


def make_layout(
    types: Sequence[pl.DataType],
    *,
    kind: str = "event",
    id_kind: str = "hash",
    declared: bool = False,
    lag: int = 0,
) -> Layout:
    """A layout with lanes `x0`, `x1`, …"""
    lanes = tuple(Lane(f"x{i}", kind_of(dtype)) for i, dtype in enumerate(types))
    return Layout(kind, id_kind, declared, lag, lanes)  # type: ignore[arg-type]


def var_column(values: Sequence[bytes], valid: Bytes = NO_BYTES) -> VarColumn:
    """A column of byte strings."""
    offsets = np.zeros(len(values) + 1, np.int64)
    np.cumsum(np.fromiter(map(len, values), np.int64, len(values)), out=offsets[1:])
    return VarColumn(offsets, np.frombuffer(bytearray(b"").join(values), np.uint8), valid)


def content_of(row: Row) -> list[int]:
    """Two words that tell the contents of rows apart; of rows without an id it is the id."""
    text = repr((row.key, row.event_time, row.row_id, None if row.dead else row.values))
    return np.frombuffer(blake2b(text.encode(), digest_size=16).digest(), np.int64).tolist()


def flat(layout: Layout, types: Sequence[pl.DataType], rows: Sequence[Row], keys: int) -> FlatRows:
    """The rows as they arrive, in the order given inside each key."""
    rows = sorted(rows, key=lambda row: row.key)
    key_start = np.searchsorted([row.key for row in rows], np.arange(keys + 1)).astype(np.int64)
    content = np.array([content_of(row) for row in rows], np.int64).reshape(-1)
    if layout.id_kind == "hash":
        ids, content = WordColumn(content, 2), np.empty(0, np.int64)
    elif layout.id_kind == "int":
        ids = WordColumn(np.array([row.row_id for row in rows], np.int64))
    else:
        ids = var_column([str(row.row_id).encode() for row in rows])
    empty = (None,) * len(types)
    values = [row.values or empty for row in rows]
    return fresh(
        key_start,
        np.array([row.event_time for row in rows], np.int64),
        np.array([row.known_at for row in rows], np.int64),
        ids,
        tuple(encode(pl.Series([v[i] for v in values], dtype=dtype)) for i, dtype in enumerate(types)),
        content=content,
        dead=np.array([row.dead for row in rows], np.uint8),
    )


def listed(layout: Layout, types: Sequence[pl.DataType], rows: FlatRows) -> list[Row]:
    """Flat rows as tuples, key by key. Ids that are hashes are left out."""
    lanes = [decode(lane, dtype).to_list() for lane, dtype in zip(rows.lanes, types, strict=True)]
    ids: list[Any] = [None] * rows.n_rows
    if isinstance(rows.row_id, VarColumn):
        ids = [data.decode() for data in rows.row_id.to_list()]
    elif layout.id_kind == "int":
        ids = rows.row_id.words.tolist()
    return [
        Row(
            key=int(key),
            event_time=int(rows.event_time[i]),
            known_at=int(rows.known_at[i]),
            row_id=ids[i],
            values=tuple(lane[i] for lane in lanes),
            dead=bool(rows.dead[i]),
            until=int(rows.until[i]),
        )
        for i, key in enumerate(rows.key_of_row())
    ]


def columns_of(rows: FlatRows) -> list[Any]:
    """All that two equal `FlatRows` must agree in, as plain lists."""
    arrays = [
        rows.key_start, rows.event_time, rows.known_at, rows.until, rows.dead, rows.content,
        rows.counter, rows.first_activation, rows.newest_dropped,
    ]  # fmt: skip
    made: list[Any] = [array.tolist() for array in arrays]
    for column in (rows.row_id, *rows.lanes):
        valid = column.valid.tolist() if column.valid.size and not column.valid.all() else []
        body = column.to_list() if isinstance(column, VarColumn) else column.pairs.tolist()
        made.append((valid, body))
    return made
