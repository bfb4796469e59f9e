"""Values of every type ↔ what stands in a lane: Polars columns in, Polars columns or Python values out.

How a type lies in words and bytes is decided in `gnomon.columns`. Every type comes back unchanged.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Context, Decimal
from functools import lru_cache
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import polars as pl

from gnomon import columns
from gnomon.online.arrays import NO_BYTES, Bytes, Column, VarColumn, WordColumn

__all__ = ["same", "decode", "encode", "reader"]

Read: TypeAlias = Callable[[Any], Any]

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - a naive column's values are naive
_FIRST_DAY = date(1970, 1, 1).toordinal()
_DIGITS = Context(prec=40)
"""Room for every int128."""
_PER_US = {"ms": (1_000, 1), "us": (1, 1), "ns": (1, 1_000)}


def encode(column: pl.Series) -> Column:
    """A lane of the column's values, of the kind `columns.kind_of` its type. Float32 is widened."""
    kind = columns.kind_of(column.dtype)
    valid = _own(columns.valid(column))
    if kind == "word":
        return WordColumn(_own(columns.words(column)), 1, valid)
    if kind == "float":
        return WordColumn(_own(columns.floats(column)).view(np.int64), 1, valid)
    if kind == "wide":
        high, low = columns.halves(column)
        return WordColumn(np.stack([high, low.view(np.int64)], axis=1).reshape(-1), 2, valid)
    offsets, data = columns.to_bytes(column)
    return VarColumn(_own(offsets), _own(data), valid)


def _own(array: np.ndarray[Any, Any]) -> Any:
    """The array, or a copy of Polars' memory: kernels are compiled for arrays that can be written."""
    return array if array.flags.writeable else array.copy()


def decode(lane: Column, dtype: pl.DataType) -> pl.Series:
    """The column that `encode` was given."""
    if isinstance(lane, VarColumn):
        values: list[Any] = lane.to_list()
        if not isinstance(dtype, pl.Binary):
            read = reader(dtype)
            present = lane.valid if lane.valid.size else np.ones(len(values), np.uint8)
            values = [read(v) if here else None for v, here in zip(values, present.tolist(), strict=True)]
            return pl.Series(values, dtype=dtype)
        made = pl.Series(values, dtype=dtype)
    elif columns.kind_of(dtype) == "wide":
        pairs = lane.pairs
        low = np.ascontiguousarray(pairs[:, 1]).view(np.uint64)
        made = columns.from_halves(np.ascontiguousarray(pairs[:, 0]), low, dtype)
    elif columns.kind_of(dtype) == "float":
        made = pl.Series(lane.words.view(np.float64)).cast(dtype)
    elif isinstance(dtype, pl.UInt64):
        made = pl.Series(lane.words.view(np.uint64))
    elif isinstance(dtype, pl.Date):
        made = pl.Series(lane.words).cast(pl.Int32).cast(dtype)
    else:
        made = pl.Series(lane.words).cast(dtype)
    return _masked(made, lane.valid)


def _masked(column: pl.Series, valid: Bytes) -> pl.Series:
    if valid is NO_BYTES or not valid.size:
        return column
    return pl.select(pl.when(pl.Series(valid != 0)).then(column)).to_series().rename("")


# ---------------------------------------------------------------------------------------------- Python values


@lru_cache(maxsize=1024)
def reader(dtype: pl.DataType) -> Read:
    """The function from what stands in a lane to the Python value that Polars would give.

    It takes an int for a word and for a wide value (the int128), a float for a float, and bytes else.
    """
    kind = columns.kind_of(dtype)
    if kind == "bytes":
        return _read_bytes(dtype)
    if isinstance(dtype, pl.Boolean):
        return bool
    if isinstance(dtype, pl.UInt64):
        return lambda word: word & 0xFFFF_FFFF_FFFF_FFFF
    if isinstance(dtype, pl.Date):
        return lambda word: date.fromordinal(_FIRST_DAY + word)
    if isinstance(dtype, pl.Time):
        return _time
    if isinstance(dtype, pl.Duration):
        up, down = _PER_US[dtype.time_unit]
        # Towards zero, as Polars does; an instant is floored.
        return lambda word: timedelta(microseconds=word * up // down if word >= 0 else -(-word * up // down))
    if isinstance(dtype, pl.Datetime):
        return _read_datetime(dtype.time_zone, *_PER_US[dtype.time_unit])
    if isinstance(dtype, pl.Decimal):
        scale = -(dtype.scale or 0)
        return lambda number: Decimal(number).scaleb(scale, _DIGITS)
    return same


def same(value: Any) -> Any:
    """The reader of what already is the Python value; callers may leave it out."""
    return value


def _time(nanoseconds: int) -> time:
    return (_EPOCH + timedelta(microseconds=nanoseconds // 1_000)).time()


def _read_datetime(zone: str | None, up: int, down: int) -> Read:
    if zone is None:
        return lambda word: _EPOCH + timedelta(microseconds=word * up // down)
    here = ZoneInfo(zone)
    epoch = _EPOCH.replace(tzinfo=UTC)
    return lambda word: (epoch + timedelta(microseconds=word * up // down)).astimezone(here)


def _read_bytes(dtype: pl.DataType) -> Read:
    if isinstance(dtype, pl.Binary):
        return same
    if isinstance(dtype, pl.String):
        return bytes.decode
    inside = _unpacked(dtype)
    decode_plain = msgspec.msgpack.Decoder().decode
    return decode_plain if inside is same else lambda data: inside(decode_plain(data))


def _unpacked(dtype: Any) -> Read:
    """From what `columns.pack` made of a nested value, or of a part of one, to the Python value."""
    if isinstance(dtype, pl.Struct):
        fields = [(field.name, _unpacked(field.dtype)) for field in dtype.fields]
        return _nullable(
            lambda parts: {name: read(part) for (name, read), part in zip(fields, parts, strict=True)}
        )
    if isinstance(dtype, pl.List | pl.Array):
        read = _unpacked(dtype.inner)
        return same if read is same else _nullable(lambda parts: [read(part) for part in parts])
    if isinstance(dtype, pl.Decimal):
        return _nullable(Decimal)
    if isinstance(dtype, pl.Date):
        return _nullable(date.fromordinal)
    if isinstance(dtype, pl.Time):
        return _nullable(lambda us: _time(us * 1_000))
    if isinstance(dtype, pl.Duration):
        return _nullable(lambda us: timedelta(microseconds=us))
    if isinstance(dtype, pl.Datetime):
        return _nullable(_read_datetime(dtype.time_zone, 1, 1))
    return same


def _nullable(read: Read) -> Read:
    return lambda part: None if part is None else read(part)
