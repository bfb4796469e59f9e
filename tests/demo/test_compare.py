"""Comparing bits: equal is equal, and nothing is rounded away."""

import math

import polars as pl
from polars.testing import assert_series_equal

from gnomon.demo.compare import _same, compare


def test_equal_tables_do_not_differ():
    frame = pl.DataFrame({"a": [1.5, None, math.nan], "b": ["x", None, "y"], "c": [[1], [], None]})
    result = compare(frame, frame)
    assert (result.values, result.differ, result.first) == (9, 0, None)


def test_the_last_bit_counts():
    a = pl.DataFrame({"a": [0.1 + 0.2]})
    b = pl.DataFrame({"a": [0.3]})
    result = compare(a, b)
    assert result.differ == 1
    assert "0.30000000000000004" in (result.first or "")


def test_negative_zero_is_not_zero():
    assert_series_equal(_same(pl.Series([-0.0]), pl.Series([0.0])), pl.Series([False]))


def test_null_is_no_value():
    assert compare(pl.DataFrame({"a": [None]}, schema={"a": pl.Int64}), pl.DataFrame({"a": [0]})).differ == 1


def test_an_answer_that_could_not_be_given_differs_even_from_null():
    online = pl.DataFrame(
        {"a": [None, None], "a:status": ["ERROR", "NULL"]}, schema_overrides={"a": pl.Int64}
    )
    offline = pl.DataFrame({"a": [None, None]}, schema={"a": pl.Int64})
    result = compare(online, offline)
    assert result.differ == 1
    assert "ERROR" in (result.first or "")
