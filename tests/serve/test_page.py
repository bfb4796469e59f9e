"""The page at /docs tells of every operation, and loads nothing."""

from __future__ import annotations

import re

from gnomon.serve.page import page
from tests.serve.server import ask


def test_page_tells_of_every_operation_and_loads_nothing(shop_server):
    document = ask(shop_server.url, "/openapi.json").json
    shown = ask(shop_server.url, "/docs")
    assert shown.headers["content-type"].startswith("text/html")
    text = shown.body.decode()
    assert all(f"<code>{path}</code>" in text for path in document["paths"])
    assert not re.search(r"(src|href)=[\"']?(https?:)?//", text)
    assert "<script" not in text


def test_what_could_be_markup_is_shown_as_it_is(shop_server):
    document = ask(shop_server.url, "/openapi.json").json
    document["info"]["summary"] = "<script>alert(1)</script>"
    assert "<script" not in page(document)
