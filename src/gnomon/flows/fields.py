"""Fields: request values as they come → columns of the types that are wanted of them.

Online and in training the same values are refused, with the same words: a value is taken only if the type
that it is wanted in holds it as it is.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl

from gnomon.errors import DataError, UsageError, counted, nearest
from gnomon.flows.misfit import uncomputed
from gnomon.flows.request import Job, Request, literal
from gnomon.frames import to_polars
from gnomon.plan.layout import castable
from gnomon.plan.normal import lane
from gnomon.types import DType, dtype_text

Fields = Mapping[tuple[str, DType], pl.Series]
"""(name, type) → the request's values of that name in that type."""


@dataclass(frozen=True)
class Want:
    """A request value that is needed."""

    name: str
    dtype: DType
    user: str
    """Who needs it."""
    why: str


@dataclass(frozen=True)
class Needed:
    """Request values that a request needs. One name may be needed in several types."""

    wants: tuple[Want, ...]

    def read(self, given: Any, n: int) -> Fields:
        """The values as columns of `n` rows. A single value stands for all rows.

        Raises: DataError naming what is missing, unknown, of another type, or beyond its type.
        """
        if not self.wants and given is None:
            return {}
        values = _request_values(given, n)
        for want in self.wants:
            if want.name not in values:
                raise DataError(
                    f"{want.user} ({want.why}) needs the request value `{want.name}`",
                    hint=f'request={{"{want.name}": …}}, one value or one a row',
                )
        names = list(dict.fromkeys(want.name for want in self.wants))
        for name in values:
            if name not in names:
                close = nearest(name, names)
                raise DataError(
                    f"unknown request value `{name}`",
                    hint=f"did you mean `{close}`?" if close else f"needed: {', '.join(names) or 'none'}",
                )
        return {(want.name, want.dtype): _field(want, values[want.name], n) for want in self.wants}

    def of_spine(self, spine: pl.DataFrame) -> Fields:
        """The values out of a spine's columns.

        Raises: DataError naming the column that is missing or of another type, or the row that does not fit.
        """
        for want in self.wants:
            if want.name not in spine.columns:
                close = nearest(want.name, spine.columns)
                raise DataError(
                    f"{want.user} needs the spine column `{want.name}` ({want.why})",
                    hint=f"did you mean `{close}`?" if close else None,
                )
        return {(want.name, want.dtype): fitted(spine[want.name], want) for want in self.wants}


def needed_fields(request: Request) -> Needed:
    """What the request's functions, and the groups that count the request's own row, need."""
    wants: dict[tuple[str, DType], Want] = {}
    for step in request.steps:
        for name, ident, dtype in step.inputs:
            if ident is None:
                user = f"on-demand function `{step.on_demand.name}`"
                wants.setdefault((name, dtype), Want(name, dtype, user, "a request value"))
    for job in request.jobs:
        raw = dict(job.layout.columns)
        for name in job.request_columns:
            user = f"group `{job.layout.name}`"
            wants.setdefault((name, raw[name]), Want(name, raw[name], user, "include_request"))
    return Needed(tuple(wants.values()))


def own_rows(job: Job, fields: Fields, n: int) -> pl.DataFrame:
    """The request's own rows, as `__x0 …`: computed as the source's rows are, from columns of their types.

    Raises: DataError naming the feature and the row, if one cannot be computed.
    """
    raw = dict(job.layout.columns)
    given = [fields[name, raw[name]] for name in job.request_columns]
    rows = pl.DataFrame(given) if given else pl.DataFrame(height=n)
    try:
        return _evaluated(rows, job)
    except pl.exceptions.PolarsError:
        row = _first(n, lambda k: _fails(lambda: _evaluated(rows.head(k), job)))
        found = uncomputed(rows[row].lazy(), job.layout, job.request_inputs)
        if found is None:
            raise
        what = f"the request's row {row}, which counts in group `{job.layout.ref}`: {found.what}"
        raise DataError(what, hint=found.hint) from None


def _evaluated(rows: pl.DataFrame, job: Job) -> pl.DataFrame:
    # with_columns and not select: an expression may be a literal, and has a value in every row.
    made = rows.with_columns(job.layout.inputs[i].evaluate().alias(lane(i)) for i in job.request_inputs)
    return made.select(lane(i) for i in job.request_inputs)


def fitted(column: pl.Series, want: Want) -> pl.Series:
    """The column in the wanted type, no value changed.

    Raises: DataError naming the column and its type, or the first row whose value does not fit.
    """
    if not castable(column.dtype, want.dtype):
        raise DataError(
            f"the request value `{want.name}` is {dtype_text(column.dtype)}, {want.user} wants "
            f"{dtype_text(want.dtype)}",
            hint=f"cast it to {dtype_text(want.dtype)}",
        )
    try:
        return column.cast(want.dtype).alias(want.name)
    except pl.exceptions.PolarsError:
        row = _first(len(column), lambda k: _fails(lambda: column.head(k).cast(want.dtype)))
        raise _beyond(want, row, column[row]) from None


def _fails(work: Callable[[], object]) -> bool:
    try:
        work()
    except pl.exceptions.PolarsError:
        return True
    return False


def _first(n: int, fails: Callable[[int], bool]) -> int:
    """The first row with which the rows up to it fail; all n together do."""
    return bisect_left(range(n), True, key=lambda row: fails(row + 1))


def _request_values(given: Any, n: int) -> dict[str, Any]:
    if given is None:
        return {}
    if isinstance(given, Mapping):
        return dict(given)
    frame = to_polars(given, "request")
    if len(frame) != n:
        raise DataError(f"the request has {counted(len(frame), 'row')} for {counted(n, 'entity')}")
    return {name: frame[name] for name in frame.columns}


def _field(want: Want, values: Any, n: int) -> pl.Series:
    if not isinstance(values, list | tuple | np.ndarray | pl.Series):
        values = [values] * n
    if len(values) != n:
        raise DataError(
            f"the request value `{want.name}` has {counted(len(values), 'entry')} for {counted(n, 'entity')}"
        )
    if isinstance(values, np.ndarray) and values.dtype != object:
        values = pl.Series(values)
    if isinstance(values, pl.Series):
        return fitted(values, want)
    try:
        column = pl.Series(want.name, values, dtype=want.dtype, strict=True)
    except (TypeError, OverflowError, pl.exceptions.PolarsError):
        return _one_by_one(want, values)
    row = _changed(column, values)
    if row is not None:
        raise _beyond(want, row, values[row])
    return column


def _one_by_one(want: Want, values: Iterable[Any]) -> pl.Series:
    """Values of which Polars refuses the whole: mixed numbers pass, what does not fit is named."""
    for i, value in enumerate(values):
        try:
            literal(value, want.dtype)
        except UsageError:
            if isinstance(value, int | Decimal) and want.dtype.is_numeric():
                raise _beyond(want, i, value) from None
            raise DataError(
                f"the request value `{want.name}` of row {i} is {value!r}, of type {type(value).__name__}",
                hint=f"it must be {_described(want.dtype)}",
            ) from None
    return pl.Series(want.name, values, dtype=want.dtype, strict=False)


def _changed(column: pl.Series, values: Sequence[Any]) -> int | None:
    """The first row whose value became another that no rounding to the nearest float explains."""
    if isinstance(column.dtype, pl.Decimal):
        pairs = enumerate(zip(column.to_list(), values, strict=True))
        return next((i for i, (made, given) in pairs if made != given), None)
    if isinstance(column.dtype, pl.Float32):
        wide = pl.Series(values, dtype=pl.Float64, strict=True)
        lost = column.is_infinite() & wide.is_finite()
        return int(lost.arg_true()[0]) if lost.any() else None
    return None


def _beyond(want: Want, row: int, value: Any) -> DataError:
    return DataError(
        f"the request value `{want.name}` of row {row} is {value!r}, which {dtype_text(want.dtype)} does not hold",
        hint=f"{want.user} wants {_described(want.dtype)}",
    )


def _described(dtype: DType) -> str:
    """A type, with its bounds where it is one of integers."""
    if not dtype.is_integer():
        return dtype_text(dtype)
    bounds = np.iinfo(dtype_text(dtype).lower())
    return f"{dtype_text(dtype)}, from {bounds.min} to {bounds.max}"
