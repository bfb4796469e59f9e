"""Sources that changed, are empty, or are damaged where no column tells it."""

from __future__ import annotations

import polars as pl
import pytest

import gnomon as gn
from gnomon.errors import GnomonError
from gnomon.flows.checks import sources
from gnomon.flows.checks.check import attempt
from gnomon.flows.checks.sources import source
from tests.flows.checks.conftest import edit

USER = gn.Entity("user", keys={"user": pl.Int64})
FILES = gn.FileSource("log", "log", format="parquet", timestamp="at")
FILED = gn.FeatureGroup("filed", entity=USER, source=FILES, features=[gn.sum("x", windows=["1d"])])
CACHED = gn.FeatureGroup("cached", entity=USER, timestamp="at", features=[gn.count(windows=["1d"])])


def look(opened, name):
    project, snapshot = opened()
    return attempt("source", lambda: source(project, snapshot, snapshot.group(name)))


def test_readable_source_tells_what_and_how_much_it_is(opened):
    found = look(opened, "spending")
    assert (found.level, found.found.startswith("csv at orders.csv, ")) == ("ok", True)


def test_column_that_changed_its_type_is_an_error(shop, opened):
    edit(shop / "orders.csv", "\n1001,", "\nx1001,")
    found = look(opened, "spending")
    assert found.level == "error"
    assert "`order_id` is String, was Int64" in found.found


def test_cached_group_without_rows_says_how_to_insert_some(shop, opened):
    with gn.Store(shop) as store:
        store.apply([CACHED])
    found = look(opened, "cached")
    assert (found.level, found.hint) == ("warn", "`gnomon insert cached FILE`")


@pytest.fixture
def filed(shop):
    """A group on three files."""
    (shop / "log").mkdir()
    for name in "abc":
        rows = {
            "user": list(range(5000)),
            "at": pl.Series(range(5000)).cast(pl.Datetime("us")),
            "x": [0.5] * 5000,
        }
        pl.DataFrame(rows).write_parquet(shop / "log" / f"{name}.parquet", compression="uncompressed")
    with gn.Store(shop) as store:
        store.apply([FILED])
    return shop / "log"


def test_file_whose_rows_are_damaged_is_named_though_its_columns_can_be_read(filed, opened):
    assert look(opened, "filed").level == "ok"
    bad = filed / "b.parquet"
    content = bytearray(bad.read_bytes())
    content[4:2000] = b"\xff" * 1996  # the footer, which tells of columns and sizes, lies at the end
    bad.write_bytes(content)
    assert pl.read_parquet_schema(bad)
    found = look(opened, "filed")
    assert found.level == "error"
    assert "b.parquet" in found.found


def test_source_of_many_parts_is_looked_at_in_part_and_that_is_said(filed, opened, monkeypatch):
    monkeypatch.setattr(sources, "_MOST_PARTS", 2)
    assert look(opened, "filed").found.endswith("of 2 of 3 parts a row was read")


def test_source_that_is_gone_is_an_error_with_what_lies_near(shop, opened):
    (shop / "orders.csv").rename(shop / "order.csv")
    project, snapshot = opened()
    with pytest.raises(GnomonError) as caught:
        source(project, snapshot, snapshot.group("spending"))
    assert caught.value.hint == "did you mean `order.csv`?"
