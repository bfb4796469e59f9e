"""Types of values: Polars data types, their canonical text, and what a column of one can be used for."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
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
_PLAIN_NAME = re.compile(r"\w+(?:[\w .\-]*\w)?")
_MARKS = re.compile(r'"(?:[^"\\]|\\.)*"|[(),]')


def as_dtype(value: Any) -> DType:
    """A Polars data type from a Polars type, instance or class, a Python type, or canonical text.

    Inner types become instances too, and categories text.

    Raises: UsageError for anything else, and for types whose values cannot be read, computed with and kept
    (Object, Unknown, Int128).
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
    if isinstance(value, pl.List):
        return pl.List(as_dtype(value.inner))
    if isinstance(value, pl.Array):
        return pl.Array(as_dtype(value.inner), value.size)
    if isinstance(value, pl.Struct):
        return pl.Struct({field.name: as_dtype(field.dtype) for field in value.fields})
    if isinstance(value, pl.Datetime | pl.Duration | pl.Decimal) or str(value) in _SIMPLE:
        return value  # type: ignore[no-any-return]
    raise UsageError(
        f"`{value!r}` is not a type",
        hint="use a Polars type such as pl.Float64, or int, float, str, bool, datetime, bytes",
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
        fields = (f"{_name_text(f.name)}: {dtype_text(as_dtype(f.dtype))}" for f in dtype.fields)
        return f"Struct({', '.join(fields)})"
    return str(dtype)


def _name_text(name: str) -> str:
    """A field's name; in quotes where it could be read as something else."""
    return name if _PLAIN_NAME.fullmatch(name) else json.dumps(name, ensure_ascii=False)


def parse_dtype(text: str) -> DType:
    """Read what `dtype_text` wrote. Raises: UsageError."""
    text = text.strip()
    if text in _SIMPLE:
        return _SIMPLE[text]
    match = re.fullmatch(r"(\w+)\((.*)\)", text, re.DOTALL)
    if match is not None and match[1] in _READ:
        try:
            return _READ[match[1]](_split(match[2]))
        except (TypeError, ValueError):  # too few or too many words inside, or none that Polars knows
            pass
    raise UsageError(
        f"`{text}` is not a type", hint=f"known: {', '.join(_SIMPLE)}, Datetime(us), List(Int64)"
    )


def _struct(parts: list[str]) -> DType:
    fields: dict[str, DType] = {}
    for part in parts:
        if part.startswith('"'):
            name, end = json.JSONDecoder().raw_decode(part)
            colon, inner = part[end : end + 1], part[end + 1 :]
        else:
            name, colon, inner = part.partition(":")
            name = name.strip()
        if colon != ":":
            raise ValueError(f"`{part}` is no field")
        fields[name] = parse_dtype(inner)
    return pl.Struct(fields)


def _array(parts: list[str]) -> DType:
    inner, size = parts
    return pl.Array(parse_dtype(inner), int(size))


def _list(parts: list[str]) -> DType:
    (inner,) = parts
    return pl.List(parse_dtype(inner))


def _decimal(parts: list[str]) -> DType:
    precision, scale = parts
    return pl.Decimal(int(precision), int(scale))


_READ: dict[str, Callable[[list[str]], DType]] = {
    "Datetime": lambda parts: pl.Datetime(*parts),  # type: ignore[arg-type]
    "Duration": lambda parts: pl.Duration(*parts),  # type: ignore[arg-type]
    "Decimal": _decimal,
    "List": _list,
    "Array": _array,
    "Struct": _struct,
}
"""Kind → the type of what stands in its parentheses."""


def _split(text: str) -> list[str]:
    """Split at commas that are not inside parentheses or quotes."""
    parts, depth, start = [], 0, 0
    for match in _MARKS.finditer(text):
        mark = match.group()
        depth += (mark == "(") - (mark == ")")
        if mark == "," and depth == 0:
            parts.append(text[start : match.start()].strip())
            start = match.end()
    last = text[start:].strip()
    return [*parts, last] if last else parts


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
