"""Sorting a table's rows into files: their order, where they are cut, and what they tell of their origins."""

from __future__ import annotations

import polars as pl
import pytest

from gnomon.abc.source import Part
from gnomon.offline import rewrite


def written(rows, by, tmp_path):
    files = rewrite.write_sorted(rows.lazy(), by, ["x", "y"], lambda name: str(tmp_path / name), None)
    return [(name, n, pl.read_parquet(tmp_path / name)) for name, n in files]


ROWS = pl.DataFrame({"k": [3, None, 1, 3, 2, 3, None], "t": [1, 2, 3, 0, 5, 2, 1], "v": list("abcdefg")})


def test_rows_are_sorted_and_the_file_tells_its_origins(tmp_path):
    ((name, n, frame),) = written(ROWS, ["k", "t"], tmp_path)
    assert (n, frame["v"].to_list()) == (7, list("gbcedaf"))
    assert rewrite.is_rewritten(name)
    assert not rewrite.is_rewritten("part-00000.parquet")
    assert rewrite.origins(str(tmp_path / name), None) == ["x", "y"]


@pytest.mark.parametrize("at_once", [1, 2, 3, 6, 7])
def test_many_rows_are_cut_between_keys(tmp_path, monkeypatch, at_once):
    monkeypatch.setattr(rewrite, "ROWS", at_once)
    files = written(ROWS, ["k", "t"], tmp_path)
    assert pl.concat([frame for _, _, frame in files])["v"].to_list() == list("gbcedaf")
    assert sum(n for _, n, _ in files) == 7
    keys = [set(frame["k"].to_list()) for _, _, frame in files]
    assert sum(map(len, keys)) == len(set().union(*keys))


def test_one_key_is_not_cut_and_null_keys_are_no_edge(tmp_path, monkeypatch):
    monkeypatch.setattr(rewrite, "ROWS", 2)
    for value in (None, 5):
        rows = pl.DataFrame({"k": pl.Series([value] * 5, dtype=pl.Int64), "t": range(5)})
        assert sum(len(frame) for _, _, frame in written(rows, ["k", "t"], tmp_path)) == 5


def test_without_rows_there_is_a_file_that_tells_the_origins(tmp_path):
    ((name, n, _),) = written(ROWS.clear(), ["k"], tmp_path)
    assert n == 0
    assert rewrite.origins(str(tmp_path / name), None) == ["x", "y"]


def test_a_rewrite_changes_no_data():
    actions = rewrite.actions([Part("t/a", "a", 3, 30)], [("sorted-1", 3, 20)])
    assert [(a.path, a.data_change, a.size) for a in actions] == [("sorted-1", False, 20), ("a", False, 30)]
