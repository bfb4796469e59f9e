"""Columns of rows: taken, joined, and read back."""

from __future__ import annotations

import numpy as np
import pytest

from gnomon.online.arrays import Column, VarColumn, WordColumn, joined
from tests.online.made import var_column


def words(*values: int, valid: tuple[int, ...] = ()) -> WordColumn:
    return WordColumn(np.array(values, np.int64), 1, np.array(valid, np.uint8))


def listed(column: Column) -> list[object]:
    values: list[object] = column.to_list() if isinstance(column, VarColumn) else column.pairs.tolist()
    if not column.valid.size:
        return values
    return [value if ok else None for value, ok in zip(values, column.valid.tolist(), strict=True)]


def test_rows_are_taken_with_their_validity() -> None:
    rows = np.array([2, 0, 2])
    assert listed(words(1, 2, 3, valid=(1, 1, 0)).take(rows)) == [None, [1], None]
    pairs = WordColumn(np.arange(6), 2)
    assert (len(pairs), listed(pairs.take(rows))) == (3, [[4, 5], [0, 1], [4, 5]])
    texts = var_column([b"a", b"", b"bcd"], np.array([1, 0, 1], np.uint8))
    assert (len(texts), listed(texts.take(np.array([2, 1])))) == (3, [b"bcd", None])
    assert listed(texts.take(np.empty(0, np.int64))) == []


def test_joining_keeps_the_order_and_fills_in_validity() -> None:
    assert listed(joined(words(1), words(2, 3, valid=(0, 1)))) == [[1], None, [3]]
    assert listed(joined(words(1), words(2))) == [[1], [2]]
    assert joined(words(1), words(2)).valid.size == 0
    assert listed(joined(var_column([b"ab", b"c"]), var_column([b"", b"d"]))) == [b"ab", b"c", b"", b"d"]


@pytest.mark.parametrize("other", [WordColumn(np.arange(2), 2), var_column([b"a"])])
def test_columns_of_different_kinds_are_not_joined(other: Column) -> None:
    with pytest.raises(TypeError, match="different kinds"):
        joined(words(1), other)
