"""Types that tables cannot hold ↔ types that they can. What went in comes out, of the same type and to the
bit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import polars as pl

from gnomon.types import DType


def storable(dtype: DType) -> DType:
    """The type in which a table holds values of `dtype`."""
    if dtype.is_unsigned_integer() or isinstance(dtype, pl.Duration | pl.Time):
        return pl.Int64()
    if isinstance(dtype, pl.Datetime):
        # Finer than a table can hold: its ticks. Coarser and other time zones: the same instant, put back on
        # reading.
        return (
            pl.Int64() if dtype.time_unit == "ns" else pl.Datetime("us", "UTC" if dtype.time_zone else None)
        )
    if isinstance(dtype, pl.List):
        return pl.List(storable(_made(dtype.inner)))
    if isinstance(dtype, pl.Array):
        return pl.List(storable(_made(dtype.inner)))
    if isinstance(dtype, pl.Struct):
        return pl.Struct({f.name: storable(_made(f.dtype)) for f in dtype.fields})
    if isinstance(dtype, pl.Categorical | pl.Enum):
        return pl.String()
    return pl.Boolean() if isinstance(dtype, pl.Null) else dtype


def _made(dtype: Any) -> DType:
    """An inner type, which may have been given as a class."""
    return dtype() if isinstance(dtype, type) else dtype  # type: ignore[no-any-return]


def store(column: pl.Expr, dtype: DType) -> pl.Expr:
    """The column as a table holds it."""
    target = storable(dtype)
    if target == dtype:
        return column
    if isinstance(dtype, pl.List | pl.Array):
        items = column if isinstance(dtype, pl.List) else column.arr.to_list()
        return items.list.eval(store(pl.element(), _made(dtype.inner)))
    if isinstance(dtype, pl.Struct):
        return _by_field(column, dtype, store)
    if isinstance(dtype, pl.UInt64):
        return column.reinterpret(signed=True)
    if isinstance(dtype, pl.Datetime) and isinstance(target, pl.Datetime):
        moved = column.dt.convert_time_zone("UTC") if dtype.time_zone else column
        return moved.cast(target)
    if isinstance(target, pl.Int64):
        return column.to_physical().cast(pl.Int64)
    return column.cast(target)


def restore(column: pl.Expr, dtype: DType) -> pl.Expr:
    """The column as it went in."""
    target = storable(dtype)
    if target == dtype:
        return column
    if isinstance(dtype, pl.List | pl.Array):
        items = column.list.eval(restore(pl.element(), _made(dtype.inner)))
        return items if isinstance(dtype, pl.List) else items.list.to_array(dtype.size)
    if isinstance(dtype, pl.Struct):
        return _by_field(column, dtype, restore)
    if isinstance(dtype, pl.UInt64):
        return column.reinterpret(signed=False)
    if isinstance(dtype, pl.Datetime) and isinstance(target, pl.Datetime):
        fitted = column.cast(pl.Datetime(dtype.time_unit, target.time_zone))
        return fitted.dt.convert_time_zone(dtype.time_zone) if dtype.time_zone else fitted
    return column.cast(dtype)


def _by_field(column: pl.Expr, dtype: pl.Struct, change: Callable[[pl.Expr, DType], pl.Expr]) -> pl.Expr:
    """A struct with each field changed. A struct that is null stays one: it is not a struct of nulls."""
    changed = [change(column.struct.field(f.name), _made(f.dtype)).alias(f.name) for f in dtype.fields]
    return pl.when(column.is_not_null()).then(pl.struct(changed))
