"""Variances equal RN(nΣx² − (Σx)²) / RN(n(n − ddof)) in exact arithmetic, however the window is walked."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnomon.kernels import limbs, moments
from gnomon.kernels._jit import njit
from gnomon.kernels.words import float_codes
from tests.kernels.exact import (
    FAILED,
    FLOAT_CODES,
    INTS,
    NAN,
    NULL,
    VALUE,
    bits,
    code_of,
    hard_column,
    nearest,
    spread_column,
    values_of,
    walks_over,
)
from tests.kernels.walks import Walk, long_walk

SCRATCH = np.full(moments.MOMENT_SCRATCH, -1, np.int64)
DDOF = st.sampled_from([0, 1])


def plain(numbers: list, ddof: int) -> tuple:
    n = len(numbers)
    if n <= ddof:
        return NULL, NULL
    if not all(map(math.isfinite, numbers)):
        return bits(NAN), bits(NAN)
    exact = [Fraction(x) for x in numbers]
    numerator = nearest(n * sum(x * x for x in exact) - sum(exact) ** 2)
    if numerator is None:
        return FAILED, FAILED
    variance = numerator / float(n * (n - ddof))
    return bits(variance), bits(math.sqrt(variance))


def told(variance: float, deviation: float, ok_var: int, ok_std: int) -> tuple:
    return (
        bits(variance) if ok_var == VALUE else ok_var,
        bits(deviation) if ok_std == VALUE else ok_std,
    )


def walked(walk: Walk, real: bool, ddof: int, way: str) -> list[tuple]:
    base, n = limbs.grid(np.concatenate([walk.code, walk.xcode])) if real else limbs.INT_GRID
    outs = (walk.out(np.float64), walk.out(np.float64), walk.out(np.uint8), walk.out(np.uint8))
    var, std, ok_var, ok_std = outs
    rest = (walk.at, walk.xcode, walk.xok, var, ok_var, std, ok_std)
    if way == "slide":
        moments.slide_moments(walk.code, real, base, n, ddof, walk.lo, walk.hi, *rest)
    else:
        moments.replay_moments(walk.code, real, base, n, ddof, walk.tape, walk.tape_end, walk.pos, *rest)
    return [told(*each) for each in zip(*map(walk.in_order, outs), strict=True)]


def folded(code: np.ndarray, real: bool, ddof: int, idx: np.ndarray, m: int) -> tuple:
    variance, deviation, ok = moments.fold_moments(code, real, idx, m, ddof, SCRATCH)
    return told(variance, deviation, ok, ok)


def check(walk: Walk, real: bool, ddof: int) -> None:
    numbers = [values_of(walk.codes(i)) if real else walk.codes(i) for i in range(len(walk.at))]
    expected = [plain(each, ddof) for each in numbers]
    assert walked(walk, real, ddof, "replay") == expected
    lanes = [walk.with_own_lane(i) for i in range(len(walk.at))]
    assert [folded(code, real, ddof, idx, m) for code, idx, m in lanes] == expected
    if walk.contiguous:
        assert walked(walk, real, ddof, "slide") == expected


@given(walks_over(FLOAT_CODES), DDOF)
def test_float_variances(walk: Walk, ddof: int) -> None:
    check(walk, real=True, ddof=ddof)


@given(walks_over(INTS), DDOF)
def test_int_variances(walk: Walk, ddof: int) -> None:
    check(walk, real=False, ddof=ddof)


@pytest.mark.parametrize("span", [1, 40, 500])
def test_float_variances_of_many_rows(span: int) -> None:
    check(long_walk(spread_column(span), seed=span), real=True, ddof=1)


def test_variances_of_many_rows_with_infinities_and_overflows() -> None:
    check(long_walk(hard_column(seed=5, n=6000), seed=5), real=True, ddof=0)


def test_int_variances_of_many_rows() -> None:
    draws = np.random.default_rng(1)
    check(long_walk(draws.integers(-(2**63), 2**63, 6000) >> draws.integers(0, 64, 6000), seed=1), False, 1)


@given(st.lists(st.floats(-1e-300, 1e-300), min_size=2, max_size=5), DDOF)
def test_squares_below_the_least_float_are_rounded_once(values: list[float], ddof: int) -> None:
    code = float_codes(np.array(values))
    assert folded(code, True, ddof, np.arange(len(code)), len(code)) == plain(values, ddof)


def variance(values: list[float], ddof: int) -> float:
    code = float_codes(np.array(values))
    result = moments.fold_moments(code, True, np.arange(len(code)), len(code), ddof, SCRATCH)
    assert result[2] == VALUE
    return result[0]


def test_equal_rows_have_variance_exactly_zero() -> None:
    assert bits(variance([0.1] * 7, 1)) == bits(0.0)


def test_one_row_has_variance_zero_about_itself() -> None:
    assert variance([1e300], 0) == 0.0


def test_a_far_offset_costs_no_digit() -> None:
    assert variance([1e15 + 1, 1e15 + 2, 1e15 + 3], 1) == 1.0


@njit
def moments_of_copies(code, copies, n, real, base, n_limbs):
    state = np.zeros(limbs.SPECIALS + n_limbs, np.int64)
    squares = np.zeros(moments.square_limbs(n_limbs), np.int64)
    scratch = np.empty(moments.scratch_size(n_limbs), np.int64)
    limbs.add_term(state, code, copies, real, base)
    moments.add_square(squares, code, copies, real, base)
    return moments.finish_moments(state, squares, n, 0, base, scratch)


@pytest.mark.parametrize("exponent", range(32))
def test_the_greatest_number_of_the_worst_terms_fits(exponent: int) -> None:
    n = limbs.MAX_ROWS
    value = float(2**53 - 1) * 2.0**exponent
    assert moments_of_copies(code_of(value), n, n, True, 0, 4) == (0.0, 0.0, VALUE)
    assert moments_of_copies(-(2**63), n, n, False, 0, 2) == (0.0, 0.0, VALUE)


def test_more_rows_than_limbs_can_hold_are_refused() -> None:
    assert moments_of_copies(code_of(1.0), 1, limbs.MAX_ROWS + 1, True, -60, 3)[2] == FAILED
