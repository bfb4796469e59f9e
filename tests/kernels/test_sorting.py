"""Sorts are stable and complete, for short and long inputs and every width of key."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnomon.kernels import sorting

NONE = np.empty(0, np.int64)


@pytest.mark.parametrize("n", [0, 1, 2, 100, 20_000])
@pytest.mark.parametrize("bits", [1, 8, 9, 23, 40])
def test_words_are_sorted_by_their_bits_and_carry_the_rest(n, bits):
    draws = np.random.default_rng(n + bits)
    low = 16
    words = (draws.integers(0, 1 << bits, n) << low | np.arange(n) % (1 << low)).astype(np.uint64)
    want = words[np.argsort(words >> np.uint64(low), kind="stable")]
    sorting.sort_words(words, np.empty(n, np.uint64), n, np.uint64(low), bits)
    assert words.tolist() == want.tolist()


@pytest.mark.parametrize("n", [2, 3, 64, 65, 5_000, 10_000])
@pytest.mark.parametrize("greatest", [1, 200, 10**13, 2**64 - 1])
def test_positions_are_sorted_stably_by_keys_of_any_width(n, greatest):
    key = np.random.default_rng(n).integers(0, greatest, n, np.uint64, endpoint=True)
    key[-1] = greatest
    key[1::3] = key[0]
    positions = np.empty(n, np.uint64)
    sorting.sort_positions(key, n, np.uint64(greatest), positions, np.empty(n, np.uint64))
    assert positions.tolist() == np.argsort(key, kind="stable").tolist()


few = st.integers(0, 2)


@given(
    st.lists(st.tuples(few, few, few, few, few), max_size=70), st.lists(st.booleans(), min_size=5, max_size=5)
)
def test_items_are_sorted_by_the_keys_that_are_there(rows, there):
    columns = [
        np.array([r[k] for r in rows] if there[k] else [], np.uint64 if k in (2, 3) else np.int64)
        for k in range(5)
    ]
    # The top bit: unsigned keys must be compared as such.
    columns[2] <<= np.uint64(62)
    n = len(rows)
    items = np.arange(n)[::-1].copy()
    want = sorted(items.tolist(), key=lambda i: [rows[i][k] for k in range(5) if there[k]])
    sorting.sort_by(items, np.empty(n, np.int64), 0, n, *columns)
    assert items.tolist() == want


def test_only_the_named_items_are_sorted():
    items = np.arange(100)[::-1].copy()
    key = np.arange(100)
    none = np.empty(0, np.uint64)
    sorting.sort_by(items, np.empty(100, np.int64), 10, 90, key, NONE, none, none, NONE)
    assert items[:10].tolist() == list(range(99, 89, -1))
    assert items[10:90].tolist() == list(range(10, 90))
    assert items[90:].tolist() == list(range(9, -1, -1))
