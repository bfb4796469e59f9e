"""`POST /get-online-features` and `GET /health`, as Feast 0.67's Python feature server speaks them; for its pushes see
`feast_push`.

An unmodified Feast client with `online_store: {type: remote, path: http://…}` reads from Gnomon. A feature view is
called what a group is, a feature reference is `group:feature`. Answers have Feast's form: one list of values for each
key column and feature, statuses `PRESENT`, `NULL_VALUE`, `NOT_FOUND`, `OUTSIDE_MAX_AGE`, and `INVALID` for what could
not be answered; times of features are whole seconds, as Feast has them, and an empty list is null, since its client can
read none. What does not exist is told in Feast's form too, so that its client raises its own errors; all else that is
wrong is a problem (RFC 9457).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
import polars as pl
from starlette.requests import Request
from starlette.responses import Response

from gnomon import interchange as values
from gnomon.errors import DataError, NotFound, UsageError
from gnomon.flows.answer import OnlineFeatures
from gnomon.flows.inputs import Inputs
from gnomon.serve import problems, wire
from gnomon.serve.openapi import JSON, Operation
from gnomon.serve.questions import Question
from gnomon.serve.routes.health import health
from gnomon.serve.served import Served
from gnomon.time import SECOND, instant, show, to_datetime
from gnomon.types import DType

NO_TIME = "1970-01-01T00:00:00Z"
"""What Feast tells for the time of keys, and of what was never there."""

_STATUSES = {
    "PRESENT": "PRESENT",
    "NULL": "NULL_VALUE",
    "NOT_FOUND": "NOT_FOUND",
    "EXPIRED": "OUTSIDE_MAX_AGE",
    "NOT_READY": "INVALID",
    "ERROR": "INVALID",
}
_VERSION = re.compile(r"@v(?=\d+(?::|$))")
"""Feast writes `view@v2:feature`, Gnomon `group@2:feature`."""
_FARTHEST = 10**11
"""Seconds, of year 5138: greater numbers do not count seconds."""
_WHOLE = re.compile(r"-?\d{1,19}")


class FeastQuestion(msgspec.Struct, frozen=True):
    """Feast's question for features. Fields of other releases of Feast are passed over, as its own server does."""

    entities: dict[str, list[Any]]
    """One list a key column; values that on-demand functions need may stand beside them."""
    feature_service: str | None = None
    features: list[str] = []
    """`group:feature`, in the place of a service."""
    full_feature_names: bool = False
    """Whether features are named `group__feature`."""
    include_feature_view_version_metadata: bool = False


class FeastVector(msgspec.Struct, frozen=True):
    """A key column or a feature, for each entity."""

    values: list[Any]
    statuses: list[str]
    event_timestamps: list[str]


class FeastView(msgspec.Struct, frozen=True):
    """A group that was read."""

    name: str
    version: int


class FeastMetadata(msgspec.Struct, frozen=True, omit_defaults=True):
    feature_names: list[str]
    """Of the results, in their order: first the key columns."""
    feature_view_metadata: list[FeastView] = []


class FeastAnswer(msgspec.Struct, frozen=True):
    """Feast's answer."""

    results: list[FeastVector]
    metadata: FeastMetadata


_question = msgspec.json.Decoder(FeastQuestion)
_encode = msgspec.json.Encoder().encode


def routes(served: Served) -> list[Operation]:
    async def ask(request: Request) -> Response:
        asked = wire.decode(_question, await request.body())
        choice = _choice(asked)
        try:
            question = served.questions.allowed(request.state.principal, choice, asked.full_feature_names)
        except NotFound as error:
            return _not_found(served, asked, error)
        _check_count(served, asked)
        found = await served.run(_ask, served, asked, question)
        return Response(_encode(_answer(asked, question, found)), media_type=JSON)

    async def alive(_: Request) -> Response:
        found = health(served)
        if found.status != "ok":
            raise problems.Refused(503, "Not ready", found.why or f"the worker is {found.status}")
        return Response()

    return [
        Operation(
            "POST",
            "/get-online-features",
            ask,
            "What features are worth, as Feast's clients ask",
            body=FeastQuestion,
            answer=FeastAnswer,
            action="read",
            tag="feast",
            description=__doc__ or "",
            also=((404, str),),
        ),
        Operation(
            "GET",
            "/health",
            alive,
            "Whether the worker can answer, as Feast's clients ask: an empty answer",
            tag="feast",
            answer_media=(),
        ),
    ]


def _choice(asked: FeastQuestion) -> str | list[str]:
    """The service or features, as Gnomon names them."""
    if asked.feature_service:
        if ":" in asked.feature_service:
            raise UsageError(f"`{asked.feature_service}` is no service", at="$.feature_service")
        return _VERSION.sub("@", asked.feature_service)
    if not asked.features:
        raise UsageError(
            "no features asked for",
            at="$",
            hint='give "features": ["group:feature"] or "feature_service": "name"',
        )
    return [_VERSION.sub("@", ref) for ref in asked.features]


def _check_count(served: Served, asked: FeastQuestion) -> None:
    """Raises: DataError for columns of different length, or without a value; Refused for too many."""
    lengths = {name: len(column) for name, column in asked.entities.items()}
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"{name}: {n}" for name, n in lengths.items())
        raise DataError(f"the entity columns differ in length ({shown})", at="$.entities")
    n = max(lengths.values(), default=1)
    if not n:
        raise DataError("no entities are asked about", at="$.entities", hint='such as {"user": [1]}')
    if n > served.settings.entities_limit:
        raise problems.Refused(
            413,
            "Too many entities",
            f"{n:,} entities are more than the {served.settings.entities_limit:,} that are taken",
            at="$.entities",
            hint="ask in smaller batches, or raise `entities_limit` of [serve] in gnomon.toml",
        )


def _ask(served: Served, asked: FeastQuestion, question: Question) -> OnlineFeatures:
    entities, request = read_columns(asked.entities, question.inputs)
    return served.store.get_online_features(
        question.features, entities, request=request, full_names=question.full_names
    )


def read_columns(
    given: Mapping[str, list[Any]], inputs: Inputs
) -> tuple[dict[str, list[Any]] | list[dict[str, Any]], dict[str, list[Any]] | None]:
    """Keys and request values with the values that Python has for them; other columns are passed over, as Feast does.

    Raises: DataError for a key column that is missing, or a value that its type does not have.
    """
    missing = [name for name in inputs.keys if name not in given]
    if missing:
        raise _incomplete(missing, inputs, given)
    keys = {name: _read(given[name], name, dtype) for name, dtype in inputs.keys.items()}
    request = {
        name: _read(given[name], name, dtype) for name, dtype in inputs.request.items() if name in given
    }
    if keys:
        return keys, request or None
    return [{}] * max(map(len, given.values()), default=1), request or None


def _incomplete(missing: list[str], inputs: Inputs, given: Mapping[str, list[Any]]) -> DataError:
    """A key is never guessed, nor answered by a part of it: that would be another key's value."""
    listed = ", ".join(f"`{name}`" for name in missing)
    there = [name for name in inputs.keys if name in given]
    if there:
        return DataError(
            f"the key has the columns {', '.join(f'`{name}`' for name in inputs.keys)}, and {listed} "
            f"{'is' if len(missing) == 1 else 'are'} missing",
            at="$.entities",
            hint="some calls of Feast's client send only the first column of a composite key, and then there is no "
            "telling whose values are meant: use `get_online_features` with whole rows, or POST /v1/online-features",
        )
    return DataError(
        f"the key column {listed} is missing",
        at="$.entities",
        hint=f"given: {', '.join(given) or 'no column'}; needed: {', '.join(inputs.keys)}",
    )


def _read(column: list[Any], name: str, dtype: DType) -> list[Any]:
    """A column as Python has it. As Feast does, whole numbers are also taken from text, and times from seconds."""
    if dtype.is_integer():
        return [int(v) if isinstance(v, str) and _WHOLE.fullmatch(v) else v for v in column]
    if isinstance(dtype, pl.Datetime):
        column = times_of_seconds(column)
        texts = [v if isinstance(v, str) else None for v in column]
        read = values.reader(dtype)
        assert read is not None
        made = values.read_column(texts, read, f"`{name}`", dtype)
        aware = dtype.time_zone is not None
        return [
            _zoned(v, aware) if text is None else m for v, m, text in zip(column, made, texts, strict=True)
        ]
    convert = values.reader(dtype)
    return column if convert is None else values.read_column(column, convert, f"`{name}`", dtype)


def times_of_seconds(column: list[Any]) -> list[Any]:
    """Whole numbers as times, in the seconds that Feast's `UnixTimestamp` counts; all else as it is."""
    return [to_datetime(v * SECOND) if type(v) is int and abs(v) < _FARTHEST else v for v in column]


def _zoned(value: Any, aware: bool) -> Any:
    return value.replace(tzinfo=None) if isinstance(value, datetime) and not aware else value


def _answer(asked: FeastQuestion, question: Question, found: OnlineFeatures) -> FeastAnswer:
    n, types = len(found), question.inputs.keys
    keys = [name for name in asked.entities if name in types]
    results = [
        FeastVector(_echo(asked.entities[name], types[name]), ["PRESENT"] * n, [NO_TIME] * n) for name in keys
    ]
    statuses = list(zip(*found.statuses, strict=True))
    times = list(zip(*found.event_times, strict=True))
    for i, (column, dtype) in enumerate(zip(found.columns, found.dtypes, strict=True)):
        results.append(
            FeastVector(
                _shown(column, dtype),
                [_STATUSES[status] for status in statuses[i]],
                [NO_TIME if t is None else stamp(t) for t in times[i]],
            )
        )
    views = []
    if asked.include_feature_view_version_metadata:
        parts = [ref.partition("@") for ref in question.groups]
        views = [FeastView(name, int(version or 1)) for name, _, version in parts]
    return FeastAnswer(results, FeastMetadata([*keys, *found.names], views))


def _echo(column: list[Any], dtype: DType) -> list[Any]:
    """A key column as it was understood."""
    return _read(column, "", dtype) if dtype.is_integer() else column


def _shown(column: list[Any], dtype: DType) -> list[Any]:
    """A feature's values as Feast writes them in JSON; an empty list as null, for its client fails on one."""
    if isinstance(dtype, pl.List):
        column = [value or None for value in column]
    if values.is_float(dtype):
        return values.written(column, values.float_text)
    if isinstance(dtype, pl.Datetime):
        return values.written(column, seconds)
    if isinstance(dtype, pl.List) and isinstance(dtype.inner, pl.Datetime):
        return values.written(column, lambda items: values.written(items, seconds))
    write = values.writer(dtype)
    return column if write is None else values.written(column, write)


def seconds(value: datetime) -> int:
    """Whole seconds since 1970: what Feast's `UnixTimestamp` can hold."""
    return instant(value) // SECOND


def stamp(value: datetime) -> str:
    """A time as protobuf writes it: a fraction of no, three or six digits."""
    whole, _, fraction = show(instant(value)).removesuffix("Z").partition(".")
    if fraction == "000000":
        return f"{whole}Z"
    return f"{whole}.{fraction.removesuffix('000')}Z"


def _not_found(served: Served, asked: FeastQuestion, error: NotFound) -> Response:
    """What Feast's client makes its own error of; a feature that a view does not have is told as a problem.

    Raises: the error, if it is of neither a service nor a view.
    """
    snapshot = served.store.registry.snapshot()
    if asked.feature_service:
        return feast_error(
            404, "FeatureServiceNotFoundException", f"Feature service {asked.feature_service}: {error.what}"
        )
    for ref in asked.features:
        name = _VERSION.sub("@", ref).partition(":")[0]
        try:
            snapshot.group(name)
        except NotFound as missing:
            hint = f" ({missing.hint})" if missing.hint else ""
            return feast_error(
                404, "FeatureViewNotFoundException", f"Feature view {name} does not exist{hint}"
            )
    raise error


def feast_error(status: int, kind: str, message: str) -> Response:
    """An error that Feast's client raises again as its own: text of JSON within JSON."""
    told = json.dumps({"module": "feast.errors", "class": kind, "message": message})
    return Response(_encode(told), status, media_type=JSON)
