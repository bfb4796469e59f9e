"""Problems: what went wrong → an answer that tells it (RFC 9457), and its status.

A handler raises an error of `gnomon.errors`, or `Refused` for what is wrong with the request as such.
"""

from __future__ import annotations

import re

import msgspec

from gnomon import errors
from gnomon.errors import GnomonError

MEDIA = "application/problem+json"

_WORDS = re.compile(r"(?<=[a-z])(?=[A-Z])|\s+")


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a client reads when its request could not be answered (RFC 9457)."""

    type: str
    """Which kind it is, as `urn:gnomon:not-found`: what programs look at."""
    title: str
    """The kind, in words."""
    status: int
    """The HTTP status."""
    detail: str
    """What was found, naming the object."""
    at: str | None = None
    """Where: a path in the request, or a place of the project."""
    hint: str | None = None
    """What to do now."""
    request_id: str | None = None
    """The request's id, by which the server's log tells of it."""
    more: list[str] = []
    """What else is wrong, where there is more than one thing."""


class Refused(GnomonError):
    """A request that the server does not take, for a reason of its own."""

    def __init__(
        self,
        status: int,
        title: str,
        detail: str,
        *,
        at: str | None = None,
        hint: str | None = None,
        retry_after: int | None = None,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        """`retry_after`: seconds after which trying again may work. `headers`: others that the answer needs."""
        super().__init__(detail, at=at, hint=hint)
        self.status = status
        self.title = title
        self.headers = headers if retry_after is None else (*headers, ("retry-after", str(retry_after)))


_STATUSES: tuple[tuple[type[GnomonError], int, str], ...] = (
    (errors.NotFound, 404, "Not found"),
    (errors.UsageError, 400, "Asked wrongly"),
    (errors.BreakingChange, 409, "Breaking change"),
    (errors.DefinitionError, 422, "Wrong definition"),
    (errors.DataError, 422, "Data that cannot be used"),
    (errors.Denied, 403, "Not allowed"),
    (errors.HorizonError, 422, "Before the horizon"),
    (errors.ComputeError, 422, "Cannot be computed"),
    (errors.Conflict, 409, "Conflict"),
    (errors.Gone, 410, "Gone"),
    (errors.MissingDependency, 501, "A package is not installed on the server"),
    (errors.Unavailable, 503, "Unavailable for now"),
    (errors.Stopped, 503, "Stopped half-way"),
    (errors.CorruptValue, 500, "Damaged data"),
)
"""Error → status and title. The first that fits counts."""

RETRY_AFTER = 1
"""Seconds after which a client may try again, where nothing better is known."""


def problem_of(error: GnomonError, request_id: str | None = None) -> Problem:
    """The problem that tells of an error."""
    status, title = _status(error)
    kind = title if isinstance(error, Refused) else type(error).__name__
    return Problem(
        type=f"urn:gnomon:{_WORDS.sub('-', kind).lower()}",
        title=title,
        status=status,
        detail=error.what,
        at=error.at,
        hint=error.hint,
        request_id=request_id,
        more=[str(one) for one in error.problems[1:]],
    )


def unexpected(request_id: str | None) -> Problem:
    """The problem of a mistake of ours: the log has the rest."""
    return Problem(
        type="urn:gnomon:unexpected",
        title="A mistake of the server",
        status=500,
        detail="the request could not be answered because of a mistake in gnomon",
        hint="the server's log tells more under this request id; please report it as an issue of the project",
        request_id=request_id,
    )


def headers_of(error: GnomonError) -> tuple[tuple[str, str], ...]:
    """The headers that an answer telling of an error needs besides its type."""
    if isinstance(error, Refused):
        return error.headers
    return (("retry-after", str(RETRY_AFTER)),) if _status(error)[0] == 503 else ()


def _status(error: GnomonError) -> tuple[int, str]:
    if isinstance(error, Refused):
        return error.status, error.title
    return next(
        ((status, title) for kind, status, title in _STATUSES if isinstance(error, kind)), (500, "Failed")
    )


def too_large(limit: int) -> Refused:
    """A body of more bytes than are taken."""
    return Refused(
        413,
        "Body too large",
        f"the body is longer than the {limit:,} bytes that are taken",
        hint="ask in smaller batches, or raise `body_limit` of [serve] in gnomon.toml",
    )


def too_slow(seconds: float) -> Refused:
    """A body that does not come."""
    return Refused(
        408,
        "Request timeout",
        f"the body did not arrive within {seconds:g} s",
        hint="send it at once",
        headers=(("connection", "close"),),
    )


def cut_off() -> Refused:
    """A body that ended too early, or is not in the pieces that it announces."""
    return Refused(
        400,
        "Broken body",
        "the body ended before it was whole",
        hint="send as many bytes as `content-length` says, or whole chunks",
        headers=(("connection", "close"),),
    )


def busy(what: str) -> Refused:
    """More at a time than is borne."""
    return Refused(
        503,
        "Too busy",
        what,
        hint="try again after `Retry-After` seconds; more workers or machines bear more",
        retry_after=RETRY_AFTER,
    )


def took_too_long(seconds: float) -> Refused:
    """Work that did not end in its time."""
    return Refused(
        504,
        "Timeout",
        f"the answer was not there after {seconds:g} s",
        hint="ask for less at once, or raise `timeout` of [serve] in gnomon.toml",
        retry_after=RETRY_AFTER,
    )
