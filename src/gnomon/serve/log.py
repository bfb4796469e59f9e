"""The access log: a line of JSON for each request, written in batches by a thread, so that no request waits for it."""

from __future__ import annotations

import threading
from datetime import datetime
from io import BytesIO, RawIOBase

import msgspec

_EVERY = 0.2
"""Seconds between writes."""
_LAST = 1.0
"""Seconds that the end of a worker waits for the last lines."""
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
    """Keeps lines, and has a thread write them a moment later. `stream`: unbuffered; None: nothing is logged.

    Whoever should read the stream may have stopped: then the thread waits, and answers go on.
    """

    def __init__(self, stream: RawIOBase | BytesIO | None) -> None:
        self._stream = stream
        self._lines: list[Line] = []
        self._dropped = 0
        self._encode = msgspec.json.Encoder().encode_lines
        self._state = threading.Lock()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def on(self) -> bool:
        return self._stream is not None

    def write(self, line: Line) -> None:
        """Tell of a request. Never waits for whoever reads, and never fails."""
        if self._stream is None:
            return
        if self._thread is None:
            # Begun by the first request: by then the worker is the process that it will be.
            self._thread = threading.Thread(target=self._run, name="gnomon access log", daemon=True)
            self._thread.start()
        with self._state:
            if len(self._lines) >= _MOST:
                self._dropped += 1
                return
            if self._dropped:
                line = msgspec.structs.replace(line, dropped=self._dropped)
                self._dropped = 0
            self._lines.append(line)

    def close(self) -> None:
        """Write what is kept, if it can be written within a second."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join(_LAST)

    def _run(self) -> None:
        while not self._closing.wait(_EVERY):
            self._flush()
        self._flush()

    def _flush(self) -> None:
        with self._state:
            lines, self._lines = self._lines, []
        if lines and self._stream is not None:
            left = memoryview(self._encode(lines))
            try:
                while left:
                    left = left[self._stream.write(left) :]
            except OSError:
                # A log that cannot be written must not stop answers; the next line that can says how many are missing.
                with self._state:
                    self._dropped += len(lines)
