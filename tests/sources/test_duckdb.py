"""Types of DuckDB that are read as text, and what the database is asked for."""

from __future__ import annotations

from contextlib import closing

import duckdb
import polars as pl
import pytest

import gnomon as gn
from gnomon.abc.source import Wanted
from gnomon.errors import DataError
from gnomon.sources.sql import SQLReader
from gnomon.time import instant


@pytest.fixture
def opened(tmp_path):
    """Runs statements in a database, and reads a query on it."""

    def opened(*statements, query="SELECT * FROM rows", **given):
        with closing(duckdb.connect(tmp_path / "shop.db")) as database:
            for statement in statements:
                database.execute(statement)
        return SQLReader(
            gn.SQLSource("s", url="duckdb:///shop.db", query=query, timestamp="t", **given), tmp_path
        )

    return opened


def test_what_has_no_type_of_ours_is_read_as_duckdb_writes_it(opened):
    reader = opened(
        "CREATE TABLE rows AS SELECT INTERVAL 2 DAY AS i, 'a'::ENUM('a', 'b') AS e, "
        "'00000000-0000-0000-0000-00000000000a'::UUID AS u, 12::HUGEINT AS h"
    )
    assert reader.schema() == {"i": pl.String(), "e": pl.String(), "u": pl.String(), "h": pl.Decimal(38, 0)}
    read = reader.scan(["i", "e", "u"]).collect().row(0)
    assert read == ("2 days", "a", "00000000-0000-0000-0000-00000000000a")


def test_the_database_is_asked_for_the_stretch_of_time_that_matters(opened):
    reader = opened(
        "CREATE TABLE rows AS SELECT i AS k, TIMESTAMPTZ '2026-01-01 00:00:00+00' + i * INTERVAL 1 DAY AS t "
        "FROM range(10) r(i)"
    )
    wanted = Wanted(instant("2026-01-04"), instant("2026-01-06"))
    assert reader.scan(["k"], wanted=wanted).collect()["k"].sort().to_list() == [3, 4, 5]


def test_a_query_may_read_files_by_a_database_in_memory(tmp_path):
    pl.DataFrame({"k": [1, 2]}).write_parquet(tmp_path / "rows.parquet")
    query = f"SELECT * FROM '{tmp_path / 'rows.parquet'}'"
    reader = SQLReader(gn.SQLSource("s", url="duckdb:///:memory:", query=query, timestamp="t"), tmp_path)
    assert reader.scan(["k"]).collect()["k"].to_list() == [1, 2]


def test_a_database_that_is_not_there_is_not_made(tmp_path):
    reader = SQLReader
    source = gn.SQLSource("s", url="duckdb:///shop.db", query="SELECT 1 AS k", timestamp="t")
    with pytest.raises(DataError, match="no database at"):
        reader(source, tmp_path)
    assert not (tmp_path / "shop.db").exists()
