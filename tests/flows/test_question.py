"""Entities and times as people give them."""

from __future__ import annotations

from collections import OrderedDict, UserDict
from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from gnomon.errors import DataError, UsageError
from gnomon.flows.question import instants, key_columns
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
