"""Reply: an answer as bytes, for the routes that are too quick for a framework, and for problems."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import msgspec

from gnomon.errors import GnomonError
from gnomon.serve import problems

_encode = msgspec.json.Encoder().encode


@dataclass(slots=True)
class Reply:
    """An answer, with what the log and the metrics tell of it."""

    body: bytes
    media: str = "application/json"
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    service: str = ""
    entities: int = 0
    problem: str = ""
    statuses: Counter[str] | None = None
    """How many values have which status, of answers that are looked at for the metrics."""


def of_error(error: GnomonError, request_id: str) -> Reply:
    """The answer that tells of an error."""
    told = problems.problem_of(error, request_id)
    return Reply(
        _encode(told),
        problems.MEDIA,
        told.status,
        problems.headers_of(error),
        problem=f"{told.type}: {told.detail}",
    )


def of_mistake(error: Exception, request_id: str) -> Reply:
    """The answer to a mistake of ours."""
    told = problems.unexpected(request_id)
    return Reply(_encode(told), problems.MEDIA, told.status, problem=f"{type(error).__name__}: {error}")
