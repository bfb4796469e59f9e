"""What fits of rows that are given, and why the others do not."""

from __future__ import annotations

from datetime import datetime

import polars as pl
import pytest

import gnomon as gn
from gnomon.errors import DataError
from gnomon.flows.fitting import fit_rows
from gnomon.flows.table import declared_columns
from gnomon.plan.layout import make_layout
from tests.flows.small import USER, VISITS, T, visit

DAY_KEY = gn.Entity("day", keys={"day": datetime})
READINGS = gn.FeatureGroup(
    "readings",
    entity=DAY_KEY,
    timestamp="at",
    schema={"text": str},
    features=[gn.sum(expr="CAST(text AS DOUBLE)", name="x")],
)


def fitting(rows, group=VISITS):
    return fit_rows(rows, group, make_layout(group, declared_columns(group)))


def test_rows_keep_their_order_and_their_numbers():
    found = fitting([visit(3, T), {"user": 1}, visit(1, T, None), visit(2, T)])
    assert found.rows["user"].to_list() == [3, 1, 2]
    assert found.numbers.to_list() == [0, 2, 3]
    assert (found.given, len(found.normal), [r.row for r in found.rejected]) == (4, 3, [1])


def test_values_of_one_column_may_be_whole_numbers_and_floats():
    group = gn.FeatureGroup(
        "spend", entity=USER, timestamp="at", schema={"x": pl.Float64}, features=[gn.sum("x")]
    )
    rows = [{"user": 1, "at": T, "x": 1}, {"user": 1, "at": T, "x": 2.5}, {"user": 1, "at": T, "x": None}]
    assert fitting(rows, group).rows["x"].to_list() == [1.0, 2.5, None]


def test_a_thousand_of_one_mistake_are_told_each():
    found = fitting([visit(1, T, "x") for _ in range(1_000)])  # type: ignore[arg-type]
    assert len(found.rows) == 0
    assert {r.reason for r in found.rejected} == {"column `ms` of group `visits` is Int64, found String"}
    assert len(found.rejected) == 1_000


def test_a_few_bad_values_among_many_are_found():
    rows = [{**visit(1, T), "at": "2026-01-10T12:00:00Z"} for _ in range(1_000)]
    for bad in (0, 499, 999):
        rows[bad]["at"] = "noon"
    found = fitting(rows)
    assert [r.row for r in found.rejected] == [0, 499, 999]
    assert len(found.rows) == 997


def test_a_row_from_which_a_feature_cannot_be_computed_is_told():
    found = fitting([{"day": T, "at": T, "text": text} for text in ("1", "one", "2")], READINGS)
    assert [r.row for r in found.rejected] == [1]
    assert "one" in found.rejected[0].reason
    assert len(found.normal) == 2


def test_a_key_that_is_finer_than_microseconds_is_told():
    fine = pl.Series([1_000, 1_001], dtype=pl.Int64).cast(pl.Datetime("ns", "UTC"))
    found = fitting(pl.DataFrame({"day": fine, "at": [T, T], "text": ["1", "2"]}), READINGS)
    assert [r.row for r in found.rejected] == [1]
    assert "finer" in found.rejected[0].reason


def test_columns_of_a_frame_stand_for_all_its_rows():
    with pytest.raises(DataError, match="has no columns `other`"):
        fitting(pl.DataFrame([visit(1, T)]).with_columns(other=1))
