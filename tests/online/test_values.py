"""Values of every type go into a lane and come out, as columns and as Python values."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest

from gnomon.columns import kind_of
from gnomon.online.arrays import VarColumn
from gnomon.online.values import decode, encode, reader

BERLIN = "Europe/Berlin"


def physical(values: list[int | None], dtype: pl.DataType) -> pl.Series:
    return pl.Series(values, dtype=pl.Int64).cast(dtype)


COLUMNS = [
    *(pl.Series([1, None, -5, 127], dtype=dtype) for dtype in (pl.Int8, pl.Int16, pl.Int32, pl.Int64)),
    *(pl.Series([1, None, 5, 255], dtype=dtype) for dtype in (pl.UInt8, pl.UInt16, pl.UInt32)),
    pl.Series([2**64 - 1, 0, None], dtype=pl.UInt64),
    pl.Series([True, None, False]),
    pl.Series([1.5, None, -0.0, float("nan"), float("inf"), 5e-324]),
    pl.Series([1.1, None, -0.0, float("nan"), float("-inf")], dtype=pl.Float32),
    pl.Series(["a", None, "", "é中😀"]),
    pl.Series([b"a", None, b"", b"\xff\x00"]),
    pl.Series([date(1, 1, 1), None, date(1969, 12, 31), date(9999, 12, 31)]),
    pl.Series([time(1, 2, 3, 4), None, time(23, 59, 59, 999_999)]),
    physical([-5, None, 1_577_836_800_000_000], pl.Datetime("us")),
    physical([-15, None, 1234], pl.Datetime("ms", "UTC")),
    physical([-1_500_000_001, None, 123_456_789_123], pl.Datetime("ns", BERLIN)),
    pl.Series([timedelta(seconds=-1), None], dtype=pl.Duration("us")),
    physical([-1001, None, 1], pl.Duration("ns")),
    physical([-1001, None, 1], pl.Duration("ms")),
    pl.Series(
        [Decimal("1.50"), None, Decimal("-0.01"), Decimal("0.00"), Decimal(10**36 - 1)],
        dtype=pl.Decimal(38, 2),
    ),
    pl.Series([Decimal(10**38 - 1), Decimal(1 - 10**38), Decimal(2**64)], dtype=pl.Decimal(38, 0)),
    pl.Series([[1, None], None, []], dtype=pl.List(pl.Int64)),
    pl.Series([["a", None], None, [], [""]], dtype=pl.List(pl.String)),
    pl.Series([[date(2020, 1, 1), None], None], dtype=pl.List(pl.Date)),
    pl.Series([[b"\xff", None]], dtype=pl.List(pl.Binary)),
    pl.Series([[2**63, None]], dtype=pl.List(pl.UInt64)),
    pl.Series([[1.5, 2.5], None, [float("nan"), -0.0]], dtype=pl.Array(pl.Float32, 2)),
    pl.Series([[[1, 2], [3, None]], None], dtype=pl.Array(pl.Int64, (2, 2))),
    pl.Series(
        [
            {
                "a": Decimal("1.20"),
                "b": datetime(2020, 1, 1, tzinfo=UTC),
                "c": [time(1), None],
                "d": {"x": timedelta(1)},
            },
            {"a": None, "b": None, "c": None, "d": None},
            None,
        ],
        dtype=pl.Struct(
            {
                "a": pl.Decimal(10, 2),
                "b": pl.Datetime("us", BERLIN),
                "c": pl.List(pl.Time),
                "d": pl.Struct({"x": pl.Duration("us")}),
            }
        ),
    ),
    pl.Series([None, None], dtype=pl.Int64),
    pl.Series([None, None], dtype=pl.String),
    pl.Series([None], dtype=pl.Null),
    pl.Series([], dtype=pl.String),
    pl.Series([], dtype=pl.Decimal(10, 2)),
]
by_type = pytest.mark.parametrize("column", COLUMNS, ids=lambda column: str(column.dtype))


@by_type
def test_a_column_comes_back_unchanged(column: pl.Series) -> None:
    again = decode(encode(column), column.dtype)
    assert again.dtype == column.dtype
    assert again.equals(column, null_equal=True)
    # `equals` takes 0.0 for −0.0.
    assert repr(again.to_list()) == repr(column.to_list())


@by_type
def test_values_are_read_as_polars_gives_them(column: pl.Series) -> None:
    lane, read = encode(column), reader(column.dtype)
    raw: list[Any]
    if isinstance(lane, VarColumn):
        raw = lane.to_list()
    elif kind_of(column.dtype) == "wide":
        raw = [(high << 64) + (low & (2**64 - 1)) for high, low in lane.pairs.tolist()]
    elif kind_of(column.dtype) == "float":
        raw = lane.words.view(np.float64).tolist()
    else:
        raw = lane.words.tolist()
    valid = lane.valid.tolist() if lane.valid.size else [1] * len(raw)
    values = [read(item) if ok else None for item, ok in zip(raw, valid, strict=True)]
    assert repr(values) == repr(column.to_list())


def test_times_with_a_zone_are_told_in_it() -> None:
    read = reader(pl.Datetime("us", BERLIN))
    assert read(0) == datetime(1970, 1, 1, 1, tzinfo=ZoneInfo(BERLIN))
    assert read(0).tzinfo == ZoneInfo(BERLIN)


@by_type
def test_lanes_can_be_written(column: pl.Series) -> None:
    """Kernels are compiled for writable arrays; a view of Polars' memory would compile each of them once
    more."""
    lane = encode(column)
    arrays = (
        [lane.offsets, lane.data, lane.valid] if isinstance(lane, VarColumn) else [lane.words, lane.valid]
    )
    assert all(array.flags.writeable for array in arrays)
