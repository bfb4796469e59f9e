"""Answers over HTTP are those of the store, in the order asked; what is asked wrongly is a problem that says how."""

from __future__ import annotations

import io
import time

import polars as pl
import pytest

import gnomon as gn
from tests.serve.conftest import AT
from tests.serve.server import ask

PATH = "/v1/online-features"
ROWS = [{"customer": "c07"}, {"customer": "nobody"}, {"customer": "c01"}, {"customer": "c07"}]
BASE = {"service": "shop_model", "entities": ROWS, "request": {"basket": 60}, "at": AT}


@pytest.fixture(scope="module")
def url(shop_server) -> str:
    return shop_server.url


@pytest.fixture(scope="module")
def store(shop):
    with gn.Store(shop) as store:
        yield store


def test_rows_are_those_of_the_store_in_the_order_asked(url, store):
    want = store.get_online_features("shop_model", ROWS, request={"basket": 60.0}, at=AT)
    got = ask(url, PATH, BASE).json
    assert got["features"] == list(want.names)
    columns = want.to_polars().with_columns(pl.col("idle").dt.total_microseconds())
    assert [tuple(row) for row in got["rows"]] == columns.rows()
    assert got["rows"][0] == got["rows"][3] != got["rows"][1]
    assert (got["at"], got["revision"]) == ("2025-06-30T12:00:00.000000Z", want.revision)
    assert "statuses" not in got


def test_columns_ask_the_same_as_rows(url):
    columns = {"customer": [row["customer"] for row in ROWS]}
    assert ask(url, PATH, BASE | {"entities": columns}).json == ask(url, PATH, BASE).json


def test_statuses_event_times_and_types_are_told_when_asked_for(url, store):
    want = store.get_online_features("shop_model", ROWS, request={"basket": 60.0}, at=AT)
    got = ask(url, PATH, BASE | {"include": ["statuses", "event_times", "errors", "types"]}).json
    assert got["statuses"] == want.statuses
    assert got["event_times"][1][0] is None
    assert got["event_times"][0][0] == want.event_times[0][0].strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    assert got["types"][:3] == ["String", "Boolean", "Int64"]
    assert got["errors"] == []


def test_arrow_has_the_types_of_the_store(url, store):
    want = store.get_online_features("shop_model", ROWS, request={"basket": 60.0}, at=AT)
    got = ask(url, PATH, BASE, headers={"accept": "application/vnd.apache.arrow.stream"})
    assert pl.read_ipc_stream(io.BytesIO(got.body)).equals(want.to_polars(), null_equal=True)
    assert got.headers["gnomon-at"] == "2025-06-30T12:00:00.000000Z"


@pytest.mark.parametrize(
    ("change", "status", "says"),
    [
        ({"service": "shop_modle"}, 404, "did you mean `shop_model"),
        ({"service": None, "features": ["spending:order_7d"]}, 404, "did you mean `orders_7d`"),
        ({"service": None}, 400, "no features asked for"),
        ({"features": ["spending:orders_7d"]}, 400, "both a service and a list"),
        ({"entities": [{"custommer": "c07"}]}, 422, "did you mean it by `custommer`"),
        ({"entities": [{"customer": 7}]}, 422, "`customer` is String, row 0 has 7"),
        ({"entities": [{"customer": None}]}, 422, "is null in row 0"),
        ({"entities": [{"customer": "c07"}, {}]}, 422, "entity row 1"),
        ({"entities": {"customer": ["a"], "other": ["a", "b"]}}, 422, "differ in length"),
        ({"entities": 5}, 422, "$.entities"),
        ({"request": None}, 422, "needs the request value `basket`"),
        ({"request": {"basket": "dear"}}, 422, "`basket` of row 0 is 'dear'"),
        ({"at": "yesterday"}, 400, "`yesterday` is not a time"),
        ({"include": ["everything"]}, 422, "$.include[0]"),
        ({"entitys": []}, 422, "unknown field `entitys`"),
    ],
)
def test_what_is_asked_wrongly_is_told_with_its_place(url, change, status, says):
    body = {name: value for name, value in (BASE | change).items() if value is not None}
    got = ask(url, PATH, body)
    assert got.status == status
    assert got.headers["content-type"] == "application/problem+json"
    assert says in got.body.decode()
    assert {"type", "title", "status", "detail"} <= got.json.keys()
    assert got.json["request_id"] == got.headers["x-request-id"]


def test_broken_json_is_told_with_its_position(url):
    got = ask(url, PATH, b'{"service": "shop_model", "entities": [{]}')
    assert got.status == 400
    assert "byte 40" in got.json["detail"]


@pytest.mark.parametrize("nobody", [[], {"customer": []}])
def test_nobody_asked_nothing_answered(url, nobody):
    got = ask(url, PATH, BASE | {"entities": nobody})
    assert (got.status, got.json["rows"]) == (200, [])


def test_arrow_tells_statuses_event_times_and_errors_beside_the_features(url, store):
    want = store.get_online_features("shop_model", ROWS, request={"basket": 60.0}, at=AT)
    body = BASE | {"include": ["statuses", "event_times", "errors"]}
    got = ask(url, PATH, body, headers={"accept": "application/vnd.apache.arrow.stream"})
    frame = pl.read_ipc_stream(io.BytesIO(got.body))
    assert frame.columns[: len(want.names)] == list(want.names)
    beside = [f"{name}__{what}" for name in want.names for what in ("status", "event_time", "error")]
    assert frame.columns[len(want.names) :] == beside
    first = want.names[0]
    assert frame[f"{first}__status"].to_list() == [row[0] for row in want.statuses]
    assert frame[f"{first}__event_time"].to_list() == [row[0] for row in want.event_times]


def test_statuses_are_counted_by_service(url):
    """Of the first answer to a question and of each sixteenth: every worker has its own first."""
    for _ in range(40):
        assert ask(url, PATH, BASE).status == 200
    end = time.monotonic() + 10
    counted = 0.0
    while not counted and time.monotonic() < end:
        told = ask(url, "/metrics").body.decode().splitlines()
        lines = [
            line
            for line in told
            if line.startswith('gnomon_values_total{service="shop_model",status="NOT_FOUND"}')
        ]
        counted = float(lines[0].rpartition(" ")[2]) if lines else 0.0
        time.sleep(0.1)
    assert counted > 0
