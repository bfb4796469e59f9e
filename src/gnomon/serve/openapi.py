"""OpenAPI: operations, as they stand beside their routes, → the document that tells clients of them.

The schemas are made from the very types that decode requests and encode answers.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from gnomon.serve import problems
from gnomon.serve.access import Action

Handler = Callable[[Request], Awaitable[Response]]

JSON = "application/json"
ARROW = "application/vnd.apache.arrow.stream"
PARQUET = "application/vnd.apache.parquet"

_PARAMETER = re.compile(r"\{(\w+)(:\w+)?\}")
_REFERENCE = "#/components/schemas/{name}"


@dataclass(frozen=True, slots=True)
class Parameter:
    """A value in the query, or in a header."""

    name: str
    description: str
    type: Any = str
    place: str = "query"
    required: bool = False


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing that can be asked of the server."""

    method: str
    path: str
    """As Starlette writes it: `/v1/groups/{name}`."""
    handler: Handler
    """Raises errors of `gnomon.errors`, which become problems."""
    summary: str
    body: Any = None
    """The type that JSON in a request's body is decoded as; None: there is no body, or one that is no JSON."""
    answer: Any = None
    """The type of what is encoded as JSON in the answer; None: another kind of text."""
    action: Action | None = None
    """What a caller must be allowed to do; None: anybody may, without credentials. Who asks is then in
    `request.state.principal`, and the handler asks it about the groups that it touches."""
    tag: str = "features"
    description: str = ""
    parameters: tuple[Parameter, ...] = ()
    body_media: tuple[str, ...] = (JSON,)
    """Types of bodies that are taken; what is no JSON is not described further."""
    answer_media: tuple[str, ...] = (JSON,)
    body_limit: int | None = None
    """Bytes; None: that of the settings."""
    status: int = 200
    refusals: tuple[int, ...] = ()
    """Statuses of problems that are this operation's own, besides those that every one may have."""
    also: tuple[tuple[int, Any], ...] = ()
    """Statuses of errors that may also come as JSON of a type, where clients expect another form than a problem."""


def document(operations: Iterable[Operation], *, version: str) -> dict[str, Any]:
    """The OpenAPI 3.1 document of some operations."""
    operations = [*operations]
    types: dict[Any, None] = {problems.Problem: None}
    for one in operations:
        types.update({kind: None for kind in (one.body, one.answer) if kind is not None})
        types.update({given.type: None for given in one.parameters})
        types.update({kind: None for _, kind in one.also})
    schemas, components = msgspec.json.schema_components(types, ref_template=_REFERENCE)
    schema_of = dict(zip(types, schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for one in operations:
        path = _PARAMETER.sub(r"{\1}", one.path)
        paths.setdefault(path, {})[one.method.lower()] = _described(one, schema_of)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Gnomon",
            "version": version,
            "summary": "A feature store: what every feature is worth, now and at any moment.",
        },
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    }


def _described(one: Operation, schema_of: Mapping[Any, Any]) -> dict[str, Any]:
    told: dict[str, Any] = {
        "summary": one.summary,
        "operationId": re.sub(r"\W+", "_", f"{one.method.lower()}{one.path}").strip("_"),
        "tags": [one.tag],
        "responses": _responses(one, schema_of),
    }
    if one.description:
        told["description"] = one.description
    given = [
        {
            "name": found[1],
            "in": "path",
            "required": True,
            "schema": {"type": "string", "minLength": 1},
        }
        for found in _PARAMETER.finditer(one.path)
    ]
    given += [
        {
            "name": each.name,
            "in": each.place,
            "required": each.required,
            "description": each.description,
            "schema": schema_of[each.type],
        }
        for each in one.parameters
    ]
    if given:
        told["parameters"] = given
    if one.body is not None or one.body_media != (JSON,):
        content = {
            media: {"schema": schema_of[one.body] if media == JSON and one.body is not None else {}}
            for media in one.body_media
        }
        told["requestBody"] = {"required": True, "content": content}
    if one.action is not None:
        told["security"] = [{"bearer": []}, {}]
    return told


def _responses(one: Operation, schema_of: Mapping[Any, Any]) -> dict[str, Any]:
    content = {
        media: {"schema": schema_of[one.answer] if media == JSON and one.answer is not None else {}}
        for media in one.answer_media
    }
    refusals = {*one.refusals, 500, 503}
    if _PARAMETER.search(one.path) or one.parameters:
        refusals |= {400, 404}
    if one.body is not None or one.body_media != (JSON,):
        refusals |= {400, 404, 408, 413, 415, 422, 504}
    if one.action is not None:
        refusals |= {401, 403, 429}
    problem = {problems.MEDIA: {"schema": schema_of[problems.Problem]}}
    also = {status: {JSON: {"schema": schema_of[kind]}} for status, kind in one.also}
    return {
        str(one.status): {"description": "The answer", "content": content},
        **{
            str(status): {"description": _WHY[status], "content": {**problem, **also.get(status, {})}}
            for status in sorted(refusals | also.keys())
        },
    }


_WHY = {
    400: "Asked wrongly",
    401: "No credentials, or none that hold",
    403: "A grant is missing",
    404: "Something that is named does not exist",
    405: "Another method is meant",
    406: "No such form of answer",
    408: "The body did not arrive in time",
    409: "It conflicts with what is there",
    413: "The body is too large",
    415: "No such form of body",
    422: "The data cannot be used",
    429: "Too many requests",
    500: "A mistake of the server, or damaged data",
    503: "Too busy, or a store cannot be reached: try again after `Retry-After`",
    504: "It took too long",
}
