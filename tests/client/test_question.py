"""What a user gives stands in a request, with nothing lost on the way."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal

import msgspec
import numpy as np
import polars as pl
import pytest

import gnomon as gn
from gnomon.client import question
from gnomon.errors import DataError, UsageError

USER = gn.Entity("user", keys={"user": pl.Int64})
VISITS = gn.FeatureGroup("visits", entity=USER, timestamp="at", features=[gn.count(windows=["1h", "1d"])])


@gn.on_demand(inputs=[gn.Request("x", pl.Int64)], returns={"double": pl.Int64})
def double(x: pl.Series) -> pl.Series:
    return x * 2


@pytest.mark.parametrize(
    ("given", "want"),
    [
        ("model", {"service": "model"}),
        ("model@2", {"service": "model@2"}),
        ("visits:count_1h", {"features": ["visits:count_1h"]}),
        (["visits@2:count_1h", "double"], {"features": ["visits@2:count_1h", "double"]}),
        (VISITS, {"features": ["visits@1:count_1h", "visits@1:count_1d"]}),
        ([VISITS["count_1d"], double], {"features": ["visits@1:count_1d", "double@1"]}),
        (gn.FeatureService("model", features=[VISITS], version=3), {"service": "model@3"}),
        ([gn.FeatureService("model", features=[double])], {"features": ["double@1"]}),
    ],
)
def test_features_are_named(given, want):
    assert question.features_of(given) == want


def test_features_are_named_in_a_url():
    assert question.names_of("model") == (("service", "model"),)
    assert question.names_of(VISITS) == (("features", "visits@1:count_1h"), ("features", "visits@1:count_1d"))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (5, "no choice of features"),
        ([5], "`5` is not a feature"),
        (VISITS.renamed(prefix="old_"), "in another role"),
        ([VISITS.renamed(keys={"user": "friend"})["count_1h"]], "in another role"),
    ],
)
def test_what_has_no_name_is_refused(given, says):
    with pytest.raises(UsageError, match=says):
        question.features_of(given)


VALUES = [
    (7, 7),
    (np.int32(7), 7),
    ("a", "a"),
    (np.str_("a"), "a"),
    (True, True),
    (np.bool_(True), True),
    (None, None),
    (0.1, 0.1),
    (np.float64(-0.0), -0.0),
    (math.inf, "Infinity"),
    (math.nan, "NaN"),
    (Decimal("1E+2"), "100"),
    (b"\0\xff", "AP8="),
    (date(2026, 1, 31), "2026-01-31"),
    (time(1, 2, 3, 4), "01:02:03.000004"),
    (datetime(2026, 1, 31, 12, 0, 0, 1, tzinfo=UTC), "2026-01-31T12:00:00.000001+00:00"),
    (datetime(2026, 1, 31, 12, tzinfo=timezone(timedelta(hours=2))), "2026-01-31T12:00:00+02:00"),
    (timedelta(seconds=-1, microseconds=1), -999_999),
    ([1, None, math.inf], [1, None, "Infinity"]),
    ({"day": date(2026, 1, 1), "x": None}, {"day": "2026-01-01", "x": None}),
    (pl.Series([1, None]), [1, None]),
]


@pytest.mark.parametrize(("value", "want"), VALUES, ids=[repr(value) for value, _ in VALUES])
def test_value_stands_in_json(value, want):
    assert repr(msgspec.json.decode(msgspec.json.encode(question.plain(value)))) == repr(want)
    assert repr(question.plain_column([value])) == repr([want])


@pytest.mark.parametrize(
    ("entities", "want"),
    [
        ([{"user": 1}, {"user": 2}], [{"user": 1}, {"user": 2}]),
        ([], []),
        ({"user": [1, 2]}, {"user": [1, 2]}),
        ({"user": np.array([1, 2])}, {"user": [1, 2]}),
        ({"user": ()}, {"user": []}),
        (pl.DataFrame({"user": [1, 2]}), {"user": [1, 2]}),
        (pl.DataFrame({"day": [date(2026, 1, 1)]}).lazy(), {"day": ["2026-01-01"]}),
    ],
)
def test_entities_stay_rows_or_columns(entities, want):
    found, n = question.entities_of(entities)
    assert found == want
    assert n == len(want if isinstance(want, list) else next(iter(want.values())))


@pytest.mark.parametrize(
    ("entities", "says"),
    [
        ([1], "entity row 0 is an int"),
        ({"user": "ab"}, "`user` is a str, not a list"),
        (5, "the entities cannot be an int"),
        ([{"user": object()}], "cannot be sent"),
        (pl.DataFrame({"t": pl.Series([1], dtype=pl.Datetime("ns"))}), "the key column `t` has"),
    ],
)
def test_entities_that_cannot_be_sent_are_refused(entities, says):
    with pytest.raises(DataError, match=says):
        question.entities_of(entities)


@pytest.mark.parametrize(
    ("request_", "want"),
    [
        (None, None),
        ({"x": 1, "y": [1, 2]}, {"x": 1, "y": [1, 2]}),
        ([{"x": 1.0}, {"x": math.nan}], {"x": [1.0, "NaN"]}),
        (pl.DataFrame({"x": [b"a", None]}), {"x": ["YQ==", None]}),
    ],
)
def test_request_values_are_named(request_, want):
    assert question.request_of(request_, 2) == want


def test_request_rows_are_as_many_as_entities():
    with pytest.raises(DataError, match="the request has 1 row for 2 entities"):
        question.request_of([{"x": 1}], 2)


@pytest.mark.parametrize(
    ("at", "want"),
    [
        (None, None),
        ("2026-01-31", "2026-01-31T00:00:00.000000Z"),
        (1, "1970-01-01T00:00:00.000001Z"),
        ([1, date(1970, 1, 2)], ["1970-01-01T00:00:00.000001Z", "1970-01-02T00:00:00.000000Z"]),
        (np.array(["1970-01-02"], "datetime64[ns]"), ["1970-01-02T00:00:00.000000Z"]),
    ],
)
def test_times_are_instants(at, want):
    assert question.instants_of(at) == want


def test_a_time_that_is_none_names_its_place():
    with pytest.raises(UsageError, match=r"at\[1\]: `soon` is not a time"):
        question.instants_of([1, "soon"])


def test_text_that_no_json_holds_is_told():
    with pytest.raises(DataError, match="cannot be written as JSON"):
        question.encode({"entities": ["\ud800"]})
