"""What stands beside our server: ASGI applications in the same Granian, which do what nobody can leave out.

Run as `granian --interface asgi bench.apps:constant`. What an app needs it finds through the environment.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, MutableMapping
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import redis

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

ANSWER = "BENCH_ANSWER"
"""The file of the answer that `constant` gives."""
VALKEY = "BENCH_VALKEY"
"""The URL of the server that `mget` asks."""


class Asked(msgspec.Struct):
    entities: list[dict[str, int]]


_decode = msgspec.json.Decoder(Asked).decode
_values = msgspec.json.Decoder(list[float]).decode
_encode = msgspec.json.Encoder().encode


async def constant(scope: Message, receive: Receive, send: Send) -> None:
    """The body is read and the same bytes are sent, always."""
    await _respond(scope, receive, send, lambda _: _answer())


async def mget(scope: Message, receive: Receive, send: Send) -> None:
    """One MGET of the entities' rows, kept as JSON, and a JSON of them all. Blocking: one after another is the
    quickest where a processor is what lacks.
    """
    await _respond(scope, receive, send, _from_valkey)


def _from_valkey(body: bytes) -> bytes:
    keys = [b"%d" % entity["user_id"] for entity in _decode(body).entities]
    return _encode({"rows": [None if row is None else _values(row) for row in _client().mget(keys)]})


async def _respond(scope: Message, receive: Receive, send: Send, answer: Callable[[bytes], bytes]) -> None:
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    message = await receive()
    body: bytes = message.get("body", b"")
    while message.get("more_body", False):
        message = await receive()
        body += message.get("body", b"")
    made = answer(body) if body else b""  # who has no body only looks whether somebody is there
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(made))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": made})


@cache
def _answer() -> bytes:
    return Path(os.environ[ANSWER]).read_bytes()


@cache
def _client() -> redis.Redis:
    return redis.Redis.from_url(os.environ[VALKEY])
