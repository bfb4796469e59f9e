"""What a question must bring, over HTTP."""

from __future__ import annotations

import pytest

from tests.serve.server import ask


def test_inputs_have_types(shop_server):
    got = ask(shop_server.url, "/v1/inputs?service=shop_model&online=true")
    assert got.json["keys"] == {"customer": "String"}
    assert got.json["request"] == {"basket": "Float64"}
    assert ask(shop_server.url, "/v1/inputs?features=spending:orders_7d").json["request"] == {}


@pytest.mark.parametrize(
    ("query", "status", "says"),
    [
        ("", 400, "no features are named"),
        ("?service=a&features=b:c", 400, "both"),
        ("?service=shop_model&online=perhaps", 400, "perhaps"),
        ("?service=shop_modle", 404, "did you mean `shop_model`"),
    ],
)
def test_what_is_asked_wrongly_is_told(shop_server, query, status, says):
    got = ask(shop_server.url, f"/v1/inputs{query}")
    assert got.status == status
    assert says in got.body.decode()
