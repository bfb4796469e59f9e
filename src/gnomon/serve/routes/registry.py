"""`GET /v1/registry` and `/v1/registry/documents`: a registry for whoever reads definitions on another machine.

Documents are what the registry holds, so that a client makes of them the very objects that were applied. Only
credentials in the URLs of sources are left out.
"""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from gnomon.errors import UsageError
from gnomon.plugins import redacted
from gnomon.registry.snapshot import Snapshot
from gnomon.serve.openapi import JSON, Operation, Parameter
from gnomon.serve.served import Served
from gnomon.serve.wire import RegistryDocument, RegistryDocuments, RegistryHead

_REVISION = Parameter("revision", "A revision of the past; without it, the newest", int)

_encode = msgspec.json.Encoder().encode


def routes(served: Served) -> list[Operation]:
    async def head(request: Request) -> Response:
        newest = await served.run(served.store.registry.snapshot)
        request.state.principal.require("read", ())
        return Response(_encode(RegistryHead(newest.revision)), media_type=JSON)

    async def documents(request: Request) -> Response:
        registry = served.store.registry
        revision = read_revision(request.query_params.get("revision"))
        found = await served.run(registry.snapshot if revision is None else lambda: registry.at(revision))
        request.state.principal.require("read", ())  # the documents tell of every group
        return Response(_encode(documents_of(found)), media_type=JSON)

    return [
        Operation(
            "GET",
            "/v1/registry",
            head,
            "Which revision of the registry is the newest",
            answer=RegistryHead,
            action="read",
            tag="registry",
        ),
        Operation(
            "GET",
            "/v1/registry/documents",
            documents,
            "All definitions of a revision, as the registry holds them",
            answer=RegistryDocuments,
            action="read",
            tag="registry",
            parameters=(_REVISION,),
        ),
    ]


def read_revision(text: str | None) -> int | None:
    """The revision that a query names. Raises: UsageError."""
    if text is None:
        return None
    if not text.isdecimal() or len(text) > 18:
        raise UsageError(f"`{text}` is no revision", at="revision", hint="give a whole number, such as 7")
    return int(text)


def documents_of(snapshot: Snapshot) -> RegistryDocuments:
    """A revision with all its objects, removed ones too."""
    return RegistryDocuments(
        revision=snapshot.revision,
        author=snapshot.author,
        time=snapshot.time,
        message=snapshot.message,
        objects=[
            RegistryDocument(
                kind, ref, _shown(snapshot.documents.get((kind, ref))), stamp.revision, stamp.author
            )
            for (kind, ref), stamp in snapshot.changed.items()
        ],
    )


def _shown(document: str | None) -> str | None:
    """A document without the credentials of a URL in it."""
    if document is None or "://" not in document:
        return document
    parsed: dict[str, Any] = msgspec.json.decode(document)
    url = parsed.get("url")
    if not isinstance(url, str) or redacted(url) == url:
        return document
    return msgspec.json.encode(parsed | {"url": redacted(url)}).decode()
