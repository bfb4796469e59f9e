"""Codes order as the values do and give them back; bit operations against Python's integers."""

from __future__ import annotations

import math
import struct

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gnomon.kernels import words
from gnomon.kernels._jit import njit

WORDS = st.one_of(st.integers(0, 2**64 - 1), st.integers(0, 63).map(lambda k: 1 << k), st.just(2**64 - 1))


def bits(value: float) -> bytes:
    return struct.pack("<d", value)


def code_of(value: float) -> int:
    return int(words.float_codes(np.array([value]))[0])


@njit
def lengths(word):
    return words.bit_length(word), words.popcount(word), words.trailing_zeros(word)


@given(st.floats(allow_nan=False), st.floats(allow_nan=False))
def test_codes_order_as_values(a: float, b: float) -> None:
    assert (code_of(a) < code_of(b)) == ((a, math.copysign(1, a)) < (b, math.copysign(1, b)))
    assert (code_of(a) == code_of(b)) == (bits(a) == bits(b))


@given(st.lists(st.floats(allow_nan=False)))
def test_codes_give_the_value_back_to_the_bit(values: list[float]) -> None:
    column = np.array(values, np.float64)
    assert words.code_floats(words.float_codes(column)).tobytes() == column.tobytes()


def test_negative_zero_comes_before_zero() -> None:
    assert code_of(-0.0) + 1 == code_of(0.0) == 0


def test_every_nan_is_one_value_and_the_greatest() -> None:
    patterns = np.array([0x7FF8 << 48, 0xFFF8 << 48, 0x7FF0_0000_0000_0001, 2**64 - 1], np.uint64)
    codes = words.float_codes(patterns.view(np.float64))
    assert codes.tolist() == [words.NAN_CODE] * 4
    assert code_of(np.inf) < words.NAN_CODE
    assert words.code_floats(codes).view(np.uint64).tolist() == [0x7FF8 << 48] * 4


@given(WORDS)
def test_bit_operations(word: int) -> None:
    zeros = (word & -word).bit_length() - 1 if word else 64
    assert lengths(np.uint64(word)) == (word.bit_length(), word.bit_count(), zeros)
