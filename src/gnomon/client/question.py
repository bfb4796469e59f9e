"""Question: what a user gives to a client → what stands in a request.

Features become names, frames become columns, and Python's values become JSON that keeps their bits (see
`gnomon.interchange`). What is wrong with them is said by the server, in the words of a store in this process; here
only that is refused which cannot be sent.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import numpy as np
import polars as pl

from gnomon.define.group import FeatureGroup, Role, Selection
from gnomon.define.ondemand import OnDemand
from gnomon.define.service import FeatureService
from gnomon.define.source import FileSource, SQLSource
from gnomon.errors import DataError, UsageError, counted, type_of
from gnomon.frames import to_polars
from gnomon.interchange import float_text
from gnomon.plan.keys import check_whole
from gnomon.time import argument, show

Features = dict[str, Any]
"""`{"service": …}` or `{"features": […]}`."""

_MICROSECOND = timedelta(microseconds=1)
_encode = msgspec.json.Encoder().encode


def encode(document: Mapping[str, Any]) -> bytes:
    """A request's body. Raises: DataError for a value that JSON cannot hold."""
    try:
        return _encode(document)
    except (TypeError, OverflowError, UnicodeEncodeError) as error:
        raise DataError(f"the question cannot be written as JSON: {error}") from None


# ------------------------------------------------------------------------------------------------ features


def features_of(features: Any) -> Features:
    """A service, its name, or a list of features, by name.

    Raises: UsageError for what has no name that a server would know: a selection in another role.
    """
    if isinstance(features, FeatureService):
        return {"service": features.ref}
    if isinstance(features, str):
        return {"features": [features]} if ":" in features else {"service": features}
    if isinstance(features, Selection | OnDemand | FeatureGroup | Role):
        features = [features]
    if not isinstance(features, Iterable):
        raise UsageError(
            f"`{features!r}` is no choice of features",
            hint='give a service, its name, or a list of "group:feature"',
        )
    return {"features": [name for one in features for name in _names(one)]}


def _names(one: Any) -> list[str]:
    if isinstance(one, str):
        return [one]
    if isinstance(one, Selection):
        if one.prefix or one.keys:
            raise UsageError(
                f"`{one.full_name}` is a group in another role, which has no name on a server",
                hint="put it into a gn.FeatureService, apply that, and ask for the service",
            )
        return [f"{one.group.ref}:{one.feature}"]
    if isinstance(one, OnDemand):
        return [one.ref]
    if isinstance(one, FeatureGroup | Role):
        return [name for selection in one for name in _names(selection)]
    if isinstance(one, FeatureService):
        return [name for feature in one.features for name in _names(feature)]
    raise UsageError(f"`{one!r}` is not a feature", hint='write "group:feature", or give group["feature"]')


def names_of(features: Any) -> tuple[tuple[str, str], ...]:
    """The same as parameters of a URL: a service, or each feature."""
    found = features_of(features)
    if "service" in found:
        return (("service", found["service"]),)
    return tuple(("features", name) for name in found["features"])


def group_of(source: Any) -> str:
    """What a group, a source, or the name of one is called. Raises: UsageError for what is none."""
    if isinstance(source, FeatureGroup):
        return source.ref
    if isinstance(source, FileSource | SQLSource):
        return source.name
    if isinstance(source, str) and source:
        return source
    raise UsageError(f"`{source!r}` is no source and no group", hint="give one, or its name")


# -------------------------------------------------------------------------------------------------- values


def rows_of(rows: list[Any]) -> list[Any]:
    """Rows as they stand in JSON. Raises: DataError for what is no dict, or cannot be sent."""
    for i, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise DataError(f"row {i} is {type_of(row)}, not a dict", hint='such as {"user": 1}')
    return [{name: plain(value) for name, value in row.items()} for row in rows]


def stream_of(frame: pl.DataFrame, what: str) -> bytes:
    """A frame as an Arrow stream. Raises: DataError for a type that Arrow has not."""
    into = io.BytesIO()
    try:
        frame.write_ipc_stream(into, compat_level=pl.CompatLevel.oldest())
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise DataError(f"the {what} cannot be sent as Arrow: {error}") from None
    return into.getvalue()


def entities_of(entities: Any) -> tuple[Any, int]:
    """The entities as rows or columns, as they were given, and how many there are.

    Raises: DataError for what is neither rows, nor columns, nor a frame; for times finer than microseconds.
    """
    if isinstance(entities, list):
        for i, row in enumerate(entities):
            if not isinstance(row, Mapping):
                raise DataError(f"entity row {i} is {type_of(row)}, not a dict", hint='such as {"user": 1}')
        return [{name: plain(value) for name, value in row.items()} for row in entities], len(entities)
    if isinstance(entities, Mapping):
        columns = {name: _column(name, values) for name, values in entities.items()}
    else:
        frame = to_polars(entities, "entities")
        columns = {name: _column(name, frame[name]) for name in frame.columns}
    return columns, max(map(len, columns.values()), default=0)


def _column(name: str, values: Any) -> list[Any]:
    if isinstance(values, pl.Series):
        check_whole(values.alias(name), "row")
    if isinstance(values, pl.Series | np.ndarray | list | tuple):
        return plain_column(values)
    raise DataError(
        f"the key column `{name}` is {type_of(values)}, not a list",
        hint="give a list of values for each key column, or a list of dicts",
    )


def request_of(request: Any, n: int) -> Any:
    """Request values by name: of each one for all, or one an entity.

    Raises: DataError for rows that differ in their fields, or in number from the entities.
    """
    if request is None:
        return None
    if not isinstance(request, Mapping):
        frame = to_polars(request, "request")
        if len(frame) != n:
            raise DataError(f"the request has {counted(len(frame), 'row')} for {counted(n, 'entity')}")
        return {name: plain_column(frame[name]) for name in frame.columns}
    return {
        name: plain_column(value)
        if isinstance(value, list | tuple | np.ndarray | pl.Series)
        else plain(value)
        for name, value in request.items()
    }


def instants_of(at: Any) -> Any:
    """The times asked about: None, one, or one an entity. Raises: UsageError."""
    if at is None:
        return None
    if isinstance(at, list | tuple | np.ndarray | pl.Series):
        # NumPy's own times are read as Polars reads them; one by one they would be numbers of an unknown unit.
        given = pl.Series(at) if isinstance(at, np.ndarray) else at
        return [show(argument(value, f"at[{i}]")) for i, value in enumerate(given)]
    return show(argument(at, "at"))


_AS_THEY_ARE: frozenset[type] = frozenset({int, str, bool, type(None)})


def plain_column(values: Any) -> list[Any]:
    """A column's values as they stand in JSON."""
    if isinstance(values, pl.Series):
        given: list[Any] = values.to_list()
    else:
        given = values.tolist() if isinstance(values, np.ndarray) else list(values)
    return given if _AS_THEY_ARE.issuperset(map(type, given)) else [plain(value) for value in given]


def plain(value: Any) -> Any:
    """A value as it stands in JSON. Raises: DataError for a type that has no form there."""
    kind = type(value)
    if kind in _AS_THEY_ARE:
        return value
    for of, write in _WRITERS:
        if isinstance(value, of):
            return write(value)
    raise DataError(
        f"`{value!r}` is {type_of(value)}, which cannot be sent",
        hint="give a number, text, bytes, a date or time, or a list or dict of these",
    )


def _mapping(value: Mapping[str, Any]) -> dict[str, Any]:
    return {name: plain(one) for name, one in value.items()}


_WRITERS: tuple[tuple[Any, Callable[[Any], Any]], ...] = (
    (np.generic, lambda value: plain(value.item())),
    (float, float_text),
    (int, int),
    (str, str),
    (datetime, datetime.isoformat),
    (date, date.isoformat),
    (time, time.isoformat),
    (timedelta, lambda value: value // _MICROSECOND),
    (Decimal, lambda value: f"{value:f}"),
    (bytes | bytearray | memoryview, lambda value: base64.b64encode(value).decode()),
    (list | tuple, lambda values: [plain(one) for one in values]),
    (pl.Series | np.ndarray, plain_column),
    (Mapping, _mapping),
)
"""Type → how its values are written; the first that fits counts, a datetime being a date too."""
