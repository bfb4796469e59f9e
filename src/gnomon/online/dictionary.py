"""Dictionaries: the different values of a lane, numbered in the order in which they came."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np

from gnomon.columns import Kind
from gnomon.online.arrays import Column, Int64s, VarColumn, WordColumn

__all__ = ["MOST_BYTES", "MOST_VALUES", "number_values"]

MOST_VALUES = 4096
"""Of a lane of one key; with more, `n_distinct` looks at the rows."""
MOST_BYTES = 1 << 16
"""The same in bytes, for text and bytes."""


def number_values(kind: Kind, lane: Column, held: Column | None) -> tuple[Int64s, Column] | None:
    """Number the values of a lane: those held keep theirs, new ones come behind them.

    Returns (the number of each row's value, −1 for null; the values by number), or None if they are too many.
    Equal are values that `n_distinct` counts once: the zeros of a float lane, and its NaN.
    """
    present = lane.valid != 0 if lane.valid.size else np.ones(len(lane), np.bool_)
    if isinstance(lane, VarColumn):
        values: Sequence[Any] = lane.to_list()
        known: list[Any] = held.to_list() if isinstance(held, VarColumn) else []
        numbers = {value: number for number, value in enumerate(known)}
        code = [
            numbers.setdefault(value, len(numbers)) if here else -1
            for value, here in zip(values, present.tolist(), strict=True)
        ]
        return _checked(np.array(code, np.int64), _var_column(list(numbers)))
    items = _items(kind, lane)
    uniques, inverse = np.unique(items[present], return_inverse=True)
    known = _items(kind, held).tolist() if isinstance(held, WordColumn) else []
    numbers = {value: number for number, value in enumerate(known)}
    of_unique = np.array([numbers.setdefault(value, len(numbers)) for value in uniques.tolist()], np.int64)
    codes = np.full(len(lane), -1, np.int64)
    codes[present] = of_unique[inverse]
    return _checked(codes, _word_column(lane.width, list(numbers)))


def _items(kind: Kind, lane: WordColumn) -> np.ndarray[Any, Any]:
    """[n]: one item a row; equal items are equal values."""
    if lane.width == 2:
        return np.ascontiguousarray(lane.words).view("V16")
    if kind == "float":
        reals = lane.words.view(np.float64) + 0.0  # −0.0 + 0.0 is 0.0
        reals[np.isnan(reals)] = np.nan
        return reals.view(np.int64)
    return lane.words


def _word_column(width: int, items: list[Any]) -> WordColumn:
    words = np.frombuffer(b"".join(items), np.int64).copy() if width == 2 else np.array(items, np.int64)
    return WordColumn(words, width)


def _var_column(items: list[bytes]) -> VarColumn:
    offsets = np.array([0, *accumulate(map(len, items))], np.int64)
    return VarColumn(offsets, np.frombuffer(bytearray(b"".join(items)), np.uint8))


def _checked(codes: Int64s, values: Column) -> tuple[Int64s, Column] | None:
    many = len(values) > MOST_VALUES or (isinstance(values, VarColumn) and values.data.size > MOST_BYTES)
    return None if many else (codes, values)
