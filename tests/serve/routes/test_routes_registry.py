"""The registry's documents over HTTP: whole, of any revision, and without credentials."""

from __future__ import annotations

import pytest

import gnomon as gn
from tests.serve.server import ask


def test_documents_are_the_registrys(shop_server, shop):
    with gn.Store(shop) as store:
        want = store.registry.snapshot()
    assert ask(shop_server.url, "/v1/registry").json == {"revision": want.revision}
    got = ask(shop_server.url, "/v1/registry/documents").json
    assert {(one["kind"], one["ref"]): one["document"] for one in got["objects"]} == dict(want.documents)
    assert (got["revision"], got["author"], got["time"]) == (want.revision, want.author, want.time)
    assert ask(shop_server.url, "/v1/registry/documents?revision=0").json["objects"] == []


@pytest.mark.parametrize(
    ("revision", "status"), [("99", 404), ("x", 400), ("-1", 400), ("9" * 30, 400), ("", 400)]
)
def test_a_revision_that_is_none_is_a_problem(shop_server, revision, status):
    assert ask(shop_server.url, f"/v1/registry/documents?revision={revision}").status == status
