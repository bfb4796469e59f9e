"""mode, top_k, histogram: the values that a window holds, and how often each occurs.

A value is told by its code, dense from 0 and in the order of the values. A walk keeps the count of each code
and a set of *places* (`gnomon.kernels.active`), one for each value held, so that the answer is a walk over
the first few members:

* by value (histogram): the place is the code;
* by count (mode, top_k): greater counts first, equal ones by value. A value that occurs n times in the lane
  can have the counts 1 … n, so that the places of a key are as many as its rows: `ladder` numbers them.

Arguments are those of `gnomon.kernels.ordered`, and:
    code      int64[m]    in `[0, n_codes)`; equal codes are equal values (-0.0 folded into 0.0)
    first, places, owner  int64[m] of `ladder`, by count; zero-length, by value
    xcode     int64[q]    code of the request's own row; outside `[0, n_codes)` a value that no row has
"""

import numpy as np

from gnomon.kernels import active
from gnomon.kernels._jit import inline, njit
from gnomon.kernels.sorting import sort_by

__all__ = ["fold_categories", "ladder", "replay_categories", "runs_of", "slide_categories"]


@njit
def ladder(order, key, code):
    """Return `(first, places, owner)`: a value with count c stands at `places[first[p] + c - 1]`.

    Shape:  order int64[m]: positions sorted stably by (key, code); key, code int64[m] → int64[m] each: `first`
            by position, any position of the value; `places` are a permutation of `[0, m)`, ascending in the
            order of the answers within each key; `owner` by place: the code of its value.
    Cost:   O(m).
    """
    m = order.size
    first = np.empty(m, np.int64)
    places = np.empty(m, np.int64)
    owner = np.empty(m, np.int64)
    # How many values of the key reach a count (less one), then where its next place is.
    reach = np.zeros(m, np.int64)
    end = 0
    while end < m:
        start = end
        run = start
        most = 0
        while end < m and key[order[end]] == key[order[start]]:
            if code[order[end]] != code[order[run]]:
                run = end
            first[order[end]] = run
            reach[end - run] += 1
            most = max(most, end - run + 1)
            end += 1
        put = start
        for count in range(most - 1, -1, -1):
            size = reach[count]
            reach[count] = put
            put += size
        for j in range(start, end):
            count = j - first[order[j]]
            places[j] = reach[count]
            owner[reach[count]] = code[order[j]]
            reach[count] += 1
        reach[:most] = 0
    return first, places, owner


@inline
def _place(code, first, places, p, count):
    """The place of the value of position `p`, held `count` times."""
    return code[p] if places.size == 0 else places[first[p] + count - 1]


@inline
def _add(words, base, seen, code, first, places, p):
    """Count one more row; return by how much the number of values grew."""
    count = seen[code[p]]
    if places.size > 0 and count > 0:
        active.remove(words, base, _place(code, first, places, p, count))
    seen[code[p]] = count + 1
    active.add(words, base, _place(code, first, places, p, count + 1))
    return 1 if count == 0 else 0


@inline
def _remove(words, base, seen, code, first, places, p):
    """Count one row less; return by how much the number of values fell."""
    count = seen[code[p]]
    if places.size > 0 or count == 1:
        active.remove(words, base, _place(code, first, places, p, count))
    seen[code[p]] = count - 1
    if places.size > 0 and count > 1:
        active.add(words, base, _place(code, first, places, p, count - 1))
    return 1 if count == 1 else 0


@inline
def _walk(words, base, seen, owner, k, own_counts, own, found, used):
    """Write the first `k` (code, count) to `found[used:]`, the request's own row counted in; return how many."""
    put = used
    end = used + k
    own_count = 1
    if own_counts and 0 <= own < seen.size:
        own_count += seen[own]
    own_waits = own_counts
    place = active.first(words, base)
    while place >= 0 and put < end:
        c = place if owner.size == 0 else owner[place]
        if own_waits and (
            own <= c if owner.size == 0 else own_count > seen[c] or (own_count == seen[c] and own < c)
        ):
            found[put, 0] = own
            found[put, 1] = own_count
            put += 1
            own_waits = False
            continue
        if not own_counts or c != own:
            found[put, 0] = c
            found[put, 1] = seen[c]
            put += 1
        place = active.following(words, base, place)
    if own_waits and put < end:
        found[put, 0] = own
        found[put, 1] = own_count
        put += 1
    return put - used


@inline
def _room(found, used, more):
    """Return `found` with room for `more` lines after `used`, grown by doubling."""
    if used + more <= found.shape[0]:
        return found
    grown = np.empty((max(2 * found.shape[0], used + more), 2), np.int64)
    grown[:used] = found[:used]
    return grown


@njit
def slide_categories(code, n_codes, first, places, owner, lo, hi, k, xcode, xok):
    """Return the first `k` values of each window `[lo, hi)` with their counts.

    Shape:  `(offsets int64[q + 1], found int64[…, 2])`: the (code, count) of sorted query `i` are
            `found[offsets[i]:offsets[i + 1]]`.
    Cost:   O((rows in some window + answers) · levels of the set).
    """
    words, base = active.make(n_codes if places.size == 0 else code.size)
    seen = np.zeros(n_codes, np.int64)
    offsets = np.zeros(lo.size + 1, np.int64)
    found = np.empty((lo.size, 2), np.int64)
    values = 0
    start = 0
    end = 0
    for i in range(lo.size):
        for p in range(start, min(lo[i], end)):
            values -= _remove(words, base, seen, code, first, places, p)
        start = lo[i]
        for p in range(max(start, end), hi[i]):
            values += _add(words, base, seen, code, first, places, p)
        end = max(end, hi[i])
        own_counts = xok.size > 0 and xok[i] != 0
        own = xcode[i] if own_counts else 0
        used = offsets[i]
        found = _room(found, used, min(k, values + 1))
        offsets[i + 1] = used + _walk(words, base, seen, owner, k, own_counts, own, found, used)
    return offsets, found[: offsets[lo.size]].copy()


@njit
def replay_categories(code, n_codes, first, places, owner, tape, tape_end, pos, k, xcode, xok):
    """Like `slide_categories`, for the rows that a tape adds and removes."""
    words, base = active.make(n_codes if places.size == 0 else code.size)
    seen = np.zeros(n_codes, np.int64)
    offsets = np.zeros(tape_end.size + 1, np.int64)
    found = np.empty((tape_end.size, 2), np.int64)
    values = 0
    done = 0
    for i in range(tape_end.size):
        for j in range(done, tape_end[i]):
            p = active.position(pos, tape[j] >> 1)
            if p < 0:
                continue
            if tape[j] & 1:
                values -= _remove(words, base, seen, code, first, places, p)
            else:
                values += _add(words, base, seen, code, first, places, p)
        done = tape_end[i]
        own_counts = xok.size > 0 and xok[i] != 0
        own = xcode[i] if own_counts else 0
        used = offsets[i]
        found = _room(found, used, min(k, values + 1))
        offsets[i + 1] = used + _walk(words, base, seen, owner, k, own_counts, own, found, used)
    return offsets, found[: offsets[tape_end.size]].copy()


# ----------------------------------------------------------------------------------------------------- online


@njit
def runs_of(code, idx, m, order, spare, ends):
    """Bring equal codes together: return how many different ones stand at the positions `idx[:m]`.

    Shape:  code int64[…], any integers that order as the values; order, spare, ends int64[m] or longer. After
            it, `order[:m]` are the positions by (code, place in idx), and `ends[:g]` the end in `order` of each
            code's run, codes ascending.
    """
    ints, words = np.empty(0, np.int64), np.empty(0, np.uint64)
    order[:m] = idx[:m]
    sort_by(order, spare, 0, m, code, ints, words, words, ints)
    g = 0
    for j in range(m):
        if j + 1 == m or code[order[j]] != code[order[j + 1]]:
            ends[g] = j + 1
            g += 1
    return g


@njit
def fold_categories(code, idx, m, k, by_count, order, spare, ends, picked, count):
    """Write a position of each of the first `k` values to `picked`, its count to `count`; return how many.

    Shape:  code, order, spare, ends as `runs_of` takes them; picked, count int64[m] or longer. The request's
            own row is one more position.
    """
    g = runs_of(code, idx, m, order, spare, ends)
    for r in range(g):
        picked[r] = r
        count[r] = (ends[r - 1] if r > 0 else 0) - ends[r]
    if by_count:
        ints, words = np.empty(0, np.int64), np.empty(0, np.uint64)
        sort_by(picked, spare, 0, g, count, ints, words, words, ints)
    n = min(k, g)
    for j in range(n):
        r = picked[j]
        begin = ends[r - 1] if r > 0 else 0
        picked[j] = order[begin]
        count[j] = ends[r] - begin
    return n
