"""Values in JSON that keep their bits, both ways.

| Type | In JSON |
|---|---|
| Boolean, integers, String | as they are |
| Float32, Float64 | a number, or `"NaN"`, `"Infinity"`, `"-Infinity"` |
| Decimal | text: `"12.50"` |
| Datetime | RFC 3339 in UTC with microseconds: `"2026-01-31T12:00:00.000000Z"` |
| Date, Time | `"2026-01-31"`, `"12:00:00.000000"` |
| Duration | a whole number of microseconds |
| Binary | base64 |
| List, Array, Struct | a list, an object, of these |
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from gnomon.errors import DataError, UsageError
from gnomon.time import instant, show, to_datetime
from gnomon.types import DType, dtype_text

Convert = Callable[[Any], Any]

_WORDS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_FINER = re.compile(r"[.,]\d{6}\d*[1-9]")
_MICROSECOND = timedelta(microseconds=1)


# ------------------------------------------------------------------------------------------------- to JSON


def writer(dtype: DType) -> Convert | None:
    """The function from a Python value (not None) to what stands in JSON; None where that is the value itself.

    Floats too are as they are, but for those that JSON has no number for: `is_float` tells where to look.
    """
    if isinstance(dtype, pl.Decimal):
        return lambda value: f"{value:f}"
    if isinstance(dtype, pl.Datetime):
        return time_text
    if isinstance(dtype, pl.Date):
        return date.isoformat
    if isinstance(dtype, pl.Time):
        return lambda value: value.isoformat(timespec="microseconds")
    if isinstance(dtype, pl.Duration):
        return lambda value: value // _MICROSECOND
    if isinstance(dtype, pl.Binary):
        return lambda value: base64.b64encode(value).decode()
    if isinstance(dtype, pl.List | pl.Array):
        inner = _nested_writer(dtype.inner)
        return None if inner is None else lambda values: [None if v is None else inner(v) for v in values]
    if isinstance(dtype, pl.Struct):
        inside = {field.name: _nested_writer(field.dtype) for field in dtype.fields}
        if not any(inside.values()):
            return None
        return lambda value: {
            name: value[name] if write is None or value[name] is None else write(value[name])
            for name, write in inside.items()
        }
    return None


def _nested_writer(dtype: Any) -> Convert | None:
    return float_text if is_float(dtype) else writer(dtype)


def time_text(value: datetime) -> str:
    """RFC 3339 in UTC; naive times are UTC."""
    return show(instant(value))


def is_float(dtype: DType) -> bool:
    return isinstance(dtype, pl.Float32 | pl.Float64)


def float_text(value: float) -> float | str:
    """A float, or the word for one that JSON has no number for."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def written(values: list[Any], write: Convert) -> list[Any]:
    """A column's values as they stand in JSON."""
    return [None if value is None else write(value) for value in values]


# ----------------------------------------------------------------------------------------------- from JSON


def reader(dtype: DType) -> Convert | None:
    """The function from what stands in JSON (not null) to the Python value; None where that is the value itself.

    What is of a wrong kind is given back as it is, and refused where the value is used, with the same words as
    in this process. The function raises ValueError, which tells what is wrong with a text of the right kind.
    """
    if is_float(dtype):
        return lambda value: _WORDS.get(value, value) if isinstance(value, str) else value
    if isinstance(dtype, pl.Decimal):
        return _of_text(_decimal)
    if isinstance(dtype, pl.Datetime):
        zone = None if dtype.time_zone is None else ZoneInfo(dtype.time_zone)
        return _of_text(lambda text: _time(text, zone))
    if isinstance(dtype, pl.Date):
        return _of_text(date.fromisoformat)
    if isinstance(dtype, pl.Time):
        return _of_text(time.fromisoformat)
    if isinstance(dtype, pl.Duration):
        return _duration
    if isinstance(dtype, pl.Binary):
        return _of_text(_base64)
    if isinstance(dtype, pl.List | pl.Array):
        inner = reader(dtype.inner)  # type: ignore[arg-type]
        if inner is None:
            return None
        return lambda values: [_or_none(inner, v) for v in values] if isinstance(values, list) else values
    if isinstance(dtype, pl.Struct):
        return _struct(dtype)
    return None


def read_column(values: list[Any], read: Convert, what: str, dtype: DType) -> list[Any]:
    """A column of JSON values as Python values. `what`: what the column is called.

    Raises: DataError naming column, row and value.
    """
    made: list[Any] = []
    for row, value in enumerate(values):
        try:
            made.append(None if value is None else read(value))
        except ValueError as error:
            raise DataError(
                f"{what} has {value!r} in row {row}, which is no {dtype_text(dtype)}",
                at=f"row {row}",
                hint=str(error),
            ) from None
    return made


def _or_none(read: Convert, value: Any) -> Any:
    return None if value is None else read(value)


def _of_text(read: Callable[[str], Any]) -> Convert:
    return lambda value: read(value) if isinstance(value, str) else value


def _decimal(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise ValueError('write a decimal as text: "12.50"') from None


def _time(text: str, zone: ZoneInfo | None) -> datetime:
    """The time of a text, in the zone that Polars gives it in."""
    try:
        found = to_datetime(instant(text))
    except UsageError as error:
        raise ValueError(error.hint or error.what) from None
    if _FINER.search(text):
        raise ValueError("times are kept to the microsecond")
    if zone is None:
        return found.replace(tzinfo=None)
    try:
        return found.astimezone(zone)
    except OverflowError:
        raise ValueError(f"in {zone.key} this lies outside the years 1 to 9999") from None


def _duration(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        try:
            return timedelta(microseconds=value)
        except OverflowError:
            raise ValueError("it counts microseconds, and these are too many") from None
    return value


def _base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(f"write bytes as base64: {error}") from None


def _struct(dtype: pl.Struct) -> Convert | None:
    inside = {field.name: reader(field.dtype) for field in dtype.fields}  # type: ignore[arg-type]
    reads = {name: read for name, read in inside.items() if read is not None}
    if not reads:
        return None

    def convert(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {name: _or_none(reads[name], one) if name in reads else one for name, one in value.items()}

    return convert
