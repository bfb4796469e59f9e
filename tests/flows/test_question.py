"""Entities, request values and times as people give them."""

from __future__ import annotations

from collections import OrderedDict, UserDict
from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from gnomon.errors import DataError, UsageError
from gnomon.flows.question import Needed, instants, key_columns
from gnomon.time import instant
from tests.flows.small import HOUR, T

KEYS = frozenset({"user", "shop"})
ROWS = [{"user": 1, "shop": "a"}, {"shop": "b", "user": 2}]
COLUMNS = {"user": [1, 2], "shop": ["a", "b"]}


@pytest.mark.parametrize(
    "entities",
    [
        ROWS,
        [OrderedDict(row) for row in ROWS],
        [UserDict(row) for row in ROWS],
        tuple(ROWS),
        COLUMNS,
        {"user": (1, 2), "shop": ("a", "b")},
        {"user": np.array([1, 2]), "shop": np.array(["a", "b"])},
        {"user": pl.Series([1, 2]), "shop": pl.Series(["a", "b"])},
        pl.DataFrame(COLUMNS),
        pl.LazyFrame(COLUMNS),
    ],
)
def test_rows_columns_and_frames_say_the_same(entities):
    assert key_columns(entities, KEYS) == (COLUMNS, 2)


@pytest.mark.parametrize(
    "entities", [[], {"user": [], "shop": []}, pl.DataFrame(schema={"user": int, "shop": str})]
)
def test_no_entities_are_no_questions(entities):
    assert key_columns(entities, KEYS) == ({"user": [], "shop": []}, 0)


def test_features_without_keys_are_asked_by_empty_rows():
    assert key_columns([{}, {}], frozenset()) == ({}, 2)
    with pytest.raises(DataError, match="no keys") as caught:
        key_columns({}, frozenset())
    assert "[{}]" in caught.value.hint


@pytest.mark.parametrize(
    ("entities", "message"),
    [
        ([ROWS[0], {"user": 1}], "entity row 1: the key column `shop` is missing"),
        ([{**ROWS[0], "age": 3}], "entity row 0: unknown field `age`"),
        ([ROWS[0], 5], "entity row 1 is an int, not a dict"),
        ({"user": [1]}, "the key column `shop` is missing"),
        ({**COLUMNS, "age": [1, 2]}, "unknown field `age`"),
        ({"user": [1, 2], "shop": ["a"]}, "differ in length"),
        ({"user": [1, 2], "shop": "ab"}, "the key column `shop` is a str, not a list"),
        ({"user": 1, "shop": ["a"]}, "the key column `user` is an int, not a list"),
    ],
)
def test_what_does_not_fit_is_named(entities, message):
    with pytest.raises(DataError, match=message):
        key_columns(entities, KEYS)


def test_a_misspelt_key_is_answered_with_the_right_one():
    with pytest.raises(DataError) as caught:
        key_columns([{"user": 1, "shpo": "a"}], KEYS)
    assert "`shpo`" in caught.value.hint


NEEDED = Needed({"minutes": (pl.Int64(), "on-demand function `share`")})


@pytest.mark.parametrize(
    "given",
    [
        {"minutes": [3, 3]},
        {"minutes": 3},
        {"minutes": np.array([3, 3])},
        {"minutes": pl.Series([3, 3], dtype=pl.Int8)},
        pl.DataFrame({"minutes": [3, 3]}),
    ],
)
def test_request_values_are_one_for_all_or_one_each(given):
    assert NEEDED.read(given, 2)["minutes"].equals(pl.Series("minutes", [3, 3]))


def test_a_null_is_a_request_value():
    assert NEEDED.read({"minutes": None}, 2)["minutes"].to_list() == [None, None]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (None, "on-demand function `share` needs the request value `minutes`"),
        ({}, "needs the request value `minutes`"),
        ({"minutes": 1, "second": 2}, "unknown request value `second`"),
        ({"minutes": [1, 2, 3]}, "has 3 entries for 2 entities"),
        ({"minutes": pl.Series([1, 2, 3])}, "has 3 entries for 2 entities"),
        (pl.DataFrame({"minutes": [1]}), "has 1 rows? for 2 entities"),
        ({"minutes": [1, "2"]}, "`minutes` of row 1 is '2', of type str"),
        ({"minutes": [1, 1.5]}, "`minutes` of row 1 is 1.5, of type float"),
        ({"minutes": pl.Series(["1", "2"])}, "`minutes` is String"),
        ({"minutes": pl.Series([1.0, 1.5])}, "`minutes` is Float64"),
    ],
)
def test_request_values_that_do_not_fit_are_named(given, message):
    with pytest.raises(DataError, match=message):
        NEEDED.read(given, 2)


def test_where_nothing_is_needed_nothing_may_be_given():
    assert Needed({}).read(None, 2) == {}
    with pytest.raises(DataError, match="unknown request value `x`"):
        Needed({}).read({"x": 1}, 2)


def now() -> int:
    return instant(T)


def test_questions_ask_about_now_unless_they_say_otherwise():
    assert instants(None, 2, now).each.tolist() == [instant(T)] * 2
    assert instants(T - HOUR, 2, now).each.tolist() == [instant(T - HOUR)] * 2


def numpy_times(times: list[datetime]) -> np.ndarray:
    return np.array([t.replace(tzinfo=None) for t in times], "datetime64[ns]")


@pytest.mark.parametrize("kind", [list, tuple, pl.Series, numpy_times])
def test_each_question_may_have_its_own_time(kind):
    t = instants(kind([T, T - HOUR]), 2, now)
    assert (t.each.tolist(), t.earliest, t.latest) == (
        [instant(T), instant(T - HOUR)],
        instant(T - HOUR),
        instant(T),
    )


def test_times_must_be_as_many_as_questions_and_times():
    with pytest.raises(DataError, match=r"1 times? for 2 entities"):
        instants([T], 2, now)
    with pytest.raises(UsageError, match="cannot be of type"):
        instants(timedelta(0), 2, now)
    assert len(instants([], 0, now).each) == 0
