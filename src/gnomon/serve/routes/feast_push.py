"""`POST /push` and `POST /write-to-online-store`, as Feast's clients write.

A push source is called what a group that keeps its rows is. Rows come as columns; what is accepted is kept and online
when the answer comes, whatever `to` says but `offline`. A row that does not fit makes the answer a problem that tells
of it by its number; the others are taken all the same, and sending all of them again is safe.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec
import polars as pl
from starlette.requests import Request
from starlette.responses import Response

from gnomon.errors import DataError, NotFound, Problem
from gnomon.flows.push import Pushable
from gnomon.serve import wire
from gnomon.serve.openapi import Operation
from gnomon.serve.problems import Refused
from gnomon.serve.routes.feast import feast_error, times_of_seconds
from gnomon.serve.routes.push import read_rows
from gnomon.serve.served import Served
from gnomon.types import DType

Columns = dict[str, list[Any]]

_TOLD = 10
"""Rows that were not taken, of which a problem tells each."""


class FeastPush(msgspec.Struct, frozen=True):
    """Rows for a push source. Other fields of Feast's are passed over."""

    push_source_name: str
    """A group that keeps its rows."""
    df: Columns
    """One list a column."""
    to: Literal["online", "offline", "online_and_offline"] = "online"
    """`offline` keeps the rows until they are materialized; else they are kept and online at once."""


class FeastWrite(msgspec.Struct, frozen=True):
    """Rows for a feature view, as Feast's remote online store writes them."""

    feature_view_name: str
    """A group that keeps its rows."""
    df: Columns
    """One list a column: keys, features, `event_timestamp` for the group's own time column, and `created`, which is
    passed over: when a row came is known here."""


_push = msgspec.json.Decoder(FeastPush)
_write = msgspec.json.Decoder(FeastWrite)


def routes(served: Served) -> list[Operation]:
    async def push(request: Request) -> Response:
        asked = wire.decode(_push, await request.body())
        return await _take(served, request, asked.push_source_name, asked.df, offline=asked.to == "offline")

    async def write(request: Request) -> Response:
        asked = wire.decode(_write, await request.body())
        df = {name: column for name, column in asked.df.items() if name != "created"}
        return await _take(served, request, asked.feature_view_name, df, written=True)

    return [
        Operation(
            "POST",
            path,
            handler,
            summary,
            body=body,
            action="write",
            tag="feast",
            description=__doc__ or "",
            answer_media=(),
            also=((422, str),),
        )
        for path, handler, summary, body in (
            ("/push", push, "Take rows as Feast's clients push them: an empty answer", FeastPush),
            ("/write-to-online-store", write, "The same, as Feast's remote store writes them", FeastWrite),
        )
    ]


async def _take(
    served: Served, request: Request, name: str, df: Columns, *, offline: bool = False, written: bool = False
) -> Response:
    """Take the rows. `written`: the time column is called `event_timestamp`, whatever the group calls it."""
    try:
        target = await served.run(served.store.pushable, name)
    except NotFound as error:
        kind = "FeatureViewNotFoundException" if written else "PushSourceNotFoundException"
        return feast_error(422, kind, f"{error.what}" + (f" ({error.hint})" if error.hint else ""))
    request.state.principal.require("write", (target.group,))
    renamed = {"event_timestamp": target.times[0]} if written else {}
    rows = rows_of({renamed.get(name, name): column for name, column in df.items()}, target.columns)
    await served.run(_taken, served, target, rows, offline)
    return Response()


def rows_of(df: Columns, types: Mapping[str, DType]) -> list[dict[str, Any]]:
    """Rows of a table that came as columns, times also as seconds. Raises: DataError where columns differ in length."""
    lengths = {name: len(column) for name, column in df.items()}
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"{name}: {n}" for name, n in lengths.items())
        raise DataError(f"the columns differ in length ({shown})", at="$.df")
    columns = [
        times_of_seconds(column) if isinstance(types.get(name), pl.Datetime) else column
        for name, column in df.items()
    ]
    return [dict(zip(df, values, strict=True)) for values in zip(*columns, strict=True)]


def _taken(served: Served, target: Pushable, given: list[dict[str, Any]], offline: bool) -> None:
    """Raises: NotTaken for rows that do not fit, after the others were taken."""
    rows, numbers, refused = read_rows(given, target)
    if offline:
        # All or none, as Feast does it: an insert takes no row where one does not fit.
        if refused:
            raise not_taken(refused, len(given), 0)
        served.store.insert(target.group, rows)
        return
    ack = served.store.push(target.group, rows)
    refused |= {numbers[one.row]: one.reason for one in ack.rejected}
    if refused:
        raise not_taken(refused, len(given), ack.accepted + ack.duplicates)


def not_taken(refused: Mapping[int, str], given: int, taken: int) -> Refused:
    """The problem of rows that do not fit; further ones are told beside the first."""
    error = Refused(
        422,
        "Rows that do not fit",
        f"{len(refused):,} of {given:,} rows do not fit, {taken:,} are taken",
        at="$.df",
        hint="mend them, and send all again: rows that are there already change nothing",
    )
    told = [Problem(f"row {row}: {refused[row]}", f"$.df row {row}") for row in sorted(refused)[:_TOLD]]
    error.problems = (*error.problems, *told)
    return error
