"""The reference's aggregates against values worked out by hand."""

from __future__ import annotations

import math
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

import gnomon as gn
from gnomon.define.aggregate import Aggregate
from gnomon.testing.reference import same
from gnomon.testing.reference_values import OVERFLOW, Asked, Item, aggregate

T = 10_000_000
NAN, INF = math.nan, math.inf
TWO_53 = 2.0**53


def over(declared: Aggregate, *values: Any) -> Any:
    """The aggregate over values of the seconds 1, 2, …, asked at 10 s."""
    items = [Item(second * 1_000_000, value) for second, value in enumerate(values, 1)]
    window = declared.windows[0] if declared.windows else None
    return aggregate(items, Asked(declared, window, T))


@pytest.mark.parametrize(
    ("declared", "values", "want"),
    [
        (gn.count(), [None, 1], 2),
        (gn.rate(windows="10s"), [None] * 3, 0.3),
        (gn.sum("x"), [], None),
        (gn.sum("x"), [1, 2], 3),
        (gn.sum("x"), [True, False, True], 2),
        (gn.sum("x"), [2**63 - 1, 1, -1], 2**63 - 1),
        (gn.sum("x"), [2**63 - 1, 1], OVERFLOW),
        (gn.sum("x"), [-(2**63), -1], OVERFLOW),
        (gn.sum("x"), [1e16, 1.0, -1e16], 1.0),
        (gn.sum("x"), [0.1] * 10, 1.0),
        (gn.sum("x"), [-0.0], 0.0),
        (gn.sum("x"), [INF, 1.0], INF),
        (gn.sum("x"), [INF, -INF], NAN),
        (gn.sum("x"), [INF, NAN], NAN),
        (gn.sum("x"), [1.7e308, 1.7e308], OVERFLOW),
        (gn.sum("x"), [1.7e308, 1.7e308, -1.7e308], 1.7e308),
        (gn.sum("x"), [5e-324, 5e-324], 1e-323),
        (gn.sum("x"), [Decimal("0.10"), Decimal("-0.10")], Decimal("0.00")),
        (gn.sum("x"), [Decimal(10**37), Decimal(9 * 10**37)], OVERFLOW),
        (gn.mean("x"), [], None),
        (gn.mean("x"), [TWO_53, 1.0, 1.0], 3002399751580331.5),
        (gn.mean("x"), [2**63 - 1, 2**63 - 1], 2.0**63),
        (gn.mean("x"), [1.7e308, 1.7e308], OVERFLOW),
        (gn.mean("x"), [Decimal("0.10"), Decimal("0.20")], 0.15),
        (gn.var("x"), [1.0], None),
        (gn.var("x", ddof=0), [1.0], 0.0),
        (gn.var("x"), [NAN], None),
        (gn.var("x", ddof=0), [INF], NAN),
        (gn.var("x"), [1.0, 3.0], 2.0),
        (gn.var("x"), [1e15 + 1, 1e15 + 2, 1e15 + 3], 1.0),
        (gn.var("x"), [1e200, -1e200], OVERFLOW),
        (gn.std("x", ddof=0), [1, 3], 1.0),
        (gn.std("x"), [], None),
        (gn.min("x"), [0.0, -0.0, NAN], -0.0),
        (gn.max("x"), [-0.0, 0.0, NAN], 0.0),
        (gn.max("x"), [NAN, NAN], NAN),
        (gn.min("x"), ["b", "B", "é"], "B"),
        (gn.max("x"), ["￿", "\U0001f600"], "\U0001f600"),
        (gn.min("x"), [], None),
        (gn.median("x"), [4, 1, 3, 2], 2.5),
        (gn.median("x"), [INF, INF], INF),
        (gn.median("x"), [-INF, INF], NAN),
        (gn.median("x"), [NAN, 1.0, 2.0], 2.0),
        (gn.median("x"), [], None),
        (gn.first("x"), [1, 2], 1),
        (gn.last("x"), [1, None], None),
        (gn.first_k("x", k=2), [1, 2, 3], [1, 2]),
        (gn.last_k("x", k=2), [1, 2, 3], [3, 2]),
        (gn.last_k("x", k=2, distinct=True), [2, 1, 1], [1, 2]),
        (gn.first_k("x", k=9, distinct=True), [-0.0, 0.0, NAN, NAN], [-0.0, NAN]),
        (gn.last_k("x", k=2), [], []),
        (gn.n_distinct("x"), [NAN, NAN, 0.0, -0.0, 1.0], 3),
        (gn.any("x"), [False, True], True),
        (gn.all("x"), [False, True], False),
        (gn.all("x"), [], None),
        (gn.time_since_first(), [1, 2], timedelta(seconds=9)),
        (gn.time_since_last(), [1, 2], timedelta(seconds=8)),
        (gn.time_since_last(), [], None),
    ],
)
def test_the_value_is_what_the_semantics_say(declared: Aggregate, values: list[Any], want: Any) -> None:
    assert same(over(declared, *values), want)
