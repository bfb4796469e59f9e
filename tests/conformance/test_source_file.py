"""FileReader keeps every promise of the seam: each format, one file, a folder, a glob."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import ClassVar

import polars as pl
import pytest

import gnomon as gn
from gnomon.sources.kinds import open_source
from gnomon.testing.offline import VALUES
from gnomon.testing.source import SourceReaderTests

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


class FileTests(SourceReaderTests):
    path: ClassVar[str]
    """Of the source."""
    files: ClassVar[tuple[str, ...]]
    """Among which the rows are divided."""
    save: ClassVar[Callable[[pl.DataFrame, Path], object]]
    damaged: ClassVar[bytes] = b"\x00\xff no rows \x80"
    """What no file of the format begins with."""

    @pytest.fixture
    def write(self, tmp_path):
        def write(frame):
            size = -(-len(frame) // len(self.files)) or 1
            for i, name in enumerate(self.files):
                file = tmp_path / name
                file.parent.mkdir(parents=True, exist_ok=True)
                type(self).save(frame[i * size : (i + 1) * size], file)
            return open_source(gn.FileSource("s", self.path, timestamp="t"), tmp_path)

        return write

    @pytest.fixture
    def nothing(self, tmp_path):
        return lambda: open_source(gn.FileSource("s", self.path, timestamp="t"), tmp_path)

    @pytest.fixture
    def broken(self, tmp_path, nothing):
        for name in self.files:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(self.damaged)
        return nothing


class TestParquet(FileTests):
    path = "rows.parquet"
    files = ("rows.parquet",)
    save = pl.DataFrame.write_parquet
    VALUES = {dtype: values for dtype, values in VALUES.items() if dtype != pl.Null()}  # noqa: RUF012


class TestFolder(TestParquet):
    path = "rows"
    files = ("rows/a.parquet", "rows/2026/b.parquet", "rows/2026/c.parquet")


class TestGlob(TestParquet):
    path = "rows/*/b*.parquet"
    files = ("rows/2025/b.parquet", "rows/2026/b2.parquet")


class TestCsv(FileTests):
    path = "rows.csv"
    files = ("rows.csv",)
    save = pl.DataFrame.write_csv
    damaged = b"k,t\n\xff\xfe,1\n"
    VALUES = {  # noqa: RUF012
        pl.Int64(): [-(2**63), None, 2**63 - 1],
        pl.Float64(): [0.1, None, -0.0, 5e-324, 1e16, float("inf")],
        pl.String(): ["a", None, 'with "quotes", commas\nand lines', "é"],
        pl.Boolean(): [True, None, False],
        pl.Date(): [date(2026, 1, 31), None],
        pl.Datetime("us"): [NOON.replace(tzinfo=None), None],
    }


class TestCsvFolder(TestCsv):
    path = "rows"
    files = ("rows/a.csv", "rows/b.csv")

    VALUES = {pl.Int64(): [1, 2], pl.String(): ["a", "b"]}  # noqa: RUF012


class TestPackedCsv(TestCsv):
    path = "rows.csv.gz"
    files = ("rows.csv.gz",)
    damaged = gzip.compress(b"k,t\n1,2026-01-31\n")[:-12]

    @staticmethod
    def save(frame, file):
        file.write_bytes(gzip.compress(frame.write_csv().encode()))


class TestTabs(TestCsv):
    path = "rows.tsv"
    files = ("rows.tsv",)

    @staticmethod
    def save(frame, file):
        frame.write_csv(file, separator="\t")


class TestJsonLines(FileTests):
    path = "rows.jsonl"
    files = ("rows.jsonl",)
    save = pl.DataFrame.write_ndjson
    VALUES = {  # noqa: RUF012
        pl.Int64(): [-(2**63), None, 2**63 - 1],
        pl.Float64(): [0.1, None, 5e-324, 1e16],
        pl.String(): ["", None, 'with "quotes"\nand lines', "é"],
        pl.Boolean(): [True, None, False],
        pl.List(pl.Int64()): [[1, None], None, []],
        pl.Struct({"a": pl.Int64(), "b": pl.List(pl.String())}): [{"a": 1, "b": ["x"]}, {"a": None, "b": []}],
    }

    def test_a_source_may_have_no_rows(self):
        """Without rows, JSON lines tell no columns: see tests/sources/test_changing.py."""
