"""Stable sorts of integers in scratch arrays, for the kernels that put rows in order."""

from __future__ import annotations

import numpy as np

from gnomon.kernels._jit import inline, njit
from gnomon.kernels.words import bit_length

__all__ = ["sort_by", "sort_positions", "sort_words"]

_ONE = np.uint64(1)

# Below this many rows insertion beats counting digits, also when the rows come in reverse.
_SHORT = 64


@njit
def sort_words(words, spare, n, low, bits):
    """Sort words[:n] stably by their `bits` bits from bit `low` up; what is below `low` is carried along."""
    if bits <= 0 or n < 2:
        return
    widest = 11 if n >= 8192 else 8
    passes = (bits + widest - 1) // widest
    width = (bits + passes - 1) // passes
    digit = np.uint64((1 << width) - 1)
    count = np.empty(1 << width, np.int64)
    source, target = words, spare
    moved = False
    for step in range(passes):
        shift = low + np.uint64(step * width)
        count[:] = 0
        for i in range(n):
            count[(source[i] >> shift) & digit] += 1
        if count[(source[0] >> shift) & digit] == n:
            continue
        total = 0
        for d in range(len(count)):
            here = count[d]
            count[d] = total
            total += here
        for i in range(n):
            d = (source[i] >> shift) & digit
            target[count[d]] = source[i]
            count[d] += 1
        source, target = target, source
        moved = not moved
    if moved:
        words[:n] = source[:n]


@njit
def sort_positions(key, n, greatest, segment, spare):
    """Fill segment[:n] with 0…n−1, sorted stably by key[0…n−1]."""
    position_bits = bit_length(np.uint64(n - 1))
    key_bits = bit_length(greatest)
    positions = (_ONE << np.uint64(position_bits)) - _ONE
    for i in range(n):
        segment[i] = np.uint64(i)
    # A word is a piece of the key over the position. One piece is enough but for spans of many years in a
    # long segment; else the low piece goes first, as digits do.
    piece = 64 - position_bits
    low = np.uint64(position_bits)
    done = 0
    while done < key_bits:
        for i in range(n):
            segment[i] |= key[segment[i]] >> np.uint64(done) << low
        if n <= _SHORT:
            _insert(segment, n, low)
        else:
            sort_words(segment, spare, n, low, min(piece, key_bits - done))
        for i in range(n):
            segment[i] &= positions
        done += piece


@inline
def _insert(words, n, low):
    for i in range(1, n):
        word = words[i]
        j = i
        while j > 0 and words[j - 1] >> low > word >> low:
            words[j] = words[j - 1]
            j -= 1
        words[j] = word


@inline
def _after(i, j, a, b, c, d, e):
    """Whether row i comes strictly after row j by (a, b, c, d, e); those without length do not count."""
    if len(a) and a[i] != a[j]:
        return a[i] > a[j]
    if len(b) and b[i] != b[j]:
        return b[i] > b[j]
    if len(c) and c[i] != c[j]:
        return c[i] > c[j]
    if len(d) and d[i] != d[j]:
        return d[i] > d[j]
    return len(e) > 0 and e[i] > e[j]


@njit
def sort_by(items, spare, start, end, a, b, c, d, e):
    """Sort items[start:end], which are row numbers, in place and stably by the rows' (a, b, c, d, e).

    Shape: a, b, e int64; c, d uint64; each [0] when absent. `spare` is as long as `items`.
    Cost:  O(n log n): runs of 16 by insertion, then merges.
    """
    width = 16
    for low in range(start, end, width):
        for i in range(low + 1, min(low + width, end)):
            item = items[i]
            j = i
            while j > low and _after(items[j - 1], item, a, b, c, d, e):
                items[j] = items[j - 1]
                j -= 1
            items[j] = item
    while width < end - start:
        for low in range(start, end, 2 * width):
            middle = min(low + width, end)
            high = min(middle + width, end)
            i = low
            j = middle
            for k in range(low, high):
                if i < middle and (j >= high or not _after(items[i], items[j], a, b, c, d, e)):
                    spare[k] = items[i]
                    i += 1
                else:
                    spare[k] = items[j]
                    j += 1
        items[start:end] = spare[start:end]
        width *= 2
