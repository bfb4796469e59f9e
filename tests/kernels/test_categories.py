"""mode, top_k, histogram: how often each value of a window occurs."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given

from gnomon.kernels import categories
from tests.kernels.walks import NONE, Walk, either, long_walk

N_CODES = 5
MANY = 2**62


def want(codes: list[int], k: int, by_count: bool) -> list[list[int]]:
    counted = Counter(codes).items()
    return [[c, n] for c, n in sorted(counted, key=lambda cn: (-cn[1], cn[0]) if by_count else cn[0])[:k]]


def lists(offsets: np.ndarray, found: np.ndarray) -> list[list[list[int]]]:
    return [found[a:b].tolist() for a, b in pairwise(offsets)]


def check(walk: Walk, n_codes: int, k: int, by_count: bool) -> None:
    wanted = [want(walk.codes(i), k, by_count) for i in range(len(walk.at))]
    by = categories.ladder(walk.order, walk.key, walk.code) if by_count else (NONE, NONE, NONE)
    head, tail = (walk.code, n_codes, *by), (k, walk.xcode, walk.xok)
    assert lists(*categories.replay_categories(*head, walk.tape, walk.tape_end, walk.pos, *tail)) == wanted
    if walk.contiguous:
        assert lists(*categories.slide_categories(*head, walk.lo, walk.hi, *tail)) == wanted
    for i in range(len(walk.at)):
        code, idx, m = walk.with_own_lane(i)
        scratch = [np.empty(m, np.int64) for _ in range(5)]
        n = categories.fold_categories(code, idx, m, k, by_count, *scratch)
        picked, count = scratch[3][:n], scratch[4][:n]
        assert [[int(code[p]), c] for p, c in zip(picked, count.tolist(), strict=True)] == wanted[i]
        assert set(picked.tolist()) <= set(idx.tolist())


@pytest.mark.parametrize("by_count", [False, True])
@pytest.mark.parametrize("k", [1, 2, MANY])
@given(walk=either(range(N_CODES)))
def test_every_way_counts_the_values(walk, k, by_count):
    check(walk, N_CODES, k, by_count)


@given(either(range(N_CODES)))
def test_the_requests_own_value_may_be_one_that_no_row_has(walk):
    walk.xcode = np.where(walk.xcode == 0, -1, walk.xcode + N_CODES)
    check(walk, N_CODES, 2, True)
    check(walk, N_CODES, MANY, False)


@pytest.mark.parametrize("own", [False, True])
def test_long_windows(own):
    codes = np.minimum(np.random.default_rng(1).geometric(0.01, 20_000), 1500)
    for k, by_count in ((1, True), (10, True), (MANY, False)):
        check(long_walk(codes, 2, own), 1501, k, by_count)


def test_places_are_numbered_by_count_within_each_key():
    key, code = np.array([0, 0, 0, 1, 1]), np.array([7, 5, 7, 5, 5])
    order = np.array([1, 0, 2, 3, 4])
    first, places, owner = categories.ladder(order, key, code)
    # Key 0: 7 twice, then 5 once before 7 once; key 1: 5 twice, 5 once.
    assert owner.tolist() == [7, 5, 7, 5, 5]
    assert [places[first[0] + c - 1] for c in (1, 2)] == [2, 0]
    assert places[first[1]] == 1
    assert [places[first[4] + c - 1] for c in (1, 2)] == [4, 3]


def test_equal_codes_are_brought_together_in_the_order_of_the_codes():
    code = np.array([3, -1, 3, 2**62, -1])
    order, spare, ends = (np.empty(4, np.int64) for _ in range(3))
    assert categories.runs_of(code, np.array([0, 1, 2, 4]), 4, order, spare, ends) == 2
    assert order.tolist() == [1, 4, 0, 2]
    assert ends[:2].tolist() == [2, 4]
