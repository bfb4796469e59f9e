"""`GET /openapi.json` and `/docs`: what can be asked, for programs and for people. Nothing is loaded from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from starlette.requests import Request
from starlette.responses import Response

import gnomon
from gnomon.serve import openapi
from gnomon.serve.openapi import JSON, Operation
from gnomon.serve.page import page


def routes(operations: Sequence[Operation]) -> list[Operation]:
    """The operations that tell of `operations`, and of themselves."""

    async def document(_: Request) -> Response:
        return Response(encoded, media_type=JSON)

    async def docs(_: Request) -> Response:
        return Response(shown, media_type="text/html")

    own = [
        Operation("GET", "/openapi.json", document, "This description, as OpenAPI 3.1", tag="description"),
        Operation(
            "GET",
            "/docs",
            docs,
            "This description, to be read",
            tag="description",
            answer_media=("text/html",),
        ),
    ]
    made = openapi.document([*operations, *own], version=gnomon.__version__)
    encoded, shown = msgspec.json.encode(made), page(made).encode()
    return own
