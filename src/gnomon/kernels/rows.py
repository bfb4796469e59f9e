"""A key's rows in the online store: one packed columnar value, written, verified and read in bulk.

**Format 1**, little endian, in words of 8 bytes (`n` rows, `L` lanes):

    0        'G' 'N' | format u8 = 1 | flags u8 | n u32
    1        checksum of all other words
    2        version counter: the updates that the value has seen
    3        first activation among the rows that retention dropped; MAX none
    4        newest event_time among those; MIN none
    5        layout: digest of the lanes' names and kinds
    6        lane flags, ceil(L/64) words: bit l is set where lane l has nulls
    …        event_time i64[n]
             known_at i64[n]                    with KNOWN; else event_time + the layout's lag
             until i64[n]                       with UNTIL: known_at of what replaces this version; else MAX
             dead bits[n]                       with DEAD: markers of deletes
             row id                             hash: 2n words; int: n words; text: var
             content hash, 2n words             unless the id is the hash
             each lane: n words (wide: 2n, the high one first) or var; then valid bits[n] if it has nulls

`var` is u32 offsets[n + 1], then the bytes, each filled up to whole words with zeros. Bits fill words from
the lowest.

Rows stand in order (event_time, declared known_at, row id). Kernels take the values of many keys as one array
of words with `offsets: int64[K + 1]` in words (equal offsets: no value), and rows as flat arrays with
`key_start: int64[K + 1]`.
"""

from __future__ import annotations

import numpy as np

from gnomon.kernels._jit import inline, njit

__all__ = [
    "BAD_CHECKSUM",
    "BAD_FORMAT",
    "BAD_LAYOUT",
    "DEAD",
    "FIXED",
    "HEADER",
    "ID_HASH",
    "ID_INT",
    "ID_TEXT",
    "KNOWN",
    "LANES",
    "MAX",
    "MIN",
    "NO_LEAF",
    "UNTIL",
    "VAR",
    "WIDE",
    "add_bit_words",
    "add_lag",
    "add_var_words",
    "any_null",
    "checksum",
    "gather_bytes",
    "inspect",
    "locate",
    "put_bits",
    "put_headers",
    "put_var",
    "put_words",
    "seal",
    "sections",
    "take_bits",
    "take_headers",
    "take_var",
    "take_words",
    "value_flags",
    "value_words",
    "verify",
]

MAX = 0x7FFF_FFFF_FFFF_FFFF
MIN = -MAX - 1

HEADER = 6
"""Words before the lane flags."""
KNOWN, UNTIL, DEAD = 1, 2, 4
"""Flags of a value: which optional columns it has."""
FIXED, WIDE, VAR = 0, 1, 2
"""Kinds of lanes."""
ID_HASH, ID_INT, ID_TEXT = 0, 1, 2
"""Kinds of row ids."""
BAD_CHECKSUM, BAD_FORMAT, BAD_LAYOUT, NO_LEAF = 1, 2, 3, 4
"""Why a value is refused; 0 is a sound value."""

# What `sections` finds, in this order; then two places a lane: its data, its valid bits.
EVENT_TIME, KNOWN_AT, REPLACED, DEAD_BITS, ROW_ID, CONTENT, LANES = 0, 1, 2, 3, 4, 5, 6

_MAGIC = ord("G") | ord("N") << 8 | 1 << 16
_PRIME = np.uint64(0x9E37_79B9_7F4A_7C15)
_SEEDS = (
    np.uint64(0x243F_6A88_85A3_08D3),
    np.uint64(0x1319_8A2E_0370_7344),
    np.uint64(0xA409_3822_299F_31D0),
    np.uint64(0x082E_FA98_EC4E_6C89),
)
_SEED_0, _SEED_1, _SEED_2, _SEED_3 = _SEEDS


# --------------------------------------------------------------------------------------------------- checksum


@inline
def _mixed(state, word):
    """Absorb one word. A bijection of either argument, so that one changed word always changes the end."""
    state = (state ^ np.uint64(word)) * _PRIME
    return state ^ (state >> np.uint64(32))


@inline
def checksum(words, start, end):
    """The checksum of the value `words[start:end]`; its own word counts as zero.

    Four chains, because one alone would wait for each multiplication.
    """
    a = _mixed(_SEED_0 ^ np.uint64(end - start), words[start])
    b = _mixed(_SEED_1, 0)
    c = _mixed(_SEED_2, words[start + 2])
    d = _mixed(_SEED_3, words[start + 3])
    i = start + 4
    while i + 4 <= end:
        a = _mixed(a, words[i])
        b = _mixed(b, words[i + 1])
        c = _mixed(c, words[i + 2])
        d = _mixed(d, words[i + 3])
        i += 4
    while i < end:
        a = _mixed(a, words[i])
        i += 1
    return np.int64(_mixed(_mixed(_mixed(a, b), c), d))


@njit
def seal(words, offsets, first, last):
    """Write the checksums of the values of keys [first, last)."""
    for k in range(first, last):
        if offsets[k] < offsets[k + 1]:
            words[offsets[k] + 1] = checksum(words, offsets[k], offsets[k + 1])


@njit
def verify(words, start, end, layout):
    """Whether `words[start:end]` is a sound value of this layout: 0, or the reason why not."""
    if end - start < HEADER or words[start] & 0xFF_FFFF != _MAGIC:
        return BAD_FORMAT
    if words[start + 1] != checksum(words, start, end):
        return BAD_CHECKSUM
    if words[start + 5] != layout:
        return BAD_LAYOUT
    return 0


# ------------------------------------------------------------------------------------------------------ shape


@inline
def n_rows(words, start):
    """The number of rows of the value at `start`."""
    return (words[start] >> 32) & 0xFFFF_FFFF


@inline
def _bit_words(n):
    return (n + 63) >> 6


@inline
def _var_length(words, place, n):
    """Bytes of a var section of n rows at `place`."""
    return (words[place + (n >> 1)] >> ((n & 1) << 5)) & 0xFFFF_FFFF


@inline
def _var_words(words, place, n):
    return (n + 2 >> 1) + (_var_length(words, place, n) + 7 >> 3)


@inline
def var_bounds(words, place, n, row):
    """(first byte, length) of one row of a var section; the byte is counted from the start of `words`."""
    low = (words[place + (row >> 1)] >> ((row & 1) << 5)) & 0xFFFF_FFFF
    high = (words[place + (row + 1 >> 1)] >> ((row + 1 & 1) << 5)) & 0xFFFF_FFFF
    return (place + (n + 2 >> 1)) * 8 + low, high - low


@inline
def get_bit(words, place, row):
    return (words[place + (row >> 6)] >> (row & 63)) & 1


@njit
def sections(words, start, form, places):
    """Find the sections of a sound value, and return where it ends.

    places: int64[LANES + 2L], filled; −1 for what is absent · form: int64[1 + L], kinds of row id and lanes
    """
    n = n_rows(words, start)
    flags = (words[start] >> 24) & 0xFF
    lanes = form.size - 1
    here = start + HEADER + _bit_words(lanes)
    places[EVENT_TIME] = here
    here += n
    places[KNOWN_AT] = -1
    if flags & KNOWN:
        places[KNOWN_AT] = here
        here += n
    places[REPLACED] = -1
    if flags & UNTIL:
        places[REPLACED] = here
        here += n
    places[DEAD_BITS] = -1
    if flags & DEAD:
        places[DEAD_BITS] = here
        here += _bit_words(n)
    places[ROW_ID] = here
    if form[0] == ID_HASH:
        here += 2 * n
    elif form[0] == ID_INT:
        here += n
    else:
        here += _var_words(words, here, n)
    places[CONTENT] = -1
    if form[0] != ID_HASH:
        places[CONTENT] = here
        here += 2 * n
    for l in range(lanes):
        places[LANES + 2 * l] = here
        if form[1 + l] == FIXED:
            here += n
        elif form[1 + l] == WIDE:
            here += 2 * n
        else:
            here += _var_words(words, here, n)
        places[LANES + 2 * l + 1] = -1
        if get_bit(words, start + HEADER, l):
            places[LANES + 2 * l + 1] = here
            here += _bit_words(n)
    return here


# ---------------------------------------------------------------------------------------------------- writing


@inline
def plus(a, b):
    """a + b, b >= 0, held at MAX: what lies beyond it never comes."""
    return MAX if a > MAX - b else a + b


@njit
def value_flags(key_start, event_time, known_at, until, dead, lag):
    """uint8[K]: which of the optional columns each key needs."""
    flags = np.zeros(key_start.size - 1, np.uint8)
    for k in range(flags.size):
        need = 0
        for i in range(key_start[k], key_start[k + 1]):
            if known_at[i] != plus(event_time[i], lag):
                need |= KNOWN
            if until[i] != MAX:
                need |= UNTIL
            if dead[i]:
                need |= DEAD
        flags[k] = need
    return flags


@njit
def any_null(key_start, valid):
    """uint8[K]: whether the lane has a null among the key's rows."""
    found = np.zeros(key_start.size - 1, np.uint8)
    for k in range(found.size):
        for i in range(key_start[k], key_start[k + 1]):
            if not valid[i]:
                found[k] = 1
    return found


@njit
def value_words(key_start, flags, row_words, lanes):
    """int64[K]: words of each value without its var sections and valid bits.

    row_words: words a row has in every key (event_time, ids, fixed and wide lanes).
    """
    sizes = np.empty(flags.size, np.int64)
    for k in range(flags.size):
        n = key_start[k + 1] - key_start[k]
        size = HEADER + _bit_words(lanes) + n * row_words
        if flags[k] & KNOWN:
            size += n
        if flags[k] & UNTIL:
            size += n
        if flags[k] & DEAD:
            size += _bit_words(n)
        sizes[k] = size
    return sizes


@njit
def add_bit_words(key_start, chosen, sizes):
    """Add the words of one bit section of the chosen keys to `sizes`."""
    for k in range(sizes.size):
        if chosen[k]:
            sizes[k] += _bit_words(key_start[k + 1] - key_start[k])


@njit
def add_var_words(key_start, offsets, sizes):
    """Add the words of one var section to `sizes`; returns the greatest number of bytes of a key."""
    longest = 0
    for k in range(sizes.size):
        n = key_start[k + 1] - key_start[k]
        length = offsets[key_start[k + 1]] - offsets[key_start[k]]
        longest = max(longest, length)
        sizes[k] += (n + 2 >> 1) + (length + 7 >> 3)
    return longest


@njit
def put_headers(
    words, cursor, key_start, first, last, flags, counter, first_activation, newest, layout, lanes
):
    """Write the headers at `cursor`, lane flags still zero, and move the cursors behind them."""
    for k in range(first, last):
        at = cursor[k]
        words[at] = _MAGIC | np.int64(flags[k]) << 24 | (key_start[k + 1] - key_start[k]) << 32
        words[at + 1] = 0
        words[at + 2] = counter[k]
        words[at + 3] = first_activation[k]
        words[at + 4] = newest[k]
        words[at + 5] = layout
        at += HEADER
        for i in range(_bit_words(lanes)):
            words[at + i] = 0
        cursor[k] = at + _bit_words(lanes)


@njit
def put_words(words, cursor, key_start, first, last, values, width, chosen):
    """Write `width` words a row for keys [first, last) (the chosen ones, or all where `chosen` is empty)."""
    for k in range(first, last):
        if chosen.size and not chosen[k]:
            continue
        at = cursor[k]
        for i in range(key_start[k] * width, key_start[k + 1] * width):
            words[at] = values[i]
            at += 1
        cursor[k] = at


@njit
def put_bits(words, cursor, key_start, first, last, mask, chosen, starts, lane):
    """Write bits for the chosen keys; with lane >= 0 also the lane's flag in the header at `starts`."""
    for k in range(first, last):
        if not chosen[k]:
            continue
        at = cursor[k]
        n = key_start[k + 1] - key_start[k]
        for i in range(_bit_words(n)):
            words[at + i] = 0
        for i in range(n):
            words[at + (i >> 6)] |= np.int64(mask[key_start[k] + i] != 0) << (i & 63)
        cursor[k] = at + _bit_words(n)
        if lane >= 0:
            words[starts[k] + HEADER + (lane >> 6)] |= np.int64(1) << (lane & 63)


@njit
def put_var(words, octets, cursor, key_start, first, last, offsets, data):
    """Write a var section; `octets: uint8[]` is the same memory as `words`."""
    for k in range(first, last):
        low = key_start[k]
        n = key_start[k + 1] - low
        base = offsets[low]
        at = cursor[k]
        for i in range(n + 2 >> 1):
            word = offsets[low + 2 * i] - base
            if 2 * i + 1 <= n:
                word |= (offsets[low + 2 * i + 1] - base) << 32
            words[at + i] = word
        at += n + 2 >> 1
        length = offsets[low + n] - base
        if length & 7:
            words[at + (length >> 3)] = 0
        for i in range(length):
            octets[at * 8 + i] = data[base + i]
        cursor[k] = at + (length + 7 >> 3)


# ---------------------------------------------------------------------------------------------------- reading


@njit
def inspect(words, offsets, layout, form):
    """Verify K values: `(rows int64[K], error uint8[K], var_bytes int64[1 + L], nulls uint8[1 + L])`.

    No rows where there is an error or no value. The last two are of the row id and the lanes: the bytes of
    var columns in all sound values, and whether any of these has a null.
    """
    rows = np.zeros(offsets.size - 1, np.int64)
    error = np.zeros(offsets.size - 1, np.uint8)
    var_bytes = np.zeros(form.size, np.int64)
    nulls = np.zeros(form.size, np.uint8)
    places = np.empty(LANES + 2 * form.size, np.int64)
    for k in range(rows.size):
        start, end = offsets[k], offsets[k + 1]
        if start == end:
            continue
        error[k] = verify(words, start, end, layout)
        if error[k] == 0 and sections(words, start, form, places) != end:
            error[k] = BAD_LAYOUT
        if error[k]:
            continue
        rows[k] = n_rows(words, start)
        if form[0] == ID_TEXT:
            var_bytes[0] += _var_length(words, places[ROW_ID], rows[k])
        for l in range(form.size - 1):
            if form[1 + l] == VAR:
                var_bytes[1 + l] += _var_length(words, places[LANES + 2 * l], rows[k])
            if places[LANES + 2 * l + 1] >= 0:
                nulls[1 + l] = 1
    return rows, error, var_bytes, nulls


@njit
def locate(words, offsets, first, last, form):
    """int64[sections, last − first]: where each section of sound values begins; −1 absent, or no value."""
    count = LANES + 2 * (form.size - 1)
    places = np.empty(count, np.int64)
    found = np.full((count, last - first), -1, np.int64)
    for k in range(first, last):
        if offsets[k] < offsets[k + 1]:
            sections(words, offsets[k], form, places)
            for s in range(count):
                found[s, k - first] = places[s]
    return found


@njit
def take_headers(words, offsets, counter, first_activation, newest):
    """Read the headers into three int64[K]; keys without a value keep what these have."""
    for k in range(offsets.size - 1):
        if offsets[k] < offsets[k + 1]:
            counter[k] = words[offsets[k] + 2]
            first_activation[k] = words[offsets[k] + 3]
            newest[k] = words[offsets[k] + 4]


@njit
def add_lag(event_time, lag, first, last, out):
    """known_at of rows [first, last) that are known `lag` µs after their event_time."""
    for i in range(first, last):
        out[i] = plus(event_time[i], lag)


@njit
def take_words(words, places, key_start, first, last, out, width):
    """Read `width` words a row of keys [first, last); keys without the section keep what `out` has."""
    for k in range(first, last):
        at = places[k - first]
        if at < 0:
            continue
        for i in range(key_start[k] * width, key_start[k + 1] * width):
            out[i] = words[at]
            at += 1


@njit
def take_bits(words, places, key_start, first, last, out):
    """Read bits into uint8; keys without the section keep what `out` has."""
    for k in range(first, last):
        at = places[k - first]
        if at < 0:
            continue
        for i in range(key_start[k + 1] - key_start[k]):
            out[key_start[k] + i] = get_bit(words, at, i)


@njit
def take_var(words, octets, places, key_start, first, last, offsets, data):
    """Read a var section into `offsets: int64[n + 1]`, right up to the row before, and `data`."""
    for k in range(first, last):
        at = places[k - first]
        low = key_start[k]
        n = key_start[k + 1] - low
        for i in range(n):
            offsets[low + i + 1] = offsets[low + i] + var_bounds(words, at, n, i)[1]
        source = (at + (n + 2 >> 1)) * 8
        target = offsets[low]
        for i in range(offsets[low + n] - target):
            data[target + i] = octets[source + i]


@njit
def gather_bytes(offsets, data, rows):
    """Return `(offsets, data)` of the given rows of a var column."""
    out_offsets = np.empty(rows.size + 1, np.int64)
    out_offsets[0] = 0
    for i in range(rows.size):
        out_offsets[i + 1] = out_offsets[i] + offsets[rows[i] + 1] - offsets[rows[i]]
    out = np.empty(out_offsets[rows.size], np.uint8)
    for i in range(rows.size):
        source = offsets[rows[i]]
        for j in range(out_offsets[i + 1] - out_offsets[i]):
            out[out_offsets[i] + j] = data[source + j]
    return out_offsets, out
