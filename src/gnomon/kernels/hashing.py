"""Rows → 128-bit content hashes, column by column.

Row ids are made of these hashes and are stored, so the function is stable for ever: a change here is a change
of every stored id (the known-answer test says so). It is MurmurHash3_x64_128's mixing over blocks of 16
bytes. Each column opens with a block that holds its kind and its word or length, so no two different rows of
one schema feed the same blocks: null differs from every value, ("a", "bc") from ("ab", "c").

    h1, h2 = start(n)
    absorb_words(h1, h2, words, valid)              # integers, times, booleans, bits of floats
    absorb_bytes(h1, h2, offsets, data, valid)      # text, binary
    finish(h1, h2)
    with_ordinals(h1, h2)                           # only where equal rows of one batch all count

Not for adversaries: it is no cryptographic hash.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gnomon.kernels._jit import inline, njit

__all__ = [
    "absorb_bytes",
    "absorb_words",
    "byte_hashes",
    "finish",
    "hash_bytes",
    "hash_wide",
    "hash_word",
    "start",
    "wide_hashes",
    "with_ordinals",
    "word_hashes",
]

# What a block is, in its second word. Stored ids depend on these numbers.
_NULL = np.uint64(1)
_WORD = np.uint64(2)
_BYTES = np.uint64(3)
_ORDINAL = np.uint64(4)

_C1 = np.uint64(0x87C37B91114253D5)
_C2 = np.uint64(0x4CF5AD432745937F)
_N1 = np.uint64(0x52DCE729)
_N2 = np.uint64(0x38495AB5)
_F1 = np.uint64(0xFF51AFD7ED558CCD)
_F2 = np.uint64(0xC4CEB9FE1A85EC53)

_ZERO = np.uint64(0)
_ONE = np.uint64(1)
_FIVE = np.uint64(5)
_EIGHT = np.uint64(8)
_SIXTEEN = np.uint64(16)


@inline
def _rotated(x, r):
    return (x << np.uint64(r)) | (x >> np.uint64(64 - r))


@inline
def _mixed(h1, h2, k1, k2):
    """One block (k1, k2) into the state."""
    h1 ^= _rotated(k1 * _C1, 31) * _C2
    h1 = (_rotated(h1, 27) + h2) * _FIVE + _N1
    h2 ^= _rotated(k2 * _C2, 33) * _C1
    h2 = (_rotated(h2, 31) + h1) * _FIVE + _N2
    return h1, h2


@inline
def _avalanche(x):
    x = (x ^ (x >> np.uint64(33))) * _F1
    x = (x ^ (x >> np.uint64(33))) * _F2
    return x ^ (x >> np.uint64(33))


@inline
def _finished(h1, h2):
    h1 += h2
    h2 += h1
    h1 = _avalanche(h1)
    h2 = _avalanche(h2)
    h1 += h2
    return h1, h2 + h1


@inline
def _eight_bytes(data, at):
    """data[at : at + 8] as a little-endian word; spelled out so that it compiles to one load."""
    return (
        np.uint64(data[at])
        | np.uint64(data[at + _ONE]) << np.uint64(8)
        | np.uint64(data[at + np.uint64(2)]) << np.uint64(16)
        | np.uint64(data[at + np.uint64(3)]) << np.uint64(24)
        | np.uint64(data[at + np.uint64(4)]) << np.uint64(32)
        | np.uint64(data[at + np.uint64(5)]) << np.uint64(40)
        | np.uint64(data[at + np.uint64(6)]) << np.uint64(48)
        | np.uint64(data[at + np.uint64(7)]) << np.uint64(56)
    )


@inline
def _last_bytes(data, at, end):
    """data[at : min(at + 8, end)] as a little-endian word, padded with zeros."""
    word = _ZERO
    shift = _ZERO
    while at < end and shift < np.uint64(64):
        word |= np.uint64(data[at]) << shift
        shift += _EIGHT
        at += _ONE
    return word


@inline
def _mixed_bytes(a, b, data, at, end):
    """data[at : end] into the state."""
    a, b = _mixed(a, b, end - at, _BYTES)
    while end - at >= _SIXTEEN:
        a, b = _mixed(a, b, _eight_bytes(data, at), _eight_bytes(data, at + _EIGHT))
        at += _SIXTEEN
    if at < end:
        high = _last_bytes(data, at + _EIGHT, end) if end - at > _EIGHT else _ZERO
        a, b = _mixed(a, b, _last_bytes(data, at, end), high)
    return a, b


def start(n: int) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Return the state of `n` rows before their first column."""
    return np.zeros(n, np.uint64), np.zeros(n, np.uint64)


@njit
def absorb_words(
    h1: NDArray[np.uint64], h2: NDArray[np.uint64], words: NDArray[np.int64], valid: NDArray[np.uint8]
) -> None:
    """Mix a column of 8-byte values into the state, in place. Where `valid` is 0 the word does not matter.

    Shape: all of length n.
    """
    for i in range(len(words)):
        if valid[i]:
            h1[i], h2[i] = _mixed(h1[i], h2[i], np.uint64(words[i]), _WORD)
        else:
            h1[i], h2[i] = _mixed(h1[i], h2[i], _ZERO, _NULL)


@njit
def absorb_bytes(
    h1: NDArray[np.uint64],
    h2: NDArray[np.uint64],
    offsets: NDArray[np.int64],
    data: NDArray[np.uint8],
    valid: NDArray[np.uint8],
) -> None:
    """Mix a column of byte strings into the state, in place. Where `valid` is 0 the bytes do not matter.

    Shape: offsets n + 1; row i is data[offsets[i] : offsets[i + 1]]; the others n.
    """
    for i in range(len(offsets) - 1):
        if not valid[i]:
            h1[i], h2[i] = _mixed(h1[i], h2[i], _ZERO, _NULL)
            continue
        h1[i], h2[i] = _mixed_bytes(h1[i], h2[i], data, np.uint64(offsets[i]), np.uint64(offsets[i + 1]))


@njit
def finish(h1: NDArray[np.uint64], h2: NDArray[np.uint64]) -> None:
    """Turn states into hashes, in place, after the last column."""
    for i in range(len(h1)):
        h1[i], h2[i] = _finished(h1[i], h2[i])


# --- hashes of single values: the first half of the hash of a row that has this value alone ---------------


@inline
def hash_word(word):
    """An 8-byte value → its hash, int64."""
    a, b = _mixed(_ZERO, _ZERO, np.uint64(word), _WORD)
    return np.int64(_finished(a, b)[0])


@inline
def hash_wide(high, low):
    """A 16-byte value in two words → its hash, int64."""
    a, b = _mixed(_ZERO, _ZERO, np.uint64(high), _WORD)
    a, b = _mixed(a, b, np.uint64(low), _WORD)
    return np.int64(_finished(a, b)[0])


@inline
def hash_bytes(data, first, length):
    """data[first : first + length] → its hash, int64."""
    a, b = _mixed_bytes(_ZERO, _ZERO, data, np.uint64(first), np.uint64(first + length))
    return np.int64(_finished(a, b)[0])


@njit
def word_hashes(words: NDArray[np.int64]) -> NDArray[np.int64]:
    """The hashes of a column of 8-byte values, [n]."""
    found = np.empty(len(words), np.int64)
    for i in range(len(words)):
        found[i] = hash_word(words[i])
    return found


@njit
def wide_hashes(high: NDArray[np.int64], low: NDArray[np.uint64]) -> NDArray[np.int64]:
    """The hashes of a column of 16-byte values in two halves, [n]."""
    found = np.empty(len(high), np.int64)
    for i in range(len(high)):
        found[i] = hash_wide(high[i], low[i])
    return found


@njit
def byte_hashes(offsets: NDArray[np.int64], data: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The hashes of a column of byte strings, [n]."""
    found = np.empty(len(offsets) - 1, np.int64)
    for i in range(len(offsets) - 1):
        found[i] = hash_bytes(data, offsets[i], offsets[i + 1] - offsets[i])
    return found


def with_ordinals(h1: NDArray[np.uint64], h2: NDArray[np.uint64]) -> None:
    """Tell equal rows of one batch apart, in place: the k-th repetition of a hash mixes k in.

    So the set of ids depends only on how often each row occurs: the batch delivered again gives the same ids.

    Cost: O(n); a table of about 2n words.
    """
    n = len(h1)
    capacity = 1 << max(4, (4 * n // 3).bit_length())
    # From NumPy, which asks the system for huge pages and, for zeros, touches none before they are used.
    _mix_ordinals(
        h1, h2, np.zeros(capacity, np.uint64), np.zeros(n, np.int64), np.uint64((1 << n.bit_length()) - 1)
    )


@njit
def _mix_ordinals(h1, h2, table, seen, row_bits):
    """Look hashes up by open addressing.

    An entry of `table` is 0 where free. Else its `row_bits` hold 1 + the first row of a hash, its other bits
    those of that row's h2, so most unequal rows are told apart without a look at their hashes.
    """
    last = np.uint64(len(table) - 1)
    for i in range(len(h1)):
        a, b = h1[i], h2[i]
        slot = a & last
        while True:
            entry = table[slot]
            if entry == _ZERO:
                table[slot] = (b & ~row_bits) | np.uint64(i + 1)
                break
            if (entry ^ b) & ~row_bits == _ZERO:
                # Only first rows are in the table, and theirs is the hash that never changes.
                first = np.int64(entry & row_bits) - 1
                if h1[first] == a and h2[first] == b:
                    seen[first] += 1
                    a, b = _mixed(a, b, np.uint64(seen[first]), _ORDINAL)
                    h1[i], h2[i] = _finished(a, b)
                    break
            slot = (slot + _ONE) & last
