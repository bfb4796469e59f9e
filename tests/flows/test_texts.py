"""A text of the command line becomes a value of the declared type, or an error that tells how to write it."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import polars as pl
import pytest

from gnomon.errors import UsageError
from gnomon.flows.texts import read_value


@pytest.mark.parametrize(
    ("text", "dtype", "value"),
    [
        ("007", pl.String(), "007"),
        ("", pl.String(), ""),
        ("-7", pl.Int64(), -7),
        ("255", pl.UInt8(), 255),
        ("3.5", pl.Float64(), 3.5),
        ("inf", pl.Float64(), float("inf")),
        ("TRUE", pl.Boolean(), True),
        ("false", pl.Boolean(), False),
        ("2026-01-31", pl.Date(), date(2026, 1, 31)),
        ("12:30", pl.Time(), time(12, 30)),
        ("2026-01-31T13:00:00+01:00", pl.Datetime("us", "UTC"), datetime(2026, 1, 31, 12, tzinfo=UTC)),
        ("2026-01-31T13:00:00+01:00", pl.Datetime("us"), datetime(2026, 1, 31, 12)),  # noqa: DTZ001
        ("90s", pl.Duration("us"), timedelta(seconds=90)),
        ("1.25", pl.Decimal(10, 2), Decimal("1.25")),
        ("SGk=", pl.Binary(), b"Hi"),
    ],
)
def test_value_is_read_by_its_type(text, dtype, value):
    assert read_value(text, dtype, "x") == value


def test_lists_are_read_as_json():
    assert read_value("[1, 2]", pl.List(pl.Int64), "x").to_list() == [1, 2]


@pytest.mark.parametrize(
    ("text", "dtype"),
    [
        ("1.5", pl.Int64()),
        ("256", pl.UInt8()),
        ("9223372036854775808", pl.Int64()),
        ("x", pl.Float64()),
        ("yes", pl.Boolean()),
        ("yesterday", pl.Date()),
        ("noon", pl.Datetime("us", "UTC")),
        ("1 month", pl.Duration("us")),
        ("x", pl.Decimal(10, 2)),
        ("?", pl.Binary()),
        ("[1", pl.List(pl.Int64)),
        ("x", pl.Null()),
    ],
)
def test_wrong_text_names_column_type_and_how_to_write_it(text, dtype):
    with pytest.raises(UsageError, match="`age` is ") as error:
        read_value(text, dtype, "age")
    assert f"`{text}` is no such value" in error.value.what
    assert error.value.hint.startswith("write it as ")
