"""Tables that stay open: they tell of every commit, whoever made it, and never of another table of their name."""

from __future__ import annotations

import shutil

import polars as pl
import pytest

from gnomon.offline.delta import DeltaStore
from gnomon.offline.opened import _MOST, Opened


def rows(*values):
    return pl.DataFrame({"x": values}, schema={"x": pl.Int64})


@pytest.fixture
def store(tmp_path):
    return DeltaStore.from_url("tables", root=tmp_path)


def held(store, table="t"):
    return sorted(store.scan(table, {"x": pl.Int64()}).collect()["x"].to_list())


def test_commits_of_others_are_seen(store, tmp_path):
    other = DeltaStore.from_url("tables", root=tmp_path)
    for i in range(5):
        (store if i % 2 else other).append("t", rows(i))
        assert held(store) == held(other) == list(range(i + 1))
        assert store.version("t") == other.version("t") == i


def test_a_table_that_took_the_place_of_another_is_told_apart(store, tmp_path):
    for i in range(3):
        store.append("t", rows(i))
    other = DeltaStore.from_url("tables", root=tmp_path)
    other.drop("t")
    assert store.version("t") is None
    assert held(store) == []
    for i in range(5):
        other.append("t", rows(10 + i))
    assert held(store) == [10, 11, 12, 13, 14]
    assert store.version("t") == 4


def test_a_folder_that_was_put_back_is_told_apart(store, tmp_path):
    store.append("t", rows(1))
    shutil.copytree(tmp_path / "tables", tmp_path / "kept")
    for i in range(3):
        store.append("t", rows(2 + i))
    assert store.version("t") == 3
    shutil.rmtree(tmp_path / "tables")
    shutil.copytree(tmp_path / "kept", tmp_path / "tables")
    assert store.version("t") == 0
    assert held(store) == [1]


def test_an_earlier_version_does_not_stay(store):
    store.append("t", rows(1))
    store.append("t", rows(2))
    assert len(store.parts("t", 0)) == 1
    assert len(store.parts("t")) == 2


def test_few_tables_stay_open(store):
    for i in range(_MOST + 2):
        store.append(f"t{i}", rows(i))
        store.version(f"t{i}")
    assert len(store._opened._tables) == _MOST
    assert [held(store, f"t{i}") for i in range(_MOST + 2)] == [[i] for i in range(_MOST + 2)]


def test_without_a_stamp_nothing_is_kept():
    opened = Opened()
    opened.keep("t", None, object())  # type: ignore[arg-type]
    assert opened.find("t", None) is None
