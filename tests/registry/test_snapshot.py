"""Snapshot: typed, lazy, immutable."""

from __future__ import annotations

import dataclasses

import polars as pl
import pytest

from gnomon.abc.registry import Loaded, Revision, Stored
from gnomon.define.collect import collect, kind_of, ref_of
from gnomon.errors import CorruptValue, NotFound
from gnomon.registry.codec import encode
from gnomon.registry.snapshot import Snapshot, Stamp
from tests.registry import shop
from tests.registry.shop import changed


def snapshot_of(*definitions, columns=None):
    documents = {(kind_of(d), ref_of(d)): encode(d, columns) for d in definitions}
    return Snapshot(revision=3, documents=documents)


SHOP = snapshot_of(*(d for _, _, d in shop.collected()))


def test_lookups_are_typed_by_kind():
    assert SHOP.entity("user") == shop.user
    assert SHOP.source("profiles") == shop.profiles
    assert SHOP.group("user_spend") == shop.user_spend
    assert SHOP.on_demand("compared") == shop.compared
    assert SHOP.service("model").ref == "model@2"
    assert [g.ref for g in SHOP.groups()] == ["profile@1", "shop_notes@3", "user_spend@1"]
    assert SHOP.collected().sources == (shop.orders, shop.profiles)
    assert [ref for _, ref, _ in SHOP.collected()] == [ref for _, ref, _ in collect(shop)]


def test_version_is_the_newest_unless_named():
    snapshot = snapshot_of(shop.user, shop.shop, *(changed(shop.shop_notes, version=v) for v in (2, 10, 9)))
    assert snapshot.group("shop_notes").version == 10
    assert snapshot.group("shop_notes", 2).version == snapshot.group("shop_notes@2").version == 2
    assert snapshot.refs("group") == ("shop_notes@2", "shop_notes@9", "shop_notes@10")
    assert snapshot.resolve("group", "shop_notes") == "shop_notes@10"


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda s: s.group("user_spent"), "Feature group `user_spent` not found.*did you mean `user_spend`"),
        (lambda s: s.group("user_spend", 2), "`user_spend@2` not found.*did you mean `user_spend@1`"),
        (lambda s: s.entity("uzer"), "Entity `uzer` not found.*did you mean `user`"),
        (lambda s: s.service("x"), "Feature service `x` not found.*known: `model`"),
        (lambda s: Snapshot().source("x"), "there is no source yet"),
    ],
)
def test_missing_name_gets_the_nearest_name(ask, message):
    with pytest.raises(NotFound, match=f"(?s){message}"):
        ask(SHOP)


def test_definitions_are_decoded_when_asked_for_and_once():
    snapshot = Snapshot(documents={("entity", "user"): encode(shop.user), ("entity", "broken"): "{"})
    assert snapshot.entity("user") is snapshot.entity("user")
    with pytest.raises(CorruptValue, match="Entity `broken` in revision 0"):
        snapshot.entity("broken")


def test_objects_share_what_they_refer_to():
    assert SHOP.group("user_spend").entities[0] is SHOP.entity("user")
    assert SHOP.service("model").features[-1].inputs[0].group is SHOP.group("user_spend")


def test_columns_are_read_without_the_source():
    columns = {"amount": pl.Decimal(10, 2), "at": pl.Datetime("us")}
    assert snapshot_of(shop.user, shop.orders).documents
    assert snapshot_of(shop.user_spend, columns=columns).columns("user_spend") == columns
    assert SHOP.columns("user_spend") is None


def test_removed_objects_are_told_and_not_found():
    loaded = Loaded(
        Revision(7, "ana", 5, "why"),
        (Stored("entity", "user", encode(shop.user), 2, "bo"), Stored("entity", "gone", None, 7, "ana")),
    )
    snapshot = Snapshot.of(loaded)
    assert (snapshot.revision, snapshot.author, snapshot.time, snapshot.message) == (7, "ana", 5, "why")
    assert snapshot.refs("entity") == ("user",)
    assert snapshot.changed == {("entity", "user"): Stamp(2, "bo"), ("entity", "gone"): Stamp(7, "ana")}


def test_snapshot_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        SHOP.revision = 4
