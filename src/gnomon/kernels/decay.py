"""decayed_sum: values that lose half their weight every half-life, each rounded, summed exactly, rounded once.

A row's term is x · 2^(−age/half_life), with x as a float64 and age = t − event_time. `weight` is the only power
function: (m, n) with 2^(−age/half_life) = m · 2^(−n), n whole half-lives, m in (0.5, 1] from a table and a
polynomial in plain multiplications and additions, which give the same bits on every machine. The term is
x · m, rounded, then moved by n binary places; what falls below the normal floats is rounded there once more.
Infinities and NaN stay what they are, however old. The sum of the terms is that of `gnomon.kernels.sums`.

Bounds: m is within 2 units in its last place of the true value, and exact where age is a multiple of a 64th of
        half_life that has no rest. 0 <= age < 2**63, half_life >= 1, in microseconds.
"""

from __future__ import annotations

from decimal import Context, Decimal

import numpy as np

from gnomon.kernels import active
from gnomon.kernels._jit import inline, njit
from gnomon.kernels.limbs import rounded_bits, split_float
from gnomon.kernels.sums import SUM_SCRATCH, fold_sums
from gnomon.kernels.words import bit_length, code_float, float_code

__all__ = ["decayed", "fold_decayed", "replay_decayed", "slide_decayed", "weight"]

_STEPS = 64


def _power(exponent: Decimal) -> float:
    """2**exponent, correctly rounded."""
    return float(Context(prec=60).power(Decimal(2), exponent))


_TABLE = np.array([_power(Decimal(-i) / _STEPS) for i in range(_STEPS + 1)])
"""2**(−i/64)."""

# 2**(−r) = 1 + r·_C1 + r²·_C2 + …: powers of −ln 2 over factorials.
_C1, _C2, _C3 = -0.6931471805599453, 0.2402265069591007, -0.05550410866482158
_C4, _C5, _C6 = 0.009618129107628477, -0.0013333558146428443, 0.00015403530393381608

_BIAS = 1075
_GONE = 4096  # half-lives after which nothing is left of any float
_INFINITE = 0x7FF0_0000_0000_0000


@inline
def weight(age, half_life):
    """2**(−age / half_life) as (m, n): m · 2**(−n), m float64 in (0.5, 1], n the whole half-lives."""
    n = age // half_life
    f = np.float64(age - n * half_life) / np.float64(half_life)
    step = np.int64(f * _STEPS + 0.5)
    r = f - np.float64(step) / _STEPS
    s = _C5 + r * _C6
    s = _C4 + r * s
    s = _C3 + r * s
    s = _C2 + r * s
    s = _C1 + r * s
    base = _TABLE[step]
    return base + base * (r * s), n


@inline
def _moved(value, n):
    """value · 2**(−n), rounded to nearest even where that is below the normal floats."""
    code = float_code(value)
    magnitude = code ^ (code >> 63)
    if magnitude == 0 or magnitude >= _INFINITE:
        return value
    if (magnitude >> 52) > n:
        moved = np.int64(magnitude - (n << 52)).view(np.float64)
    else:
        n = min(n, _GONE)
        mantissa, exponent = split_float(code)
        space = 64 - bit_length(np.uint64(mantissa))
        moved = rounded_bits(np.uint64(mantissa) << np.uint64(space), exponent - _BIAS - space - n, False)
    return moved if code >= 0 else -moved


@inline
def decayed(value, age, half_life):
    """float64 → its term at that age."""
    m, n = weight(age, half_life)
    return _moved(value * m, n)


@inline
def _term(code, floats, age, half_life):
    """Code of a value → code of its term."""
    return float_code(decayed(code_float(code) if floats else np.float64(code), age, half_life))


@inline
def _finish(terms, every, n, scratch, place, out, ok):
    word, _, found, _ = fold_sums(terms, True, every, n, scratch)
    out[place] = np.int64(word).view(np.float64)
    ok[place] = found


@njit
def slide_decayed(code, floats, time, t, half_life, lo, hi, at, xcode, xok, out, ok):
    """Write the decayed sum of each window `[lo, hi)` to `out[at[i]]`, with its `ok` (`gnomon.kernels.sums`).

    Shape:  code as of `slide_sums`; time int64[m] of the same positions; t int64[q].
    Cost:   O(rows of all windows together): at another t each row has another weight.
    """
    longest = 0
    for i in range(at.size):
        longest = max(longest, hi[i] - lo[i])
    terms = np.empty(longest + 1, np.int64)
    every = np.arange(longest + 1)
    scratch = np.empty(SUM_SCRATCH, np.int64)
    for i in range(at.size):
        n = 0
        for p in range(lo[i], hi[i]):
            terms[n] = _term(code[p], floats, t[i] - time[p], half_life)
            n += 1
        if xok.size > 0 and xok[i] != 0:
            terms[n] = _term(xcode[i], floats, 0, half_life)
            n += 1
        _finish(terms, every, n, scratch, at[i], out, ok)


@njit
def replay_decayed(code, floats, time, t, half_life, tape, tape_end, pos, at, xcode, xok, out, ok):
    """Like `slide_decayed`, for the rows that a tape adds and removes."""
    words, base = active.make(code.size)
    terms = np.empty(code.size + 1, np.int64)
    every = np.arange(code.size + 1)
    scratch = np.empty(SUM_SCRATCH, np.int64)
    done = 0
    for i in range(at.size):
        for j in range(done, tape_end[i]):
            p = active.position(pos, tape[j] >> 1)
            if p < 0:
                continue
            if tape[j] & 1:
                active.remove(words, base, p)
            else:
                active.add(words, base, p)
        done = tape_end[i]
        n = 0
        p = active.first(words, base)
        while p >= 0:
            terms[n] = _term(code[p], floats, t[i] - time[p], half_life)
            n += 1
            p = active.following(words, base, p)
        if xok.size > 0 and xok[i] != 0:
            terms[n] = _term(xcode[i], floats, 0, half_life)
            n += 1
        _finish(terms, every, n, scratch, at[i], out, ok)


@njit
def fold_decayed(code, floats, times, picked, t, half_life, idx, m, own, every, terms, scratch):
    """Decayed sum of the positions `idx[:m]` → (word of the sum, ok).

    Shape:  picked int64[…]: position → place in `times`; position `own` is the request's row, of age 0;
            every int64[m] or longer: 0, 1, 2, …; terms int64[m] or longer, scratch int64[SUM_SCRATCH], content
            irrelevant.
    """
    for j in range(m):
        age = 0 if idx[j] == own else t - times[picked[idx[j]]]
        terms[j] = _term(code[idx[j]], floats, age, half_life)
    word, _, ok, _ = fold_sums(terms, True, every, m, scratch)
    return word, ok
