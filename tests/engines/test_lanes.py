"""Lanes: codes that keep order and equality of every type, and results back to columns."""

from __future__ import annotations

import math
from datetime import date, datetime, time, timedelta
from decimal import Decimal

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnomon.engines.lanes import Lane, gather, masked, series

ORDERED = [
    (pl.Int8(), [-128, -1, 0, 127]),
    (pl.Int64(), [-(2**63), 0, 2**63 - 1]),
    (pl.Float64(), [-math.inf, -1.0, -5e-324, -0.0, 0.0, 5e-324, 1.0, math.inf]),
    (pl.Float32(), [-1.5, -0.0, 0.0, 0.10000000149011612]),
    (pl.Boolean(), [False, True]),
    (pl.String(), ["", "A", "B", "a", "ab", "b", "é", "\U0001f600"]),
    (pl.Binary(), [b"", b"\0", b"a", b"\xff"]),
    (pl.Date(), [date(1969, 12, 31), date(1970, 1, 1)]),
    (pl.Time(), [time(0), time(12), time(23, 59)]),
    (pl.Duration("us"), [timedelta(-1), timedelta(0), timedelta(1)]),
    (pl.Datetime("ns"), [datetime.fromisoformat("1969-12-31"), datetime.fromisoformat("2026-01-31")]),
    (pl.Decimal(38, 2), [Decimal("-9" * 1 + "9" * 34), Decimal("-0.01"), Decimal("0.01"), Decimal("9" * 36)]),
]


@pytest.mark.parametrize(
    ("dtype", "values"), ORDERED, ids=lambda v: str(v) if isinstance(v, pl.DataType) else ""
)
def test_codes_order_as_the_values(dtype, values):
    shuffled = [values[i] for i in np.random.default_rng(1).permutation(len(values))]
    column = pl.Series([*shuffled, None, *shuffled], dtype=dtype)
    lane = Lane(column)
    codes = dict(zip(column.to_list() if not dtype.is_float() else map(repr, column), lane.code, strict=True))
    in_order = [
        codes[v if not dtype.is_float() else repr(v)] for v in column.drop_nulls().to_list()[: len(values)]
    ]
    ranks = sorted(range(len(values)), key=lambda i: in_order[i])
    assert [shuffled[i] for i in ranks] == values
    assert len(set(in_order)) == len(values)
    assert lane.valid.tolist() == [1] * len(values) + [0] + [1] * len(values)


def test_equal_values_have_one_code():
    lane = Lane(pl.Series(["b", "a", "b", "a"]))
    assert lane.code[0] == lane.code[2] != lane.code[1] == lane.code[3]


@given(st.lists(st.sampled_from([0.0, -0.0, math.nan, 1.5, -1.5]), max_size=12))
def test_distinct_codes_are_dense_and_zero_has_no_sign(values):
    codes, n = Lane(pl.Series(values, dtype=pl.Float64)).distinct
    names = ["nan" if math.isnan(v) else v for v in values]
    assert len(set(codes.tolist())) == len(set(names))
    assert all((codes[i] == codes[j]) == (a == b) for i, a in enumerate(names) for j, b in enumerate(names))
    assert all(0 <= code < n for code in codes)


@given(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=12))
def test_distinct_codes_of_far_numbers_are_dense_too(values):
    codes, n = Lane(pl.Series(values, dtype=pl.Int64)).distinct
    assert all(0 <= code < n for code in codes)
    assert n <= 4 * len(values) + 1024
    assert len(set(codes.tolist())) == len(set(values))


def test_a_float_lane_says_so():
    assert Lane(pl.Series([1.0], dtype=pl.Float32)).floats
    assert not Lane(pl.Series([1])).floats


def test_nothing_valid_is_listed_where_everything_is():
    assert len(Lane(pl.Series([1, 2])).valid) == 0


def test_gathering_gives_null_for_no_row():
    column = pl.Series(["a", "b"])
    assert gather(column, np.array([1, -1, 0, 1])).to_list() == ["b", None, "a", "b"]
    assert gather(column, np.array([1, 0])).to_list() == ["b", "a"]
    assert gather(column, np.array([], np.int64)).to_list() == []
    assert gather(column.clear(), np.array([-1])).to_list() == [None]


def test_results_are_columns_of_their_type():
    ok = np.array([1, 0, 1], np.uint8)
    made = series("x", np.array([1, 2, 3]), ok, pl.Duration("us"))
    assert made.to_list() == [timedelta(microseconds=1), None, timedelta(microseconds=3)]
    assert (made.name, made.dtype) == ("x", pl.Duration("us"))
    assert series("x", np.array([1, 0, 1], np.uint8), ok, pl.Boolean()).to_list() == [True, None, True]


def test_a_mask_of_all_leaves_the_column():
    column = pl.Series("x", [1, 2])
    assert masked(column, np.array([1, 1], np.uint8)) is column
    assert masked(column, np.array([0, 1], np.uint8)).to_list() == [None, 2]
