"""ExternalSource: an HTTP service that is asked for features at the moment when they are wanted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from gnomon.define.base import Definition, Problems, pairs, put
from gnomon.define.source import options_of
from gnomon.time import SECOND, duration
from gnomon.types import as_dtype


@dataclass(frozen=True, repr=False, init=False)
class ExternalSource(Definition):
    """A service that is asked online, and whose answers are kept as rows of the group that reads it.

    `url` gets one POST for the keys of a question (docs/how-to/external.md tells its form). `schema`: columns of an
    answer beside those that the group's features name. `timeout`: how long a question waits for it. `headers`: sent
    with each request; what is secret is written as `${VARIABLE}`. After `open_after` failures in a row it is not
    asked for `open_for`, then once, to see whether it is back. `timestamp`: what the column of the instant is
    called at which it was asked.

    Raises: DefinitionError with all problems at once.
    """

    name: str
    url: str
    schema: tuple[tuple[str, Any], ...]
    timeout: int
    """Microseconds."""
    headers: tuple[tuple[str, str], ...]
    open_after: int
    open_for: int
    """Microseconds."""
    timestamp: str

    def __init__(
        self,
        name: str,
        url: str,
        *,
        schema: Mapping[str, Any] | tuple[tuple[str, Any], ...] = (),
        timeout: str | timedelta | int = "100ms",
        headers: Mapping[str, str] | tuple[tuple[str, str], ...] = (),
        open_after: int = 5,
        open_for: str | timedelta | int = "5s",
        timestamp: str = "asked_at",
    ) -> None:
        problems = Problems(f"external source {name}")
        problems.name(name)
        lengths = {}
        for field, value in (("timeout", timeout), ("open_for", open_for)):
            length = problems.attempt(duration, value, at=field)
            if length is not None and length <= 0:
                problems.add(f"`{field}` must be longer than nothing", at=field, hint='such as "100ms"')
            lengths[field] = length or SECOND
        if type(open_after) is not int or open_after < 1:
            problems.add(
                f"`open_after` cannot be {open_after!r}", at="open_after", hint="a whole number from 1 on"
            )
        if urlsplit(str(url)).scheme not in ("http", "https"):
            problems.add(
                f"`{url}` is not the URL of a service", at="url", hint="such as https://fx.example/rates"
            )
        if not isinstance(timestamp, str) or not timestamp:
            problems.add("`timestamp` must name a column", at="timestamp")
        types = [
            (column, problems.attempt(as_dtype, dtype, at=f"schema[{column}]"))
            for column, dtype in pairs(schema, "schema", problems)
        ]
        put(
            self, name=name, url=str(url), schema=tuple(types), headers=options_of(headers, problems, "headers"),
            open_after=open_after, timestamp=timestamp, **lengths,
        )  # fmt: skip
        problems.done()
