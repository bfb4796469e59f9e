"""first, last, first_k, last_k, time_since_first, time_since_last: rows by their place in the order.

All of them select rows and return uncompressed row numbers; the caller gathers the values, whatever their
type. `-1` is null, and `n_rows + i` stands for the request's own row of sorted query `i`, which is last in
order.

Common arguments (n_rows = uncompressed rows, m = compressed rows, q = sorted queries):
    lo, hi    int64[q]    the window `[lo, hi)` in compressed positions; both never decrease
    tape, tape_end, pos   the replay of a window whose rows are no range; a zero-length `pos` is the identity
    at        int64[q]    the place of each sorted query in the output
    rows      int64[m]    compressed position → row; zero-length is the identity
    xok       uint8[q]    whether the request's own row counts; zero-length where it never does
    code      int64[m]    equal codes are equal values (fold -0.0 into 0.0 beforehand)
    order     int64[m]    compressed positions, sorted stably by (key, code)
    rank      int64[m]    `active.ranks(order)`
"""

import numpy as np

from gnomon.kernels import active
from gnomon.kernels._jit import inline, njit
from gnomon.kernels.distinct import insert, open_table

__all__ = [
    "fold_first",
    "fold_last",
    "fold_list",
    "replay_distinct_lists",
    "replay_ends",
    "replay_lists",
    "selected",
    "slide_distinct_lists",
    "slide_ends",
    "slide_lists",
    "time_since",
]


@inline
def selected(rows, p):
    """Return the row at compressed position `p`; -1 (none) stays -1."""
    if p < 0 or rows.size == 0:
        return p
    return rows[p]


# --------------------------------------------------------------------------------------------- first and last


# The walks repeat one loop on purpose: Numba inlines what they do with a row into each: no call is left for a row.
@njit
def slide_ends(lo, hi, at, rows, n_rows, xok, out_first, out_last):
    """Write the first and the last row of each window to `out_first[at[i]]`, `out_last[at[i]]`.

    A zero-length output is not wanted.
    """
    for i in range(at.size):
        own = n_rows + i if xok.size > 0 and xok[i] != 0 else -1
        filled = lo[i] < hi[i]
        if out_first.size > 0:
            out_first[at[i]] = selected(rows, lo[i]) if filled else own
        if out_last.size > 0:
            out_last[at[i]] = selected(rows, hi[i] - 1) if filled and own < 0 else own


@njit
def replay_ends(tape, tape_end, pos, at, rows, n_rows, xok, out_first, out_last):
    """Like `slide_ends`, for the rows that a tape adds and removes."""
    words, base = active.make(rows.size if rows.size > 0 else n_rows)
    done = 0
    for i in range(at.size):
        _replay_plain(words, base, tape, done, tape_end[i], pos)
        done = tape_end[i]
        own = n_rows + i if xok.size > 0 and xok[i] != 0 else -1
        if out_first.size > 0:
            p = active.first(words, base)
            out_first[at[i]] = selected(rows, p) if p >= 0 else own
        if out_last.size > 0:
            out_last[at[i]] = own if own >= 0 else selected(rows, active.last(words, base))


@inline
def _replay_plain(words, base, tape, start, stop, pos):
    """Apply `tape[start:stop]` to a set of positions; return by how many members it grew."""
    grown = 0
    for j in range(start, stop):
        p = active.position(pos, tape[j] >> 1)
        if p < 0:
            continue
        if tape[j] & 1:
            active.remove(words, base, p)
            grown -= 1
        else:
            active.add(words, base, p)
            grown += 1
    return grown


@inline
def fold_first(idx, m):
    """Return the first of the positions `idx[:m]`, which are in order; -1 if there is none."""
    return idx[0] if m > 0 else -1


@inline
def fold_last(idx, m):
    """Return the last of the positions `idx[:m]`, which are in order; -1 if there is none."""
    return idx[m - 1] if m > 0 else -1


@njit
def time_since(picked, time, t, at, out, ok):
    """Write `t - event_time` of the picked rows: time_since_first or time_since_last, as `picked` is made.

    Shape:  picked int64[...] as `slide_ends` or `replay_ends` left it, read at `at[i]`; time int64[n_rows] of
            the uncompressed rows; t int64[q]; out int64[...] and ok uint8[...] are written at `at[i]`.
    Units:  microseconds. ok: 0 no row, 1 a value (0 for the request's own row), 2 beyond int64.
    """
    for i in range(at.size):
        row = picked[at[i]]
        out[at[i]] = 0
        ok[at[i]] = 1
        if row < 0:
            ok[at[i]] = 0
        elif row < time.size:
            since = t[i] - time[row]
            if (t[i] >= time[row]) != (since >= 0):
                ok[at[i]] = 2
            else:
                out[at[i]] = since


# ------------------------------------------------------------------------------------------------------ lists


@njit
def slide_lists(lo, hi, at, n_out, k, newest, rows, n_rows, xok):
    """Return the first `k` rows of each window in order or, with `newest`, the last `k`, newest first.

    Shape:  `(offsets int64[n_out + 1], picked int64[...])`: the list of sorted query `i` is
            `picked[offsets[at[i]]:offsets[at[i] + 1]]`, so the lists are in the order of the output already.
            An output that no query names has an empty list. The entries of `at` differ.
    """
    offsets = np.zeros(n_out + 1, np.int64)
    for i in range(at.size):
        own = 1 if xok.size > 0 and xok[i] != 0 else 0
        offsets[at[i] + 1] = min(k, hi[i] - lo[i] + own)
    for j in range(n_out):
        offsets[j + 1] += offsets[j]
    picked = np.empty(offsets[n_out], np.int64)
    for i in range(at.size):
        put = offsets[at[i]]
        end = offsets[at[i] + 1]
        own = xok.size > 0 and xok[i] != 0
        if newest:
            if own and put < end:
                picked[put] = n_rows + i
                put += 1
            p = hi[i] - 1
            while put < end:
                picked[put] = selected(rows, p)
                p -= 1
                put += 1
        else:
            p = lo[i]
            while put < end:
                picked[put] = selected(rows, p) if p < hi[i] else n_rows + i
                p += 1
                put += 1
    return offsets, picked


@njit
def replay_lists(tape, tape_end, pos, at, n_out, k, newest, rows, n_rows, xok):
    """Like `slide_lists`, for the rows that a tape adds and removes."""
    words, base = active.make(rows.size if rows.size > 0 else n_rows)
    sizes = np.zeros(at.size, np.int64)
    found = np.empty(at.size, np.int64)
    used = 0
    held = 0
    done = 0
    for i in range(at.size):
        held += _replay_plain(words, base, tape, done, tape_end[i], pos)
        done = tape_end[i]
        found = _room(found, used, min(k, held + 1))
        sizes[i] = _walk(words, base, k, newest, rows, n_rows + i, xok.size > 0 and xok[i] != 0, found, used)
        used += sizes[i]
    return _place(at, sizes, found, n_out)


@inline
def _walk(words, base, k, newest, rows, own, own_counts, found, used):
    """Write up to `k` members from one end to `found[used:]`, the own row in its place; return how many."""
    put = used
    end = used + k
    if newest:
        if own_counts and put < end:
            found[put] = own
            put += 1
        p = active.last(words, base)
        while p >= 0 and put < end:
            found[put] = selected(rows, p)
            put += 1
            p = active.preceding(words, base, p)
    else:
        p = active.first(words, base)
        while p >= 0 and put < end:
            found[put] = selected(rows, p)
            put += 1
            p = active.following(words, base, p)
        if own_counts and put < end:
            found[put] = own
            put += 1
    return put - used


@inline
def _room(found, used, more):
    """Return `found` with room for `more` entries after `used`, grown by doubling."""
    if used + more <= found.size:
        return found
    grown = np.empty(max(2 * found.size, used + more), np.int64)
    grown[:used] = found[:used]
    return grown


@inline
def _place(at, sizes, found, n_out):
    """Bring lists from the order of the sorted queries into that of the output."""
    offsets = np.zeros(n_out + 1, np.int64)
    for i in range(at.size):
        offsets[at[i] + 1] = sizes[i]
    for j in range(n_out):
        offsets[j + 1] += offsets[j]
    picked = np.empty(offsets[n_out], np.int64)
    taken = 0
    for i in range(at.size):
        put = offsets[at[i]]
        for j in range(sizes[i]):
            picked[put + j] = found[taken + j]
        taken += sizes[i]
    return offsets, picked


# --------------------------------------------------------------------------------------------- distinct lists
#
# Two sets: `held` has the ranks of all rows in the window, so that the other occurrences of a value are
# neighbours; `shown` has the position of one row a value, the one that a walk meets first. A list is a walk
# over `shown`, and takes O(k) however often a value repeats.


@inline
def _add_distinct(held, shown, base, code, order, rank, p, newest):
    active.add(held, base, rank[p])
    ahead, behind = _neighbours(held, base, code, order, rank, p, newest)
    if ahead >= 0:
        return
    if behind >= 0:
        active.remove(shown, base, behind)
    active.add(shown, base, p)


@inline
def _remove_distinct(held, shown, base, code, order, rank, p, newest):
    active.remove(held, base, rank[p])
    if not active.contains(shown, p):
        return
    active.remove(shown, base, p)
    _, behind = _neighbours(held, base, code, order, rank, p, newest)
    if behind >= 0:
        active.add(shown, base, behind)


@inline
def _neighbours(held, base, code, order, rank, p, newest):
    """Return the held rows of `p`'s value that a walk meets just before and just after `p`; -1 for none.

    All rows held belong to one key, so an equal code is an equal value of the same key.
    """
    later = active.following(held, base, rank[p])
    later = order[later] if later >= 0 and code[order[later]] == code[p] else -1
    earlier = active.preceding(held, base, rank[p])
    earlier = order[earlier] if earlier >= 0 and code[order[earlier]] == code[p] else -1
    if newest:
        return later, earlier
    return earlier, later


@inline
def _walk_distinct(shown, base, code, k, newest, rows, own, own_counts, own_code, found, used):
    """Like `_walk` over `shown`; the own row counts unless an earlier one in the walk has its value."""
    put = used
    end = used + k
    if newest:
        if own_counts and put < end:
            found[put] = own
            put += 1
        p = active.last(shown, base)
        while p >= 0 and put < end:
            if not (own_counts and code[p] == own_code):
                found[put] = selected(rows, p)
                put += 1
            p = active.preceding(shown, base, p)
    else:
        p = active.first(shown, base)
        while p >= 0 and put < end:
            if own_counts and code[p] == own_code:
                own_counts = False
            found[put] = selected(rows, p)
            put += 1
            p = active.following(shown, base, p)
        if own_counts and put < end:
            found[put] = own
            put += 1
    return put - used


@njit
def slide_distinct_lists(code, order, rank, lo, hi, at, n_out, k, newest, rows, n_rows, xcode, xok):
    """Like `slide_lists`, with only the first row in the walk's direction of each value."""
    held, base = active.make(code.size)
    shown = np.zeros(held.size, np.uint64)
    sizes = np.zeros(at.size, np.int64)
    found = np.empty(at.size, np.int64)
    used = 0
    start = 0
    end = 0
    for i in range(at.size):
        for p in range(start, min(lo[i], end)):
            _remove_distinct(held, shown, base, code, order, rank, p, newest)
        start = lo[i]
        for p in range(max(start, end), hi[i]):
            _add_distinct(held, shown, base, code, order, rank, p, newest)
        end = max(end, hi[i])
        own_counts = xok.size > 0 and xok[i] != 0
        own_code = xcode[i] if own_counts else 0
        found = _room(found, used, min(k, end - start + 1))
        sizes[i] = _walk_distinct(
            shown, base, code, k, newest, rows, n_rows + i, own_counts, own_code, found, used
        )
        used += sizes[i]
    return _place(at, sizes, found, n_out)


@njit
def replay_distinct_lists(
    code, order, rank, tape, tape_end, pos, at, n_out, k, newest, rows, n_rows, xcode, xok
):
    """Like `slide_distinct_lists`, for the rows that a tape adds and removes."""
    held, base = active.make(code.size)
    shown = np.zeros(held.size, np.uint64)
    sizes = np.zeros(at.size, np.int64)
    found = np.empty(at.size, np.int64)
    used = 0
    size = 0
    done = 0
    for i in range(at.size):
        for j in range(done, tape_end[i]):
            p = active.position(pos, tape[j] >> 1)
            if p < 0:
                continue
            if tape[j] & 1:
                _remove_distinct(held, shown, base, code, order, rank, p, newest)
                size -= 1
            else:
                _add_distinct(held, shown, base, code, order, rank, p, newest)
                size += 1
        done = tape_end[i]
        own_counts = xok.size > 0 and xok[i] != 0
        own_code = xcode[i] if own_counts else 0
        found = _room(found, used, min(k, size + 1))
        sizes[i] = _walk_distinct(
            shown, base, code, k, newest, rows, n_rows + i, own_counts, own_code, found, used
        )
        used += sizes[i]
    return _place(at, sizes, found, n_out)


@njit
def fold_list(code, idx, m, k, newest, distinct, table, out):
    """Write the list of the positions `idx[:m]`, which are in order, to `out`; return its length.

    Shape:  out int64[min(k, m)] or longer; code and table are read with `distinct` alone, `table` as
            `fold_n_distinct` takes it. The request's own row is one more position, the last.
    """
    slots = open_table(table, m) if distinct else 0
    put = 0
    for j in range(m):
        if put == k:
            break
        p = idx[m - 1 - j] if newest else idx[j]
        if not distinct or insert(table, slots, code, p):
            out[put] = p
            put += 1
    return put
