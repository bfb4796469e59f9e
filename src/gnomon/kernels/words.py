"""Words: the 64-bit integers that stand for values, and the few bit operations that kernels share.

A float's *code* is an int64 that orders as the values of SEMANTICS §4 do: −inf < … < −0.0 < 0.0 < … < inf <
NaN. Equal codes are equal values, every NaN has the one code `NAN_CODE`, and `code_float` gives the value
back.
"""

from __future__ import annotations

import numpy as np

from gnomon.kernels._jit import inline, njit

__all__ = [
    "NAN_CODE",
    "bit_length",
    "code_float",
    "code_floats",
    "float_code",
    "float_codes",
    "popcount",
    "trailing_zeros",
]

NAN_CODE = 0x7FF8_0000_0000_0000
"""The code of every NaN, greater than that of any other float."""

_MAGNITUDE = 0x7FFF_FFFF_FFFF_FFFF


@inline
def float_code(value):
    """float64 → int64: the code of one value."""
    if value != value:
        return np.int64(NAN_CODE)
    bits = np.float64(value).view(np.int64)
    return bits ^ ((bits >> 63) & _MAGNITUDE)


@inline
def code_float(code):
    """int64 → float64: the value of one code; `NAN_CODE` gives the one canonical NaN."""
    return np.int64(code ^ ((code >> 63) & _MAGNITUDE)).view(np.float64)


@njit
def float_codes(values):
    """float64[n] → int64[n]: the codes of a column."""
    codes = np.empty(len(values), np.int64)
    for i in range(len(values)):
        codes[i] = float_code(values[i])
    return codes


@njit
def code_floats(codes):
    """int64[n] → float64[n]: the values of a column of codes."""
    values = np.empty(len(codes), np.float64)
    for i in range(len(codes)):
        values[i] = code_float(codes[i])
    return values


@inline
def popcount(word):
    """uint64 → int64: the number of set bits. LLVM makes one instruction of the pattern."""
    word = word - ((word >> np.uint64(1)) & np.uint64(0x5555_5555_5555_5555))
    word = (word & np.uint64(0x3333_3333_3333_3333)) + (
        (word >> np.uint64(2)) & np.uint64(0x3333_3333_3333_3333)
    )
    word = (word + (word >> np.uint64(4))) & np.uint64(0x0F0F_0F0F_0F0F_0F0F)
    return np.int64((word * np.uint64(0x0101_0101_0101_0101)) >> np.uint64(56))


@inline
def bit_length(word):
    """uint64 → int64: the number of bits up to the highest set one; 0 for 0."""
    word |= word >> np.uint64(1)
    word |= word >> np.uint64(2)
    word |= word >> np.uint64(4)
    word |= word >> np.uint64(8)
    word |= word >> np.uint64(16)
    word |= word >> np.uint64(32)
    return popcount(word)


@inline
def trailing_zeros(word):
    """uint64 → int64: the position of the lowest set bit; 64 for 0."""
    return popcount(~word & (word - np.uint64(1)))
