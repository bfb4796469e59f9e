"""Every answer has an id, a status that fits, and a line in the log."""

from __future__ import annotations

import time

import pytest

from tests.serve.conftest import AT
from tests.serve.server import ask

PATH = "/v1/online-features"
BODY = {"features": ["spending:orders_7d"], "entities": [{"customer": "c07"}], "at": AT}


def test_the_clients_own_id_comes_back_and_stands_in_the_log(shop_server):
    got = ask(shop_server.url, PATH, BODY, headers={"x-request-id": "mine-1"})
    assert got.headers["x-request-id"] == "mine-1"
    end = time.monotonic() + 10
    lines = []
    while not lines and time.monotonic() < end:
        lines = [one for one in shop_server.access_log() if one["request_id"] == "mine-1"]
        time.sleep(0.05)
    (line,) = lines
    assert (line["status"], line["entities"], line["path"], line["method"]) == (200, 1, PATH, "POST")
    assert line["ms"] > 0


@pytest.mark.parametrize("given", ["", "x" * 129, "tab\tinside"])
def test_an_id_that_is_none_is_replaced(shop_server, given):
    got = ask(shop_server.url, "/livez", headers={"x-request-id": given})
    assert got.headers["x-request-id"] != given


def test_ids_differ(shop_server):
    ids = {ask(shop_server.url, "/livez").headers["x-request-id"] for _ in range(20)}
    assert len(ids) == 20


@pytest.mark.parametrize(
    ("path", "method", "status", "says"),
    [
        ("/v1/nothing", "GET", 404, "/docs"),
        (PATH, "GET", 405, "use POST"),
        ("/livez", "POST", 405, "use GET"),
    ],
)
def test_wrong_paths_and_methods_are_problems(shop_server, path, method, status, says):
    got = ask(shop_server.url, path, method=method)
    assert (got.status, got.headers["content-type"]) == (status, "application/problem+json")
    assert says in got.json["hint"]


def test_a_body_of_another_form_is_refused(shop_server):
    got = ask(shop_server.url, PATH, b"<xml/>", headers={"content-type": "text/xml"})
    assert got.status == 415
    assert "application/json" in got.json["hint"]


def test_another_form_of_answer_is_refused(shop_server):
    got = ask(shop_server.url, PATH, BODY, headers={"accept": "text/csv"})
    assert got.status == 406
