"""Training sets over HTTP: those of the store, in each form, and problems that say what is wrong with a spine."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

import gnomon as gn
from gnomon.serve.frames import as_stream
from gnomon.serve.openapi import ARROW, PARQUET
from tests.serve.server import ask

PATH = "/v1/historical-features"
T = datetime(2025, 6, 30, 12, tzinfo=UTC)
N = 40_000
SPINE = pl.DataFrame(
    {
        "row": range(N),
        "customer": [f"c{i % 23:02}" for i in range(N)],
        "event_timestamp": [T - timedelta(minutes=i % 5000) for i in range(N)],
        "basket": [float(i % 90) for i in range(N)],
    }
)
SMALL = SPINE.head(50)


@pytest.fixture(scope="module")
def url(shop_server):
    return shop_server.url


@pytest.fixture(scope="module")
def want(shop):
    with gn.Store(shop) as store:
        yield store.get_historical_features(SPINE, "shop_model").to_polars()


def read(answer):
    assert answer.status == 200, answer.body
    assert answer.headers["content-type"] == ARROW
    return pl.read_ipc_stream(io.BytesIO(answer.body))


@pytest.mark.parametrize("form", ["stream", "file", "parquet"])
def test_a_spine_comes_back_with_its_features_whatever_its_form(url, want, form, tmp_path):
    media = PARQUET if form == "parquet" else ARROW
    if form == "stream":
        body = as_stream(SPINE)
    else:
        path = tmp_path / form
        SPINE.write_parquet(path) if form == "parquet" else SPINE.write_ipc(path)
        body = path.read_bytes()
    got = ask(url, f"{PATH}?service=shop_model", body, headers={"content-type": media})
    assert read(got).equals(want)
    assert got.headers.get("transfer-encoding") == "chunked"
    assert "content-length" not in got.headers


def test_features_are_chosen_and_named_in_the_query(url, shop):
    with gn.Store(shop) as store:
        names = [
            f"{group.name}:{feature.name}" for group in store.registry.list("group") for feature in group
        ][:3]
        want = store.get_historical_features(SMALL, names, full_names=True, as_of="latest").to_polars()
    for query in ("features=" + "&features=".join(names), "features=" + ",".join(names)):
        path = f"{PATH}?{query}&full_names=true&as_of=latest"
        assert read(ask(url, path, as_stream(SMALL), headers={"content-type": ARROW})).equals(want)


def test_a_small_spine_is_asked_in_json_by_rows_or_columns(url, want):
    rows = json.loads(json.dumps(SMALL.to_dicts(), default=lambda t: t.isoformat()))
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    got = ask(url, PATH, {"service": "shop_model", "spine": rows})
    assert got.status == 200, got.body
    assert ask(url, PATH, {"service": "shop_model", "spine": columns}).json == got.json
    answer = got.json
    assert answer["columns"] == want.columns
    assert answer["types"][:2] == ["Int64", "String"]
    features = [
        i for i, name in enumerate(want.columns) if want.schema[name] in (pl.Int64, pl.String, pl.Boolean)
    ]
    assert [[row[i] for i in features] for row in answer["rows"]] == [
        [row[i] for i in features] for row in want.head(50).rows()
    ]


def test_json_and_arrow_go_either_way(url, want):
    got = ask(
        url,
        f"{PATH}?service=shop_model",
        as_stream(SMALL),
        headers={"content-type": ARROW, "accept": "application/json"},
    )
    assert got.json["rows"][0][:2] == [0, "c00"]
    assert got.json["rows"][0][2] == "2025-06-30T12:00:00.000000Z"
    rows = json.loads(json.dumps(SMALL.to_dicts(), default=lambda t: t.isoformat()))
    arrow = ask(url, PATH, {"service": "shop_model", "spine": rows}, headers={"accept": ARROW})
    assert read(arrow).drop("event_timestamp").equals(want.head(50).drop("event_timestamp"))


def test_a_spine_without_rows_has_none(url, want):
    got = read(
        ask(url, f"{PATH}?service=shop_model", as_stream(SPINE.clear()), headers={"content-type": ARROW})
    )
    assert len(got) == 0
    assert got.schema == want.schema


@pytest.mark.parametrize(
    ("query", "body", "media", "status", "word"),
    [
        ("service=nothing", as_stream(SMALL), ARROW, 404, "nothing"),
        ("", as_stream(SMALL), ARROW, 400, "no features"),
        ("service=shop_model&features=a:b", as_stream(SMALL), ARROW, 400, "both"),
        ("service=shop_model&as_of=soon", as_stream(SMALL), ARROW, 400, "as_of"),
        ("service=shop_model&asof=known", as_stream(SMALL), ARROW, 400, "asof"),
        ("service=shop_model&full_names=1", as_stream(SMALL), ARROW, 400, "true or false"),
        ("service=shop_model&timestamp=t", as_stream(SMALL), ARROW, 422, "`t`"),
        ("service=shop_model", as_stream(SMALL.drop("customer")), ARROW, 422, "customer"),
        ("service=shop_model", b"nothing", ARROW, 400, "Arrow"),
        (
            "",
            {"service": "shop_model", "spine": [{"customer": 1, "event_timestamp": "x", "basket": 1}]},
            None,
            422,
            "spine",
        ),
        ("", {"service": "shop_model", "spine": [{"customer": "c01"}, {}]}, None, 422, "row 1"),
        ("", {"service": "shop_model"}, None, 422, "spine"),
        ("", {"service": "shop_model", "spine": {"row": [1] * 10_001}}, None, 413, "10,001"),
        ("", b"<x/>", "text/xml", 415, "text/xml"),
    ],
)
def test_what_is_asked_wrongly_is_a_problem(url, query, body, media, status, word):
    got = ask(url, f"{PATH}?{query}", body, headers={"content-type": media} if media else None)
    assert got.status == status, got.body
    assert got.headers["content-type"] == "application/problem+json"
    assert word in str(got.json)


def test_another_form_of_answer_is_refused(url):
    got = ask(
        url,
        f"{PATH}?service=shop_model",
        as_stream(SMALL),
        headers={"content-type": ARROW, "accept": "text/csv"},
    )
    assert got.status == 406
