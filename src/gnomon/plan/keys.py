"""Keys as bytes: how a key is named in every online store.

The parts of a composite key stand one after another. A number, time or Boolean is 8 bytes, big-endian with
the sign bit turned, so that bytes order as numbers do. Text and bytes are themselves in the last place;
before it, each zero byte is followed by 0xFF and the part ends with two zero bytes, so that ("a", "bc") and
("ab", "c") differ. The types are the entity's, so that no value needs a mark of its type.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime
from functools import partial
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gnomon import columns
from gnomon.errors import DataError
from gnomon.time import DAY, instant
from gnomon.types import DType

_SIGN = 1 << 63
_MASK = (1 << 64) - 1

_MANY = 16
"""Integers that are worth an array."""


def as_key(column: pl.Expr, found: DType, declared: DType) -> pl.Expr:
    """A column of a source or a spine as keys of the entity's type, strictly.

    Raises: InvalidOperationError, when it is evaluated, for a time that is no whole microsecond: floored, it
            would become another key.
    """
    if isinstance(found, pl.Datetime) and found.time_unit == "ns" and isinstance(declared, pl.Datetime):
        whole = partial(_whole_micros, dtype=declared)
        return column.map_batches(whole, return_dtype=declared, is_elementwise=True)
    return column.cast(declared)


def _whole_micros(column: pl.Series, dtype: DType) -> pl.Series:
    at = finer_than_micros(column)
    if at is not None:
        text = column.cast(pl.String)[at]
        raise pl.exceptions.InvalidOperationError(f"the key `{text}` is {FINER}")
    return column.cast(dtype)


def check_whole(column: pl.Series, where: str) -> None:
    """Refuse a column of keys with a time that is no whole microsecond. `where`: what its rows are called.

    Raises: DataError, naming the column and the first such row.
    """
    at = finer_than_micros(column)
    if at is not None:
        raise DataError(
            f"the key column `{column.name}` has `{column.cast(pl.String)[at]}`, which is {FINER}",
            at=f"{where} {at}",
            hint="floor it to microseconds, as in the rows of the source",
        )


FINER = "finer than the microseconds that keys are kept in"


def finer_than_micros(column: pl.Series) -> int | None:
    """The first row with a time that is no whole microsecond; None where there is none."""
    if not isinstance(column.dtype, pl.Datetime) or column.dtype.time_unit != "ns":
        return None
    fine = (column.to_physical() % 1000 != 0).arg_true()
    return int(fine[0]) if len(fine) else None


def key_bytes(keys: Sequence[pl.Series], n: int) -> list[bytes]:
    """The keys of `n` rows; columns are of the entity's types and have no nulls. No columns: one global key."""
    if not keys:
        return [b""] * n
    parts = [_parts(column, i == len(keys) - 1) for i, column in enumerate(keys)]
    return parts[0] if len(parts) == 1 else [b"".join(row) for row in zip(*parts, strict=True)]


def _parts(column: pl.Series, last: bool) -> list[bytes]:
    if columns.kind_of(column.dtype) == "word":
        return _turned(columns.words(column))
    whole: list[bytes] = (column if column.dtype == pl.Binary else column.cast(pl.Binary)).to_list()
    return whole if last else [_closed(part) for part in whole]


def _turned(words: NDArray[np.int64]) -> list[bytes]:
    """Each number as it stands in a key."""
    turned: list[bytes] = (words.view(np.uint64) ^ np.uint64(_SIGN)).astype(">u8").view("V8").tolist()
    return turned


def _closed(part: bytes) -> bytes:
    return part.replace(b"\0", b"\0\xff") + b"\0\0"


Encode = Callable[[Any], bytes]
"""One Python value of a part → its bytes. Raises: TypeError if it is not of the type; ValueError, which tells
what is wrong with it, if it is and yet is no key."""


def part_encoder(dtype: DType, last: bool) -> Encode:
    """The encoder of one key column, for single questions."""
    if isinstance(dtype, pl.String):
        return _text if last else lambda value: _closed(_text(value))
    if isinstance(dtype, pl.Binary):
        return _binary if last else lambda value: _closed(_binary(value))
    if isinstance(dtype, pl.Boolean):
        return lambda value: _word(int(_strict(value, bool)))
    if dtype.is_integer():
        return _integer
    if isinstance(dtype, pl.Datetime):
        return _time
    return lambda value: _word(_day(value))


def encode_all(encode: Encode, values: list[Any]) -> list[bytes]:
    """`encode` of each value. Many integers go together, which takes half the time for a hundred.

    Raises: what `encode` raises.
    """
    if encode is _integer and len(values) >= _MANY and set(map(type, values)) == {int}:
        try:
            return _turned(np.array(values, np.int64))
        except OverflowError:
            pass  # `encode` says of which
    return list(map(encode, values))


def _word(value: int) -> bytes:
    return ((value + _SIGN) & _MASK).to_bytes(8, "big")


def _integer(value: Any) -> bytes:
    if type(value) is not int:
        if isinstance(value, bool) or not isinstance(value, int | np.integer):
            raise TypeError(f"{value!r} is not an integer")
        value = int(value)
    if not -_SIGN <= value < _SIGN:
        raise ValueError("more than 64 bits hold")
    return bytes(((value + _SIGN) & _MASK).to_bytes(8, "big"))


def _time(value: Any) -> bytes:
    # The datetimes of pandas know nanoseconds.
    if getattr(_strict(value, datetime), "nanosecond", 0):
        raise ValueError(FINER)
    return _word(instant(value))


def _day(value: Any) -> int:
    # A datetime is a date to Python, and yet not a day.
    if isinstance(value, datetime):
        raise TypeError(f"{value!r} is not of type date")
    return int(instant(_strict(value, date)) // DAY)


def _text(value: Any) -> bytes:
    try:
        return bytes(_strict(value, str).encode())
    except UnicodeEncodeError:
        raise ValueError("no text that UTF-8 can hold") from None


def _binary(value: Any) -> bytes:
    return bytes(_strict(value, bytes))


def _strict(value: Any, kind: type) -> Any:
    if not isinstance(value, kind):
        raise TypeError(f"{value!r} is not of type {kind.__name__}")
    return value
