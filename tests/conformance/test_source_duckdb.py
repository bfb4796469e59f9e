"""SQLReader keeps every promise of the seam, over a file of DuckDB."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, date, datetime, time
from decimal import Decimal

import duckdb
import polars as pl
import pytest

import gnomon as gn
from gnomon.sources.sql import SQLReader
from gnomon.testing.source import SourceReaderTests

NOON = datetime(2026, 1, 31, 12, 0, 0, 1, tzinfo=UTC)


class TestDuckDB(SourceReaderTests):
    VALUES = {  # noqa: RUF012
        pl.Int8(): [-128, None],
        pl.Int64(): [-(2**63), None, 2**63 - 1],
        pl.UInt32(): [2**32 - 1, None],
        pl.Float32(): [0.5, None],
        pl.Float64(): [0.1, None, -0.0, 5e-324, float("inf"), float("nan")],
        pl.String(): ["", None, "it's 12:30", "é"],
        pl.Boolean(): [True, None, False],
        pl.Binary(): [b"\x00\xff", None, b""],
        pl.Date(): [date(2026, 1, 31), None],
        pl.Time(): [time(12, 30, 0, 1), None],
        pl.Datetime("ns"): [NOON.replace(tzinfo=None), None],
        pl.Datetime("us"): [NOON.replace(tzinfo=None), None],
        pl.Datetime("us", "UTC"): [NOON, None],
        pl.Decimal(12, 2): [Decimal("1.25"), None],
        pl.List(pl.Int64()): [[1, None], None, []],
        pl.Struct({"a": pl.Int64(), "b": pl.String()}): [{"a": 1, "b": None}],
    }

    @pytest.fixture
    def reader(self, tmp_path):
        return lambda: SQLReader(
            gn.SQLSource("s", url="duckdb:///shop.db", query="SELECT * FROM rows", timestamp="t"), tmp_path
        )

    @pytest.fixture
    def write(self, tmp_path, reader):
        def write(frame):
            with closing(duckdb.connect(tmp_path / "shop.db")) as database:
                given = frame.to_arrow()
                database.register("given", given)
                database.execute("CREATE OR REPLACE TABLE rows AS SELECT * FROM given")
            return reader()

        return write

    @pytest.fixture
    def nothing(self, reader):
        return reader

    @pytest.fixture
    def broken(self, tmp_path, reader):
        (tmp_path / "shop.db").write_bytes(b"no database" * 1000)
        return reader
