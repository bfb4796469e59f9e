"""Values of every type go through JSON and come back with their bits."""

from __future__ import annotations

import math
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import msgspec
import polars as pl
import pytest

from gnomon import interchange as values
from gnomon.errors import DataError
from gnomon.types import as_dtype

CASES = [
    (pl.Int64(), 2**63 - 1, 2**63 - 1),
    (pl.UInt64(), 2**64 - 1, 2**64 - 1),
    (pl.Boolean(), True, True),
    (pl.String(), "a\0é", "a\0é"),
    (pl.Float64(), 0.1, 0.1),
    (pl.Float64(), -0.0, -0.0),
    (pl.Float64(), 5e-324, 5e-324),
    (pl.Float64(), math.inf, "Infinity"),
    (pl.Float64(), -math.inf, "-Infinity"),
    (pl.Float64(), math.nan, "NaN"),
    (pl.Decimal(38, 2), Decimal("12.50"), "12.50"),
    (pl.Decimal(38, 10), Decimal("0E-10"), "0.0000000000"),
    (
        pl.Datetime("us", "UTC"),
        datetime(2026, 1, 31, 12, 0, 0, 1, ZoneInfo("UTC")),
        "2026-01-31T12:00:00.000001Z",
    ),
    (
        pl.Datetime("us", "America/New_York"),
        datetime(2026, 1, 31, 12, 0, tzinfo=ZoneInfo("America/New_York")),
        "2026-01-31T17:00:00.000000Z",
    ),
    (pl.Datetime("us"), datetime.min, "0001-01-01T00:00:00.000000Z"),
    (pl.Date(), date(2026, 1, 31), "2026-01-31"),
    (pl.Time(), time(1, 2, 3), "01:02:03.000000"),
    (pl.Duration("us"), timedelta(days=-1, microseconds=1), -86_399_999_999),
    (pl.Binary(), b"\0\xff", "AP8="),
    (pl.List(pl.Int64), [1, None], [1, None]),
    (pl.List(pl.Float64), [1.5, None, math.inf], [1.5, None, "Infinity"]),
    (
        pl.List(pl.Struct({"key": pl.Date, "value": pl.Float64})),
        [{"key": date(2026, 1, 1), "value": math.nan}, {"key": None, "value": None}],
        [{"key": "2026-01-01", "value": "NaN"}, {"key": None, "value": None}],
    ),
]


@pytest.mark.parametrize(("dtype", "value", "want"), CASES)
def test_value_stands_in_json_as_documented_and_comes_back(dtype, value, want):
    dtype = as_dtype(dtype)
    write = values.float_text if values.is_float(dtype) else values.writer(dtype)
    stands = value if write is None else write(value)
    assert stands == want
    back = msgspec.json.decode(msgspec.json.encode(stands))
    read = values.reader(dtype)
    made = back if read is None else read(back)
    assert repr(made) == repr(value)  # tells -0.0 from 0.0, and one NaN is as the other


@pytest.mark.parametrize(
    ("dtype", "text", "says"),
    [
        (pl.Datetime("us", "UTC"), "soon", "2026-01-31"),
        (pl.Datetime("us", "America/New_York"), "0001-01-01T00:00:00Z", "outside the years 1 to 9999"),
        (pl.Datetime("us", "UTC"), "2026-01-31T12:00:00.0000001Z", "to the microsecond"),
        (pl.Date(), "2026-02-30", "day"),
        (pl.Decimal(38, 2), "much", "as text"),
        (pl.Binary(), "#", "base64"),
        (pl.Duration("us"), 10**30, "microseconds"),
    ],
)
def test_text_that_is_no_value_is_told_with_its_row(dtype, text, says):
    with pytest.raises(DataError) as told:
        values.read_column([None, text], values.reader(dtype), "the key column `k`", dtype)
    assert told.value.at == "row 1"
    assert says in told.value.hint


def test_values_of_another_kind_pass_and_are_refused_where_they_are_used():
    assert values.reader(pl.Datetime("us"))(5) == 5
    assert values.reader(pl.Float64())("x") == "x"
    assert values.reader(pl.List(pl.Date()))("x") == "x"
