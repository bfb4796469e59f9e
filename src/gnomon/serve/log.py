"""The access log: a line of JSON for each request, written in batches so that no request waits for it."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import BinaryIO

import msgspec

_EVERY = 0.2
"""Seconds between writes."""
_MOST = 10_000
"""Lines that are kept while nobody reads them; what comes then is counted and not written."""


class Line(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is told of a request."""

    time: datetime
    """When it was answered: RFC 3339 in UTC."""
    request_id: str
    method: str
    path: str
    status: int
    ms: float
    """How long it took, from its arrival on."""
    client: str = ""
    principal: str = ""
    """Who asked, where the server asks that."""
    service: str = ""
    """The service, or how many features."""
    entities: int = 0
    problem: str = ""
    """What was wrong."""
    dropped: int = 0
    """How many lines before this one were not written, because nobody read the log."""


class AccessLog:
    """Keeps lines, and writes them a moment later. `stream`: unbuffered; None: nothing is logged."""

    def __init__(self, stream: BinaryIO | None) -> None:
        self._stream = stream
        self._lines: list[Line] = []
        self._dropped = 0
        self._encode = msgspec.json.Encoder().encode_lines
        self._due: asyncio.TimerHandle | None = None

    @property
    def on(self) -> bool:
        return self._stream is not None

    def write(self, line: Line) -> None:
        """Tell of a request. Never waits, and never fails."""
        if self._stream is None:
            return
        if len(self._lines) >= _MOST:
            self._dropped += 1
            return
        if self._dropped:
            line = msgspec.structs.replace(line, dropped=self._dropped)
            self._dropped = 0
        self._lines.append(line)
        if self._due is None:
            self._due = asyncio.get_running_loop().call_later(_EVERY, self.flush)

    def flush(self) -> None:
        """Write what is kept."""
        self._due = None
        lines, self._lines = self._lines, []
        if lines and self._stream is not None:
            try:
                self._stream.write(self._encode(lines))
                self._stream.flush()
            except OSError:
                # A log that cannot be written must not stop answers; the next line that can says how many are missing.
                self._dropped += len(lines)
