"""Folds of one window: lines of lists stand where the words say."""

from __future__ import annotations

import numpy as np

from gnomon.kernels import folds, lanes, rows

NO_REQUEST = np.empty((0, 0, 3), np.int64)


def folded(functions: list[list[int]], values: list[int]) -> tuple[list[list[int]], np.ndarray]:
    """What the functions make of a lane of integers: (word, second word, ok) of each, and the lines of lists."""
    n = len(values)
    places = np.zeros(rows.LANES + 2, np.int64)
    places[rows.LANES + 1] = -1
    work = np.empty((folds.WORK, n + 1), np.int64)
    for row in (folds.TIMES, folds.PICKED, folds.EVERY):
        work[row, :n] = np.arange(n)
    for row in (folds.CODE, folds.EQUAL):
        work[row, :n] = values
    lists, used = np.full((40, 2), -7), np.zeros(1, np.int64)
    made = np.empty((len(functions), 3), np.int64)
    folds.fold(
        np.array(functions), 0, len(functions), lanes.WORD, 0, 0, 60_000_000, np.arange(n), n,
        np.array(values, np.int64), places, n, n, 100, NO_REQUEST, 0, work,
        np.empty(folds.SCRATCH, np.int64), lists, used, made,
    )  # fmt: skip
    assert (lists[used[0] :] == -7).all()
    return made.tolist(), lists


def test_lists_stand_one_after_the_other():
    functions = [[folds.TOP_K, 0, 2, 0], [folds.LAST_K, 0, 2, 0], [folds.HISTOGRAM, 0, 0, 0]]
    made, lists = folded(functions, [5, 3, 5, 4])
    assert made == [[0, 2, 1], [2, 2, 1], [4, 3, 1]]
    assert lists[:4].tolist() == [[5, 0], [3, 0], [4, 0], [5, 0]]
    entries = lists[4:13].reshape(3, folds.ENTRY, 2).tolist()
    assert entries == [[[3, 0], [1, 0], [1, 0]], [[4, 0], [1, 0], [1, 0]], [[5, 0], [2, 0], [1, 0]]]


def test_several_functions_of_one_walk_do_not_disturb_each_other():
    half = np.float64(0.5).view(np.int64)
    functions = [
        [folds.SUM, 0, 0, 0],
        [folds.QUANTILE, 0, half, 0],
        [folds.MODE, 0, 0, 0],
        [folds.N_DISTINCT, 0, 0, 0],
        [folds.QUANTILE, 0, np.float64(1.0).view(np.int64), 0],
        [folds.COUNT, 0, 0, 0],
    ]
    made, _ = folded(functions, [4, 1, 4, 7])
    words = [word for word, _, _ in made]
    assert words == [16, np.float64(4.0).view(np.int64), 4, 3, np.float64(7.0).view(np.int64), 4]


def test_nothing_in_a_window_is_null_or_empty_or_a_count_of_none():
    functions = [
        [f, 0, 1, 0] for f in (folds.MODE, folds.TOP_K, folds.HISTOGRAM, folds.QUANTILE, folds.COUNT)
    ]
    made, _ = folded(functions, [])
    assert [ok for _, _, ok in made] == [0, 1, 1, 0, 1]
