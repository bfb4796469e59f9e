"""min, max, any, all: the same row's value however the window is walked."""

import numpy as np
import pytest
from hypothesis import given

from gnomon.kernels import extrema
from gnomon.kernels.words import NAN_CODE, float_codes
from tests.kernels.walks import NO_OWN, NONE, Walk, either, long_walk

INTS = [-(2**63), -2, 0, 1, 2, 3, NAN_CODE, 2**63 - 1]
FLOATS = float_codes(np.array([-np.inf, -0.0, 0.0, 1.0, np.inf, np.nan, np.nan, np.nan])).tolist()


def greatest(codes: list[int], floats: bool) -> int:
    return max((c for c in codes if not floats or c != NAN_CODE), default=NAN_CODE)


def check(walk: Walk, floats: bool) -> None:
    ways = [(replay_extrema, "replay"), *([(slide_extrema, "slide")] if walk.contiguous else [])]
    for way, name in ways:
        low, high = walk.out(), walk.out()
        way(walk, floats, low, high)
        for i, (least, most) in enumerate(zip(walk.in_order(low), walk.in_order(high), strict=True)):
            code_of = dict(zip(walk.picks(i), walk.codes(i), strict=True))
            if not code_of:
                assert (least, most) == (-1, -1), name
                continue
            assert code_of[least] == min(code_of.values()), name
            assert code_of[most] == greatest(list(code_of.values()), floats), name
    for i in range(len(walk.at)):
        code, idx, m = walk.with_own_lane(i)
        least, most = extrema.fold_min(code, idx, m), extrema.fold_max(code, floats, idx, m)
        if m == 0:
            assert (least, most) == (-1, -1)
            continue
        assert {least, most} <= set(idx.tolist())
        assert code[least] == min(walk.codes(i))
        assert code[most] == greatest(walk.codes(i), floats)


def slide_extrema(walk, floats, low, high):
    extrema.slide_extrema(
        walk.code, floats, walk.lo, walk.hi, walk.at, walk.rows, walk.n_rows, walk.xcode, walk.xok, low, high
    )


def replay_extrema(walk, floats, low, high):
    extrema.replay_extrema(
        walk.code,
        floats,
        walk.order,
        walk.rank,
        walk.tape,
        walk.tape_end,
        walk.pos,
        walk.at,
        walk.rows,
        walk.n_rows,
        walk.xcode,
        walk.xok,
        low,
        high,
    )


@given(either(INTS))
def test_integers_have_their_extremes_and_no_nan(walk):
    check(walk, False)


@given(either(FLOATS))
def test_floats_ignore_nan_unless_there_is_nothing_else(walk):
    check(walk, True)


@pytest.mark.parametrize("floats", [False, True])
def test_long_windows(floats):
    draws = np.random.default_rng(5)
    values = float_codes(np.where(draws.random(20_000) < 0.3, np.nan, np.round(draws.normal(size=20_000), 2)))
    check(long_walk(values, 7), floats)
    check(long_walk(np.sort(values), 8), floats)
    check(long_walk(np.sort(values)[::-1].copy(), 9), floats)


def test_one_output_alone_and_rows_that_are_not_compressed():
    code = np.array([5, 1, 9, 1, 7])
    lo, hi, at = np.array([0, 1, 4]), np.array([2, 4, 5]), np.arange(3)
    out = np.zeros(3, np.int64)
    extrema.slide_extrema(code, False, lo, hi, at, NONE, 5, NONE, NO_OWN, NONE, out)
    assert out.tolist() == [0, 2, 4]
    extrema.slide_extrema(code, False, lo, hi, at, NONE, 5, NONE, NO_OWN, out, NONE)
    assert code[out].tolist() == [1, 1, 7]


def test_a_window_far_from_the_one_before_it_holds_its_own_rows_alone():
    code = np.arange(1_000_000)
    lo, hi = np.array([0, 999_990]), np.array([3, 999_999])
    out = np.zeros(2, np.int64)
    extrema.slide_extrema(code, False, lo, hi, np.arange(2), NONE, len(code), NONE, NO_OWN, out, NONE)
    assert out.tolist() == [0, 999_990]


@given(either([0, 1]))
def test_any_and_all(walk):
    outs = []
    any_, all_, ok = (walk.out(np.uint8) for _ in range(3))
    extrema.replay_any_all(
        walk.code, walk.tape, walk.tape_end, walk.pos, walk.at, walk.xcode, walk.xok, any_, all_, ok
    )
    outs.append([walk.in_order(out) for out in (any_, all_, ok)])
    if walk.contiguous:
        any_, all_, ok = (walk.out(np.uint8) for _ in range(3))
        extrema.slide_any_all(walk.code, walk.lo, walk.hi, walk.at, walk.xcode, walk.xok, any_, all_, ok)
        outs.append([walk.in_order(out) for out in (any_, all_, ok)])
    for any_, all_, ok in outs:
        for i in range(len(walk.at)):
            codes = walk.codes(i)
            assert ok[i] == bool(codes)
            assert not codes or (any_[i], all_[i]) == (any(codes), all(codes))
    for i in range(len(walk.at)):
        if walk.codes(i):
            assert extrema.fold_any_all(*walk.with_own_lane(i)) == (any(walk.codes(i)), all(walk.codes(i)))
