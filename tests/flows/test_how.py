"""What is computed, in words."""

from __future__ import annotations

import polars as pl
import pytest

import gnomon as gn
from gnomon.flows.how import how
from gnomon.plan.layout import make_layout
from tests.flows.small import USER

COLUMNS = {"user": pl.Int64(), "at": pl.Datetime("us", "UTC"), "x": pl.Int64()}


@pytest.mark.parametrize(
    ("feature", "words"),
    [
        (gn.count(), "count() of all rows before t"),
        (gn.count(windows="1d", include_request=True), "count() in [t - 1d, t), with the request's own row"),
        (gn.mean("x", offset="1h"), "mean(x) of all rows before t - 1h"),
        (
            gn.sum("x", windows="1h", offset="10m", where="x > 2", limit=5),
            "sum(x) where (x > 2) in [t - 10m - 1h, t - 10m), newest 5",
        ),
        (gn.last_k("x", 3, windows="1h", distinct=True), "last_k(x, k=3, distinct) in [t - 1h, t)"),
        (gn.std(expr="x + 1", name="s", windows="1h", ddof=0), "std((x + 1), ddof=0) in [t - 1h, t)"),
        (gn.first("x", nulls="keep"), "first(x, nulls kept) of all rows before t"),
    ],
)
def test_an_aggregate_is_told_with_its_rows_and_the_windows_edges(feature, words):
    layout = make_layout(
        gn.FeatureGroup("g", entity=USER, timestamp="at", schema={"x": pl.Int64}, features=[feature]), COLUMNS
    )
    assert how(layout, layout.outputs[0]) == words


@pytest.mark.parametrize(("max_age", "words"), [(None, "of any age"), ("3h", "not older than 3h")])
def test_a_column_is_told_with_how_old_its_row_may_be(max_age, words):
    features = [gn.Feature("x", int), gn.Feature("y", int, expr="x + 1")]
    group = gn.FeatureGroup(
        "g", entity=USER, timestamp="at", max_age=max_age, schema={"x": int}, features=features
    )
    layout = make_layout(group, COLUMNS)
    assert [how(layout, o) for o in layout.outputs] == [
        f"{v} of the newest row {words}" for v in ("x", "(x + 1)")
    ]
