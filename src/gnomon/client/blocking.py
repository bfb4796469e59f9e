"""The blocking client: each method is a call, asked until it is answered or time is up."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from gnomon.client import calls
from gnomon.client.call import Call, Reply
from gnomon.client.connection import connect, new_request_id
from gnomon.client.contract import ServedContract
from gnomon.client.definitions import ServedRegistry
from gnomon.client.retry import RETRIES, TIMEOUT, TRAINING_TIMEOUT, Trial
from gnomon.client.training import Training
from gnomon.errors import UsageError
from gnomon.flows.acks import PushAck
from gnomon.flows.answer import OnlineFeatures
from gnomon.flows.inputs import Inputs
from gnomon.registry.registry import Registry
from gnomon.time import sleep

if TYPE_CHECKING:
    import httpx2

T = TypeVar("T")


class Client:
    """The features of a server, asked as those of a store in this process: the same methods, answers and errors.

    `url`: where `gnomon serve` answers. `token`: an API key or a bearer token; without one, the environment's
    `GNOMON_TOKEN`. `timeout`: seconds for one call with all its tries; `training_timeout`: for a training set.
    `retries`: tries after the first, on connections that fail and on statuses that pass (408, 429, 502, 503, 504); 0
    for none. `connections`: how many may be open. `verify`: a file of certificates to trust, an SSL context, or False
    to trust any. `headers`: go with every request.

    It may be shared by threads, and is safe to use after a fork. Use it as a context manager, or call `close`.
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
        self._client: httpx2.Client | None = self._open()
        self._registry = Registry(ServedRegistry(self.url, self._ask))

    def __repr__(self) -> str:
        return f"Client({self._connection.url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of connections. A second call does nothing."""
        if self._client is not None:
            self._client.close()
            self._client = None

    @property
    def url(self) -> str:
        """The server's address."""
        return self._connection.url

    @property
    def registry(self) -> Registry:
        """Definitions by revision, to be read: get, list, at, history. The objects are those that were applied."""
        return self._registry

    def get_online_features(
        self, features: Any, entities: Any, *, request: Any = None, at: Any = None, full_names: bool = False
    ) -> OnlineFeatures:
        """What each feature is worth now, for each entity, in the order asked: as `Store.get_online_features`.

        Raises: what the store raises there; Denied, Unavailable.
        """
        return self._ask(calls.online(features, entities, request, at, full_names))

    def get_historical_features(
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
        return self._ask(calls.historical(spine, features, timestamp, as_of, full_names, complete_until))

    def push(self, source: Any, rows: Any) -> PushAck:
        """Add rows to a group that keeps its rows, as `Store.push`: durable and online when it returns.

        source: the group or its name; rows: a list of dicts, or a frame. Pushing the same rows again changes nothing.
        Raises: what the store raises; Denied, Unavailable.
        """
        return self._ask(calls.push(source, rows))

    def inputs(self, features: Any, *, online: bool = False) -> Inputs:
        """What a question for `features` must bring, with types, as `Store.inputs`."""
        return self._ask(calls.inputs(features, online))

    def contract(self, service: Any) -> ServedContract:
        """What a service promises now, to be kept with a model: `.to_json()`, `.hash`."""
        return self._ask(calls.contract(service))

    def _ask(self, call: Call[T]) -> T:
        connection = self._connection
        trial, request_id = connection.trial(call), new_request_id()
        while True:
            seconds = trial.begin()
            try:
                reply = self._send(connection.request(call, seconds, request_id), trial)
            except connection.httpx.RequestError as error:
                wait: float | None = connection.after_error(error, trial)
            else:
                wait = connection.after_reply(call, reply, trial)
                if wait is None:
                    return call.read(reply)
            sleep(wait or 0.0)

    def _send(self, request: Mapping[str, Any], trial: Trial) -> Reply:
        """Send once. The body is read in pieces, so that one that trickles ends with the call's time too."""
        with self._opened().stream(**request) as response:
            body = bytearray()
            for piece in response.iter_bytes():
                body += piece
                trial.check()
            return self._connection.reply(response, bytes(body))

    def _opened(self) -> httpx2.Client:
        if self._client is None:
            raise UsageError(f"the client of {self.url} is closed", hint="open another one")
        if self._process != os.getpid():
            # A fork shares the connections: two processes would read each other's answers.
            self._client = self._open()
        return self._client

    def _open(self) -> httpx2.Client:
        self._process = os.getpid()
        made: httpx2.Client = self._connection.httpx.Client(**self._connection.options())
        return made
