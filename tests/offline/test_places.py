"""The folder of a local disk: what it lists, and what it removes. Buckets do the same, over a server."""

from __future__ import annotations

import pytest

from gnomon.errors import Unavailable
from gnomon.locks import locked
from gnomon.offline.places import LOG, Folder


@pytest.fixture
def place(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name / LOG).mkdir(parents=True)
    (tmp_path / "notes").mkdir()
    (tmp_path / "a" / "1.parquet").write_text("abc")
    return Folder(tmp_path)


def test_folders_with_a_log_are_tables(place, tmp_path):
    assert place.tables() == ["a", "b"]
    assert (place.holds("a"), place.holds("notes"), place.holds("c")) == (True, False, False)
    assert Folder(tmp_path / "nowhere").tables() == []


def test_the_log_is_no_file_of_a_table(place):
    assert place.files("a") == {"1.parquet"}
    assert place.files("c") == set()


def test_files_that_are_not_there_have_no_size(place):
    assert place.sizes("a", ["1.parquet", "2.parquet"]) == {"1.parquet": 3}


def test_what_is_not_there_is_removed_without_a_word(place):
    place.remove("a", ["2.parquet", "1.parquet"])
    place.drop("c")
    assert place.files("a") == set()
    place.drop("a")
    assert place.tables() == ["b"]


def test_writers_of_one_table_queue_and_those_of_another_do_not(place, tmp_path):
    with locked(tmp_path / "a.lock"):
        with place.queue("b"):
            pass
        with pytest.raises(Unavailable), locked(tmp_path / "a.lock", wait=0):
            pass
