"""The state of a view over some rows: what is enough to finish its aggregates, exact, and combinable.

A *view* is one choice of a key's rows (a lane, a condition, nulls kept or not). While it is added to, its state is
an int64 array of `SIZE` words; which of its parts are kept is told by `needs`:

    COUNT                 rows of the view
    extrema               (code, word) of the least and the greatest value; high, low; first byte, length
    ends                  of the first and the last row: event_time, value, whether it is valid, where it stands
    sums, squares         limbs of Σx and Σx², as `limbs`, `moments` and `decimals` have them, on the grid of all floats

Which values there are (`DISTINCT`) stands in a set of bits beside it, numbered by a dictionary.

Stored it is a *record*, some words that hold no more than they need to:

    count                 nothing else, if it is 0
    Σx                    integers 2 limbs · decimals 4 · floats: NaN, +inf, −inf, 20 bits each; a run of limbs
    Σx²                   integers 5 limbs · floats: a run of limbs
    least, greatest       a word · high, low · a blob
    first, last           event_time; the same of its value, if the view has a lane; valid, if it keeps nulls
    bits                  to the end of the record

A run is `first limb | limbs << 8` and the limbs between zeros; a blob its length in bytes, and the bytes. A record
whose count is −1 says that a blob is too long to be kept twice, or the rows too many for it: they must be read.
"""

from __future__ import annotations

import numpy as np

from gnomon.kernels import decimals, limbs, moments
from gnomon.kernels._jit import inline, njit
from gnomon.kernels.held import compare_bytes, compare_wide
from gnomon.kernels.lanes import BYTES, FLOAT, WIDE
from gnomon.kernels.words import NAN_CODE, float_code

__all__ = [
    "DISTINCT",
    "ENDS",
    "EXTREMA",
    "OPAQUE",
    "SIZE",
    "SQUARES",
    "SUMS",
    "add_rows",
    "add_state",
    "combine_record",
    "record_room",
    "write_record",
]

SUMS, SQUARES, EXTREMA, ENDS, DISTINCT = 1, 2, 4, 8, 16
"""What a view may need, beside the number of its rows."""

OPAQUE = -1
"""The count of a record that is not whole."""

COUNT, LEAST, GREATEST, FIRST, LAST, SUM = 0, 1, 3, 5, 11, 17
SQUARE = SUM + limbs.SPECIALS + limbs.MAX_FLOAT_LIMBS
SIZE = SQUARE + 2 * limbs.MAX_FLOAT_LIMBS + 1
"""Words of a state."""

TIME, VALUE, VALID, PLACE, ROW = 0, 1, 3, 4, 5
"""Of the first and the last row; the value has two words. PLACE and ROW are the reader's."""

FLOAT_BASE = 1 - 1075
"""Exponent of the lowest limb: the grid that takes every float64."""

_BLOB = 128
_SPECIAL_BITS = 20
_SPECIAL_MASK = (1 << _SPECIAL_BITS) - 1
_LEAST_CODE = -(2**63)


def record_room(needs: int, words: int) -> int:
    """Words that a record takes at most; `words`: of its bits."""
    room = 1
    if needs & SUMS:
        room += 2 + limbs.MAX_FLOAT_LIMBS
    if needs & SQUARES:
        room += 2 + 2 * limbs.MAX_FLOAT_LIMBS
    if needs & EXTREMA:
        room += 2 * (1 + _BLOB // 8)
    if needs & ENDS:
        room += 2 * (3 + _BLOB // 8)
    return room + (words if needs & DISTINCT else 0)


# ----------------------------------------------------------------------------------------------------- adding


@inline
def sum_words(kind):
    """Words that sums of such a lane use, in the state: with the counts of NaN and infinities, but for decimals."""
    if kind == FLOAT:
        return limbs.SPECIALS + limbs.MAX_FLOAT_LIMBS
    return 4 if kind == WIDE else limbs.SPECIALS + 2


@inline
def square_words(kind):
    return 2 * limbs.MAX_FLOAT_LIMBS + 1 if kind == FLOAT else 5


@inline
def _height(code, kind):
    """By which max compares: NaN is below everything."""
    return np.int64(_LEAST_CODE) if kind == FLOAT and code == NAN_CODE else code


@inline
def _is_less(kind, a, b, c, d, octets, given):
    """Whether the value (a, b) is less than (c, d)."""
    if kind == WIDE:
        return compare_wide(a, b, c, d) < 0
    if kind == BYTES:
        return compare_bytes(octets, given, a, b, c, d) < 0
    return a < c


@inline
def _is_more(kind, a, b, c, d, octets, given):
    """Whether the value (a, b) is greater than (c, d); a NaN is not."""
    if kind == WIDE:
        return compare_wide(a, b, c, d) > 0
    if kind == BYTES:
        return compare_bytes(octets, given, a, b, c, d) > 0
    return _height(a, kind) > _height(c, kind)


@inline
def _meet_extrema(state, some, kind, least, least_b, greatest, greatest_b, octets, given):
    """Let a least and a greatest value take the place of those held; `some`: whether there are any."""
    if not some or _is_less(kind, least, least_b, state[LEAST], state[LEAST + 1], octets, given):
        state[LEAST] = least
        state[LEAST + 1] = least_b
    if not some or _is_more(kind, greatest, greatest_b, state[GREATEST], state[GREATEST + 1], octets, given):
        state[GREATEST] = greatest
        state[GREATEST + 1] = greatest_b


@inline
def put_end(state, end, time, a, b, valid, place, row):
    """Make a row the first or the last one."""
    state[end + TIME] = time
    state[end + VALUE] = a
    state[end + VALUE + 1] = b
    state[end + VALID] = valid
    state[end + PLACE] = place
    state[end + ROW] = row


@njit
def add_rows(state, needs, kind, first, second, count, octets, given):
    """Add rows with the values (first[i], second[i]), as `lanes.pair` gives them. Their ends are the caller's."""
    if needs & SUMS:
        terms, squares = state[SUM:SQUARE], state[SQUARE:SIZE]
        if kind == WIDE:
            for i in range(count):
                decimals.add_decimal(terms, first[i], np.uint64(second[i]), 1)
        elif kind == FLOAT:
            for i in range(count):
                limbs.add_float(terms, float_code(np.int64(first[i]).view(np.float64)), 1, FLOAT_BASE)
        else:
            for i in range(count):
                limbs.add_int(terms, first[i], 1)
        if needs & SQUARES and kind == FLOAT:
            for i in range(count):
                code = float_code(np.int64(first[i]).view(np.float64))
                moments.add_square(squares, code, 1, True, FLOAT_BASE)
        elif needs & SQUARES:
            for i in range(count):
                moments.add_square(squares, first[i], 1, False, 0)
    if needs & EXTREMA:
        for i in range(count):
            a, b = first[i], second[i]
            if kind == FLOAT:
                a, b = float_code(np.int64(a).view(np.float64)), a
            _meet_extrema(state, state[COUNT] + i > 0, kind, a, b, a, b, octets, given)
    state[COUNT] += count


@njit
def add_state(state, other, needs, kind, is_first, is_last, octets, given):
    """Add the rows of another state, whose ends come before, or after, all of this one's, or neither."""
    if other[COUNT] == 0:
        return
    if needs & SUMS:
        for i in range(SUM, SUM + sum_words(kind)):
            state[i] += other[i]
    if needs & SQUARES:
        for i in range(SQUARE, SQUARE + square_words(kind)):
            state[i] += other[i]
    if needs & EXTREMA:
        _meet_extrema(
            state, state[COUNT] > 0, kind, other[LEAST], other[LEAST + 1], other[GREATEST], other[GREATEST + 1],
            octets, given,
        )  # fmt: skip
    if needs & ENDS:
        for i in range(LAST - FIRST):
            if is_first:
                state[FIRST + i] = other[FIRST + i]
            if is_last:
                state[LAST + i] = other[LAST + i]
    state[COUNT] += other[COUNT]


# ---------------------------------------------------------------------------------------------------- records


@inline
def _put_run(out, at, state, first, count):
    """Write the limbs `state[first:first + count]` without the zeros around them; return where the run ends."""
    low, high = 0, count
    while high > 0 and state[first + high - 1] == 0:
        high -= 1
    while low < high and state[first + low] == 0:
        low += 1
    out[at] = low | (high - low) << 8
    for i in range(low, high):
        out[at + 1 + i - low] = state[first + i]
    return at + 1 + high - low


@inline
def _add_run(words, at, state, first):
    low = words[at] & 0xFF
    count = words[at] >> 8
    for i in range(count):
        state[first + low + i] += words[at + 1 + i]
    return at + 1 + count


@inline
def _put_value(out, at, kind, a, b, octets):
    """Write a value: the word of a number is in `a`. Returns where it ends."""
    out[at] = a
    if kind == WIDE:
        out[at + 1] = b
        return at + 2
    if kind != BYTES:
        return at + 1
    out[at] = b
    target = out.view(np.uint8)
    end = at + 1 + (b + 7 >> 3)
    if b & 7:
        out[end - 1] = 0
    for j in range(b):
        target[(at + 1) * 8 + j] = octets[a + j]
    return end


@inline
def _take_value(words, at, kind):
    """(first word, second word, where the value ends)."""
    if kind == WIDE:
        return words[at], words[at + 1], at + 2
    if kind == BYTES:
        return (at + 1) * 8, words[at], at + 1 + (words[at] + 7 >> 3)
    return words[at], np.int64(0), at + 1


@inline
def _too_long(state, needs, kind, has_value):
    if kind != BYTES or not has_value:
        return False
    longest = np.int64(0)
    if needs & EXTREMA:
        longest = max(state[LEAST + 1], state[GREATEST + 1])
    if needs & ENDS:
        longest = max(longest, state[FIRST + VALUE + 1], state[LAST + VALUE + 1])
    return longest > _BLOB


@njit
def write_record(out, at, state, needs, kind, has_value, keeps_nulls, bits, octets):
    """Write the record of a state at `out[at]`; return where it ends.

    bits: uint64, of the distinct values, without trailing zeros or with them. octets: what blobs are read from.
    """
    out[at] = state[COUNT]
    if state[COUNT] == 0:
        return at + 1
    if state[COUNT] > _SPECIAL_MASK or _too_long(state, needs, kind, has_value):
        out[at] = OPAQUE
        return at + 1
    at += 1
    if needs & SUMS:
        if kind == FLOAT:
            packed = np.int64(0)
            for i in range(limbs.SPECIALS):
                packed |= state[SUM + i] << (i * _SPECIAL_BITS)
            out[at] = packed
            at = _put_run(out, at + 1, state, SUM + limbs.SPECIALS, limbs.MAX_FLOAT_LIMBS)
        else:
            first = SUM if kind == WIDE else SUM + limbs.SPECIALS
            for i in range(first, SUM + sum_words(kind)):
                out[at] = state[i]
                at += 1
    if needs & SQUARES:
        if kind == FLOAT:
            at = _put_run(out, at, state, SQUARE, 2 * limbs.MAX_FLOAT_LIMBS + 1)
        else:
            for i in range(SQUARE, SQUARE + square_words(kind)):
                out[at] = state[i]
                at += 1
    if needs & EXTREMA:
        for which in (LEAST, GREATEST):
            # Of a float the word is behind its code.
            a = state[which + 1] if kind == FLOAT else state[which]
            at = _put_value(out, at, kind, a, state[which + 1], octets)
    if needs & ENDS:
        for end in (FIRST, LAST):
            out[at] = state[end + TIME]
            at += 1
            if has_value:
                at = _put_value(out, at, kind, state[end + VALUE], state[end + VALUE + 1], octets)
            if keeps_nulls:
                out[at] = state[end + VALID]
                at += 1
    if needs & DISTINCT:
        used = bits.size
        while used > 0 and bits[used - 1] == 0:
            used -= 1
        for i in range(used):
            out[at] = np.int64(bits[i])
            at += 1
    return at


@njit
def combine_record(state, bits, words, at, end, needs, kind, has_value, keeps_nulls, place, octets, given):
    """Add a record, `words[at:end]`, to a state whose rows all come before those of the record.

    needs: of the view that was recorded. bits: uint64, as many as the dictionary needs. octets: `words` as bytes.
    place: kept of the ends, whose row is −1. Returns whether there was enough in the record.
    """
    count = words[at]
    if count == 0:
        return True
    if count == OPAQUE:
        return False
    at += 1
    if needs & SUMS:
        if kind == FLOAT:
            packed = words[at]
            for i in range(limbs.SPECIALS):
                state[SUM + i] += (packed >> (i * _SPECIAL_BITS)) & _SPECIAL_MASK
            at = _add_run(words, at + 1, state, SUM + limbs.SPECIALS)
        else:
            first = SUM if kind == WIDE else SUM + limbs.SPECIALS
            for i in range(first, SUM + sum_words(kind)):
                state[i] += words[at]
                at += 1
    if needs & SQUARES:
        if kind == FLOAT:
            at = _add_run(words, at, state, SQUARE)
        else:
            for i in range(SQUARE, SQUARE + square_words(kind)):
                state[i] += words[at]
                at += 1
    if needs & EXTREMA:
        a, b, at = _take_value(words, at, kind)
        c, d, at = _take_value(words, at, kind)
        if kind == FLOAT:
            b, d = a, c
            a = float_code(np.int64(b).view(np.float64))
            c = float_code(np.int64(d).view(np.float64))
        _meet_extrema(state, state[COUNT] > 0, kind, a, b, c, d, octets, given)
    if needs & ENDS:
        for end_at in (FIRST, LAST):
            time = words[at]
            at += 1
            a, b, valid = np.int64(0), np.int64(0), np.int64(1)
            if has_value:
                a, b, at = _take_value(words, at, kind)
            if keeps_nulls:
                valid = words[at]
                at += 1
            if end_at == LAST or state[COUNT] == 0:
                put_end(state, end_at, time, a, b, valid, place, -1)
    if needs & DISTINCT:
        for i in range(end - at):
            bits[i] |= np.uint64(words[at + i])
    state[COUNT] += count
    return True
