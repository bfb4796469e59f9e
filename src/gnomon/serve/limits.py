"""Limits: what a request may bring, and how long it may take to bring it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from starlette.requests import ClientDisconnect

from gnomon.serve import problems
from gnomon.serve.problems import Refused

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]


class Patience:
    """Ends the reading of bodies that do not come.

    A timer for each request would cost more than many an answer: those that read are noted down, and looked
    through now and then (`sweep`).
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._begun: dict[asyncio.Task[Any], float] = {}
        self._overdue: set[asyncio.Task[Any]] = set()

    async def read(self, receive: Receive) -> Message:
        """The next message. Raises: Refused, 408, if it does not come in time."""
        task = asyncio.current_task()
        assert task is not None
        self._begun[task] = asyncio.get_running_loop().time()
        try:
            return await receive()
        except asyncio.CancelledError:
            if task not in self._overdue:
                raise  # the server ends
            task.uncancel()
            raise problems.too_slow(self.seconds) from None
        finally:
            del self._begun[task]
            self._overdue.discard(task)

    def sweep(self) -> None:
        """End what has been read for too long."""
        latest = asyncio.get_running_loop().time() - self.seconds
        for task in [task for task, begun in self._begun.items() if begun < latest]:
            if task not in self._overdue:
                self._overdue.add(task)
                task.cancel()


def check_media(given: bytes | None, taken: tuple[str, ...]) -> None:
    """Raises: Refused, 415, if a body says that it is of another form than is taken. Saying nothing is no mistake."""
    if given is None or (given == b"application/json" and taken[0] == "application/json"):
        return
    media = given.decode("latin-1").partition(";")[0].strip().lower()
    if media not in taken:
        raise Refused(
            415,
            "No such form of body",
            f"a body of type `{media}` is not taken",
            at="Content-Type",
            hint=f"send {' or '.join(taken)}",
        )


def check_length(headers: Mapping[bytes, bytes], limit: int) -> None:
    """Raises: Refused, 413, if a body says that it is too long: before any of it is read."""
    length = headers.get(b"content-length", b"0")
    if length.isdigit() and int(length) > limit:
        raise problems.too_large(limit)


async def read_body(
    receive: Receive, headers: Mapping[bytes, bytes], limit: int, patience: Patience
) -> bytes:
    """The whole body. Raises: Refused for one that is too long or comes too slowly; ClientDisconnect."""
    check_length(headers, limit)
    message = await patience.read(receive)
    body: bytes = message.get("body", b"")
    if message.get("more_body", False):
        body = await _rest(limited(receive, limit - len(body), patience.seconds), body)
    elif message["type"] == "http.disconnect":
        raise ClientDisconnect
    if len(body) > limit:
        raise problems.too_large(limit)
    return body


async def _rest(receive: Receive, body: bytes) -> bytes:
    """What comes after the first part, with it."""
    parts = [body]
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(parts)


def limited(receive: Receive, limit: int, seconds: float) -> Receive:
    """`receive`, for so many bytes that come within so many seconds, counted from the first call on."""
    left = limit
    ended = False
    deadline: float | None = None

    async def receives() -> Message:
        nonlocal left, ended, deadline
        if ended:
            return await receive()  # waits for the client to go
        loop = asyncio.get_running_loop()
        if deadline is None:
            deadline = loop.time() + seconds
        try:
            async with asyncio.timeout_at(deadline):
                message = await receive()
        except TimeoutError:
            raise problems.too_slow(seconds) from None
        left -= len(message.get("body", b""))
        ended = not message.get("more_body", False)
        if left < 0:
            raise problems.too_large(limit)
        return message

    return receives
