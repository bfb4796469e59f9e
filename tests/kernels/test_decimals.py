"""Decimal sums and means equal exact arithmetic, however the window is walked."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnomon.kernels import decimals
from tests.kernels.exact import FAILED, NULL, VALUE, bits
from tests.kernels.walks import Walk, either

LIMIT = 10**38 - 1
SCRATCH = np.full(decimals.DECIMAL_SCRATCH, -1, np.int64)

VALUES = [0, 1, -1, 7, 10**19, -(10**19), 2**64, 2**64 - 1, -(2**64), 2**127 // 3, LIMIT, -LIMIT]
"""Walks carry small codes: a code is a place in this list."""


def lanes(numbers: list[int]) -> tuple[np.ndarray, np.ndarray]:
    high = np.array([x >> 64 for x in numbers], np.int64)
    low = np.array([x & (2**64 - 1) for x in numbers], np.uint64)
    return high, low


def plain(numbers: list[int], scale: int) -> tuple:
    if not numbers:
        return NULL, NULL
    total = sum(numbers)
    return (total if abs(total) <= LIMIT else FAILED), bits(float(Fraction(total, 10**scale)) / len(numbers))


def told(high: int, low: int, mean: float, ok_sum: int, ok_mean: int) -> tuple:
    return (
        (int(high) << 64) + int(low) if ok_sum == VALUE else ok_sum,
        bits(mean) if ok_mean == VALUE else ok_mean,
    )


def walked(walk: Walk, scale: int, way: str) -> list[tuple]:
    high, low = lanes([VALUES[c] for c in walk.code.tolist()])
    xhigh, xlow = lanes([VALUES[c] for c in walk.xcode.tolist()])
    outs = (walk.out(), walk.out(np.uint64), walk.out(np.float64), walk.out(np.uint8), walk.out(np.uint8))
    out_high, out_low, out_mean, ok_sum, ok_mean = outs
    rest = (walk.at, xhigh, xlow, walk.xok, out_high, out_low, ok_sum, out_mean, ok_mean)
    if way == "slide":
        decimals.slide_decimals(high, low, scale, walk.lo, walk.hi, *rest)
    else:
        decimals.replay_decimals(high, low, scale, walk.tape, walk.tape_end, walk.pos, *rest)
    return [told(*each) for each in zip(*map(walk.in_order, outs), strict=True)]


def folded(numbers: list[int], scale: int) -> tuple:
    return told(
        *decimals.fold_decimals(*lanes(numbers), scale, np.arange(len(numbers)), len(numbers), SCRATCH)
    )


@given(either(range(len(VALUES))), st.sampled_from([0, 2, 13, 14, 26, 27, 38]))
def test_decimal_sums(walk: Walk, scale: int) -> None:
    numbers = [[VALUES[c] for c in walk.codes(i)] for i in range(len(walk.at))]
    expected = [plain(each, scale) for each in numbers]
    assert walked(walk, scale, "replay") == expected
    assert [folded(each, scale) for each in numbers] == expected
    if walk.contiguous:
        assert walked(walk, scale, "slide") == expected


@given(st.lists(st.integers(-LIMIT, LIMIT), min_size=1, max_size=6), st.integers(0, 38))
def test_any_numbers_and_scales(numbers: list[int], scale: int) -> None:
    assert folded(numbers, scale) == plain(numbers, scale)


@given(st.integers(2**52, 2**53 - 1), st.integers(1, 30), st.integers(-1, 1), st.integers(0, 12))
def test_means_near_a_tie_round_to_the_nearest_even(top: int, low: int, off: int, scale: int) -> None:
    number = ((top << low) + (1 << low - 1)) * 10**scale + off
    assert abs(number) <= LIMIT
    assert folded([number], scale) == plain([number], scale)


def test_a_sum_may_pass_the_limit_on_its_way() -> None:
    assert folded([LIMIT, LIMIT, -LIMIT], 2)[0] == LIMIT


def test_a_sum_of_a_whole_turn_of_128_bits_does_not_fit() -> None:
    assert folded([2**126] * 4, 0) == (FAILED, bits(2.0**126))


@pytest.mark.parametrize("sign", [1, -1])
def test_the_limit_is_the_last_that_fits(sign: int) -> None:
    assert folded([sign * (LIMIT - 1), sign], 0)[0] == sign * LIMIT
    assert folded([sign * LIMIT, sign], 0)[0] == FAILED
