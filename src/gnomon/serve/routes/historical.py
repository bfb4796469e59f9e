"""`POST /v1/historical-features`: a spine → the spine with its features, as a stream of Arrow.

The training set is computed before the first byte goes out, so that a mistake is still a problem; it then goes out
piece by piece, as the client takes it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

import msgspec
import polars as pl
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from gnomon import interchange as values
from gnomon.errors import DataError, UsageError
from gnomon.frames import to_polars
from gnomon.serve import frames, wire
from gnomon.serve.access import Principal
from gnomon.serve.openapi import ARROW, JSON, PARQUET, Operation, Parameter
from gnomon.serve.problems import Refused
from gnomon.serve.served import Served
from gnomon.types import DType, dtype_text

_AT_ONCE = 16_384
"""Rows of one piece of the answer."""
_BODIES = 8
"""How many times as long as other bodies a spine may be."""

_decoder = msgspec.json.Decoder(wire.HistoricalRequest)
_encode = msgspec.json.Encoder().encode

_PARAMETERS = (
    Parameter("service", "Of a spine in Arrow or Parquet: the service whose features are wanted"),
    Parameter(
        "features", "In its place: `group:feature`, several with commas between them, or the parameter again"
    ),
    Parameter(
        "timestamp", "The column of the spine that holds each row's time; `event_timestamp` if not said"
    ),
    Parameter("as_of", "`known` (if not said), `latest`, `served`, or an instant as RFC 3339"),
    Parameter("full_names", "Whether features are named `group__feature`", type=bool),
    Parameter("complete_until", "Until when the sources of labels are complete, as RFC 3339"),
)


def routes(served: Served) -> list[Operation]:
    async def handler(request: Request) -> Response:
        headers: dict[bytes, bytes] = dict(request.scope["headers"])
        media, principal = frames.media_of(headers), request.state.principal
        as_json = frames.wants_json(headers.get(b"accept"), media == JSON)
        body, query = await request.body(), request.query_params
        limit = served.settings.training_timeout
        frame = await served.run(_computed, served, principal, media, body, query, seconds=limit)
        if as_json:
            _check_small(served, len(frame), "the training set")
            return Response(await served.run(_as_json, frame), media_type=JSON)
        return StreamingResponse(_pieces(served, frame), media_type=ARROW)

    return [
        Operation(
            "POST",
            "/v1/historical-features",
            handler,
            "What features were worth at the time of each row of a spine",
            body=wire.HistoricalRequest,
            answer=wire.HistoricalAnswer,
            action="read",
            description="The spine comes as an Arrow stream or file, or as Parquet, with the rest in the query; or all "
            "of it as JSON, where it is small. The answer is an Arrow stream, or JSON where the body was JSON or "
            "`Accept` says so: the spine's rows in their order, their columns as they were, then the features.",
            parameters=_PARAMETERS,
            body_media=(JSON, ARROW, PARQUET),
            answer_media=(JSON, ARROW),
            body_limit=served.settings.body_limit * _BODIES,
            refusals=(406,),
        )
    ]


def _computed(
    served: Served, principal: Principal, media: str, body: bytes, query: QueryParams
) -> pl.DataFrame:
    """The training set. Raises: errors that become problems."""
    asked = wire.decode(_decoder, body) if media == JSON else asked_in(query)
    features = _chosen(asked.service, asked.features)
    inputs = principal.reading(features, lambda: served.store.inputs(features))
    if media == JSON:
        spine = read_spine(asked.spine, {**inputs.request, **inputs.keys})
        _check_small(served, len(spine), "the spine")
    else:
        spine = frames.read_table(body, media)
    found = served.store.get_historical_features(
        spine,
        features,
        timestamp=asked.timestamp,
        as_of=asked.as_of,
        full_names=asked.full_names,
        complete_until=asked.complete_until,
    )
    return found.to_polars()


def asked_in(query: QueryParams) -> wire.HistoricalRequest:
    """What a query asks for of a spine that is the body. Raises: UsageError for a parameter that there is not."""
    known = {one.name for one in _PARAMETERS}
    for name in query:
        if name not in known:
            raise UsageError(
                f"there is no parameter `{name}`", at="query", hint=f"known: {', '.join(sorted(known))}"
            )
    listed = [one.strip() for given in query.getlist("features") for one in given.split(",")]
    full = query.get("full_names", "false")
    if full not in ("true", "false"):
        raise UsageError(f"`full_names` is `{full}`", at="query", hint="true or false")
    return wire.HistoricalRequest(
        spine=[],
        service=query.get("service"),
        features=listed or None,
        timestamp=query.get("timestamp", "event_timestamp"),
        as_of=query.get("as_of", "known"),
        full_names=full == "true",
        complete_until=query.get("complete_until"),
    )


def _chosen(service: str | None, features: list[str] | None) -> str | list[str]:
    if (service is None) == (features is None):
        both = service is not None
        raise UsageError(
            "both a service and a list of features are given" if both else "no features asked for",
            hint="give `service`, or `features` as `group:feature`, one of the two",
        )
    return service if service is not None else features or []


def read_spine(
    given: list[dict[str, Any]] | dict[str, list[Any]], types: Mapping[str, DType]
) -> pl.DataFrame:
    """A spine out of JSON: keys and request values in their types, all else as it is.

    Raises: DataError naming column, row and value.
    """
    if isinstance(given, list):
        names = dict.fromkeys(name for row in given for name in row)
        for i, row in enumerate(given):
            missing = [name for name in names if name not in row]
            if missing:
                raise DataError(
                    f"row {i} of the spine has no `{missing[0]}`, which other rows have", at=f"$.spine[{i}]"
                )
        given = {name: [row[name] for row in given] for name in names}
    readers = {name: values.reader(types[name]) for name in given if name in types}
    columns = {
        name: column
        if (read := readers.get(name)) is None
        else values.read_column(column, read, f"the spine's column `{name}`", types[name])
        for name, column in given.items()
    }
    return to_polars(columns, "spine")


def _check_small(served: Served, rows: int, what: str) -> None:
    limit = served.settings.entities_limit
    if rows > limit:
        raise Refused(
            413,
            "Too many rows",
            f"{what} has {rows:,} rows, and JSON is for {limit:,}",
            hint=f"send the spine as Arrow or Parquet, with `Accept: {ARROW}`",
        )


def _as_json(frame: pl.DataFrame) -> bytes:
    columns = [_written(frame[name]) for name in frame.columns]
    types = [dtype_text(dtype) for dtype in frame.dtypes]
    rows: list[list[Any]] = [list(row) for row in zip(*columns, strict=True)]
    return _encode(wire.HistoricalAnswer(frame.columns, types, rows))


def _written(column: pl.Series) -> list[Any]:
    write = values.float_text if values.is_float(column.dtype) else values.writer(column.dtype)
    return column.to_list() if write is None else values.written(column.to_list(), write)


async def _pieces(served: Served, frame: pl.DataFrame) -> AsyncIterator[bytes]:
    """The answer, each piece made when the one before was sent."""
    pieces = frames.arrow_pieces(frame, _AT_ONCE)
    while (piece := await served.run(_next, pieces)) is not None:
        yield piece


def _next(pieces: Iterator[bytes]) -> bytes | None:
    return next(pieces, None)
