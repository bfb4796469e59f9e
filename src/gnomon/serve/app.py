"""The app: a request → its id, its limits, its route → an answer, counted and logged.

`POST /v1/online-features` goes a thin path of its own; everything else is routed by Starlette.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from itertools import count
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route, Router

from gnomon.errors import GnomonError
from gnomon.flows.proof.log import REQUEST_ID
from gnomon.serve import problems, reply
from gnomon.serve.access import Action, Denied, Principal, anybody
from gnomon.serve.limits import Message, Receive, check_length, check_media, limited, read_body
from gnomon.serve.log import Line
from gnomon.serve.openapi import Operation
from gnomon.serve.problems import Refused
from gnomon.serve.reply import Reply
from gnomon.serve.routes import (
    contracts,
    docs,
    feast,
    feast_push,
    health,
    historical,
    inputs,
    objects,
    online,
    push,
    registry,
)
from gnomon.serve.served import Served
from gnomon.time import monotonic, system_clock, to_datetime

Scope = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]

_log = logging.getLogger(__name__)

_ROUTES = (
    online,
    push,
    historical,
    objects,
    health,
    feast,
    feast_push,
    contracts,
    registry,
    inputs,
)
_ID_LENGTH = 128
_UNCOUNTED = {"/livez", "/readyz", "/metrics"}
"""They are answered also when the server is too busy for anything else."""


class App:
    """An ASGI application. It owns what it serves, from the lifespan's start to its end."""

    def __init__(self, served: Served) -> None:
        self.served = served
        self.operations = [one for part in _ROUTES for one in part.routes(served)]
        self.operations += docs.routes(self.operations)
        self._router = Router([self._route(one) for one in self.operations])
        self._prefix = secrets.token_hex(6)
        self._numbers = count()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        await self.served.start()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.served.stop()
        await send({"type": "lifespan.shutdown.complete"})

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        served, path = self.served, scope["path"]
        began = monotonic()
        headers: dict[bytes, bytes] = dict(scope["headers"])
        request_id = self._request_id(headers.get(b"x-request-id"))
        # Each request is a task of its own, whose context nobody else sees.
        REQUEST_ID.set(request_id)
        told = _Told(scope, request_id)
        served.in_flight += 1
        try:
            if served.in_flight > served.settings.in_flight and path not in _UNCOUNTED:
                told.reply = reply.of_error(problems.busy("too many requests at a time"), request_id)
            else:
                told.reply = await self._answered(told, headers, receive, send)
            if told.reply is not None:
                await _send(send, told.reply, request_id)
        except ClientDisconnect:
            pass  # nobody is there to be told
        finally:
            served.in_flight -= 1
            self._tell(told, monotonic() - began)

    async def _answered(
        self, told: _Told, headers: dict[bytes, bytes], receive: Receive, send: Send
    ) -> Reply | None:
        """The answer; None where it was sent already. An error becomes the answer that tells of it."""
        scope = told.scope
        try:
            if scope["path"] == online.PATH and scope["method"] == "POST":
                told.route, told.action = online.PATH, "read"
                told.principal = principal = await self.served.access.admit(headers, told.address)
                check_media(headers.get(b"content-type"), ("application/json",))
                limit = self.served.settings.body_limit
                body = await read_body(receive, headers, limit, self.served.patience)
                return await online.answer(self.served, headers, body, principal)
            scope["app"], scope["gnomon.told"] = self, told  # with an app, the router raises what it finds
            await self._router(scope, receive, told.sending(send))
        except GnomonError as error:
            told.error = error
            return told.instead(reply.of_error(error, told.request_id))
        except HTTPException as error:
            return told.instead(reply.of_error(_of_framework(error, scope), told.request_id))
        except ClientDisconnect:
            if told.sent:
                raise
            # Gone, or there still: a body in broken pieces is told by Granian as the client's end.
            return told.instead(reply.of_error(problems.cut_off(), told.request_id))
        except Exception as error:  # noqa: BLE001 - nobody above could make an answer of it
            _log.exception("request %s failed", told.request_id)
            return told.instead(reply.of_mistake(error, told.request_id))
        return None

    def _route(self, one: Operation) -> Route:
        settings = self.served.settings
        limit = settings.body_limit if one.body_limit is None else one.body_limit

        async def endpoint(request: Request) -> Response:
            told: _Told = request.scope["gnomon.told"]
            told.route, told.action = one.path, one.action
            headers: dict[bytes, bytes] = dict(request.scope["headers"])
            principal = anybody()
            if one.action is not None:
                told.principal = principal = await self.served.access.admit(headers, told.address)
            check_length(headers, limit)
            if one.body is not None:
                check_media(headers.get(b"content-type"), one.body_media)
            receive = limited(request.receive, limit, settings.timeout)
            inner = Request(request.scope, receive)
            inner.state.principal = principal
            inner.state.request_id = told.request_id
            return await one.handler(inner)

        return Route(one.path, endpoint, methods=[one.method])

    def _request_id(self, given: bytes | None) -> str:
        """The client's own id, if it can stand in a header and a line of a log; else a new one."""
        if given is not None and 0 < len(given) <= _ID_LENGTH and given.isascii():
            text = given.decode("ascii")
            if text.isprintable():
                return text
        return f"{self._prefix}-{next(self._numbers):x}"

    def _tell(self, told: _Told, seconds: float) -> None:
        served = self.served
        served.metrics.answered(told.route, told.service, told.status, seconds)
        if told.problem:
            served.metrics.count("gnomon_errors", told.problem.partition(": ")[0])
        if isinstance(told.error, Denied):
            served.metrics.count("gnomon_denied", str(told.status))
        served.access.note(
            told.principal,
            told.action,
            f"{told.scope['method']} {told.scope['path']}",
            told.status,
            error=told.error,
            address=told.address,
            request_id=told.request_id,
        )
        if served.log.on:
            served.log.write(
                Line(
                    to_datetime(system_clock()),
                    told.request_id,
                    told.scope["method"],
                    told.scope["path"],
                    told.status,
                    round(seconds * 1000, 3),
                    told.address,
                    told.principal.name if told.principal is not None else "",
                    told.service,
                    told.entities,
                    told.problem,
                )
            )


class _Told:
    """What is told of a request when it has ended."""

    __slots__ = ("action", "error", "principal", "reply", "request_id", "route", "scope", "sent")

    def __init__(self, scope: Scope, request_id: str) -> None:
        self.scope = scope
        self.request_id = request_id
        self.route = "none"
        self.action: Action | None = None
        self.principal: Principal | None = None
        """Who was let in; None where nobody was, or needed to be."""
        self.error: GnomonError | None = None
        """What it ended with."""
        self.reply: Reply | None = None
        self.sent = 0
        """The status that the framework sent; 0 before it did."""

    @property
    def address(self) -> str:
        """From where it came."""
        client = self.scope.get("client")
        return client[0] if client else ""

    @property
    def status(self) -> int:
        """499, which is nobody's, where the client went before it was answered."""
        return self.sent or (self.reply.status if self.reply is not None else 499)

    @property
    def service(self) -> str:
        return self.reply.service if self.reply is not None else ""

    @property
    def entities(self) -> int:
        return self.reply.entities if self.reply is not None else 0

    @property
    def problem(self) -> str:
        return self.reply.problem if self.reply is not None else ""

    def sending(self, send: Send) -> Send:
        """`send`, with the request's id among the headers."""

        async def sends(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.sent = message["status"]
                message["headers"] = [
                    *message.get("headers", ()),
                    (b"x-request-id", self.request_id.encode()),
                ]
            await send(message)

        return sends

    def instead(self, told: Reply) -> Reply | None:
        """The reply that tells of an error; None, with the reply kept for the log, if an answer has begun already."""
        if not self.sent:
            return told
        self.reply = told
        raise _Torn(told.problem)


class _Torn(Exception):
    """An answer that broke off: the server must close the connection, so that nobody takes it for whole."""


async def _send(send: Send, told: Reply, request_id: str) -> None:
    headers = [
        (b"content-type", told.media.encode()),
        (b"content-length", str(len(told.body)).encode()),
        (b"x-request-id", request_id.encode()),
    ]
    headers += [(name.encode(), value.encode("latin-1", "replace")) for name, value in told.headers]
    await send({"type": "http.response.start", "status": told.status, "headers": headers})
    await send({"type": "http.response.body", "body": told.body})


def _of_framework(error: HTTPException, scope: Scope) -> Refused:
    """What the router says of a path or a method."""
    if error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "")
        return Refused(
            405,
            "Another method is meant",
            f"{scope['method']} is not answered at `{scope['path']}`",
            hint="use " + " or ".join(sorted({*allowed.split(", ")} - {"HEAD"})),
            headers=(("allow", allowed),),
        )
    if error.status_code == 404:
        return Refused(
            404,
            "No such path",
            f"there is nothing at `{scope['path']}`",
            hint="/docs tells what can be asked",
        )
    return Refused(error.status_code, "Refused", str(error.detail))
