"""The access log is JSON lines, written a moment later; a log that nobody can write stops nothing."""

from __future__ import annotations

import asyncio
import io
import json
from datetime import UTC, datetime

from gnomon.serve.log import AccessLog, Line

LINE = Line(datetime(2026, 1, 1, tzinfo=UTC), "id", "GET", "/livez", 200, 0.1)


def test_lines_are_json_and_leave_out_what_is_not_known():
    async def work() -> bytes:
        stream = io.BytesIO()
        log = AccessLog(stream)
        log.write(LINE)
        assert not stream.getvalue()
        log.flush()
        return stream.getvalue()

    (line,) = asyncio.run(work()).splitlines()
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
            raise OSError(28, "No space left on device")
        return super().write(data)


def test_what_could_not_be_written_is_told_by_the_next_line():
    async def work() -> bytes:
        stream = Full()
        log = AccessLog(stream)
        log.write(LINE)
        log.write(LINE)
        log.flush()
        stream.full = False
        log.write(LINE)
        log.flush()
        return stream.getvalue()

    assert json.loads(asyncio.run(work()))["dropped"] == 2
