"""Aggregates in plain Python: the values of the rows in a window → the feature's value (SEMANTICS §4).

Numbers are `Fraction`s until the one rounding, and Python rounds correctly. Nothing is computed by `kernels/`: even
its power function, which SEMANTICS leaves to us, is run by Python here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Context, Decimal
from fractions import Fraction
from typing import Any, TypeVar

from gnomon.define.aggregate import Aggregate, Window
from gnomon.kernels.decay import weight
from gnomon.testing import reference_sketches


class Overflow:
    """The marker of a value that cannot be computed: a result beyond its type."""

    def __repr__(self) -> str:
        return "OVERFLOW"


OVERFLOW = Overflow()

_INT64 = range(-(2**63), 2**63)
_DIGITS = 38
_EXACT = Context(prec=200)
_weight = getattr(weight, "py_func", weight)
"""The power function of decayed sums, not compiled."""


@dataclass(frozen=True)
class Item:
    """A row in the window, as one aggregate sees it."""

    time: int
    """Event time in microseconds; that of the request for the request's own row."""
    value: Any
    """Of the aggregate's column or expression; None for null, and where it has neither."""


@dataclass(frozen=True)
class Asked:
    """What a value may depend on besides the rows."""

    aggregate: Aggregate
    window: Window | None
    t: int


def aggregate(items: Sequence[Item], asked: Asked) -> Any:
    """The value over `items`: the rows in order that passed window, condition, nulls and limit."""
    return _FUNCTIONS[asked.aggregate.function](items, asked)


def _values(items: Sequence[Item]) -> list[Any]:
    return [item.value for item in items]


def _count(items: Sequence[Item], asked: Asked) -> int:
    return len(items)


def _rate(items: Sequence[Item], asked: Asked) -> float:
    assert asked.window is not None
    return len(items) / (asked.window.length / 1e6)


# ----------------------------------------------------------------------------------------- sums and moments


def _special(values: Iterable[Any]) -> float | None:
    """What infinities and NaNs make of a sum; None if there are none."""
    found = [v for v in values if isinstance(v, float) and not math.isfinite(v)]
    if not found:
        return None
    return found[0] if all(v == found[0] for v in found) else math.nan


def rounded(exact: Fraction) -> float | Overflow:
    """The nearest Float64, ties to even; a zero is +0.0."""
    try:
        return float(exact)
    except OverflowError:
        return OVERFLOW


def _exact_sum(values: Iterable[Any]) -> Fraction:
    return sum((Fraction(v) for v in values), Fraction(0))


def _float_sum(values: Sequence[Any]) -> float | Overflow:
    special = _special(values)
    return rounded(_exact_sum(values)) if special is None else special


def _sum(items: Sequence[Item], asked: Asked) -> Any:
    values = _values(items)
    if not values:
        return None
    if isinstance(values[0], Decimal):
        return _decimal_sum(values)
    if isinstance(values[0], float):
        return _float_sum(values)
    total = sum(int(v) for v in values)
    return total if total in _INT64 else OVERFLOW


def _decimal_sum(values: Sequence[Decimal]) -> Decimal | Overflow:
    """Exact, of the column's scale, with at most 38 digits."""
    total = Decimal(0)
    for value in values:
        total = _EXACT.add(total, value)
    scale = -min(v.as_tuple().exponent for v in values)  # type: ignore[operator]
    total = total.quantize(Decimal(1).scaleb(-scale), context=_EXACT)
    return total if len(total.as_tuple().digits) <= _DIGITS else OVERFLOW


def _mean(items: Sequence[Item], asked: Asked) -> Any:
    values = _values(items)
    if not values:
        return None
    total = _float_sum(values)
    return total if isinstance(total, Overflow) else total / len(values)


def _var(items: Sequence[Item], asked: Asked) -> Any:
    """RN(n Σx² − (Σx)²) / RN(n (n − ddof))."""
    values, ddof = _values(items), 1 if asked.aggregate.ddof is None else asked.aggregate.ddof
    n = len(values)
    if n <= ddof:
        return None
    if _special(values) is not None:
        return math.nan
    exact = [Fraction(v) for v in values]
    numerator = rounded(n * _exact_sum(x * x for x in exact) - _exact_sum(exact) ** 2)
    return numerator if isinstance(numerator, Overflow) else numerator / float(n * (n - ddof))


def _std(items: Sequence[Item], asked: Asked) -> Any:
    variance = _var(items, asked)
    return math.sqrt(variance) if isinstance(variance, float) else variance


# -------------------------------------------------------------------------------------- order of the values


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _rank(value: Any) -> Any:
    """What values compare by: −0.0 < 0.0; Python compares text by code point."""
    return (value, math.copysign(1.0, value)) if isinstance(value, float) else value


def _extreme(pick: Callable[..., Any], items: Sequence[Item]) -> Any:
    values = _values(items)
    numbers = [v for v in values if not _is_nan(v)]
    if numbers:
        return pick(numbers, key=_rank)
    return values[0] if values else None


def _min(items: Sequence[Item], asked: Asked) -> Any:
    return _extreme(min, items)


def _max(items: Sequence[Item], asked: Asked) -> Any:
    return _extreme(max, items)


def _sorted(values: Sequence[Any]) -> list[Any]:
    """Ascending; NaN is the greatest."""
    numbers = sorted((v for v in values if not _is_nan(v)), key=_rank)
    return numbers + [math.nan] * (len(values) - len(numbers))


def _median(items: Sequence[Item], asked: Asked) -> float | None:
    return _interpolated(_values(items), 0.5)


def _quantile(items: Sequence[Item], asked: Asked) -> float | None:
    assert asked.aggregate.q is not None
    return _interpolated(_values(items), asked.aggregate.q)


def _interpolated(values: Sequence[Any], q: float) -> float | None:
    """h = q (n − 1), a + (b − a) · f."""
    ordered = [float(v) for v in _sorted(values)]
    if not ordered:
        return None
    h = q * (len(ordered) - 1)
    k = math.floor(h)
    f = h - k
    a, b = ordered[k], ordered[k + 1] if f else ordered[k]
    return a if f == 0 or a == b else a + (b - a) * f


# ----------------------------------------------------------------------------------- how often values occur


T = TypeVar("T")


def by_category(rows: Sequence[T], category: Callable[[T], Any]) -> list[tuple[Any, list[T]]]:
    """The rows of each category, in their order; categories ascending, without null.

    NaN is one category, and so are −0.0 and 0.0: 0.0.
    """
    alike: dict[Any, list[T]] = {}
    for row in rows:
        if category(row) is not None:
            alike.setdefault(_identity(category(row)), []).append(row)
    firsts = [category(found[0]) for found in alike.values()]
    keys = _sorted([key + 0.0 if isinstance(key, float) else key for key in firsts])
    return [(key, alike[_identity(key)]) for key in keys]


def _counted(values: Sequence[Any]) -> list[tuple[Any, int]]:
    """(value, how often it occurs), values ascending."""
    return [(key, len(found)) for key, found in by_category(values, lambda value: value)]


def _most_frequent(values: Sequence[Any], k: int) -> list[Any]:
    """By count descending, then by value ascending."""
    return [value for value, _ in sorted(_counted(values), key=lambda pair: -pair[1])[:k]]


def _mode(items: Sequence[Item], asked: Asked) -> Any:
    return _most_frequent(_values(items), 1)[0] if items else None


def _top_k(items: Sequence[Item], asked: Asked) -> list[Any]:
    return _most_frequent(_values(items), asked.aggregate.k or 1)


def _histogram(items: Sequence[Item], asked: Asked) -> list[dict[str, Any]]:
    return [{"key": value, "value": count} for value, count in _counted(_values(items))]


# ---------------------------------------------------------------------------------------- order of the rows


def _first(items: Sequence[Item], asked: Asked) -> Any:
    return items[0].value if items else None


def _last(items: Sequence[Item], asked: Asked) -> Any:
    return items[-1].value if items else None


def _first_k(items: Sequence[Item], asked: Asked) -> list[Any]:
    return _k(_values(items), asked.aggregate)


def _last_k(items: Sequence[Item], asked: Asked) -> list[Any]:
    """Newest first."""
    return _k(_values(items)[::-1], asked.aggregate)


def _k(values: list[Any], declared: Aggregate) -> list[Any]:
    if declared.distinct:
        values = _first_of_each(values)
    return values[: declared.k or 1]


def _first_of_each(values: list[Any]) -> list[Any]:
    seen: set[Any] = set()
    kept = []
    for value in values:
        if _identity(value) not in seen:
            seen.add(_identity(value))
            kept.append(value)
    return kept


def _identity(value: Any) -> Any:
    """Equal for values that count as one: NaN is one value, and so are −0.0 and 0.0."""
    return ("NaN",) if _is_nan(value) else value


def _n_distinct(items: Sequence[Item], asked: Asked) -> int:
    return len({_identity(v) for v in _values(items)})


# ---------------------------------------------------------------------------------- approximate, decayed


def _approx_n_distinct(items: Sequence[Item], asked: Asked) -> int:
    return reference_sketches.n_distinct(_values(items))


def _approx_quantile(items: Sequence[Item], asked: Asked) -> float | None:
    assert asked.aggregate.q is not None
    rounded_values = [reference_sketches.middle(float(v)) for v in _values(items)]
    return _interpolated(rounded_values, asked.aggregate.q)


def _decayed_sum(items: Sequence[Item], asked: Asked) -> float | Overflow | None:
    """Terms that are rounded each, and their exact sum rounded once."""
    half_life = asked.aggregate.half_life
    assert half_life is not None
    if not items:
        return None
    return _float_sum([_decayed(float(item.value), asked.t - item.time, half_life) for item in items])


def _decayed(value: float, age: int, half_life: int) -> float:
    if not math.isfinite(value):
        return value
    m, n = _weight(age, half_life)
    return math.ldexp(value * float(m), -n)


def _any(items: Sequence[Item], asked: Asked) -> bool | None:
    return any(_values(items)) if items else None


def _all(items: Sequence[Item], asked: Asked) -> bool | None:
    return all(_values(items)) if items else None


def _time_since_last(items: Sequence[Item], asked: Asked) -> timedelta | None:
    return timedelta(microseconds=asked.t - items[-1].time) if items else None


def _time_since_first(items: Sequence[Item], asked: Asked) -> timedelta | None:
    return timedelta(microseconds=asked.t - items[0].time) if items else None


_FUNCTIONS: dict[str, Callable[[Sequence[Item], Asked], Any]] = {
    "count": _count,
    "sum": _sum,
    "mean": _mean,
    "var": _var,
    "std": _std,
    "min": _min,
    "max": _max,
    "first": _first,
    "last": _last,
    "first_k": _first_k,
    "last_k": _last_k,
    "n_distinct": _n_distinct,
    "mode": _mode,
    "top_k": _top_k,
    "histogram": _histogram,
    "quantile": _quantile,
    "median": _median,
    "approx_n_distinct": _approx_n_distinct,
    "approx_quantile": _approx_quantile,
    "decayed_sum": _decayed_sum,
    "any": _any,
    "all": _all,
    "time_since_last": _time_since_last,
    "time_since_first": _time_since_first,
    "rate": _rate,
}
