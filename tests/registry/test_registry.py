"""Registry: commits that rely on named requirements, history and going back."""

from __future__ import annotations

import polars as pl
import pytest

import gnomon as gn
from gnomon.define.collect import kind_of, ref_of
from gnomon.errors import Conflict, CorruptValue, NotFound, UsageError
from gnomon.registry.backends.sqlite import SqliteRegistry
from gnomon.registry.codec import encode
from gnomon.registry.registry import Registry, kind_named
from gnomon.registry.requirements import RevisionIs, Unchanged
from gnomon.registry.updates import Put, Remove
from tests.registry import shop
from tests.registry.shop import changed


def put(definition):
    return Put(kind_of(definition), ref_of(definition), encode(definition))


ENTITY, OTHER = gn.Entity("user", keys={"user": int}), gn.Entity("shop", keys={"shop": int})


@pytest.fixture
def open_registry(tmp_path):
    """`open_registry(author)`: the same registry, as another person sees it."""
    ticks = iter(range(1000, 2000))
    return lambda author="ana": Registry(
        SqliteRegistry("sqlite:///registry.db", root=tmp_path), clock=lambda: next(ticks), author=author
    )


@pytest.fixture
def registry(open_registry):
    return open_registry()


@pytest.fixture
def filled(registry):
    registry.commit([], [put(d) for _, _, d in shop.collected()], "all of the shop")
    return registry


class Overtaken(SqliteRegistry):
    """A backend in which somebody else commits right before our first write."""

    def overtake(self, by):
        self.by = by
        return self

    def swap(self, base, new):
        by, self.by = self.by, None
        if by is not None:
            by()
        super().swap(base, new)


def test_commit_makes_a_revision_with_author_time_and_message(registry):
    snapshot = registry.commit([RevisionIs(0)], [put(ENTITY)], "begin")
    assert (snapshot.revision, snapshot.author, snapshot.time, snapshot.message) == (1, "ana", 1000, "begin")
    assert snapshot.entity("user") == registry.get("entity", "user") == ENTITY
    [revision] = registry.history()
    assert (revision.number, revision.author, revision.time, revision.message) == (1, "ana", 1000, "begin")
    assert revision.put == (("entity", "user"),)


def test_commit_that_changes_nothing_makes_no_revision(filled):
    snapshot = filled.commit([], [put(d) for _, _, d in shop.collected()] + [Remove("entity", "nobody")])
    assert snapshot.revision == 1
    assert len(filled.history()) == 1


def test_get_and_list_take_the_names_that_people_use(filled):
    assert filled.get("group", "user_spend") == filled.get("feature_group", "user_spend@1") == shop.user_spend
    assert filled.get("on_demand", "compared") == shop.compared
    assert [g.ref for g in filled.list("groups")] == ["profile@1", "shop_notes@3", "user_spend@1"]
    assert filled.list("entities") == (shop.shop, shop.user)
    assert len(filled.list()) == len(list(shop.collected()))


def test_name_with_a_typo_gets_the_nearest_name(filled):
    with pytest.raises(NotFound, match="did you mean `user_spend`"):
        filled.get("group", "user_spent")
    with pytest.raises(NotFound, match="did you mean `user_spend@1`"):
        filled.get("group", "user_spend@2")
    with pytest.raises(UsageError, match="did you mean `service"):
        filled.list("servise")
    assert kind_named("Feature-Services") == "service"


def test_newest_version_is_the_greatest_number(registry):
    groups = [changed(shop.shop_notes, version=version) for version in (9, 10, 2)]
    registry.commit([], [put(d) for d in (shop.user, shop.shop, *groups)])
    assert registry.get("group", "shop_notes").version == 10
    assert registry.get("group", "shop_notes@2").version == 2
    assert registry.snapshot().group("shop_notes", 9).version == 9
    assert [g.version for g in registry.list("group")] == [2, 9, 10]


def test_past_revisions_answer_for_the_past(registry):
    registry.commit([], [put(ENTITY)])
    registry.commit([], [put(changed(ENTITY, description="Who buys")), put(OTHER)])
    registry.commit([], [Remove("entity", "shop")])
    assert registry.at(0).refs("entity") == ()
    assert registry.at(1).entity("user").description == ""
    assert registry.at(2).entity("user").description == "Who buys"
    assert registry.at(2).refs("entity") == ("shop", "user")
    assert registry.at(3).refs("entity") == ("user",)
    with pytest.raises(NotFound, match="the newest is revision 3"):
        registry.at(4)


def test_revert_is_a_new_revision_with_the_old_definitions(registry):
    registry.commit([], [put(ENTITY), put(OTHER)])
    registry.commit([], [put(changed(ENTITY, owner="bo")), Remove("entity", "shop"), put(gn.Entity("new"))])
    snapshot = registry.revert(1)
    assert (snapshot.revision, snapshot.message) == (3, "revert to revision 1")
    assert snapshot.documents == registry.at(1).documents
    assert registry.at(2).entity("user").owner == "bo"
    assert registry.history()[0].removed == (("entity", "new"),)
    assert registry.revert(3).revision == 3


def test_snapshot_follows_what_others_commit(open_registry):
    ana, bo = open_registry("ana"), open_registry("bo")
    assert ana.snapshot().revision == 0
    bo.commit([], [put(ENTITY)])
    assert ana.snapshot().author == "bo"
    assert ana.snapshot() is ana.snapshot()


def test_changed_object_is_a_conflict_that_names_object_revision_and_author(open_registry):
    ana, bo = open_registry("ana"), open_registry("bo")
    ana.commit([], [put(ENTITY)])
    base = ana.snapshot().revision
    bo.commit([], [put(changed(ENTITY, owner="bo"))])
    with pytest.raises(Conflict) as caught:
        ana.commit([Unchanged("entity", "user", base)], [put(changed(ENTITY, owner="ana"))])
    assert caught.value.what == "`user` changed in revision 2 by bo"
    assert caught.value.hint == "run `gnomon plan` again"
    assert ana.get("entity", "user").owner == "bo"


def test_removed_object_is_a_conflict(open_registry):
    ana, bo = open_registry("ana"), open_registry("bo")
    ana.commit([], [put(ENTITY)])
    bo.commit([], [Remove("entity", "user")])
    with pytest.raises(Conflict, match="`user` was removed in revision 2 by bo"):
        ana.commit([Unchanged("entity", "user", 1)], [put(OTHER)])


def test_object_that_was_missing_must_still_be_missing(open_registry):
    ana, bo = open_registry("ana"), open_registry("bo")
    bo.commit([], [put(ENTITY)])
    with pytest.raises(Conflict, match="`user` changed in revision 1 by bo"):
        ana.commit([Unchanged("entity", "user", 0)], [put(changed(ENTITY, owner="ana"))])


def test_any_revision_in_between_is_a_conflict_for_who_relies_on_the_whole(open_registry):
    ana, bo = open_registry("ana"), open_registry("bo")
    bo.commit([], [put(OTHER)])
    with pytest.raises(Conflict, match="the registry changed in revision 1 by bo"):
        ana.commit([RevisionIs(0)], [put(ENTITY)])
    with pytest.raises(Conflict, match="there is no revision 7"):
        ana.commit([RevisionIs(7)], [put(ENTITY)])


def overtaken(tmp_path, open_registry, *updates):
    """Ana's registry, in which bo commits `updates` between ana's reading and writing."""
    backend = Overtaken("sqlite:///registry.db", root=tmp_path)
    return Registry(backend.overtake(lambda: open_registry("bo").commit([], updates)), author="ana")


def test_lost_race_over_different_objects_is_won_on_top(tmp_path, open_registry):
    ana = overtaken(tmp_path, open_registry, put(OTHER))
    snapshot = ana.commit([Unchanged("entity", "user", 0)], [put(ENTITY)])
    assert snapshot.revision == 2
    assert snapshot.refs("entity") == ("shop", "user")


def test_lost_race_over_the_same_object_is_a_conflict(tmp_path, open_registry):
    ana = overtaken(tmp_path, open_registry, put(changed(ENTITY, owner="bo")))
    with pytest.raises(Conflict, match="`user` changed in revision 1 by bo"):
        ana.commit([Unchanged("entity", "user", 0)], [put(ENTITY)])
    assert ana.snapshot().revision == 1


def test_lost_race_to_the_very_same_update_is_no_conflict(tmp_path, open_registry):
    """Two people who add groups on one new entity both add the entity."""
    ana = overtaken(tmp_path, open_registry, put(ENTITY))
    requirements = [Unchanged("entity", "user", 0), Unchanged("entity", "shop", 0)]
    assert ana.commit(requirements, [put(ENTITY), put(OTHER)]).refs("entity") == ("shop", "user")
    assert ana.history()[0].put == (("entity", "shop"),)


@pytest.mark.parametrize(
    ("update", "error"),
    [
        (Remove("entity", "user"), NotFound),
        (Put("entity", "user", "{}"), CorruptValue),
        (put(changed(shop.user_spend, version=2, source=changed(shop.orders, name="gone"))), NotFound),
    ],
)
def test_revision_that_could_not_be_read_is_not_written(filled, update, error):
    with pytest.raises(error):
        filled.commit([], [update])
    assert filled.backend.head() == 1


def test_conflict_without_a_winner_is_raised_and_not_tried_for_ever(registry, monkeypatch):
    def refuse(base, new):
        raise Conflict("never")

    monkeypatch.setattr(registry.backend, "swap", refuse)
    with pytest.raises(Conflict, match="never"):
        registry.commit([], [put(ENTITY)])


def test_polars_types_of_another_apply_are_the_same_document():
    """What two people declare in different words is one document, so that nothing changes between them."""
    a, b = (gn.Entity("e", keys={"k": given}) for given in (str, pl.String))
    assert encode(a) == encode(b)
