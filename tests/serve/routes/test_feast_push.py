"""Rows that come as Feast's clients send them: by hand, and by its own unmodified client."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import gnomon as gn
from gnomon.errors import DataError
from gnomon.serve.routes.feast_push import not_taken, rows_of
from tests.feast.environment import FeastError, feast
from tests.serve.server import Answer, ask, serving

NOW = datetime.now(UTC).replace(microsecond=0)
AT = (NOW - timedelta(hours=1)).isoformat()

USER = gn.Entity("user", keys={"user": pl.Int64})
PLAN = gn.FeatureGroup(
    "plan",
    entity=USER,
    timestamp="at",
    features=[gn.Feature("name", pl.String), gn.Feature("since", pl.Datetime("us", "UTC"))],
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("shop")
    (folder / "gnomon.toml").write_text('[project]\nname = "shop"\n')
    with gn.Store(folder) as store:
        store.apply([PLAN])
    return folder


@pytest.fixture(scope="module")
def url(folder) -> Iterator[str]:
    with serving(folder) as url:
        yield url


def push(url: str, df: dict[str, list[Any]], **given: Any) -> Answer:
    return ask(url, "/push", {"push_source_name": "plan", "df": df, **given})


def names(url: str, *users: int) -> list[Any]:
    question = {"features": ["plan:name"], "entities": {"user": users}}
    return ask(url, "/get-online-features", question).json["results"][1]["values"]


def rows(*users: int, name: str = "free", **others: Any) -> dict[str, list[Any]]:
    n = len(users)
    return {"user": [*users], "at": [AT] * n, "name": [name] * n, "since": [AT] * n, **others}


def test_pushed_rows_are_online_when_the_empty_answer_comes(url):
    found = push(url, rows(1, 2), allow_registry_cache=True, transform_on_write=True)
    assert (found.status, found.body) == (200, b"")
    assert names(url, 1, 2, 3) == ["free", "free", None]
    assert push(url, rows(1, 2)).status == 200


def test_rows_for_offline_alone_are_kept_and_not_online(url, folder):
    assert push(url, rows(10), to="offline").status == 200
    assert names(url, 10) == [None]
    with gn.Store(folder) as store:
        store.materialize()
    assert names(url, 10) == ["free"]


def test_rows_that_do_not_fit_are_told_and_the_others_taken(url):
    found = push(url, rows(20, 21, 22) | {"name": ["paid", 5, "paid"], "since": [AT, AT, "soon"]})
    assert found.status == 422
    assert found.json["detail"] == "2 of 3 rows do not fit, 1 are taken"
    assert len(found.json["more"]) == 2
    assert "row 2" in found.json["more"][1]
    assert names(url, 20, 21, 22) == ["paid", None, None]


def test_unknown_push_source_is_told_in_feasts_form(url):
    found = ask(url, "/push", {"push_source_name": "plna", "df": rows(1)})
    assert found.status == 422
    assert json.loads(found.json)["class"] == "PushSourceNotFoundException"


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ({"df": {"user": [1], "at": []}}, "the columns differ in length (user: 1, at: 0)"),
        ({"df": rows(1), "to": "nowhere"}, "Invalid enum value 'nowhere'"),
        ({"df": [1]}, "Expected `object`"),
        ({"df": {"user": [1]}}, "1 of 1 rows do not fit, 0 are taken"),
    ],
)
def test_bad_push_is_a_problem_that_says_what_is_wrong(url, given, what):
    found = ask(url, "/push", {"push_source_name": "plan", **given})
    assert found.status == 422
    assert what in found.json["detail"]


def test_rows_for_a_view_have_feasts_time_column(url):
    df = {
        "user": [30],
        "event_timestamp": [AT],
        "created": [None],
        "name": ["paid"],
        "since": [1_700_000_000],
    }
    assert ask(url, "/write-to-online-store", {"feature_view_name": "plan", "df": df}).status == 200
    found = ask(
        url, "/get-online-features", {"features": ["plan:name", "plan:since"], "entities": {"user": [30]}}
    )
    assert [result["values"] for result in found.json["results"][1:]] == [["paid"], [1_700_000_000]]
    unknown = ask(url, "/write-to-online-store", {"feature_view_name": "plna", "df": df})
    assert json.loads(unknown.json)["class"] == "FeatureViewNotFoundException"


@pytest.mark.slow
def test_feasts_client_writes(url, tmp_path):
    types = {"name": "STRING", "since": "UNIX_TIMESTAMP"}
    row = {
        "key": {"int64_val": 40},
        "values": {"name": {"string_val": "paid"}, "since": {"unix_timestamp_val": 1_700_000_000}},
        "at": int(NOW.timestamp()) - 60,
    }
    with feast(url, tmp_path) as client:
        client.call("online_write", view="plan", entity="user", types=types, rows=[row])
        found = client.call("get_online_features", features=["plan:name"], entity_rows=[{"user": 40}])
        assert found["values"] == {"user": [40], "name": ["paid"]}
        with pytest.raises(FeastError) as caught:
            client.call("online_write", view="plna", entity="user", types=types, rows=[row])
    assert caught.value.kind == "FeatureViewNotFoundException"


def test_columns_become_rows_and_seconds_become_times():
    made = rows_of({"user": [1, 2], "at": [0, "x"]}, {"user": pl.Int64(), "at": pl.Datetime("us", "UTC")})
    assert made == [{"user": 1, "at": datetime(1970, 1, 1, tzinfo=UTC)}, {"user": 2, "at": "x"}]
    assert rows_of({}, {}) == []
    with pytest.raises(DataError, match="differ in length"):
        rows_of({"a": [1], "b": []}, {})


def test_no_more_than_some_rows_are_told():
    error = not_taken(dict.fromkeys(range(100), "no"), 100, 0)
    assert len(error.problems) == 11
