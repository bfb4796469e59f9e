"""Pii: a tag reaches every feature that tells something of what was tagged."""

from __future__ import annotations

import polars as pl
import pytest

import gnomon as gn
from gnomon.define.collect import collect
from gnomon.registry.pii import pii_features
from tests.registry import shop

user = gn.Entity("user", keys={"user": pl.Int64})


@gn.on_demand(inputs=[shop.profile["age"]], returns={"older": pl.Int64})
def older(age: pl.Series) -> pl.Series:
    return age + 1


def told(*definitions) -> set[str]:
    """What is pii in a registry that holds these."""
    return set(pii_features(collect(list(definitions))))


def people(**options):
    return gn.FileSource("people", path="people.parquet", timestamp="at", **options)


def state(*features, source=None, name="person", **options):
    return gn.FeatureGroup(name, entity=user, source=source or people(), features=list(features), **options)


EMAIL = gn.Feature("email", pl.String, tags={"pii": "yes"})
CITY = gn.Feature("city", pl.String)


def test_without_a_tag_nothing_is():
    assert told(state(gn.Feature("email", pl.String), CITY)) == set()


@pytest.mark.parametrize("value", ["no", "False", "0", ""])
def test_tag_may_say_no(value):
    assert told(state(gn.Feature("email", pl.String, tags={"pii": value}))) == set()


def test_feature_that_is_tagged_is_and_its_neighbour_is_not():
    assert told(state(EMAIL, CITY)) == {"person@1:email"}


def test_what_is_made_from_its_column_is_under_any_name_and_in_any_group():
    domain = gn.Feature("host", pl.String, expr="split_part(email, '@', 2)")
    events = gn.FeatureGroup(
        "visits",
        entity=user,
        source=people(),
        features=[
            gn.last("email", name="newest"),
            gn.count(windows=["1d"], where="email IS NOT NULL", name="known"),
            gn.sum("paid", by="email", name="by_email"),
            gn.sum("paid", name="total"),
        ],
    )
    assert told(state(EMAIL, domain), events) == {
        "person@1:email",
        "person@1:host",
        "visits@1:newest",
        "visits@1:known_1d",
        "visits@1:by_email",
    }


def test_columns_behind_a_tagged_expression_are():
    full = gn.Feature("full", pl.String, expr="first || last", tags={"pii": "yes"})
    assert told(state(full, gn.Feature("first", pl.String), CITY)) == {"person@1:full", "person@1:first"}


def test_label_of_such_a_column_is():
    labelled = gn.FeatureGroup(
        "coming", entity=user, source=people(), features=[gn.label(gn.last("email", name="next"), "1d")]
    )
    assert len(told(state(EMAIL), labelled)) == 2


def test_tag_of_a_group_covers_it_and_what_its_columns_are_elsewhere():
    other = state(CITY, gn.Feature("paid", pl.Float64), name="other")
    assert told(state(CITY, tags={"pii": "yes"}), other) == {"person@1:city", "other@1:city"}


def test_source_can_name_columns_or_mean_all_of_them():
    features = (gn.Feature("email", pl.String), CITY)
    assert told(state(*features, source=people(tags={"pii": "phone, email"}))) == {"person@1:email"}
    assert told(state(*features, source=people(tags={"pii": "yes"}))) == {"person@1:email", "person@1:city"}


def test_time_key_and_id_make_nothing_pii():
    """Whoever asks brings the key; every feature would be one."""
    source = gn.FileSource(
        "people", path="p.parquet", timestamp="at", event_id="id", tags={"pii": "user, at, id"}
    )
    assert (
        told(gn.FeatureGroup("g", entity=user, source=source, features=[gn.count(windows=["1h"])])) == set()
    )


def test_two_sources_that_read_one_file_have_its_columns_in_common():
    again = gn.FileSource("again", path="people.parquet", timestamp="later")
    elsewhere = gn.FileSource("elsewhere", path="others.parquet", timestamp="at")
    email = gn.Feature("email", pl.String)
    groups = [state(email, source=again, name="again"), state(email, source=elsewhere, name="elsewhere")]
    assert told(state(EMAIL), *groups) == {"person@1:email", "again@1:email"}


def test_on_demand_output_is_if_an_input_is():
    found = pii_features(shop.collected())
    assert found == {"profile@1:age", "profile@1:adult"}
    assert told(*shop.everything, older) == found | {"older@1:older"}
