"""Limbs against Python's integers: nothing is lost, and the end is rounded to nearest, ties to even."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from gnomon.kernels import limbs
from gnomon.kernels._jit import njit
from gnomon.kernels.words import float_codes
from tests.kernels.exact import nearest


@njit
def round_digits(number, base, sticky):
    return limbs.rounded(number, len(number), base, sticky)


@njit
def settle(parts, out):
    return limbs.digits(parts, out)


def digits_of(value: int) -> np.ndarray:
    return np.array([value >> 32 * i & 0xFFFF_FFFF for i in range(value.bit_length() // 32 + 1)], np.int64)


def near_ties(draw_bits: int) -> st.SearchStrategy[int]:
    """Integers whose bits below the 53rd are all zeros, all ones, or a half, or one off these."""
    top = st.integers(2**52, 2**53 - 1)
    low = st.integers(1, draw_bits)
    off = st.integers(-1, 1)
    return st.tuples(top, low, st.booleans(), off).map(
        lambda x: max(0, (x[0] << x[1]) + (1 << x[1] - 1 if x[2] else 0) + x[3])
    )


NUMBERS = st.one_of(st.integers(0, 2**40), st.integers(0, 2**300), near_ties(200))


@given(NUMBERS, st.integers(-1500, 1100))
@example(0, 5)
@example(1, -1074)
@example(1, -1075)  # half of the least subnormal: a tie, to even
@example(3, -1076)
@example(1, -1200)
@example(2**53 - 1, 971)
@example(2**54 - 1, 970)  # rounds up, out of range
@example(3, 1023)
@example(3, 1100)
def test_rounded_is_the_nearest_float_with_ties_to_even(value: int, exponent: int) -> None:
    exact = nearest(value * Fraction(2) ** exponent)
    assert round_digits(digits_of(value), exponent, False) == (math.inf if exact is None else exact)


@given(st.one_of(st.integers(2**64, 2**300), near_ties(200).map(lambda x: x + 2**65)))
def test_a_sticky_remainder_breaks_ties_upwards(value: int) -> None:
    assert round_digits(digits_of(value), -40, True) == nearest((value + Fraction(1, 7)) / 2**40)


@given(st.lists(st.integers(-(2**62), 2**62), min_size=1, max_size=6))
def test_settling_carries_keeps_the_number(parts: list[int]) -> None:
    out = np.zeros(len(parts) + 1, np.int64)
    sign = settle(np.array(parts, np.int64), out)
    assert all(0 <= digit < 2**32 for digit in out.tolist())
    assert sign * sum(d << 32 * i for i, d in enumerate(out.tolist())) == sum(
        p << 32 * i for i, p in enumerate(parts)
    )


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=8))
def test_the_grid_reaches_from_the_lowest_to_the_highest_bit(values: list[float]) -> None:
    base, n = limbs.grid(float_codes(np.array(values, np.float64)))
    assert 3 <= n <= limbs.MAX_FLOAT_LIMBS
    for value in values:
        if np.isfinite(value) and value:
            whole = abs(Fraction(value)) / Fraction(2) ** base
            assert whole.denominator == 1
            assert whole < 2 ** (32 * n)


def test_the_grid_of_the_whole_range_is_the_greatest() -> None:
    extremes = np.array([5e-324, np.finfo(np.float64).max])
    assert limbs.grid(float_codes(extremes)) == (-1074, limbs.MAX_FLOAT_LIMBS)
