"""Which files of a Delta table are read, and that deleted rows, partitions and older files are what the log says."""

from __future__ import annotations

import json
import struct
from datetime import UTC, date, datetime

import polars as pl
import pytest
from deltalake import DeltaTable, write_deltalake

import gnomon as gn
from gnomon.abc.source import Wanted
from gnomon.errors import DataError, Unavailable
from gnomon.sources.kinds import open_source
from gnomon.time import instant


def day(n):
    return datetime(2026, 1, n, tzinfo=UTC)


@pytest.fixture
def table(tmp_path):
    return str(tmp_path / "rows")


@pytest.fixture
def opened(tmp_path):
    def opened(types=None, **given):
        return open_source(gn.FileSource("s", "rows", timestamp="t", **given), tmp_path, types)

    return opened


def test_a_folder_with_a_log_is_a_table_and_tells_its_version(table, opened):
    write_deltalake(table, pl.DataFrame({"k": [1]}))
    write_deltalake(table, pl.DataFrame({"k": [2]}), mode="append")
    reader = opened()
    assert reader.describe() == "Delta table at rows, version 1 (2 files)"
    assert reader.scan(["k"]).collect()["k"].sort().to_list() == [1, 2]
    with pytest.raises(DataError, match="is a table of Delta, whose folder holds removed rows too"):
        opened(format="parquet")


def test_rows_that_were_removed_are_not_read_and_parts_that_stay_are_the_same(table, opened):
    write_deltalake(table, pl.DataFrame({"k": [1, 2]}))
    write_deltalake(table, pl.DataFrame({"k": [3]}), mode="append")
    before = opened().parts()
    DeltaTable(table).delete("k = 2")
    after = opened()
    assert after.scan(["k"]).collect()["k"].sort().to_list() == [1, 3]
    assert len(set(before) & set(after.parts())) == 1


def test_a_reader_keeps_to_its_version(table, opened):
    write_deltalake(table, pl.DataFrame({"k": [1]}))
    reader = opened()
    write_deltalake(table, pl.DataFrame({"k": [2]}), mode="append")
    assert reader.scan(["k"]).collect()["k"].to_list() == [1]


def test_partitions_are_columns_that_tell_their_rows(table, opened):
    rows = pl.DataFrame(
        {"k": [1, 2, 3], "d": ["a/b c", None, "x"], "on": [date(2026, 1, 1), None, date(2026, 1, 3)]}
    )
    write_deltalake(table, rows, partition_by=["d", "on"])
    reader = opened()
    assert reader.schema() == {"k": pl.Int64(), "d": pl.String(), "on": pl.Date()}
    assert reader.scan(["on", "k", "d"]).collect().sort("k").equals(rows.select("on", "k", "d"))
    assert reader.scan(["d"]).collect()["d"].sort().to_list() == [None, "a/b c", "x"]


def test_older_files_lack_newer_columns(table, opened):
    write_deltalake(table, pl.DataFrame({"k": [1]}))
    write_deltalake(table, pl.DataFrame({"k": [2], "x": [0.5]}), mode="append", schema_mode="merge")
    assert opened().scan(["k", "x"]).collect().sort("k").rows() == [(1, None), (2, 0.5)]


def test_files_of_other_times_are_not_opened(table, opened, tmp_path):
    for n in (1, 2, 3):
        # The log keeps milliseconds, and the greatest time of a file is a little after what it says.
        times = [day(n), datetime(2026, 1, n, 12, 0, 0, 999, tzinfo=UTC)]
        write_deltalake(table, pl.DataFrame({"k": [n, -n], "t": times}), mode="append")
    reader = opened()
    just = Wanted(instant("2026-01-02T12:00:00.000999Z"), instant("2026-01-02T23:00:00Z"))
    assert reader.scan(["k"], wanted=just).collect()["k"].to_list() == [2, -2]
    assert reader.reads(["k", "t"], just)[0].startswith("columns 2 of 2, 1 file of 3 (")
    (third,) = [part for part in reader.parts() if 3 in reader.scan(["k"], parts=[part]).collect()["k"]]
    assert reader.scan(["k"], parts=[third], wanted=just).collect()["k"].to_list() == []


def test_deletion_vectors_hide_rows(table, opened, tmp_path):
    (tmp_path / "rows/_delta_log").mkdir(parents=True)
    pl.DataFrame({"k": [10, 11, 12, 13], "t": [day(1)] * 4}).write_parquet(tmp_path / "rows/a.parquet")
    pl.DataFrame({"k": [20], "t": [day(1)]}).write_parquet(tmp_path / "rows/b.parquet")
    write_log(tmp_path / "rows", {"a.parquet": [1, 3], "b.parquet": []})
    reader = opened()
    assert reader.scan(["k"]).collect()["k"].to_list() == [10, 12, 20]
    assert reader.scan(["k"]).filter(pl.col("k") > 10).collect()["k"].to_list() == [12, 20]
    assert reader.expected_rows() == 3
    before = reader.parts()
    write_log(tmp_path / "rows", {"a.parquet": [1], "b.parquet": []})
    assert opened().parts()[0].etag != before[0].etag
    assert opened().parts()[1] == before[1]


def test_columns_that_are_mapped_are_refused(tmp_path, opened):
    (tmp_path / "rows/_delta_log").mkdir(parents=True)
    pl.DataFrame({"col-1": [10]}).write_parquet(tmp_path / "rows/a.parquet")
    write_log(tmp_path / "rows", {"a.parquet": []}, {"delta.columnMapping.mode": "name"})
    with pytest.raises(DataError, match="maps its columns by name") as caught:
        opened()
    assert caught.value.hint


def test_a_file_that_a_vacuum_removed_is_told_as_such(table, opened, tmp_path):
    write_deltalake(table, pl.DataFrame({"k": [1]}))
    reader = opened()
    rows = reader.scan(["k"])
    for file in (tmp_path / "rows").glob("*.parquet"):
        file.unlink()
    with pytest.raises(FileNotFoundError) as caught:
        rows.collect()
    told = reader.failure(caught.value)
    assert isinstance(told, Unavailable)
    assert "a file of version 0 is gone" in told.what


def write_log(folder, deleted, configuration=None):
    """A log as Spark writes it: a table of `k` and `t`, of whose files rows are deleted by vectors."""
    fields = [
        {"name": "k", "type": "long", "nullable": True, "metadata": {}},
        {"name": "t", "type": "timestamp", "nullable": True, "metadata": {}},
    ]
    for number, field in enumerate(fields if configuration else ()):
        field["metadata"] = {
            "delta.columnMapping.id": number,
            "delta.columnMapping.physicalName": f"col-{number}",
        }
    features = ["deletionVectors", *(["columnMapping"] if configuration else [])]
    entries = [
        {
            "protocol": {
                "minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": features, "writerFeatures": features,
            }
        },
        {
            "metaData": {
                "id": "00000000-0000-0000-0000-000000000001",
                "format": {"provider": "parquet", "options": {}},
                "schemaString": json.dumps({"type": "struct", "fields": fields}),
                "partitionColumns": [],
                "configuration": configuration or {},
            }
        },
    ]  # fmt: skip
    for name, rows in deleted.items():
        add = {
            "path": name, "partitionValues": {}, "size": (folder / name).stat().st_size, "modificationTime": 0,
            "dataChange": True, "stats": json.dumps({"numRecords": len(pl.read_parquet(folder / name))}),
        }  # fmt: skip
        if rows:
            add["deletionVector"] = deletion_vector(rows)
        entries.append({"add": add})
    (folder / "_delta_log/00000000000000000000.json").write_text("\n".join(map(json.dumps, entries)))


def deletion_vector(rows):
    """Rows below 2**16 as the log holds them: a roaring bitmap of one container, in Z85."""
    bitmap = struct.pack("<IIHHI", 12346, 1, 0, len(rows) - 1, 16) + struct.pack(f"<{len(rows)}H", *rows)
    data = struct.pack("<IQI", 1681511377, 1, 0) + bitmap
    return {
        "storageType": "i", "pathOrInlineDv": z85(data + b"\0" * (-len(data) % 4)), "sizeInBytes": len(data),
        "cardinality": len(rows),
    }  # fmt: skip


def z85(data):
    digits = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"
    words = struct.unpack(f">{len(data) // 4}I", data)
    return "".join(digits[word // 85**i % 85] for word in words for i in (4, 3, 2, 1, 0))
