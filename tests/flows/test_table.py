"""The table of a cached group, read like any source."""

from __future__ import annotations

import shutil

import polars as pl
import pytest

import gnomon as gn
from gnomon.errors import Gone, Stopped
from gnomon.flows.project import Project
from gnomon.flows.table import (
    HASHES,
    INSTANT,
    TableReader,
    declared_columns,
    forget_filled,
    table_name,
    was_filled,
)
from tests.flows.small import HOUR, PLAN, USER, VISITS, T, train, visit

GROUP = gn.FeatureGroup(
    "g",
    entity=gn.Entity("pair", keys={"a": pl.Int32, "b": pl.String}),
    version=3,
    timestamp="at",
    known_at="seen",
    event_id="id",
    schema={"x": pl.Float32, "seen": pl.Datetime("ms")},
    features=[gn.sum("x"), gn.count(where="y > 1", name="many")],
)


def test_columns_are_keys_times_id_and_what_features_use():
    assert declared_columns(GROUP) == {
        "a": pl.Int64, "b": pl.String, "at": INSTANT, "seen": pl.Datetime("ms"), "id": pl.String, "x": pl.Float32,
    }  # fmt: skip


def test_a_features_own_column_has_the_features_type():
    group = gn.FeatureGroup(
        "g",
        entity=USER,
        timestamp="at",
        schema={"a": pl.String},
        features=[gn.Feature("x", pl.Int8), gn.Feature("y", pl.Int64, expr="CAST(a AS BIGINT)")],
    )
    assert declared_columns(group) == {"user": pl.Int64, "at": INSTANT, "x": pl.Int8, "a": pl.String}


def test_a_table_is_named_by_group_and_version():
    assert table_name(GROUP) == "g@3"


def test_a_group_without_rows_reads_as_empty_with_all_columns(store):
    reader = TableReader(store._project.offline, VISITS)
    assert reader.schema() == {"user": pl.Int64, "at": INSTANT, "ms": pl.Int64}
    assert (reader.parts(), reader.describe()) == ((), "table visits@1 (empty)")
    assert reader.scan(["ms", "user"]).collect().schema == {"ms": pl.Int64, "user": pl.Int64}


def test_rows_are_read_part_by_part_with_their_hashes_if_asked_for(store):
    store.insert(VISITS, [visit(1, T - HOUR)])
    store.insert(VISITS, [visit(2, T - HOUR)])
    reader = TableReader(store._project.offline, VISITS)
    parts = reader.parts()
    assert len(parts) == 2
    assert reader.describe() == "table visits@1, commit 1"
    assert reader.scan(["user"], parts=parts[:1]).collect().height == 1
    hashes = reader.scan(["user", *HASHES]).collect().sort("user")
    assert hashes.select(HASHES).n_unique() == 2
    assert hashes.schema[HASHES[0]] == pl.Int64


def lose_table(store: gn.Store) -> None:
    shutil.rmtree(store.path / ".gnomon" / "offline" / "visits@1")


def test_a_table_that_was_lost_is_an_error_wherever_it_is_read_and_never_nulls(store):
    store.insert(VISITS, [visit(1, T - HOUR)])
    lose_table(store)
    for read in (
        lambda: train(store, [VISITS], [(1, T)]),
        lambda: store.explain("visits:count_1d", {"user": 1}),
        lambda: store.get_historical_features({"user": [1], "event_timestamp": [T]}, [VISITS]).explain(),
    ):
        with pytest.raises(Gone, match=r"the table of group `visits` is gone.*\n\nhint: bring it back"):
            read()
    with pytest.raises(Stopped, match="`visits` is gone"):
        store.materialize()


def test_a_lost_table_is_reported_by_the_other_stores_of_the_project_too(store):
    store.insert(VISITS, [visit(1, T - HOUR)])
    lose_table(store)
    other = Project(store._project.config)
    with pytest.raises(Gone):
        other.reader(VISITS).parts()
    other.close()


def test_a_lost_table_reads_again_once_rows_are_inserted_again(store):
    store.insert(VISITS, [visit(1, T - HOUR)])
    lose_table(store)
    store.insert(VISITS, [visit(1, T - HOUR)])
    assert train(store, ["visits:count_1d"], [(1, T)]) == {"count_1d": [1]}


def test_a_table_whose_writer_was_killed_before_its_note_gets_one_with_the_next_insert(store):
    store.insert(VISITS, [visit(1, T - HOUR)])
    offline = store._project.offline
    forget_filled(store.path, offline, VISITS)
    assert store.insert(VISITS, [visit(1, T - HOUR)]).accepted == 0
    assert was_filled(store.path, offline, VISITS)


@pytest.mark.parametrize("lost", ["visits@1", ""])
def test_a_lost_table_is_told_from_an_empty_one_by_every_project_that_shares_the_store(store, tmp_path, lost):
    """Whoever has the store knows of a table that is gone; of a store that is gone whole, whoever inserted."""
    store.insert(VISITS, [visit(1, T - HOUR)])
    folder = store.path / ".gnomon" / "offline"
    shutil.rmtree(folder / lost)
    assert was_filled(store.path, store._project.offline, VISITS)
    with gn.Store(offline=str(folder)) as other:
        assert was_filled(other.path, other._project.offline, VISITS) == bool(lost)


def test_a_new_version_of_a_group_whose_table_was_lost_begins_empty(store):
    store.insert(VISITS, [visit(1, T - HOUR)])
    lose_table(store)
    store.apply(
        [
            gn.FeatureGroup(
                "visits", entity=USER, timestamp="at", version=2, features=[gn.count(windows=["1d"])]
            )
        ]
    )
    assert train(store, ["visits@2:count_1d"], [(1, T)]) == {"count_1d": [0]}


def test_a_group_that_is_made_anew_begins_empty_whatever_became_of_the_old_table(store):
    store.insert(VISITS, [visit(1, T - HOUR)])
    store.apply([PLAN], prune=True)
    lose_table(store)
    store.apply([VISITS])
    assert train(store, ["visits:count_1d"], [(1, T)]) == {"count_1d": [0]}
