"""Compare: every property has an effect, and reads well."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

import polars as pl
import pytest

import gnomon as gn
from gnomon.define.aggregate import Aggregate
from gnomon.define.label import Label
from gnomon.define.ondemand import OnDemand
from gnomon.registry.compare import EFFECTS, Detail, details, source_details, summary
from tests.registry import shop
from tests.registry.shop import changed

IDENTITY = {"name", "version"}
COMPARED_APART = {
    "group": {"entities", "features", "source", "schema", "external"},
    "label": {"aggregate"},
    "on_demand": {"inputs", "returns"},
}


@pytest.mark.parametrize(
    ("kind", "types"),
    [
        ("entity", [gn.Entity]),
        ("source", [gn.FileSource, gn.SQLSource]),
        ("group", [gn.FeatureGroup]),
        ("external", [gn.ExternalSource]),
        ("feature", [gn.Feature]),
        ("aggregate", [Aggregate]),
        ("label", [Label]),
        ("on_demand", [OnDemand]),
    ],
)
def test_every_property_of_every_definition_has_an_effect(kind, types):
    properties = {f.name for type_ in types for f in dataclasses.fields(type_) if f.compare}
    decided = EFFECTS[kind].keys() - {"type"} | COMPARED_APART.get(kind, set())
    assert decided == properties - (IDENTITY if kind != "external" else set())


@pytest.mark.parametrize("definition", [d for _, _, d in shop.collected()])
def test_definition_does_not_differ_from_itself(definition):
    assert details(definition, definition) == ()


def test_change_of_what_it_refers_to_is_not_a_change_of_the_definition():
    """It is one of the entity or source, and told there."""
    other = changed(
        shop.user_spend, source=changed(shop.orders, lag=0, path="elsewhere"), entity=changed(shop.user)
    )
    assert details(shop.user_spend, other) == ()


def test_sources_are_compared_by_what_they_have_in_common_where_their_types_differ():
    file = gn.FileSource("s", "a.csv", timestamp="at")
    sql = gn.SQLSource("s", url="sqlite:///a.db", query="SELECT 1", timestamp="seen", lag="1d")
    assert list(source_details(file, sql)) == [
        Detail("type", "file", "sql", "moved"),
        Detail("timestamp", "at", "seen", "meaning"),
        Detail("lag", "0", "1d", "meaning"),
    ]


def test_column_that_becomes_an_aggregate_is_another_feature():
    columns = gn.FeatureGroup("g", timestamp="at", features=[gn.Feature("x", pl.Int64)])
    events = gn.FeatureGroup("g", timestamp="at", features=[gn.count(name="x")])
    assert details(columns, events) == (Detail("feature `x`", "Int64", "count", "meaning"),)


def test_window_as_text_and_as_timedelta_are_the_same():
    a, b = (
        gn.FeatureGroup("g", timestamp="at", features=[gn.count(windows=window)])
        for window in ("1h", timedelta(hours=1))
    )
    assert details(a, b) == ()


@pytest.mark.parametrize(
    ("old", "new", "effect"),
    [
        ("a > 1 OR b", "(a > 1) or  b", "free"),
        ("a > 1", "a > 1.0", "meaning"),
        ("a + b + 1", "a + (b + 1)", "meaning"),
        ("'a b'", "'a  b'", "meaning"),
    ],
)
def test_expression_is_compared_by_what_it_computes(old, new, effect):
    a, b = (
        gn.FeatureGroup("g", timestamp="at", features=[gn.Feature("x", pl.String, expr=text)])
        for text in (old, new)
    )
    assert [d.effect for d in details(a, b)] == [effect]


def test_another_window_or_lateness_is_another_label_under_the_same_name():
    def group(window, lateness):
        label = gn.label(gn.count(where="x > 1"), window, name="l", lateness=lateness)
        return gn.FeatureGroup("g", timestamp="at", features=[label])

    found = details(group("1d", "1h"), group("2d", "2h"))
    assert [str(detail) for detail in found] == [
        "feature `l`: windows 1d → 2d",
        "feature `l`: lateness 1h → 2h",
    ]
    assert {detail.effect for detail in found} == {"meaning"}
    plain = gn.FeatureGroup("g", timestamp="at", features=[gn.count(name="l")])
    assert details(group("1d", "1h"), plain)[-1:] == (
        Detail("feature `l`", "label: count over 1d where x > 1, from t on", "count", "meaning"),
    )


@pytest.mark.parametrize(
    ("feature", "words"),
    [
        (gn.count(), "count"),
        (gn.mean("x", windows=["1h", "7d"], where="y = 0"), "mean of x over 1h, 7d where y = 0"),
        (gn.max(expr="x * 2", name="m"), "max of x * 2"),
        (gn.Feature("x", pl.Datetime("us", "UTC")), "Datetime(us, UTC)"),
        (gn.Feature("x", bool, expr="y > 1"), "Boolean = y > 1"),
    ],
)
def test_summary_tells_a_feature_in_a_few_words(feature, words):
    assert summary(feature) == words


@pytest.mark.parametrize(
    ("detail", "text"),
    [
        (Detail("max_age", "3h", "None"), "max_age: 3h → None"),
        (Detail("feature `x`: dtype", "Int8", "Int16"), "feature `x`: dtype Int8 → Int16"),
        (Detail("feature `x`", None, "count"), "feature `x`: new, count"),
        (Detail("feature `x`", "count", None), "feature `x`: removed, was count"),
        (Detail("written differently", None, None), "written differently"),
    ],
)
def test_detail_reads_as_a_line(detail, text):
    assert str(detail) == text
