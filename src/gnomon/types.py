"""Types of values: Polars data types, their canonical text, and what a column of one can be used for."""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import polars as pl

from gnomon.errors import UsageError

DType = pl.DataType

_PYTHON: dict[Any, DType] = {
    int: pl.Int64(),
    float: pl.Float64(),
    str: pl.String(),
    bool: pl.Boolean(),
    bytes: pl.Binary(),
    datetime: pl.Datetime("us", "UTC"),
    date: pl.Date(),
    time: pl.Time(),
    timedelta: pl.Duration("us"),
    Decimal: pl.Decimal(38, 2),
}
_SIMPLE: dict[str, DType] = {
    str(t()): t()
    for t in (
        pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64,
        pl.Float32, pl.Float64, pl.Boolean, pl.String, pl.Binary, pl.Date, pl.Time, pl.Null,
    )
}  # fmt: skip


def as_dtype(value: Any) -> DType:
    """A Polars data type from a Polars type, instance or class, a Python type, or canonical text.

    Raises: UsageError for anything else, and for types without a fixed meaning (Object, Unknown).
    """
    if isinstance(value, str):
        return parse_dtype(value)
    if value in _PYTHON:
        return _PYTHON[value]
    if isinstance(value, type) and issubclass(value, pl.DataType):
        if value in (pl.Datetime, pl.Duration):
            value = value("us")
        elif value is pl.Decimal:
            value = pl.Decimal(38, 2)
        elif value in (pl.List, pl.Array, pl.Struct, pl.Enum):
            raise UsageError(
                f"the type {value.__name__} needs its inner type", hint="such as pl.List(pl.Int64)"
            )
        else:
            value = value()
    if isinstance(value, pl.Categorical | pl.Enum):
        return pl.String()
    if isinstance(value, pl.DataType) and _has_meaning(value):
        return value
    raise UsageError(
        f"`{value!r}` is not a type",
        hint="use a Polars type such as pl.Float64, or int, float, str, bool, datetime, bytes",
    )


def _has_meaning(dtype: DType) -> bool:
    """Whether values of the type, at any depth, can be read, computed with and kept."""
    if isinstance(dtype, pl.List | pl.Array):
        return _has_meaning(dtype.inner)  # type: ignore[arg-type]
    if isinstance(dtype, pl.Struct):
        return all(_has_meaning(field.dtype) for field in dtype.fields)  # type: ignore[arg-type]
    return str(dtype) in _SIMPLE or isinstance(
        dtype, pl.Datetime | pl.Duration | pl.Decimal | pl.Categorical | pl.Enum
    )


def dtype_text(dtype: DType) -> str:
    """Canonical text of a type, read back by `parse_dtype`: `Int64`, `Datetime(us, UTC)`, `List(Float64)`."""
    if isinstance(dtype, pl.Datetime):
        return f"Datetime({dtype.time_unit}{f', {dtype.time_zone}' if dtype.time_zone else ''})"
    if isinstance(dtype, pl.Duration):
        return f"Duration({dtype.time_unit})"
    if isinstance(dtype, pl.Decimal):
        return f"Decimal({dtype.precision}, {dtype.scale})"
    if isinstance(dtype, pl.List):
        return f"List({dtype_text(as_dtype(dtype.inner))})"
    if isinstance(dtype, pl.Array):
        return f"Array({dtype_text(as_dtype(dtype.inner))}, {dtype.size})"
    if isinstance(dtype, pl.Struct):
        return "Struct(" + ", ".join(f"{f.name}: {dtype_text(as_dtype(f.dtype))}" for f in dtype.fields) + ")"
    return str(dtype)


def parse_dtype(text: str) -> DType:
    """Read what `dtype_text` wrote. Raises: UsageError."""
    text = text.strip()
    if text in _SIMPLE:
        return _SIMPLE[text]
    match = re.fullmatch(r"(\w+)\((.*)\)", text, re.DOTALL)
    if match is None:
        raise UsageError(
            f"`{text}` is not a type", hint=f"known: {', '.join(_SIMPLE)}, Datetime(us), List(…)"
        )
    kind, inside = match[1], match[2]
    parts = _split(inside)
    if kind == "Datetime":
        return pl.Datetime(parts[0], parts[1] if len(parts) > 1 else None)  # type: ignore[arg-type]
    if kind == "Duration":
        return pl.Duration(parts[0])  # type: ignore[arg-type]
    if kind == "Decimal":
        return pl.Decimal(int(parts[0]), int(parts[1]))
    if kind == "List":
        return pl.List(parse_dtype(inside))
    if kind == "Array":
        return pl.Array(parse_dtype(", ".join(parts[:-1])), int(parts[-1]))
    if kind == "Struct":
        fields = [part.split(":", 1) for part in parts]
        return pl.Struct({name.strip(): parse_dtype(inner) for name, inner in fields})
    raise UsageError(f"`{text}` is not a type")


def _split(text: str) -> list[str]:
    """Split at commas that are not inside parentheses."""
    parts, depth, start = [], 0, 0
    for i, char in enumerate(text):
        depth += (char == "(") - (char == ")")
        if char == "," and depth == 0:
            parts.append(text[start:i].strip())
            start = i + 1
    last = text[start:].strip()
    return [*parts, last] if last else parts


def is_number(dtype: DType) -> bool:
    """Integers, floats and decimals."""
    return dtype.is_numeric()


def is_text(dtype: DType) -> bool:
    return isinstance(dtype, pl.String | pl.Binary)


def is_nested(dtype: DType) -> bool:
    return isinstance(dtype, pl.List | pl.Array | pl.Struct)


def is_ordered(dtype: DType) -> bool:
    """Whether values of the type can be compared, so that min, max and n_distinct mean something."""
    return not is_nested(dtype) and not isinstance(dtype, pl.Null)


def is_instant(dtype: DType) -> bool:
    """Whether a column of the type can be an event time. Text is read as ISO 8601; a date needs a lag."""
    return isinstance(dtype, pl.Datetime | pl.Date | pl.String)


def finer_than_micros(dtype: DType) -> bool:
    """Whether the type holds, at any depth, times that microseconds cannot tell apart."""
    if isinstance(dtype, pl.List | pl.Array):
        return finer_than_micros(dtype.inner)  # type: ignore[arg-type]
    if isinstance(dtype, pl.Struct):
        return any(finer_than_micros(field.dtype) for field in dtype.fields)  # type: ignore[arg-type]
    return isinstance(dtype, pl.Time) or (
        isinstance(dtype, pl.Datetime | pl.Duration) and dtype.time_unit == "ns"
    )
