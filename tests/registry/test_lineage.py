"""Lineage: from source columns to services and back, read off the definitions."""

from __future__ import annotations

import pytest

import gnomon as gn
from gnomon.define.collect import collect
from gnomon.errors import NotFound
from gnomon.registry.lineage import Node, lineage
from tests.registry import shop

LINEAGE = lineage(shop.collected())
VALUE, CONDITION = frozenset({"value"}), frozenset({"filter"})


def names(nodes, kind=None):
    return [node.name for node in nodes if kind in (None, node.kind)]


def test_columns_of_a_feature_come_from_its_column_expression_and_condition():
    assert names(LINEAGE.upstream("user_spend@1:amount_sum_1h", via=VALUE)) == ["orders.amount"]
    assert names(LINEAGE.upstream("user_spend@1:spread", via=VALUE)) == ["orders.amount"]
    assert names(LINEAGE.upstream("user_spend@1:count_1d", via=VALUE)) == []
    assert names(LINEAGE.upstream("profile@1:adult", via=VALUE)) == ["profiles.age"]
    assert names(LINEAGE.upstream("user_spend@1:amount_sum_7d", via=CONDITION)) == ["orders.amount"]


def test_every_feature_comes_from_key_time_and_id_too():
    assert names(LINEAGE.upstream("user_spend@1:count_1d")) == [
        *("orders.at", "orders.order", "orders.seen", "orders.user"),
    ]
    assert names(LINEAGE.upstream("profile@1:age")) == ["profiles.age", "profiles.changed", "profiles.user"]


def test_columns_of_a_cached_group_are_its_own():
    assert "shop_notes@3.text" in names(LINEAGE.upstream("shop_notes@3:text_count_1d", via=VALUE))
    made = ["shop_notes@3:text_count_1d", "shop_notes@3:text_count_next_7d"]
    assert names(LINEAGE.downstream("shop_notes@3.country")) == made


def test_a_label_comes_from_the_columns_of_its_aggregate():
    assert names(LINEAGE.upstream("shop_notes@3:text_count_next_7d", via=VALUE)) == ["shop_notes@3.text"]


def test_column_leads_to_services_through_functions():
    reached = LINEAGE.downstream("orders.amount")
    assert names(reached, "on_demand") == ["compared@1:difference", "compared@1:share"]
    assert names(reached, "service") == ["model@2"]
    assert "user_spend@1:spread" in names(reached, "feature")
    assert names(LINEAGE.downstream("profiles.token"), "feature") == ["profile@1:token"]


def test_service_leads_back_to_columns_and_request():
    reached = LINEAGE.upstream("model@2")
    assert names(reached, "request") == ["basket"]
    assert {"orders.amount", "profiles.age"} <= set(names(reached, "column"))
    assert not [name for name in names(reached) if name.startswith("shop_notes")]


def test_both_directions_agree():
    for node in LINEAGE.nodes:
        for other in LINEAGE.downstream(node.name):
            assert node in LINEAGE.upstream(other.name)


def test_quoted_names_of_columns_are_columns():
    group = gn.FeatureGroup(
        "g", timestamp="at", features=[gn.sum(expr='"a b" + 1', where="c IN (1, 2)", name="s")]
    )
    found = lineage(collect(group))
    assert names(found.upstream("g@1:s", via=VALUE)) == ["g@1.a b"]
    assert names(found.upstream("g@1:s", via=CONDITION)) == ["g@1.c"]


def test_dict_holds_every_node_and_edge():
    told = LINEAGE.to_dict()
    assert {(n["kind"], n["name"]) for n in told["nodes"]} == {(n.kind, n.name) for n in LINEAGE.nodes}
    assert {"from": "profiles.age", "to": "profile@1:adult", "via": "value"} in told["edges"]
    assert len(told["edges"]) == len(LINEAGE.edges)
    assert Node("request", "basket") in LINEAGE.nodes


def test_name_with_a_typo_gets_the_nearest_name():
    with pytest.raises(NotFound, match=r"did you mean `orders\.amount`"):
        LINEAGE.downstream("orders.amont")
