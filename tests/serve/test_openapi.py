"""The description is made from the types of requests and answers, and is served with nothing from elsewhere."""

from __future__ import annotations

import re

import pytest

from tests.serve.server import ask


@pytest.fixture(scope="module")
def document(shop_server):
    return ask(shop_server.url, "/openapi.json").json


def test_every_route_is_described(document):
    assert document["openapi"] == "3.1.0"
    assert {"/v1/online-features", "/livez", "/readyz", "/metrics"} <= document["paths"].keys()
    body = document["paths"]["/v1/online-features"]["post"]["requestBody"]["content"]["application/json"]
    assert body["schema"] == {"$ref": "#/components/schemas/OnlineRequest"}


def test_every_reference_leads_somewhere(document):
    named = re.findall(r"#/components/schemas/(\w+)", str(document))
    assert named
    assert set(named) <= document["components"]["schemas"].keys()


def test_ids_of_operations_differ(document):
    ids = [told["operationId"] for methods in document["paths"].values() for told in methods.values()]
    assert len(ids) == len(set(ids))


def test_error_that_may_come_in_another_form_is_described_in_both(document):
    told = document["paths"]["/get-online-features"]["post"]["responses"]["404"]["content"]
    assert told["application/json"]["schema"] == {"type": "string"}
    assert "application/problem+json" in told
