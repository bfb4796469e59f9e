"""Packed values of keys and instants t → the features of one group: what the online store answers.

One call does a batch of keys. What is asked for stands in a *program*, a flat int64 array that is planned
once (`gnomon.online.program`), so that features that look at the same rows share the work:

    header       the fields `STATE` … `FEATURES`, below
    form         [1 + L], the kinds of the row id and the lanes (`gnomon.kernels.rows`)
    lane types   [L], `WORD` … `BYTES`: how a lane's words are to be read
    views        [V, 5] lane, where-lane, keep nulls, needs (bits), end of its walks
    walks        [W, 5] window, offset, limit, include request, end of its features
    features     [F, 4] function, slot, parameter, distinct

A *view* is one choice of a key's rows, a *walk* one choice of window over it; each begins where the one
before it ends. −1 is no lane, no window, no limit, no max_age. The parameter is k, ddof or scale.

The result is int64[3F + 2, K]: for each slot the word of the value (the bits of a float); then for each slot
a second word; then for each slot status | ok << 8; then event_time (MIN for none) and the error of each key.
The pair of words is
    word, float        word, 0
    wide               high, low
    bytes              first byte in the values, length; in the request's bytes with −1 − first byte
    list               first line in `lists`, number of lines; a line is such a pair
Bytes are counted from the start of `words`. Nothing is computed here: numbers come from the `fold_*`
functions of the other kernel modules.
"""

from __future__ import annotations

import numpy as np

from gnomon.kernels import decimals, distinct, extrema, moments, ordered, quantiles, rows, sums
from gnomon.kernels._jit import inline, njit
from gnomon.kernels.words import float_code

__all__ = ["answer", "list_room"]

# Header of a program.
STATE, MAX_AGE, LAYOUT, LANES, VIEWS, WALKS, FEATURES, HEAD = 0, 1, 2, 3, 4, 5, 6, 7

WORD, FLOAT, WIDE, BYTES = 0, 1, 2, 3

NEEDS_CODES, NEEDS_RANKS, NEEDS_EQUAL = 1, 2, 4
"""Of a view: codes of the values; codes that order wide values or bytes; codes by which −0.0 equals 0.0."""

COUNT, SUM, MEAN, VAR, STD, MIN, MAX, FIRST, LAST, FIRST_K, LAST_K = 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
N_DISTINCT, MEDIAN, ANY, ALL, SINCE_FIRST, SINCE_LAST, RATE, COLUMN = 11, 12, 13, 14, 15, 16, 17, 18

NOT_FOUND, EXPIRED, NULL, PRESENT, NOT_READY, ERROR = 0, 1, 2, 3, 4, 5

_SCRATCH = max(sums.SUM_SCRATCH, moments.MOMENT_SCRATCH, decimals.DECIMAL_SCRATCH)
_NEGATIVE_ZERO = -1  # the code of −0.0
_COLUMNS = 11  # arrays with one word a row, of all scratch


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
def _is_valid(words, places, lane, i):
    bits = places[rows.LANES + 2 * lane + 1]
    return bits < 0 or rows.get_bit(words, bits, i) != 0


@inline
def _pair(words, places, kind, lane, n, i):
    """The two words of a result for the value of row i."""
    place = places[rows.LANES + 2 * lane]
    if kind == BYTES:
        return rows.var_bounds(words, place, n, i)
    if kind == WIDE:
        return words[place + 2 * i], words[place + 2 * i + 1]
    return words[place + i], np.int64(0)


@inline
def _put(result, features, slot, k, word, low, ok, found):
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


# ------------------------------------------------------------------------------------------------------ ranks


@inline
def _byte(octets, request_bytes, at, size, own, i, j):
    """Byte j of value i, of which `own` is the request's; −1 behind its end."""
    if j >= size[i]:
        return np.int64(-1)
    return np.int64(request_bytes[at[i] + j]) if i == own else np.int64(octets[at[i] + j])


@inline
def _compared(kind, octets, request_bytes, at, size, own, i, j):
    """−1, 0, 1: how value i compares with value j. A wide value has its words in `at` and `size`."""
    if kind == WIDE:
        if at[i] != at[j]:
            return -1 if at[i] < at[j] else 1
        a, b = np.uint64(size[i]), np.uint64(size[j])
        return 0 if a == b else (-1 if a < b else 1)
    for byte in range(min(size[i], size[j]) + 1):
        a = _byte(octets, request_bytes, at, size, own, i, byte)
        b = _byte(octets, request_bytes, at, size, own, j, byte)
        if a != b:
            return -1 if a < b else 1
    return 0


@njit
def _rank(kind, octets, request_bytes, at, size, own, count, order, spare, code):
    """Write dense ranks of `count` values to `code`. A merge sort, for keys of any size."""
    for i in range(count):
        order[i] = i
    width = 1
    while width < count:
        for low in range(0, count, 2 * width):
            middle = min(low + width, count)
            high = min(middle + width, count)
            i = low
            j = middle
            for put in range(low, high):
                if i < middle and (
                    j >= high
                    or _compared(kind, octets, request_bytes, at, size, own, order[i], order[j]) <= 0
                ):
                    spare[put] = order[i]
                    i += 1
                else:
                    spare[put] = order[j]
                    j += 1
        order[:count] = spare[:count]
        width *= 2
    rank = 0
    for i in range(count):
        if i and _compared(kind, octets, request_bytes, at, size, own, order[i - 1], order[i]) != 0:
            rank += 1
        code[order[i]] = rank


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
def answer(words, offsets, t, lag, program, request, request_bytes, lists, result):
    """Answer for K keys; see above for `program` and `result`.

    words: int64[·], read-only · offsets: int64[K + 1] in words, equal where a key has no value
    t: int64[K], already moved back by a settling delay · lag: of the layout
    request: int64[L, K, 3], valid and the two words of each request's own row, or [0, 0, 3]; bytes as (first,
    length) in `request_bytes: uint8[]` · lists: int64[list_room, 2]
    """
    lanes, features = program[LANES], program[FEATURES]
    views, walks = program[VIEWS], program[WALKS]
    cut = HEAD
    form = program[cut : cut + 1 + lanes]
    cut += 1 + lanes
    kinds = program[cut : cut + lanes]
    cut += lanes
    view_table = program[cut : cut + 5 * views].reshape(views, 5)
    cut += 5 * views
    walk_table = program[cut : cut + 5 * walks].reshape(walks, 5)
    cut += 5 * walks
    feature_table = program[cut : cut + 4 * features].reshape(features, 4)
    octets = words.view(np.uint8)
    places = np.empty(rows.LANES + 2 * lanes, np.int64)
    height = 0 if program[STATE] else _most_rows(words, offsets) + 1
    pool = np.empty(_SCRATCH + (_COLUMNS + 4) * height + 4, np.int64)
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
                _put(result, features, slot, k, 0, 0, 2, False)
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
                request, request_bytes, pool, height, lists, used_lines, result,
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
        present = newest >= 0 and not expired and _is_valid(words, places, lane, newest)
        word, low = np.int64(0), np.int64(0)
        if present:
            word, low = _pair(words, places, kinds[lane], lane, n, newest)
        while f < walk_table[view_table[v, 4] - 1, 4]:
            slot = feature_table[f, 1]
            _put(result, features, slot, k, word, low, 1 if present else 0, found)
            if expired:
                result[2 * features + slot, k] = EXPIRED
            f += 1


@njit
def _fold_windows(
    words, octets, places, n, t, lag, k, kinds, view_table, walk_table, feature_table, found,
    request, request_bytes, pool, height, lists, used_lines, result,
):  # fmt: skip
    """An event group: aggregates over windows of one key's rows."""
    features = feature_table.shape[0]
    scratch = pool[:_SCRATCH]
    cut = _SCRATCH
    times = pool[cut : cut + height]
    picked = pool[cut + height : cut + 2 * height]
    code = pool[cut + 2 * height : cut + 3 * height]
    equal = pool[cut + 3 * height : cut + 4 * height]
    high = pool[cut + 4 * height : cut + 5 * height]
    low = pool[cut + 5 * height : cut + 6 * height]
    every = pool[cut + 6 * height : cut + 7 * height]
    chosen = pool[cut + 7 * height : cut + 8 * height]
    order = pool[cut + 8 * height : cut + 9 * height]
    spare = pool[cut + 9 * height : cut + 10 * height]
    seen = pool[cut + 10 * height : cut + 11 * height]
    table = pool[cut + 11 * height : cut + 15 * height + 2]
    real = pool[cut + 15 * height + 2 : cut + 15 * height + 4].view(np.float64)

    for i in range(height):
        every[i] = i
    visible = 0
    for i in range(n):
        times[i] = words[places[rows.EVENT_TIME] + i]
        if times[i] < t and _visible(words, places, i, times[i], t, lag):
            seen[visible] = i
            visible += 1
    w = 0
    f = 0
    for v in range(view_table.shape[0]):
        lane, where, keep_nulls = view_table[v, 0], view_table[v, 1], view_table[v, 2]
        needs = view_table[v, 3]
        kind = kinds[lane] if lane >= 0 else WORD
        m = 0
        for j in range(visible):
            i = seen[j]
            if where >= 0 and not (
                words[places[rows.LANES + 2 * where] + i] and _is_valid(words, places, where, i)
            ):
                continue
            if lane < 0 or keep_nulls or _is_valid(words, places, lane, i):
                picked[m] = i
                m += 1
        # The request's own row stands behind all others, at position m.
        own = False
        if request.size:
            own = where < 0 or (request[where, k, 0] != 0 and request[where, k, 1] != 0)
            own = own and (lane < 0 or keep_nulls != 0 or request[lane, k, 0] != 0)
        count = m + 1 if own else m
        if needs & NEEDS_CODES:
            for j in range(count):
                if j < m:
                    a, b = _pair(words, places, kind, lane, n, picked[j])
                else:
                    a, b = request[lane, k, 1], request[lane, k, 2]
                if kind == FLOAT:
                    a = float_code(np.int64(a).view(np.float64))
                    if needs & NEEDS_EQUAL:
                        equal[j] = np.int64(0) if a == _NEGATIVE_ZERO else a
                code[j] = a
                if kind >= WIDE:
                    high[j] = a
                    low[j] = b
            if needs & NEEDS_RANKS:
                _rank(kind, octets, request_bytes, high, low, m, count, order, spare, code)
        while w < view_table[v, 4]:
            window, offset, limit = walk_table[w, 0], walk_table[w, 1], walk_table[w, 2]
            with_own = own and walk_table[w, 3] != 0
            until = _minus(t, offset)
            last = _first_at(times, picked, m, until)
            first = 0
            if window >= 0:
                first = _first_at(times, picked, last, _minus(until, window))
            if limit >= 0:
                first = max(first, last - (limit - 1 if with_own else limit))
            c = last - first
            idx = every[first:last]
            if with_own:
                for j in range(c):
                    chosen[j] = first + j
                chosen[c] = m
                c += 1
                idx = chosen[:c]
            summed = False
            total, mean = np.int64(0), 0.0
            total_low = np.int64(0)
            total_ok = mean_ok = 0
            while f < walk_table[w, 4]:
                function, slot, parameter = feature_table[f, 0], feature_table[f, 1], feature_table[f, 2]
                word, second, ok = np.int64(0), np.int64(0), 1 if c > 0 else 0
                at = np.int64(-1)
                if function == COUNT:
                    word, ok = np.int64(c), 1
                elif function == SUM or function == MEAN:
                    if not summed:
                        summed = True
                        if kind == WIDE:
                            total, below, mean, total_ok, mean_ok = decimals.fold_decimals(
                                high, low.view(np.uint64), parameter, idx, c, scratch
                            )
                            total_low = np.int64(below)
                        else:
                            total, mean, total_ok, mean_ok = sums.fold_sums(
                                code, kind == FLOAT, idx, c, scratch
                            )
                    if function == SUM:
                        word, second, ok = total, total_low, total_ok
                    else:
                        word, ok = np.float64(mean).view(np.int64), mean_ok
                elif function == VAR or function == STD:
                    var, std, ok = moments.fold_moments(code, kind == FLOAT, idx, c, parameter, scratch)
                    word = np.float64(var if function == VAR else std).view(np.int64)
                elif function == MIN:
                    at = extrema.fold_min(code, idx, c)
                elif function == MAX:
                    at = extrema.fold_max(code, kind == FLOAT, idx, c)
                elif function == FIRST:
                    at = ordered.fold_first(idx, c)
                elif function == LAST:
                    at = ordered.fold_last(idx, c)
                elif function == N_DISTINCT:
                    word = distinct.fold_n_distinct(equal if kind == FLOAT else code, idx, c, table)
                    ok = 1
                elif function == FIRST_K or function == LAST_K:
                    second = ordered.fold_list(
                        equal if kind == FLOAT else code, idx, c, parameter, function == LAST_K,
                        feature_table[f, 3] != 0, table, order,
                    )  # fmt: skip
                    word, ok = used_lines[0], 1
                    for j in range(second):
                        a, b = _value(words, places, kind, lane, n, picked, order[j], m, request, k)
                        lists[word + j, 0] = a
                        lists[word + j, 1] = b
                    used_lines[0] += second
                elif function == MEDIAN:
                    real[1] = 0.5
                    quantiles.fold_quantiles(code, kind == FLOAT, idx, c, real[1:2], order, real[:1])
                    word = np.float64(real[0]).view(np.int64)
                elif function == ANY or function == ALL:
                    some, all_of_them = extrema.fold_any_all(code, idx, c)
                    word = np.int64(some if function == ANY else all_of_them)
                elif function == RATE:
                    spare[0] = c
                    word, ok = np.float64(sums.rate(spare[:1], window)[0]).view(np.int64), 1
                elif c > 0:  # SINCE_FIRST, SINCE_LAST
                    j = ordered.fold_first(idx, c) if function == SINCE_FIRST else ordered.fold_last(idx, c)
                    if j < m:
                        word = t - times[picked[j]]
                        ok = 1 if word >= 0 else 2  # beyond int64: its row is older than t
                if at >= 0:
                    ok = 1
                    if keep_nulls:
                        ok = 0
                        if request[lane, k, 0] if at == m else _is_valid(words, places, lane, picked[at]):
                            ok = 1
                    if ok:
                        word, second = _value(words, places, kind, lane, n, picked, at, m, request, k)
                _put(result, features, slot, k, word, second, ok, found)
                f += 1
            w += 1


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


@inline
def _value(words, places, kind, lane, n, picked, at, own, request, k):
    """The two words of a result for the value at a position, `own` being the request's."""
    if at == own:
        if kind == BYTES:
            return -1 - request[lane, k, 1], request[lane, k, 2]
        return request[lane, k, 1], request[lane, k, 2]
    return _pair(words, places, kind, lane, n, picked[at])
