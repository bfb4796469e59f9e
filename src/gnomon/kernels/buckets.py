"""approx_quantile: the quantile of values that are each rounded to the middle of a logarithmic bucket.

A bucket is the floats of one sign and exponent that agree in the first 6 bits of their mantissa: the first 18
bits of their code (`gnomon.kernels.words`). So buckets are in the order of the values, their counts can be
added up and taken away again, and the state does not grow with the rows. The value between the two neighbours
of h = q(n − 1) is that of `gnomon.kernels.quantiles`.

Bounds: each of the two neighbours is within 1/128 (0.8 %) of the exact one, relatively, and so is the result
        where both have one sign; zeros, infinities and NaN are exact. What is below the least normal float,
        2.2e-308, is within 2**-1029.
"""

import numpy as np

from gnomon.kernels import active
from gnomon.kernels._jit import inline, njit
from gnomon.kernels.quantiles import between, place, quantiles_of
from gnomon.kernels.words import NAN_CODE, code_float, float_code

__all__ = ["fold_buckets", "middle", "replay_buckets", "slide_buckets"]

_SHIFT = 46
_HALF = 1 << (_SHIFT - 1)
_INFINITE = 0x7FF0_0000_0000_0000 >> _SHIFT
_NAN = NAN_CODE >> _SHIFT
_BELOW = 1 << (63 - _SHIFT)
"""Buckets of negative floats; −0.0 would be among them."""


@inline
def _bucket(code, floats):
    """The bucket of the float with this code, or of the float nearest to an integer."""
    if not floats:
        code = float_code(np.float64(code))
    return np.int64(code) >> _SHIFT


@inline
def _middle_of(bucket):
    magnitude = bucket if bucket >= 0 else -1 - bucket
    if magnitude == 0:
        return 0.0
    code = magnitude << _SHIFT
    if magnitude == _NAN:
        code = np.int64(NAN_CODE)
    elif magnitude != _INFINITE:
        code |= _HALF
    value = code_float(code)
    return value if bucket >= 0 else -value


@inline
def middle(code, floats):
    """Code of a float (`floats` true) or integer → the float that stands for its bucket."""
    return _middle_of(_bucket(code, floats))


# A state of a walk: how many rows are in each bucket, in each 64 buckets, and in each 4,096.


@inline
def _count(fine, middling, coarse, code, floats, sign):
    b = _bucket(code, floats) + _BELOW
    fine[b] += sign
    middling[b >> 6] += sign
    coarse[b >> 12] += sign


@inline
def _kth(fine, middling, coarse, k):
    """The bucket of the `k`-th smallest value, from 0."""
    b = 0
    while k >= coarse[b]:
        k -= coarse[b]
        b += 1
    b <<= 6
    while k >= middling[b]:
        k -= middling[b]
        b += 1
    b <<= 6
    while k >= fine[b]:
        k -= fine[b]
        b += 1
    return b - _BELOW


@inline
def _finish(fine, middling, coarse, n, floats, qs, i, at, xcode, xok, out, ok):
    own = xok.size > 0 and xok[i] != 0
    if own:
        _count(fine, middling, coarse, xcode[i], floats, 1)
        n += 1
    ok[at[i]] = 1 if n > 0 else 0
    for w in range(qs.size):
        if n == 0:
            out[w, at[i]] = 0.0
            continue
        k, f = place(qs[w], n)
        a = _middle_of(_kth(fine, middling, coarse, k))
        b = a
        if f != 0.0:
            b = _middle_of(_kth(fine, middling, coarse, k + 1))
        out[w, at[i]] = between(a, b, f)
    if own:
        _count(fine, middling, coarse, xcode[i], floats, -1)


@inline
def _empty():
    size = 2 * _BELOW
    return np.zeros(size, np.int64), np.zeros(size >> 6, np.int64), np.zeros(size >> 12, np.int64)


@njit
def slide_buckets(code, floats, lo, hi, at, qs, xcode, xok, out, ok):
    """Write the approximate quantiles `qs` of each window `[lo, hi)`; arguments as of `slide_quantiles`.

    Cost:   O(rows in some window + q · w · 100); 2 MB.
    """
    fine, middling, coarse = _empty()
    start = 0
    end = 0
    n = 0
    for i in range(at.size):
        for p in range(start, min(lo[i], end)):
            _count(fine, middling, coarse, code[p], floats, -1)
            n -= 1
        start = lo[i]
        for p in range(max(start, end), hi[i]):
            _count(fine, middling, coarse, code[p], floats, 1)
            n += 1
        end = max(end, hi[i])
        _finish(fine, middling, coarse, n, floats, qs, i, at, xcode, xok, out, ok)


@njit
def replay_buckets(code, floats, tape, tape_end, pos, at, qs, xcode, xok, out, ok):
    """Like `slide_buckets`, for the rows that a tape adds and removes."""
    fine, middling, coarse = _empty()
    done = 0
    n = 0
    for i in range(at.size):
        for j in range(done, tape_end[i]):
            p = active.position(pos, tape[j] >> 1)
            if p < 0:
                continue
            sign = 1 - 2 * (tape[j] & 1)
            _count(fine, middling, coarse, code[p], floats, sign)
            n += sign
        done = tape_end[i]
        _finish(fine, middling, coarse, n, floats, qs, i, at, xcode, xok, out, ok)


@njit
def fold_buckets(code, floats, idx, m, qs, scratch, out):
    """Write the approximate quantiles `qs` of the codes at `idx[:m]` to `out[:w]`; return whether there was any row.

    Shape:  scratch int64[m] or longer. The request's own row is one more position.
    """
    for j in range(m):
        scratch[j] = float_code(middle(code[idx[j]], floats))
    return quantiles_of(scratch, m, True, qs, out)
