"""Training sets kept under a name."""

from __future__ import annotations

import sqlite3
from decimal import Decimal

import polars as pl
import pytest

import gnomon as gn
from gnomon.errors import CorruptValue, Gone, NotFound, UsageError
from gnomon.flows.dataset import list_datasets, to_dict
from tests.flows.small import HOUR, USER, VISITS, T, visit, write

SPINE = {"user": [1, 2], "event_timestamp": [T, T]}


@pytest.fixture
def filled(store: gn.Store) -> gn.Store:
    store.insert(VISITS, [visit(1, T - HOUR, 5)])
    return store


def retrieval(store: gn.Store):
    return store.get_historical_features(SPINE, ["visits:ms_sum_1d"])


def test_a_saved_set_reads_back_as_it_was_after_new_rows(filled):
    first = retrieval(filled)
    saved = first.save("week")
    filled.insert(VISITS, [visit(2, T - HOUR, 9)])
    again = filled.dataset("week")
    assert again.to_polars().equals(first.to_polars())
    assert (again.id, again.name) == (saved.id, "week")
    assert not retrieval(filled).to_polars().equals(first.to_polars())


def test_values_by_category_of_nested_types_read_back(bare):
    group = gn.FeatureGroup(
        "g",
        entity=USER,
        timestamp="at",
        schema={"d": pl.Decimal(9, 2), "tags": pl.List(pl.String), "x": pl.Float64},
        features=[
            gn.last("tags", by="d"),
            gn.sum("d", by="x"),
            gn.histogram("x"),
            gn.count(by="x", default=[]),
        ],
    )
    bare.apply([group])
    rows = [("1.50", ["a", None], 0.5), ("2.00", [], float("nan")), (None, None, -0.0)]
    given = [{"user": 1, "at": T - HOUR, "d": d, "tags": tags, "x": x} for d, tags, x in rows]
    columns = {"user": pl.Int64, "at": pl.Datetime("us", "UTC"), "d": pl.String, **dict(group.schema)}
    frame = pl.DataFrame(given, schema=columns | {"d": pl.String}).cast({"d": pl.Decimal(9, 2)})
    bare.insert(group, frame)
    found = bare.get_historical_features({"user": [1, 3, None], "event_timestamp": [T] * 3}, [group])
    assert found.save("nested").to_polars().equals(found.to_polars())
    assert found.to_arrow().column("tags_last").to_pylist()[0][0] == {
        "key": Decimal("1.50"),
        "value": ["a", None],
    }
    assert found.to_polars()["count"].to_list()[1:] == [[], []]
    assert found.to_polars()["x_histogram"].to_list()[1:] == [[], None]


def test_it_tells_where_it_came_from(filled, clock):
    manifest = retrieval(filled).save("week").manifest
    assert (manifest.revision, manifest.features, manifest.as_of, manifest.rows) == (
        1,
        ["visits@1:ms_sum_1d"],
        "known",
        2,
    )
    assert manifest.created == "2026-01-10T12:00:00.000000Z"
    assert list(manifest.sources) == ["visits@1"]
    assert to_dict(filled.dataset("week"))["spine"] == manifest.spine
    assert "week" in repr(filled.dataset("week"))


def test_the_same_question_has_the_same_id_and_spine(filled):
    first, second = (retrieval(filled).save(name).manifest for name in ("a", "b"))
    assert (first.id, first.spine) == (second.id, second.spine)
    other = filled.get_historical_features({**SPINE, "user": [2, 1]}, ["visits:ms_sum_1d"]).save("c").manifest
    assert other.spine != first.spine


def test_names_are_taken_once_and_are_names(filled):
    retrieval(filled).save("week")
    with pytest.raises(UsageError, match="exists already"):
        retrieval(filled).save("week")
    for name in ("", "a/b", ".hidden"):
        with pytest.raises(UsageError, match="cannot be a dataset's name"):
            retrieval(filled).save(name)
    assert list_datasets(filled._project) == ["week"]


def test_an_unknown_name_is_answered_with_the_nearest(filled):
    retrieval(filled).save("week")
    with pytest.raises(NotFound, match="`weak` not found") as caught:
        filled.dataset("weak")
    assert "`week`" in caught.value.hint
    assert list_datasets(filled._project) == ["week"]


def test_rows_that_are_gone_or_changed_are_told(filled):
    saved = retrieval(filled).save("week")
    saved.path.write_bytes(saved.path.read_bytes() + b" ")
    with pytest.raises(CorruptValue, match="have changed"):
        filled.dataset("week").to_polars()
    saved.path.unlink()
    with pytest.raises(Gone, match="are gone"):
        filled.dataset("week").to_polars()


@pytest.mark.parametrize("name", ["log.parquet", "part-0.parquet"])
def test_files_that_changed_or_went_since_are_named(bare, data, name):
    rows = [{"user": 1, "at": T - HOUR}]
    path = write(data, f"log/{name}", rows)
    other = write(data, "log/other.parquet", rows)
    source = gn.FileSource("log", "log", format="parquet", timestamp="at")
    bare.apply([gn.FeatureGroup("filed", entity=USER, source=source, features=[gn.count()])])
    saved = bare.get_historical_features(SPINE, ["filed:count"]).save("week")
    assert saved.changed_sources() == {}
    write(data, f"log/{name}", rows * 2)
    other.unlink()
    assert saved.changed_sources() == {"filed@1": sorted([str(path), str(other)])}


def test_tables_that_only_grew_have_not_changed(filled):
    saved = retrieval(filled).save("week")
    filled.insert(VISITS, [visit(2, T - HOUR, 9)])
    assert saved.changed_sources() == {}


@pytest.mark.parametrize("known_at", [None, "seen"])
def test_of_a_query_nobody_knows_whether_it_has_changed(bare, data, known_at):
    with sqlite3.connect(data / "shop.db") as database:
        database.execute("CREATE TABLE visit (user INTEGER, at TEXT, seen TEXT)")
        database.execute("INSERT INTO visit VALUES (1, '2026-01-10T11:00:00', '2026-01-10T11:00:00')")
    database.close()
    source = gn.SQLSource(
        "visit", url="sqlite:///shop.db", query="SELECT * FROM visit", timestamp="at", known_at=known_at
    )
    bare.apply([gn.FeatureGroup("queried", entity=USER, source=source, features=[gn.count()])])
    saved = bare.get_historical_features(SPINE, ["queried:count"]).save("week")
    assert saved.to_polars()["count"].to_list() == [1, 0]
    assert saved.changed_sources() == {}


def test_a_frame_of_every_type_has_a_digest(filled):
    spine = pl.DataFrame({**SPINE, "label": [[1, None], []], "price": ["1.5", None]}).with_columns(
        pl.col("price").cast(pl.Decimal(10, 2))
    )
    saved = filled.get_historical_features(spine, ["visits:ms_sum_1d"]).save("typed")
    assert saved.to_polars().select(spine.columns).equals(spine)
