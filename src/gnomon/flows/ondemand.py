"""On-demand functions: named columns in, columns out, checked — and probed before they are accepted."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any

import numpy as np
import polars as pl

from gnomon.define.ondemand import OnDemand
from gnomon.errors import ComputeError, DefinitionError, GnomonError, counted, type_of
from gnomon.flows.hands import Hands
from gnomon.plan.layout import castable
from gnomon.time import SECOND, show_duration, stopwatch
from gnomon.types import DType, dtype_text

_PROBE_ROWS = 13


def call(
    on_demand: OnDemand, function: Callable[..., Any], inputs: Mapping[str, pl.Series], n: int
) -> list[pl.Series]:
    """Call the function with its inputs and return its outputs, `n` rows each, of the declared types.

    Raises: ComputeError naming the function, for an exception inside it or a wrong length or type.
    """
    names = on_demand.input_names
    try:
        if _by_name(function, names):
            returned = function(**{name: inputs[name] for name in names})
        else:
            returned = function(*(inputs[name] for name in names))
    except (Exception, pl.exceptions.PanicException) as error:
        raise ComputeError(
            f"on-demand function `{on_demand.name}` failed: {type(error).__name__}: {error}",
            at=_inputs(on_demand),
        ) from error
    return [
        _checked(on_demand, name, dtype, value, n)
        for (name, dtype), value in zip(on_demand.returns, _outputs(on_demand, returned), strict=True)
    ]


@dataclass(frozen=True, slots=True)
class ByRow:
    """What a function gave, and where it could not."""

    columns: list[list[Any]]
    """By output: the values of the rows, None for those in `reasons`."""
    reasons: dict[int, str] = field(default_factory=dict)
    """Row → why it has no values."""


class _Late(ComputeError):
    """The function's time is over."""


def call_by_row(
    on_demand: OnDemand,
    function: Callable[..., Any],
    inputs: Mapping[str, pl.Series],
    n: int,
    hands: Hands | None = None,
) -> ByRow:
    """Call the function on all rows at once, and where that fails row by row, so that only what fails is an error.

    With `hands`, all calls together have the function's timeout; what is not done by then is an error.
    """
    elapsed = stopwatch()

    def attempt(given: Mapping[str, pl.Series], rows: int) -> list[pl.Series]:
        work = partial(call, on_demand, function, given, rows)
        if hands is None or on_demand.timeout is None:
            return work()
        try:
            return hands.call(work, on_demand.timeout / SECOND - elapsed())
        except TimeoutError as error:
            raise _Late(
                f"on-demand function `{on_demand.name}` {error}",
                at=_inputs(on_demand),
                hint=f"its timeout is {show_duration(on_demand.timeout)}",
            ) from None

    try:
        return ByRow([column.to_list() for column in attempt(inputs, n)])
    except _Late as error:
        return _none(on_demand, n, str(error))
    except ComputeError as error:
        if n == 1:
            return _none(on_demand, n, str(error))
    found = ByRow([[None] * n for _ in on_demand.returns])
    for row in range(n):
        try:
            made = attempt({name: column.slice(row, 1) for name, column in inputs.items()}, 1)
        except _Late as error:
            found.reasons.update(dict.fromkeys(range(row, n), str(error)))
            break
        except ComputeError as error:
            found.reasons[row] = str(error)
            continue
        for values, column in zip(found.columns, made, strict=True):
            values[row] = column[0]
    return found


def _none(on_demand: OnDemand, n: int, why: str) -> ByRow:
    """No value of any row."""
    return ByRow([[None] * n for _ in on_demand.returns], dict.fromkeys(range(n), why))


def _inputs(on_demand: OnDemand) -> str:
    return f"inputs {', '.join(on_demand.input_names)}"


@lru_cache(maxsize=1024)
def _by_name(function: Callable[..., Any], names: tuple[str, ...]) -> bool:
    """Whether the inputs are given by parameter name; else in order."""
    return set(names) <= set(inspect.signature(function).parameters)


def _outputs(on_demand: OnDemand, returned: Any) -> list[Any]:
    names = [name for name, _ in on_demand.returns]
    if isinstance(returned, Mapping):
        if set(returned) != set(names):
            raise ComputeError(
                f"on-demand function `{on_demand.name}` returned {sorted(returned)}, declared are {sorted(names)}"
            )
        return [returned[name] for name in names]
    if isinstance(returned, pl.DataFrame):
        return _outputs(on_demand, {c: returned[c] for c in returned.columns})
    if isinstance(returned, tuple | list) and len(names) > 1:
        if len(returned) != len(names):
            raise ComputeError(
                f"on-demand function `{on_demand.name}` returned {counted(len(returned), 'output')}, "
                f"declared are {len(names)}"
            )
        return list(returned)
    if len(names) != 1:
        raise ComputeError(
            f"on-demand function `{on_demand.name}` returned one output, declared are {', '.join(names)}",
            hint="return a dict of Series",
        )
    return [returned]


def _checked(on_demand: OnDemand, name: str, dtype: DType, value: Any, n: int) -> pl.Series:
    what = f"on-demand function `{on_demand.name}`"
    if isinstance(value, np.ndarray):
        value = pl.Series(value)
    if not isinstance(value, pl.Series):
        raise ComputeError(f"{what} returned {type_of(value)} for `{name}`", hint="return a polars.Series")
    if len(value) != n:
        raise ComputeError(
            f"{what} returned {counted(len(value), 'value')} of `{name}` for {counted(n, 'row')}",
            hint="return one value for each row; it must not aggregate",
        )
    if value.dtype != dtype and not castable(value.dtype, dtype):
        raise ComputeError(
            f"{what} returned `{name}` as {dtype_text(value.dtype)}, declared is {dtype_text(dtype)}",
            hint="cast the result, or declare what it returns",
        )
    try:
        return value.cast(dtype).alias(name)
    except pl.exceptions.PolarsError:
        raise ComputeError(
            f"{what} returned values of `{name}` that do not fit {dtype_text(dtype)}"
        ) from None


def probe(on_demand: OnDemand, function: Callable[..., Any], types: Mapping[str, DType]) -> None:
    """Call the function on made-up rows, whole, one by one and permuted: the bits must not differ.

    `types`: of each input. Raises: DefinitionError with the difference.
    """
    inputs = {name: _sample(dtype, i) for i, (name, dtype) in enumerate(types.items())}
    for with_nulls in (False, True):
        if with_nulls:
            inputs = {name: _some_null(column, i) for i, (name, column) in enumerate(inputs.items())}
        try:
            _probe(on_demand, function, inputs)
        except DefinitionError:
            raise
        except GnomonError as error:
            if not with_nulls:
                raise DefinitionError(
                    error.what, at=f"on-demand {on_demand.name}", hint=error.hint
                ) from error
            # With nulls it may fail: that is an ERROR of those values when they come.


def _probe(on_demand: OnDemand, function: Callable[..., Any], inputs: Mapping[str, pl.Series]) -> None:
    n = _PROBE_ROWS
    whole = call(on_demand, function, inputs, n)
    singles = [call(on_demand, function, {k: v.slice(i, 1) for k, v in inputs.items()}, 1) for i in range(n)]
    single = [pl.concat([row[j] for row in singles]) for j in range(len(whole))]
    order = np.random.default_rng(7).permutation(n)
    back = np.argsort(order)
    mixed = [
        c.gather(back) for c in call(on_demand, function, {k: v.gather(order) for k, v in inputs.items()}, n)
    ]
    for how, other in (("one by one", single), ("in another order", mixed)):
        for a, b in zip(whole, other, strict=True):
            differs = ~a.eq_missing(b)
            if differs.any():
                row = int(differs.arg_true()[0])
                shown = ", ".join(f"{k}={v[row]!r}" for k, v in inputs.items())
                raise DefinitionError(
                    f"on-demand function `{on_demand.name}` gives `{a.name}` = {a[row]!r} for all rows at once and "
                    f"{b[row]!r} {how}",
                    at=f"row {shown}",
                    hint="a value may depend on its own row only: no means, ranks or shifts over the column",
                )


def _sample(dtype: DType, seed: int) -> pl.Series:
    """Made-up values of a type, all of different size."""
    rng = np.random.default_rng(100 + seed)
    n = _PROBE_ROWS
    numbers = pl.Series(rng.permutation(np.arange(1, n + 1)))
    if isinstance(dtype, pl.Boolean):
        return numbers % 3 == 0
    if isinstance(dtype, pl.String):
        return pl.Series([f"v{i}" for i in numbers])
    if isinstance(dtype, pl.Binary):
        return pl.Series([f"v{i}".encode() for i in numbers])
    if isinstance(dtype, pl.Date):
        return (numbers.cast(pl.Int32) + 20_000).cast(pl.Date)
    if isinstance(dtype, pl.Datetime | pl.Duration | pl.Time):
        return (numbers * 3_600_000_000).cast(dtype)
    if dtype.is_float():
        return pl.Series(np.round(rng.normal(size=n) * 100, 3)).cast(dtype)
    if isinstance(dtype, pl.List):
        inner = _sample(dtype.inner, seed)  # type: ignore[arg-type]
        return pl.Series([inner.slice(i % 5, i % 3).to_list() for i in range(n)], dtype=dtype)
    if isinstance(dtype, pl.Array | pl.Struct):
        return pl.Series([None] * n, dtype=dtype)
    return numbers.cast(dtype)


def _some_null(column: pl.Series, seed: int) -> pl.Series:
    keep = pl.Series(np.arange(len(column)) % 4 != seed % 4)
    return pl.select(pl.when(keep).then(pl.lit(column)).alias(column.name)).to_series()
