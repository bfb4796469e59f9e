"""In which type columns of several files are read, and which values would come out as others."""

from __future__ import annotations

import polars as pl
import pytest

from gnomon.errors import DataError
from gnomon.sources.agree import check_fits, common_columns, common_text, common_texts, common_type, fits

UTC = pl.Datetime("us", "UTC")


@pytest.mark.parametrize(
    ("one", "other", "met"),
    [
        (pl.Int32(), pl.Int64(), pl.Int64()),
        (pl.UInt8(), pl.UInt32(), pl.UInt32()),
        (pl.UInt8(), pl.Int8(), pl.Int16()),
        (pl.UInt32(), pl.Int8(), pl.Int64()),
        (pl.UInt64(), pl.Int64(), None),
        (pl.Float32(), pl.Float64(), pl.Float64()),
        (pl.Int64(), pl.Float64(), pl.Float64()),
        (pl.Decimal(10, 2), pl.Decimal(12, 4), pl.Decimal(38, 4)),
        (pl.Decimal(10, 2), pl.Float64(), None),
        (pl.Datetime("us"), pl.Datetime("ns"), pl.Datetime("us")),
        (pl.Datetime("ms", "Europe/Paris"), pl.Datetime("ms"), pl.Datetime("ms", "UTC")),
        (pl.Datetime("us"), pl.Date(), None),
        (pl.Duration("ns"), pl.Duration("ms"), pl.Duration("us")),
        (pl.Categorical(), pl.String(), pl.String()),
        (pl.String(), pl.Int64(), None),
        (pl.Boolean(), pl.Int64(), None),
        (pl.Null(), pl.String(), pl.String()),
        (pl.List(pl.Int8()), pl.List(pl.Int64()), pl.List(pl.Int64())),
        (pl.List(pl.Int8()), pl.List(pl.String()), None),
        (
            pl.Struct({"a": pl.Int8()}),
            pl.Struct({"b": pl.String(), "a": pl.Int16()}),
            pl.Struct({"a": pl.Int16(), "b": pl.String()}),
        ),
        (pl.Struct({"a": pl.Int8()}), pl.Struct({"a": pl.String()}), None),
    ],
)
def test_two_types_meet_in_one_that_holds_the_values_of_both(one, other, met):
    assert common_type(one, other) == met
    turned = common_type(other, one)
    if isinstance(met, pl.Struct):
        assert dict(turned.to_schema()) == dict(met.to_schema())
    else:
        assert turned == met


def test_text_that_agrees_in_nothing_else_is_text():
    assert common_text(pl.Int64(), pl.Float64()) == pl.Float64()
    assert common_text(pl.Int64(), pl.String()) == pl.String()
    assert common_text(pl.Date(), pl.Datetime("us")) == pl.String()
    assert common_text(pl.Null(), pl.Date()) == pl.Date()
    assert common_texts([{"a": pl.Int64()}, {"a": pl.Null()}, {"a": pl.Float64()}]) == {"a": pl.Float64()}


def test_columns_of_all_files_are_there_those_of_the_first_in_front():
    found = common_columns(
        {"1": {"k": pl.Int32(), "n": pl.Null()}, "2": {"x": pl.String(), "k": pl.Int64()}}, "s", "here"
    )
    assert list(found.items()) == [("k", pl.Int64()), ("n", pl.Null()), ("x", pl.String())]


def test_a_conflict_names_the_column_and_the_two_files():
    files = {"1": {"x": pl.Null()}, "2": {"x": pl.Int64()}, "3": {"x": pl.String()}}
    with pytest.raises(DataError, match="column `x` is Int64 in `2`, String in `3`") as caught:
        common_columns(files, "s", "here")
    assert (caught.value.at, bool(caught.value.hint)) == ("here", True)
    assert list(common_columns(files, "s", "here", given=["x"])) == ["x"]


@pytest.mark.parametrize(
    ("found", "dtype", "may"),
    [
        (pl.Int64(), pl.Float64(), True),
        (pl.Int64(), pl.Int32(), True),
        (pl.Float64(), pl.Int64(), False),
        (pl.String(), UTC, True),
        (pl.Date(), UTC, False),
        (pl.Null(), pl.List(pl.Int64()), True),
        (pl.Int64(), pl.Null(), False),
        (pl.Struct({"a": pl.Int8()}), pl.Struct({"a": pl.Int64(), "b": pl.String()}), True),
        (pl.Struct({"a": pl.Int8(), "c": pl.Int8()}), pl.Struct({"a": pl.Int64()}), False),
    ],
)
def test_a_column_is_read_as_another_type_if_no_value_changes_unnoticed(found, dtype, may):
    assert fits(found, dtype) is may


def test_a_type_that_does_not_fit_is_told_with_both_and_a_way_out():
    with pytest.raises(DataError, match="column `x` is Float64, its group has it as Int64") as caught:
        check_fits("x", pl.Float64(), pl.Int64(), "s", "a.csv")
    assert caught.value.at == "a.csv"
    assert "apply again" in caught.value.hint
