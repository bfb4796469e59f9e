"""`GET /livez`, `/readyz`, `/metrics`: what those who run the server ask."""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from gnomon.serve import metrics
from gnomon.serve.openapi import JSON, Operation
from gnomon.serve.served import Served
from gnomon.serve.wire import Health


def routes(served: Served) -> list[Operation]:
    async def livez(_: Request) -> Response:
        return _told(Health("ok"))

    async def readyz(_: Request) -> Response:
        return _told(health(served))

    async def counted(request: Request) -> Response:
        request.state.principal.require("read", [])  # it names services and groups
        return Response(served.metrics.text(), media_type=metrics.MEDIA)

    return [
        Operation("GET", "/livez", livez, "Whether the worker runs", answer=Health, tag="health"),
        Operation(
            "GET",
            "/readyz",
            readyz,
            "Whether the worker can answer questions",
            answer=Health,
            tag="health",
            description="503 while it makes ready, while it stops, and as long as it never could read the registry.",
        ),
        Operation(
            "GET",
            "/metrics",
            counted,
            "What all workers have counted, for Prometheus",
            action="read",
            tag="health",
            answer_media=("text/plain",),
        ),
    ]


def health(served: Served) -> Health:
    """How a worker is."""
    revision = served.questions.revision
    if served.stopping:
        return Health("stopping", revision)
    if not served.ready:
        return Health("failing" if served.why else "starting", revision, served.why or None)
    return Health("ok", revision, served.why or None)


def _told(told: Health) -> Response:
    status = 200 if told.status == "ok" else 503
    return Response(msgspec.json.encode(told), status, media_type=JSON)
