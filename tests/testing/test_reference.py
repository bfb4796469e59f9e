"""What the case files do not reach of the reference: how it reads rows, and when two values are the same."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest

import gnomon as gn
from gnomon.errors import DataError, UsageError
from gnomon.testing.reference import OVERFLOW, historical, online, read, same, schema_of

USER = gn.Entity("user", keys={"user": pl.Int64})
STATE = gn.FeatureGroup("g", entity=USER, timestamp="at", features=[gn.Feature("v", pl.Float32)])
EVENTS = gn.FeatureGroup(
    "e", entity=USER, timestamp="at", schema={"x": pl.Int64}, features=[gn.sum("x"), gn.count(default=5)]
)


def at(second: int) -> datetime:
    return datetime.fromtimestamp(second, UTC)


def test_values_have_the_types_of_their_columns() -> None:
    (row,) = historical(STATE, [{"user": 1, "at": at(1), "v": 0.1}], [{"user": 1, "event_timestamp": at(2)}])
    assert row == {"v": 0.10000000149011612}


def test_types_that_are_not_declared_are_found_in_the_rows() -> None:
    rows = [{"user": 1, "at": at(1), "v": 1.0, "other": None}, {"user": 1, "at": at(1), "other": "text"}]
    assert schema_of(STATE, rows) == {
        "user": pl.Int64(),
        "at": pl.Datetime("us", "UTC"),
        "v": pl.Float32(),
        "other": pl.String(),
    }


def test_a_batch_is_what_equal_rows_are_counted_in() -> None:
    row = {"user": 1, "at": at(1), "x": 1}
    assert len(read(EVENTS, [[row, row]])) == 2
    assert len(read(EVENTS, [[row], [row]])) == 1
    assert len(read(EVENTS, [[row, row], [row, row, row]])) == 3


def test_rows_without_key_or_time_are_not_read() -> None:
    assert read(EVENTS, [[{"at": at(1), "x": 1}, {"user": 1, "x": 1}]]) == []


def test_an_overflow_is_marked_in_training_and_an_error_online() -> None:
    rows = [{"user": 1, "at": at(1), "x": 2**63 - 1}, {"user": 1, "at": at(2), "x": 1}]
    (row,) = historical(EVENTS, rows, [{"user": 1, "event_timestamp": at(3)}])
    assert row == {"x_sum": OVERFLOW, "count": 2}
    (answer,) = online(EVENTS, rows, [{"user": 1}], at(3))
    assert answer.values == {"x_sum": None, "count": 2}
    assert answer.statuses == {"x_sum": "ERROR", "count": "PRESENT"}


def test_only_the_features_asked_for_are_told() -> None:
    assert historical(EVENTS, [], [{"user": 1, "event_timestamp": at(3)}], features=["count"]) == [
        {"count": 0}
    ]


def test_a_question_without_time_or_key_is_an_error() -> None:
    with pytest.raises(DataError, match="1"):
        historical(EVENTS, [], [{"user": 1}])
    with pytest.raises(UsageError, match="row 0"):
        online(EVENTS, [], [{"user": None}], at(3))


@pytest.mark.parametrize(
    ("a", "b"), [(math.nan, math.nan), ([1, None], [1, None]), ({"a": -0.0}, {"a": -0.0}), ((1,), [1])]
)
def test_same(a: Any, b: Any) -> None:
    assert same(a, b)


@pytest.mark.parametrize(
    ("a", "b"), [(0.0, -0.0), (1, 1.0), (1, True), ([1], [1, 1]), (None, 0), ({"a": 1}, {"b": 1}), ("1", 1)]
)
def test_not_the_same(a: Any, b: Any) -> None:
    assert not same(a, b)
