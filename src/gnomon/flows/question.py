"""Questions to the online side: entities, request values and times as they come → columns, checked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gnomon.errors import DataError, UsageError, counted, nearest, type_of
from gnomon.flows.request import Request, literal
from gnomon.frames import to_polars
from gnomon.plan.keys import check_whole
from gnomon.plan.layout import castable
from gnomon.time import ALWAYS, NEVER, Clock, argument
from gnomon.types import dtype_text

Columns = dict[str, list[Any]]


def key_columns(entities: Any, wanted: frozenset[str]) -> tuple[Columns, int]:
    """The key columns as lists, and how many questions there are. Raises: DataError naming row and column."""
    if isinstance(entities, list):
        for row in entities:
            if not isinstance(row, Mapping) or row.keys() != wanted:
                raise _wrong_row(entities, wanted)
        return {name: [row[name] for row in entities] for name in wanted}, len(entities)
    if isinstance(entities, Mapping):
        columns = {name: _keys(name, values) for name, values in entities.items()}
    else:
        frame = to_polars(entities, "entities")
        columns = {name: _keys(name, frame[name]) for name in frame.columns}
    _check_fields(columns, wanted, "entities")
    sizes = {len(values) for values in columns.values()}
    if len(sizes) > 1:
        shown = ", ".join(f"{name}: {len(values)}" for name, values in columns.items())
        raise DataError(f"the entity columns differ in length ({shown})")
    if not wanted:
        raise DataError(
            "these features have no keys", hint="ask with entities=[{}], one empty dict an answer"
        )
    return columns, sizes.pop()


def _keys(name: str, values: Any) -> list[Any]:
    if isinstance(values, pl.Series):
        check_whole(values.alias(name), "row")
    return _values(name, values)


def _values(name: str, values: Any) -> list[Any]:
    if isinstance(values, np.ndarray | pl.Series):
        return list(values.tolist() if isinstance(values, np.ndarray) else values.to_list())
    if isinstance(values, list | tuple):
        return list(values)
    raise DataError(
        f"the key column `{name}` is {type_of(values)}, not a list",
        hint="give a list of values for each key column, or a list of dicts",
    )


def _wrong_row(rows: Sequence[Any], wanted: Iterable[str]) -> DataError:
    for i, row in enumerate(rows):
        if not isinstance(row, Mapping):
            return DataError(f"entity row {i} is {type_of(row)}, not a dict", hint='such as {"user": 1}')
        try:
            _check_fields(row, wanted, f"entity row {i}")
        except DataError as error:
            return error
    return DataError("the entities cannot be read")


def _check_fields(given: Iterable[str], wanted: Iterable[str], where: str) -> None:
    missing, unknown = sorted(set(wanted) - set(given)), sorted(set(given) - set(wanted))
    if missing:
        close = nearest(missing[0], unknown)
        raise DataError(
            f"{where}: the key column `{missing[0]}` is missing",
            hint=f"did you mean it by `{close}`?" if close else f"keys: {', '.join(sorted(wanted))}",
        )
    if unknown:
        raise DataError(
            f"{where}: unknown field `{unknown[0]}`", hint=f"keys: {', '.join(sorted(wanted)) or 'none'}"
        )


@dataclass(frozen=True)
class Needed:
    """Request values that a request needs: name → (type, who needs it)."""

    fields: Mapping[str, tuple[pl.DataType, str]]

    def read(self, given: Any, n: int) -> dict[str, pl.Series]:
        """The values as columns of `n` rows. A single value stands for all rows.

        Raises: DataError naming what is missing, unknown, or of another type.
        """
        if not self.fields and given is None:
            return {}
        values = _request_values(given, n)
        for name, (_, user) in self.fields.items():
            if name not in values:
                raise DataError(
                    f"{user} needs the request value `{name}`",
                    hint=f'request={{"{name}": …}}, one value or one a row',
                )
        for name in values:
            if name not in self.fields:
                close = nearest(name, self.fields)
                raise DataError(
                    f"unknown request value `{name}`",
                    hint=f"did you mean `{close}`?"
                    if close
                    else f"needed: {', '.join(self.fields) or 'none'}",
                )
        return {name: _field(name, values[name], dtype, n) for name, (dtype, _) in self.fields.items()}


def needed_fields(request: Request) -> Needed:
    """What the request's functions, and the groups that count the request's own row, need."""
    needed: dict[str, tuple[pl.DataType, str]] = {}
    for step in request.steps:
        for name, ident, dtype in step.inputs:
            if ident is None:
                needed.setdefault(name, (dtype, f"on-demand function `{step.on_demand.name}`"))
    for job in request.jobs:
        raw = dict(job.layout.columns)
        for name in job.request_columns:
            needed.setdefault(name, (raw[name], f"group `{job.layout.name}` (include_request)"))
    return Needed(needed)


def _request_values(given: Any, n: int) -> dict[str, Any]:
    if given is None:
        return {}
    if isinstance(given, Mapping):
        return dict(given)
    frame = to_polars(given, "request")
    if len(frame) != n:
        raise DataError(f"the request has {counted(len(frame), 'row')} for {counted(n, 'entity')}")
    return {name: frame[name] for name in frame.columns}


def _field(name: str, values: Any, dtype: Any, n: int) -> pl.Series:
    if not isinstance(values, list | tuple | np.ndarray | pl.Series):
        values = [values] * n
    if len(values) != n:
        raise DataError(
            f"the request value `{name}` has {counted(len(values), 'entry')} for {counted(n, 'entity')}"
        )
    if isinstance(values, pl.Series):
        if not castable(values.dtype, dtype):
            raise DataError(
                f"the request value `{name}` is {dtype_text(values.dtype)}",
                hint=f"it must be {dtype_text(dtype)}",
            )
        values = values.to_list()
    try:
        return pl.Series(name, values, dtype=dtype, strict=True)
    except (TypeError, OverflowError, pl.exceptions.PolarsError):
        pass
    for i, value in enumerate(values):
        try:
            literal(value, dtype)
        except UsageError:
            raise DataError(
                f"the request value `{name}` of row {i} is {value!r}, of type {type(value).__name__}",
                hint=f"it must be {dtype_text(dtype)}",
            ) from None
    return pl.Series(name, values, dtype=dtype, strict=False)


@dataclass(slots=True, eq=False)
class Instants:
    """When the questions ask."""

    each: NDArray[np.int64]
    earliest: int
    latest: int


def instants(at: Any, n: int, clock: Clock) -> Instants:
    """The time of each question: now, one for all, or one each. Raises: DataError, UsageError."""
    if at is None:
        one = clock()
    elif isinstance(at, list | tuple | np.ndarray | pl.Series):
        # NumPy's own times are read as Polars reads them; one by one they would be numbers of an unknown unit.
        given = pl.Series(at) if isinstance(at, np.ndarray) else at
        each = np.array([argument(value, f"at[{i}]") for i, value in enumerate(given)], np.int64)
        if len(each) != n:
            raise DataError(
                f"`at` has {counted(len(each), 'time')} for {counted(n, 'entity')}",
                hint="give one time, or one an entity",
            )
        return Instants(each, int(each.min()), int(each.max())) if n else Instants(each, NEVER, ALWAYS)
    else:
        one = argument(at, "at")
    each = np.empty(n, np.int64)
    each.fill(one)
    return Instants(each, one, one)
