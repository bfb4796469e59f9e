"""Services: what a model asks for, in order."""

from __future__ import annotations

import pytest

import gnomon as gn
from gnomon.errors import DefinitionError
from tests.define.test_define_ondemand import GROUP, per_minute

ROLE = GROUP.renamed(prefix="friend_", keys={"k": "friend"})


def test_groups_and_roles_are_all_their_features_in_order():
    service = gn.FeatureService("s", features=[GROUP["x_sum"], ROLE, per_minute, GROUP])
    assert [f.name for f in service.features] == [
        "x_sum",
        "friend_count",
        "friend_x_sum",
        "per_minute",
        "count",
        "x_sum",
    ]
    assert service.ref == "s@1"


def test_order_makes_another_service():
    one = gn.FeatureService("s", features=[GROUP["x_sum"], GROUP["count"]])
    other = gn.FeatureService("s", features=[GROUP["count"], GROUP["x_sum"]])
    assert one != other
    assert one == gn.FeatureService("s", features=[GROUP["x_sum"], GROUP["count"]])


def test_all_problems_are_told_at_once():
    with pytest.raises(DefinitionError) as caught:
        gn.FeatureService("a b", features=[GROUP, "g:count", None], version="1")
    assert [(p.at, p.what) for p in caught.value.problems] == [
        ("service a b", "`a b` is not a usable name"),
        ("service a b.version", "version '1' is not a positive whole number"),
        ("service a b.features[1]", "`'g:count'` is not a feature"),
        ("service a b.features[2]", "`None` is not a feature"),
    ]


def test_a_service_needs_a_feature():
    with pytest.raises(DefinitionError, match="at least one feature"):
        gn.FeatureService("s", features=[])
