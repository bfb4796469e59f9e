"""Aggregates: functions over the rows of a key in a window, declared; computed in `kernels/`.

What each one means, to the last bit, stands in SEMANTICS §4 and in the docs' support table, which is made
from `RULES`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any, Literal

import polars as pl

from gnomon.define.base import Definition, Problems, put
from gnomon.define.expressions import parse
from gnomon.errors import type_of
from gnomon.time import duration, show_duration
from gnomon.types import DType, is_ordered

Given = str | timedelta


@dataclass(frozen=True, slots=True)
class Window:
    """Covers [t - length, t): a row at t itself is not in it."""

    length: int
    """Microseconds, positive."""
    text: str
    """As written; part of the feature's name."""

    def __repr__(self) -> str:
        return repr(self.text)


@dataclass(frozen=True, slots=True)
class Rule:
    """What an aggregate accepts and returns."""

    column: Literal["required", "optional"]
    accepts: Callable[[DType], bool]
    accepted: str
    """`accepts` in words, for messages and the support table."""
    returns: Callable[[DType], DType]
    empty: str
    """The value of an empty window, for the support table."""
    needs_window: bool = False

    @property
    def scalar(self) -> bool:
        """Whether a value is one value, and no list of what the window holds."""
        return self.empty != "[]"


def _number(dtype: DType) -> bool:
    return (dtype.is_numeric() and not isinstance(dtype, pl.Int128)) or isinstance(dtype, pl.Boolean)


def _binary_number(dtype: DType) -> bool:
    return _number(dtype) and not isinstance(dtype, pl.Decimal)


def _any_type(dtype: DType) -> bool:
    return not isinstance(dtype, pl.Null)


def _sum_type(dtype: DType) -> DType:
    if isinstance(dtype, pl.Decimal):
        return pl.Decimal(38, dtype.scale)
    return pl.Float64() if dtype.is_float() else pl.Int64()


def _same(dtype: DType) -> DType:
    return dtype


def by_type(key: DType, value: DType) -> DType:
    """The type of values by category."""
    return pl.List(pl.Struct({"key": key, "value": value}))


def value_type(dtype: DType) -> DType:
    """The type of one value in values by category."""
    return dtype.inner.fields[1].dtype  # type: ignore[attr-defined,no-any-return]


def _counts_type(dtype: DType) -> DType:
    return by_type(dtype, pl.Int64())


def _always(dtype: DType) -> Callable[[DType], DType]:
    return lambda _: dtype


_INT, _FLOAT, _DURATION = _always(pl.Int64()), _always(pl.Float64()), _always(pl.Duration("us"))
_NUMBERS, _PLAIN = "numbers and booleans", "integers, floats and booleans"
_COMPARABLE, _ALL = "everything but lists, arrays and structs", "every type"

RULES: dict[str, Rule] = {
    "count": Rule("optional", _any_type, _ALL, _INT, "0"),
    "sum": Rule("required", _number, _NUMBERS, _sum_type, "null"),
    "mean": Rule("required", _number, _NUMBERS, _FLOAT, "null"),
    "var": Rule("required", _binary_number, _PLAIN, _FLOAT, "null"),
    "std": Rule("required", _binary_number, _PLAIN, _FLOAT, "null"),
    "min": Rule("required", is_ordered, _COMPARABLE, _same, "null"),
    "max": Rule("required", is_ordered, _COMPARABLE, _same, "null"),
    "first": Rule("required", _any_type, _ALL, _same, "null"),
    "last": Rule("required", _any_type, _ALL, _same, "null"),
    "first_k": Rule("required", _any_type, _ALL, pl.List, "[]"),
    "last_k": Rule("required", _any_type, _ALL, pl.List, "[]"),
    "n_distinct": Rule("required", is_ordered, _COMPARABLE, _INT, "0"),
    "mode": Rule("required", is_ordered, _COMPARABLE, _same, "null"),
    "top_k": Rule("required", is_ordered, _COMPARABLE, pl.List, "[]"),
    "histogram": Rule("required", is_ordered, _COMPARABLE, _counts_type, "[]"),
    "quantile": Rule("required", _binary_number, _PLAIN, _FLOAT, "null"),
    "median": Rule("required", _binary_number, _PLAIN, _FLOAT, "null"),
    "approx_n_distinct": Rule("required", is_ordered, _COMPARABLE, _INT, "0"),
    "approx_quantile": Rule("required", _binary_number, _PLAIN, _FLOAT, "null"),
    "decayed_sum": Rule("required", _binary_number, _PLAIN, _FLOAT, "null", needs_window=True),
    "any": Rule("required", lambda d: isinstance(d, pl.Boolean), "booleans", _always(pl.Boolean()), "null"),
    "all": Rule("required", lambda d: isinstance(d, pl.Boolean), "booleans", _always(pl.Boolean()), "null"),
    "time_since_last": Rule("optional", _any_type, _ALL, _DURATION, "null"),
    "time_since_first": Rule("optional", _any_type, _ALL, _DURATION, "null"),
    "rate": Rule("optional", _any_type, _ALL, _FLOAT, "0.0", needs_window=True),
}
"""Every aggregate by its name."""

QUANTILES = ("quantile", "approx_quantile")
"""Those with a `q`, which stands in their names."""


@dataclass(frozen=True, repr=False)
class Aggregate(Definition):
    """An aggregate with its windows: one feature for each window, or one over all rows before t.

    Made by `gn.count`, `gn.sum`, …, whose docstrings tell the arguments.
    """

    function: str
    column: str | None = None
    expr: str | None = None
    windows: tuple[Window, ...] = ()
    where: str | None = None
    by: str | None = None
    """The column by whose values the rows of a window are taken apart."""
    limit: int | None = None
    offset: int = 0
    """Microseconds by which the window ends before t."""
    default: Any = field(default=None, hash=False)
    """In the place of null, as the last step. Not part of the hash: it may be a list."""
    include_request: bool = False
    name: str | None = None
    k: int | None = None
    q: float | None = None
    """Of a quantile, in [0, 1]."""
    half_life: int | None = None
    """Microseconds in which a value loses half its weight, positive."""
    ddof: int | None = None
    nulls: Literal["skip", "keep"] = "skip"
    distinct: bool = False

    def __post_init__(self) -> None:
        problems = Problems(f"gn.{self.function}({self.column or self.expr or ''})")
        rule = RULES[self.function]
        if self.column is not None and not isinstance(self.column, str):
            problems.add(
                f"a column is named by text, found {type_of(self.column)}",
                at="column",
                hint=f"this `{self.function}` is an aggregate over rows, and not Python's function",
            )
            problems.done()
        if self.column is not None and self.expr is not None:
            problems.add("`column` and `expr` exclude each other", at="expr")
        if rule.column == "required" and self.column is None and self.expr is None:
            problems.add("a column or an `expr` is needed", at="column")
        for place in ("expr", "where"):
            if getattr(self, place) is not None:
                problems.attempt(parse, getattr(self, place), at=place)
        if self.by is not None and not isinstance(self.by, str):
            problems.add(f"a column is named by text, found {type_of(self.by)}", at="by")
        if self.by is not None and not rule.scalar:
            problems.add(
                f"`{self.function}` gives a list already, it cannot be taken by category",
                at="by",
                hint="a condition picks one category: where=\"category = 'a'\"",
            )
        if self.name is not None:
            problems.name(self.name)
        windows = [window_of(w, problems) for w in _listed(self.windows)]
        if rule.needs_window and not windows:
            problems.add(
                f"`{self.function}` needs a window",
                at="windows",
                hint='such as windows=["1h"]; in a label, that of the label once more',
            )
        offset = problems.attempt(duration, self.offset, at="offset") or 0
        if offset < 0:
            problems.add("an offset cannot be negative", at="offset", hint="it would look into the future")
        _whole(self.limit, "limit", 1, problems)
        _whole(self.k, "k", 1, problems)
        q = _quantile(self.q, problems) if self.function in QUANTILES else None
        half_life = _half_life(self.half_life, problems) if self.function == "decayed_sum" else None
        if self.ddof not in (None, 0, 1):
            problems.add(f"ddof must be 0 or 1, found {self.ddof!r}", at="ddof")
        if self.nulls not in ("skip", "keep"):
            problems.add(f'nulls must be "skip" or "keep", found {self.nulls!r}', at="nulls")
        if self.include_request and offset:
            problems.add(
                "`include_request` and `offset` exclude each other",
                at="include_request",
                hint="the request's own row is at t, outside a window that ends before t",
            )
        put(self, windows=tuple(w for w in windows if w), offset=offset, q=q, half_life=half_life)
        problems.done()

    @property
    def base_name(self) -> str:
        """The feature's name without the window."""
        if self.name is not None:
            return self.name
        function = self.function if self.q is None else f"{self.function}_{_digits(self.q)}"
        return f"{self.column}_{function}" if self.column else function

    def names(self) -> Iterator[tuple[str, Window | None]]:
        """The name and window of each feature it makes."""
        if not self.windows:
            yield self.base_name, None
        for window in self.windows:
            yield f"{self.base_name}_{window.text}", window


def _listed(value: Any) -> Sequence[Any]:
    if value is None:
        return ()
    return value if isinstance(value, list | tuple) else (value,)


def window_of(given: Any, problems: Problems, at: str = "windows") -> Window | None:
    """A window as given; None if it has a problem."""
    if isinstance(given, Window):
        return given
    length = problems.attempt(duration, given, at=at)
    if length is None:
        return None
    if length <= 0:
        problems.add(f"the window `{given}` is not positive", at=at)
        return None
    return Window(length, given.strip() if isinstance(given, str) else show_duration(length))


def _whole(value: Any, what: str, least: int, problems: Problems) -> None:
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < least):
        problems.add(f"`{what}` must be a whole number of at least {least}, found {value!r}", at=what)


def _quantile(value: Any, problems: Problems) -> float | None:
    if value is None:
        problems.add("a quantile needs its `q`", at="q", hint='such as gn.quantile("x", 0.9)')
    elif isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1:
        return float(value) + 0.0  # -0.0 is 0
    else:
        problems.add(f"`q` must be a number from 0 to 1, found {value!r}", at="q")
    return None


def _half_life(value: Any, problems: Problems) -> int | None:
    if value is None:
        problems.add(
            "a decayed sum needs its `half_life`",
            at="half_life",
            hint='such as gn.decayed_sum("x", half_life="1d", windows=["30d"])',
        )
        return None
    length: int | None = problems.attempt(duration, value, at="half_life")
    if length is not None and length <= 0:
        problems.add(f"the half-life `{value}` is not positive", at="half_life")
        return None
    return length


def _digits(q: float) -> str:
    """0.9 → `0_9`, as it stands in a name."""
    return format(Decimal(repr(q)), "f").removesuffix(".0").replace(".", "_")
