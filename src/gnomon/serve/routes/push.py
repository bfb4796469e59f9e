"""`POST /v1/push/{source}`: rows as they happen, durable and online when the answer comes."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from gnomon import interchange as values
from gnomon.flows.acks import PushAck
from gnomon.flows.push import Pushable
from gnomon.serve import frames, wire
from gnomon.serve.access import Principal
from gnomon.serve.openapi import ARROW, JSON, PARQUET, Operation
from gnomon.serve.served import Served

_decoder = msgspec.json.Decoder(wire.PushRequest)
_encode = msgspec.json.Encoder().encode


def routes(served: Served) -> list[Operation]:
    async def handler(request: Request) -> Response:
        source = request.path_params["source"]
        principal: Principal = request.state.principal
        with principal.looking("write", f"`{source}`"):
            target = await served.run(served.store.pushable, source)
        principal.require("write", (target.group,), behind=f"`{source}`")
        media = frames.media_of(dict(request.scope["headers"]))
        answer = await served.run(_push, served, target, await request.body(), media)
        return Response(_encode(answer), media_type=JSON)

    return [
        Operation(
            "POST",
            "/v1/push/{source}",
            handler,
            "Take rows as they happen into a group that keeps its rows",
            body=wire.PushRequest,
            answer=wire.PushAnswer,
            action="write",
            description="When it answers, what was accepted is durable and readable online. A row that does not fit is "
            "rejected by its number, and the others count. Sending the same rows again changes nothing, so that a push "
            "without an answer is simply sent again. As Arrow or Parquet, the body is the table of the rows.",
            body_media=(JSON, ARROW, PARQUET),
        )
    ]


def _push(served: Served, target: Pushable, body: bytes, media: str) -> wire.PushAnswer:
    if media != JSON:
        return _answer(served.store.push(target.group, frames.read_table(body, media)), None, {})
    rows, numbers, refused = read_rows(wire.decode(_decoder, body).rows, target)
    return _answer(served.store.push(target.group, rows), numbers, refused)


def read_rows(
    rows: list[dict[str, Any]], target: Pushable
) -> tuple[list[dict[str, Any]], list[int], dict[int, str]]:
    """Rows of JSON as Python has them, the number of each, and why others cannot be read, by number.

    Times stay text: whoever takes the rows reads a column of them at once.
    """
    readers = {
        name: read
        for name, dtype in target.columns.items()
        if name not in target.times and (read := values.reader(dtype)) is not None
    }
    if not readers:
        return rows, list(range(len(rows))), {}
    taken: list[dict[str, Any]] = []
    numbers: list[int] = []
    refused: dict[int, str] = {}
    for i, row in enumerate(rows):
        made = dict(row)
        for name, read in readers.items():
            value = made.get(name)
            if value is None:
                continue
            try:
                made[name] = read(value)
            except ValueError as error:
                refused[i] = f"`{name}` is {value!r}: {error}"
                break
        else:
            taken.append(made)
            numbers.append(i)
    return taken, numbers, refused


def _answer(ack: PushAck, numbers: list[int] | None, refused: dict[int, str]) -> wire.PushAnswer:
    told = {one.row if numbers is None else numbers[one.row]: one.reason for one in ack.rejected} | refused
    rejected = [wire.PushRejected(row, told[row]) for row in sorted(told)]
    return wire.PushAnswer(ack.accepted, rejected, ack.duplicates, ack.id, ack.source, ack.online)
