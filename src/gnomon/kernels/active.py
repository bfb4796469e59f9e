"""The rows that count now: an ordered set of small integers, for windows whose rows are no contiguous range.

A set over `[0, n)` is a pair of arrays. `words: uint64[]` holds all levels of a 64-ary tree of bits, the
leaves first; `base: int64[levels + 1]` says where each level begins. A bit above the leaves is set while its
word below is not empty. So a question is a walk up and down a few words (four levels for 10 M rows, 1.3 MB).
Keys lie side by side in one set; a walk inside a small key stays low in the tree.

A *counted* set has a third array, `counts: int64[]` beside `words`: the number of members below each word. It
alone can tell the k-th member. A set is changed either by the counted functions or by the plain ones, never
by both.

Units:  items and levels int64; an item outside `[0, n)` is the caller's error and is not looked for.
Cost:   O(levels) each, levels = ceil(log64 n); `kth` scans up to 64 counts a level; memory n/8 bytes
        (counted: n/4).
"""

import numpy as np

from gnomon.kernels._jit import inline, njit
from gnomon.kernels.words import bit_length, popcount, trailing_zeros

__all__ = [
    "add",
    "add_counted",
    "contains",
    "count",
    "first",
    "following",
    "kth",
    "last",
    "make",
    "make_counts",
    "position",
    "preceding",
    "ranks",
    "remove",
    "remove_counted",
]

_ONE = np.uint64(1)


@njit
def make(n):
    """Return `(words, base)`: the empty set over `[0, n)`."""
    base = np.zeros(12, np.int64)  # 11 levels of 64 cover every int64
    levels = 0
    width = max(n, 1)
    while True:
        width = (width + 63) >> 6
        base[levels + 1] = base[levels] + width
        levels += 1
        if width == 1:
            break
    return np.zeros(base[levels], np.uint64), base[: levels + 1].copy()


@njit
def make_counts(words):
    """Return the third array of a counted set that is empty."""
    return np.zeros(words.size, np.int64)


@inline
def _bit(item):
    return _ONE << np.uint64(item & 63)


@inline
def _lowest(word):
    return np.int64(trailing_zeros(word))


@inline
def _highest(word):
    return np.int64(bit_length(word)) - 1


@inline
def contains(words, item):
    """Whether `item` is a member."""
    return words[item >> 6] & _bit(item) != 0


@inline
def add(words, base, item):
    """Make `item` a member; a member stays one."""
    for level in range(base.size - 1):
        at = base[level] + (item >> 6)
        before = words[at]
        words[at] = before | _bit(item)
        if before != 0:
            return
        item >>= 6


@inline
def remove(words, base, item):
    """Make `item` no member; what is none stays none."""
    for level in range(base.size - 1):
        at = base[level] + (item >> 6)
        after = words[at] & ~_bit(item)
        words[at] = after
        if after != 0:
            return
        item >>= 6


@inline
def first(words, base):
    """Return the least member, -1 if there is none."""
    if words[words.size - 1] == 0:
        return -1
    return _least_below(words, base, base.size - 1, 0)


@inline
def last(words, base):
    """Return the greatest member, -1 if there is none."""
    if words[words.size - 1] == 0:
        return -1
    return _greatest_below(words, base, base.size - 1, 0)


@inline
def following(words, base, item):
    """Return the least member greater than `item`, -1 if there is none. `item` need not be a member."""
    for level in range(base.size - 1):
        item += 1
        node = item >> 6
        if base[level] + node >= base[level + 1]:
            return -1
        word = words[base[level] + node] >> np.uint64(item & 63)
        if word != 0:
            return _least_below(words, base, level, item + _lowest(word))
        item = node
    return -1


@inline
def preceding(words, base, item):
    """Return the greatest member less than `item`, -1 if there is none. `item` need not be a member."""
    for level in range(base.size - 1):
        if item == 0:
            return -1
        item -= 1
        node = item >> 6
        word = words[base[level] + node] << np.uint64(63 - (item & 63))
        if word != 0:
            return _greatest_below(words, base, level, item - 63 + _highest(word))
        item = node
    return -1


@inline
def _least_below(words, base, level, node):
    """Return the least member below `node`, the number of a bit of `level`; at level 0 it is the member."""
    while level > 0:
        level -= 1
        node = (node << 6) + _lowest(words[base[level] + node])
    return node


@inline
def _greatest_below(words, base, level, node):
    while level > 0:
        level -= 1
        node = (node << 6) + _highest(words[base[level] + node])
    return node


@inline
def add_counted(words, base, counts, item):
    """Make `item`, which is no member, a member of a counted set."""
    for level in range(base.size - 1):
        at = base[level] + (item >> 6)
        words[at] |= _bit(item)
        counts[at] += 1
        item >>= 6


@inline
def remove_counted(words, base, counts, item):
    """Make `item`, which is a member, no member of a counted set."""
    empty = True
    for level in range(base.size - 1):
        at = base[level] + (item >> 6)
        if empty:
            words[at] &= ~_bit(item)
        counts[at] -= 1
        empty = counts[at] == 0
        item >>= 6


@inline
def count(counts):
    """Return the number of members of a counted set."""
    return counts[counts.size - 1]


@inline
def kth(words, base, counts, k):
    """Return the `k`-th least member of a counted set, from 0. Bounds: `0 <= k < count(counts)`."""
    node = 0
    for level in range(base.size - 2, 0, -1):
        word = words[base[level] + node]
        child = (node << 6) + _lowest(word)
        while k >= counts[base[level - 1] + child]:
            k -= counts[base[level - 1] + child]
            word &= word - _ONE
            child = (node << 6) + _lowest(word)
        node = child
    return (node << 6) + _kth_bit(words[node], k)


@inline
def _kth_bit(word, k):
    """Return the place of the `k`-th set bit of a word, from 0, by halves."""
    place = 0
    width = 32
    while width > 0:
        below = np.int64(popcount(word & ((_ONE << np.uint64(width)) - _ONE)))
        if k >= below:
            k -= below
            place += width
            word >>= np.uint64(width)
        width >>= 1
    return place


@inline
def position(pos, row):
    """Return the compressed position of `row`, -1 if it is left out; a zero-length `pos` leaves none out."""
    if pos.size == 0:
        return row
    return pos[row]


@njit
def ranks(order):
    """Return the inverse of a permutation: `ranks[order[i]] = i`.

    With `order` the positions of a lane sorted stably by (key, code), a set over these ranks holds each key's
    rows by value, equal values in row order.
    """
    inverse = np.empty(order.size, np.int64)
    for i in range(order.size):
        inverse[order[i]] = i
    return inverse
