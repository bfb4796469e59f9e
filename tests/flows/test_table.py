"""The table of a cached group, read like any source."""

from __future__ import annotations

import polars as pl

import gnomon as gn
from gnomon.flows.table import HASHES, INSTANT, TableReader, declared_columns, table_name
from tests.flows.small import HOUR, USER, VISITS, T, visit

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
