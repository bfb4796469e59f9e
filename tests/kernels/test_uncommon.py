"""Uncommon folds: lines of lists stand where the words say, and scratch that was used is as good as new."""

from __future__ import annotations

import numpy as np

from gnomon.kernels import folds, uncommon
from tests.kernels.test_folds import bits, folded


def scratch() -> np.ndarray:
    return np.full(uncommon.SCRATCH, -1)


def test_lists_stand_one_after_the_other():
    functions = [[uncommon.TOP_K, 0, 2, 0], [folds.LAST_K, 0, 2, 0], [uncommon.HISTOGRAM, 0, 0, 0]]
    made, lists = folded(functions, [5, 3, 5, 4], scratch())
    assert made == [[0, 2, 1], [2, 2, 1], [4, 3, 1]]
    assert lists[:4].tolist() == [[5, 0], [3, 0], [4, 0], [5, 0]]
    entries = lists[4:13].reshape(3, uncommon.ENTRY, 2).tolist()
    assert entries == [[[3, 0], [1, 0], [1, 0]], [[4, 0], [1, 0], [1, 0]], [[5, 0], [2, 0], [1, 0]]]


def test_functions_that_share_scratch_do_not_disturb_each_other():
    functions = [
        [uncommon.MODE, 0, 0, 0],
        [uncommon.APPROX_QUANTILE, 0, bits(0.0), 0],
        [uncommon.DECAYED_SUM, 0, 100, 0],
        [uncommon.APPROX_QUANTILE, 0, bits(1.0), 0],
        [uncommon.MODE, 0, 0, 0],
    ]
    made, _ = folded(functions, [64, 1, 64], scratch())
    # At t = 100, rows of the times 0, 1 and 2 have lost half of their weight, or a little less.
    want = 64 * 0.5 + 0.5 * 2 ** (1 / 100) + 64 * 0.5 * 2 ** (2 / 100)
    words = [word for word, _, _ in made]
    assert [*words[:2], *words[3:]] == [64, bits(1.0078125), bits(64.5), 64]
    assert np.isclose(np.int64(words[2]).view(np.float64), want)


def test_nothing_in_a_window_is_null_or_empty():
    functions = [
        [f, 0, 1, 0] for f in (uncommon.MODE, uncommon.TOP_K, uncommon.HISTOGRAM, uncommon.DECAYED_SUM)
    ]
    made, _ = folded(functions, [], scratch())
    assert [ok for _, _, ok in made] == [0, 1, 1, 0]
