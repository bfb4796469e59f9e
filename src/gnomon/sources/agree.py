"""Agreement: the one type in which a column of several files is read, and whether a file's values fit it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import reduce

import polars as pl

from gnomon.errors import DataError
from gnomon.plan.layout import castable
from gnomon.types import DType, as_dtype, dtype_text

_SIGNED = (pl.Int8(), pl.Int16(), pl.Int32(), pl.Int64())
_BITS: dict[DType, int] = {
    pl.Int8(): 8, pl.Int16(): 16, pl.Int32(): 32, pl.Int64(): 64,
    pl.UInt8(): 8, pl.UInt16(): 16, pl.UInt32(): 32, pl.UInt64(): 64,
}  # fmt: skip


def common_type(one: DType, other: DType) -> DType | None:
    """The type that holds the values of both; None if there is none.

    Whole numbers and floats meet in Float64, as they do in one CSV column. Times of several units are
    microseconds, naive times UTC, categories text.
    """
    if one == other:
        return one
    if isinstance(one, pl.Null) or isinstance(other, pl.Null):
        return other if isinstance(one, pl.Null) else one
    if one.is_integer() and other.is_integer():
        return _common_integer(one, other)
    if isinstance(one, pl.Decimal) and isinstance(other, pl.Decimal):
        return pl.Decimal(38, max(one.scale, other.scale))
    if isinstance(one, pl.Decimal) or isinstance(other, pl.Decimal):
        return None
    if one.is_numeric() and other.is_numeric():
        return pl.Float64()
    if isinstance(one, pl.Datetime) and isinstance(other, pl.Datetime):
        unit = one.time_unit if one.time_unit == other.time_unit else "us"
        return pl.Datetime(unit, one.time_zone if one.time_zone == other.time_zone else "UTC")
    if isinstance(one, pl.Duration) and isinstance(other, pl.Duration):
        return pl.Duration("us")
    text = pl.String | pl.Categorical | pl.Enum
    if isinstance(one, text) and isinstance(other, text):
        return pl.String()
    return _common_nested(one, other)


def _common_integer(one: DType, other: DType) -> DType | None:
    if one.is_unsigned_integer() == other.is_unsigned_integer():
        return max(one, other, key=lambda dtype: _BITS[dtype])
    signed, unsigned = (other, one) if one.is_unsigned_integer() else (one, other)
    return next((t for t in _SIGNED if _BITS[t] >= _BITS[signed] and _BITS[t] > _BITS[unsigned]), None)


def _common_nested(one: DType, other: DType) -> DType | None:
    if isinstance(one, pl.List) and isinstance(other, pl.List):
        inner = common_type(as_dtype(one.inner), as_dtype(other.inner))
        return None if inner is None else pl.List(inner)
    if isinstance(one, pl.Struct) and isinstance(other, pl.Struct):
        fields = {field.name: as_dtype(field.dtype) for field in one.fields}
        for field in other.fields:
            met = common_type(fields.get(field.name, pl.Null()), as_dtype(field.dtype))
            if met is None:
                return None
            fields[field.name] = met
        return pl.Struct(fields)
    return None


def common_text(one: DType, other: DType) -> DType:
    """The same for columns whose values are text anyway, as in CSV: what agrees in nothing else is text."""
    numbers = one.is_numeric() and other.is_numeric()
    if numbers or isinstance(one, pl.Null) or isinstance(other, pl.Null):
        return common_type(one, other) or pl.String()
    return one if one == other else pl.String()


def common_columns(
    files: Mapping[str, Mapping[str, DType]], source: str, at: str, *, given: Iterable[str] = ()
) -> dict[str, DType]:
    """The columns of all files, those of the first in front. `files`: a name for people → its columns.

    `given`: columns whose type is settled otherwise, so that files may differ in them.

    Raises: DataError naming the column and two files in which its types conflict.
    """
    columns: dict[str, DType] = {}
    first: dict[str, str] = {}
    settled = set(given)
    for file, found in files.items():
        for name, dtype in found.items():
            met = common_type(columns.get(name, pl.Null()), dtype)
            if met is None and name not in settled:
                raise DataError(
                    f"source `{source}`: column `{name}` is {columns[name]} in `{first[name]}`, {dtype} in `{file}`",
                    at=at,
                    hint="write the files with one type for it, or make two sources of them",
                )
            if not isinstance(dtype, pl.Null):
                first.setdefault(name, file)
            columns[name] = met or columns[name]
    return columns


def common_texts(files: Iterable[Mapping[str, DType]]) -> dict[str, DType]:
    """The columns of CSV files that have the same ones."""
    first, *others = files
    return {
        name: reduce(common_text, (columns[name] for columns in others), dtype)
        for name, dtype in first.items()
    }


def fits(found: DType, dtype: DType) -> bool:
    """Whether a column may be read as another type, so that no value comes out as a different one unnoticed.

    Text is read as a time, but a date is none: which moment of the day was meant is nothing to guess.
    """
    if isinstance(found, pl.String) and isinstance(dtype, pl.Datetime):
        return True
    if isinstance(found, pl.Date) and isinstance(dtype, pl.Datetime):
        return False
    if isinstance(found, pl.Struct) and isinstance(dtype, pl.Struct):
        known = {field.name: as_dtype(field.dtype) for field in dtype.fields}
        return all(f.name in known and fits(as_dtype(f.dtype), known[f.name]) for f in found.fields)
    return castable(found, dtype)


def check_fits(name: str, found: DType, dtype: DType, source: str, at: str) -> None:
    """Raises: DataError if values of a column cannot be read as the type that its group has for it."""
    if not fits(found, dtype):
        raise DataError(
            f"source `{source}`: column `{name}` is {found}, its group has it as {dtype_text(dtype)}",
            at=at,
            hint="mend the source, or apply again to take over the new type; `gnomon plan` tells what that changes",
        )
