"""What is Delta's own: where tables lie, who else can read them, and what damage is told as."""

from __future__ import annotations

import os
from pathlib import Path

import polars as pl
import pytest

from gnomon.errors import Gone, Unavailable, UsageError
from gnomon.offline.delta import DeltaStore
from gnomon.offline.places import Folder

FRAME = pl.DataFrame({"k": [1, 2], "x": ["a", None]})
COLUMNS = {"k": pl.Int64(), "x": pl.String()}


@pytest.fixture
def store(tmp_path):
    return DeltaStore(Folder(tmp_path / "offline"))


@pytest.mark.parametrize("url", ["a/b", "delta://a/b", "file://a/b"])
def test_relative_paths_begin_at_the_projects_folder(tmp_path, url):
    assert DeltaStore.from_url(url, root=tmp_path).place.path == tmp_path / "a" / "b"


def test_absolute_paths_stay(tmp_path):
    assert DeltaStore.from_url("/data/rows", root=tmp_path).place.path == Path("/data/rows")


def test_other_tools_read_the_tables_and_their_versions(store):
    store.append("g@1", FRAME)
    store.append("g@1", FRAME)
    place = str(store.place.path / "g@1")
    assert pl.read_delta(place).sort("k").equals(pl.concat([FRAME, FRAME]).sort("k"))
    assert pl.read_delta(place, version=0).equals(FRAME)


def test_folders_that_are_no_tables_are_not_listed(store):
    store.append("g@1", FRAME)
    (store.place.path / "notes").mkdir()
    (store.place.path / "x.lock").touch()
    assert store.tables() == ["g@1"]


def test_locks_lie_beside_tables_and_not_in_them(store):
    assert not store.change("g@1", lambda _: (store.place.path / "g@1").exists())
    assert (store.place.path / "g@1.lock").exists()
    assert store.version("g@1") is None


def test_options_are_refused_for_a_folder(tmp_path):
    with pytest.raises(UsageError, match="no option `region`"):
        DeltaStore.from_url("a", root=tmp_path, options={"region": "x"})


def test_the_log_is_kept_for_ever(store):
    """A checkpoint, made every hundred commits, removes no commit, however old: versions stay readable."""
    for _ in range(101):
        store.append("g@1", FRAME.head(0))
    log = store.place.path / "g@1" / "_delta_log"
    for file in log.glob("*.json"):
        os.utime(file, (0, 0))
    for _ in range(101):
        store.append("g@1", FRAME.head(0))
    assert list(log.glob("*.checkpoint.parquet"))
    assert len(store.history("g@1")) == 202


def test_a_damaged_log_is_told_with_its_place_and_a_way_out(store):
    store.append("g@1", FRAME)
    (log,) = (store.place.path / "g@1" / "_delta_log").glob("*.json")
    log.write_text("{ no json")
    with pytest.raises(Unavailable, match="the table `g@1` cannot be read") as caught:
        store.version("g@1")
    assert caught.value.at == str(store.place.path / "g@1")
    assert caught.value.hint


def test_a_file_that_is_gone_is_told_before_rows_are_read(store):
    store.append("g@1", FRAME)
    parts = store.parts("g@1")
    Path(parts[0].name).unlink()
    for given in (None, parts):
        with pytest.raises(Gone, match="the table `g@1` lacks 1 file") as caught:
            store.scan("g@1", COLUMNS, parts=given)
        assert caught.value.at == parts[0].name
        assert caught.value.hint


def test_writing_where_nothing_can_be_written_is_told(tmp_path):
    (tmp_path / "offline").write_text("a file, no folder")
    with pytest.raises(Unavailable) as caught:
        DeltaStore(Folder(tmp_path / "offline")).append("g@1", FRAME)
    assert caught.value.at == str(tmp_path / "offline" / "g@1")
