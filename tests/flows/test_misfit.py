"""Rows that cannot be computed: which feature it is, which value, and what to do."""

from __future__ import annotations

import polars as pl
import pytest

import gnomon as gn
from gnomon.flows.misfit import misfit
from gnomon.plan.layout import make_layout
from tests.flows.small import USER, T

SCHEMA = {
    "user": pl.Int64(),
    "at": pl.Datetime("us", "UTC"),
    "n": pl.UInt64(),
    "i": pl.Int64(),
    "s": pl.String(),
}


def found(features, rows, **options):
    """What is said of rows, given as (n, i, s)."""
    group = gn.FeatureGroup("g", entity=USER, timestamp="at", schema=SCHEMA, features=features, **options)
    raw = pl.DataFrame([(1, T, *row) for row in rows], schema=SCHEMA, orient="row").lazy()
    return misfit(raw, make_layout(group, SCHEMA))


@pytest.mark.parametrize(
    ("feature", "row", "says", "hint"),
    [
        (gn.sum(expr="i * i", name="square"), (1, 2**32, "1"), "`i * i` comes to 18446744073709551616", "DOUBLE"),
        (gn.sum(expr="i * i - i * i", name="square"), (1, 2**32, "1"), "comes to 18446744073709551616", "CASE"),
        (gn.count(where="n > 5", name="square"), (2**63, 1, "1"), "`n > 5` comes to 9223372036854775808", "CAST"),
        (gn.last("n", name="square"), (2**63, 1, "1"), "column `n` holds 9223372036854775808", "another type"),
        (gn.last(expr="CAST(s AS INT)", name="square"), (1, 1, "x"), "in column 's'", "TRY_CAST"),
    ],
)  # fmt: skip
def test_the_feature_and_the_value_are_named(feature, row, says, hint):
    error = found([gn.count(), feature], [(1, 1, "1"), row])
    assert error is not None
    assert error.what.startswith("feature `square` cannot be computed: ")
    assert says in error.what
    assert hint in error.hint


def test_features_of_one_expression_are_named_together():
    error = found([gn.sum(expr="i * i", windows=["1h", "1d"], name="square")], [(1, 2**32, "1")])
    assert "features `square_1h`, `square_1d` cannot" in error.what


def test_nothing_is_found_in_rows_that_fit_or_take_no_part():
    features = [gn.sum(expr="i * i", name="square")]
    assert found(features, [(1, 2, "1")]) is None
    group = gn.FeatureGroup("g", entity=USER, timestamp="at", schema=SCHEMA, features=features)
    nobody = pl.LazyFrame([(None, T, 1, 2**32, "1")], schema=SCHEMA, orient="row")
    assert misfit(nobody, make_layout(group, SCHEMA)) is None
