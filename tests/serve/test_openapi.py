"""The description is made from the types of requests and answers, and is served with nothing from elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.serve.server import ask, running


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


@pytest.mark.slow
def test_requests_that_nobody_thought_of_find_nothing(shop, tmp_path):
    """Schemathesis makes requests from the description, right ones and wrong ones, and holds the answers to it.

    Left out is its check that what fits a schema is taken: no schema can say which services there are.
    """
    with running(shop) as server:
        ran = subprocess.run(
            [
                str(Path(sys.executable).with_name("schemathesis")),
                "run",
                f"{server.url}/openapi.json",
                "--exclude-checks=positive_data_acceptance",
                "--max-examples=25",
                "--no-color",
            ],
            cwd=tmp_path,
            env=os.environ,
            capture_output=True,
            text=True,
        )
        statuses = {line["status"] for line in server.access_log()}
    assert ran.returncode == 0, ran.stdout[-5000:]
    assert 200 in statuses
    assert 500 not in statuses
