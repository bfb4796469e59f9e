"""Online rows of groups that are no longer registered."""

from __future__ import annotations

import polars as pl

import gnomon as gn
from gnomon.flows.forget import forget_removed, set_aside
from gnomon.flows.online import Document, change_document, filling, read_document
from gnomon.registry.updates import Remove
from tests.flows.small import HOUR, PLAN, VISITS, T, ask, plan, statuses, visit


def filled(store: gn.Store) -> None:
    store.insert(VISITS, [visit(1, T - HOUR, 5)])
    store.insert(PLAN, [plan(1, T - HOUR, "free")])
    store.materialize()


def remove_plan_from_the_registry_alone(store: gn.Store) -> None:
    """As an apply does that is killed right after its revision is made."""
    store.registry.commit([], [Remove("group", "plan@1")], "")


def test_apply_with_prune_removes_what_a_removed_group_has_online(store):
    filled(store)
    store.apply([VISITS], prune=True)
    assert store._project.online.tables() == ["visits@1#1"]
    assert read_document(store._project.online, "plan@1") == Document()
    assert ask(store, ["visits:ms_sum_1d"], [1]) == {"ms_sum_1d": [5]}


def test_apply_without_prune_keeps_everything(store):
    filled(store)
    store.apply([VISITS])
    assert ask(store, [PLAN], [1]) == {"name": ["free"]}


def test_a_group_that_is_made_anew_is_empty_and_its_old_table_is_kept(store):
    filled(store)
    store.apply([VISITS], prune=True)
    plan = store.apply([PLAN])
    assert statuses(store, [PLAN], [1]) == [["NOT_READY"]]
    store.materialize()
    assert statuses(store, [PLAN], [1]) == [["NOT_FOUND"]]
    assert "version 0 of its table keeps the rows" in str(plan)
    offline = store._project.offline
    assert len(offline.scan("plan@1", {"name": pl.String()}, version=0).collect()) == 1
    assert offline.parts("plan@1") == ()


def test_of_two_that_make_a_group_anew_only_one_empties_its_table(store):
    """What the first one's users have inserted since is not taken out by the second."""
    filled(store)
    store.apply([VISITS], prune=True)
    before = store.registry.snapshot()
    store.apply([PLAN])
    store.insert(PLAN, [plan(1, T - HOUR, "paid")])
    assert set_aside(store._project, before, [PLAN]) == {}
    store.materialize()
    assert ask(store, [PLAN], [1]) == {"name": ["paid"]}


def test_a_removal_that_is_reverted_brings_all_rows_back(store):
    filled(store)
    store.apply([VISITS], prune=True)
    store.registry.revert(1)
    store.materialize()
    assert ask(store, [PLAN], [1]) == {"name": ["free"]}


def test_a_group_that_is_made_anew_never_answers_with_what_a_killed_apply_has_left(store):
    filled(store)
    remove_plan_from_the_registry_alone(store)
    store.apply([PLAN])
    assert statuses(store, [PLAN], [1]) == [["NOT_READY"]]


def test_materialize_removes_what_a_killed_apply_has_left(store):
    filled(store)
    remove_plan_from_the_registry_alone(store)
    assert "plan@1#1" in store._project.online.tables()
    store.materialize("visits")
    assert store._project.online.tables() == ["visits@1#1"]


def test_apply_with_prune_and_without_changes_removes_what_a_killed_apply_has_left(store):
    filled(store)
    remove_plan_from_the_registry_alone(store)
    store.apply([VISITS], prune=True)
    assert store._project.online.tables() == ["visits@1#1"]


def test_a_group_that_is_being_filled_is_left_to_the_next_time(store):
    filled(store)
    remove_plan_from_the_registry_alone(store)
    with filling(store.path, "plan@1"):
        assert forget_removed(store._project) == []
    assert forget_removed(store._project) == ["plan@1"]
    assert forget_removed(store._project) == []


def test_tables_of_groups_that_this_registry_never_had_are_not_touched(store):
    online = store._project.online
    change_document(online, "strange@1", lambda d: d)
    online.load("strange@1#1", [(b"k", b"v")])
    store.apply([VISITS], prune=True)
    store.materialize()
    assert "strange@1#1" in online.tables()
