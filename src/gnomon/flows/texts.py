"""Texts: a value as it is typed on a command line → a value of a declared type."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import date, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

import polars as pl

from gnomon.errors import UsageError
from gnomon.time import duration, instant, to_datetime
from gnomon.types import DType, dtype_text, is_nested


def read_value(text: str, dtype: DType, name: str) -> Any:
    """The value of type `dtype` that `text` stands for; `name` is what it is for.

    Times are ISO 8601 (naive is UTC), durations as `90s` or `7d`, bytes base64, lists and structs JSON.
    Raises: UsageError that tells how to write it.
    """
    read, example = _reader(dtype)
    try:
        value = read(text)
        # Strict, so that a number that is too large for its type is refused here, where its name is known.
        return pl.Series([value], dtype=dtype, strict=True)[0]
    except (
        ValueError, TypeError, OverflowError, InvalidOperation, UsageError, pl.exceptions.PolarsError
    ):  # fmt: skip
        raise UsageError(
            f"`{name}` is {dtype_text(dtype)}, and `{text}` is no such value", hint=f"write it as {example}"
        ) from None


def _reader(dtype: DType) -> tuple[Callable[[str], Any], str]:
    """How text of a type is read, and an example."""
    if isinstance(dtype, pl.Datetime):
        zoned = dtype.time_zone is not None
        return lambda text: _datetime(text, zoned), "2026-01-31T12:00:00Z"
    if is_nested(dtype):
        return json.loads, "JSON: [1, 2]"
    if dtype.is_integer():
        return int, "a whole number within the type's range: 42"
    if dtype.is_float():
        return float, "a number: 3.5"
    for kind, read, example in _SIMPLE:
        if isinstance(dtype, kind):
            return read, example
    return _refuse, "nothing: values of this type cannot be given as text"


def _datetime(text: str, zoned: bool) -> Any:
    moment = to_datetime(instant(text))
    return moment if zoned else moment.replace(tzinfo=None)


def _boolean(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError(text)
    return text.lower() == "true"


def _refuse(text: str) -> Any:
    raise ValueError(text)


_SIMPLE: tuple[tuple[type[DType], Callable[[str], Any], str], ...] = (
    (pl.String, str, "text"),
    (pl.Boolean, _boolean, "true or false"),
    (pl.Date, date.fromisoformat, "2026-01-31"),
    (pl.Time, time.fromisoformat, "12:30:00"),
    (pl.Duration, lambda text: timedelta(microseconds=duration(text)), "a duration: 90s, 15m, 7d"),
    (pl.Decimal, Decimal, "a decimal number: 12.50"),
    (pl.Binary, lambda text: base64.b64decode(text, validate=True), "base64: SGk="),
)
