"""Answers: a server's reply → the object that a store in this process would have given.

Few rows come as JSON with the types beside them, many as an Arrow stream. Both give the same Python values.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import msgspec
import polars as pl

from gnomon.client.call import ARROW, Reply
from gnomon.errors import CorruptValue, UsageError
from gnomon.flows.acks import PushAck, Rejected
from gnomon.flows.answer import Answered, OnlineFeatures
from gnomon.flows.inputs import Inputs
from gnomon.interchange import reader
from gnomon.online.statuses import STATUSES
from gnomon.time import ALWAYS, NEVER, instant, show
from gnomon.types import DType, as_dtype, parse_dtype

INCLUDE = ("statuses", "event_times", "errors", "types")
"""What is asked for beside the values, so that an answer tells what it tells in the server's process."""
BESIDE = 3
"""Columns that follow for each feature in an Arrow stream: status, event time, error."""
AT, REVISION = "gnomon-at", "gnomon-revision"
"""Headers that tell of an Arrow stream what JSON tells in fields."""

_CODES = {name: code for code, name in enumerate(STATUSES)}


class _Error(msgspec.Struct):
    row: int
    feature: str
    why: str


class _Online(msgspec.Struct):
    """What of an answer in JSON is read."""

    features: list[str]
    rows: list[list[Any]]
    at: str
    revision: int
    types: list[str]
    statuses: list[list[str]]
    event_times: list[list[str | None]]
    errors: list[_Error] = []


_decode = msgspec.json.Decoder(_Online).decode


def read_online(reply: Reply) -> OnlineFeatures:
    """An answer to `get_online_features`. Raises: CorruptValue for what is none."""
    try:
        return _of_arrow(reply) if reply.media == ARROW else _of_json(reply.body)
    except (msgspec.MsgspecError, pl.exceptions.PolarsError, KeyError, ValueError, UsageError) as error:
        raise unreadable(reply, error) from None


class _Rejected(msgspec.Struct):
    row: int
    reason: str


class _Push(msgspec.Struct):
    accepted: int
    rejected: list[_Rejected]
    duplicates: int
    id: int | None
    group: str
    online: bool


_decode_push = msgspec.json.Decoder(_Push).decode


def read_push(reply: Reply, rows: int) -> PushAck:
    """An answer to `push` of so many rows. Raises: CorruptValue for what is none."""
    try:
        given = _decode_push(reply.body)
    except msgspec.MsgspecError as error:
        raise unreadable(reply, error) from None
    rejected = tuple(Rejected(one.row, one.reason) for one in given.rejected)
    return PushAck(given.group, given.id, rows, given.accepted, given.duplicates, rejected, given.online)


class _Inputs(msgspec.Struct):
    keys: dict[str, str]
    request: dict[str, str]
    groups: tuple[str, ...]
    reads: tuple[str, ...]
    outputs: tuple[str, ...]
    revision: int
    waits: bool


_decode_inputs = msgspec.json.Decoder(_Inputs).decode


def read_inputs(reply: Reply) -> Inputs:
    """An answer to `inputs`. Raises: CorruptValue for what is none."""
    try:
        given = _decode_inputs(reply.body)
        keys, request = (
            {name: parse_dtype(text) for name, text in types.items()} for types in (given.keys, given.request)
        )
    except (msgspec.MsgspecError, UsageError) as error:
        raise unreadable(reply, error) from None
    return Inputs(keys, request, given.groups, given.reads, given.outputs, given.revision, given.waits)


def unreadable(reply: Reply, error: Exception) -> CorruptValue:
    """The error of an answer of status 200 that is none."""
    return CorruptValue(
        f"the answer, {len(reply.body):,} bytes of `{reply.media or 'no type'}`, cannot be read: {error}",
        hint="something between client and server may have answered, or the server is of another release",
    )


def _of_json(body: bytes) -> OnlineFeatures:
    given = _decode(body)
    dtypes = tuple(map(parse_dtype, given.types))
    read = [reader(dtype) for dtype in dtypes]
    columns = _turned(given.rows, len(dtypes))
    reasons: dict[str, dict[int, str]] = {name: {} for name in given.features}
    for one in given.errors:
        reasons[one.feature][one.row] = one.why
    return _made(
        given.features,
        dtypes,
        given.revision,
        given.at,
        [
            column if convert is None else [None if value is None else convert(value) for value in column]
            for column, convert in zip(columns, read, strict=True)
        ],
        _turned(given.statuses, len(dtypes)),
        [
            [None if text is None else instant(text) for text in column]
            for column in _turned(given.event_times, len(dtypes))
        ],
        list(reasons.values()),
    )


def _turned(rows: Sequence[Sequence[Any]], n: int) -> list[list[Any]]:
    """`n` columns of rows."""
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in range(n)]


def _of_arrow(reply: Reply) -> OnlineFeatures:
    """A stream of the features, and then of each its statuses, event times and errors."""
    columns = pl.read_ipc_stream(io.BytesIO(reply.body)).get_columns()
    n = len(columns) // (1 + BESIDE)
    features, beside = columns[:n], columns[n:]
    statuses, times, errors = (beside[i::BESIDE] for i in range(BESIDE))
    return _made(
        [column.name for column in features],
        tuple(as_dtype(column.dtype) for column in features),
        int(reply.headers[REVISION]),
        reply.headers[AT],
        [column.to_list() for column in features],
        [column.to_list() for column in statuses],
        [column.to_physical().to_list() for column in times],
        [
            {row: why for row, why in enumerate(column) if why is not None}
            if column.null_count() < len(column)
            else {}
            for column in errors
        ],
    )


_ENDS = {show(end): end for end in (ALWAYS, NEVER)}


def _made(
    names: Sequence[str],
    dtypes: tuple[DType, ...],
    revision: int,
    at: str,
    columns: list[list[Any]],
    statuses: list[list[str]],
    times: list[list[int | None]],
    reasons: list[dict[int, str]],
) -> OnlineFeatures:
    """The answer, of which each feature is told alone: what groups they come from is not known here."""
    answered = [
        _told(column, [_CODES[status] for status in of], of_times, why)
        for column, of, of_times, why in zip(columns, statuses, times, reasons, strict=True)
    ]
    asked = _ENDS.get(at)
    moment = instant(at) if asked is None else asked
    return OnlineFeatures(tuple(names), revision, moment, columns, dtypes, answered, [0] * len(answered))


def _told(values: list[Any], codes: list[int], times: list[int | None], why: dict[int, str]) -> Answered:
    return Answered(
        [values],
        lambda: [codes],
        lambda: [ALWAYS if time is None else time for time in times],
        lambda: [why],
    )
