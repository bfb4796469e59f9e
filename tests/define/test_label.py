"""Labels: aggregates that look forward, declared beside the features of an event group."""

from __future__ import annotations

from datetime import timedelta

import polars as pl
import pytest

import gnomon as gn
from gnomon.errors import DefinitionError, NotFound

USER = gn.Entity("user", keys={"user": int})


def group(*features, **given):
    return gn.FeatureGroup("g", entity=USER, timestamp="at", schema={"x": int}, features=features, **given)


def test_a_label_is_named_for_what_comes_next():
    assert gn.label(gn.sum("x"), "7d").name == "x_sum_next_7d"
    assert gn.label(gn.count(where="x > 1", name="big"), timedelta(hours=36)).name == "big_next_36h"
    assert gn.label(gn.quantile("x", 0.9), "1h").name == "x_quantile_0_9_next_1h"
    assert gn.label(gn.sum("x"), "7d", name="spend").name == "spend"


def test_the_window_of_a_rate_may_stand_in_both_places():
    made = gn.label(gn.rate(windows=["1h"]), "60m")
    assert [w.text for w in made.aggregate.windows] == ["60m"]


@pytest.mark.parametrize(
    ("aggregate", "window", "options", "at", "message"),
    [
        (gn.sum("x", default=0), "7d", {}, "aggregate.default", "no `default`"),
        (gn.sum("x", offset="1d"), "7d", {}, "aggregate.offset", "begins at t"),
        (gn.sum("x", include_request=True), "7d", {}, "aggregate.include_request", "no `include_request`"),
        (gn.sum("x", windows=["1d"]), "7d", {}, "aggregate.windows", "windows of its own"),
        (gn.sum("x"), "0s", {}, "window", "not positive"),
        (gn.sum("x"), "1month", {}, "window", "not a duration"),
        (gn.sum("x"), "7d", {"lateness": -1}, "lateness", "negative"),
        (gn.sum("x"), "7d", {"name": "a b"}, "", "not a usable name"),
    ],
)
def test_what_a_label_cannot_be(aggregate, window, options, at, message):
    with pytest.raises(DefinitionError, match=message) as caught:
        gn.label(aggregate, window, **options)
    (problem,) = caught.value.problems
    assert problem.at == f"gn.label(gn.{aggregate.function}(x))" + (f".{at}" if at else "")


def test_a_feature_is_no_aggregate_to_make_a_label_of():
    features = group(gn.sum("x", windows=["7d"]))
    with pytest.raises(DefinitionError, match="made of an aggregate, found a Selection"):
        gn.label(features["x_sum_7d"], "7d")


def test_a_whole_group_is_its_features_and_labels_are_chosen_by_name():
    both = group(gn.sum("x", windows=["7d"]), gn.label(gn.sum("x"), "7d"))
    assert [one.name for one in both] == ["x_sum_7d"]
    assert [one.name for one in both.renamed(prefix="a_")] == ["a_x_sum_7d"]
    assert both["x_sum_next_7d"].is_label
    assert not both["x_sum_7d"].is_label
    assert both.renamed(prefix="a_")["x_sum_next_7d"].name == "a_x_sum_next_7d"
    with pytest.raises(NotFound, match="did you mean `x_sum_next_7d`"):
        both["x_sum_nxt_7d"]


def test_a_group_of_labels_alone_is_never_online():
    alone = group(gn.label(gn.sum("x"), "7d"))
    assert alone.kind == "event"
    assert alone.feature_names == ()
    assert not alone.online
    with pytest.raises(DefinitionError, match="only labels, which are chosen by name"):
        gn.FeatureService("s", features=[alone])


def test_labels_are_of_events_and_not_of_states():
    with pytest.raises(DefinitionError, match="either columns or aggregates"):
        group(gn.Feature("x", pl.Int64), gn.label(gn.sum("x"), "7d"))


def test_the_name_that_tells_of_maturity_is_taken():
    with pytest.raises(DefinitionError, match="`x_sum_next_7d_mature` is also"):
        group(gn.label(gn.sum("x"), "7d"), gn.label(gn.count(), "7d", name="x_sum_next_7d_mature"))


def test_no_function_is_made_of_a_label():
    with pytest.raises(DefinitionError, match="is a label"):

        @gn.on_demand(inputs=[group(gn.label(gn.sum("x"), "7d"))["x_sum_next_7d"]], returns={"y": pl.Float64})
        def y(x_sum_next_7d):
            return x_sum_next_7d


def test_every_property_makes_it_another_label():
    plain = gn.label(gn.sum("x"), "7d", name="l")
    others = [
        gn.label(gn.sum("y"), "7d", name="l"),
        gn.label(gn.sum("x"), "8d", name="l"),
        gn.label(gn.sum("x"), "7d", name="m"),
        gn.label(gn.sum("x"), "7d", name="l", lateness="1d"),
    ]
    assert len({plain, *others}) == 1 + len(others)
