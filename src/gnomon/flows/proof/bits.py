"""Bits: whether two columns are the same to the last bit: -0.0 is not 0.0, and one NaN is not another."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray


def differ(a: pl.Series, b: pl.Series) -> NDArray[np.bool_]:
    """[n]: where two columns of one type differ, a null from a value too."""
    if a.dtype.is_float():
        same = _words(a) == _words(b)
        same &= (a.is_null() == b.is_null()).to_numpy()
        return np.asarray(~same)
    if a.dtype.is_nested():
        return np.array([bits(x) != bits(y) for x, y in zip(a.to_list(), b.to_list(), strict=True)], np.bool_)
    return np.asarray(a.ne_missing(b).to_numpy())


def _words(column: pl.Series) -> NDArray[np.uint64]:
    """The floats' bits; of nulls nothing is told."""
    plain = column.cast(pl.Float64) if column.dtype != pl.Float32 else column
    kind = np.uint32 if column.dtype == pl.Float32 else np.uint64
    words: NDArray[np.uint64] = plain.fill_null(0.0).to_numpy().view(kind).astype(np.uint64)
    return words


def bits(value: Any) -> Any:
    """A value as something that is equal only to the same bits, in lists and structs too."""
    if isinstance(value, float):
        return struct.pack("<d", value)
    if isinstance(value, list):
        return [bits(one) for one in value]
    if isinstance(value, dict):
        return {name: bits(one) for name, one in value.items()}
    return value
