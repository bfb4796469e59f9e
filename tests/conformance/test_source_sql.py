"""SQLReader keeps every promise of the seam, over SQLite."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import polars as pl
import pytest

import gnomon as gn
from gnomon.sources.sql import SQLReader
from gnomon.testing.source import ROWS, SourceReaderTests

SQLITE = {pl.Int64: "INTEGER", pl.Float64: "REAL", pl.String: "TEXT", pl.Binary: "BLOB"}


class TestSqlite(SourceReaderTests):
    VALUES = {  # noqa: RUF012
        pl.Int64(): [-(2**63), None, 2**63 - 1],
        pl.Float64(): [0.1, None, 5e-324, float("inf")],  # SQLite keeps no -0.0
        pl.String(): ["", None, "it's 12:30", "é"],
        pl.Binary(): [b"\x00\xff", None, b"a"],
    }

    @pytest.fixture
    def reader(self, tmp_path):
        return lambda: SQLReader(
            gn.SQLSource("s", url="sqlite:///shop.db", query="SELECT * FROM rows", timestamp="t"), tmp_path
        )

    @pytest.fixture
    def write(self, tmp_path, reader):
        def write(frame):
            columns = ", ".join(f"{name} {SQLITE[type(dtype)]}" for name, dtype in frame.schema.items())
            with closing(sqlite3.connect(tmp_path / "shop.db")) as database, database:
                database.execute("DROP TABLE IF EXISTS rows")
                database.execute(f"CREATE TABLE rows ({columns})")
                database.executemany(
                    f"INSERT INTO rows VALUES ({', '.join('?' * frame.width)})", frame.iter_rows()
                )
            return reader()

        return write

    @pytest.fixture
    def nothing(self, reader):
        return reader

    @pytest.fixture
    def broken(self, tmp_path, reader):
        (tmp_path / "shop.db").write_bytes(b"no database" * 100)
        return reader


class TestGrowingQuery(TestSqlite):
    """With a known_at column, what became known since the last run is new."""

    @pytest.fixture
    def reader(self, tmp_path):
        return lambda: SQLReader(
            gn.SQLSource(
                "s", url="sqlite:///shop.db", query="SELECT * FROM rows", timestamp="t", known_at="seen"
            ),
            tmp_path,
        )

    def test_its_part_grows(self, write):
        (part,) = write(ROWS).parts()
        assert part.grows
