"""Columns ↔ plain arrays: how values of each type lie in memory outside Polars.

Every type is one of four: a *word* (an int64), a *float* (a float64), *wide* (an int128 in two halves), or
*bytes* (text, binary, and nested values as canonical msgpack).
"""

from __future__ import annotations

import math
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Literal

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from gnomon.time import instant

Words = NDArray[np.int64]
Halves = tuple[Words, NDArray[np.uint64]]
Flags = NDArray[np.uint8]
Bytes = tuple[NDArray[np.int64], NDArray[np.uint8]]
"""Offsets [n + 1] and data: value i is `data[offsets[i]:offsets[i + 1]]`."""

NO_WORDS: Words = np.empty(0, np.int64)
NO_FLAGS: Flags = np.empty(0, np.uint8)
_HALF = 2**64

Kind = Literal["word", "float", "wide", "bytes"]


def kind_of(dtype: pl.DataType) -> Kind:
    """How values of the type are held."""
    if dtype.is_integer() or isinstance(dtype, pl.Boolean | pl.Date | pl.Datetime | pl.Duration | pl.Time):
        return "word"
    if dtype.is_float():
        return "float"
    return "wide" if isinstance(dtype, pl.Decimal) else "bytes"


def _owned(column: pl.Series) -> NDArray[Any]:
    """The column's values in an array that may be written to.

    A view of Polars' memory is read-only, which to Numba is another type: every kernel would be compiled
    twice.
    """
    return column.to_numpy(writable=True)


def flags(column: pl.Series) -> Flags:
    """A Boolean column as uint8, null as 0."""
    return _owned(column.fill_null(False) if column.null_count() else column).view(np.uint8)


def valid(column: pl.Series) -> Flags:
    """Where there is a value; zero-length where there always is."""
    return _owned(column.is_not_null()).view(np.uint8) if column.null_count() else NO_FLAGS


def words(column: pl.Series) -> Words:
    """A column of integers, times or Booleans as int64, null as 0. UInt64 keeps its bits."""
    physical = column.to_physical()
    if physical.null_count():
        physical = physical.fill_null(False if physical.dtype == pl.Boolean else 0)
    if physical.dtype == pl.UInt64:
        return _owned(physical).view(np.int64)
    return _owned(physical.cast(pl.Int64))


def floats(column: pl.Series) -> NDArray[np.float64]:
    """A float column as float64, null as 0.0."""
    wide = column.cast(pl.Float64)
    return _owned(wide.fill_null(0.0) if wide.null_count() else wide)


def halves(column: pl.Series) -> Halves:
    """A Decimal column as int128 in two halves, high and low; null as 0."""
    whole = pl.lit(_HALF, dtype=pl.Int128)
    frame = column.to_physical().fill_null(0).to_frame("v")
    parts = frame.select(
        high=(pl.col("v") // whole).cast(pl.Int64),
        low=(pl.col("v") - (pl.col("v") // whole) * whole).cast(pl.UInt64),
    )
    return _owned(parts["high"]), _owned(parts["low"])


def from_halves(high: Words, low: NDArray[np.uint64], dtype: pl.DataType) -> pl.Series:
    """The Decimal column of int128 halves."""
    scale = dtype.scale or 0  # type: ignore[attr-defined]
    whole = pl.lit(pl.Series(high).cast(pl.Int128)) * pl.lit(_HALF, dtype=pl.Int128)
    total = whole + pl.lit(pl.Series(low).cast(pl.Int128))
    # Polars casts integers by value and not by digits; text keeps the digits.
    digits = total.abs().cast(pl.String).str.zfill(scale + 1)
    point = digits.str.len_chars() - scale
    sign = pl.when(total < 0).then(pl.lit("-")).otherwise(pl.lit(""))
    text = pl.concat_str(sign, digits.str.head(point), pl.lit("."), digits.str.tail(scale))
    return pl.select(text.cast(dtype)).to_series()


def to_bytes(column: pl.Series) -> Bytes:
    """A column of text, binary or nested values as bytes, null as nothing."""
    if isinstance(column.dtype, pl.String | pl.Categorical | pl.Enum):
        column = column.cast(pl.String).cast(pl.Binary)
    elif not isinstance(column.dtype, pl.Binary):
        packed = [None if v is None else pack(v) for v in column.to_list()]
        column = pl.Series(packed, dtype=pl.Binary)
    sizes = column.bin.size().fill_null(0).cast(pl.Int64).to_numpy()
    offsets = np.zeros(len(sizes) + 1, np.int64)
    np.cumsum(sizes, out=offsets[1:])
    data = b"".join(column.drop_nulls().to_list())
    return offsets, np.frombuffer(data, np.uint8)


_encoder = msgspec.msgpack.Encoder(order="deterministic")


def pack(value: Any) -> bytes:
    """A nested Python value as canonical msgpack: equal values of one type give equal bytes."""
    return _encoder.encode(_plain(value))


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return math.nan if math.isnan(value) else value
    if isinstance(value, datetime):
        return instant(value)
    if isinstance(value, date):
        return value.toordinal()
    if isinstance(value, time):
        return ((value.hour * 60 + value.minute) * 60 + value.second) * 1_000_000 + value.microsecond
    if isinstance(value, timedelta):
        return value // timedelta(microseconds=1)
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, dict):
        return [_plain(v) for v in value.values()]
    if isinstance(value, list | tuple | pl.Series | np.ndarray):
        return [_plain(v) for v in value]
    return value
