"""Connection: a URL and credentials → what both clients need to send a call, and what follows from how it went.

The blocking client and the asynchronous one differ in nothing but how they wait.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import uuid4

from gnomon import plugins
from gnomon.client.call import Call, Reply
from gnomon.client.problems import REQUEST_ID, raise_problem
from gnomon.client.retry import TRANSIENT, Patience, Trial, asked_wait
from gnomon.errors import GnomonError, Unavailable, UsageError, counted

if TYPE_CHECKING:
    import httpx2

TOKEN = "GNOMON_TOKEN"
"""The variable of the environment that holds credentials where none are given."""

_KEPT_ALIVE = 15.0
"""Seconds for which an idle connection is kept: less than servers and load balancers keep theirs."""


@dataclass(frozen=True)
class Connection:
    """Where a client asks, and how."""

    url: str
    """Without a slash at its end."""
    patience: Patience
    long_patience: Patience
    """For training sets."""
    headers: Mapping[str, str] = field(repr=False)
    """That go with every request; credentials are among them."""
    connections: int
    verify: ssl.SSLContext | bool
    httpx: ModuleType = field(repr=False)

    def options(self) -> dict[str, Any]:
        """What httpx2's clients are made with."""
        limits = self.httpx.Limits(
            max_connections=self.connections,
            max_keepalive_connections=self.connections,
            keepalive_expiry=_KEPT_ALIVE,
        )
        return {"headers": self.headers, "limits": limits, "verify": self.verify}

    def trial(self, call: Call[Any]) -> Trial:
        """A call that begins now."""
        return Trial(self.long_patience if call.long else self.patience)

    def request(self, call: Call[Any], seconds: float, request_id: str) -> dict[str, Any]:
        """What httpx2's `stream` is called with."""
        headers = {"accept": call.accept, REQUEST_ID: request_id}
        if call.body is not None:
            headers["content-type"] = call.media
        return {
            "method": call.method,
            "url": self.url + call.path,
            "params": call.params or None,
            "content": call.body,
            "headers": headers,
            "timeout": seconds,
        }

    def reply(self, response: httpx2.Response, body: bytes) -> Reply:
        """What a response says, of which the body was read."""
        return Reply(response.status_code, response.headers, body)

    def after_reply(self, call: Call[Any], reply: Reply, trial: Trial) -> float | None:
        """None where it is an answer; else the seconds to wait before the next try.

        Raises: what the reply tells, where there is no further try.
        """
        if 200 <= reply.status < 300:
            return None
        passing = reply.status in TRANSIENT and not (call.long and reply.status == HTTPStatus.GATEWAY_TIMEOUT)
        wait = trial.pause(asked_wait(reply.headers.get("retry-after"))) if passing else None
        if wait is None:
            raise_problem(reply, self.url)
        return wait

    def after_error(self, error: httpx2.RequestError, trial: Trial) -> float:
        """The seconds to wait before the next try, where no reply came.

        Raises: UsageError for what will not go away by trying; Unavailable, where there is no further try.
        """
        if (lasting := self._lasting(error)) is not None:
            raise lasting from error
        wait = trial.pause()
        if wait is None:
            raise Unavailable(
                f"{self.url} cannot be reached: {_told(error)}",
                hint=f"tried {counted(trial.tries, 'time')}; is `gnomon serve` running there?",
            ) from error
        return wait

    def _lasting(self, error: httpx2.RequestError) -> GnomonError | None:
        """The error of what trying again does not mend; None for all else."""
        if isinstance(error, self.httpx.UnsupportedProtocol | self.httpx.LocalProtocolError):
            return UsageError(f"{self.url} cannot be asked: {_told(error)}")
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, ssl.SSLCertVerificationError):
                return UsageError(
                    f"the certificate of {self.url} is not trusted: {cause.verify_message}",
                    at="verify",
                    hint='verify="ca.pem" trusts the authority of that file',
                )
            cause = cause.__cause__ or cause.__context__
        return None


def _told(error: Exception) -> str:
    """What an error says, or its name, where it says nothing."""
    return str(error) or type(error).__name__


def new_request_id() -> str:
    """An id under which the server logs all tries of one call."""
    return uuid4().hex


def connect(
    url: str,
    *,
    token: str | None,
    timeout: float,
    training_timeout: float,
    retries: int,
    connections: int,
    verify: bool | str | Path | ssl.SSLContext,
    headers: Mapping[str, str] | None,
) -> Connection:
    """Read the arguments of a client. Nothing is opened.

    Raises: UsageError for what cannot be right; MissingDependency without httpx2.
    """
    httpx = plugins.require("httpx2", extra="client", purpose="a client of a server")
    if isinstance(connections, bool) or not isinstance(connections, int) or connections < 1:
        raise UsageError(f"`connections` cannot be {connections!r}", hint="give a whole number of at least 1")
    given = {name.lower(): value for name, value in (headers or {}).items()}
    credentials = os.environ.get(TOKEN) if token is None else token
    if credentials:
        given["authorization"] = f"Bearer {credentials}"
    given.setdefault("user-agent", _user_agent())
    if not all(
        isinstance(value, str) and value.isascii() and value.isprintable() for value in given.values()
    ):
        raise UsageError(
            "a header, or the token, holds what no header can", hint="is there a line's end in it?"
        )
    patience, long_patience = Patience(timeout, retries), Patience(training_timeout, retries)
    return Connection(read_url(url), patience, long_patience, given, connections, _context(verify), httpx)


def _user_agent() -> str:
    """What a server's log tells of the client: `gnomon/0.1.0`; of a source tree that is not installed, no version."""
    try:
        return f"gnomon/{version('gnomon')}"
    except PackageNotFoundError:
        return "gnomon/source"


def read_url(url: str) -> str:
    """The address of a server: scheme, host, and the path below which it is mounted.

    Raises: UsageError for anything else. User and password are not shown.
    """
    example = "such as `https://features.example.com` or `http://127.0.0.1:6566`"
    if not isinstance(url, str):
        raise UsageError(f"`{url!r}` is no URL of a server", hint=example)
    shown = plugins.redacted(url)
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise UsageError(f"`{shown}` is no URL of a server: {error}", hint=example) from None
    if parts.scheme not in ("http", "https") or not host:
        raise UsageError(f"`{shown}` is no URL of a server", hint=example)
    if parts.username is not None:
        raise UsageError(
            f"`{shown}` holds credentials", hint=f"give them as token=…, or in the environment as {TOKEN}"
        )
    if parts.query or parts.fragment:
        raise UsageError(f"`{shown}` has more than an address", hint=example)
    return url.rstrip("/")


def _context(verify: bool | str | Path | ssl.SSLContext) -> ssl.SSLContext | bool:
    """How certificates are checked. Raises: UsageError for a file that holds none."""
    if isinstance(verify, bool | ssl.SSLContext):
        return verify
    try:
        return ssl.create_default_context(cafile=str(verify))
    except OSError as error:  # ssl.SSLError is one
        raise UsageError(
            f"`{verify}` cannot be read as certificates: {error}", at="verify", hint="give a file in PEM form"
        ) from None
