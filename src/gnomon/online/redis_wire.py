"""The way to a Redis: commands out, replies back, whatever went wrong as one of our errors.

Every command of a batch belongs to one hash tag, so that a cluster has it on one node. A batch goes out in one
piece and its commands run in order; several batches go out before the first reply is awaited.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias

import hiredis
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from gnomon.errors import Unavailable, UsageError
from gnomon.online.pool import Pool
from gnomon.online.redis_url import Settings

Command: TypeAlias = tuple[Any, ...]
"""The words of a command: bytes, texts and numbers."""

Reply: TypeAlias = Any

_TRANSIENT = (
    "LOADING",
    "READONLY",
    "OOM",
    "MISCONF",
    "MASTERDOWN",
    "CLUSTERDOWN",
    "TRYAGAIN",
    "BUSY",
    "NOREPLICAS",
)
"""How refusals begin that pass by themselves, or once somebody has looked after the server."""

_TRANSIENT_ERRORS = (
    redis.exceptions.BusyLoadingError,
    redis.exceptions.ClusterDownError,
    redis.exceptions.MasterDownError,
    redis.exceptions.OutOfMemoryError,
    redis.exceptions.ReadOnlyError,
    redis.exceptions.TryAgainError,
)
"""The same, where the driver took the word off the message."""


class Wire(Protocol):
    """What a store needs of its server or servers."""

    def run(self, tag: str, commands: Sequence[Command]) -> list[Reply]:
        """Run the commands of one hash tag and return their replies.

        Raises: Unavailable, or UsageError for what the server refuses for good. Some commands may have run.
        """

    def run_all(self, batches: Sequence[tuple[str, Sequence[Command]]]) -> list[list[Reply]]:
        """Run the commands of several hash tags, and return the replies of each."""

    def close(self) -> None:
        """Let go of all connections."""


class Server:
    """One Redis. All batches go over one connection, in one piece."""

    def __init__(self, settings: Settings) -> None:
        """No connection is opened before the first command."""
        self._what = settings.shown
        self._pool = connections(settings, *settings.hosts[0])

    def run(self, tag: str, commands: Sequence[Command]) -> list[Reply]:
        try:
            connection = self._pool.take()
            replies = exchange(connection, commands)
        except redis.RedisError as error:
            # The other connections lead to where this one led.
            self._pool.clear()
            raise translated(error, self._what) from error
        self._pool.give(connection)
        for reply in replies:
            if isinstance(reply, redis.RedisError):
                raise translated(reply, self._what) from reply
        return replies

    def run_all(self, batches: Sequence[tuple[str, Sequence[Command]]]) -> list[list[Reply]]:
        replies = iter(self.run("", [command for _, commands in batches for command in commands]))
        return [[next(replies) for _ in commands] for _, commands in batches]

    def close(self) -> None:
        self._pool.close()


def connections(settings: Settings, host: str, port: int) -> Pool[redis.Connection]:
    """Connections to one server or node."""
    options: dict[str, Any] = {
        "host": host,
        "port": port,
        "db": settings.database,
        "username": settings.username,
        "password": settings.password,
        "socket_timeout": settings.timeout,
        "socket_connect_timeout": settings.timeout,
        "socket_keepalive": True,
        # A command whose reply was lost may have run: whoever asked decides whether to ask again.
        "retry": Retry(NoBackoff(), 0),
        # The protocol in which nothing comes that was not asked for, so that an idle connection is silent.
        "protocol": 2,
    }
    kind: type[redis.Connection] = redis.Connection
    if settings.tls:
        kind = redis.SSLConnection
        options |= {"ssl_ca_certs": settings.ca, "ssl_certfile": settings.certificate}

    def connect() -> redis.Connection:
        connection = kind(**options)
        connection.connect()
        return connection

    return Pool(connect, _is_silent, redis.Connection.disconnect, what=f"the store in {settings.shown}")


def _is_silent(connection: redis.Connection) -> bool:
    """Whether nothing has come over an idle connection: neither data nor its end."""
    try:
        return not connection.can_read()
    except redis.RedisError:
        return False


def exchange(connection: redis.Connection, commands: Sequence[Command]) -> list[Reply]:
    """Send all commands in one piece and return their replies; one that is an error stands in its place."""
    send(connection, commands)
    return receive(connection, len(commands))


def send(connection: redis.Connection, commands: Sequence[Command]) -> None:
    # `hiredis` itself: the driver's way copies each argument list twice before it comes here.
    connection.send_packed_command([b"".join([hiredis.pack_command(command) for command in commands])])


def receive(connection: redis.Connection, count: int) -> list[Reply]:
    replies: list[Reply] = []
    try:
        for _ in range(count):
            try:
                replies.append(connection.read_response())
            except redis.ResponseError as error:
                replies.append(error)
    finally:
        if len(replies) < count:
            # What was asked and not answered would be the answer to the next question.
            connection.disconnect()
    return replies


def translated(error: redis.RedisError, what: str) -> Exception:
    """What a user is told instead of the driver's error."""
    text = str(error)
    lasting = (
        redis.AuthenticationError,
        redis.exceptions.AuthorizationError,
        redis.exceptions.NoPermissionError,
    )
    if isinstance(error, lasting) or text.startswith(("NOAUTH", "WRONGPASS", "NOPERM")):
        return UsageError(
            f"{what} does not let us in: {text}",
            at="online.url",
            hint="check the user, its password and what it may do",
        )
    if "certificate verify failed" in text or "WRONG_VERSION_NUMBER" in text:
        return UsageError(
            f"{what} and we do not agree on TLS: {text}",
            at="online.url",
            hint="`ca` in the URL names a file of authorities to trust; `redis://` is without TLS",
        )
    if isinstance(error, redis.TimeoutError):
        return Unavailable(
            f"{what} does not answer in time: {text}",
            at="online.url",
            hint="try again; `timeout` in the URL is how many seconds to wait",
        )
    if isinstance(error, _TRANSIENT_ERRORS) or text.startswith(_TRANSIENT):
        return Unavailable(
            f"{what} cannot do that just now: {text}", at="online.url", hint="look at its log, and try again"
        )
    if isinstance(error, redis.ConnectionError):
        return Unavailable(
            f"{what} cannot be reached: {text}", at="online.url", hint="is it running? Trying again may work"
        )
    if isinstance(error, redis.exceptions.AskError):
        return UsageError(f"{what} is a node of a cluster", at="online.url", hint="write `redis+cluster://`")
    if text.startswith("WRONGTYPE"):
        return UsageError(
            f"in {what} another program uses our keys: {text}",
            at="online.url",
            hint="choose another `prefix` in the URL",
        )
    return UsageError(f"{what} refuses: {text}", at="online.url")
