"""Sorted rows and sorted queries → which rows each query sees.

Where all of a window's visible rows lie side by side they are a range [lo, hi) of rows; `is_contiguous` says
when. Else a row comes and goes: `visible_spans` gives the queries that see it, `tape` the order of comings
and goings.

Rows are sorted by (code, time, …), queries by (code, t). A row is in the window of t when

    t − offset − length <= time < t − offset        (events)
    t − offset − length <= time <= t − offset       (states: `inclusive`, length is max_age)

and it is seen there when also known <= t < until.

Units:  int64 microseconds. known = INT64_MAX: never known; until = INT64_MAX: never replaced; length −1: no
        lower bound.
Bounds: instants lie strictly between INT64_MIN and INT64_MAX, so that a sum or difference that would leave
        the type can stay at its end and be right; offset + length < 2**63.

What is as long as the rows comes from NumPy and not from inside the kernels: it asks the system for huge
pages, which halves the time of filling them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gnomon.kernels import active
from gnomon.kernels._jit import inline, njit

__all__ = [
    "active_lists",
    "cap_known",
    "compress",
    "is_contiguous",
    "limit_bounds",
    "map_bounds",
    "tape",
    "tape_of",
    "visible_spans",
    "window_bounds",
]

Ints = NDArray[np.int64]

_MAX = np.int64(np.iinfo(np.int64).max)
_MIN = np.int64(np.iinfo(np.int64).min)


@inline
def _plus(a, b):
    """a + b, at the end of the type where it would leave it."""
    if b > 0:
        return _MAX if a > _MAX - b else a + b
    return _MIN if a < _MIN - b else a + b


@inline
def _minus(a, b):
    """a − b, at the end of the type where it would leave it."""
    if b > 0:
        return _MIN if a < _MIN + b else a - b
    return _MAX if a > _MAX + b else a - b


@inline
def _not_below(x, bound, low, high):
    """The first i in [low, high) with x[i] >= bound, or `high`; x ascends there.

    Near `low` it steps, then it doubles its steps: cheap for merging two dense lists, and for few queries to
    many rows.
    """
    near = min(low + 8, high)
    while low < near:
        if x[low] >= bound:
            return low
        low += 1
    step = 8
    while low + step < high and x[low + step] < bound:
        low += step
        step *= 2
    high = min(low + step, high)
    while low < high:
        middle = (low + high) >> 1
        if x[middle] < bound:
            low = middle + 1
        else:
            high = middle
    return low


# --- ranges -------------------------------------------------------------------------------------------------


# The walks over keys and their queries repeat one loop on purpose: Numba inlines `_not_below` into each.
@njit
def window_bounds(
    row_code: Ints, row_time: Ints, q_code: Ints, q_t: Ints, length: int, offset: int, inclusive: bool
) -> tuple[Ints, Ints]:
    """Return the rows [lo, hi) in the window of each query, whenever they became known.

    Shape: rows [n], queries [q] → [q], [q]; both never fall, over the keys too; lo = hi where there is no
           row.
    Cost:  O(n + q), or O(q log n) where queries are few.
    """
    n = len(row_code)
    n_queries = len(q_code)
    lo = np.empty(n_queries, np.int64)
    hi = np.empty(n_queries, np.int64)
    reach = _MAX if length < 0 else _plus(offset, length)
    end = 0
    query = 0
    while query < n_queries:
        code = q_code[query]
        start = _not_below(row_code, code, end, n)
        end = _not_below(row_code, code + 1, start, n)
        a = start
        b = start
        while query < n_queries and q_code[query] == code:
            t = q_t[query]
            if length >= 0:
                a = _not_below(row_time, _minus(t, reach), a, end)
            upper = _minus(t, offset)
            if inclusive:
                upper = _plus(upper, 1)
            b = _not_below(row_time, upper, b, end)
            lo[query] = a
            hi[query] = b
            query += 1
    return lo, hi


@njit
def cap_known(lo: Ints, hi: Ints, row_code: Ints, row_known: Ints, q_code: Ints, q_t: Ints) -> Ints:
    """Return `hi`, moved back to leave out the rows that are not known at t.

    Bounds: `row_known` must not fall within a key (`is_contiguous`).
    Shape:  bounds and queries [q], rows [n] → [q]; never falls, never below `lo`.
    """
    n = len(row_code)
    n_queries = len(q_code)
    capped = np.empty(n_queries, np.int64)
    end = 0
    query = 0
    while query < n_queries:
        code = q_code[query]
        start = _not_below(row_code, code, end, n)
        end = _not_below(row_code, code + 1, start, n)
        a = start
        while query < n_queries and q_code[query] == code:
            a = _not_below(row_known, q_t[query] + 1, a, end)
            capped[query] = max(lo[query], min(hi[query], a))
            query += 1
    return capped


@njit
def is_contiguous(row_code: Ints, row_known: Ints, row_until: Ints) -> bool:
    """Whether the rows that any query sees are a range: known in the order of each key's rows, and never
    replaced.

    Shape: [n] each; row_until [0] where nothing is ever replaced.
    """
    for i in range(len(row_until)):
        if row_until[i] != _MAX:
            return False
    for i in range(1, len(row_code)):
        if row_known[i] < row_known[i - 1] and row_code[i] == row_code[i - 1]:
            return False
    return True


def compress(mask: NDArray[np.uint8]) -> tuple[Ints, Ints, Ints]:
    """Return the rows that pass a mask, and the two ways between rows and places among those that pass.

    Shape: mask [n] → rows [m], ascending; before [n + 1]: how many pass before each row; pos [n]: place or
           −1.
    """
    rows = np.empty(np.count_nonzero(mask), np.int64)
    before = np.empty(len(mask) + 1, np.int64)
    pos = np.empty(len(mask), np.int64)
    _compress(mask, rows, before, pos)
    return rows, before, pos


@njit
def _compress(mask, rows, before, pos):
    m = 0
    for i in range(len(mask)):
        before[i] = m
        if mask[i]:
            rows[m] = i
            pos[i] = m
            m += 1
        else:
            pos[i] = -1
    before[len(mask)] = m


@njit
def map_bounds(before: Ints, lo: Ints, hi: Ints) -> tuple[Ints, Ints]:
    """Return bounds among the rows that pass (`compress`) for bounds among all rows."""
    new_lo = np.empty(len(lo), np.int64)
    new_hi = np.empty(len(hi), np.int64)
    for i in range(len(lo)):
        new_lo[i] = before[lo[i]]
        new_hi[i] = before[hi[i]]
    return new_lo, new_hi


@njit
def limit_bounds(lo: Ints, hi: Ints, n: int) -> Ints:
    """Return `lo`, moved on so that only the newest n rows of each range stay."""
    limited = np.empty(len(lo), np.int64)
    for i in range(len(lo)):
        limited[i] = max(lo[i], hi[i] - n)
    return limited


# --- comings and goings -------------------------------------------------------------------------------------


def visible_spans(
    row_code: Ints,
    row_time: Ints,
    row_known: Ints,
    row_until: Ints,
    q_code: Ints,
    q_t: Ints,
    length: int,
    offset: int,
    inclusive: bool,
) -> tuple[Ints, Ints]:
    """Return the queries [first, last) that see each row; (0, 0) for a row that none sees.

    A row is seen from max(in the window, known) until min(out of the window, until): an interval of time,
    hence a range of one key's sorted queries.

    Shape: rows [n] (row_until [0] where nothing is ever replaced), queries [q] → [n], [n].
    Cost:  O(n + q), and a search among its key's queries for each row known late or replaced.
    """
    first = np.zeros(len(row_code), np.int64)
    last = np.zeros(len(row_code), np.int64)
    _fill_spans(row_code, row_time, row_known, row_until, q_code, q_t, length, offset, inclusive, first, last)
    return first, last


@njit
def _fill_spans(
    row_code, row_time, row_known, row_until, q_code, q_t, length, offset, inclusive, first, last
):
    n = len(row_code)
    n_queries = len(q_code)
    enter_after = offset if inclusive else _plus(offset, 1)
    leave_after = _MAX if length < 0 else _plus(_plus(offset, length), 1)
    end = 0
    q_end = 0
    while q_end < n_queries:
        q_start = q_end
        code = q_code[q_start]
        q_end = _not_below(q_code, code + 1, q_start, n_queries)
        start = _not_below(row_code, code, end, n)
        end = _not_below(row_code, code + 1, start, n)
        entering = q_start
        leaving = q_end if length < 0 else q_start
        for row in range(start, end):
            enter = _plus(row_time[row], enter_after)
            entering = _not_below(q_t, enter, entering, q_end)
            a = entering
            if row_known[row] > enter:
                a = _not_below(q_t, row_known[row], entering, q_end)
            if length >= 0:
                leaving = _not_below(q_t, _plus(row_time[row], leave_after), leaving, q_end)
            b = leaving
            if len(row_until) and row_until[row] != _MAX:
                b = _not_below(q_t, row_until[row], q_start, leaving)
            if a < b:
                first[row] = a
                last[row] = b


def tape_of(first: Ints, last: Ints, n_queries: int) -> tuple[Ints, Ints]:
    """Return (tape, tape_end): before query i, tape[tape_end[i − 1] : tape_end[i]] is to be applied.

    An operation is 2·row to add a row, 2·row + 1 to remove it. Before each query rows are removed first, then
    added, both in the order of the rows. Rows of a key are gone before the next key's first query; what is
    then left for after the last query stands behind tape_end[−1].

    Shape: first, last [n] of `visible_spans` → tape [2 · rows seen by any query], tape_end [n_queries].
    """
    # Where to write next: the removals before query i in slot 2i, the additions in slot 2i + 1.
    place = np.zeros(2 * n_queries + 2, np.int64)
    ops = np.empty(_place_ops(first, last, place), np.int64)
    _write_ops(first, last, place, ops)
    # The end of what was written for query i is the end of its additions.
    return ops, place[1 : 2 * n_queries : 2].copy()


@njit
def _place_ops(first, last, place):
    for row in range(len(first)):
        if first[row] < last[row]:
            place[2 * first[row] + 1] += 1
            place[2 * last[row]] += 1
    total = 0
    for slot in range(len(place)):
        size = place[slot]
        place[slot] = total
        total += size
    return total


@njit
def _write_ops(first, last, place, ops):
    for row in range(len(first)):
        if first[row] < last[row]:
            slot = 2 * first[row] + 1
            ops[place[slot]] = 2 * row
            place[slot] += 1
            slot = 2 * last[row]
            ops[place[slot]] = 2 * row + 1
            place[slot] += 1


def tape(
    row_code: Ints,
    row_time: Ints,
    row_known: Ints,
    row_until: Ints,
    q_code: Ints,
    q_t: Ints,
    length: int,
    offset: int,
    inclusive: bool,
) -> tuple[Ints, Ints]:
    """Return the tape of `tape_of` for the rows that each query sees; arguments as of `visible_spans`."""
    first, last = visible_spans(
        row_code, row_time, row_known, row_until, q_code, q_t, length, offset, inclusive
    )
    return tape_of(first, last, len(q_code))


@njit
def active_lists(ops: Ints, tape_end: Ints, pos: Ints, n: int) -> tuple[Ints, Ints]:
    """Return for each query the newest `n` of the rows that it sees, as places among the rows that pass,
    ascending.

    Shape: ops, tape_end [q] of `tape`; pos of `compress`, or [0] when all rows pass
           → offsets [q + 1], positions [offsets[−1]].
    """
    n_queries = len(tape_end)
    offsets = np.zeros(n_queries + 1, np.int64)
    greatest = -1
    size = 0
    at = 0
    for query in range(n_queries):
        while at < tape_end[query]:
            place = active.position(pos, ops[at] >> 1)
            if place >= 0:
                greatest = max(greatest, place)
                size += 1 - 2 * (ops[at] & 1)
            at += 1
        offsets[query + 1] = offsets[query] + min(size, n)
    positions = np.empty(offsets[n_queries], np.int64)
    words, base = active.make(greatest + 1)
    at = 0
    for query in range(n_queries):
        while at < tape_end[query]:
            place = active.position(pos, ops[at] >> 1)
            if place >= 0:
                if ops[at] & 1:
                    active.remove(words, base, place)
                else:
                    active.add(words, base, place)
            at += 1
        place = greatest + 1
        for i in range(offsets[query + 1] - 1, offsets[query] - 1, -1):
            place = active.preceding(words, base, place)
            positions[i] = place
    return offsets, positions
