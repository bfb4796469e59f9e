"""A set of small integers behaves as a sorted list."""

import bisect
import random

import numpy as np
import pytest

from gnomon.kernels import active

SIZES = [1, 2, 63, 64, 65, 4095, 4096, 4097, 300_000]


@pytest.mark.parametrize("n", SIZES)
def test_every_answer_is_that_of_a_sorted_list(n):
    shuffled = random.Random(n)
    words, base = active.make(n)
    counted, counted_base = active.make(n)
    counts = active.make_counts(counted)
    held: list[int] = []
    # Members come in clusters and alone, so that walks stay in a word and cross many.
    items = [*(shuffled.randrange(n) for _ in range(300)), *range(min(n, 70)), *range(max(0, n - 70), n)]
    for item in [*items, *shuffled.sample(items, len(items) // 2), *items]:
        place = bisect.bisect_left(held, item)
        if place < len(held) and held[place] == item:
            held.pop(place)
            active.remove(words, base, item)
            active.remove_counted(counted, base, counts, item)
        else:
            held.insert(place, item)
            active.add(words, base, item)
            active.add_counted(counted, base, counts, item)
        assert active.first(words, base) == (held[0] if held else -1)
        assert active.last(words, base) == (held[-1] if held else -1)
        assert active.count(counts) == len(held)
        probe = shuffled.choice([item, shuffled.randrange(n)])
        assert active.contains(words, probe) == (probe in held)
        after = bisect.bisect_right(held, probe)
        assert active.following(words, base, probe) == (held[after] if after < len(held) else -1)
        before = bisect.bisect_left(held, probe)
        assert active.preceding(words, base, probe) == (held[before - 1] if before else -1)
        if held:
            k = shuffled.randrange(len(held))
            assert active.kth(counted, base, counts, k) == held[k]
    np.testing.assert_array_equal(words, counted)
    np.testing.assert_array_equal(base, counted_base)


def test_adding_twice_and_removing_what_is_not_there_change_nothing():
    words, base = active.make(200)
    active.add(words, base, 130)
    active.add(words, base, 130)
    active.remove(words, base, 5)
    assert active.first(words, base) == active.last(words, base) == 130
    active.remove(words, base, 130)
    assert not words.any()


def test_a_full_set_knows_every_place():
    words, base = active.make(5000)
    counts = active.make_counts(words)
    for item in range(5000):
        active.add_counted(words, base, counts, item)
    assert [active.kth(words, base, counts, k) for k in range(5000)] == list(range(5000))
    for item in range(5000):
        active.remove_counted(words, base, counts, item)
    assert not words.any()
    assert not counts.any()


def test_a_set_takes_an_eighth_of_a_byte_an_item():
    words, base = active.make(10_000_000)
    assert words.nbytes < 1.3e6
    assert len(base) - 1 == 4


def test_a_zero_length_map_leaves_no_row_out():
    assert active.position(np.array([4, -1]), 1) == -1
    assert active.position(np.array([4, -1]), 0) == 4
    assert active.position(np.empty(0, np.int64), 7) == 7


def test_ranks_invert_an_order():
    order = np.random.default_rng(1).permutation(100)
    np.testing.assert_array_equal(order[active.ranks(order)], np.arange(100))
