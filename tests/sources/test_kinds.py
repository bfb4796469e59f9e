"""Which reader reads what a definition names."""

from __future__ import annotations

import polars as pl
import pytest

import gnomon as gn
from gnomon.errors import DataError, UsageError
from gnomon.sources.kinds import open_source, place_of, table_format
from gnomon.sources.places import LocalPlace


def files(path, **given):
    return gn.FileSource("s", path, timestamp="t", **given)


def test_a_folder_tells_what_it_holds(tmp_path):
    (tmp_path / "a/_delta_log").mkdir(parents=True)
    (tmp_path / "a/_delta_log/0.json").touch()
    (tmp_path / "b/metadata").mkdir(parents=True)
    (tmp_path / "b/metadata/v1.metadata.json").touch()
    (tmp_path / "c/metadata").mkdir(parents=True)
    found = [table_format(LocalPlace("s", tmp_path / name)) for name in "abcd"]
    assert found == ["delta", "iceberg", None, None]


def test_a_table_is_not_read_as_files(tmp_path):
    (tmp_path / "a/metadata").mkdir(parents=True)
    (tmp_path / "a/metadata/v1.metadata.json").touch()
    with pytest.raises(DataError, match="is a table of Iceberg, whose folder holds removed rows too"):
        open_source(files("a", format="csv"), tmp_path)


def test_a_url_of_files_is_a_path(tmp_path):
    pl.DataFrame({"k": [1]}).write_parquet(tmp_path / "a.parquet")
    reader = open_source(files(f"file://{tmp_path}/a.parquet"), tmp_path / "elsewhere")
    assert reader.scan(["k"]).collect()["k"].to_list() == [1]


def test_what_is_no_source_or_no_store_is_told(tmp_path):
    with pytest.raises(UsageError, match="`ftp://` is no object store that can be read") as caught:
        place_of(files("ftp://host/a"), tmp_path, {})
    assert "s3://" in caught.value.hint
    with pytest.raises(UsageError, match="an object is no source"):
        open_source(object(), tmp_path)
