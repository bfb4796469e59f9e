"""`POST /v1/online-features`: what features are worth now.

The app hands its requests over before the framework sees them: here the framework would be most of the cost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from itertools import chain

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from gnomon import interchange as values
from gnomon.errors import NotFound, UsageError
from gnomon.serve import answers, problems, wire
from gnomon.serve.access import Principal
from gnomon.serve.openapi import ARROW, JSON, Operation
from gnomon.serve.questions import Question, count, read_entities, read_request
from gnomon.serve.reply import Reply
from gnomon.serve.routes import contracts
from gnomon.serve.served import Served
from gnomon.time import show

PATH = "/v1/online-features"

_ON_LOOP = 256
"""Entities that are asked about on the event loop, where the store lies in this process and nothing else is waited for:
more take so long that others would wait."""

_LOOKED_AT = 16
"""Of so many answers to a question, the statuses of one are counted: to count them takes as long as a small answer."""

_decoder = msgspec.json.Decoder(wire.OnlineRequest)


def routes(served: Served) -> list[Operation]:
    async def handler(request: Request) -> Response:
        headers = dict(request.scope["headers"])
        reply = await answer(served, headers, await request.body(), request.state.principal)
        return Response(reply.body, reply.status, dict(reply.headers), reply.media)

    return [
        Operation(
            "POST",
            PATH,
            handler,
            "What features are worth, for each entity, in the order asked",
            body=wire.OnlineRequest,
            answer=wire.OnlineAnswer,
            action="read",
            description=values.__doc__ or "",
            answer_media=(JSON, ARROW),
            refusals=(406, 409),
            parameters=(contracts.PARAMETER,),
        )
    ]


async def answer(served: Served, headers: Mapping[bytes, bytes], body: bytes, principal: Principal) -> Reply:
    """Answer a request. Raises: errors that become problems."""
    asked = wire.decode(_decoder, body)
    features = _features(asked)
    pinned = asked.contract or headers.get(contracts.HEADER, b"").decode("latin-1")
    try:
        question = served.questions.allowed(principal, features, asked.full_names)
    except NotFound:
        if pinned:  # it may have been removed, and the contract tells by whom
            await contracts.require(served, asked.service, pinned)
        raise
    if pinned:
        await contracts.require(served, asked.service, pinned)
    n = count(asked.entities)
    if n > served.settings.entities_limit:
        raise problems.Refused(
            413,
            "Too many entities",
            f"{n:,} entities are more than the {served.settings.entities_limit:,} that are taken",
            at="$.entities",
            hint="ask in smaller batches, or raise `entities_limit` of [serve] in gnomon.toml",
        )
    as_arrow = _wants_arrow(headers.get(b"accept"))
    if served.in_process and n <= _ON_LOOP and not question.waits:
        reply = _ask(served, question, asked, n, as_arrow)
    else:
        reply = await served.run(_ask, served, question, asked, n, as_arrow)
    reply.service, reply.entities = question.label, n
    if reply.statuses is not None:
        for status, number in reply.statuses.items():
            served.metrics.count("gnomon_values", question.label, status, by=float(number))
    return reply


def _features(asked: wire.OnlineRequest) -> str | list[str]:
    if asked.service is not None and asked.features is None:
        if ":" in asked.service:
            raise UsageError(
                f"`{asked.service}` is no service",
                at="$.service",
                hint='a list of features goes into "features"',
            )
        return asked.service
    if asked.features is not None and asked.service is None:
        return asked.features
    both = asked.service is not None
    raise UsageError(
        "both a service and a list of features are given" if both else "no features asked for",
        at="$",
        hint='give "service": "name" or "features": ["group:feature"], one of the two',
    )


def _wants_arrow(accept: bytes | None) -> bool:
    """Which form is wanted. Raises: Refused, 406, for none that there is."""
    if accept is None or accept == b"*/*" or accept == b"application/json":
        return False
    text = accept.decode("latin-1").lower()
    if ARROW in text:
        return True
    if "json" in text or "*/*" in text or "application/*" in text:
        return False
    raise problems.Refused(
        406, "No such form of answer", f"`{text}` cannot be given", at="Accept", hint=f"{JSON} or {ARROW}"
    )


def _ask(served: Served, question: Question, asked: wire.OnlineRequest, n: int, as_arrow: bool) -> Reply:
    entities = read_entities(question, asked.entities)
    found = served.store.get_online_features(
        question.features,
        entities,
        request=read_request(question, asked.request, n),
        at=asked.at,
        full_names=question.full_names,
    )
    if as_arrow:
        told = (("gnomon-at", show(found.at)), ("gnomon-revision", str(found.revision)))
        reply = Reply(answers.to_arrow(found, asked.include), ARROW, headers=told)
    else:
        form = question.form
        if form is None or form.dtypes is not found.dtypes:
            form = question.form = answers.form_of(found)
        reply = Reply(answers.to_json(found, form, asked.include))
    if question.asked % _LOOKED_AT == 0:
        reply.statuses = Counter(chain.from_iterable(found.statuses))
    question.asked += 1
    return reply
