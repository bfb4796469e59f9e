"""The readers of files keep every promise of the seam on objects of SeaweedFS, and of Delta tables there and here."""

from __future__ import annotations

from typing import ClassVar

import polars as pl
import pyarrow.fs as fs
import pytest
from deltalake import write_deltalake

import gnomon as gn
from gnomon.sources.kinds import open_source
from gnomon.testing.offline import VALUES
from gnomon.testing.source import SourceReaderTests
from tests.conformance.test_source_file import TestCsv as Csv
from tests.conformance.test_source_file import TestJsonLines as JsonLines


def put(bucket, name, content):
    options = bucket.options
    system = fs.S3FileSystem(
        access_key=options["aws_access_key_id"],
        secret_key=options["aws_secret_access_key"],
        region=options["aws_region"],
        endpoint_override=options["aws_endpoint_url"],
    )
    with system.open_output_stream(f"{bucket.url.removeprefix('s3://')}/{name}") as target:
        target.write(content)


class ObjectTests(SourceReaderTests):
    path: ClassVar[str]
    files: ClassVar[tuple[str, ...]]
    damaged: ClassVar[bytes] = b"\x00\xff no rows \x80"

    @pytest.fixture
    def nothing(self, seaweed, tmp_path):
        source = gn.FileSource("s", f"{seaweed.url}/{self.path}", timestamp="t")
        return lambda: open_source(source, tmp_path, storage=seaweed.options)

    @pytest.fixture
    def write(self, nothing, seaweed, tmp_path):
        def write(frame):
            size = -(-len(frame) // len(self.files)) or 1
            for i, name in enumerate(self.files):
                type(self).save(frame[i * size : (i + 1) * size], tmp_path / "file")
                put(seaweed, name, (tmp_path / "file").read_bytes())
            return nothing()

        return write

    @pytest.fixture
    def broken(self, seaweed, nothing):
        for name in self.files:
            put(seaweed, name, self.damaged)
        return nothing


class TestParquet(ObjectTests):
    path = "rows.parquet"
    files = ("rows.parquet",)
    save = pl.DataFrame.write_parquet
    VALUES: ClassVar = {pl.Int64(): [1, None], pl.String(): ["a", None], pl.List(pl.Int64()): [[1], None]}


class TestGlob(TestParquet):
    path = "rows/*/b*.parquet"
    files = ("rows/2025/b.parquet", "rows/2026/b2.parquet")


class TestCsvFolder(ObjectTests):
    path = "rows"
    files = ("rows/a.csv", "rows/b/c.csv")
    save = pl.DataFrame.write_csv
    damaged = Csv.damaged
    VALUES: ClassVar = {pl.Int64(): [1, 2], pl.String(): ["a", "b"]}


class TestJsonLines(ObjectTests):
    path = "rows.jsonl"
    files = ("rows.jsonl",)
    save = pl.DataFrame.write_ndjson
    VALUES: ClassVar = JsonLines.VALUES

    def test_a_source_may_have_no_rows(self):
        """Without rows, JSON lines tell no columns."""


# Delta's own types. What else is written to a table comes back as the nearest of these.
_DELTA = (
    *(pl.Int8(), pl.Int16(), pl.Int32(), pl.Int64(), pl.Float32(), pl.Float64(), pl.Boolean(), pl.String()),
    *(pl.Binary(), pl.Date(), pl.Datetime("us"), pl.Datetime("us", "UTC"), pl.List(pl.String())),
)


class TestDelta(SourceReaderTests):
    VALUES: ClassVar = {dtype: VALUES[dtype] for dtype in _DELTA if dtype in VALUES}

    @pytest.fixture
    def place(self, tmp_path):
        return str(tmp_path / "rows"), {}

    @pytest.fixture
    def nothing(self, place, tmp_path):
        path, options = place
        return lambda: open_source(
            gn.FileSource("s", path, timestamp="t", format="delta"), tmp_path, storage=options
        )

    @pytest.fixture
    def write(self, place, nothing):
        def write(frame):
            path, options = place
            write_deltalake(
                path, frame, mode="overwrite", schema_mode="overwrite", storage_options=options or None
            )
            return nothing()

        return write

    @pytest.fixture
    def broken(self, nothing, tmp_path):
        (tmp_path / "rows/_delta_log").mkdir(parents=True)
        (tmp_path / "rows/_delta_log/00000000000000000000.json").write_text("no log")
        return nothing


class TestDeltaInAnObjectStore(TestDelta):
    VALUES: ClassVar = {pl.Int64(): [1, None], pl.String(): ["a", None]}

    @pytest.fixture
    def place(self, seaweed):
        return f"{seaweed.url}/rows", seaweed.options

    @pytest.fixture
    def broken(self, nothing, seaweed):
        put(seaweed, "rows/_delta_log/00000000000000000000.json", b"no log")
        return nothing
