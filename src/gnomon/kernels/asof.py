"""The newest row of each key, where rows come in order of time: one pass over both, and no sorting of rows.

Files are most often written in order of time. Then the newest row of a key at t is the last one met when the rows
up to t have gone by, and a table with one entry a key is all that is needed. Rows of a key with equal times would have
to be told apart by more than their time; the pass says so and leaves them to others.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gnomon.kernels._jit import njit

__all__ = ["in_order", "newest_in_order"]

Ints = NDArray[np.int64]


@njit
def in_order(time: Ints) -> bool:
    """Whether the times never fall. Shape: [n]."""
    for i in range(1, len(time)):  # noqa: SIM110 - a generator would not compile
        if time[i] < time[i - 1]:
            return False
    return True


@njit
def newest_in_order(
    row_code: Ints,
    row_time: Ints,
    lag: int,
    q_order: Ints,
    q_code: Ints,
    q_t: Ints,
    max_age: int,
    last: Ints,
    picked: Ints,
) -> bool:
    """Write the place of each question's newest row to `picked`, -1 for none.

    Returns False if rows of one key and time are met; `picked` is of no use then.

    Shape:  rows [n], in order of time, code -1 for a row that nobody asks about; questions [q], code -1 for no key;
            q_order [q]: the questions in order of t; last: one entry a code, all -1; picked [q].
    Units:  microseconds. A row is known `lag` after its time; max_age -1: of any age.
    Cost:   O(n + q).
    """
    n = len(row_code)
    row = 0
    for i in range(len(q_order)):
        query = q_order[i]
        t = q_t[query]
        while row < n and row_time[row] <= t - lag:
            code = row_code[row]
            if code >= 0:
                before = last[code]
                if before >= 0 and row_time[before] == row_time[row]:
                    return False
                last[code] = row
            row += 1
        code = q_code[query]
        place = last[code] if code >= 0 else -1
        if place >= 0 and max_age >= 0 and row_time[place] < t - max_age:
            place = -1
        picked[query] = place
    return True
