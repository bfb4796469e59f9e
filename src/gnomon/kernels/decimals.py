"""Sums and means of Decimal lanes: exact in 128 bits and more, with the same walks as `sums`.

A Decimal(38, s) is an int128 in two lanes, `high: int64` and `low: uint64`; its value is the integer / 10**s.
A sum beyond ±(10**38 − 1) is `ok` 2, whatever its parts were. The mean is RN(sum / 10**s) / n, unbounded.
"""

from __future__ import annotations

import numpy as np

from gnomon.kernels._jit import inline, njit
from gnomon.kernels.limbs import MAX_ROWS, digits, rounded

__all__ = ["DECIMAL_SCRATCH", "fold_decimals", "replay_decimals", "slide_decimals"]

_LIMBS = 4
_EXTRA = 5
"""Digits below the sum in its quotient by 5**38: 2**160 / 5**38 leaves over 64 bits even of a sum of 1."""

_NUMBER = _EXTRA + _LIMBS + 1

DECIMAL_SCRATCH = _LIMBS + _NUMBER
"""Words of scratch that `fold_decimals` needs."""

_M32 = 0xFFFF_FFFF
_BEYOND = 10**38
_BEYOND_HIGH = np.uint64(_BEYOND >> 64)
_BEYOND_LOW = np.uint64(_BEYOND & 0xFFFF_FFFF_FFFF_FFFF)


@inline
def add_decimal(state, high, low, sign):
    """Add (`sign` 1) or take away (−1) one int128."""
    below = np.int64(low)
    state[0] += sign * (below & _M32)
    state[1] += sign * ((below >> 32) & _M32)
    state[2] += sign * (high & _M32)
    state[3] += sign * (high >> 32)


@inline
def finish_decimal(state, n, scale, number):
    """State of `n` terms → (high, low, mean, ok of the sum, ok of the mean)."""
    if n == 0:
        return np.int64(0), np.uint64(0), 0.0, 0, 0
    if n > MAX_ROWS:
        return np.int64(0), np.uint64(0), 0.0, 2, 2
    number[:_EXTRA] = 0
    sign = digits(state, number[_EXTRA:])
    low = np.uint64(number[_EXTRA]) | (np.uint64(number[_EXTRA + 1]) << np.uint64(32))
    high = np.uint64(number[_EXTRA + 2]) | (np.uint64(number[_EXTRA + 3]) << np.uint64(32))
    fits = number[_EXTRA + 4] == 0 and (high < _BEYOND_HIGH or (high == _BEYOND_HIGH and low < _BEYOND_LOW))
    if sign < 0:
        low = ~low + np.uint64(1)
        high = ~high + np.uint64(low == np.uint64(0))
    mean = sign * scaled(number, scale) / n
    return np.int64(high), low, mean, (1 if fits else 2), 1


@inline
def scaled(number, scale):
    """The float64 nearest to the digits above `_EXTRA` / 10**scale. The digits are overwritten."""
    sticky = False
    left = scale
    while left > 0:
        # 10**s = 5**s · 2**s, and 5**13 is the greatest power of five that divides digit by digit in 64 bits.
        step = min(left, 13)
        divisor = np.int64(5) ** step
        rest = np.int64(0)
        for i in range(_NUMBER - 1, -1, -1):
            part = (rest << 32) | number[i]
            number[i] = part // divisor
            rest = part - number[i] * divisor
        sticky = sticky or rest != 0
        left -= step
    return rounded(number, _NUMBER, -32 * _EXTRA - scale, sticky)


@inline
def write_decimal(slot, result, out_high, out_low, ok_sum, out_mean, ok_mean):
    if len(ok_sum):
        out_high[slot] = result[0]
        out_low[slot] = result[1]
        ok_sum[slot] = result[3]
    if len(ok_mean):
        out_mean[slot] = result[2]
        ok_mean[slot] = result[4]


@njit
def slide_decimals(
    high, low, scale, lo, hi, at, xhigh, xlow, xok, out_high, out_low, ok_sum, out_mean, ok_mean
):
    """Sums and means of windows that are ranges `[lo, hi)` of rows; lo and hi never decrease.

    high: int64[n], low: uint64[n] · scale: 0 to 38 · lo, hi, at: int64[q]
    xhigh, xlow: [q], xok: uint8[q]: the request's own row of each query, or length 0
    out_high: int64, out_low: uint64, out_mean: float64, ok_*: uint8; written at `at`; length 0 if not wanted
    """
    state = np.zeros(_LIMBS, np.int64)
    number = np.empty(_NUMBER, np.int64)
    start = end = np.int64(0)
    for i in range(len(lo)):
        if lo[i] - start > end - lo[i]:  # more to take away than to keep
            state[:] = 0
            start = end = lo[i]
        for row in range(start, lo[i]):
            add_decimal(state, high[row], low[row], -1)
        for row in range(end, hi[i]):
            add_decimal(state, high[row], low[row], 1)
        start = lo[i]
        end = hi[i]
        own = len(xok) != 0 and xok[i] != 0
        if own:
            add_decimal(state, xhigh[i], xlow[i], 1)
        result = finish_decimal(state, end - start + own, scale, number)
        if own:
            add_decimal(state, xhigh[i], xlow[i], -1)
        write_decimal(at[i], result, out_high, out_low, ok_sum, out_mean, ok_mean)


@njit
def replay_decimals(
    high, low, scale, tape, tape_end, pos, at, xhigh, xlow, xok, out_high, out_low, ok_sum, out_mean, ok_mean
):
    """Sums and means of windows whose rows come and go by a tape (see `sums.replay_sums`)."""
    state = np.zeros(_LIMBS, np.int64)
    number = np.empty(_NUMBER, np.int64)
    n = np.int64(0)
    done = np.int64(0)
    for i in range(len(tape_end)):
        for step in range(done, tape_end[i]):
            row = pos[tape[step] >> 1]
            if row >= 0:
                sign = 1 - 2 * (tape[step] & 1)
                add_decimal(state, high[row], low[row], sign)
                n += sign
        done = tape_end[i]
        own = len(xok) != 0 and xok[i] != 0
        if own:
            add_decimal(state, xhigh[i], xlow[i], 1)
        result = finish_decimal(state, n + own, scale, number)
        if own:
            add_decimal(state, xhigh[i], xlow[i], -1)
        write_decimal(at[i], result, out_high, out_low, ok_sum, out_mean, ok_mean)


@njit
def fold_decimals(high, low, scale, idx, m, scratch):
    """Sum and mean of the rows at `idx[:m]` → (high, low, mean, ok of the sum, ok of the mean).

    scratch: int64[DECIMAL_SCRATCH], content irrelevant before and after. Allocates nothing.
    """
    state = scratch[:_LIMBS]
    state[:] = 0
    for i in range(m):
        add_decimal(state, high[idx[i]], low[idx[i]], 1)
    return finish_decimal(state, m, scale, scratch[_LIMBS:])
