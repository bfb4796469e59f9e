"""Problems: a reply that is no answer → the error that a store in this process would have raised.

The server tells of errors as RFC 9457 says; its `type` names the class: `urn:gnomon:not-found` is `NotFound`. What
stands between (a proxy, a load balancer) tells in its own way, of which the status is understood.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import NoReturn

import msgspec

from gnomon import errors
from gnomon.client.call import Reply
from gnomon.client.retry import TRANSIENT
from gnomon.errors import Denied, GnomonError, Unavailable, UsageError

MEDIA = "application/problem+json"
REQUEST_ID = "x-request-id"

_PREFIX = "urn:gnomon:"
_CAPITAL = re.compile(r"(?<=[a-z])(?=[A-Z])")


class _Problem(msgspec.Struct):
    """What of a problem is read."""

    detail: str
    type: str = "about:blank"
    at: str | None = None
    hint: str | None = None
    more: list[str] = []


_decode = msgspec.json.Decoder(_Problem).decode

_KINDS: dict[str, type[GnomonError]] = {
    _CAPITAL.sub("-", kind.__name__).lower(): kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, GnomonError)
}


def raise_problem(reply: Reply, url: str) -> NoReturn:
    """Raise what a reply of another status than 200 tells. `url`: who was asked.

    Raises: the error that the server raised, with its place and hint; Denied for 401 and 403; Unavailable where
            trying again may work; UsageError for what else the client did wrong; GnomonError for a mistake of the
            server's. A note of the error names the request's id, by which the server's log tells of it.
    """
    error = _told(reply) if reply.media == MEDIA else _untold(reply, url)
    if given := reply.headers.get(REQUEST_ID):
        error.add_note(f"request {given} at {url}")
    raise error


def _told(reply: Reply) -> GnomonError:
    """The error that a problem of ours tells."""
    try:
        problem = _decode(reply.body)
    except msgspec.DecodeError as error:
        return _class_of(reply.status)(
            f"the server answered {reply.status}, with what is no problem: {error}"
        )
    kind = _KINDS.get(problem.type.removeprefix(_PREFIX)) or _class_of(reply.status)
    made = kind(problem.detail, at=problem.at, hint=problem.hint)
    for other in problem.more:
        made.add_note(other)
    return made


def _untold(reply: Reply, url: str) -> GnomonError:
    """The error of a reply that did not come from a server of gnomon, or not from a route of it."""
    if 300 <= reply.status < 400:
        return UsageError(
            f"{url} sends elsewhere, to {reply.headers.get('location', 'a place it does not name')}",
            hint="open the client with that URL; credentials are not sent on",
        )
    known = {status.value: status.phrase for status in HTTPStatus}
    phrase = known.get(reply.status, "an unknown status")
    return _class_of(reply.status)(
        f"{url} answered {reply.status} ({phrase})" + (f" in {reply.media}" if reply.media else ""),
        hint="this is no answer of `gnomon serve`: look at the URL, and at what stands between",
    )


def _class_of(status: int) -> type[GnomonError]:
    """What a status says where nothing else does."""
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return Denied
    if status in TRANSIENT:
        return Unavailable
    return UsageError if 400 <= status < 500 else GnomonError
