"""Updates and deletes by id: from their commit on as if the row had been another, or had never been."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import polars as pl
import pytest

import gnomon as gn
from gnomon.errors import DataError, UsageError
from gnomon.time import to_datetime
from tests.flows.small import DAY, HOUR, MINUTE, PLAN, US, USER, VISITS, T, ask, plan, train, visit

BUYS = gn.FeatureGroup(
    "buys",
    entity=USER,
    timestamp="at",
    event_id="id",
    schema={"id": pl.String, "x": pl.Int64},
    features=[gn.sum("x", windows=["1d"]), gn.count(), gn.last("x")],
)


def buy(id: str, x: int, user: int = 1, at: datetime = T - HOUR) -> dict[str, Any]:
    return {"user": user, "at": at, "id": id, "x": x}


@pytest.fixture
def buys(bare: gn.Store, clock) -> gn.Store:
    """A store with two rows of user 1, an hour ago."""
    bare.apply([BUYS])
    clock.now = T - MINUTE
    bare.insert(BUYS, [buy("a", 1), buy("b", 2)])
    clock.now = T
    return bare


def now(store: gn.Store, group: Any, users: list[int]) -> dict[str, list[Any]]:
    """The answers now, the same by training and online."""
    store.materialize()
    at = to_datetime(store._project.clock())
    trained = train(store, [group], [(user, at) for user in users])
    assert ask(store, [group], users) == trained
    return trained


def test_other_content_under_an_id_is_an_update_that_counts_from_its_commit_on(buys):
    commit = buys.insert(BUYS, [buy("a", 10), buy("c", 4)])
    assert (commit.accepted, commit.updated) == (2, 1)
    assert "1 update" in str(commit)
    assert now(buys, BUYS, [1]) == {"x_sum_1d": [16], "count": [3], "x_last": [4]}
    assert train(buys, [BUYS], [(1, T - US)]) == {"x_sum_1d": [7], "count": [3], "x_last": [4]}
    assert ask(buys, [BUYS], [1], at=T - US)["x_sum_1d"] == [7]


def test_an_update_may_say_that_it_was_at_another_time(buys):
    buys.insert(BUYS, [buy("b", 2, at=T - 2 * HOUR)])
    assert now(buys, BUYS, [1]) == {"x_sum_1d": [3], "count": [2], "x_last": [1]}
    assert train(buys, [BUYS], [(1, T - US)])["x_last"] == [2]


def test_an_update_given_again_changes_nothing(buys, clock):
    buys.insert(BUYS, [buy("a", 10)])
    clock.now = T + MINUTE
    again = buys.insert(BUYS, [buy("a", 10), buy("a", 1)])
    assert (again.id, again.duplicates) == (None, 2)
    assert now(buys, BUYS, [1])["x_sum_1d"] == [12]


def test_updates_at_one_instant_follow_each_other(buys):
    for x in (10, 20, 30):
        buys.insert(BUYS, [buy("a", x)])
    buys._project.clock.now = T + MINUTE
    assert now(buys, BUYS, [1])["x_sum_1d"] == [32]


def test_two_contents_in_one_insert_are_still_an_error(buys):
    before = buys._project.offline.version("buys@1")
    with pytest.raises(DataError, match="`id` of group `buys` is not unique"):
        buys.insert(BUYS, [buy("a", 10), buy("a", 11)])
    assert buys._project.offline.version("buys@1") == before


@pytest.mark.parametrize(
    "deletes",
    [
        [{"user": 1, "id": "b"}],
        [{"id": "b", "user": 1}, {"id": "b", "user": 1}],
        [buy("b", 2)],
        pl.DataFrame({"id": ["b"], "user": [1], "at": [None]}),
    ],
)
def test_a_deleted_row_is_in_before_and_out_after(buys, deletes):
    commit = buys.insert(BUYS, deletes=deletes)
    assert (commit.accepted, commit.deleted, commit.unknown, commit.rows) == (0, 1, 0, 0)
    assert "1 deleted" in str(commit)
    assert now(buys, BUYS, [1]) == {"x_sum_1d": [1], "count": [1], "x_last": [1]}
    assert train(buys, [BUYS], [(1, T - US)]) == {"x_sum_1d": [3], "count": [2], "x_last": [2]}


def test_a_row_is_deleted_under_its_key_alone(buys):
    buys.insert(BUYS, [buy("a", 5, user=2)], deletes=[{"user": 1, "id": "a"}])
    assert now(buys, BUYS, [1, 2])["x_sum_1d"] == [2, 5]


def test_a_delete_given_again_changes_nothing(buys, clock):
    buys.insert(BUYS, deletes=[{"user": 1, "id": "b"}])
    clock.now = T + MINUTE
    again = buys.insert(BUYS, deletes=[{"user": 1, "id": "b"}])
    assert (again.id, again.deleted, again.repeated) == (None, 0, 1)


def test_the_same_row_stays_deleted_and_an_update_of_it_counts(buys, clock):
    buys.insert(BUYS, deletes=[{"user": 1, "id": "b"}])
    clock.now = T + MINUTE
    assert buys.insert(BUYS, [buy("b", 2)]).duplicates == 1
    assert now(buys, BUYS, [1])["count"] == [1]
    assert buys.insert(BUYS, [buy("b", 7)]).updated == 1
    assert now(buys, BUYS, [1])["x_sum_1d"] == [8]
    buys.insert(BUYS, deletes=[{"user": 1, "id": "b"}])
    clock.now = T + 2 * MINUTE
    assert now(buys, BUYS, [1])["x_sum_1d"] == [1]


def test_a_delete_of_a_row_that_comes_later_holds_for_it(buys, clock):
    commit = buys.insert(BUYS, deletes=[{"user": 1, "id": "c"}, {"user": 9, "id": "a"}])
    assert (commit.deleted, commit.unknown) == (2, 2)
    clock.now = T + MINUTE
    buys.insert(BUYS, [buy("c", 9)])
    assert now(buys, BUYS, [1])["count"] == [2]
    assert train(buys, [BUYS], [(1, T - US)])["count"] == [3]


def test_a_row_known_in_the_future_is_deleted_for_good(buys, clock):
    buys.insert(BUYS, [buy("c", 9, at=T + HOUR)])
    buys.insert(BUYS, deletes=[{"user": 1, "id": "c"}])
    clock.now = T + 2 * HOUR
    assert now(buys, BUYS, [1])["count"] == [2]


def test_images_before_and_after_move_a_row_to_another_key(buys):
    commit = buys.insert(BUYS, [buy("a", 1, user=2), buy("b", 5)], deletes=[buy("a", 1), buy("b", 2)])
    assert (commit.accepted, commit.updated, commit.deleted) == (2, 1, 1)
    assert now(buys, BUYS, [1, 2])["x_sum_1d"] == [5, 1]
    assert train(buys, [BUYS], [(1, T - US), (2, T - US)])["x_sum_1d"] == [3, 1]


@pytest.mark.parametrize("words", [("update", "delete", "insert"), ("u", "d", "c")])
def test_a_column_tells_what_is_done_with_each_row(buys, words):
    update, delete, insert = words
    rows = [
        {**buy("a", 10), "__op": update},
        {"user": 1, "at": None, "id": "b", "x": None, "__op": delete},
        {**buy("c", 4), "__op": insert},
        {**buy("d", 8), "__op": None},
    ]
    commit = buys.insert(BUYS, rows)
    assert (commit.accepted, commit.updated, commit.deleted) == (3, 1, 1)
    assert now(buys, BUYS, [1])["x_sum_1d"] == [22]


def test_another_word_is_refused(buys):
    with pytest.raises(DataError, match="`truncate` in 1 row"):
        buys.insert(BUYS, [{**buy("a", 1), "__op": "truncate"}])


def test_a_row_of_a_state_group_is_deleted_by_key_and_time(store, clock):
    store.insert("plan", [plan(1, T - HOUR, "free"), plan(1, T - MINUTE, "paid"), plan(2, T - HOUR, "paid")])
    commit = store.insert("plan", deletes=[{"user": 1, "at": T - MINUTE}])
    assert commit.deleted == 1
    assert now(store, PLAN, [1, 2]) == {"name": ["free", "paid"]}
    assert train(store, [PLAN], [(1, T - US)]) == {"name": ["paid"]}


def test_a_state_row_that_is_said_to_be_an_update_wins_from_its_commit_on(store):
    store.insert("plan", [plan(1, T - HOUR, "free")])
    store.insert("plan", [{**plan(1, T - HOUR, name), "__op": "update"} for name in ("paid",)])
    assert now(store, PLAN, [1]) == {"name": ["paid"]}
    assert train(store, [PLAN], [(1, T - US)]) == {"name": ["free"]}


def test_a_declared_known_at_tells_when_a_delete_is_known(bare):
    group = gn.FeatureGroup(
        "scores", entity=USER, timestamp="at", known_at="seen", event_id="id",
        schema={"id": pl.Int64, "x": pl.Int64}, features=[gn.sum("x")],
    )  # fmt: skip
    bare.apply([group])
    bare.insert(group, [{"user": 1, "at": T - DAY, "seen": T - DAY, "id": 1, "x": 5}])
    bare.insert(group, deletes=[{"user": 1, "id": 1, "seen": T - HOUR}])
    assert bare.insert(group, deletes=[{"user": 1, "id": 1, "seen": T - HOUR}]).repeated == 1
    assert train(bare, [group], [(1, T - HOUR - US), (1, T - HOUR)]) == {"x_sum": [5, None]}
    assert now(bare, group, [1]) == {"x_sum": [None]}


def test_rows_without_ids_cannot_be_named(store):
    with pytest.raises(UsageError, match="rows of group `visits` have no ids"):
        store.insert(VISITS, deletes=[visit(1, T)])
    with pytest.raises(UsageError, match="rows of group `visits` have no ids"):
        store.insert(VISITS, [{**visit(1, T), "__op": "update"}])


@pytest.mark.parametrize(
    ("deletes", "message"),
    [
        ([{"user": 1}], "needs the columns `id`"),
        ([{"user": 1, "id": "a", "y": 1}], "has no columns `y`"),
        ([{"user": 1, "id": None}], "`id` is null in 1 row"),
    ],
)
def test_deletes_that_name_nothing_are_refused(buys, deletes, message):
    with pytest.raises(DataError, match=message):
        buys.insert(BUYS, deletes=deletes)


def test_deletes_without_a_key_are_ignored_and_counted(buys):
    commit = buys.insert(BUYS, deletes=[{"user": None, "id": "a"}, {"user": 1, "id": "a"}])
    assert (commit.deleted, commit.ignored.null_key) == (1, 1)


def test_explain_tells_of_updates_and_deletes(buys):
    buys.insert(BUYS, [buy("a", 10)], deletes=[{"user": 1, "id": "b"}])
    told = str(buys.explain("buys:x_sum_1d", {"user": 1}))
    assert "id 'a', value 1 - replaced at 2026-01-10T12:00:00" in told
    assert "id 'b', value 2 - deleted at 2026-01-10T12:00:00" in told


def test_deletes_let_no_old_rows_go(bare, clock):
    bare.apply([BUYS])
    bare.insert(BUYS, [buy("a", 1, at=T - 900 * DAY), buy("b", 2, at=T - 900 * DAY)])
    windows = gn.FeatureService("s", features=[BUYS["x_sum_1d"]])
    bare.apply([windows])
    bare.insert(BUYS, deletes=[{"user": 1, "id": "b"}])
    bare.materialize()
    at = T - 900 * DAY + MINUTE
    assert ask(bare, windows, [1], at=at) == {"x_sum_1d": [3]}
