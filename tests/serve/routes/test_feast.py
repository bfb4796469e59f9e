"""Feast's routes: asked as Feast asks, by hand and by its own unmodified client."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import gnomon as gn
from gnomon import config
from gnomon.errors import DataError
from gnomon.flows.definitions import load_definitions
from gnomon.flows.inputs import Inputs
from gnomon.serve.routes.feast import NO_TIME, read_columns, seconds, stamp
from gnomon.time import to_datetime
from tests.feast.environment import Feast, FeastError, feast
from tests.serve.server import Answer, ask, serving

HOUR = timedelta(hours=1)
NOW = datetime.now(UTC).replace(microsecond=0)

DEFINITIONS = """
import polars as pl

import gnomon as gn

user = gn.Entity("user", keys={"user": pl.Int64})
page = gn.Entity("page", keys={"host": pl.String, "number": pl.Int64})
hour = gn.Entity("hour", keys={"hour": pl.Datetime("us", "UTC")})
plan = gn.FeatureGroup(
    "plan", entity=user, timestamp="at", max_age="2d",
    features=[
        gn.Feature("name", pl.String), gn.Feature("age", pl.Int64), gn.Feature("score", pl.Float64),
        gn.Feature("active", pl.Boolean), gn.Feature("since", pl.Datetime("us", "UTC")),
        gn.Feature("raw", pl.Binary),
    ],
)
visits = gn.FeatureGroup(
    "visits", entity=user, timestamp="at", schema={"place": pl.String},
    features=[gn.count(windows=["7d"]), gn.last_k("place", 2)],
)
views = gn.FeatureGroup(
    "views", entity=page, timestamp="at", features=[gn.Feature("seen", pl.Int64)],
)
weather = gn.FeatureGroup("weather", entity=hour, timestamp="at", features=[gn.Feature("temp", pl.Float64)])


@gn.on_demand(inputs=[plan["age"], gn.Request("years", pl.Int64)], returns={"later": pl.Int64})
def later(age, years):
    return age + years


model = gn.FeatureService("model", features=[plan["name"], visits["count_7d"]])
with_request = gn.FeatureService("with_request", features=[later])
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("shop")
    (folder / "gnomon.toml").write_text('[project]\nname = "shop"\ndefinitions = "features.py"\n')
    (folder / "features.py").write_text(DEFINITIONS)
    with gn.Store(folder) as store:
        store.apply(load_definitions(config.load(folder)))
        plan = {"name": "free", "age": 30, "score": 1.5, "active": True, "since": NOW, "raw": b"\x00\xff"}
        store.insert(
            "plan",
            [
                {"user": 1, "at": NOW - HOUR, **plan},
                {"user": 2, "at": NOW - 2 * HOUR, **dict.fromkeys(plan)},
                {"user": 3, "at": NOW - timedelta(days=9), **plan, "name": "old"},
                {"user": 4, "at": NOW - timedelta(minutes=1), **plan, "score": float("nan")},
            ],
        )
        store.insert("visits", [{"user": 1, "at": NOW - HOUR * i, "place": f"p{i}"} for i in (1, 2, 3)])
        store.insert(
            "views",
            [
                {"host": "a", "number": 1, "at": NOW - HOUR, "seen": 11},
                {"host": "a", "number": 2, "at": NOW - HOUR, "seen": 12},
            ],
        )
        store.insert("weather", [{"hour": NOW, "at": NOW - HOUR, "temp": 21.5}])
        store.materialize()
    return folder


@pytest.fixture(scope="module")
def url(folder) -> Iterator[str]:
    with serving(folder) as url:
        yield url


def features(url: str, **question: Any) -> Answer:
    return ask(url, "/get-online-features", question)


def at(*ago: timedelta) -> list[str]:
    return [(NOW - each).strftime("%Y-%m-%dT%H:%M:%SZ") for each in ago]


# --- By hand -----------------------------------------------------------------------------------------------------


def test_answer_has_the_form_of_feasts_own_server(url):
    """Byte for byte, but for the order of features, which Feast's own server leaves to chance."""
    found = features(url, features=["plan:name", "plan:age"], entities={"user": [1, 2, 3, 99]})
    assert found.status == 200
    assert found.headers["content-type"] == "application/json"
    times = [*at(HOUR, 2 * HOUR, timedelta(days=9)), NO_TIME]
    statuses = ["PRESENT", "NULL_VALUE", "OUTSIDE_MAX_AGE", "NOT_FOUND"]
    assert found.json == {
        "results": [
            {"values": [1, 2, 3, 99], "statuses": ["PRESENT"] * 4, "event_timestamps": [NO_TIME] * 4},
            {"values": ["free", None, None, None], "statuses": statuses, "event_timestamps": times},
            {"values": [30, None, None, None], "statuses": statuses, "event_timestamps": times},
        ],
        "metadata": {"feature_names": ["user", "name", "age"]},
    }


def test_service_and_full_names(url):
    found = features(url, feature_service="model", entities={"user": [1]}, full_feature_names=True).json
    assert found["metadata"]["feature_names"] == ["user", "plan__name", "visits__count_7d"]
    assert [result["values"] for result in found["results"]] == [[1], ["free"], [3]]


def test_version_of_a_view_is_taken_as_feast_writes_it_and_told_when_asked_for(url):
    found = features(
        url,
        features=["plan@v1:name"],
        entities={"user": [1]},
        include_feature_view_version_metadata=True,
    )
    assert found.json["metadata"]["feature_view_metadata"] == [{"name": "plan", "version": 1}]


def test_values_are_written_as_feast_writes_them(url):
    found = features(
        url,
        features=["plan:score", "plan:active", "plan:since", "plan:raw", "visits:place_last_k"],
        entities={"user": [1, 4]},
    ).json
    second = int(NOW.timestamp())
    assert [result["values"] for result in found["results"][1:]] == [
        [1.5, "NaN"],
        [True, True],
        [second, second],
        ["AP8=", "AP8="],
        [["p1", "p2"], None],
    ]


def test_request_values_come_among_the_entities(url):
    found = features(url, feature_service="with_request", entities={"user": [1], "years": [5]})
    assert found.status == 200, found.json
    assert found.json["metadata"]["feature_names"] == ["user", "later"]
    assert found.json["results"][1]["values"] == [35]
    missing = features(url, feature_service="with_request", entities={"user": [1]})
    assert 400 <= missing.status < 500
    assert "years" in missing.json["detail"]


def test_keys_are_taken_as_feast_sends_them(url):
    """Whole numbers also as text, times as seconds or as text; columns that are no key are passed over."""
    found = features(url, features=["plan:name"], entities={"user": ["1"], "extra": ["x"]}).json
    assert [result["values"] for result in found["results"]] == [[1], ["free"]]
    for key in (int(NOW.timestamp()), NOW.isoformat()):
        found = features(url, features=["weather:temp"], entities={"hour": [key]}).json
        assert found["results"][1]["values"] == [21.5]


def test_part_of_a_composite_key_is_refused_and_never_another_keys_value(url):
    found = features(url, features=["views:seen"], entities={"host": ["a"]})
    assert found.status == 422
    assert "the key has the columns `host`, `number`, and `number` is missing" in found.json["detail"]
    assert "send only the first column of a composite key" in found.json["hint"]
    whole = features(url, features=["views:seen"], entities={"host": ["a", "a"], "number": [2, 1]}).json
    assert whole["results"][-1]["values"] == [12, 11]


def test_what_does_not_exist_is_told_in_feasts_form(url):
    for question, kind in (
        ({"features": ["nope:x"]}, "FeatureViewNotFoundException"),
        ({"feature_service": "nope"}, "FeatureServiceNotFoundException"),
    ):
        found = features(url, **question, entities={"user": [1]})
        assert found.status == 404
        assert json.loads(found.json)["class"] == kind
    unknown = features(url, features=["plan:nmae"], entities={"user": [1]})
    assert unknown.status == 404
    assert unknown.json["hint"] == "did you mean `name`?"


@pytest.mark.parametrize(
    ("question", "what"),
    [
        ({"features": ["plan:name"]}, "entities"),
        ({"features": ["plan:name"], "entities": {}}, "key column `user` is missing"),
        ({"features": ["plan:name"], "entities": {"user": []}}, "no entities are asked about"),
        ({"features": ["plan:name"], "entities": {"user": [1], "x": [1, 2]}}, "differ in length"),
        ({"features": ["plan:name"], "entities": {"user": [None]}}, "null in row 0"),
        ({"features": ["plan:name"], "entities": {"user": ["one"]}}, "row 0 has 'one'"),
        ({"features": ["plan:name"], "entities": {"user": [True]}}, "row 0 has True"),
        ({"features": ["plan:name"], "entities": {"user": [2**70]}}, "in row 0"),
        ({"features": [], "entities": {"user": [1]}}, "no features asked for"),
        ({"features": ["weather:temp"], "entities": {"hour": ["noon"]}}, "has 'noon' in row 0"),
        ({"features": "plan:name", "entities": {"user": [1]}}, "Expected `array`"),
    ],
)
def test_bad_question_is_a_problem_that_says_what_is_wrong(url, question, what):
    found = features(url, **question)
    assert 400 <= found.status < 500
    assert found.headers["content-type"] == "application/problem+json"
    assert what in found.json["detail"]


def test_health_is_an_empty_answer(url):
    found = ask(url, "/health")
    assert (found.status, found.body) == (200, b"")


# --- By Feast's own client ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def client(url, tmp_path_factory) -> Iterator[Feast]:
    with feast(url, tmp_path_factory.mktemp("feast")) as client:
        yield client


@pytest.mark.slow
def test_feasts_client_reads_rows_of_entities(client):
    found = client.call(
        "get_online_features",
        features=["plan:name", "plan:age", "plan:active", "visits:count_7d", "visits:place_last_k"],
        entity_rows=[{"user": 1}, {"user": 2}, {"user": 3}, {"user": 99}],
    )
    assert found["values"] == {
        "user": [1, 2, 3, 99],
        "name": ["free", None, None, None],
        "age": [30, None, None, None],
        "active": [True, None, None, None],
        "count_7d": [3, 0, 0, 0],
        "place_last_k": [["p1", "p2"], None, None, None],
    }
    assert found["statuses"]["name"] == ["PRESENT", "NULL_VALUE", "OUTSIDE_MAX_AGE", "NOT_FOUND"]
    assert found["statuses"]["count_7d"] == ["PRESENT", "NOT_FOUND", "NOT_FOUND", "NOT_FOUND"]


@pytest.mark.slow
def test_feasts_client_reads_a_service_with_full_names(client):
    found = client.call("get_online_features", service="model", entity_rows=[{"user": 1}], full=True)
    assert found["values"] == {"user": [1], "plan__name": ["free"], "visits__count_7d": [3]}


@pytest.mark.slow
def test_feasts_client_reads_composite_keys_by_whole_rows(client):
    rows = [{"host": "a", "number": 2}, {"host": "a", "number": 1}, {"host": "b", "number": 1}]
    found = client.call("get_online_features", features=["views:seen"], entity_rows=rows)
    assert found["values"] == {"host": ["a", "a", "b"], "number": [2, 1, 1], "seen": [12, 11, None]}


@pytest.mark.slow
def test_feasts_client_that_sends_a_part_of_a_composite_key_is_refused(client):
    key = {"host": {"string_val": "a"}, "number": {"int64_val": 2}}
    with pytest.raises(FeastError) as caught:
        client.call("online_read", view="views", keys=[key], types={"seen": "INT64"}, features=["seen"])
    assert "422" in caught.value.message
    assert "`number` is missing" in caught.value.message


@pytest.mark.slow
def test_feasts_typed_reads_keep_types_and_times(client):
    types = {"name": "STRING", "age": "INT64", "score": "DOUBLE", "since": "UNIX_TIMESTAMP"}
    found = client.call(
        "online_read",
        view="plan",
        keys=[{"user": {"int64_val": 1}}, {"user": {"int64_val": 99}}],
        types=types,
        features=list(types),
    )
    assert found[0][1] == {
        "name": ["string_val", "free"],
        "age": ["int64_val", 30],
        "score": ["double_val", 1.5],
        "since": ["unix_timestamp_val", int(NOW.timestamp())],
    }
    assert found[0][0] == str(NOW - HOUR)
    assert found[1][1] == dict.fromkeys(types)


@pytest.mark.slow
def test_feasts_client_raises_its_own_errors(client):
    for given, kind in (
        ({"features": ["nope:x"]}, "FeatureViewNotFoundException"),
        ({"service": "nope"}, "FeatureServiceNotFoundException"),
    ):
        with pytest.raises(FeastError) as caught:
            client.call("get_online_features", **given, entity_rows=[{"user": 1}])
        assert caught.value.kind == kind


# --- Below HTTP --------------------------------------------------------------------------------------------------


def inputs(**keys: Any) -> Inputs:
    return Inputs(keys, {}, (), (), (), 1)


def test_times_are_written_as_protobuf_writes_them():
    whole = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert stamp(whole) == "2026-01-02T03:04:05Z"
    assert stamp(whole.replace(microsecond=120_000)) == "2026-01-02T03:04:05.120Z"
    assert stamp(whole.replace(microsecond=1)) == "2026-01-02T03:04:05.000001Z"
    assert seconds(datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)) == -1


def test_times_without_a_zone_are_read_without_one():
    entities, _ = read_columns({"day": [0, "1970-01-01T00:00:01Z"]}, inputs(day=pl.Datetime("us")))
    first = to_datetime(0).replace(tzinfo=None)
    assert entities == {"day": [first, first + timedelta(seconds=1)]}


def test_question_without_keys_has_as_many_rows_as_its_columns():
    """Feast sends a made-up key column for views without entities."""
    entities, request = read_columns({"__dummy_id": ["", ""]}, inputs())
    assert (entities, request) == ([{}, {}], None)


def test_missing_key_is_told_with_what_was_given():
    with pytest.raises(DataError, match="the key column `user` is missing") as caught:
        read_columns({"usr": [1]}, inputs(user=pl.Int64()))
    assert caught.value.hint == "given: usr; needed: user"
