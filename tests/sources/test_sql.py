"""What queries are read, and what is said of those that are not. The rest is proved by `SourceReaderTests`."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import polars as pl
import pytest

import gnomon as gn
from gnomon.errors import DataError
from gnomon.sources.sql import SQLReader


@pytest.fixture
def shop(tmp_path):
    """A database in which statements were run; reads queries of it."""

    def shop(*statements):
        with closing(sqlite3.connect(tmp_path / "shop.db")) as database, database:
            for statement in statements:
                database.execute(statement)

        def opened(query="SELECT * FROM rows", **given):
            source = gn.SQLSource("s", url="sqlite:///shop.db", query=query, timestamp="t", **given)
            return SQLReader(source, tmp_path)

        return opened

    return shop


ROWS = ("CREATE TABLE rows (k INTEGER, t TEXT)", "INSERT INTO rows VALUES (1, '12:30'), (2, ' :x')")


def keys(reader):
    return sorted(reader.scan(["k"]).collect()["k"])


@pytest.mark.parametrize(
    "query",
    [
        "SELECT k FROM rows",
        "SELECT k FROM rows ; ",
        "SELECT k FROM rows -- all of them",
        "WITH every AS (SELECT * FROM rows) SELECT k FROM every",
        "SELECT k FROM rows WHERE t LIKE '%:%'",
        "SELECT k FROM rows WHERE t IN (' :x', '12:30')",
        "SELECT k\nFROM rows\nORDER BY t",
    ],
)
def test_a_query_is_read_as_it_is_written(shop, query):
    reader = shop(*ROWS)(query)
    assert reader.schema() == {"k": pl.Int64()}
    assert keys(reader) == [1, 2]


def test_a_path_is_relative_to_the_projects_folder_and_an_absolute_one_stays(shop, tmp_path):
    shop(*ROWS)
    source = gn.SQLSource("s", url=f"sqlite:///{tmp_path}/shop.db", query="SELECT * FROM rows", timestamp="t")
    assert keys(SQLReader(source, tmp_path / "elsewhere")) == [1, 2]


def test_a_query_has_one_part_that_only_grows_where_a_column_tells_when_rows_are_known(shop):
    opened = shop(*ROWS)
    (whole,) = opened().parts()
    assert (whole.etag, whole.grows) == ("", False)
    (growing,) = opened(known_at="t").parts()
    assert (growing.etag, growing.grows) == ("known_at", True)
    (other,) = opened("SELECT k FROM rows").parts()
    assert len({whole.name, other.name}) == 2


def test_a_column_of_two_types_is_text_if_its_first_rows_show_it(shop):
    opened = shop("CREATE TABLE rows (k)", "INSERT INTO rows VALUES (1), ('a'), (NULL)")
    assert opened().schema() == {"k": pl.String()}
    assert opened().scan(["k"]).collect()["k"].to_list() == ["1", "a", None]


def test_a_column_that_changes_its_type_on_the_way_down_is_an_error_and_no_loss(shop):
    opened = shop(
        "CREATE TABLE rows (k)",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000) "
        "INSERT INTO rows SELECT i FROM n",
        "INSERT INTO rows VALUES (0.5)",
    )
    with pytest.raises(
        DataError, match="column `k` is Int64 in the first 10,000 rows, and Float64"
    ) as caught:
        opened().scan(["k"]).collect()
    assert caught.value.hint == "give it one type in the query: CAST(k AS …) AS k"
    assert opened("SELECT CAST(k AS REAL) AS k FROM rows").scan(["k"]).collect()["k"].min() == 0.5


@pytest.mark.parametrize(
    ("query", "what"),
    [
        ("SELECT * FROM orders", "no such table: orders"),
        ("SELECT k FRM rows", "syntax error"),
        ("DELETE FROM rows", "syntax error"),
        ("", "syntax error"),
    ],
)
def test_a_query_that_fails_is_told_with_what_the_database_says(shop, query, what):
    opened = shop(*ROWS)
    for read in (lambda: opened(query).schema(), lambda: opened(query).scan(["k"])):
        with pytest.raises(DataError, match="source `s`: the query failed") as caught:
            read()
        assert what in caught.value.what
        assert (caught.value.at, bool(caught.value.hint)) == ("sqlite:///shop.db", True)
    assert keys(opened()) == [1, 2]


def test_a_database_that_is_not_there_is_not_made(tmp_path):
    with pytest.raises(DataError, match="no database at") as caught:
        SQLReader(gn.SQLSource("s", url="sqlite:///shop.db", query="SELECT 1", timestamp="t"), tmp_path)
    assert caught.value.at == str(tmp_path / "shop.db")
    assert not (tmp_path / "shop.db").exists()


def test_a_database_without_a_driver_is_told(tmp_path):
    with pytest.raises(DataError, match="cannot open `nothing://…@host/db`") as caught:
        SQLReader(
            gn.SQLSource("s", url="nothing://ana:secret@host/db", query="SELECT 1", timestamp="t"), tmp_path
        ).schema()
    assert caught.value.hint
    assert "secret" not in str(caught.value)
