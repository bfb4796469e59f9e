"""Packed values of keys and instants t → the features of one group: what the online store answers.

One call does a batch of keys. What is asked for stands in a *program*, a flat int64 array that is planned
once (`gnomon.online.program`), so that features that look at the same rows share the work:

    header       the fields `STATE` … `FEATURES`, below
    form         [1 + L], the kinds of the row id and the lanes (`gnomon.kernels.rows`)
    lane types   [L], `WORD` … `BYTES`: how a lane's words are to be read
    views        [V, 6] lane, where-lane, by-lane, keep nulls, needs (bits of `gnomon.kernels.lanes`), end of its walks
    walks        [W, 5] window, offset, limit, include request, end of its features
    features     [F, 4] function (of `gnomon.kernels.folds`), slot, parameter, distinct

A *view* is one choice of a key's rows, a *walk* one choice of window over it; each begins where the one
before it ends. −1 is no lane, no window, no limit, no max_age. The parameter is k, ddof, scale, half-life, or the
bits of a quantile's q.

The result is int64[3F + 2, K]: for each slot the word of the value (the bits of a float); then for each slot
a second word; then for each slot status | ok << 8; then event_time (MIN for none) and the error of each key.
The pair of words is
    word, float        word, 0
    wide               high, low
    bytes              first byte in the values, length; in the request's bytes with −1 − first byte
    list               first line in `lists`, number of lines; a line is such a pair
    list by key        first line, number of entries; an entry is three lines: key, value, (ok, 0)
Bytes are counted from the start of `words`. Nothing is computed here: numbers come from the `fold_*`
functions of the other kernel modules.
"""

from __future__ import annotations

import numpy as np

from gnomon.kernels import categories, folds, lanes, rows
from gnomon.kernels._jit import inline, njit
from gnomon.kernels.uncommon import ENTRY, put_entry
from gnomon.kernels.work import (
    BY_CODE,
    BY_ENDS,
    BY_ORDER,
    CHOSEN,
    EQUAL,
    EVERY,
    OF_ONE,
    PICKED,
    SEEN,
    SPARE,
    TIMES,
    WORK,
)

__all__ = ["answer", "list_room", "put"]

# Header of a program.
STATE, MAX_AGE, LAYOUT, LANES, VIEWS, WALKS, FEATURES, HEAD = 0, 1, 2, 3, 4, 5, 6, 7

NOT_FOUND, EXPIRED, NULL, PRESENT, NOT_READY, ERROR = 0, 1, 2, 3, 4, 5


@inline
def _minus(a, b):
    """a − b, b >= 0, held at MIN."""
    return rows.MIN if a < rows.MIN + b else a - b


@inline
def _visible(words, places, i, event_time, t, lag):
    """Whether version i is known at t, not replaced and no delete. Its event_time is another question."""
    known = words[places[rows.KNOWN_AT] + i] if places[rows.KNOWN_AT] >= 0 else rows.plus(event_time, lag)
    if known > t:
        return False
    if places[rows.REPLACED] >= 0 and words[places[rows.REPLACED] + i] <= t:
        return False
    return places[rows.DEAD_BITS] < 0 or not rows.get_bit(words, places[rows.DEAD_BITS], i)


@inline
def _was_active(words, places, n, t, lag):
    """Whether any row counted at some instant up to t."""
    for i in range(n):
        event_time = words[places[rows.EVENT_TIME] + i]
        known = words[places[rows.KNOWN_AT] + i] if places[rows.KNOWN_AT] >= 0 else rows.plus(event_time, lag)
        since = max(event_time, known)
        until = words[places[rows.REPLACED] + i] if places[rows.REPLACED] >= 0 else rows.MAX
        dead = places[rows.DEAD_BITS] >= 0 and rows.get_bit(words, places[rows.DEAD_BITS], i)
        if since <= t and since < until and not dead:
            return True
    return False


@inline
def put(result, features, slot, k, word, low, ok, found):
    """Write what a feature is for a key. ok: 0 null, 1 a value, 2 it cannot be computed; found: of the key."""
    status = NULL
    if ok == 2:
        status = ERROR
    elif not found:
        status = NOT_FOUND
    elif ok == 1:
        status = PRESENT
    result[slot, k] = word
    result[features + slot, k] = low
    result[2 * features + slot, k] = status | np.int64(ok) << 8


# ---------------------------------------------------------------------------------------------------- answers


@njit
def list_room(words, offsets, ks):
    """Lines that `answer` needs in `lists` for lists of at most ks[…] values. Broken values need none."""
    room = 0
    for key in range(offsets.size - 1):
        n = 0
        size = offsets[key + 1] - offsets[key]
        if size >= rows.HEADER:
            n = min(rows.n_rows(words, offsets[key]), size)
        for k in ks:
            room += min(k, n + 1)
    return room


@inline
def _most_rows(words, offsets):
    most = 0
    for k in range(offsets.size - 1):
        size = offsets[k + 1] - offsets[k]
        if size >= rows.HEADER:
            most = max(most, min(rows.n_rows(words, offsets[k]), size))
    return most


@njit
def answer(words, offsets, t, lag, program, request, request_bytes, uncommon, lists, result):
    """Answer for K keys; see above for `program` and `result`.

    words: int64[·], read-only · offsets: int64[K + 1] in words, equal where a key has no value
    t: int64[K], already moved back by a settling delay · lag: of the layout
    request: int64[L, K, 3], valid and the two words of each request's own row, or [0, 0, 3]; bytes as (first,
    length) in `request_bytes: uint8[]` · lists: int64[list_room, 2]
    uncommon: int64[uncommon.SCRATCH], or None where neither categories nor functions of `uncommon` are asked for:
    what answers those is then not compiled
    """
    lanes, features = program[LANES], program[FEATURES]
    views, walks = program[VIEWS], program[WALKS]
    cut = HEAD
    form = program[cut : cut + 1 + lanes]
    cut += 1 + lanes
    kinds = program[cut : cut + lanes]
    cut += lanes
    view_table = program[cut : cut + 6 * views].reshape(views, 6)
    cut += 6 * views
    walk_table = program[cut : cut + 5 * walks].reshape(walks, 5)
    cut += 5 * walks
    feature_table = program[cut : cut + 4 * features].reshape(features, 4)
    octets = words.view(np.uint8)
    places = np.empty(rows.LANES + 2 * lanes, np.int64)
    height = 0 if program[STATE] else _most_rows(words, offsets) + 1
    work = np.empty((WORK, height), np.int64)
    for i in range(height):
        work[EVERY, i] = i
    scratch = np.empty(folds.SCRATCH, np.int64)
    made = np.empty((features, 4), np.int64)
    used_lines = np.zeros(1, np.int64)
    for k in range(t.size):
        start, end = offsets[k], offsets[k + 1]
        n = np.int64(0)
        error = 0
        if start < end:
            error = rows.verify(words, start, end, program[LAYOUT])
            if error == 0 and rows.sections(words, start, form, places) != end:
                error = rows.BAD_LAYOUT
        result[3 * features, k] = rows.MIN
        result[3 * features + 1, k] = error
        if error:
            for slot in range(features):
                put(result, features, slot, k, 0, 0, 2, False)
            continue
        if start < end:
            n = rows.n_rows(words, start)
        # The newest row that is visible and not ahead of t.
        newest = np.int64(-1)
        for i in range(n - 1, -1, -1):
            event_time = words[places[rows.EVENT_TIME] + i]
            if event_time <= t[k] and _visible(words, places, i, event_time, t[k], lag):
                newest = i
                break
        found = newest >= 0
        if found:
            result[3 * features, k] = words[places[rows.EVENT_TIME] + newest]
        if start < end and words[start + 3] <= t[k]:
            found = True
            result[3 * features, k] = max(result[3 * features, k], words[start + 4])
        if not found and n > 0:
            found = _was_active(words, places, n, t[k], lag)
        if program[STATE]:
            _read_columns(
                words,
                places,
                n,
                newest,
                t[k],
                k,
                program[MAX_AGE],
                kinds,
                view_table,
                walk_table,
                feature_table,
                found,
                result,
            )
        else:
            _fold_windows(
                words, octets, places, n, t[k], lag, k, kinds, view_table, walk_table, feature_table, found,
                request, request_bytes, work, scratch, uncommon, made, lists, used_lines, result,
            )  # fmt: skip


@njit
def _read_columns(
    words, places, n, newest, t, k, max_age, kinds, view_table, walk_table, feature_table, found, result
):
    """A state group: the columns of the newest row."""
    features = feature_table.shape[0]
    expired = newest >= 0 and max_age >= 0 and words[places[rows.EVENT_TIME] + newest] < _minus(t, max_age)
    f = 0
    for v in range(view_table.shape[0]):
        lane = view_table[v, 0]
        present = newest >= 0 and not expired and lanes.is_valid(words, places, lane, newest)
        word, low = np.int64(0), np.int64(0)
        if present:
            word, low = lanes.pair(words, places, kinds[lane], lane, n, newest)
        while f < walk_table[view_table[v, 5] - 1, 4]:
            slot = feature_table[f, 1]
            put(result, features, slot, k, word, low, 1 if present else 0, found)
            if expired:
                result[2 * features + slot, k] = EXPIRED
            f += 1


@njit
def _fold_windows(
    words, octets, places, n, t, lag, k, kinds, view_table, walk_table, feature_table, found,
    request, request_bytes, work, scratch, uncommon, made, lists, used_lines, result,
):  # fmt: skip
    """An event group: aggregates over windows of one key's rows."""
    features = feature_table.shape[0]
    times, picked, seen, chosen = work[TIMES], work[PICKED], work[SEEN], work[CHOSEN]
    visible = 0
    for i in range(n):
        times[i] = words[places[rows.EVENT_TIME] + i]
        if times[i] < t and _visible(words, places, i, times[i], t, lag):
            seen[visible] = i
            visible += 1
    w = np.int64(0)
    f = np.int64(0)
    for v in range(view_table.shape[0]):
        lane, where, by = view_table[v, 0], view_table[v, 1], view_table[v, 2]
        keep_nulls, needs = view_table[v, 3], view_table[v, 4]
        # By category, what has no value still has its category.
        needed = by if by >= 0 else (np.int64(-1) if keep_nulls else lane)
        m = np.int64(0)
        for j in range(visible):
            i = seen[j]
            if where >= 0 and not (
                words[places[rows.LANES + 2 * where] + i] and lanes.is_valid(words, places, where, i)
            ):
                continue
            if needed < 0 or lanes.is_valid(words, places, needed, i):
                picked[m] = i
                m += 1
        # The request's own row stands behind all others, at position m.
        own = False
        if request.size:
            own = where < 0 or (request[where, k, 0] != 0 and request[where, k, 1] != 0)
            own = own and (needed < 0 or request[needed, k, 0] != 0)
        count = m + 1 if own else m
        kind = kinds[lane] if lane >= 0 else np.int64(lanes.WORD)
        if uncommon is not None:
            if by >= 0:
                lanes.codes(
                    words, octets, places, kinds[by], by, n, m, count, request, request_bytes, k,
                    lanes.NEEDS_EQUAL | (lanes.NEEDS_RANKS if kinds[by] >= lanes.WIDE else 0), work, BY_CODE,
                )  # fmt: skip
        if needs & lanes.NEEDS_CODES:
            lanes.codes(
                words, octets, places, kind, lane, n, m, count, request, request_bytes, k, needs, work, EQUAL
            )  # fmt: skip
        if uncommon is not None:
            if needs & lanes.NEEDS_HASHES:
                lanes.hash_values(octets, kind, m, count, request_bytes, work)
        while w < view_table[v, 5]:
            window, offset, limit = walk_table[w, 0], walk_table[w, 1], walk_table[w, 2]
            with_own = own and walk_table[w, 3] != 0
            until = _minus(t, offset)
            last = _first_at(times, picked, m, until)
            first = 0
            if window >= 0:
                first = _first_at(times, picked, last, _minus(until, window))
            if limit >= 0 and by < 0:
                first = max(first, last - (limit - 1 if with_own else limit))
            c = last - first
            idx = work[EVERY, first:last]
            if with_own:
                for j in range(c):
                    chosen[j] = first + j
                chosen[c] = m
                c += 1
                idx = chosen[:c]
            end = walk_table[w, 4]
            # One category, where they are not asked for: all rows of the window.
            size, base = np.int64(1), used_lines[0]
            if uncommon is not None:
                if by >= 0:
                    size = categories.runs_of(
                        work[BY_CODE], idx, c, work[BY_ORDER], work[SPARE], work[BY_ENDS]
                    )
                    used_lines[0] += ENTRY * size * (end - f)
                    made[f:end, 3] = 1
            begin = np.int64(0)
            for r in range(size):
                if uncommon is not None:
                    if by >= 0:
                        idx, c = _rows_of_one(
                            words,
                            places,
                            lane,
                            keep_nulls,
                            limit,
                            begin,
                            work[BY_ENDS, r],
                            m,
                            request,
                            k,
                            work,
                        )
                folds.fold(
                    feature_table, f, end, kind, lane, keep_nulls, window, idx, c, words, places, n, m, t, request,
                    k, work, scratch, uncommon, lists, used_lines, made,
                )  # fmt: skip
                if uncommon is not None:
                    if by >= 0:
                        key, key_second = lanes.value_alike(
                            words, places, kinds[by], by, n, picked, work[BY_ORDER, begin], m, request, k,
                            work[BY_CODE],
                        )  # fmt: skip
                        for j in range(f, end):
                            line = base + ENTRY * ((j - f) * size + r)
                            put_entry(lists, line, key, key_second, made[j, 0], made[j, 1], made[j, 2])
                            if made[j, 2] == 2:
                                made[j, 3] = 2
                        begin = work[BY_ENDS, r]
            for j in range(f, end):
                if by >= 0:
                    made[j, 0] = base + ENTRY * size * (j - f)
                    made[j, 1] = size
                    made[j, 2] = made[j, 3]
                put(result, features, feature_table[j, 1], k, made[j, 0], made[j, 1], made[j, 2], found)
            f = end
            w += 1


@inline
def _rows_of_one(words, places, lane, keep_nulls, limit, begin, end, own, request, k, work):
    """The positions `work[BY_ORDER, begin:end]` of one category that have a value, the newest up to `limit`.

    The rows of a category are a window of their own: nulls are skipped and `limit` is applied within it.
    """
    of_one = work[OF_ONE]
    kept = np.int64(0)
    for j in range(begin, end):
        at = work[BY_ORDER, j]
        if (
            lane < 0
            or keep_nulls
            or (request[lane, k, 0] if at == own else lanes.is_valid(words, places, lane, work[PICKED, at]))
        ):
            of_one[kept] = at
            kept += 1
    newest = max(np.int64(0), kept - limit) if limit >= 0 else np.int64(0)
    return of_one[newest:kept], kept - newest


@inline
def _first_at(times, picked, m, limit):
    """The first of the m positions whose row is at or after `limit`; m where none is."""
    low = 0
    while low < m:
        middle = low + m >> 1
        if times[picked[middle]] < limit:
            low = middle + 1
        else:
            m = middle
    return low
