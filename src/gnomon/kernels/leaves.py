"""Leaves of a hot key: what an index tells of each, so that most of them need not be read.

An *index value* stands in the place of a key's rows where these are many: the newest rows themselves, and of the
sealed leaves, which hold the others in order, what is enough for most answers. **Format 2**, little endian, in words
of 8 bytes (`n` leaves, `b = ceil(n / 32)` blocks of them):

    0        'G' 'N' | format u8 = 2 | 0 u8 | n u32
    1        checksum of the words before the tail, but this one
    2        where the tail begins, in words
    3        layout: as in a value of rows
    4        views u32 | dictionaries u32
    5        rows in leaves
    …        leaves, field by field: FIELDS · i64[n]
             views, each: lane + 1 u16 | condition + 1 u16 | keeps nulls u8 | needs u8; place of its states
             dictionaries, each: lane; place
             states of a view: i64[n + b + 1], where the record of each leaf, then of each block, begins and
                 the last one ends, in words behind these; the records (`gnomon.kernels.states`)
             a dictionary: values; then they lie as in a lane
    tail     the rows that are in no leaf: a value of format 1, which also has the key's counter and times

Beside each leaf of an event group with event ids lie the fingerprints of its ids, u32, ascending: who looks for
versions of a row reads these first. They are a hint: what is missing or short is as if it said yes.

Every row version of one row (its *ident*) stands in one leaf, or all of them in the tail. Rows of leaves are in order
over all leaves. A row of the tail usually comes after them, but may stand anywhere.
"""

from __future__ import annotations

import numpy as np

from gnomon.kernels import rows
from gnomon.kernels._jit import inline, njit
from gnomon.kernels.held import is_dead, known_at, pick, replaced_at, time_at
from gnomon.kernels.lanes import is_valid
from gnomon.kernels.rows import BAD_CHECKSUM, BAD_FORMAT, BAD_LAYOUT, MAX, MIN
from gnomon.kernels.states import ENDS, FIRST, LAST, SIZE, add_rows, combine_record, put_end, write_record

__all__ = [
    "BEGINS",
    "BLOCK",
    "FIELDS",
    "FIRST_ACTIVE",
    "FIRST_ID",
    "FIRST_KNOWN",
    "FIRST_TIME",
    "HEAD",
    "ID",
    "ID_MAX",
    "ID_MIN",
    "LAST_ID",
    "LAST_KNOWN",
    "LAST_TIME",
    "LATEST",
    "MAGIC",
    "NEWEST",
    "ROWS",
    "SETTLED",
    "block_records",
    "describe",
    "find_leaves",
    "fingerprints",
    "heads_of",
    "is_index",
    "leaf_records",
    "meets",
    "seal_index",
    "verify_index",
    "verify_rows",
]

HEAD = 6
BLOCK = 32
"""Leaves of a block."""

ID, ROWS = 0, 2
"""Of a leaf: its name, two words; how many rows it has."""
FIRST_TIME, FIRST_KNOWN, FIRST_ID, LAST_TIME, LAST_KNOWN, LAST_ID = 3, 4, 5, 6, 7, 8
"""By what its first and its last row are ordered: event_time, the declared known_at, the head of the id."""
BEGINS = 9
"""Before it, no row is visible: the least known_at."""
SETTLED = 10
"""From it on, what is visible changes no more: the greatest known_at, or moment of a replacement."""
FIRST_ACTIVE = 11
"""The first activation of a row that ever counts; MAX for none."""
NEWEST = 12
"""The greatest event_time of the rows that are visible once it is settled; MIN for none."""
LATEST = 13
"""The greatest activation; MAX where a row is not known yet."""
ID_MIN, ID_MAX = 14, 15
"""The least and the greatest head of an id."""
FIELDS = 16

NEEDS_SHIFT = 40
"""Of a view's word: lane, condition, keeps nulls, and from this bit on what its records have."""

MAGIC = ord("G") | ord("N") << 8 | 2 << 16
_SIGN = -(2**63)


# ----------------------------------------------------------------------------------------------------- whole


@inline
def is_index(words, start, end):
    """Whether `words[start:end]` begins as an index value."""
    return end - start >= HEAD and words[start] & 0xFF_FFFF == MAGIC


@njit
def seal_index(words, size):
    """Write the checksum of an index whose tail begins at `size`."""
    words[1] = rows.checksum(words, 0, size)


@njit
def verify_index(words, start, end, layout):
    """Whether `words[start:end]` is a sound index of this layout, its tail aside: 0, or the reason why not."""
    if not is_index(words, start, end):
        return BAD_FORMAT
    tail = words[start + 2]
    if not HEAD <= tail <= end - start or rows.checksum(words, start, start + tail) != words[start + 1]:
        return BAD_CHECKSUM
    return 0 if words[start + 3] == layout else BAD_LAYOUT


@njit
def verify_rows(words, start, end, layout, form):
    """Whether `words[start:end]`, a leaf or a tail, is a sound value of rows: 0, or the reason why not."""
    reason = rows.verify(words, start, end, layout)
    if reason == 0:
        places = np.empty(rows.LANES + 2 * form.size, np.int64)
        if rows.sections(words, start, form, places) != end:
            reason = BAD_LAYOUT
    return reason


# ------------------------------------------------------------------------------------------------- one leaf


@inline
def _text_head(octets, at, length):
    """The first 8 bytes as a number, shorter texts filled up with zeros."""
    head = np.uint64(0)
    for j in range(8):
        head = (head << np.uint64(8)) | (np.uint64(octets[at + j]) if j < length else np.uint64(0))
    return np.int64(head) ^ _SIGN


@inline
def _head_of_id(words, octets, places, form, n, i):
    """An int64 that orders as the row's id does, as far as its first 8 bytes tell."""
    place = places[rows.ROW_ID]
    if form[0] == rows.ID_INT:
        return words[place + i]
    if form[0] == rows.ID_HASH:
        return words[place + 2 * i] ^ _SIGN
    at, length = rows.var_bounds(words, place, n, i)
    return _text_head(octets, at, length)


@njit
def order_key(words, octets, places, form, lag, declared, i, n):
    """(event_time, declared known_at or 0, head of the id) of a row: what leaves are ordered by."""
    known = known_at(words, places, i, lag) if declared else np.int64(0)
    return time_at(words, places, i), known, _head_of_id(words, octets, places, form, n, i)


@njit
def describe(words, offsets, form, lag, declared, fields):
    """Fill the fields, but ID, of K leaves that are sound values with at least one row each.

    Shape: words, offsets as the other kernels of values; fields int64[FIELDS, K].
    """
    octets = words.view(np.uint8)
    places = np.empty(rows.LANES + 2 * form.size, np.int64)
    for k in range(offsets.size - 1):
        rows.sections(words, offsets[k], form, places)
        n = rows.n_rows(words, offsets[k])
        fields[ROWS, k] = n
        for i, first in ((0, FIRST_TIME), (n - 1, LAST_TIME)):
            time, known, head = order_key(words, octets, places, form, lag, declared, i, n)
            fields[first, k] = time
            fields[first + 1, k] = known
            fields[first + 2, k] = head
        begins, settled, first_active, newest, latest = MAX, MIN, MAX, MIN, MIN
        least, greatest = MAX, MIN
        for i in range(n):
            head = _head_of_id(words, octets, places, form, n, i)
            least = min(least, head)
            greatest = max(greatest, head)
            time, known = time_at(words, places, i), known_at(words, places, i, lag)
            since = max(time, known)
            latest = max(latest, since)
            if known == MAX or is_dead(words, places, i):
                continue
            until = replaced_at(words, places, i)
            begins = min(begins, known)
            settled = max(settled, known)
            if since < until:
                first_active = min(first_active, since)
            if until == MAX:
                newest = max(newest, time)
            else:
                settled = max(settled, until)
        fields[BEGINS, k] = begins
        fields[SETTLED, k] = settled
        fields[FIRST_ACTIVE, k] = first_active
        fields[NEWEST, k] = newest
        fields[LATEST, k] = latest
        fields[ID_MIN, k] = least
        fields[ID_MAX, k] = greatest


# ------------------------------------------------------------------------------------------------- records


@njit
def leaf_records(
    words, offsets, form, lag, kind, lane, where, keeps_nulls, needs, code, code_start, bit_words, starts, out
):
    """Write the records of a view over K leaves; return where the last one ends.

    code: int64, the dictionary's number of each row's value, −1 for none, of leaf k from `code_start[k]` on; length
    0 without DISTINCT · bit_words: uint64 words that the numbers need · starts: int64[K], filled
    out: int64, with `states.record_room` words for each leaf.
    """
    octets = words.view(np.uint8)
    nothing = np.empty(0, np.uint8)
    state = np.empty(SIZE, np.int64)
    bits = np.empty(bit_words, np.uint64)
    places = np.empty(rows.LANES + 2 * form.size, np.int64)
    longest = 0
    for k in range(offsets.size - 1):
        longest = max(longest, rows.n_rows(words, offsets[k]))
    row, a, b = (np.empty(longest, np.int64), np.empty(longest, np.int64), np.empty(longest, np.int64))
    at = 0
    for k in range(offsets.size - 1):
        rows.sections(words, offsets[k], form, places)
        n = rows.n_rows(words, offsets[k])
        state[:] = 0
        bits[:] = 0
        # What is visible once all that is known of is known.
        count = pick(words, places, n, 0, MAX, MAX - 1, lag, kind, lane, where, keeps_nulls, row, a, b)
        add_rows(state, needs, kind, a, b, count, octets, nothing)
        if needs & ENDS and count > 0:
            for end, i in ((FIRST, 0), (LAST, count - 1)):
                valid = np.int64(lane < 0 or is_valid(words, places, lane, row[i]))
                put_end(state, end, time_at(words, places, row[i]), a[i], b[i], valid, k, row[i])
        if code.size:
            for i in range(count):
                number = code[code_start[k] + row[i]]
                bits[number >> 6] |= np.uint64(1) << np.uint64(number & 63)
        starts[k] = at
        at = write_record(out, at, state, needs, kind, lane >= 0, keeps_nulls, bits, octets)
    return at


@njit
def block_records(records, starts, kind, has_value, keeps_nulls, needs, bit_words, block_starts, out):
    """Write the records of blocks of BLOCK leaves each; return where the last one ends.

    records, starts: int64[·], int64[n + 1], of the leaves · block_starts: int64[b], filled
    out: int64, with `states.record_room` words for each block.
    """
    octets = records.view(np.uint8)
    nothing = np.empty(0, np.uint8)
    state = np.empty(SIZE, np.int64)
    bits = np.empty(bit_words, np.uint64)
    at = 0
    for block in range(block_starts.size):
        block_starts[block] = at
        state[:] = 0
        bits[:] = 0
        whole = True
        for k in range(block * BLOCK, min((block + 1) * BLOCK, starts.size - 1)):
            whole = whole and combine_record(
                state, bits, records, starts[k], starts[k + 1], needs, kind, has_value, keeps_nulls, -1,
                octets, nothing,
            )  # fmt: skip
        if not whole:
            # One leaf must be read, and which one only its own record tells.
            out[at] = -1
            at += 1
            continue
        at = write_record(out, at, state, needs, kind, has_value, keeps_nulls, bits, octets)
    return at


# ---------------------------------------------------------------------------------------------- where rows belong


@njit
def heads_of(kind, words, offsets, data):
    """int64[n] of a column of row ids: what orders as they do, as far as 8 bytes tell.

    kind: ID_HASH: `words` are pairs; ID_INT: one word each; ID_TEXT: `offsets` into `data`
    """
    if kind == rows.ID_TEXT:
        heads = np.empty(offsets.size - 1, np.int64)
        for i in range(heads.size):
            heads[i] = _text_head(data, offsets[i], offsets[i + 1] - offsets[i])
        return heads
    heads = np.empty(words.size // (2 if kind == rows.ID_HASH else 1), np.int64)
    for i in range(heads.size):
        heads[i] = words[2 * i] ^ _SIGN if kind == rows.ID_HASH else words[i]
    return heads


@inline
def _key_compared(a, b, c, d, e, f):
    """−1, 0, 1: how (a, b, c) compares with (d, e, f)."""
    if a != d:
        return -1 if a < d else 1
    if b != e:
        return -1 if b < e else 1
    return 0 if c == f else (-1 if c < f else 1)


@njit
def find_leaves(first_time, first_known, first_id, time, known, head):
    """The leaves [low, high] among which each row belongs: `(int64[n], int64[n])`; −1 before all of them.

    Shape: first_… int64[leaves], of the first row of each leaf; time, known, head int64[n]
    """
    low = np.empty(time.size, np.int64)
    high = np.empty(time.size, np.int64)
    for i in range(time.size):
        a, b = 0, first_time.size
        while a < b:
            middle = a + b >> 1
            if (
                _key_compared(
                    first_time[middle], first_known[middle], first_id[middle], time[i], known[i], head[i]
                )
                <= 0
            ):
                a = middle + 1
            else:
                b = middle
        high[i] = a - 1
        a -= 1
        # With an equal key, the row may stand before the first row of that leaf, or behind it.
        while (
            a >= 0
            and _key_compared(first_time[a], first_known[a], first_id[a], time[i], known[i], head[i]) == 0
        ):
            a -= 1
        low[i] = max(a, min(high[i], 0)) if a < high[i] else high[i]
    return low, high


# ------------------------------------------------------------------------------------------------------------ ids


@njit
def fingerprints(kind, words, offsets, data):
    """uint32[n] of a column of row ids, as `heads_of` takes it: equal ids have equal ones, for ever."""
    n = offsets.size - 1 if kind == rows.ID_TEXT else words.size // (2 if kind == rows.ID_HASH else 1)
    found = np.empty(n, np.uint32)
    for i in range(n):
        h = np.uint64(0xCBF2_9CE4_8422_2325)
        if kind == rows.ID_TEXT:
            for j in range(offsets[i], offsets[i + 1]):
                h = (h ^ np.uint64(data[j])) * np.uint64(0x0100_0000_01B3)
        else:
            h ^= np.uint64(words[2 * i] if kind == rows.ID_HASH else words[i])
        h = (h ^ (h >> np.uint64(33))) * np.uint64(0xFF51_AFD7_ED55_8CCD)
        h = (h ^ (h >> np.uint64(33))) * np.uint64(0xC4CE_B9FE_1A85_EC53)
        found[i] = np.uint32(h >> np.uint64(32))
    return found


@inline
def _has(ascending, low, high, wanted):
    """Whether a value stands in `ascending[low:high]`."""
    while low < high:
        middle = low + high >> 1
        if ascending[middle] < wanted:
            low = middle + 1
        elif ascending[middle] > wanted:
            high = middle
        else:
            return True
    return False


@njit
def meets(held, starts, wanted):
    """uint8[K]: whether any of `wanted` is among the fingerprints `held[starts[k]:starts[k + 1]]`; both ascend."""
    found = np.zeros(starts.size - 1, np.uint8)
    for k in range(found.size):
        low, high = starts[k], starts[k + 1]
        # The fewer are looked for among the more.
        if wanted.size <= high - low:
            for i in range(wanted.size):
                if _has(held, low, high, wanted[i]):
                    found[k] = 1
                    break
        else:
            for i in range(low, high):
                if _has(wanted, 0, wanted.size, held[i]):
                    found[k] = 1
                    break
    return found
