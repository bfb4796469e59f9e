"""Sums and means equal exact arithmetic, rounded once, however the window is walked."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given

from gnomon.kernels import limbs, sums
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
from tests.kernels.walks import NO_OWN, NONE, Walk, long_walk

SCRATCH = np.full(sums.SUM_SCRATCH, -1, np.int64)
NO_FLOATS = np.empty(0, np.float64)


def plain_floats(codes: list[int]) -> tuple:
    """Bits of the sum and of the mean, or the `ok` code that stands in their place."""
    values = values_of(codes)
    if not values:
        return (NULL, NULL)
    total = plain_float_sum(values)
    if total is None:
        return (FAILED, FAILED)
    return bits(total), bits(total / len(values))


def plain_float_sum(values: list[float]) -> float | None:
    if any(map(math.isnan, values)) or {math.inf, -math.inf} <= set(values):
        return NAN
    infinite = [v for v in values if math.isinf(v)]
    return infinite[0] if infinite else nearest(sum(map(Fraction, values), Fraction(0)))


def plain_ints(codes: list[int]) -> tuple:
    if not codes:
        return (NULL, NULL)
    total = sum(codes)
    fits = -(2**63) <= total < 2**63
    return (np.int64(total).tobytes() if fits else FAILED), bits(float(total) / len(codes))


def told(word: int, mean: float, ok_sum: int, ok_mean: int) -> tuple:
    return (
        np.int64(word).tobytes() if ok_sum == VALUE else ok_sum,
        bits(mean) if ok_mean == VALUE else ok_mean,
    )


def walked(walk: Walk, real: bool, way: str) -> list[tuple]:
    base, n = limbs.grid(np.concatenate([walk.code, walk.xcode])) if real else limbs.INT_GRID
    total, mean = walk.out(), walk.out(np.float64)
    ok_sum, ok_mean = walk.out(np.uint8), walk.out(np.uint8)
    rest = (walk.at, walk.xcode, walk.xok, total, ok_sum, mean, ok_mean)
    if way == "slide":
        sums.slide_sums(walk.code, real, base, n, walk.lo, walk.hi, *rest)
    else:
        sums.replay_sums(walk.code, real, base, n, walk.tape, walk.tape_end, walk.pos, *rest)
    outs = (total, mean, ok_sum, ok_mean)
    return [told(*each) for each in zip(*map(walk.in_order, outs), strict=True)]


def folded(walk: Walk, real: bool) -> list[tuple]:
    answers = []
    for i in range(len(walk.at)):
        code, idx, m = walk.with_own_lane(i)
        answers.append(told(*sums.fold_sums(code, real, idx, m, SCRATCH)))
    return answers


def check(walk: Walk, real: bool) -> None:
    plain = plain_floats if real else plain_ints
    expected = [plain(walk.codes(i)) for i in range(len(walk.at))]
    assert walked(walk, real, "replay") == expected
    assert folded(walk, real) == expected
    if walk.contiguous:
        assert walked(walk, real, "slide") == expected


@given(walks_over(FLOAT_CODES))
def test_float_sums(walk: Walk) -> None:
    check(walk, real=True)


@given(walks_over(INTS))
def test_int_sums(walk: Walk) -> None:
    check(walk, real=False)


@pytest.mark.parametrize("span", [1, 40, 1000])
def test_float_sums_of_many_rows(span: int) -> None:
    check(long_walk(spread_column(span), seed=span), real=True)


def test_sums_of_many_rows_with_infinities_and_overflows() -> None:
    check(long_walk(hard_column(seed=5, n=6000), seed=5), real=True)


def test_int_sums_of_many_rows() -> None:
    check(long_walk(np.random.default_rng(1).integers(-(2**60), 2**60, 6000), seed=1), real=False)


def slid(values: list[float], windows: list[tuple[int, int]]) -> list[float]:
    code = float_codes(np.array(values))
    lo, hi = np.array(windows, np.int64).T.copy()
    q = len(windows)
    out, ok = np.zeros(q, np.int64), np.zeros(q, np.uint8)
    at = np.arange(q)
    sums.slide_sums(code, True, *limbs.grid(code), lo, hi, at, NONE, NO_OWN, out, ok, NO_FLOATS, NO_OWN)
    assert ok.all()
    return out.view(np.float64).tolist()


def test_a_great_number_and_its_opposite_leave_the_small_one() -> None:
    assert slid([1e16, 1.0, -1e16], [(0, 3)]) == [1.0]


@pytest.mark.parametrize("gone", [1e16, 1e308, math.inf, -math.inf, math.nan])
def test_what_expired_leaves_no_trace(gone: float) -> None:
    assert slid([gone, 0.5, 0.25, 2.0], [(0, 2), (1, 3), (2, 4)])[1:] == [0.75, 2.25]


@pytest.mark.parametrize(
    ("values", "total", "ok"),
    [
        ([math.inf, -math.inf], NAN, VALUE),
        ([math.inf, 1e308, 1e308], math.inf, VALUE),
        ([-math.inf, 1.0], -math.inf, VALUE),
        ([math.nan, math.inf], NAN, VALUE),
        ([1e308, 1e308], 0.0, FAILED),
        ([-1e308, -1e308, 1e308], -1e308, VALUE),
    ],
)
def test_infinities_and_sums_out_of_range(values: list[float], total: float, ok: int) -> None:
    code = float_codes(np.array(values))
    word, _, ok_sum, ok_mean = sums.fold_sums(code, True, np.arange(len(code)), len(code), SCRATCH)
    assert (np.int64(word).tobytes(), ok_sum, ok_mean) == (bits(total), ok, ok)


def test_a_zero_sum_is_positive() -> None:
    assert [bits(x) for x in slid([-0.0, -0.0, 0.1, -0.1], [(0, 2), (2, 4)])] == [bits(0.0)] * 2


def test_mean_is_the_rounded_sum_divided() -> None:
    code = float_codes(np.array([2.0**53, 1.0, 1.0]))
    assert sums.fold_sums(code, True, np.arange(3), 3, SCRATCH)[1] == 3002399751580331.5


def test_an_output_that_is_not_wanted_changes_nothing() -> None:
    code = float_codes(np.array([1.0, 2.0, 4.0]))
    lo, hi, at = np.array([0, 1]), np.array([2, 3]), np.array([1, 0])
    mean, ok = np.zeros(2), np.zeros(2, np.uint8)
    sums.slide_sums(code, True, *limbs.grid(code), lo, hi, at, NONE, NO_OWN, NONE, NO_OWN, mean, ok)
    assert mean.tolist() == [3.0, 1.5]
    assert ok.tolist() == [1, 1]


@njit
def sum_of_copies(code, copies, n, real, base, n_limbs):
    state = np.zeros(limbs.SPECIALS + n_limbs, np.int64)
    limbs.add_term(state, code, copies, real, base)
    return sums.finish_sum(state, n, real, base, np.empty(n_limbs + 1, np.int64))


@pytest.mark.parametrize("exponent", range(32))
@pytest.mark.parametrize("sign", [1, -1])
def test_the_greatest_number_of_the_worst_terms_fits(exponent: int, sign: int) -> None:
    value = sign * float(2**53 - 1) * 2.0**exponent
    result = sum_of_copies(code_of(value), limbs.MAX_ROWS, limbs.MAX_ROWS, True, 0, 4)
    assert result[:2] == (np.float64(value * limbs.MAX_ROWS).view(np.int64), value)
    value = -(2**63) if sign < 0 else 2**63 - 1
    result = sum_of_copies(value, limbs.MAX_ROWS, limbs.MAX_ROWS, False, 0, 2)
    assert result[1:] == (float(value), 2, 1)


@pytest.mark.parametrize("real", [True, False])
def test_more_rows_than_limbs_can_hold_are_refused(real: bool) -> None:
    assert sum_of_copies(code_of(1.0), 1, limbs.MAX_ROWS + 1, real, -60, 3)[2:] == (FAILED, FAILED)


@given(walks_over(INTS))
def test_counts(walk: Walk) -> None:
    expected = [len(walk.codes(i)) for i in range(len(walk.at))]
    count, ok = walk.out(), walk.out(np.uint8)
    sums.replay_count(walk.tape, walk.tape_end, walk.pos, walk.at, walk.xok, count, ok)
    assert walk.in_order(count) == expected
    assert walk.in_order(ok) == [VALUE] * len(expected)
    if walk.contiguous:
        count, ok = walk.out(), walk.out(np.uint8)
        sums.slide_count(walk.lo, walk.hi, walk.at, walk.xok, count, ok)
        assert walk.in_order(count) == expected
        assert walk.in_order(ok) == [VALUE] * len(expected)


def test_rate_is_rows_a_second() -> None:
    assert sums.rate(np.array([0, 3, 7]), 1_500_000).tolist() == [0.0, 2.0, 7 / 1.5]
