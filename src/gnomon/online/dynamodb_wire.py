"""The way to a DynamoDB: items by name, whatever went wrong as one of our errors.

Many items go in batches, several at the same time. What the service is too busy for it says, and is asked again: after
a random time that grows, until `timeout` has passed without progress.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    ConnectTimeoutError,
    HTTPClientError,
    NoCredentialsError,
    ReadTimeoutError,
    SSLError,
)

from gnomon.abc.online import closed
from gnomon.errors import Unavailable, UsageError
from gnomon.online.dynamodb_items import Item
from gnomon.online.dynamodb_url import Settings
from gnomon.time import SECOND, instant, monotonic, sleep

T = TypeVar("T")
R = TypeVar("R")

# What the service takes in one request.
_GET, _WRITE = 100, 25

# Requests of one caller that are under way at a time, and connections that stay for the next ones.
_PARALLEL = 16

# How long to wait for a table that is being made: seconds, as a rule.
_MAKING = 120.0

_BUSY = frozenset(
    (
        "InternalServerError",
        "LimitExceededException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ServiceUnavailable",
        "ThrottlingException",
        "TransactionConflictException",
        "TransactionInProgressException",
    )
)
"""Refusals that pass by themselves."""

_NOT_LET_IN = frozenset(
    (
        "AccessDeniedException",
        "ExpiredTokenException",
        "IncompleteSignatureException",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "MissingAuthenticationTokenException",
        "UnrecognizedClientException",
    )
)


class Missing(Exception):
    """A table of the service that is not there, or not yet."""


class Lost(Exception):
    """A condition does not hold: somebody else wrote in between."""


class Wire:
    """One DynamoDB. Thread- and fork-safe; the first request connects."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._open = True
        # By process: neither the connections nor the threads of a parent are a child's.
        self._clients: dict[int, Any] = {}
        self._pools: dict[int, ThreadPoolExecutor] = {}

    # ---- items

    def get(self, wanted: Mapping[str, Iterable[bytes]]) -> dict[str, dict[bytes, Item]]:
        """Return the items there are, by table and name. Each is as of some moment during the call.

        Raises: Missing, if one of the tables is.
        """
        pairs = [(table, name) for table, names in wanted.items() for name in dict.fromkeys(names)]
        found: dict[str, dict[bytes, Item]] = {table: {} for table in wanted}
        for table, item in (one for batch in self.each(self._get, _cut(pairs, _GET)) for one in batch):
            found[table][item["k"]["B"]] = item
        return found

    def _get(self, pairs: Sequence[tuple[str, bytes]]) -> list[tuple[str, Item]]:
        asked: dict[str, dict[str, Any]] = {}
        for table, name in pairs:
            asked.setdefault(table, {"ConsistentRead": True, "Keys": []})["Keys"].append({"k": {"B": name}})
        found: list[tuple[str, Item]] = []
        patience = _Patience(self._settings)
        while asked:
            reply = self.call("batch_get_item", RequestItems=asked)
            got = [(table, item) for table, items in reply["Responses"].items() for item in items]
            found += got
            # The options are ours again: some services leave them out of what is left.
            left = reply.get("UnprocessedKeys") or {}
            asked = {
                table: {"ConsistentRead": True, "Keys": request["Keys"]} for table, request in left.items()
            }
            if asked:
                patience.wait("reads are throttled", progress=bool(got))
        return found

    def write_many(self, table: str, items: Sequence[Item]) -> None:
        """Write items of different names, whatever is there, several batches at the same time."""
        self.each(lambda batch: self.write(table, batch), _cut(items, _WRITE))

    def write(self, table: str, items: Sequence[Item]) -> None:
        """Write items of different names, whatever is there."""
        for batch in _cut(items, _WRITE):
            self._write_batch(table, [{"PutRequest": {"Item": item}} for item in batch])

    def remove(self, table: str, names: Sequence[bytes]) -> None:
        """Remove items of different names, whatever is there."""
        for batch in _cut(names, _WRITE):
            self._write_batch(table, [{"DeleteRequest": {"Key": {"k": {"B": name}}}} for name in batch])

    def _write_batch(self, table: str, requests: Sequence[Any]) -> None:
        patience = _Patience(self._settings)
        while requests:
            reply = self.call("batch_write_item", RequestItems={table: requests})
            left = (reply.get("UnprocessedItems") or {}).get(table, [])
            if left:
                patience.wait("writes are throttled", progress=len(left) < len(requests))
            requests = left

    def scan(self, table: str, attributes: str | None = None) -> Iterator[list[Item]]:
        """Iterate over pages of all items; `attributes` names those to return, else all."""
        options: dict[str, Any] = {} if attributes is None else {"ProjectionExpression": attributes}
        while True:
            reply = self.call("scan", TableName=table, ConsistentRead=True, **options)
            yield reply["Items"]
            if not (start := reply.get("LastEvaluatedKey")):
                return
            options["ExclusiveStartKey"] = start

    # ---- tables

    def make_table(self, table: str) -> None:
        """Make a table, if there is none, and wait until it can be used."""
        with suppress(Lost):  # somebody else makes it, or has
            self.call(
                "create_table",
                TableName=table,
                AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "B"}],
                KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
                BillingMode="PAY_PER_REQUEST",
            )
        end, pause = monotonic() + _MAKING, 0.05
        while not self.has_table(table):
            if monotonic() > end:
                raise Unavailable(f"in {self._settings.shown}, the table `{table}` does not get ready")
            sleep(pause)
            pause = min(2 * pause, 2.0)

    def has_table(self, table: str) -> bool:
        """Whether a table can be used."""
        try:
            state = self.call("describe_table", TableName=table)["Table"]["TableStatus"]
        except Missing:
            return False
        return state in ("ACTIVE", "UPDATING")

    def drop_table(self, table: str) -> None:
        """Remove a table with all that it holds; one that is not there is ignored."""
        with suppress(Missing, Lost):  # gone, or going already
            self.call("delete_table", TableName=table)

    def server_time(self) -> int:
        """The instant that the service's clock tells, in the middle of the second that it gives."""
        reply = self.call("list_tables", Limit=1)
        told = parsedate_to_datetime(reply["ResponseMetadata"]["HTTPHeaders"]["date"])
        return instant(told) + SECOND // 2

    # ---- requests

    def each(self, do: Callable[[T], R], works: Sequence[T]) -> list[R]:
        """Call `do` for each, several at a time; raise what any of them raised, when all have ended.

        Not from within `do`: threads that wait for threads would wait for ever.
        """
        if len(works) <= 1:
            return [do(work) for work in works]
        running = [self._pool().submit(do, work) for work in works]
        errors = [error for one in running if (error := one.exception()) is not None]
        if errors:
            raise errors[0]
        return [one.result() for one in running]

    def call(self, operation: str, **arguments: Any) -> dict[str, Any]:
        """Ask the service, until it is not too busy.

        Raises: Missing; Lost; Unavailable, or UsageError for what it refuses for good.
        """
        patience = _Patience(self._settings)
        while True:
            try:
                reply: dict[str, Any] = getattr(self._client(), operation)(**arguments)
            except ClientError as error:
                code = error.response["Error"]["Code"]
                if code not in _BUSY and error.response["ResponseMetadata"]["HTTPStatusCode"] < 500:
                    raise _refusal(error, code, self._settings) from error
                patience.wait(str(error))
            except BotoCoreError as error:
                raise _failure(error, self._settings) from error
            else:
                return reply

    def require_open(self) -> None:
        if not self._open:
            raise closed(f"the store in {self._settings.shown}")

    def _client(self) -> Any:
        self.require_open()
        client = self._clients.get(os.getpid())
        if client is None:
            # Two threads may each make one; the first to be kept is everybody's.
            client = self._clients.setdefault(os.getpid(), _connected(self._settings))
        return client

    def _pool(self) -> ThreadPoolExecutor:
        pool = self._pools.get(os.getpid())
        if pool is None:
            pool = self._pools.setdefault(os.getpid(), ThreadPoolExecutor(_PARALLEL, "gnomon-dynamodb"))
        return pool

    def close(self) -> None:
        self._open = False
        # What is a parent's stays referenced and untouched.
        if (pool := self._pools.pop(os.getpid(), None)) is not None:
            pool.shutdown()
        if (client := self._clients.pop(os.getpid(), None)) is not None:
            client.close()


class _Patience:
    """Waits before a request is made again, longer each time, and at last no more."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._tries = 0
        self._end = monotonic() + settings.timeout

    def wait(self, why: str, *, progress: bool = False) -> None:
        """Raises: Unavailable, if there was no progress for as long as one is to wait."""
        now = monotonic()
        if progress:
            self._tries, self._end = 0, now + self._settings.timeout
        if now >= self._end:
            raise Unavailable(
                f"{self._settings.shown} is too busy: {why}",
                at="online.url",
                hint="try again, with less at a time; `timeout` in the URL is how many seconds to wait",
            )
        # Random, so that those who were refused together do not come back together.
        sleep(random.uniform(0, min(0.025 * 2**self._tries, 1.0)))
        self._tries += 1


def _cut(things: Sequence[T], size: int) -> list[Sequence[T]]:
    return [things[start : start + size] for start in range(0, len(things), size)]


def _connected(settings: Settings) -> Any:
    """A client. It connects when it is used; what it is configured with may be wrong before.

    A session each: making two clients of one at the same time is not safe.
    """
    config = Config(
        connect_timeout=settings.timeout,
        read_timeout=settings.timeout,
        retries={"total_max_attempts": 1},  # we try again ourselves, knowing what may have happened
        max_pool_connections=4 * _PARALLEL,
    )
    try:
        session = boto3.session.Session(profile_name=settings.profile, region_name=settings.region)
        return session.client("dynamodb", endpoint_url=settings.endpoint, config=config)
    except BotoCoreError as error:
        raise _failure(error, settings) from error


def _refusal(error: ClientError, code: str, settings: Settings) -> Exception:
    """What is raised for a request that the service understood and does not do."""
    if code in ("ResourceNotFoundException", "TableNotFoundException"):
        return Missing(str(error))
    if code in ("ConditionalCheckFailedException", "TransactionCanceledException", "ResourceInUseException"):
        return Lost(str(error))
    if code in _NOT_LET_IN:
        return UsageError(
            f"{settings.shown} does not let us in: {error}",
            at="online.url",
            hint="check the credentials, their region, and what they may do",
        )
    return UsageError(f"{settings.shown} refuses: {error}", at="online.url")


def _failure(error: BotoCoreError, settings: Settings) -> Exception:
    """What is raised for a request that did not come to the service, or whose answer did not come back."""
    if isinstance(error, SSLError):
        return UsageError(
            f"{settings.shown} and we do not agree on TLS: {error}",
            at="online.url",
            hint="AWS_CA_BUNDLE names a file of authorities to trust",
        )
    if isinstance(error, (ReadTimeoutError, ConnectTimeoutError)):
        return Unavailable(
            f"{settings.shown} does not answer in time: {error}",
            at="online.url",
            hint="try again; `timeout` in the URL is how many seconds to wait",
        )
    if isinstance(error, (HTTPClientError, ConnectionError)):
        return Unavailable(
            f"{settings.shown} cannot be reached: {error}",
            at="online.url",
            hint="is it running? Trying again may work",
        )
    hint = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, ~/.aws, or the machine's role"
    if not isinstance(error, NoCredentialsError):
        hint = "`region` and `profile` in the URL, AWS_REGION and ~/.aws/config"
    return UsageError(f"{settings.shown} cannot be asked: {error}", at="online.url", hint=hint)
