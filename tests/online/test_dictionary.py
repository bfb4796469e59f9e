"""Dictionaries: numbers of values, which never change once they are given."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl
import pytest

from gnomon.columns import kind_of
from gnomon.online import dictionary
from gnomon.online.dictionary import number_values
from gnomon.online.values import decode, encode

SAMPLES: list[tuple[pl.DataType, list[Any], list[Any], list[int], list[int]]] = [
    (pl.Int64(), [5, None, 3, 5], [7, 3], [1, -1, 0, 1], [2, 0]),
    (pl.String(), ["b", "", None, "b"], ["a", "b"], [0, 1, -1, 0], [2, 0]),
    (pl.Decimal(38, 2), [Decimal(2), Decimal(-1), None], [Decimal(2), Decimal(9)], [0, 1, -1], [0, 2]),
]


@pytest.mark.parametrize(("dtype", "first", "then", "codes", "later"), SAMPLES)
def test_values_keep_their_numbers_and_new_ones_come_behind(
    dtype: pl.DataType, first: list[Any], then: list[Any], codes: list[int], later: list[int]
) -> None:
    numbered = number_values(kind_of(dtype), encode(pl.Series(first, dtype=dtype)), None)
    assert numbered is not None
    found, held = numbered
    assert _same_partition(found.tolist(), codes)
    again = number_values(kind_of(dtype), encode(pl.Series(then, dtype=dtype)), held)
    assert again is not None
    values = decode(again[1], dtype).to_list()
    assert values[: len(held)] == decode(held, dtype).to_list()
    assert [values[code] for code in again[0].tolist()] == then
    assert [values[code] if code >= 0 else None for code in found.tolist()] == first


def _same_partition(a: list[int], b: list[int]) -> bool:
    return [x == y for x in a for y in a] == [x == y for x in b for y in b] and [x < 0 for x in a] == [
        y < 0 for y in b
    ]


def test_zeros_are_one_value_and_so_are_all_nan() -> None:
    other_nan = np.int64(0x7FF8_0000_0000_0001).view(np.float64)
    lane = encode(pl.Series([0.0, -0.0, math.nan, other_nan, 1.0]))
    numbered = number_values("float", lane, None)
    assert numbered is not None
    codes = numbered[0].tolist()
    assert codes[0] == codes[1] != codes[2] == codes[3] != codes[4]
    assert len(numbered[1]) == 3
    again = number_values("float", encode(pl.Series([-0.0, other_nan])), numbered[1])
    assert again is not None
    assert again[0].tolist() == [codes[0], codes[2]]


def test_too_many_values_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dictionary, "MOST_VALUES", 3)
    assert number_values("word", encode(pl.Series([1, 2, 3, 3])), None) is not None
    assert number_values("word", encode(pl.Series([1, 2, 3, 4])), None) is None
    monkeypatch.setattr(dictionary, "MOST_BYTES", 5)
    assert number_values("bytes", encode(pl.Series(["abc", "de"])), None) is not None
    assert number_values("bytes", encode(pl.Series(["abc", "def"])), None) is None
