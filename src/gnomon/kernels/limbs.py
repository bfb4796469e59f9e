"""Exact sums: integers in limbs of 32 bits, each held in an int64, on a grid of powers of two.

A sum is `Σ limb[i] · 2**(base + 32 i)`. A term changes at most three neighbouring limbs (its square
five), each by less than 1.5 · 2**32 in magnitude, and carries are left where they are. So adding and
taking away is plain integer arithmetic modulo 2**64: order does not matter, what is taken away leaves no
trace, and as long as at most `MAX_ROWS` terms are in the sum no limb has lost a bit, however many have
come and gone. Only the end rounds, once: `digits` settles the carries, `rounded` gives the nearest
float64, ties to even.

A *state* is int64[SPECIALS + limbs]: how many NaN, +inf and −inf are in the sum, then the limbs.

Source: the superaccumulator of Neal (2015), arXiv:1505.05571, on a grid that fits the column.
"""

from __future__ import annotations

import numpy as np

from gnomon.kernels._jit import inline, njit
from gnomon.kernels.words import bit_length

__all__ = ["INT_GRID", "MAX_FLOAT_LIMBS", "MAX_ROWS", "SPECIALS", "grid"]

MAX_ROWS = 2**30
"""Terms that a sum may hold at one time: 2**30 · 1.5 · 2**32 < 2**63."""

SPECIALS = 3
"""Counters before the limbs of a state: NaN, +inf, −inf."""

MAX_FLOAT_LIMBS = 66
"""Limbs from the smallest subnormal to the greatest float64, two more for a term's own bits included."""

INT_GRID = (0, 2)
"""Base and number of limbs for int64 terms."""

_M32 = 0xFFFF_FFFF
_FRACTION = 0xF_FFFF_FFFF_FFFF
_IMPLICIT = 0x10_0000_0000_0000
_INFINITE = 0x7FF0_0000_0000_0000
_SPECIAL = 0x7FF  # the exponent field of infinities and NaN
_BIAS = 1075  # value = mantissa · 2**(exponent field − _BIAS)


@inline
def grid_of(code, idx, m):
    """Base and number of limbs for the floats at `code[idx[:m]]`, or at `code[:m]` if `idx` has length 0."""
    low = np.int64(_SPECIAL)
    high = np.int64(0)
    for i in range(m):
        word = code[idx[i]] if len(idx) else code[i]
        magnitude = word ^ (word >> 63)
        exponent = magnitude >> 52
        if magnitude != 0 and exponent != _SPECIAL:
            low = min(low, exponent)
            high = max(high, exponent)
    if low > high:  # zeros and specials only: none of them touches a limb
        return np.int64(0), np.int64(3)
    base = max(low, 1)
    return base - _BIAS, ((max(high, 1) - base) >> 5) + 3


@njit
def grid(code):
    """int64[n] codes of floats → (base, limbs): the smallest grid that takes the whole column exactly.

    Cost: one pass. Bounds: at most `MAX_FLOAT_LIMBS` limbs.
    """
    return grid_of(code, code[:0], len(code))


@inline
def split_float(code):
    """Code of a finite float → (mantissa m, exponent field e ≥ 1): |value| = m · 2**(e − 1075)."""
    magnitude = code ^ (code >> 63)
    exponent = magnitude >> 52
    mantissa = magnitude & _FRACTION
    if exponent == 0:
        return mantissa, np.int64(1)
    return mantissa | _IMPLICIT, exponent


@inline
def is_special(code):
    """Whether the code is that of an infinity or NaN."""
    return (code ^ (code >> 63)) >= _INFINITE


@inline
def count_special(state, code, sign):
    """Add (`sign` 1) or take away (−1) an infinity or NaN."""
    if (code ^ (code >> 63)) > _INFINITE:
        state[0] += sign
    elif code > 0:
        state[1] += sign
    else:
        state[2] += sign


@inline
def add_float(state, code, sign, base):
    """Add (`sign` 1) or take away (−1) the float with this code."""
    if is_special(code):
        count_special(state, code, sign)
        return
    mantissa, exponent = split_float(code)
    if mantissa == 0:  # has no place on the grid: its exponent may lie below the base
        return
    shift = exponent - _BIAS - base
    k = np.uint64(SPECIALS + (shift >> 5))
    r = shift & 31
    low = (mantissa & _M32) << r
    high = (mantissa >> 32) << r
    sign *= 1 | (code >> 63)  # no branch: it would be mispredicted for every other row
    state[k] += sign * (low & _M32)
    state[k + np.uint64(1)] += sign * ((low >> 32) + (high & _M32))
    state[k + np.uint64(2)] += sign * (high >> 32)


@inline
def add_int(state, value, sign):
    """Add (`sign` 1) or take away (−1) an int64; the state has two limbs with base 0."""
    state[SPECIALS] += sign * (value & _M32)
    state[SPECIALS + 1] += sign * (value >> 32)


@inline
def add_term(state, code, sign, real, base):
    """Add or take away one value: the float with this code if `real`, else the integer itself."""
    if real:
        add_float(state, code, sign, base)
    else:
        add_int(state, code, sign)


@inline
def digits(limbs, out):
    """Settle the carries of int64[n] limbs: `out[:n + 1]` become the base-2**32 digits of the magnitude.

    Returns the sign of the sum (−1, 1; 1 for zero).
    """
    n = len(limbs)
    carry = np.int64(0)
    for i in range(n):
        carry = (limbs[i] + carry) >> 32
    sign = np.int64(-1) if carry < 0 else np.int64(1)
    carry = np.int64(0)
    for i in range(n):
        part = sign * limbs[i] + carry
        out[i] = part & _M32
        carry = part >> 32
    out[n] = carry
    return sign


@inline
def rounded(number, n, base, sticky):
    """The float64 nearest to `Σ number[i] · 2**(base + 32 i)`, ties to even; inf beyond the greatest float64.

    number: int64 digits in [0, 2**32), of which the lowest `n` count; sticky: the value is a little above
    that sum, by less than one unit of its lowest digit (there are two digits or more below the leading one
    then).
    """
    i = n - 1
    while i >= 0 and number[i] == 0:
        i -= 1
    if i < 0:
        return 0.0
    # The 64 bits from the highest set one on, and whether anything is set below them.
    space = 32 - bit_length(np.uint64(number[i]))
    below = number[i - 1] if i >= 1 else np.int64(0)
    rest = number[i - 2] if i >= 2 else np.int64(0)
    leading = (np.uint64((number[i] << 32) | below) << np.uint64(space)) | np.uint64(rest >> (32 - space))
    sticky = sticky or (rest & ((np.int64(1) << (32 - space)) - 1)) != 0
    k = i - 3
    while k >= 0 and not sticky:
        sticky = number[k] != 0
        k -= 1
    return rounded_bits(leading, base + 32 * (i - 1) - space, sticky)


@inline
def rounded_bits(leading, exponent, sticky):
    """The float64 nearest to `leading · 2**exponent`, or a little above it if `sticky`; ties to even.

    leading: uint64 with its highest bit set. Subnormal results are rounded at their own last bit.
    """
    drop = np.int64(11)
    if exponent + drop < 1 - _BIAS:
        drop = 1 - _BIAS - exponent
    if drop > 64:
        return 0.0
    if drop == 64:
        kept = np.uint64(0)
        rest = leading
    else:
        kept = leading >> np.uint64(drop)
        rest = leading & ((np.uint64(1) << np.uint64(drop)) - np.uint64(1))
    half = np.uint64(1) << np.uint64(drop - 1)
    if rest > half or (rest == half and (sticky or (kept & np.uint64(1)) != np.uint64(0))):
        kept += np.uint64(1)
    bits = np.int64(kept)
    if drop == 11:
        # A mantissa that rounded up to 2**53 carries into the exponent field by itself.
        bits += ((exponent + drop + _BIAS) << 52) - _IMPLICIT
        if exponent + drop + _BIAS >= _SPECIAL:
            bits = np.int64(_INFINITE)
    return np.int64(bits).view(np.float64)
