"""Row versions of many keys meet: which are one row, which repeat a content, which are needed no more.

Rows are positions into flat arrays, `ident` numbers the rows that are versions of one: (key, row id) of an
event group, (key, event_time) of a state group. What the versions mean is decided by
`gnomon.kernels.order.versions`.
"""

from __future__ import annotations

import numpy as np

from gnomon.kernels._jit import inline, njit
from gnomon.kernels.sorting import sort_by

__all__ = [
    "drop_events",
    "drop_states",
    "interleave",
    "leave_marks",
    "number",
    "repeats",
    "rises",
    "sort_in_keys",
    "spread",
]

_MAX = 0x7FFF_FFFF_FFFF_FFFF
_MIN = -_MAX - 1
_PRIME = np.uint64(0x9E37_79B9_7F4A_7C15)


@njit
def interleave(old_start, new_start):
    """Rows of two sides, key by key: `(positions int64[n], key_start int64[K + 1])`.

    Positions count the old rows first, then the new ones; of each key the old rows come first.
    """
    keys = old_start.size - 1
    n_old = old_start[keys]
    positions = np.empty(n_old + new_start[keys], np.int64)
    key_start = np.zeros(keys + 1, np.int64)
    put = 0
    for k in range(keys):
        for i in range(old_start[k], old_start[k + 1]):
            positions[put] = i
            put += 1
        for i in range(new_start[k], new_start[k + 1]):
            positions[put] = n_old + i
            put += 1
        key_start[k + 1] = put
    return positions, key_start


@njit
def rises(key_start, event_time):
    """Whether event_time rises strictly inside each key: no two rows share one, and all are in order."""
    for k in range(key_start.size - 1):
        for i in range(key_start[k] + 1, key_start[k + 1]):
            if event_time[i] <= event_time[i - 1]:
                return False
    return True


# --------------------------------------------------------------------------------------------------- identity


@njit
def spread(key, a, b):
    """int64[n]: a hash of three words. Equal rows of (key, a, b) have equal ones."""
    out = np.empty(key.size, np.int64)
    for i in range(key.size):
        h = np.uint64(key[i]) * _PRIME
        h = (h ^ (h >> np.uint64(32)) ^ np.uint64(a[i])) * _PRIME
        h = (h ^ (h >> np.uint64(29)) ^ np.uint64(b[i])) * _PRIME
        out[i] = np.int64(h ^ (h >> np.uint64(32)))
    return out


@njit
def number(order, hashed, key, a, b):
    """Number the different (key, a, b): `(ident int64[n], how many, collided)`.

    order: positions, rows of equal `hashed` side by side. collided: two different rows share a hash, so that
    equal ones need not be side by side and the numbers are no good.
    """
    ident = np.empty(order.size, np.int64)
    count = 0
    collided = False
    for i in range(order.size):
        row = order[i]
        if i > 0:
            last = order[i - 1]
            if key[row] != key[last] or a[row] != a[last] or b[row] != b[last]:
                count += 1
                if hashed[row] == hashed[last]:
                    collided = True
        ident[row] = count
    return ident, count + 1 if order.size else 0, collided


@njit
def repeats(order, ident, dead, v1, h1, h2, rank):
    """uint8[n]: the versions that say nothing new, to be left out.

    Of those with equal (ident, dead, v1, h1, h2) the one of least rank stays.

    order: positions, rows of equal ident side by side; reordered in place. dead, rank: int64[n].
    """
    spare = np.empty(order.size, np.int64)
    repeated = np.zeros(order.size, np.uint8)
    end = 0
    while end < order.size:
        start = end
        while end < order.size and ident[order[end]] == ident[order[start]]:
            end += 1
        if end - start == 1:
            continue
        sort_by(order, spare, start, end, dead, v1, h1, h2, rank)
        for i in range(start + 1, end):
            row, last = order[i], order[i - 1]
            same = v1[row] == v1[last] and h1[row] == h1[last] and h2[row] == h2[last]
            repeated[row] = same and dead[row] == dead[last]
    return repeated


@njit
def sort_in_keys(positions, key_start, a, b, c, d, e):
    """Sort the positions of each key, in place and stably, by the rows' (a, b, c, d, e).

    Shape: a, b, e int64; c, d uint64; each [0] when absent.
    """
    spare = np.empty(positions.size, np.int64)
    for k in range(key_start.size - 1):
        if key_start[k + 1] - key_start[k] > 1:
            sort_by(positions, spare, key_start[k], key_start[k + 1], a, b, c, d, e)


# -------------------------------------------------------------------------------------------------- retention


@inline
def _counts_from(event_time, known):
    """Activation."""
    return max(event_time, known)


@njit
def drop_events(
    positions, key_start, newest_dropped, ident, n_idents, repeated, event_time, known, until, dead, corrected,
    horizon, watermark,
):  # fmt: skip
    """uint8[n]: rows of an event group that no answer from the horizon on needs, in any version.

    Those that are repeated count for nothing and are not among them.

    A row goes with all its versions, or stays with all: its later versions would not be understood without
    the earlier. One that is not active at the watermark waits. No window reaches a row from before the horizon, but
    while such a row is itself new, it may be the key's newest at some t, and the one before it at an earlier t: it
    stays as long as one of the two can be asked about. Where rows may be `corrected`, it stays in any case: the
    version that it replaces may arrive after it.

    positions: of the rows, key by key, in order of event_time. newest_dropped: int64[K], of earlier drops.
    """
    stays = np.zeros(n_idents, np.uint8)
    for k in range(key_start.size - 1):
        # Of rows with a greater event_time, the least activation of those that count for good.
        earliest = _MAX
        high = key_start[k + 1]
        while high > key_start[k]:
            time = event_time[positions[high - 1]]
            low = high
            of_equals = _MAX
            while low > key_start[k] and event_time[positions[low - 1]] == time:
                low -= 1
                i = positions[low]
                if _for_good(repeated[i], dead[i], until[i]):
                    of_equals = min(of_equals, _counts_from(time, known[i]))
            for j in range(low, high):
                i = positions[j]
                since = _counts_from(time, known[i])
                needed = time >= horizon or since > watermark or known[i] == _MAX
                if not needed and corrected:
                    needed = since >= horizon
                elif not needed and since > horizon:
                    hidden = time <= newest_dropped[k] or earliest <= since or of_equals < since
                    needed = not (hidden and _for_good(repeated[i], dead[i], until[i]))
                if needed and not repeated[i]:
                    stays[ident[i]] = 1
            earliest = min(earliest, of_equals)
            high = low
    return _gone(ident, repeated, stays)


@inline
def _for_good(repeated, dead, until):
    """Whether a version counts, and nothing known replaces it."""
    return not repeated and not dead and until == _MAX


@njit
def drop_states(key, n_keys, ident, n_idents, repeated, event_time, known, until, dead, horizon):
    """uint8[n]: rows of a state group that are no answer at the horizon nor later; none that are repeated.

    These are rows older than another that is visible at the horizon and that nothing replaces; with all
    versions, and only if all were active by then.
    """
    newest = np.full(n_keys, _MIN)
    for i in range(ident.size):
        if (
            not repeated[i]
            and not dead[i]
            and until[i] == _MAX
            and _counts_from(event_time[i], known[i]) <= horizon
        ):
            newest[key[i]] = max(newest[key[i]], event_time[i])
    stays = np.zeros(n_idents, np.uint8)
    for i in range(ident.size):
        later = _counts_from(event_time[i], known[i]) > horizon
        if not repeated[i] and (later or event_time[i] >= newest[key[i]]):
            stays[ident[i]] = 1
    return _gone(ident, repeated, stays)


@inline
def _gone(ident, repeated, stays):
    drop = np.empty(ident.size, np.uint8)
    for i in range(ident.size):
        drop[i] = not repeated[i] and not stays[ident[i]]
    return drop


@njit
def leave_marks(drop, key, event_time, known, until, dead, horizon, first_activation, newest_dropped):
    """Let dropped rows that ever counted lower `first_activation` and raise `newest_dropped`, int64[K].

    `newest_dropped` is an answer at every t from the horizon on: a row that counts only later, and so is hidden by
    one that stays, does not raise it.
    """
    for i in range(drop.size):
        since = _counts_from(event_time[i], known[i])
        if drop[i] and not dead[i] and since < until[i]:
            first_activation[key[i]] = min(first_activation[key[i]], since)
            if until[i] == _MAX and since <= horizon:
                newest_dropped[key[i]] = max(newest_dropped[key[i]], event_time[i])
