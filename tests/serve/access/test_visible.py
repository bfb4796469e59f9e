"""Visible: objects of the registry, for whoever may read some groups."""

from __future__ import annotations

import pytest

from gnomon.flows.access.grants import Grants
from gnomon.registry.codec import encode
from gnomon.registry.snapshot import Snapshot
from gnomon.serve.access import Principal, Visible, anybody
from tests.registry import shop


@pytest.fixture(scope="module")
def snapshot():
    documents = {(kind, ref): encode(one, shop.COLUMNS.get(ref)) for kind, ref, one in shop.collected()}
    return Snapshot(documents=documents)


def seen(snapshot, *grants):
    visible = Visible(Principal("key 1", Grants.read(grants)), snapshot)
    return {ref for kind, ref in snapshot.documents if visible.shows(kind, ref)}


def test_who_may_read_everything_sees_everything(snapshot):
    everything = {ref for _, ref in snapshot.documents}
    assert seen(snapshot, "reader") == seen(snapshot, "writer") == everything
    assert all(Visible(anybody(), snapshot).shows(kind, ref) for kind, ref in snapshot.documents)


def test_who_may_read_nothing_sees_nothing(snapshot):
    assert seen(snapshot) == seen(snapshot, "pii") == set()


def test_group_shows_its_entity_source_and_the_functions_that_read_nothing_else(snapshot):
    assert seen(snapshot, "reader:user_spend") == {"user", "orders", "user_spend@1", "compared@1"}
    assert seen(snapshot, "reader:profile") == {"user", "profiles", "profile@1"}
    assert seen(snapshot, "reader:shop_notes@2") == set()


def test_service_is_seen_by_who_may_read_every_group_behind_it(snapshot):
    assert "model@2" in seen(snapshot, "reader:user_spend", "reader:profile")
    assert "model@2" not in seen(snapshot, "reader:user_spend")


def test_related_names_are_those_of_visible_objects(snapshot):
    names = [
        "orders.amount",
        "user_spend@1:count_1d",
        "profile@1:age",
        "profile@1.x",
        "basket",
        "model@2",
        "user",
    ]
    some = Visible(Principal("key 1", Grants.read(["reader:user_spend"])), snapshot)
    assert some.related(names) == ["orders.amount", "user_spend@1:count_1d", "basket", "user"]
    assert Visible(anybody(), snapshot).related(names) == names
