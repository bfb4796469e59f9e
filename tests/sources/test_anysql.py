"""SQLite and other databases by SQLAlchemy: types are those of values, batch by batch."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import polars as pl
import pytest

import gnomon as gn
from gnomon.abc.source import Wanted
from gnomon.errors import DataError
from gnomon.sources import anysql
from gnomon.sources.sql import SQLReader
from gnomon.time import instant


@pytest.fixture
def opened(tmp_path):
    def opened(*statements, types=None):
        with closing(sqlite3.connect(tmp_path / "shop.db")) as database, database:
            for statement in statements:
                database.execute(statement)
        source = gn.SQLSource("s", url="sqlite:///shop.db", query="SELECT * FROM rows", timestamp="t")
        return SQLReader(source, tmp_path, types)

    return opened


@pytest.fixture
def small_batches(monkeypatch):
    monkeypatch.setattr(anysql, "BATCH", 2)


def test_rows_come_in_batches(opened, small_batches):
    reader = opened(
        "CREATE TABLE rows (k, x)", "INSERT INTO rows VALUES (1, 1.5), (2, NULL), (3, NULL), (4, NULL)"
    )
    assert [len(batch) for batch in reader.database.batches(["k"])] == [2, 2]
    assert reader.scan(["k", "x"]).collect().rows() == [(1, 1.5), (2, None), (3, None), (4, None)]


def test_whole_numbers_after_fractions_are_fractions_and_text_after_numbers_is_refused(opened, small_batches):
    reader = opened("CREATE TABLE rows (k, x)", "INSERT INTO rows VALUES (1, 1.5), (2, 2.5), (3, 3)")
    assert reader.scan(["x"]).collect()["x"].to_list() == [1.5, 2.5, 3.0]
    refused = opened("INSERT INTO rows VALUES (4, 4), (5, 'five')", types={"x": pl.Float64()})
    with pytest.raises(DataError, match="column `x` is String, its group has it as Float64"):
        refused.scan(["x"]).collect()


def test_a_name_that_sqlite_would_take_for_text_is_no_column(opened):
    reader = opened("CREATE TABLE rows (k)", types={"nope": pl.String()})
    with pytest.raises(DataError, match="the query gives no column `nope`"):
        reader.scan(["nope"])


def test_sqlite_is_not_asked_to_compare_times(opened):
    reader = opened("CREATE TABLE rows (t)", "INSERT INTO rows VALUES ('2026-01-01')")
    assert reader.database.condition({"t": pl.Datetime("us")}, Wanted(instant("2026-01-01"))) == ""
    assert reader.asks(["t"]) == "1 of the query's 1 column and all rows: it cannot compare `t` with a time"
