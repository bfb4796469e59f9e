"""The access log is JSON lines, written a moment later; that nobody can write or read it stops nothing."""

from __future__ import annotations

import io
import json
import os
from datetime import UTC, datetime

from gnomon.serve import log as module
from gnomon.serve.log import AccessLog, Line

LINE = Line(datetime(2026, 1, 1, tzinfo=UTC), "id", "GET", "/livez", 200, 0.1)


def test_lines_are_json_and_leave_out_what_is_not_known():
    stream = io.BytesIO()
    log = AccessLog(stream)
    log.write(LINE)
    log.close()
    (line,) = stream.getvalue().splitlines()
    assert json.loads(line) == {
        "time": "2026-01-01T00:00:00Z",
        "request_id": "id",
        "method": "GET",
        "path": "/livez",
        "status": 200,
        "ms": 0.1,
    }


class Full(io.BytesIO):
    full = True

    def write(self, data) -> int:
        if self.full:
            self.full = False
            raise OSError(28, "No space left on device")
        return super().write(data)


def test_what_could_not_be_written_is_told_by_the_next_line(monkeypatch):
    monkeypatch.setattr(module, "_EVERY", 0.01)
    stream = Full()
    log = AccessLog(stream)
    log.write(LINE)
    while stream.full:
        pass
    log._thread.join(0.1)  # counted right after it was refused
    log.write(LINE)
    log.close()
    assert json.loads(stream.getvalue())["dropped"] == 1


def test_a_pipe_that_nobody_reads_stops_nothing_and_what_was_dropped_is_told(monkeypatch):
    monkeypatch.setattr(module, "_EVERY", 0.001)
    monkeypatch.setattr(module, "_LAST", 0.1)
    monkeypatch.setattr(module, "_MOST", 500)
    reading, writing = os.pipe()
    log = AccessLog(os.fdopen(writing, "wb", buffering=0))
    for _ in range(5_000):
        log.write(LINE)  # far more than a pipe holds
    log.close()
    assert log._dropped > 0
    os.close(reading)  # whoever waits to write gets an error now
    log._thread.join(10)
    assert not log._thread.is_alive()
