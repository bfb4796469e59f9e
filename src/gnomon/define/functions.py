"""The functions by which users declare aggregates: `gn.count`, `gn.sum`, …

All take, by keyword: `expr`, SQL over one row in the place of a column; `windows`, lengths such as `["1h",
"7d"]`, none meaning all rows before t; `where`, a condition on rows; `by`, a column by whose values the rows of
a window are taken apart, so that the feature is a list of {key, value}, keys ascending; `limit`, only the
newest n of the rows that remain; `offset`, how long before t the window ends; `default`, the value in the
place of null; `include_request`, whether the request's own row counts, as the last; `name`, in the place of
`{column}_{function}`.

Values, empty windows and types: SEMANTICS §4. Raises: DefinitionError with all problems of the call at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypedDict, Unpack

from gnomon.define.aggregate import Aggregate, Given
from gnomon.errors import DefinitionError, nearest


class Common(TypedDict, total=False):
    """The keywords that every aggregate takes."""

    expr: str | None
    windows: Given | Sequence[Given]
    where: str | None
    by: str | None
    limit: int | None
    offset: Given | int
    default: Any
    include_request: bool
    name: str | None


_KEYWORDS = frozenset(Common.__annotations__)


def _make(function: str, column: str | None, common: Common, **own: Any) -> Aggregate:
    """Lengths are given as users write them; `Aggregate` brings them into its own form."""
    given: dict[str, Any] = {**common, **own}
    for name in common.keys() - _KEYWORDS:
        close = nearest(name, _KEYWORDS)
        raise DefinitionError(
            f"`{function}` has no argument `{name}`",
            at=f"gn.{function}({column or ''})",
            hint=f"did you mean `{close}`?" if close else f"known: {', '.join(sorted(_KEYWORDS))}",
        )
    return Aggregate(function, column, **given)


def count(column: str | None = None, **common: Unpack[Common]) -> Aggregate:
    """Number of rows; with a column, of its non-null values. Int64, 0 when empty."""
    return _make("count", column, common)


def sum(column: str | None = None, **common: Unpack[Common]) -> Aggregate:
    """The exact sum, rounded once. Int64, Float64 or Decimal(38, s); null when empty; overflow is an error."""
    return _make("sum", column, common)


def mean(column: str | None = None, **common: Unpack[Common]) -> Aggregate:
    """The exact sum rounded to Float64, divided by the number of values. Null when empty."""
    return _make("mean", column, common)


def var(column: str | None = None, *, ddof: int = 1, **common: Unpack[Common]) -> Aggregate:
    """Variance from exact sums. Null when there are not more than `ddof` values."""
    return _make("var", column, common, ddof=ddof)


def std(column: str | None = None, *, ddof: int = 1, **common: Unpack[Common]) -> Aggregate:
    """Square root of `var`."""
    return _make("std", column, common, ddof=ddof)


def min(column: str | None = None, **common: Unpack[Common]) -> Aggregate:
    """The least value. -0.0 < 0.0; NaN only if there is nothing else; text by code point."""
    return _make("min", column, common)


def max(column: str | None = None, **common: Unpack[Common]) -> Aggregate:
    """The greatest value. -0.0 < 0.0; NaN only if there is nothing else; text by code point."""
    return _make("max", column, common)


def first(
    column: str | None = None, *, nulls: Literal["skip", "keep"] = "skip", **common: Unpack[Common]
) -> Aggregate:
    """The value of the first row in order (event time, declared known_at, row id)."""
    return _make("first", column, common, nulls=nulls)


def last(
    column: str | None = None, *, nulls: Literal["skip", "keep"] = "skip", **common: Unpack[Common]
) -> Aggregate:
    """The value of the last row in order (event time, declared known_at, row id)."""
    return _make("last", column, common, nulls=nulls)


def first_k(
    column: str | None = None, k: int = 1, *, distinct: bool = False, **common: Unpack[Common]
) -> Aggregate:
    """The first k values in order, oldest first. A list, empty when there is none."""
    return _make("first_k", column, common, k=k, distinct=distinct)


def last_k(
    column: str | None = None, k: int = 1, *, distinct: bool = False, **common: Unpack[Common]
) -> Aggregate:
    """The last k values in order, newest first. A list, empty when there is none."""
    return _make("last_k", column, common, k=k, distinct=distinct)


def n_distinct(column: str | None = None, **common: Unpack[Common]) -> Aggregate:
    """Number of different non-null values, exact. NaN is one value, and so are 0.0 and -0.0."""
    return _make("n_distinct", column, common)


def mode(column: str | None = None, **common: Unpack[Common]) -> Aggregate:
    """The most frequent value; of several the least. Null when empty. 0.0 and -0.0 are one value, and 0.0."""
    return _make("mode", column, common)


def top_k(column: str | None = None, k: int = 1, **common: Unpack[Common]) -> Aggregate:
    """The k most frequent values, by count descending, then by value ascending. A list, empty when there is none."""
    return _make("top_k", column, common, k=k)


def histogram(column: str | None = None, **common: Unpack[Common]) -> Aggregate:
    """How often each value occurs: a list of {key, value}, keys ascending, with no key that does not occur."""
    return _make("histogram", column, common)


def quantile(column: str | None = None, q: float | None = None, **common: Unpack[Common]) -> Aggregate:
    """The exact quantile `q` in [0, 1], between the two values about q(n - 1). Null when empty."""
    return _make("quantile", column, common, q=q)


def median(column: str | None = None, **common: Unpack[Common]) -> Aggregate:
    """The middle value, or the mean of the two middle values: the exact quantile at one half."""
    return _make("median", column, common)


def approx_n_distinct(column: str | None = None, **common: Unpack[Common]) -> Aggregate:
    """Number of different non-null values, estimated by HyperLogLog from a fixed hash: standard error 1.6 %."""
    return _make("approx_n_distinct", column, common)


def approx_quantile(column: str | None = None, q: float | None = None, **common: Unpack[Common]) -> Aggregate:
    """The quantile `q` of values rounded to logarithmic buckets: within 0.8 % where all have one sign."""
    return _make("approx_quantile", column, common, q=q)


def decayed_sum(
    column: str | None = None, *, half_life: Given | int | None = None, **common: Unpack[Common]
) -> Aggregate:
    """Sum of x · 2^(-age / half_life), age = t - event_time. Float64, null when empty; needs a window."""
    return _make("decayed_sum", column, common, half_life=half_life)


def any(column: str | None = None, **common: Unpack[Common]) -> Aggregate:
    """Whether some value is true. Null when there is none."""
    return _make("any", column, common)


def all(column: str | None = None, **common: Unpack[Common]) -> Aggregate:
    """Whether all values are true. Null when there is none."""
    return _make("all", column, common)


def time_since_last(column: str | None = None, **common: Unpack[Common]) -> Aggregate:
    """t minus the event time of the last row (with a non-null value, if a column is given). Duration in µs."""
    return _make("time_since_last", column, common)


def time_since_first(column: str | None = None, **common: Unpack[Common]) -> Aggregate:
    """t minus the event time of the first row (with a non-null value, if a column is given). Duration in µs."""
    return _make("time_since_first", column, common)


def rate(column: str | None = None, **common: Unpack[Common]) -> Aggregate:
    """Rows (or non-null values) per second of the window. 0.0 when empty; needs a window."""
    return _make("rate", column, common)
