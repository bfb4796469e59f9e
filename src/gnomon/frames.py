"""Frames in and out: whatever a user has becomes a Polars frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import polars as pl

from gnomon.errors import DataError, type_of
from gnomon.time import instant, to_datetime


def to_polars(frame: Any, what: str = "frame") -> pl.DataFrame:
    """A Polars frame of anything Arrow-capable (pandas, pyarrow, DuckDB, Polars), a dict of lists, or a list
    of dicts.

    Raises: DataError naming `what`.
    """
    if isinstance(frame, pl.DataFrame):
        return frame
    if isinstance(frame, pl.LazyFrame):
        return frame.collect()
    try:
        if isinstance(frame, Mapping):
            return pl.DataFrame({name: _column(values) for name, values in frame.items()}, strict=True)
        if isinstance(frame, Sequence) and not isinstance(frame, str):
            return _from_rows(frame, what)
        if hasattr(frame, "to_arrow_table"):  # a DuckDB relation
            frame = frame.to_arrow_table()
        if hasattr(frame, "__arrow_c_stream__"):
            return pl.DataFrame(frame)
        if type(frame).__module__.partition(".")[0] == "pandas":
            return pl.from_pandas(frame)
    except (pl.exceptions.PolarsError, TypeError, ValueError) as error:
        raise DataError(f"the {what} cannot be read as a table: {error}") from None
    raise DataError(
        f"the {what} cannot be {type_of(frame)}",
        hint="give a Polars, pandas or pyarrow table, a dict of lists or a list of dicts",
    )


def _column(values: Any) -> Any:
    if isinstance(values, list | tuple) and any(isinstance(v, datetime) and v.tzinfo for v in values):
        return _instants(values)
    return values


def _instants(values: Sequence[Any]) -> pl.Series:
    """Datetimes of several time zones, or both folds of one, in one UTC column."""
    moved = [None if v is None else to_datetime(instant(v)) for v in values]
    return pl.Series(moved, dtype=pl.Datetime("us", "UTC"))


def _from_rows(rows: Sequence[Any], what: str) -> pl.DataFrame:
    names: dict[str, None] = {}
    for i, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise DataError(f"row {i} of the {what} is no dict, but {type_of(row)}")
        names.update(dict.fromkeys(row))
    for i, row in enumerate(rows):
        missing = [name for name in names if name not in row]
        if missing:
            raise DataError(
                f"row {i} of the {what} has no `{missing[0]}`, which other rows have",
                hint="give every row the same fields; None where there is no value",
            )
    return pl.DataFrame({name: _column([row[name] for row in rows]) for name in names}, strict=True)
