"""Rows by their place in the order: first, last, lists, times since."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnomon.kernels import ordered
from gnomon.kernels.distinct import table_size
from tests.kernels.walks import NO_OWN, NONE, Walk, either, long_walk

CODES = [-2, -1, 0, 1, 2]


def slide_ends(walk):
    first, last = walk.out(), walk.out()
    ordered.slide_ends(walk.lo, walk.hi, walk.at, walk.rows, walk.n_rows, walk.xok, first, last)
    return first, last


def replay_ends(walk):
    first, last = walk.out(), walk.out()
    ordered.replay_ends(
        walk.tape, walk.tape_end, walk.pos, walk.at, walk.rows, walk.n_rows, walk.xok, first, last
    )
    return first, last


def ways(walk, slide, replay):
    return [replay, slide] if walk.contiguous else [replay]


@given(either(CODES))
def test_first_and_last_are_the_ends_of_the_order(walk):
    for way in ways(walk, slide_ends, replay_ends):
        first, last = map(walk.in_order, way(walk))
        for i in range(len(walk.at)):
            picks = walk.picks(i) or [-1]
            assert (first[i], last[i]) == (picks[0], picks[-1])
    for i in range(len(walk.at)):
        _, idx, m = walk.with_own_lane(i)
        assert ordered.fold_first(idx, m) == (idx[0] if m else -1)
        assert ordered.fold_last(idx, m) == (idx[-1] if m else -1)


@given(either(CODES))
def test_the_time_since_a_row_is_counted_from_its_event_time(walk):
    for way in ways(walk, slide_ends, replay_ends):
        for picked in way(walk):
            since, ok = walk.out(), walk.out(np.uint8)
            ordered.time_since(picked, walk.time, walk.t, walk.at, since, ok)
            for i, row in enumerate(walk.in_order(picked)):
                assert walk.in_order(ok)[i] == (row >= 0)
                if row >= 0:
                    own = row >= walk.n_rows
                    assert walk.in_order(since)[i] == (0 if own else walk.t[i] - walk.time[row])


def test_a_time_since_beyond_int64_is_told_apart():
    out, ok = np.zeros(2, np.int64), np.zeros(2, np.uint8)
    time, t = np.array([-(2**63)]), np.array([-1, 0])
    ordered.time_since(np.array([0, 0]), time, t, np.arange(2), out, ok)
    assert ok.tolist() == [1, 2]
    assert out[0] == 2**63 - 1


def test_one_end_alone_of_rows_that_are_not_compressed():
    lo, hi, at = np.array([0, 1]), np.array([2, 1]), np.arange(2)
    out = np.zeros(2, np.int64)
    ordered.slide_ends(lo, hi, at, NONE, 3, NO_OWN, out, NONE)
    assert out.tolist() == [0, -1]
    ordered.slide_ends(lo, hi, at, NONE, 3, NO_OWN, NONE, out)
    assert out.tolist() == [1, -1]


def lists_of(walk: Walk, k: int, newest: bool, distinct: bool) -> list[list[list[int]]]:
    """The lists by sorted query, one way after another."""
    of_range = (walk.lo, walk.hi)
    of_tape = (walk.tape, walk.tape_end, walk.pos)
    shape = (walk.at, walk.n_out, k, newest, walk.rows, walk.n_rows)
    ranked = (walk.code, walk.order, walk.rank)
    if distinct:
        made = [ordered.replay_distinct_lists(*ranked, *of_tape, *shape, walk.xcode, walk.xok)]
        if walk.contiguous:
            made.append(ordered.slide_distinct_lists(*ranked, *of_range, *shape, walk.xcode, walk.xok))
    else:
        made = [ordered.replay_lists(*of_tape, *shape, walk.xok)]
        if walk.contiguous:
            made.append(ordered.slide_lists(*of_range, *shape, walk.xok))
    out = []
    for offsets, picked in made:
        lists = [picked[a:b].tolist() for a, b in pairwise(offsets)]
        assert len(lists) == walk.n_out
        assert sum(map(len, (lists[j] for j in walk.at))) == len(picked)
        out.append([lists[j] for j in walk.at])
    return out


def want(walk: Walk, i: int, k: int, newest: bool, distinct: bool) -> list[int]:
    pairs = list(zip(walk.picks(i), walk.codes(i), strict=True))
    if newest:
        pairs.reverse()
    if distinct:
        pairs = [(p, c) for j, (p, c) in enumerate(pairs) if c not in [d for _, d in pairs[:j]]]
    return [p for p, _ in pairs[:k]]


def check_lists(walk: Walk, k: int, newest: bool, distinct: bool) -> None:
    wanted = [want(walk, i, k, newest, distinct) for i in range(len(walk.at))]
    for lists in lists_of(walk, k, newest, distinct):
        assert lists == wanted
    for i in range(len(walk.at)):
        code, idx, m = walk.with_own_lane(i)
        out = np.empty(min(k, m), np.int64)
        n = ordered.fold_list(code, idx, m, k, newest, distinct, np.empty(table_size(m), np.int64), out)
        row_of = dict(zip(idx.tolist(), walk.picks(i), strict=True))
        assert [row_of[p] for p in out[:n].tolist()] == wanted[i]


@pytest.mark.parametrize("distinct", [False, True])
@pytest.mark.parametrize("newest", [False, True])
@given(walk=either(CODES), k=st.sampled_from([1, 2, 3, 50]))
def test_lists_walk_from_one_end(walk, k, newest, distinct):
    check_lists(walk, k, newest, distinct)


@pytest.mark.parametrize("newest", [False, True])
def test_long_windows_with_few_values(newest):
    check_lists(long_walk(np.random.default_rng(3).integers(0, 4, 12_000), 4), 3, newest, True)
    check_lists(long_walk(np.random.default_rng(3).integers(0, 4, 12_000), 4), 70, newest, False)
