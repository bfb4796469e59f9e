"""min, max, any, all: the row with the least or the greatest value of a window.

min and max select a row (any row that has the value) and return its uncompressed number, so that they work
for every type: -1 is null, `n_rows + i` the request's own row of sorted query `i`. In a lane of floats
(`floats` true) NaN, whose code is the greatest, is the result only where there is nothing else.

Arguments are those of `gnomon.kernels.ordered`; `code: int64[m]` keeps the order of the values; a zero-length
output is not wanted.
"""

import numpy as np

from gnomon.kernels import active
from gnomon.kernels._jit import inline, njit
from gnomon.kernels.ordered import selected
from gnomon.kernels.words import NAN_CODE

__all__ = [
    "fold_any_all",
    "fold_max",
    "fold_min",
    "replay_any_all",
    "replay_extrema",
    "slide_any_all",
    "slide_extrema",
]

_LEAST = np.int64(-(2**63))
_GREATEST = np.int64(2**63 - 1)


@inline
def _height(c, floats):
    """Return the code by which max compares: NaN is below everything. No other float has the least code."""
    return _LEAST if floats and c == NAN_CODE else c


@inline
def _less(code, p, q):
    """Return the position with the lesser code, of two that may be -1."""
    if p < 0 or (q >= 0 and code[q] < code[p]):
        return q
    return p


@inline
def _greater(code, floats, p, q):
    """Return the position with the greater code for max, of two that may be -1."""
    if p < 0 or (q >= 0 and _height(code[q], floats) > _height(code[p], floats)):
        return q
    return p


@inline
def _finish_min(code, rows, p, own, own_code):
    """Return the row of the least code; `own` is the number of the request's own row, or -1."""
    if own >= 0 and (p < 0 or own_code < code[p]):
        return own
    return selected(rows, p)


@inline
def _finish_max(code, floats, rows, p, own, own_code):
    if own >= 0 and (p < 0 or _height(own_code, floats) > _height(code[p], floats)):
        return own
    return selected(rows, p)


# ------------------------------------------------------------------------------------------------ min and max
#
# Sliding is the queue of two stacks, without a branch that the processor could guess wrong: the front holds,
# for each row of `[front, middle)`, the extremum from there to `middle`; the back is the extremum of
# `[middle, end)`. When a window begins at or after `middle`, the front is built again over the whole window.
# The windows at which this happens do not overlap, so each row is looked at twice at most, and a row in no
# window never.


@inline
def _front_width(lo, hi):
    """Return the length of the longest window at which the front is built."""
    width = 0
    middle = 0
    for i in range(lo.size):
        if lo[i] >= middle:
            width = max(width, hi[i] - lo[i])
            middle = hi[i]
    return width


@inline
def _fill_least(code, start, stop, front):
    least = _GREATEST
    found = np.int64(-1)
    for p in range(stop - 1, start - 1, -1):
        c = code[p]
        better = c <= least
        least = c if better else least
        found = p if better else found
        front[p - start] = found


@inline
def _fill_greatest(code, floats, start, stop, front):
    greatest = _LEAST
    found = np.int64(-1)
    for p in range(stop - 1, start - 1, -1):
        c = _height(code[p], floats)
        better = c >= greatest
        greatest = c if better else greatest
        found = p if better else found
        front[p - start] = found


@inline
def _least_in(code, start, stop):
    least = _GREATEST
    found = np.int64(-1)
    for p in range(start, stop):
        c = code[p]
        better = c <= least
        least = c if better else least
        found = p if better else found
    return found


@inline
def _greatest_in(code, floats, start, stop):
    greatest = _LEAST
    found = np.int64(-1)
    for p in range(start, stop):
        c = _height(code[p], floats)
        better = c >= greatest
        greatest = c if better else greatest
        found = p if better else found
    return found


@njit
def slide_extrema(code, floats, lo, hi, at, rows, n_rows, xcode, xok, out_min, out_max):
    """Write the rows of the least and the greatest code of each window to `out_min[at[i]]`, `out_max[at[i]]`.

    Cost:   O(rows in some window + q); memory 8 bytes for each row of the longest window and wanted output.
    """
    want_min = out_min.size > 0
    want_max = out_max.size > 0
    width = _front_width(lo, hi)
    front_min = np.empty(width if want_min else 0, np.int64)
    front_max = np.empty(width if want_max else 0, np.int64)
    front = np.int64(0)
    middle = np.int64(0)
    end = np.int64(0)
    back_min = np.int64(-1)
    back_max = np.int64(-1)
    for i in range(at.size):
        start = lo[i]
        if start >= middle:
            front = start
            middle = hi[i]
            end = hi[i]
            back_min = np.int64(-1)
            back_max = np.int64(-1)
            if want_min:
                _fill_least(code, front, middle, front_min)
            if want_max:
                _fill_greatest(code, floats, front, middle, front_max)
        elif hi[i] > end:
            if want_min:
                back_min = _less(code, back_min, _least_in(code, end, hi[i]))
            if want_max:
                back_max = _greater(code, floats, back_max, _greatest_in(code, floats, end, hi[i]))
            end = hi[i]
        own = n_rows + i if xok.size > 0 and xok[i] != 0 else -1
        own_code = xcode[i] if own >= 0 else 0
        inside = start < middle
        if want_min:
            p = _less(code, front_min[start - front] if inside else -1, back_min)
            out_min[at[i]] = _finish_min(code, rows, p, own, own_code)
        if want_max:
            p = _greater(code, floats, front_max[start - front] if inside else -1, back_max)
            out_max[at[i]] = _finish_max(code, floats, rows, p, own, own_code)


@njit
def replay_extrema(
    code, floats, order, rank, tape, tape_end, pos, at, rows, n_rows, xcode, xok, out_min, out_max
):
    """Like `slide_extrema`, for the rows that a tape adds and removes.

    Shape:  order int64[m] are the positions sorted by (key, code), rank its inverse (`active.ranks`).
    """
    words, base = active.make(code.size)
    done = 0
    # The least rank of a NaN since the set was empty, as it is between keys: numbers of the key rank below.
    first_nan = _GREATEST
    for i in range(at.size):
        for j in range(done, tape_end[i]):
            p = active.position(pos, tape[j] >> 1)
            if p < 0:
                continue
            if tape[j] & 1:
                active.remove(words, base, rank[p])
                continue
            if floats:
                if words[words.size - 1] == 0:
                    first_nan = _GREATEST
                if code[p] == NAN_CODE:
                    first_nan = min(first_nan, rank[p])
            active.add(words, base, rank[p])
        done = tape_end[i]
        own = n_rows + i if xok.size > 0 and xok[i] != 0 else -1
        own_code = xcode[i] if own >= 0 else 0
        if out_min.size > 0:
            r = active.first(words, base)
            out_min[at[i]] = _finish_min(code, rows, order[r] if r >= 0 else -1, own, own_code)
        if out_max.size > 0:
            r = active.last(words, base)
            if r >= first_nan:
                number = active.preceding(words, base, first_nan)
                r = number if number >= 0 else r
            out_max[at[i]] = _finish_max(code, floats, rows, order[r] if r >= 0 else -1, own, own_code)


@inline
def fold_min(code, idx, m):
    """Return the position of the least code among `idx[:m]`, -1 if there is none.

    The request's own row is one more position.
    """
    least = _GREATEST
    found = np.int64(-1)
    for j in range(m):
        c = code[idx[j]]
        better = c <= least
        least = c if better else least
        found = idx[j] if better else found
    return found


@inline
def fold_max(code, floats, idx, m):
    """Return the position of the greatest code among `idx[:m]`, -1 if there is none."""
    greatest = _LEAST
    found = np.int64(-1)
    for j in range(m):
        c = _height(code[idx[j]], floats)
        better = c >= greatest
        greatest = c if better else greatest
        found = idx[j] if better else found
    return found


# ------------------------------------------------------------------------------------------------ any and all


@inline
def _finish_any_all(ones, n, i, at, xcode, xok, out_any, out_all, ok):
    if xok.size > 0 and xok[i] != 0:
        ones += xcode[i]
        n += 1
    out_any[at[i]] = 1 if ones > 0 else 0
    out_all[at[i]] = 1 if ones == n and n > 0 else 0
    ok[at[i]] = 1 if n > 0 else 0


@njit
def slide_any_all(code, lo, hi, at, xcode, xok, out_any, out_all, ok):
    """Write whether any and whether all codes of each window, which are 0 and 1, are 1.

    Shape:  out_any, out_all, ok uint8[...], written at `at[i]`; both outputs are made. ok is 0 for an empty
            window.
    """
    start = 0
    end = 0
    ones = 0
    for i in range(at.size):
        for p in range(start, min(lo[i], end)):
            ones -= code[p]
        start = lo[i]
        for p in range(max(start, end), hi[i]):
            ones += code[p]
        end = max(end, hi[i])
        _finish_any_all(ones, end - start, i, at, xcode, xok, out_any, out_all, ok)


@njit
def replay_any_all(code, tape, tape_end, pos, at, xcode, xok, out_any, out_all, ok):
    """Like `slide_any_all`, for the rows that a tape adds and removes."""
    done = 0
    ones = 0
    n = 0
    for i in range(at.size):
        for j in range(done, tape_end[i]):
            p = active.position(pos, tape[j] >> 1)
            if p < 0:
                continue
            if tape[j] & 1:
                ones -= code[p]
                n -= 1
            else:
                ones += code[p]
                n += 1
        done = tape_end[i]
        _finish_any_all(ones, n, i, at, xcode, xok, out_any, out_all, ok)


@inline
def fold_any_all(code, idx, m):
    """Return `(any, all)` of the codes at `idx[:m]`, which are 0 and 1; both are null for `m = 0`."""
    ones = 0
    for j in range(m):
        ones += code[idx[j]]
    return ones > 0, ones == m
