"""Folds of one window: several functions of one walk, and what is compiled without the uncommon ones."""

from __future__ import annotations

import numpy as np

from gnomon.kernels import folds, lanes, rows, uncommon
from gnomon.kernels.work import CODE, EQUAL, EVERY, PICKED, TIMES, WORK

NO_REQUEST = np.empty((0, 0, 3), np.int64)


def folded(
    functions: list[list[int]], values: list[int], scratch: np.ndarray | None = None
) -> tuple[list[list[int]], np.ndarray]:
    """What the functions make of a lane of integers: (word, second word, ok) of each, and the lines of lists.

    scratch: of the uncommon ones.
    """
    n = len(values)
    places = np.zeros(rows.LANES + 2, np.int64)
    places[rows.LANES + 1] = -1
    work = np.empty((WORK, n + 1), np.int64)
    for row in (TIMES, PICKED, EVERY):
        work[row, :n] = np.arange(n)
    for row in (CODE, EQUAL):
        work[row, :n] = values
    lists, used = np.full((40, 2), -7), np.zeros(1, np.int64)
    made = np.empty((len(functions), 3), np.int64)
    folds.fold(
        np.array(functions), 0, len(functions), lanes.WORD, 0, 0, 60_000_000, np.arange(n), n,
        np.array(values, np.int64), places, n, n, 100, NO_REQUEST, 0, work,
        np.empty(folds.SCRATCH, np.int64), scratch, lists, used, made,
    )  # fmt: skip
    assert (lists[used[0] :] == -7).all()
    return made.tolist(), lists


def bits(value: float) -> int:
    return int(np.float64(value).view(np.int64))


def test_several_functions_of_one_walk_do_not_disturb_each_other():
    functions = [
        [folds.SUM, 0, 0, 0],
        [folds.QUANTILE, 0, bits(0.5), 0],
        [folds.N_DISTINCT, 0, 0, 0],
        [folds.QUANTILE, 0, bits(1.0), 0],
        [folds.COUNT, 0, 0, 0],
    ]
    made, _ = folded(functions, [4, 1, 4, 7])
    assert [word for word, _, _ in made] == [16, bits(4.0), 3, bits(7.0), 4]


def test_nothing_in_a_window_is_null_or_a_count_of_none():
    made, _ = folded([[f, 0, 0, 0] for f in (folds.SUM, folds.QUANTILE, folds.LAST, folds.COUNT)], [])
    assert [ok for _, _, ok in made] == [0, 0, 0, 1]


def test_the_numbers_of_uncommon_functions_are_beyond_all_others():
    common = {
        value
        for name, value in vars(folds).items()
        if name.isupper()
        and isinstance(value, int)
        and name not in (*dir(uncommon), "SCRATCH", "HIGH", "LOW")
    }
    assert max(common) < uncommon.FIRST_UNCOMMON


def test_common_and_uncommon_functions_share_a_walk():
    functions = [[folds.SUM, 0, 0, 0], [uncommon.MODE, 0, 0, 0], [folds.LAST_K, 0, 2, 0]]
    made, lists = folded(functions, [5, 3, 5, 4], np.empty(uncommon.SCRATCH, np.int64))
    assert made == [[17, 0, 1], [5, 0, 1], [0, 2, 1]]
    assert lists[:2].tolist() == [[4, 0], [5, 0]]
