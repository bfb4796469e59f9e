"""Numbers that are hard to add up, and what exact arithmetic makes of them."""

from __future__ import annotations

import math
import struct
from fractions import Fraction

import numpy as np
from hypothesis import strategies as st

from gnomon.kernels.words import code_floats, float_codes
from tests.kernels.walks import Walk, either

NULL, VALUE, FAILED = 0, 1, 2


def code_of(value: float) -> int:
    return int(float_codes(np.array([value], np.float64))[0])


def values_of(codes: list[int]) -> list[float]:
    return code_floats(np.array(codes, np.int64)).tolist()


def bits(value: float) -> bytes:
    """What "the same to the last bit" compares; it also tells one NaN from another."""
    return struct.pack("<d", value)


NAN = struct.unpack("<d", struct.pack("<Q", 0x7FF8 << 48))[0]

HARD = [0.0, -0.0, 0.1, -0.1, 1.0, -1.0, 1e16, -1e16, 2.0**53, 5e-324, -5e-324, 2.2e-308]
HUGE = [1.7976931348623157e308, -1.7976931348623157e308, 1e308, math.inf, -math.inf, math.nan]

FLOATS = st.one_of(
    st.sampled_from(HARD),
    st.sampled_from(HARD + HUGE),
    st.floats(),
    st.integers(-(10**6), 10**6).map(lambda cents: cents / 100),
)
FLOAT_CODES = FLOATS.map(code_of)

INTS = st.one_of(
    st.integers(-3, 3),
    st.integers(-(2**63), 2**63 - 1),
    st.sampled_from([2**63 - 1, -(2**63), 2**62, -(2**62), 2**53 + 1, 2**32]),
)


def walks_over(codes: st.SearchStrategy[int]) -> st.SearchStrategy[Walk]:
    """Walks whose rows carry some of a few codes, so that equal and opposite numbers meet in a window."""
    return st.lists(codes, min_size=1, max_size=8).flatmap(either)


def hard_column(seed: int, n: int) -> np.ndarray:
    """Codes of mostly ordinary numbers, with now and then some that overflow, are infinite or no number."""
    draws = np.random.default_rng(seed)
    column = draws.choice(HARD, n)
    column[draws.integers(0, n, n // 40)] = draws.choice(HUGE[:3], n // 40)
    column[draws.integers(0, n, n // 100)] = draws.choice(HUGE[3:], n // 100)
    return float_codes(column)


def spread_column(span: int) -> np.ndarray:
    """Codes of 6000 numbers whose exponents differ by up to one and a half `span`."""
    draws = np.random.default_rng(span)
    return float_codes(draws.normal(size=6000) * 2.0 ** draws.integers(-span, span // 2 + 1, 6000))


def nearest(value: Fraction) -> float | None:
    """The nearest float64, ties to even; None where it would be beyond the greatest."""
    try:
        return float(value)
    except OverflowError:
        return None
