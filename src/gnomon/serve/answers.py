"""Answers: values by column → bytes, as JSON or as an Arrow stream.

What depends on names and types alone is made once. JSON is encoded from the values as they are; only where a column
holds floats that JSON has no number for, or values of types that it does not know, are they written anew.
"""

from __future__ import annotations

import io
import math
from collections.abc import Collection
from dataclasses import dataclass
from itertools import chain
from typing import Any

import msgspec
import polars as pl

from gnomon import interchange as values
from gnomon.errors import UsageError
from gnomon.flows.answer import OnlineFeatures
from gnomon.serve import wire
from gnomon.time import show, to_datetime
from gnomon.types import DType, dtype_text

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Form:
    """How answers of certain features are written."""

    names: msgspec.Raw
    types: msgspec.Raw
    floats: tuple[int, ...]
    """The columns of floats."""
    written: tuple[tuple[int, values.Convert], ...]
    """The columns of values that JSON does not know."""
    dtypes: tuple[DType, ...]


def form_of(found: OnlineFeatures) -> Form:
    """The form of an answer, for this and all that are made by the same compiled request."""
    dtypes = found.dtypes
    writers = ((i, values.writer(dtype)) for i, dtype in enumerate(dtypes))
    return Form(
        msgspec.Raw(_encode(found.names)),
        msgspec.Raw(_encode([dtype_text(dtype) for dtype in dtypes])),
        tuple(i for i, dtype in enumerate(dtypes) if values.is_float(dtype)),
        tuple((i, write) for i, write in writers if write is not None),
        dtypes,
    )


def to_json(found: OnlineFeatures, form: Form, include: Collection[wire.Include]) -> bytes:
    """The answer in JSON, as `wire.OnlineAnswer`."""
    columns = found.columns
    odd = not _all_finite(columns, form.floats)
    if odd or form.written:
        columns = [*columns]
        for i in form.floats if odd else ():
            columns[i] = values.written(columns[i], values.float_text)
        for i, write in form.written:
            columns[i] = values.written(columns[i], write)
    document: dict[str, Any] = {
        "features": form.names,
        "rows": list(zip(*columns, strict=True)),
        "at": _at(found.at),
        "revision": found.revision,
    }
    for one in include:
        document[one] = _INCLUDED[one](found, form)
    return _encode(document)


def _all_finite(columns: list[list[Any]], floats: tuple[int, ...]) -> bool:
    """Whether all floats are numbers in JSON; False too where their sum is not finite, though each of them is.

    The sum passes through C at a hundredth of a microsecond a value; zeros and nulls, which are left out, add nothing.
    """
    return math.isfinite(sum(filter(None, chain.from_iterable([columns[i] for i in floats]))))


def _at(instant: int) -> Any:
    """As `show`; quicker, where the encoder writes the same text, which it does unless microseconds are zero."""
    when = to_datetime(instant)
    return when if when.microsecond else show(instant)


def _statuses(found: OnlineFeatures, _: Form) -> Any:
    return found.statuses


def _event_times(found: OnlineFeatures, _: Form) -> Any:
    return [[None if t is None else values.time_text(t) for t in row] for row in found.event_times]


def _errors(found: OnlineFeatures, _: Form) -> Any:
    return [wire.OnlineError(row, name, why) for (row, name), why in found.errors.items()]


def _types(_: OnlineFeatures, form: Form) -> Any:
    return form.types


_INCLUDED = {"statuses": _statuses, "event_times": _event_times, "errors": _errors, "types": _types}


def to_arrow(found: OnlineFeatures, include: Collection[wire.Include]) -> bytes:
    """The answer as an Arrow stream: the features, and after them what is told of each."""
    into = io.BytesIO()
    whole = found.to_polars().hstack(_beside(found, include))
    # The oldest level: readers that do not know views of text are many.
    whole.write_ipc_stream(into, compat_level=pl.CompatLevel.oldest())
    return into.getvalue()


def _beside(found: OnlineFeatures, include: Collection[wire.Include]) -> list[pl.Series]:
    """Columns of statuses, event times and errors, of one feature after another.

    Raises: UsageError if a feature has the name of such a column.
    """
    made: list[pl.Series] = []
    for i, name in enumerate(found.names):
        if "statuses" in include:
            made.append(pl.Series(f"{name}__status", [row[i] for row in found.statuses], pl.String))
        if "event_times" in include:
            times = [row[i] for row in found.event_times]
            made.append(pl.Series(f"{name}__event_time", times, pl.Datetime("us", "UTC")))
        if "errors" in include:
            whys = [found.errors.get((row, name)) for row in range(len(found))] if found.errors else None
            made.append(pl.Series(f"{name}__error", whys or [None] * len(found), pl.String))
    taken = set(found.names)
    for column in made:
        if column.name in taken:
            raise UsageError(
                f"`{column.name}` is a feature too, and would stand twice in the answer",
                at="$.include",
                hint="ask with full_names, or for JSON",
            )
    return made
