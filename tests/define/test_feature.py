"""Features: columns of state groups."""

from __future__ import annotations

import polars as pl
import pytest

import gnomon as gn
from gnomon.errors import DefinitionError


def test_python_types_and_polars_types_are_the_same_feature():
    assert gn.Feature("x", float) == gn.Feature("x", pl.Float64) == gn.Feature("x", "Float64")


def test_a_category_is_text():
    assert gn.Feature("x", pl.Categorical).dtype == pl.String()


def test_inner_types_are_instances_so_that_layouts_can_ask_them():
    assert isinstance(gn.Feature("x", pl.List(pl.Time)).dtype.inner, pl.Time)


def test_all_problems_are_told_at_once():
    with pytest.raises(DefinitionError) as caught:
        gn.Feature("a b", pl.List, expr="SUM(x)", tags=["pii"])
    assert [p.at for p in caught.value.problems] == [
        "feature a b",
        "feature a b.dtype",
        "feature a b.expr",
        "feature a b",
    ]


def test_a_default_may_be_a_list_or_a_struct():
    for dtype, default in [(pl.List(pl.Int64), [1]), (pl.Struct({"a": pl.Int64}), {"a": 1})]:
        assert hash(gn.Feature("x", dtype, default=default)) == hash(gn.Feature("x", dtype, default=default))
        assert gn.Feature("x", dtype, default=default) != gn.Feature("x", dtype)


@pytest.mark.parametrize("tags", [{"a": ["b"]}, {1: "b"}, {"a": None}])
def test_tags_are_text(tags):
    with pytest.raises(DefinitionError, match="is no text"):
        gn.Feature("x", int, tags=tags)


def test_every_property_makes_it_another_feature():
    plain = gn.Feature("x", int)
    others = [
        gn.Feature("y", int),
        gn.Feature("x", float),
        gn.Feature("x", int, expr="y"),
        gn.Feature("x", int, default=0),
        gn.Feature("x", int, description="x"),
        gn.Feature("x", int, tags={"a": "b"}),
    ]
    assert len({plain, *others}) == 1 + len(others)
