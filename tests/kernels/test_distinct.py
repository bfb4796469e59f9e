"""n_distinct: the size of the set of values."""

import numpy as np
from hypothesis import given

from gnomon.kernels import distinct
from gnomon.kernels.words import float_codes
from tests.kernels.walks import Walk, either, long_walk

N_CODES = 4


def check(walk: Walk, n_codes: int) -> None:
    replayed, slid = walk.out(), walk.out()
    distinct.replay_n_distinct(
        walk.code, n_codes, walk.tape, walk.tape_end, walk.pos, walk.at, walk.xcode, walk.xok, replayed
    )
    wanted = [len(set(walk.codes(i))) for i in range(len(walk.at))]
    assert walk.in_order(replayed) == wanted
    if walk.contiguous:
        distinct.slide_n_distinct(walk.code, n_codes, walk.lo, walk.hi, walk.at, walk.xcode, walk.xok, slid)
        assert walk.in_order(slid) == wanted
    for i in range(len(walk.at)):
        code, idx, m = walk.with_own_lane(i)
        table = np.empty(distinct.table_size(m), np.int64)
        assert distinct.fold_n_distinct(code, idx, m, table) == wanted[i]


@given(either(range(N_CODES)))
def test_every_way_counts_the_set(walk):
    check(walk, N_CODES)


def test_long_windows():
    check(long_walk(np.random.default_rng(1).integers(0, 2000, 20_000), 2), 2000)


@given(either(range(N_CODES)))
def test_the_requests_own_value_may_be_one_that_no_row_has(walk):
    walk.xcode = np.where(walk.xcode == 0, -1, walk.xcode + N_CODES)
    check(walk, N_CODES)


def test_the_small_table_tells_apart_values_of_any_kind():
    values = np.concatenate(
        [np.linspace(-1, 1, 3000), np.ldexp(1.0, np.arange(-1000, 1000)), [np.nan, -np.nan]]
    )
    codes = float_codes(values)
    want = len(set(codes.tolist()))
    codes = np.concatenate([codes, codes[::-1]])
    table = np.empty(distinct.table_size(len(codes)), np.int64)
    assert distinct.fold_n_distinct(codes, np.arange(len(codes)), len(codes), table) == want


def test_a_table_that_was_used_before_is_as_good_as_new():
    table = np.full(distinct.table_size(3), 2)
    assert distinct.fold_n_distinct(np.array([7, 7, 8]), np.arange(3), 3, table) == 2
    assert distinct.fold_n_distinct(np.array([7, 7, 8]), np.array([2]), 1, table) == 1
    assert distinct.fold_n_distinct(np.array([7, 7, 8]), np.arange(0), 0, table) == 0
