"""Counts, sums and means of windows: exact, rounded once; the way a window was walked leaves no trace.

Sums leave as words: an int64 for an integer lane, the bits of a float64 for a float lane (`real`). One pass
writes sums and means of the same windows; an output that is not wanted is an array of length 0. `ok` codes: 0
null, 1 a value, 2 could not be computed (an integer sum beyond int64, a finite float sum beyond float64, over
`MAX_ROWS` rows at once).
"""

from __future__ import annotations

import numpy as np

from gnomon.kernels._jit import inline, njit
from gnomon.kernels.limbs import MAX_FLOAT_LIMBS, MAX_ROWS, SPECIALS, add_term, digits, grid_of, rounded

__all__ = [
    "SUM_SCRATCH",
    "fold_sums",
    "rate",
    "replay_count",
    "replay_sums",
    "slide_count",
    "slide_sums",
]

SUM_SCRATCH = SPECIALS + 2 * MAX_FLOAT_LIMBS + 1
"""Words of scratch that `fold_sums` needs."""


@njit
def slide_count(lo, hi, at, xok, out, ok):
    """Rows in each window.

    lo, hi, at: int64[q] · xok: uint8[q] or length 0 · out: int64[·], ok: uint8[·] are written at `at`
    """
    for i in range(len(lo)):
        out[at[i]] = hi[i] - lo[i] + (len(xok) != 0 and xok[i] != 0)
        ok[at[i]] = 1


@njit
def replay_count(tape, tape_end, pos, at, xok, out, ok):
    """Rows in each window, from a tape of additions and removals (see `replay_sums`)."""
    n = np.int64(0)
    done = np.int64(0)
    for i in range(len(tape_end)):
        for step in range(done, tape_end[i]):
            if pos[tape[step] >> 1] >= 0:
                n += 1 - 2 * (tape[step] & 1)
        done = tape_end[i]
        out[at[i]] = n + (len(xok) != 0 and xok[i] != 0)
        ok[at[i]] = 1


@njit
def rate(count, length):
    """int64[n] counts, window length in µs → float64[n] rows a second: count / RN(length / 10⁶)."""
    seconds = length / 1e6
    out = np.empty(len(count), np.float64)
    for i in range(len(count)):
        out[i] = count[i] / seconds
    return out


@inline
def finish_sum(state, n, real, base, scratch):
    """State of `n` terms → (word of the sum, mean, ok of the sum, ok of the mean)."""
    if n == 0:
        return np.int64(0), 0.0, 0, 0
    if n > MAX_ROWS:
        return np.int64(0), 0.0, 2, 2
    if real:
        total, ok = finish_float(state, base, scratch)
        return np.float64(total).view(np.int64), total / n, ok, ok
    low = state[SPECIALS] & 0xFFFF_FFFF
    high = state[SPECIALS + 1] + (state[SPECIALS] >> 32)
    word = (high << 32) | low
    if (word >> 32) == high:
        return word, np.float64(word) / n, 1, 1
    sign = digits(state[SPECIALS:], scratch)
    return np.int64(0), sign * rounded(scratch, 3, 0, False) / n, 2, 1


@inline
def finish_float(state, base, scratch):
    """State of a float sum → (the sum rounded once, ok); zero is +0.0, a finite sum out of range has ok 2."""
    if state[0] > 0 or (state[1] > 0 and state[2] > 0):
        return np.nan, 1
    if state[1] > 0:
        return np.inf, 1
    if state[2] > 0:
        return -np.inf, 1
    sign = digits(state[SPECIALS:], scratch)
    total = rounded(scratch, len(state) - SPECIALS + 1, base, False)
    if total == np.inf:
        return 0.0, 2
    return (-total if sign < 0 else total), 1


@inline
def write_sum(slot, result, out_sum, ok_sum, out_mean, ok_mean):
    if len(ok_sum):
        out_sum[slot] = result[0]
        ok_sum[slot] = result[2]
    if len(ok_mean):
        out_mean[slot] = result[1]
        ok_mean[slot] = result[3]


# The walks repeat one loop on purpose: Numba inlines `add_term` into each: no call is left for a row.
@njit
def slide_sums(code, real, base, limbs, lo, hi, at, xcode, xok, out_sum, ok_sum, out_mean, ok_mean):
    """Sums and means of windows that are ranges `[lo, hi)` of rows; lo and hi never decrease.

    code: int64[n] · real: bool · base, limbs: `grid(code and xcode)` or `INT_GRID` · lo, hi, at: int64[q]
    xcode: int64[q], xok: uint8[q]: the request's own row of each query, or length 0
    out_sum: int64 words, out_mean: float64, ok_*: uint8; written at `at`; length 0 where not wanted
    Cost:  each row is added and taken away at most once; rows in no window are not touched.
    """
    state = np.zeros(SPECIALS + limbs, np.int64)
    scratch = np.empty(limbs + 1, np.int64)
    start = end = np.int64(0)
    for i in range(len(lo)):
        if lo[i] - start > end - lo[i]:  # more to take away than to keep
            state[:] = 0
            start = end = lo[i]
        for row in range(start, lo[i]):
            add_term(state, code[row], -1, real, base)
        for row in range(end, hi[i]):
            add_term(state, code[row], 1, real, base)
        start = lo[i]
        end = hi[i]
        own = len(xok) != 0 and xok[i] != 0
        if own:
            add_term(state, xcode[i], 1, real, base)
        result = finish_sum(state, end - start + own, real, base, scratch)
        if own:
            add_term(state, xcode[i], -1, real, base)
        write_sum(at[i], result, out_sum, ok_sum, out_mean, ok_mean)


@njit
def replay_sums(
    code, real, base, limbs, tape, tape_end, pos, at, xcode, xok, out_sum, ok_sum, out_mean, ok_mean
):
    """Sums and means of windows whose rows come and go by a tape; otherwise as `slide_sums`.

    tape: int64 operations, `2 row` adds and `2 row + 1` takes away · tape_end: int64[q], operations before
    query i
    pos: int64: row → position in `code`, −1 to skip it
    """
    state = np.zeros(SPECIALS + limbs, np.int64)
    scratch = np.empty(limbs + 1, np.int64)
    n = np.int64(0)
    done = np.int64(0)
    for i in range(len(tape_end)):
        for step in range(done, tape_end[i]):
            row = pos[tape[step] >> 1]
            if row >= 0:
                sign = 1 - 2 * (tape[step] & 1)
                add_term(state, code[row], sign, real, base)
                n += sign
        done = tape_end[i]
        own = len(xok) != 0 and xok[i] != 0
        if own:
            add_term(state, xcode[i], 1, real, base)
        result = finish_sum(state, n + own, real, base, scratch)
        if own:
            add_term(state, xcode[i], -1, real, base)
        write_sum(at[i], result, out_sum, ok_sum, out_mean, ok_mean)


@njit
def fold_sums(code, real, idx, m, scratch):
    """Sum and mean of the rows `code[idx[:m]]` → (word of the sum, mean, ok of the sum, ok of the mean).

    scratch: int64[SUM_SCRATCH], content irrelevant before and after. Allocates nothing.
    """
    base, limbs = grid_of(code, idx, m) if real else (np.int64(0), np.int64(2))
    state = scratch[: SPECIALS + limbs]
    state[:] = 0
    for i in range(m):
        add_term(state, code[idx[i]], 1, real, base)
    return finish_sum(state, m, real, base, scratch[SPECIALS + limbs :])
