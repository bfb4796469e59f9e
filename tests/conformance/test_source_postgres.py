"""SQLReader keeps every promise of the seam, over PostgreSQL: through ADBC, and through SQLAlchemy."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal

import polars as pl
import psycopg
import pytest

import gnomon as gn
from gnomon.sources.anysql import AnySQL
from gnomon.sources.sql import SQLReader
from gnomon.testing.source import SourceReaderTests

NOON = datetime(2026, 1, 31, 12, 0, 0, 1, tzinfo=UTC)
POSTGRES = {
    pl.Int16(): "int2", pl.Int32(): "int4", pl.Int64(): "int8", pl.Float32(): "float4", pl.Float64(): "float8",
    pl.String(): "text", pl.Boolean(): "boolean", pl.Binary(): "bytea", pl.Date(): "date", pl.Time(): "time",
    pl.Datetime("us"): "timestamp", pl.Datetime("us", "UTC"): "timestamptz", pl.Decimal(12, 2): "numeric(12, 2)",
    pl.Decimal(38, 3): "numeric", pl.List(pl.Int64()): "int8[]", pl.List(pl.String()): "text[]",
}  # fmt: skip


class TestPostgres(SourceReaderTests):
    VALUES = {  # noqa: RUF012
        pl.Int16(): [-(2**15), None, 2**15 - 1],
        pl.Int32(): [-(2**31), None],
        pl.Int64(): [-(2**63), None, 2**63 - 1],
        pl.Float32(): [0.5, None, float("inf")],
        pl.Float64(): [0.1, None, -0.0, 5e-324, float("inf"), float("nan")],
        pl.String(): ["", None, "it's 12:30", "é"],
        pl.Boolean(): [True, None, False],
        pl.Binary(): [b"\x00\xff", None, b""],
        pl.Date(): [date(2026, 1, 31), None, date(1, 1, 1)],
        pl.Time(): [time(12, 30, 0, 1), None],
        pl.Datetime("us"): [NOON.replace(tzinfo=None), None],
        pl.Datetime("us", "UTC"): [NOON, None],
        pl.Decimal(12, 2): [Decimal("1.25"), None, Decimal("-9999999999.99")],
        pl.Decimal(38, 3): [Decimal("1.125"), None, Decimal("100.000")],
        pl.List(pl.Int64()): [[1, None], None, []],
        pl.List(pl.String()): [["a", None], None, []],
    }

    @pytest.fixture
    def reader(self, postgres_url, tmp_path):
        source = gn.SQLSource("s", url=postgres_url, query="SELECT * FROM rows", timestamp="t")
        return lambda: SQLReader(source, tmp_path)

    @pytest.fixture
    def write(self, reader, postgres_url):
        def write(frame):
            columns = ", ".join(f"{name} {POSTGRES[dtype]}" for name, dtype in frame.schema.items())
            with psycopg.connect(postgres_url) as connection, connection.cursor() as cursor:
                cursor.execute("DROP TABLE IF EXISTS rows")
                cursor.execute(f"CREATE TABLE rows ({columns})")
                marks = ", ".join(["%s"] * frame.width)
                cursor.executemany(f"INSERT INTO rows VALUES ({marks})", list(frame.iter_rows()))
            return reader()

        return write

    @pytest.fixture
    def nothing(self, reader):
        return reader

    @pytest.fixture
    def broken(self, postgres_url, tmp_path):
        source = gn.SQLSource("s", url=postgres_url, query="SELECT FROM WHERE", timestamp="t")
        return lambda: SQLReader(source, tmp_path)


class TestWithoutAdbc(TestPostgres):
    """Where only psycopg is installed: types are told by the values."""

    VALUES = {  # noqa: RUF012
        pl.Int64(): [-(2**63), None, 2**63 - 1],
        pl.Float64(): [0.1, None, -0.0, 5e-324, float("inf")],
        pl.String(): ["", None, "it's 12:30", "é"],
        pl.Boolean(): [True, None, False],
        pl.Binary(): [b"\x00\xff", None, b""],
        pl.Date(): [date(2026, 1, 31), None],
        pl.Datetime("us"): [NOON.replace(tzinfo=None), None],
    }

    @pytest.fixture
    def reader(self, postgres_url, tmp_path):
        def reader():
            source = gn.SQLSource("s", url=postgres_url, query="SELECT * FROM rows", timestamp="t")
            made = SQLReader(source, tmp_path)
            made.database = AnySQL(source, postgres_url.replace("://", "+psycopg://"), {})
            return made

        return reader
