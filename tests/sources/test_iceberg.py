"""Iceberg tables by a SQL catalog, by SeaweedFS's REST catalog and by their folder; what is deleted stays away."""

from __future__ import annotations

from datetime import UTC, datetime

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyiceberg.catalog import load_catalog
from pyiceberg.manifest import DataFile, DataFileContent, FileFormat
from pyiceberg.types import TimestamptzType

import gnomon as gn
from gnomon.abc.source import Wanted
from gnomon.errors import DataError, Unavailable
from gnomon.sources.kinds import open_source
from gnomon.testing.source import SourceReaderTests
from gnomon.time import instant


def day(n):
    return datetime(2026, 1, n, tzinfo=UTC)


def rows(*days):
    return pl.DataFrame({"k": list(days), "t": [day(n) for n in days]})


@pytest.fixture
def catalog(tmp_path):
    made = load_catalog(
        "default", type="sql", uri=f"sqlite:///{tmp_path}/catalog.db", warehouse=f"file://{tmp_path}/lake"
    )
    made.create_namespace("shop")
    return made


@pytest.fixture
def table(catalog):
    """Makes the table `shop.rows` of frames, each a file."""

    def table(*frames):
        made = catalog.create_table("shop.rows", schema=frames[0].to_arrow().schema)
        for frame in frames:
            made.append(frame.to_arrow().cast(made.schema().as_arrow()))
        return made

    return table


@pytest.fixture
def opened(tmp_path):
    def opened(path="shop.rows", types=None, **given):
        options = given or {"type": "sql", "uri": "sqlite:///catalog.db"}
        source = gn.FileSource("s", path, timestamp="t", format="iceberg", options=options)
        return open_source(source, tmp_path, types)

    return opened


class TestIceberg(SourceReaderTests):
    VALUES = {  # noqa: RUF012
        pl.Int32(): [-(2**31), None],
        pl.Int64(): [-(2**63), None, 2**63 - 1],
        pl.Float32(): [0.5, None],
        pl.Float64(): [0.1, None, -0.0, 5e-324, float("inf")],
        pl.String(): ["", None, "é"],
        pl.Boolean(): [True, None, False],
        pl.Binary(): [b"\x00\xff", None],
        pl.Datetime("us"): [datetime(2026, 1, 31, 12, 0, 0, 1), None],  # noqa: DTZ001
        pl.Datetime("us", "UTC"): [day(1), None],
        pl.List(pl.Int64()): [[1, None], None, []],
    }

    @pytest.fixture
    def write(self, catalog, table, opened):
        def write(frame):
            if catalog.table_exists("shop.rows"):
                catalog.drop_table("shop.rows")
            table(frame)
            return opened()

        return write

    @pytest.fixture
    def nothing(self, catalog, opened):
        return opened

    @pytest.fixture
    def broken(self, tmp_path, opened):
        (tmp_path / "metadata").mkdir()
        (tmp_path / "metadata/v1.metadata.json").write_text("no metadata")
        source = gn.FileSource("s", str(tmp_path), timestamp="t")
        return lambda: open_source(source, tmp_path)


def test_a_folder_tells_its_newest_metadata(table, opened, tmp_path):
    made = table(rows(1), rows(2))
    source = gn.FileSource("s", "lake/shop/rows", timestamp="t")
    reader = open_source(source, tmp_path)
    assert reader.scan(["k"]).collect()["k"].sort().to_list() == [1, 2]
    assert reader.describe().startswith("Iceberg table lake/shop/rows, snapshot ")
    made.append(rows(3).to_arrow().cast(made.schema().as_arrow()))
    assert open_source(source, tmp_path).expected_rows() == 3
    assert reader.expected_rows() == 2


def test_files_of_other_times_are_not_read(table, opened):
    table(rows(1), rows(2), rows(3))
    reader = opened()
    just = Wanted(instant("2026-01-02"), instant("2026-01-02T10:00:00Z"))
    assert reader.scan(["k"], wanted=just).collect()["k"].to_list() == [2]
    assert reader.reads(["k"], just) == ("columns 1 of 2, 1 file of 3, the others hold other times",)


def test_rows_that_were_deleted_are_not_read_and_renamed_columns_keep_their_values(table, opened):
    made = table(rows(1, 2), rows(3))
    before = opened().parts()
    made.delete("k = 2")
    with made.update_schema() as change:
        change.rename_column("k", "key")
    reader = opened()
    assert reader.scan(["key"]).collect()["key"].sort().to_list() == [1, 3]
    assert len(set(before) & set(reader.parts())) == 1


def add_deletes(made, content, frame, equality_ids=None):
    """Add a file of deletes as another engine writes it, which pyiceberg does not."""
    path = f"{made.location()}/data/deletes.parquet"
    pq.write_table(frame, path.removeprefix("file://"))
    with made.transaction() as transaction, transaction.update_snapshot().fast_append() as append:
        append.append_data_file(
            DataFile.from_args(
                content=content,
                file_path=path,
                file_format=FileFormat.PARQUET,
                partition={},
                record_count=len(frame),
                file_size_in_bytes=1000,
                equality_ids=equality_ids,
                _table_format_version=2,
            )
        )


def test_equality_deletes_are_refused_and_not_forgotten(table, opened):
    made = table(rows(1, 2))
    try:
        add_deletes(made, DataFileContent.EQUALITY_DELETES, pa.table({"k": [2]}), [1])
    except (TypeError, ValueError) as error:
        pytest.fail(f"no such file could be made: {error}")
    with pytest.raises(DataError, match="holds equality deletes") as caught:
        opened().parts()
    assert "rewrite_data_files" in caught.value.hint


def test_position_deletes_are_respected(table, opened):
    made = table(rows(1, 2, 3))
    (file,) = opened().parts()
    deletes = pa.table(
        {"file_path": [file.name], "pos": [1]},
        schema=pa.schema(
            [
                pa.field("file_path", pa.string(), metadata={"PARQUET:field_id": "2147483546"}),
                pa.field("pos", pa.int64(), metadata={"PARQUET:field_id": "2147483545"}),
            ]
        ),
    )
    add_deletes(made, DataFileContent.POSITION_DELETES, deletes)
    reader = opened()
    assert reader.scan(["k"]).collect()["k"].to_list() == [1, 3]
    assert reader.parts()[0].etag != file.etag


def test_what_is_not_there_is_told(catalog, opened):
    with pytest.raises(DataError, match=r"the catalog has no table `shop\.nope`"):
        opened("shop.nope")
    with pytest.raises(Unavailable, match="cannot be reached"):
        opened("shop.rows", type="rest", uri="http://127.0.0.1:9")


def test_a_rest_catalog_on_an_object_store(lake, tmp_path):
    made = load_catalog("lake", **lake)
    made.create_namespace("shop")
    table = made.create_table("shop.rows", schema=rows(1).to_arrow().schema)
    assert isinstance(table.schema().find_field("t").field_type, TimestamptzType)
    table.append(rows(1, 2).to_arrow().cast(table.schema().as_arrow()))
    source = gn.FileSource("s", "shop.rows", timestamp="t", format="iceberg", options={"uri": lake["uri"]})
    reader = open_source(source, tmp_path, storage={k: v for k, v in lake.items() if k != "uri"})
    assert reader.schema() == {"k": pl.Int64(), "t": pl.Datetime("us", "UTC")}
    assert reader.scan(["k"], part_column="p").collect()["p"].str.starts_with("s3://").all()
    with pytest.raises(DataError, match="the catalog refuses to open"):
        open_source(source, tmp_path, storage={"warehouse": lake["warehouse"], "type": "rest"})
