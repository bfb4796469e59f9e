"""Types: what users may write, their canonical text, and what a column of one can be used for."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnomon.errors import UsageError
from gnomon.types import (
    as_dtype,
    dtype_text,
    finer_than_micros,
    is_instant,
    is_nested,
    is_ordered,
    parse_dtype,
)


@pytest.mark.parametrize(
    ("given", "want"),
    [
        (int, pl.Int64()),
        (float, pl.Float64()),
        (str, pl.String()),
        (bool, pl.Boolean()),
        (bytes, pl.Binary()),
        (datetime, pl.Datetime("us", "UTC")),
        (date, pl.Date()),
        (time, pl.Time()),
        (timedelta, pl.Duration("us")),
        (Decimal, pl.Decimal(38, 2)),
        (pl.Int8, pl.Int8()),
        (pl.Datetime, pl.Datetime("us")),
        (pl.Duration, pl.Duration("us")),
        (pl.Decimal, pl.Decimal(38, 2)),
        (pl.Categorical, pl.String()),
        (pl.Enum(["a"]), pl.String()),
        ("Datetime(us, UTC)", pl.Datetime("us", "UTC")),
        (pl.List(pl.Categorical), pl.List(pl.String())),
        (pl.List(pl.Datetime), pl.List(pl.Datetime("us"))),
    ],
)
def test_polars_types_python_types_and_text_name_a_type(given, want):
    assert as_dtype(given) == want


@pytest.mark.parametrize(
    "given", [pl.List(pl.Time), pl.Array(pl.Time, 2), pl.Struct({"a": pl.List(pl.Time)})], ids=str
)
def test_inner_types_become_instances(given):
    found = as_dtype(given)
    while is_nested(found):
        found = found.fields[0].dtype if isinstance(found, pl.Struct) else found.inner
    assert isinstance(found, pl.Time)


@pytest.mark.parametrize(
    "given",
    [
        pl.Object, pl.Unknown, pl.Int128, pl.List(pl.Int128), pl.Struct({"a": pl.Object}), None, 5, list, complex,
        "Int65", "",
    ],
    ids=str,
)  # fmt: skip
def test_what_is_no_type_is_refused_with_a_hint(given):
    with pytest.raises(UsageError, match="is not a type") as caught:
        as_dtype(given)
    assert caught.value.hint


@pytest.mark.parametrize("given", [pl.List, pl.Array, pl.Struct])
def test_a_nested_type_needs_its_inner_type(given):
    with pytest.raises(UsageError, match="needs its inner type"):
        as_dtype(given)


@pytest.mark.parametrize(
    ("given", "want"),
    [
        (pl.Int64(), "Int64"),
        (pl.Datetime("us", "UTC"), "Datetime(us, UTC)"),
        (pl.Datetime("ns"), "Datetime(ns)"),
        (pl.Decimal(10, 2), "Decimal(10, 2)"),
        (pl.List(pl.Float64), "List(Float64)"),
        (pl.Array(pl.Float32, 3), "Array(Float32, 3)"),
        (pl.Array(pl.Int8, (2, 3)), "Array(Array(Int8, 3), 2)"),
        (pl.Struct({"a": pl.Int64, "b c": pl.String}), "Struct(a: Int64, b c: String)"),
        (pl.Struct({"a, b": pl.Int64, '"': pl.Int8}), 'Struct("a, b": Int64, "\\"": Int8)'),
    ],
    ids=str,
)
def test_types_have_one_text(given, want):
    assert dtype_text(given) == want
    assert parse_dtype(want) == given


SIMPLE = st.sampled_from(
    [
        pl.Int8(), pl.Int64(), pl.UInt64(), pl.Float32(), pl.Boolean(), pl.String(), pl.Binary(), pl.Date(), pl.Time(),
        pl.Null(), pl.Datetime("ms"), pl.Datetime("ns", "Europe/Berlin"), pl.Duration("us"), pl.Decimal(38, 0),
    ]
)  # fmt: skip
TYPES = st.recursive(
    SIMPLE,
    lambda inner: st.one_of(
        inner.map(pl.List),
        st.builds(pl.Array, inner, st.integers(1, 9)),
        st.dictionaries(st.text(min_size=1, max_size=5), inner, max_size=3).map(pl.Struct),
    ),
    max_leaves=5,
)


@given(TYPES)
def test_text_is_read_back_whatever_the_fields_are_called(dtype):
    assert parse_dtype(dtype_text(dtype)) == dtype
    assert dtype_text(parse_dtype(dtype_text(dtype))) == dtype_text(dtype)


@pytest.mark.parametrize(
    "text",
    [
        "Datetime(sec)", "Datetime(us, UTC, x)", "Duration(h)", "Decimal(a, b)", "Decimal(3)", "Array(Int64)",
        "Array(Int64, x)", "Struct(a)", 'Struct("a" Int64)', "List()", "List(Int64, Int64)", "List(Int65)",
        "Map(Int64)", "List(Int64",
    ],
)  # fmt: skip
def test_text_that_names_no_type_is_refused(text):
    with pytest.raises(UsageError, match="is not a type"):
        parse_dtype(text)


def test_times_are_datetimes_dates_and_text():
    assert all(is_instant(d) for d in (pl.Datetime("ns"), pl.Datetime("us", "UTC"), pl.Date(), pl.String()))
    assert not any(is_instant(d) for d in (pl.Int64(), pl.Time(), pl.Duration("us"), pl.Null()))


def test_only_single_values_have_an_order():
    assert all(is_ordered(d) for d in (pl.String(), pl.Boolean(), pl.Decimal(5, 2), pl.Binary()))
    assert not any(is_ordered(d) for d in (pl.List(pl.Int8), pl.Struct({"a": pl.Int8}), pl.Null()))


def test_times_finer_than_microseconds_are_found_at_any_depth():
    fine = as_dtype(pl.List(pl.Struct({"a": pl.Array(pl.Datetime("ns"), 2)})))
    assert finer_than_micros(fine)
    assert finer_than_micros(as_dtype(pl.List(pl.Time)))
    assert not finer_than_micros(as_dtype(pl.Struct({"a": pl.Datetime("ms"), "b": pl.Duration("us")})))
