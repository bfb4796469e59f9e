"""Values of a key's rows, as they lie in a packed value, and the codes by which they are compared.

A value leaves as two words: the word of an integer or a float and 0; a wide value's high and low; bytes as
(first, length). The request's own row lies elsewhere: in `request: int64[L, K, 3]`, valid and the two words of
each key, its bytes in `request_bytes`. Positions number the rows chosen of a key, 0 … m − 1, and the request's
own row is position m.
"""

from __future__ import annotations

import numpy as np

from gnomon.kernels import rows
from gnomon.kernels._jit import inline, njit
from gnomon.kernels.hashing import hash_bytes, hash_wide, hash_word
from gnomon.kernels.words import code_float, float_code
from gnomon.kernels.work import CODE, HASHES, HIGH, LOW, ORDER, PICKED, SPARE

__all__ = ["codes", "hash_values", "is_valid", "pair", "value", "value_alike"]

WORD, FLOAT, WIDE, BYTES = 0, 1, 2, 3

NEEDS_CODES, NEEDS_RANKS, NEEDS_EQUAL, NEEDS_HASHES = 1, 2, 4, 8
"""Codes of the values; codes that order wide values or bytes; codes by which −0.0 equals 0.0; hashes."""

_NEGATIVE_ZERO = -1  # the code of −0.0


@inline
def is_valid(words, places, lane, i):
    """Whether row i has a value in the lane."""
    bits = places[rows.LANES + 2 * lane + 1]
    return bits < 0 or rows.get_bit(words, bits, i) != 0


@inline
def pair(words, places, kind, lane, n, i):
    """The two words of row i's value; bytes are counted from the start of `words`."""
    place = places[rows.LANES + 2 * lane]
    if kind == BYTES:
        return rows.var_bounds(words, place, n, i)
    if kind == WIDE:
        return words[place + 2 * i], words[place + 2 * i + 1]
    return words[place + i], np.int64(0)


@inline
def value(words, places, kind, lane, n, picked, at, own, request, k):
    """The two words of a result for the value at a position, `own` being the request's.

    The request's bytes leave with −1 − first, so that they can be told from those of the key.
    """
    if at == own:
        if kind == BYTES:
            return -1 - request[lane, k, 1], request[lane, k, 2]
        return request[lane, k, 1], request[lane, k, 2]
    return pair(words, places, kind, lane, n, picked[at])


@inline
def value_alike(words, places, kind, lane, n, picked, at, own, request, k, equal):
    """Like `value`, the same for equal values: 0.0 for both zeros, one NaN. `equal` as `codes` left it."""
    if kind == FLOAT:
        return np.float64(code_float(equal[at])).view(np.int64), np.int64(0)
    return value(words, places, kind, lane, n, picked, at, own, request, k)


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


@inline
def codes(
    words, octets, places, kind, lane, n, m, count, request, request_bytes, k, needs, work, alike
):  # fmt: skip
    """Write the codes of the values at positions 0 … count − 1 to rows of `work` (`gnomon.kernels.work`).

    HIGH and LOW become the two words of wide values and bytes, CODE the codes, row `alike` those by which equal
    values are alike, as far as `needs` says. Where there is no value they are whatever.
    """
    picked, high, low, code, equal = work[PICKED], work[HIGH], work[LOW], work[CODE], work[alike]
    for j in range(count):
        if j < m:
            a, b = pair(words, places, kind, lane, n, picked[j])
        else:
            a, b = request[lane, k, 1], request[lane, k, 2]
        if kind == FLOAT:
            a = float_code(np.int64(a).view(np.float64))
        code[j] = a
        if kind >= WIDE:
            high[j] = a
            low[j] = b
    if needs & NEEDS_RANKS:
        _rank(kind, octets, request_bytes, high, low, m, count, work[ORDER], work[SPARE], code)
    if needs & NEEDS_EQUAL:
        for j in range(count):
            equal[j] = _alike(kind, code[j])


@njit
def hash_values(octets, kind, m, count, request_bytes, work):
    """Write the hashes of the values at positions 0 … count − 1, of which `codes` has told the rest."""
    high, low, code, hashes = work[HIGH], work[LOW], work[CODE], work[HASHES]
    for j in range(count):
        if kind == BYTES:
            hashes[j] = hash_bytes(octets if j < m else request_bytes, high[j], low[j])
        elif kind == WIDE:
            hashes[j] = hash_wide(high[j], low[j])
        else:
            hashes[j] = hash_word(_alike(kind, code[j]))


@inline
def _alike(kind, code):
    """The code of a word or float by which both zeros are 0.0."""
    return np.int64(0) if kind == FLOAT and code == _NEGATIVE_ZERO else code
