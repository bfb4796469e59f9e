"""The asynchronous client: the methods of the blocking one, as coroutines."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from gnomon.abc.registry import Revision
from gnomon.client import calls
from gnomon.client.call import Call, Reply
from gnomon.client.connection import connect, new_request_id
from gnomon.client.contract import ServedContract
from gnomon.client.definitions import documents, head, history
from gnomon.client.retry import RETRIES, TIMEOUT, TRAINING_TIMEOUT, Trial
from gnomon.client.training import Training
from gnomon.define.collect import KINDS
from gnomon.errors import UsageError
from gnomon.flows.acks import PushAck
from gnomon.flows.answer import OnlineFeatures
from gnomon.flows.inputs import Inputs
from gnomon.registry.registry import kind_named
from gnomon.registry.snapshot import Snapshot

if TYPE_CHECKING:
    import httpx2

T = TypeVar("T")


class AsyncClient:
    """`gn.Client` for asyncio: the same arguments, methods and errors; what waits is awaited.

    It belongs to the event loop that it was first used in. Use it as `async with`, or await `close`.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        timeout: float = TIMEOUT,
        training_timeout: float = TRAINING_TIMEOUT,
        retries: int = RETRIES,
        connections: int = 100,
        verify: bool | str | Path | ssl.SSLContext = True,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._connection = connect(
            url,
            token=token,
            timeout=timeout,
            training_timeout=training_timeout,
            retries=retries,
            connections=connections,
            verify=verify,
            headers=headers,
        )
        self._client: httpx2.AsyncClient | None = self._open()
        self._registry = AsyncRegistry(self._ask)

    def __repr__(self) -> str:
        return f"AsyncClient({self._connection.url!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Let go of connections. A second call does nothing."""
        if self._client is not None:
            client, self._client = self._client, None
            await client.aclose()

    @property
    def url(self) -> str:
        """The server's address."""
        return self._connection.url

    @property
    def registry(self) -> AsyncRegistry:
        """Definitions by revision, to be read: get, list, at, history. The objects are those that were applied."""
        return self._registry

    async def get_online_features(
        self, features: Any, entities: Any, *, request: Any = None, at: Any = None, full_names: bool = False
    ) -> OnlineFeatures:
        """What each feature is worth now, for each entity, in the order asked: as `Store.get_online_features`.

        Raises: what the store raises there; Denied, Unavailable.
        """
        return await self._ask(calls.online(features, entities, request, at, full_names))

    async def get_historical_features(
        self,
        spine: Any,
        features: Any,
        *,
        timestamp: str = "event_timestamp",
        as_of: Any = "known",
        full_names: bool = False,
        complete_until: Any = None,
    ) -> Training:
        """The spine with what each feature was worth at each row's time, as `Store.get_historical_features`.

        It is computed by the server, and here when this returns. Raises: what the store raises; Denied, Unavailable.
        """
        return await self._ask(
            calls.historical(spine, features, timestamp, as_of, full_names, complete_until)
        )

    async def push(self, source: Any, rows: Any) -> PushAck:
        """Add rows to a group that keeps its rows, as `Store.push`: durable and online when it returns.

        source: the group or its name; rows: a list of dicts, or a frame. Pushing the same rows again changes nothing.
        Raises: what the store raises; Denied, Unavailable.
        """
        return await self._ask(calls.push(source, rows))

    async def inputs(self, features: Any, *, online: bool = False) -> Inputs:
        """What a question for `features` must bring, with types, as `Store.inputs`."""
        return await self._ask(calls.inputs(features, online))

    async def contract(self, service: Any) -> ServedContract:
        """What a service promises now, to be kept with a model: `.to_json()`, `.hash`."""
        return await self._ask(calls.contract(service))

    async def _ask(self, call: Call[T]) -> T:
        connection = self._connection
        trial, request_id = connection.trial(call), new_request_id()
        while True:
            seconds = trial.begin()
            try:
                reply = await self._send(connection.request(call, seconds, request_id), trial)
            except connection.httpx.RequestError as error:
                wait: float | None = connection.after_error(error, trial)
            else:
                wait = connection.after_reply(call, reply, trial)
                if wait is None:
                    return call.read(reply)
            await asyncio.sleep(wait or 0.0)

    async def _send(self, request: Mapping[str, Any], trial: Trial) -> Reply:
        """Send once. The body is read in pieces, so that one that trickles ends with the call's time too."""
        async with self._opened().stream(**request) as response:
            body = bytearray()
            async for piece in response.aiter_bytes():
                body += piece
                trial.check()
            return self._connection.reply(response, bytes(body))

    def _opened(self) -> httpx2.AsyncClient:
        if self._client is None:
            raise UsageError(f"the client of {self.url} is closed", hint="open another one")
        if self._process != os.getpid():
            # A fork shares the connections: two processes would read each other's answers.
            self._client = self._open()
        return self._client

    def _open(self) -> httpx2.AsyncClient:
        self._process = os.getpid()
        made: httpx2.AsyncClient = self._connection.httpx.AsyncClient(**self._connection.options())
        return made


class AsyncRegistry:
    """The registry of a server, as `Registry` tells of it; to be read, and awaited."""

    def __init__(self, ask: Callable[[Call[Any]], Awaitable[Any]]) -> None:
        self._ask = ask
        self._newest: Snapshot | None = None

    async def snapshot(self) -> Snapshot:
        """The newest revision. Read again only if there is a newer one."""
        newest = self._newest
        if newest is None or newest.revision != await self._ask(head()):
            self._newest = newest = Snapshot.of(await self._ask(documents()))
        return newest

    async def at(self, revision: int) -> Snapshot:
        """A revision of the past; 0 is the empty one. Raises: NotFound."""
        return Snapshot.of(await self._ask(documents(revision)))

    async def history(self) -> tuple[Revision, ...]:
        """All revisions, the newest first."""
        found: list[Revision] = []
        before: int | None = None
        while True:
            page, before = await self._ask(history(before))
            found += page
            if before is None:
                return tuple(found)

    async def get(self, kind: str, name: str) -> Any:
        """A definition: `await registry.get("group", "airport_weather")`. Raises: NotFound, UsageError."""
        return (await self.snapshot()).get(kind_named(kind), name)

    async def list(self, kind: str | None = None) -> tuple[Any, ...]:
        """All definitions of a kind, or of every kind."""
        snapshot = await self.snapshot()
        kinds = KINDS if kind is None else (kind_named(kind),)
        return tuple(definition for one in kinds for definition in snapshot.list(one))
