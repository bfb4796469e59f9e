"""Answers are written as each value would be, whatever columns lie beside it."""

from __future__ import annotations

import io
import json
import math
from datetime import UTC, datetime

import polars as pl
import pytest

import gnomon as gn
from gnomon.serve import answers

AT = datetime(2026, 1, 1, tzinfo=UTC)
USER = gn.Entity("user", keys={"user": pl.Int64})
TYPES = {"n": pl.Int64, "x": pl.Float64, "when": pl.Datetime("us", "UTC"), "xs": pl.List(pl.Float64)}
GROUP = gn.FeatureGroup(
    "g",
    entity=USER,
    timestamp="at",
    schema={"at": pl.Datetime("us", "UTC")},
    features=[gn.Feature(name, dtype) for name, dtype in TYPES.items()],
)


@pytest.fixture(scope="module")
def store():
    rows = pl.DataFrame(
        {
            "user": [1, 2, 3],
            "at": [AT] * 3,
            "n": [2**62 + 1, None, 0],
            "x": [0.1, math.nan, -math.inf],
            "when": [AT, None, AT.replace(microsecond=7)],
            "xs": [[math.inf, 1.0], None, []],
        },
        schema_overrides=TYPES,
    )
    with gn.Store() as store:
        store.apply([USER, GROUP])
        store.insert("g", rows)
        store.materialize()
        yield store


def asked(store, users, features=tuple(TYPES)):
    return store.get_online_features([f"g:{name}" for name in features], {"user": users}, at=AT)


def written(found, *include):
    return json.loads(answers.to_json(found, answers.form_of(found), include))


def test_values_of_every_column_are_written_by_their_type(store):
    assert written(asked(store, [1, 2, 3, 4]))["rows"] == [
        [2**62 + 1, 0.1, "2026-01-01T00:00:00.000000Z", ["Infinity", 1.0]],
        [None, "NaN", None, None],
        [0, "-Infinity", "2026-01-01T00:00:00.000007Z", []],
        [None, None, None, None],
    ]


def test_floats_are_numbers_where_all_of_them_are(store):
    assert written(asked(store, [1, 4], ["x"]))["rows"] == [[0.1], [None]]


def test_floats_whose_sum_is_beyond_floats_are_numbers_too():
    assert not answers._all_finite([[1e308, 1e308]], (0,))
    assert answers._all_finite([[1e308, None, 0.0]], (0,))
    assert answers._all_finite([["text"]], ())


def test_the_instant_is_told_to_the_microsecond(store):
    found = asked(store, [1])
    assert written(found)["at"] == "2026-01-01T00:00:00.000000Z"
    found.at += 7
    assert written(found)["at"] == "2026-01-01T00:00:00.000007Z"


def test_what_is_included_is_told_by_row(store):
    found = asked(store, [2, 4])
    got = written(found, "statuses", "event_times", "types", "errors")
    assert got["statuses"] == [["NULL", "PRESENT", "NULL", "NULL"], ["NOT_FOUND"] * 4]
    assert got["event_times"] == [["2026-01-01T00:00:00.000000Z"] * 4, [None] * 4]
    assert got["types"] == ["Int64", "Float64", "Datetime(us, UTC)", "List(Float64)"]
    assert got["errors"] == []


def test_arrow_holds_the_values_and_what_is_included(store):
    found = asked(store, [1, 2])
    frame = pl.read_ipc_stream(io.BytesIO(answers.to_arrow(found, ["statuses", "event_times"])))
    assert frame.select(*TYPES).equals(found.to_polars())
    assert frame["n__status"].to_list() == ["PRESENT", "NULL"]
    assert frame["n__event_time"].to_list() == [AT, AT]
