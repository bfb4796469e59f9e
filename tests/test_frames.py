"""Whatever a user has becomes a Polars frame, or an error that names it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from gnomon.errors import DataError
from gnomon.frames import to_polars

FRAME = pl.DataFrame({"k": [1, 2, None], "x": ["a", None, "c"]})
NEW_YORK = ZoneInfo("America/New_York")


def test_a_polars_frame_is_itself():
    assert to_polars(FRAME) is FRAME


@pytest.mark.parametrize(
    "given",
    [
        FRAME.lazy(),
        FRAME.to_arrow(),
        FRAME.to_dict(as_series=False),
        FRAME.to_dicts(),
        tuple(FRAME.to_dicts()),
        pa.RecordBatchReader.from_batches(FRAME.to_arrow().schema, FRAME.to_arrow().to_batches()),
        pd.DataFrame({"k": pd.array([1, 2, None], "Int64"), "x": ["a", None, "c"]}),
    ],
    ids=["lazy", "pyarrow", "columns", "rows", "tuple", "stream", "pandas"],
)
def test_everything_with_columns_becomes_the_same_frame(given):
    assert to_polars(given).equals(FRAME)


def test_a_duckdb_relation_is_read():
    with duckdb.connect() as connection:
        assert to_polars(connection.sql("SELECT 1::BIGINT AS k, 'a' AS x")).to_dicts() == [{"k": 1, "x": "a"}]


def test_python_integers_beyond_the_first_rows_type_are_no_other_number():
    with pytest.raises(DataError, match="the spine cannot be read as a table"):
        to_polars({"k": [1, "a"]}, "spine")
    with pytest.raises(DataError, match="the spine cannot be read as a table"):
        to_polars([{"k": 1}, {"k": "a"}], "spine")


def test_times_of_several_zones_stand_in_one_utc_column():
    noon = datetime(2026, 1, 31, 12, tzinfo=UTC)
    given = [noon, noon.astimezone(NEW_YORK), None, noon.replace(tzinfo=None)]
    column = to_polars({"t": given})["t"]
    assert column.dtype == pl.Datetime("us", "UTC")
    assert column.to_list() == [noon, noon, None, noon]


def test_both_folds_of_an_hour_are_two_instants():
    fold = datetime(2026, 11, 1, 1, 30, tzinfo=NEW_YORK)
    rows = [{"t": fold}, {"t": fold.replace(fold=1)}]
    first, second = to_polars(rows)["t"]
    assert (first, second) == (
        datetime(2026, 11, 1, 5, 30, tzinfo=UTC),
        datetime(2026, 11, 1, 6, 30, tzinfo=UTC),
    )


def test_a_row_that_lacks_a_field_is_named():
    with pytest.raises(DataError, match="row 1 of the entities has no `x`") as caught:
        to_polars([{"k": 1, "x": 1}, {"k": 2}], "entities")
    assert "None where there is no value" in caught.value.hint


def test_a_row_that_is_no_dict_is_named():
    with pytest.raises(DataError, match="row 1 of the frame is no dict, but an int"):
        to_polars([{"k": 1}, 5])


def test_columns_of_two_lengths_are_refused():
    with pytest.raises(DataError, match="cannot be read as a table"):
        to_polars({"a": [1, 2], "b": [1]})


@pytest.mark.parametrize("given", [None, 5, "k=1", timedelta(1), object()])
def test_what_has_no_columns_is_refused_with_a_hint(given):
    with pytest.raises(DataError, match="the spine cannot be a") as caught:
        to_polars(given, "spine")
    assert "Polars, pandas or pyarrow" in caught.value.hint


def test_no_rows_are_a_frame_without_columns():
    assert to_polars([]).shape == (0, 0)


def test_the_callers_data_is_not_changed():
    rows = [{"t": datetime(2026, 1, 1, tzinfo=NEW_YORK)}]
    to_polars(rows)
    assert rows == [{"t": datetime(2026, 1, 1, tzinfo=NEW_YORK)}]
