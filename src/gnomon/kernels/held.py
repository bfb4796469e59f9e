"""Rows of one packed value, one at a time: which are seen at t, and in a view.

`words` are packed values (`gnomon.kernels.rows`), `places` the sections of one of them, as `rows.sections` finds them.
"""

from __future__ import annotations

import numpy as np

from gnomon.kernels import rows
from gnomon.kernels._jit import inline, njit
from gnomon.kernels.lanes import is_valid, pair

__all__ = [
    "compare_bytes",
    "compare_wide",
    "is_dead",
    "known_at",
    "minus",
    "passes",
    "pick",
    "replaced_at",
    "time_at",
    "visible",
]


@inline
def minus(a, b):
    """a − b, b >= 0, held at MIN."""
    return rows.MIN if a < rows.MIN + b else a - b


@inline
def time_at(words, places, i):
    """The event_time of row i."""
    return words[places[rows.EVENT_TIME] + i]


@inline
def known_at(words, places, i, lag):
    """From when on row i is known; MAX for not yet."""
    if places[rows.KNOWN_AT] >= 0:
        return words[places[rows.KNOWN_AT] + i]
    return rows.plus(words[places[rows.EVENT_TIME] + i], lag)


@inline
def replaced_at(words, places, i):
    """From when on another version stands for row i; MAX for never."""
    return words[places[rows.REPLACED] + i] if places[rows.REPLACED] >= 0 else np.int64(rows.MAX)


@inline
def is_dead(words, places, i):
    """Whether row i is the marker of a delete."""
    return places[rows.DEAD_BITS] >= 0 and rows.get_bit(words, places[rows.DEAD_BITS], i) != 0


@inline
def visible(words, places, i, t, lag):
    """Whether version i is known at t, not replaced and no delete. Its event_time is another question."""
    if known_at(words, places, i, lag) > t or replaced_at(words, places, i) <= t:
        return False
    return not is_dead(words, places, i)


@inline
def passes(words, places, lane, where, keep_nulls, i):
    """Whether row i is in the view of that lane and condition; −1 is no lane, no condition."""
    if where >= 0 and not (words[places[rows.LANES + 2 * where] + i] and is_valid(words, places, where, i)):
        return False
    return lane < 0 or keep_nulls != 0 or is_valid(words, places, lane, i)


@inline
def compare_wide(a_high, a_low, b_high, b_low):
    """−1, 0, 1: how one int128 compares with another."""
    if a_high != b_high:
        return -1 if a_high < b_high else 1
    a, b = np.uint64(a_low), np.uint64(b_low)
    return 0 if a == b else (-1 if a < b else 1)


@inline
def compare_bytes(octets, given, a, a_length, b, b_length):
    """−1, 0, 1: how one string of bytes compares with another; −1 − first byte is one of the request's."""
    for j in range(min(a_length, b_length)):
        x = octets[a + j] if a >= 0 else given[-1 - a + j]
        y = octets[b + j] if b >= 0 else given[-1 - b + j]
        if x != y:
            return -1 if x < y else 1
    return 0 if a_length == b_length else (-1 if a_length < b_length else 1)


@njit
def pick(words, places, n, first, upper, t, lag, kind, lane, where, keep_nulls, row, a, b):
    """Choose the rows of a view from `first` on that are before `upper` and visible at t; return how many.

    n: rows of the value · row, a, b: int64[n], filled: which rows, and the two words of their values (0 without lane)
    """
    count = 0
    for i in range(first, n):
        if time_at(words, places, i) >= upper:
            break
        if visible(words, places, i, t, lag) and passes(words, places, lane, where, keep_nulls, i):
            row[count] = i
            a[count] = 0
            b[count] = 0
            if lane >= 0:
                a[count], b[count] = pair(words, places, kind, lane, n, i)
            count += 1
    return count
