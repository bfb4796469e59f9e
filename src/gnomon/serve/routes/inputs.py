"""`GET /v1/inputs`: what a question must bring, with types: for whoever fills in a form, or reads a command line."""

from __future__ import annotations

import msgspec
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response

from gnomon.errors import UsageError
from gnomon.serve.openapi import JSON, Operation, Parameter
from gnomon.serve.served import Served
from gnomon.serve.wire import InputsAnswer
from gnomon.types import dtype_text

_PARAMETERS = (
    Parameter("service", "The service that will be asked for"),
    Parameter("features", "In its place: `group:feature`; the parameter again for each"),
    Parameter("online", "Whether for an answer of now, which leaves out a service's labels", type=bool),
)

_encode = msgspec.json.Encoder().encode


def routes(served: Served) -> list[Operation]:
    async def inputs(request: Request) -> Response:
        features, online = asked_in(request.query_params)
        found = await served.run(lambda: served.store.inputs(features, online=online))
        principal = request.state.principal
        if not principal.open:
            principal.require("read", found.groups)
        answer = InputsAnswer(
            {name: dtype_text(dtype) for name, dtype in found.keys.items()},
            {name: dtype_text(dtype) for name, dtype in found.request.items()},
            list(found.groups),
            list(found.reads),
            list(found.outputs),
            found.revision,
            found.waits,
        )
        return Response(_encode(answer), media_type=JSON)

    return [
        Operation(
            "GET",
            "/v1/inputs",
            inputs,
            "What a question for features must bring: key columns and request values, with their types",
            answer=InputsAnswer,
            action="read",
            parameters=_PARAMETERS,
        )
    ]


def asked_in(query: QueryParams) -> tuple[str | list[str], bool]:
    """The features that a query names, and whether they are for an online answer. Raises: UsageError."""
    service, features = query.get("service"), query.getlist("features")
    online = query.get("online", "false")
    if online not in ("true", "false"):
        raise UsageError(f"`online` is `{online}`", at="query", hint="true or false")
    if (service is None) == (not features):
        raise UsageError(
            "no features are named" if service is None else "both a service and features are named",
            at="query",
            hint="give `service`, or `features` as `group:feature`, one of the two",
        )
    return features if service is None else service, online == "true"
