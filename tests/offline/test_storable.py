"""Every type has one that tables can hold. That values come back is proved by `OfflineStoreTests`."""

from __future__ import annotations

import polars as pl
import pytest

from gnomon.offline.storable import restore, storable, store


@pytest.mark.parametrize(
    ("dtype", "want"),
    [
        (pl.Int16(), pl.Int16()),
        (pl.Float32(), pl.Float32()),
        (pl.Decimal(10, 2), pl.Decimal(10, 2)),
        (pl.Date(), pl.Date()),
        (pl.UInt8(), pl.Int64()),
        (pl.UInt64(), pl.Int64()),
        (pl.Time(), pl.Int64()),
        (pl.Duration("ms"), pl.Int64()),
        (pl.Datetime("ns", "UTC"), pl.Int64()),
        (pl.Datetime("ms"), pl.Datetime("us")),
        (pl.Datetime("us", "Europe/Berlin"), pl.Datetime("us", "UTC")),
        (pl.Categorical(), pl.String()),
        (pl.Null(), pl.Boolean()),
        (pl.List(pl.UInt64), pl.List(pl.Int64())),
        (pl.Array(pl.Time, 3), pl.List(pl.Int64())),
        (pl.Struct({"a": pl.List(pl.Duration("us"))}), pl.Struct({"a": pl.List(pl.Int64)})),
    ],
    ids=str,
)
def test_types_that_tables_lack_have_another(dtype, want):
    assert storable(dtype) == want


@pytest.mark.parametrize(
    "dtype", [pl.List(pl.UInt64), pl.Struct({"a": pl.Time}), pl.Array(pl.Duration("ms"), 1)]
)
def test_a_stored_column_is_of_that_type_and_comes_back(dtype):
    given = pl.DataFrame({"v": pl.Series([None], dtype=dtype)})
    stored = given.select(v=store(pl.col("v"), dtype))
    assert stored.schema["v"] == storable(dtype)
    assert stored.select(v=restore(pl.col("v"), dtype)).equals(given)


def test_columns_that_tables_hold_are_left_alone():
    column = pl.col("v")
    assert store(column, pl.Int64()) is column
    assert restore(column, pl.List(pl.String())) is column
