"""The value of a hot key and an instant t → the features that need no more than its index and some leaves.

A leaf that lies in a window as a whole, and that changes no more by t, is there as its record; 32 of them as one
record of their block. The rows of others are looked at: leaves that an edge of the window cuts, or that hold what is
known or replaced after t, and the tail. What is not at hand is asked for: the caller reads it and calls again.

`answer` of `gnomon.kernels.answer` does the same for a value that holds all its rows; numbers come from the same
functions. A program for this one has aggregates that records can tell, and no `limit`.
"""

from __future__ import annotations

import numpy as np

from gnomon.kernels import decimals, folds, leaves, limbs, moments, rows, states, sums
from gnomon.kernels._jit import inline, njit
from gnomon.kernels.answer import put
from gnomon.kernels.held import (
    compare_bytes,
    compare_wide,
    is_dead,
    known_at,
    minus,
    pick,
    replaced_at,
    time_at,
    visible,
)
from gnomon.kernels.lanes import BYTES, FLOAT, WIDE, WORD, is_valid
from gnomon.kernels.states import FIRST, LAST, PLACE, ROW, TIME, VALID, VALUE
from gnomon.kernels.words import float_code, popcount

__all__ = ["FOUND", "MISSING", "NOT_FOUND", "answer_tree"]

MISSING, NOT_FOUND, FOUND = 0, 1, 2

_MIN, _MAX = rows.MIN, rows.MAX
_TAIL = -2  # the place of a row that stands in the tail; -1 is a block
_NEGATIVE_ZERO = -1  # the code of −0.0

_SKIP, _RECORD, _LOOK = 0, 1, 2

_SCRATCH = max(
    limbs.MAX_FLOAT_LIMBS + 1,
    decimals.DECIMAL_SCRATCH,
    3 * limbs.MAX_FLOAT_LIMBS + 4,
)


@inline
def _field(words, start, field, i):
    """A field of leaf i of the index at `start`."""
    return words[start + leaves.HEAD + field * ((words[start] >> 32) & 0xFFFF_FFFF) + i]


@inline
def _first_of_tail(words, places, n, limit):
    """The first row of the tail at or after `limit`; n where none is."""
    low = 0
    while low < n:
        middle = low + n >> 1
        if time_at(words, places, middle) < limit:
            low = middle + 1
        else:
            n = middle
    return low


@inline
def _first_leaf(words, start, n, limit):
    """The first leaf whose last row is at or after `limit`; n where none is."""
    low = 0
    while low < n:
        middle = low + n >> 1
        if _field(words, start, leaves.LAST_TIME, middle) < limit:
            low = middle + 1
        else:
            n = middle
    return low


@inline
def _role(words, start, i, lower, upper, t):
    """What a leaf is to a window [lower, upper) at t."""
    if (
        _field(words, start, leaves.BEGINS, i) > t
        or _field(words, start, leaves.LAST_TIME, i) < lower
        or _field(words, start, leaves.FIRST_TIME, i) >= upper
    ):
        return _SKIP
    inside = (
        _field(words, start, leaves.FIRST_TIME, i) >= lower
        and _field(words, start, leaves.LAST_TIME, i) < upper
    )
    return _RECORD if inside and _field(words, start, leaves.SETTLED, i) <= t else _LOOK


# ----------------------------------------------------------------------------------------------------- newest


@njit
def _newest(words, start, n, leaf_at, form, places, tail, tail_places, t, lag, wanted):
    """(event_time of the newest visible row or MIN, whether any row ever counted up to t)."""
    newest = np.int64(_MIN)
    found = False
    n_tail = rows.n_rows(words, tail)
    for i in range(n_tail - 1, -1, -1):
        if time_at(words, tail_places, i) <= t and visible(words, tail_places, i, t, lag):
            newest = time_at(words, tail_places, i)
            found = True
            break
    for k in range(n - 1, -1, -1):
        if found and _field(words, start, leaves.LAST_TIME, k) <= newest:
            break
        if _field(words, start, leaves.FIRST_TIME, k) > t or _field(words, start, leaves.BEGINS, k) > t:
            continue
        last = _field(words, start, leaves.NEWEST, k)
        if _field(words, start, leaves.SETTLED, k) <= t and last <= t:
            if last == _MIN:
                continue
            newest = max(newest, last)
            found = True
            break
        if leaf_at[k] < 0:
            wanted[k] = 1
            continue
        rows.sections(words, leaf_at[k], form, places)
        seen = False
        for i in range(rows.n_rows(words, leaf_at[k]) - 1, -1, -1):
            if time_at(words, places, i) <= t and visible(words, places, i, t, lag):
                newest = max(newest, time_at(words, places, i))
                seen = True
                break
        if seen:
            found = True
            break
    if words[tail + 3] <= t:
        found = True
        newest = max(newest, words[tail + 4])
    if not found:
        for k in range(n):
            found = found or _field(words, start, leaves.FIRST_ACTIVE, k) <= t
        for i in range(n_tail):
            since = max(time_at(words, tail_places, i), known_at(words, tail_places, i, lag))
            counts = since <= t and since < replaced_at(words, tail_places, i)
            found = found or (counts and not is_dead(words, tail_places, i))
    return newest, found


# --------------------------------------------------------------------------------------------------- distinct


@inline
def _slot_of(kind, a, b, octets, given, slots):
    """Where a value is first looked for in a table of `slots`, a power of two."""
    if kind == BYTES:
        h = np.uint64(0xCBF2_9CE4_8422_2325)
        for j in range(b):
            h = (h ^ np.uint64(octets[a + j] if a >= 0 else given[-1 - a + j])) * np.uint64(0x0100_0000_01B3)
    else:
        h = np.uint64(a) ^ (np.uint64(b) * np.uint64(0x9E37_79B9_7F4A_7C15))
    h = (h ^ (h >> np.uint64(33))) * np.uint64(0xFF51_AFD7_ED55_8CCD)
    h = (h ^ (h >> np.uint64(33))) * np.uint64(0xC4CE_B9FE_1A85_EC53)
    return np.int64((h ^ (h >> np.uint64(33))) & np.uint64(slots - 1))


@inline
def _equals(kind, a, b, c, d, octets, given):
    if kind == BYTES:
        return compare_bytes(octets, given, a, b, c, d) == 0
    if kind == WIDE:
        return compare_wide(a, b, c, d) == 0
    return a == c


@njit
def _number_of(kind, a, b, octets, given, table, values, count):
    """The number of a value, which is `count` for one that is new; it is entered then.

    table: int64, a power of two long, −1 where empty · values: int64[·, 2]
    """
    if kind == FLOAT:
        a = float_code(np.int64(a).view(np.float64))
        if a == _NEGATIVE_ZERO:
            a = np.int64(0)
    s = _slot_of(kind, a, b, octets, given, table.size)
    while table[s] >= 0:
        if _equals(kind, values[table[s], 0], values[table[s], 1], a, b, octets, given):
            return table[s]
        s = (s + 1) & (table.size - 1)
    table[s] = count
    values[count, 0] = a
    values[count, 1] = b
    return count


@inline
def _dictionary(words, start, n, lane):
    """Where the dictionary of a lane begins; −1 where there is none."""
    views, count = words[start + 4] & 0xFFFF_FFFF, words[start + 4] >> 32
    at = start + leaves.HEAD + leaves.FIELDS * n + 2 * views
    for d in range(count):
        if words[at + 2 * d] == lane:
            return start + words[at + 2 * d + 1]
    return np.int64(-1)


@njit
def _enter_dictionary(words, at, kind, octets, given, table, values):
    """Number the values of a dictionary in their order; return how many there are."""
    count = words[at]
    for i in range(count):
        if kind == BYTES:
            a, b = rows.var_bounds(words, at + 1, count, i)
        elif kind == WIDE:
            a, b = words[at + 1 + 2 * i], words[at + 2 + 2 * i]
        else:
            a, b = words[at + 1 + i], np.int64(0)
        _number_of(kind, a, b, octets, given, table, values, i)
    return count


@inline
def _note(bits, number):
    bits[number >> 6] |= np.uint64(1) << np.uint64(number & 63)


# ------------------------------------------------------------------------------------------------------- ends


@inline
def _rises(a, b, c, d):
    """−1, 0, 1: how the pair (a, b) compares with (c, d)."""
    if a != c:
        return -1 if a < c else 1
    return 0 if b == d else (-1 if b < d else 1)


@njit
def _compare_rows(words, octets, places, form, lag, declared, i, n, other_places, j, m):
    """How row i of one value is ordered against row j of another that has its event_time: −1 or 1."""
    _, known, head = leaves.order_key(words, octets, places, form, lag, declared, i, n)
    _, other_known, other_head = leaves.order_key(words, octets, other_places, form, lag, declared, j, m)
    compared = _rises(known, head, other_known, other_head)
    if compared != 0 or form[0] == rows.ID_INT:
        return compared if compared != 0 else 1
    a, b = places[rows.ROW_ID], other_places[rows.ROW_ID]
    if form[0] == rows.ID_HASH:
        return -1 if np.uint64(words[a + 2 * i + 1]) < np.uint64(words[b + 2 * j + 1]) else 1
    x, x_length = rows.var_bounds(words, a, n, i)
    y, y_length = rows.var_bounds(words, b, m, j)
    compared = compare_bytes(octets, octets, x, x_length, y, y_length)
    return compared if compared != 0 else 1  # never: versions of one row do not stand apart


@njit
def _compare_to_leaf(words, start, leaf, known, head, time):
    """How a row of the tail is ordered against all rows of a leaf with its event_time: −1, 1; 0 if that is open."""
    if time == _field(words, start, leaves.LAST_TIME, leaf):
        last = _field(words, start, leaves.LAST_KNOWN, leaf), _field(words, start, leaves.LAST_ID, leaf)
        if _rises(known, head, last[0], last[1]) > 0:
            return 1
    if time == _field(words, start, leaves.FIRST_TIME, leaf):
        first = _field(words, start, leaves.FIRST_KNOWN, leaf), _field(words, start, leaves.FIRST_ID, leaf)
        if _rises(known, head, first[0], first[1]) < 0:
            return -1
    return 0


@njit
def _tail_against(
    words, octets, start, leaf_at, form, lag, declared, tail, tail_places, places, of_tail, of_leaves, end
):
    """How an end of the tail compares with that of the leaves: −1, 1; or 0 and what must be looked at to tell.

    Returns (compared, leaf to look into, −1 for: into blocks).
    """
    time, other = of_tail[end + TIME], of_leaves[end + TIME]
    if time != other:
        return (-1 if time < other else 1), np.int64(0)
    leaf, row = of_leaves[end + PLACE], of_leaves[end + ROW]
    i, n = of_tail[end + ROW], rows.n_rows(words, tail)
    if row >= 0:
        rows.sections(words, leaf_at[leaf], form, places)
        m = rows.n_rows(words, leaf_at[leaf])
        return _compare_rows(words, octets, tail_places, form, lag, declared, i, n, places, row, m), np.int64(
            0
        )
    if leaf < 0:
        return 0, np.int64(-1)
    _, known, head = leaves.order_key(words, octets, tail_places, form, lag, declared, i, n)
    return _compare_to_leaf(words, start, leaf, known, head, time), leaf


# ------------------------------------------------------------------------------------------------- one window


@njit
def _ask_for(words, start, n, leaf_at, lower, upper, t, calm, wanted):
    """Note which leaves must be looked at for a window and are not at hand."""
    i = _first_leaf(words, start, n, lower)
    while i < n and _field(words, start, leaves.FIRST_TIME, i) < upper:
        if i % leaves.BLOCK == 0 and calm[i // leaves.BLOCK]:
            last = min(i + leaves.BLOCK, n) - 1
            if (
                _field(words, start, leaves.FIRST_TIME, i) >= lower
                and _field(words, start, leaves.LAST_TIME, last) < upper
            ):
                i = last + 1
                continue
        if leaf_at[i] < 0 and _role(words, start, i, lower, upper, t) == _LOOK:
            wanted[i] = 1
        i += 1


@njit
def _add_rows(
    state, bits, needs, words, octets, given, at, places, lower, upper, t, lag, kind, lane, where, keeps_nulls,
    place, row, a, b, table, values, count,
):  # fmt: skip
    """Add the visible rows of a value in [lower, upper) to a state whose rows come before them.

    Returns how many values are numbered now.
    """
    n = rows.n_rows(words, at)
    start = _first_of_tail(words, places, n, lower)
    many = pick(words, places, n, start, upper, t, lag, kind, lane, where, keeps_nulls, row, a, b)
    if many == 0:
        return count
    if needs & states.ENDS:
        for end, i in ((FIRST, 0), (LAST, many - 1)):
            if end == LAST or state[states.COUNT] == 0:
                valid = np.int64(lane < 0 or is_valid(words, places, lane, row[i]))
                states.put_end(state, end, time_at(words, places, row[i]), a[i], b[i], valid, place, row[i])
    states.add_rows(state, needs, kind, a, b, many, octets, given)
    if needs & states.DISTINCT:
        for i in range(many):
            number = _number_of(kind, a[i], b[i], octets, given, table, values, count)
            count = max(count, number + 1)
            _note(bits, number)
    return count


@njit
def _add_leaves(
    state, bits, needs, recorded, words, octets, given, start, n, leaf_at, form, places, section, lower, upper, t,
    lag, kind, lane, where, keeps_nulls, calm, by_blocks, forced, wanted, row, a, b, table, values, count,
):  # fmt: skip
    """Add a window's rows in leaves to a state; return how many values are numbered, −1 where a leaf is missing."""
    missing = False
    records = section + n + calm.size + 1
    i = _first_leaf(words, start, n, lower)
    while i < n and _field(words, start, leaves.FIRST_TIME, i) < upper:
        block = i // leaves.BLOCK
        if by_blocks and i % leaves.BLOCK == 0 and calm[block]:
            last = min(i + leaves.BLOCK, n) - 1
            inside = (
                _field(words, start, leaves.FIRST_TIME, i) >= lower
                and _field(words, start, leaves.LAST_TIME, last) < upper
            )
            if inside and states.combine_record(
                state, bits, words, records + words[section + n + block], records + words[section + n + block + 1],
                recorded, kind, lane >= 0, keeps_nulls, -1, octets, given,
            ):  # fmt: skip
                i = last + 1
                continue
        role = _role(words, start, i, lower, upper, t)
        if role == _RECORD and (
            forced[i]
            or not states.combine_record(
                state, bits, words, records + words[section + i], records + words[section + i + 1],
                recorded, kind, lane >= 0, keeps_nulls, i, octets, given,
            )
        ):  # fmt: skip
            role = _LOOK
        if role == _LOOK and leaf_at[i] < 0:
            wanted[i] = 1
            missing = True
        elif role == _LOOK:
            rows.sections(words, leaf_at[i], form, places)
            count = _add_rows(
                state, bits, needs, words, octets, given, leaf_at[i], places, lower, upper, t, lag, kind, lane,
                where, keeps_nulls, i, row, a, b, table, values, count,
            )  # fmt: skip
        i += 1
    return -1 if missing else count


@njit
def _finish(state, bits, function, parameter, window, kind, t, scratch):
    """(word, second word, ok) of an aggregate of the rows in a state, as `kernels.answer` has them."""
    n = state[states.COUNT]
    word, second, ok = np.int64(0), np.int64(0), 1 if n > 0 else 0
    terms = state[states.SUM : states.SUM + states.sum_words(kind)]
    base = states.FLOAT_BASE if kind == FLOAT else 0
    if function == folds.COUNT:
        word, ok = n, 1
    elif function == folds.RATE:
        scratch[0] = n
        word, ok = np.float64(sums.rate(scratch[:1], window)[0]).view(np.int64), 1
    elif function == folds.SUM or function == folds.MEAN:
        if kind == WIDE:
            high, low, mean, ok_sum, ok_mean = decimals.finish_decimal(terms, n, parameter, scratch)
            word, second = high, np.int64(low)
        else:
            word, mean, ok_sum, ok_mean = sums.finish_sum(terms, n, kind == FLOAT, base, scratch)
        ok = ok_sum
        if function == folds.MEAN:
            word, second, ok = np.float64(mean).view(np.int64), np.int64(0), ok_mean
    elif function == folds.VAR or function == folds.STD:
        squares = state[states.SQUARE : states.SQUARE + states.square_words(kind)]
        var, std, ok = moments.finish_moments(terms, squares, n, parameter, base, scratch)
        word = np.float64(var if function == folds.VAR else std).view(np.int64)
    elif function == folds.ANY or function == folds.ALL:
        ones = terms[limbs.SPECIALS] + (terms[limbs.SPECIALS + 1] << 32)
        word = np.int64(ones > 0 if function == folds.ANY else ones == n)
    elif function == folds.N_DISTINCT:
        for i in range(bits.size):
            word += popcount(bits[i])
        ok = 1
    elif n > 0:
        if function == folds.MIN or function == folds.MAX:
            which = states.LEAST if function == folds.MIN else states.GREATEST
            word, second = state[which], state[which + 1]
            if kind == FLOAT:
                word, second = second, np.int64(0)
        else:
            end = FIRST if function == folds.FIRST or function == folds.SINCE_FIRST else LAST
            word, second, ok = state[end + VALUE], state[end + VALUE + 1], state[end + VALID]
            if function == folds.SINCE_FIRST or function == folds.SINCE_LAST:
                word, second = t - state[end + TIME], np.int64(0)
                ok = 1 if word >= 0 else 2  # beyond int64: its row is older than t
            elif not ok:
                word, second = np.int64(0), np.int64(0)
    if ok == 0:
        word, second = np.int64(0), np.int64(0)
    return word, second, ok


# ---------------------------------------------------------------------------------------------------- answers


@njit
def answer_tree(
    words, start, t, lag, declared, form, kinds, view_table, walk_table, feature_table, leaf_at, wanted, request,
    request_bytes, k, result,
):  # fmt: skip
    """Answer for one key.

    words: int64[·], read-only: a sound index at `start`, its tail too, and any of its leaves
    form: int64[1 + L], kinds: int64[L]: of the row id and the lanes; how the lanes are read
    view_table: int64[V, 6]: lane, where-lane, keeps nulls, needs, the index's number of the view, end of its walks
    walk_table: int64[W, 4]: window, offset, include request, end of its features
    feature_table: int64[F, 3]: function, slot, parameter (ddof or scale)
    leaf_at: int64[n], where leaves lie, −1 for those that are not at hand · k: which request is the key's own
    result: int64[3F + 2, 1], the request: as for `kernels.answer`
    Returns MISSING where `wanted: uint8[n]` is 1 for leaves that are needed too; else FOUND, or NOT_FOUND if no row of
    the key ever counted up to t.
    """
    features = feature_table.shape[0]
    lanes = kinds.size
    octets = words.view(np.uint8)
    n = (words[start] >> 32) & 0xFFFF_FFFF
    tail = start + words[start + 2]
    places = np.empty(rows.LANES + 2 * lanes, np.int64)
    tail_places = np.empty(rows.LANES + 2 * lanes, np.int64)
    rows.sections(words, tail, form, tail_places)
    n_tail = rows.n_rows(words, tail)
    newest, found = _newest(words, start, n, leaf_at, form, places, tail, tail_places, t, lag, wanted)
    result[3 * features, 0] = newest
    result[3 * features + 1, 0] = 0

    calm = np.ones((n + leaves.BLOCK - 1) // leaves.BLOCK, np.uint8)
    for i in range(n):
        if _field(words, start, leaves.SETTLED, i) > t:
            calm[i // leaves.BLOCK] = 0
    for w in range(walk_table.shape[0]):
        upper = minus(t, walk_table[w, 1])
        lower = minus(upper, walk_table[w, 0]) if walk_table[w, 0] >= 0 else np.int64(_MIN)
        _ask_for(words, start, n, leaf_at, lower, upper, t, calm, wanted)
    if wanted.any():
        return MISSING

    # Room for the numbers of all values that may be met: those of the dictionary, of rows at hand, of the request.
    rows_at_hand = n_tail + 1
    longest = n_tail + 1
    for i in range(n):
        if leaf_at[i] >= 0:
            rows_at_hand += rows.n_rows(words, leaf_at[i])
            longest = max(longest, rows.n_rows(words, leaf_at[i]))
    row, a, b = np.empty(longest, np.int64), np.empty(longest, np.int64), np.empty(longest, np.int64)
    state = np.empty(states.SIZE, np.int64)
    tail_state = np.empty(states.SIZE, np.int64)
    scratch = np.empty(_SCRATCH, np.int64)
    forced = np.zeros(n, np.uint8)
    w = 0
    f = 0
    for v in range(view_table.shape[0]):
        lane, where, keeps_nulls = view_table[v, 0], view_table[v, 1], view_table[v, 2]
        kind = kinds[lane] if lane >= 0 else WORD
        at = start + leaves.HEAD + leaves.FIELDS * n + 2 * view_table[v, 4]
        recorded = (words[at] >> leaves.NEEDS_SHIFT) & 0xFF
        section = start + words[at + 1]
        needs = view_table[v, 3]
        dictionary = _dictionary(words, start, n, lane) if recorded & states.DISTINCT else np.int64(-1)
        room = np.int64(0)
        if dictionary >= 0:
            room = words[dictionary] + rows_at_hand
        bits = np.zeros(room + 63 >> 6, np.uint64)
        tail_bits = np.zeros(room + 63 >> 6, np.uint64)
        slots = 2
        while slots < 2 * room:
            slots *= 2
        table = np.full(slots, -1, np.int64)
        values = np.empty((room, 2), np.int64)
        count = np.int64(0)
        if needs & states.DISTINCT:
            count = _enter_dictionary(words, dictionary, kind, octets, request_bytes, table, values)
        # The request's own row stands behind all others.
        own = request.size > 0
        if own and where >= 0:
            own = request[where, k, 0] != 0 and request[where, k, 1] != 0
        if own and lane >= 0 and not keeps_nulls:
            own = request[lane, k, 0] != 0
        tail_from, tail_to = np.int64(-1), np.int64(-1)
        while w < view_table[v, 5]:
            window = walk_table[w, 0]
            upper = minus(t, walk_table[w, 1])
            lower = minus(upper, window) if window >= 0 else np.int64(_MIN)
            first, last = (
                _first_of_tail(words, tail_places, n_tail, lower),
                _first_of_tail(words, tail_places, n_tail, upper),
            )
            if first != tail_from or last != tail_to:
                # Most windows hold all of the tail: it is added up once.
                tail_from, tail_to = first, last
                tail_state[:] = 0
                tail_bits[:] = 0
                count = _add_rows(
                    tail_state, tail_bits, needs, words, octets, request_bytes, tail, tail_places, lower, upper,
                    t, lag, kind, lane, where, keeps_nulls, _TAIL, row, a, b, table, values, count,
                )  # fmt: skip
            by_blocks = True
            whole = False
            is_first, is_last = True, True
            while not whole:
                state[:] = 0
                bits[:] = 0
                numbered = _add_leaves(
                    state, bits, needs, recorded, words, octets, request_bytes, start, n, leaf_at, form, places,
                    section, lower, upper, t, lag, kind, lane, where, keeps_nulls, calm, by_blocks, forced, wanted,
                    row, a, b, table, values, count,
                )  # fmt: skip
                if numbered < 0:
                    break
                count = numbered
                whole = True
                if needs & states.ENDS and state[states.COUNT] > 0 and tail_state[states.COUNT] > 0:
                    for end in (FIRST, LAST):
                        compared, leaf = _tail_against(
                            words, octets, start, leaf_at, form, lag, declared, tail, tail_places, places,
                            tail_state, state, end,
                        )  # fmt: skip
                        if end == FIRST:
                            is_first = compared < 0
                        else:
                            is_last = compared > 0
                        if compared == 0:
                            # A row of the tail among rows of a leaf with its very event_time.
                            whole = False
                            by_blocks = False
                            if leaf >= 0:
                                forced[leaf] = 1
                                if leaf_at[leaf] < 0:
                                    wanted[leaf] = 1
                else:
                    is_first = is_last = state[states.COUNT] == 0
                if not whole and wanted.any():
                    break
            if whole:
                states.add_state(state, tail_state, needs, kind, is_first, is_last, octets, request_bytes)
                for i in range(bits.size):
                    bits[i] |= tail_bits[i]
                if own and walk_table[w, 2] != 0:
                    a[0], b[0], valid = np.int64(0), np.int64(0), np.int64(1)
                    if lane >= 0:
                        a[0], b[0], valid = request[lane, k, 1], request[lane, k, 2], request[lane, k, 0]
                        if kind == BYTES:
                            a[0] = -1 - a[0]
                    if state[states.COUNT] == 0:
                        states.put_end(state, FIRST, t, a[0], b[0], valid, _TAIL, -1)
                    states.put_end(state, LAST, t, a[0], b[0], valid, _TAIL, -1)
                    states.add_rows(state, needs, kind, a, b, 1, octets, request_bytes)
                    if needs & states.DISTINCT:
                        number = _number_of(kind, a[0], b[0], octets, request_bytes, table, values, count)
                        count = max(count, number + 1)
                        _note(bits, number)
            while f < walk_table[w, 3]:
                word, second, ok = _finish(
                    state, bits, feature_table[f, 0], feature_table[f, 2], window, kind, t, scratch
                )
                put(result, features, feature_table[f, 1], 0, word, second, ok, found)
                f += 1
            w += 1
    if wanted.any():
        return MISSING
    return FOUND if found else NOT_FOUND
