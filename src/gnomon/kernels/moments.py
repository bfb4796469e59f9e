"""Variances and standard deviations of windows: RN(n Σx² − (Σx)²) / RN(n (n − ddof)), the numerator exact.

Σx and Σx² are exact sums (`limbs`), so rows come and go without a trace, and the numerator is one big integer
that is rounded once. `ok` codes: 0 null (n ≤ ddof), 1 a value, 2 could not be computed (a numerator beyond
float64, or over `MAX_ROWS` rows at once). An infinity or NaN among the rows gives NaN.
"""

from __future__ import annotations

import numpy as np

from gnomon.kernels._jit import inline, njit
from gnomon.kernels.limbs import (
    MAX_FLOAT_LIMBS,
    MAX_ROWS,
    SPECIALS,
    add_term,
    digits,
    grid_of,
    is_special,
    rounded,
    split_float,
)

__all__ = ["MOMENT_SCRATCH", "fold_moments", "replay_moments", "slide_moments"]

_M32 = np.uint64(0xFFFF_FFFF)
_32 = np.uint64(32)
_BIAS = 1075


@inline
def scratch_size(limbs):
    """Words of scratch of `finish_moments` for a grid of that many limbs: the digits of |Σx| and of n Σx²."""
    return (limbs + 1) + (square_limbs(limbs) + 2)


@inline
def square_limbs(limbs):
    """Limbs of Σx², base twice that of Σx: twice as many bits, and one limb for a square's carry."""
    return 2 * limbs + 1


MOMENT_SCRATCH = (SPECIALS + MAX_FLOAT_LIMBS) + (2 * MAX_FLOAT_LIMBS + 1) + (3 * MAX_FLOAT_LIMBS + 4)
"""Words of scratch that `fold_moments` needs."""


@inline
def add_square(squares, code, sign, real, base):
    """Add (`sign` 1) or take away (−1) the square of a value; infinities and NaN have none."""
    if real:
        if is_special(code):
            return
        magnitude, exponent = split_float(code)
        if magnitude == 0:
            return
        shift = 2 * (exponent - _BIAS - base)
    else:
        magnitude = abs(code)  # −2**63 stays itself, and is 2**63 as a uint64
        shift = np.int64(0)
    # (2**32 h + l)² in four digits of 32 bits.
    l = np.uint64(magnitude) & _M32
    h = np.uint64(magnitude) >> _32
    lowest = l * l
    middle = l * h
    second = (lowest >> _32) + ((middle << np.uint64(1)) & _M32)
    third = (middle >> np.uint64(31)) + ((h * h) & _M32) + (second >> _32)
    fourth = ((h * h) >> _32) + (third >> _32)
    k = np.uint64(shift >> 5)
    r = np.uint64(shift & 31)
    carry = add_digit(squares, k, lowest & _M32, r, np.uint64(0), sign)
    carry = add_digit(squares, k + np.uint64(1), second & _M32, r, carry, sign)
    carry = add_digit(squares, k + np.uint64(2), third & _M32, r, carry, sign)
    carry = add_digit(squares, k + np.uint64(3), fourth, r, carry, sign)
    squares[k + np.uint64(4)] += sign * np.int64(carry)


@inline
def add_digit(squares, k, digit, r, carry, sign):
    """Add the low half of `digit << r` and what the digit below left over; returns the high half."""
    moved = digit << r
    squares[k] += sign * np.int64((moved & _M32) + carry)
    return moved >> _32


@inline
def finish_moments(state, squares, n, ddof, base, scratch):
    """States of `n` terms → (variance, its square root, ok)."""
    if n <= ddof:
        return 0.0, 0.0, 0
    if n > MAX_ROWS:
        return 0.0, 0.0, 2
    if state[0] > 0 or state[1] > 0 or state[2] > 0:
        return np.nan, np.nan, 1
    limbs = len(state) - SPECIALS
    total = scratch[: limbs + 1]
    number = scratch[limbs + 1 : scratch_size(limbs)]
    digits(state[SPECIALS:], total)
    digits(squares, number)
    multiply(number, n)
    subtract_square(number, total)
    numerator = rounded(number, len(number), 2 * base, False)
    if numerator == np.inf:
        return 0.0, 0.0, 2
    variance = numerator / np.float64(n * (n - ddof))
    return variance, np.sqrt(variance), 1


@inline
def multiply(number, factor):
    """number *= factor, for a factor up to 2**30; the last digit is not read and takes the carry."""
    last = len(number) - 1
    carry = np.int64(0)
    for i in range(last):
        part = number[i] * factor + carry
        number[i] = part & 0xFFFF_FFFF
        carry = part >> 32
    number[last] = carry


@inline
def subtract_square(number, root):
    """number −= root², digit by digit; the result is not negative."""
    low = 0
    high = len(root)
    while low < high and root[low] == 0:
        low += 1
    while high > low and root[high - 1] == 0:
        high -= 1
    for i in range(low, high):
        borrow = np.uint64(0)
        for j in range(low, high):
            part = np.uint64(root[i]) * np.uint64(root[j]) + borrow
            rest = number[i + j] - np.int64(part & _M32)
            number[i + j] = rest & 0xFFFF_FFFF
            borrow = (part >> _32) + np.uint64(rest < 0)
        k = i + high
        while borrow != np.uint64(0):
            rest = number[k] - np.int64(borrow)
            number[k] = rest & 0xFFFF_FFFF
            borrow = np.uint64(rest < 0)
            k += 1


@inline
def write_moments(slot, result, out_var, ok_var, out_std, ok_std):
    if len(ok_var):
        out_var[slot] = result[0]
        ok_var[slot] = result[2]
    if len(ok_std):
        out_std[slot] = result[1]
        ok_std[slot] = result[2]


# The walks repeat one loop on purpose: Numba inlines `add_term` and `add_square` into each: no call is left for a row.
@njit
def slide_moments(code, real, base, limbs, ddof, lo, hi, at, xcode, xok, out_var, ok_var, out_std, ok_std):
    """Variances and standard deviations of windows that are ranges `[lo, hi)` of rows; lo, hi never decrease.

    code: int64[n] · real: bool · base, limbs: `grid(code and xcode)` or `INT_GRID` · ddof: 0 or 1
    lo, hi, at: int64[q] · xcode: int64[q], xok: uint8[q]: the request's own rows, or length 0
    out_*: float64, ok_*: uint8; written at `at`; length 0 where not wanted
    """
    state = np.zeros(SPECIALS + limbs, np.int64)
    squares = np.zeros(square_limbs(limbs), np.int64)
    scratch = np.empty(scratch_size(limbs), np.int64)
    start = end = np.int64(0)
    for i in range(len(lo)):
        if lo[i] - start > end - lo[i]:  # more to take away than to keep
            state[:] = 0
            squares[:] = 0
            start = end = lo[i]
        for row in range(start, lo[i]):
            add_term(state, code[row], -1, real, base)
            add_square(squares, code[row], -1, real, base)
        for row in range(end, hi[i]):
            add_term(state, code[row], 1, real, base)
            add_square(squares, code[row], 1, real, base)
        start = lo[i]
        end = hi[i]
        own = len(xok) != 0 and xok[i] != 0
        if own:
            add_term(state, xcode[i], 1, real, base)
            add_square(squares, xcode[i], 1, real, base)
        result = finish_moments(state, squares, end - start + own, ddof, base, scratch)
        if own:
            add_term(state, xcode[i], -1, real, base)
            add_square(squares, xcode[i], -1, real, base)
        write_moments(at[i], result, out_var, ok_var, out_std, ok_std)


@njit
def replay_moments(
    code, real, base, limbs, ddof, tape, tape_end, pos, at, xcode, xok, out_var, ok_var, out_std, ok_std
):
    """Variances and standard deviations of windows whose rows come and go by a tape (`sums.replay_sums`)."""
    state = np.zeros(SPECIALS + limbs, np.int64)
    squares = np.zeros(square_limbs(limbs), np.int64)
    scratch = np.empty(scratch_size(limbs), np.int64)
    n = np.int64(0)
    done = np.int64(0)
    for i in range(len(tape_end)):
        for step in range(done, tape_end[i]):
            row = pos[tape[step] >> 1]
            if row >= 0:
                sign = 1 - 2 * (tape[step] & 1)
                add_term(state, code[row], sign, real, base)
                add_square(squares, code[row], sign, real, base)
                n += sign
        done = tape_end[i]
        own = len(xok) != 0 and xok[i] != 0
        if own:
            add_term(state, xcode[i], 1, real, base)
            add_square(squares, xcode[i], 1, real, base)
        result = finish_moments(state, squares, n + own, ddof, base, scratch)
        if own:
            add_term(state, xcode[i], -1, real, base)
            add_square(squares, xcode[i], -1, real, base)
        write_moments(at[i], result, out_var, ok_var, out_std, ok_std)


@njit
def fold_moments(code, real, idx, m, ddof, scratch):
    """Variance and standard deviation of the rows `code[idx[:m]]` → (variance, standard deviation, ok).

    scratch: int64[MOMENT_SCRATCH], content irrelevant before and after. Allocates nothing.
    """
    base, limbs = grid_of(code, idx, m) if real else (np.int64(0), np.int64(2))
    split = SPECIALS + limbs
    state = scratch[:split]
    squares = scratch[split : split + square_limbs(limbs)]
    state[:] = 0
    squares[:] = 0
    for i in range(m):
        add_term(state, code[idx[i]], 1, real, base)
        add_square(squares, code[idx[i]], 1, real, base)
    return finish_moments(state, squares, m, ddof, base, scratch[split + square_limbs(limbs) :])
