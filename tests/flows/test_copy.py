"""Schema evolution: columns that are added, renamed and retyped, while old models go on reading the old shape."""

from __future__ import annotations

import threading

import polars as pl
import pytest

import gnomon as gn
from gnomon.errors import BreakingChange, DataError, DefinitionError, NotFound, UsageError
from tests.flows.small import HOUR, MINUTE, USER, VISITS, T, ask, plan, train, visit

SECONDS = gn.FeatureGroup(
    "visits",
    version=2,
    entity=USER,
    timestamp="at",
    schema={"seconds": pl.Float64, "page": pl.String},
    features=[gn.count(windows=["1d"]), gn.sum("seconds", windows=["1d"]), gn.last("page")],
)
RENAMED = {"seconds": "ms / 1000.0"}


@pytest.fixture
def both(store):
    """Version 1 with rows, two of them equal, and version 2 without."""
    store.insert(VISITS, [visit(1, T - HOUR, 500), visit(1, T - HOUR, 500), visit(2, T - 2 * HOUR, 250)])
    store.apply([SECONDS])
    return store


def test_a_column_that_is_added_is_null_in_older_rows(store):
    store.insert(VISITS, [visit(1, T - 2 * HOUR, 5)])
    wider = gn.FeatureGroup(
        "visits",
        entity=USER,
        timestamp="at",
        schema={"ms": pl.Int64, "page": pl.String},
        features=[*VISITS.features, gn.last("page"), gn.count("page", windows=["1d"])],
    )
    store.apply([wider])
    questions = [(1, T - HOUR), (1, T)]
    assert train(store, ["visits:page_last"], questions) == {"page_last": [None, None]}
    store.insert(wider, [{**visit(1, T - HOUR, 7), "page": "a"}])
    store.optimize()
    assert train(store, ["visits:page_last", "visits:count_1d"], questions) == {
        "page_last": [None, "a"], "count_1d": [1, 2],
    }  # fmt: skip
    store.materialize()
    assert ask(store, ["visits:page_count_1d", "visits:ms_sum_1d"], [1]) == {
        "page_count_1d": [1], "ms_sum_1d": [12],
    }  # fmt: skip


def test_another_type_needs_another_version(store):
    retyped = gn.FeatureGroup(
        "visits", entity=USER, timestamp="at", schema={"ms": pl.String}, features=[gn.last("ms")]
    )
    with pytest.raises((BreakingChange, DefinitionError)):
        store.apply([retyped])


def test_a_new_version_is_filled_from_the_old_one_with_columns_renamed_and_retyped(both):
    commit = both.copy("visits@1", "visits@2", RENAMED)
    assert (commit.group, commit.rows, commit.accepted) == ("visits@2", 3, 3)
    questions = [(1, T), (2, T)]
    assert train(both, ["visits@2:seconds_sum_1d", "visits@2:count_1d", "visits@2:page_last"], questions) == {
        "seconds_sum_1d": [1.0, 0.25], "count_1d": [2, 1], "page_last": [None, None],
    }  # fmt: skip
    assert train(both, ["visits@1:ms_sum_1d"], questions) == {"ms_sum_1d": [1000, 250]}


def test_copying_again_adds_what_is_new(both):
    both.copy("visits@1", "visits@2", RENAMED)
    assert both.copy("visits@1", "visits@2", RENAMED).accepted == 0
    both.insert("visits@1", [visit(3, T - HOUR, 1)])
    both.optimize()
    assert both.copy("visits@1", "visits@2", RENAMED).accepted == 1


def test_both_versions_are_online_beside_each_other(both):
    both.copy("visits@1", "visits@2", RENAMED)
    both.materialize()
    assert ask(both, ["visits@1:ms_sum_1d", "visits@2:seconds_sum_1d"], [1]) == {
        "ms_sum_1d": [1000], "seconds_sum_1d": [1.0],
    }  # fmt: skip


def test_old_models_read_the_old_shape_while_the_new_one_comes(store):
    """A service on version 1 answers the same, without an error, through apply, copy, materialize and optimize."""
    service = gn.FeatureService("model", features=[VISITS])
    store.apply([VISITS, service])
    rows = [visit(u, T - HOUR, u) for u in range(50)]
    store.insert(VISITS, rows)
    store.materialize()
    wanted = ask(store, "model", range(50))
    trained = train(store, "model", [(u, T) for u in range(50)])
    wrong: list[object] = []
    rounds = 0
    done = threading.Event()

    def read() -> None:
        nonlocal rounds
        while not done.is_set() or rounds < 3:
            if (
                ask(store, "model", range(50)) != wanted
                or train(store, "model", [(u, T) for u in range(50)]) != trained
            ):
                wrong.append(rounds)
            rounds += 1

    reader = threading.Thread(target=read)
    reader.start()
    try:
        store.apply([SECONDS])
        store.copy("visits@1", "visits@2", RENAMED)
        store.materialize()
        store.optimize()
        store.apply([gn.FeatureService("newer", features=[SECONDS])])
    finally:
        done.set()
        reader.join()
    assert (wrong, rounds >= 3) == ([], True)
    assert ask(store, "newer", [3])["seconds_sum_1d"] == [0.003]


@pytest.mark.parametrize(
    ("columns", "error", "words"),
    [
        ({"second": "ms"}, NotFound, "column of `visits@2` `second` not found"),
        ({"seconds": "msec / 1000"}, DataError, "`msec`"),
        ({"page": "ms"}, DataError, "`page` of group `visits` is String, found Int64"),
        ({"seconds": "RANDOM()"}, DataError, "seconds"),
        (5, UsageError, "cannot be"),
    ],
)
def test_columns_that_cannot_be_made_are_told_and_nothing_is_written(both, columns, error, words):
    with pytest.raises(error) as caught:
        both.copy("visits@1", "visits@2", columns)
    assert words in str(caught.value)
    assert both._project.offline.version("visits@2") is None


def test_rows_with_updates_are_not_copied(store):
    store.insert("plan", [plan(1, T - HOUR, "a")])
    store.insert("plan", None, deletes=[{"user": 1, "at": T - HOUR}])
    other = gn.FeatureGroup("other", entity=USER, timestamp="at", features=[gn.Feature("name", pl.String)])
    store.apply([other])
    with pytest.raises(UsageError, match="updates or deletes"):
        store.copy("plan", "other")


def test_a_group_is_not_copied_into_itself(store):
    with pytest.raises(UsageError, match="into itself"):
        store.copy("visits", "visits@1")


BUYS = gn.FeatureGroup(
    "buys", entity=USER, timestamp="at", event_id="id", schema={"id": pl.Int64}, features=[gn.count()]
)


def test_what_is_retracted_stays_so_in_the_copy(bare):
    later = gn.FeatureGroup(
        "buys",
        version=2,
        entity=USER,
        timestamp="at",
        event_id="id",
        schema={"id": pl.Int64},
        features=[gn.count()],
    )
    bare.apply([BUYS, later])
    bare.insert(BUYS, {"user": [1, 1], "at": [T - HOUR] * 2, "id": [1, 2]})
    bare.retract(BUYS, [2])
    for _ in range(2):
        bare.copy("buys@1", "buys@2")
        assert train(bare, [later], [(1, T), (1, T - MINUTE)]) == {"count": [1, 2]}
    bare.materialize("buys@2")
    assert ask(bare, [later], [1]) == {"count": [1]}


def test_retracted_rows_are_not_copied_to_where_they_have_no_ids(bare):
    nameless = gn.FeatureGroup("buys", version=2, entity=USER, timestamp="at", features=[gn.count()])
    bare.apply([BUYS, nameless])
    bare.insert(BUYS, {"user": [1], "at": [T - HOUR], "id": [1]})
    bare.retract(BUYS, [1])
    with pytest.raises(UsageError, match="has not the same ids"):
        bare.copy("buys@1", "buys@2")
