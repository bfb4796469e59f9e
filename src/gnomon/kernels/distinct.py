"""n_distinct: how many different values a window holds, exactly.

The codes of a lane are dense ranks, so that a value's occurrences are counted in an array; online, where the
codes of a key are any integers, a small hash table does it. Equal codes are equal values: the caller folds
-0.0 into 0.0, and NaN has one code.
"""

import numpy as np

from gnomon.kernels import active
from gnomon.kernels._jit import inline, njit

__all__ = ["fold_n_distinct", "insert", "open_table", "replay_n_distinct", "slide_n_distinct", "table_size"]


@inline
def _add(seen, c):
    """Count one more row of value `c`; return by how much the number of values grew."""
    seen[c] += 1
    return 1 if seen[c] == 1 else 0


@inline
def _remove(seen, c):
    seen[c] -= 1
    return 1 if seen[c] == 0 else 0


@inline
def _finish(seen, n_values, xcode, xok, i):
    """Return the number of values with the request's own row, whose code may lie outside the lane's."""
    if xok.size == 0 or xok[i] == 0:
        return n_values
    c = xcode[i]
    return n_values if 0 <= c < seen.size and seen[c] > 0 else n_values + 1


@njit
def slide_n_distinct(code, n_codes, lo, hi, at, xcode, xok, out):
    """Write the number of different codes of each window `[lo, hi)` to `out[at[i]]`.

    Shape:  code int64[m] in `[0, n_codes)`; lo, hi, at int64[q]; out int64[...]; xcode int64[q] and xok
            uint8[q] of the request's own row, or zero-length; an xcode outside `[0, n_codes)` is a value that
            no row has.
    Cost:   O(rows in some window + q); memory 8 bytes a code.
    """
    seen = np.zeros(n_codes, np.int64)
    n_values = 0
    start = 0
    end = 0
    for i in range(at.size):
        for p in range(start, min(lo[i], end)):
            n_values -= _remove(seen, code[p])
        start = lo[i]
        for p in range(max(start, end), hi[i]):
            n_values += _add(seen, code[p])
        end = max(end, hi[i])
        out[at[i]] = _finish(seen, n_values, xcode, xok, i)


@njit
def replay_n_distinct(code, n_codes, tape, tape_end, pos, at, xcode, xok, out):
    """Like `slide_n_distinct`, for the rows that a tape adds and removes."""
    seen = np.zeros(n_codes, np.int64)
    n_values = 0
    done = 0
    for i in range(at.size):
        for j in range(done, tape_end[i]):
            p = active.position(pos, tape[j] >> 1)
            if p < 0:
                continue
            if tape[j] & 1:
                n_values -= _remove(seen, code[p])
            else:
                n_values += _add(seen, code[p])
        done = tape_end[i]
        out[at[i]] = _finish(seen, n_values, xcode, xok, i)


# ----------------------------------------------------------------------------------------------------- online


def table_size(m: int) -> int:
    """Return the length of the scratch table that `m` positions need: at most half of it is ever used."""
    return max(2, 1 << (2 * m - 1).bit_length())


@inline
def open_table(table, m):
    """Empty as much of `table` as `m` positions need; return that many slots, a power of two."""
    slots = 2
    while slots < 2 * m:
        slots *= 2
    for s in range(slots):
        table[s] = -1
    return slots


@inline
def insert(table, slots, code, p):
    """Note the value of position `p`; return whether it is new."""
    # The finalizer of MurmurHash3 spreads codes that differ in their high bits only, as those of floats do.
    h = np.uint64(code[p])
    h = (h ^ (h >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    h = (h ^ (h >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
    s = np.int64((h ^ (h >> np.uint64(33))) & np.uint64(slots - 1))
    while table[s] >= 0:
        if code[table[s]] == code[p]:
            return False
        s = (s + 1) & (slots - 1)
    table[s] = p
    return True


@njit
def fold_n_distinct(code, idx, m, table):
    """Return how many different codes stand at the positions `idx[:m]`.

    Shape:  code int64[...], any integers; idx int64[m] or longer; table int64[table_size(m)] or longer,
            scratch. The request's own row is one more position.
    """
    slots = open_table(table, m)
    n_values = 0
    for j in range(m):
        if insert(table, slots, code, idx[j]):
            n_values += 1
    return n_values
