"""Bits: the same number is not the same bits."""

from __future__ import annotations

import struct
from decimal import Decimal

import polars as pl
import pytest

from gnomon.flows.proof.bits import bits, differ

OTHER_NAN = struct.unpack("<d", struct.pack("<Q", 0x7FF8_0000_0000_0001))[0]
NAN = struct.unpack("<d", struct.pack("<Q", 0x7FF8_0000_0000_0000))[0]


@pytest.mark.parametrize("dtype", [pl.Float64, pl.List(pl.Float64)])
def test_zeros_and_nans_are_told_apart(dtype: pl.DataType) -> None:
    pairs = [(0.0, 0.0), (0.0, -0.0), (NAN, NAN), (NAN, OTHER_NAN), (1.0, None), (None, None), (0.0, None)]
    nested = dtype == pl.List(pl.Float64)
    a, b = (
        pl.Series([[x] if nested and x is not None else x for x in column], dtype=dtype)
        for column in zip(*pairs, strict=True)
    )
    assert differ(a, b).tolist() == [False, True, False, True, True, False, True]


@pytest.mark.parametrize(
    ("a", "b", "dtype"),
    [
        ([1, None], [2, 0], pl.Int64),
        (["a", None], ["b", ""], pl.String),
        ([True, None], [False, False], pl.Boolean),
        ([Decimal("1.0"), None], [Decimal("1.1"), Decimal(0)], pl.Decimal(38, 1)),
        ([0.0, None], [-0.0, 0.0], pl.Float32),
    ],
)
def test_other_types_and_their_nulls(a: list[object], b: list[object], dtype: pl.DataType) -> None:
    left, right = pl.Series(a, dtype=dtype), pl.Series(b, dtype=dtype)
    assert differ(left, right).tolist() == [True, True]
    assert differ(left, left).tolist() == [False, False]


def test_structs_are_compared_by_field() -> None:
    assert bits([{"key": "a", "value": 0.0}]) != bits([{"key": "a", "value": -0.0}])
    assert bits([{"key": "a", "value": 2.5}]) == bits([{"key": "a", "value": 2.5}])
