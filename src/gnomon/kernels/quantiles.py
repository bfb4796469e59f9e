"""quantile and median: exact, by linear interpolation between neighbours in value order.

For `n` values x₀ ≤ x₁ ≤ … in the order of their codes (NaN greatest) and `h = q(n − 1)`: `a + (b − a) · f`
with `a = x[⌊h⌋]`, `b = x[⌊h⌋ + 1]`, `f = h − ⌊h⌋`, in float64; exactly `a` where `f = 0` or `a = b`. Integers
become float64 one by one. A result that is not a number is the one canonical NaN. No value → null.

Arguments are those of `gnomon.kernels.ordered`, and:
    code      int64[m]    codes of floats (`floats` true), else integers
    order     int64[m]    compressed positions, sorted by (key, code)
    rank      int64[m]    `active.ranks(order)`
    qs        float64[w]  the quantiles wanted of one window, each in [0, 1]
    out       float64[w, …], ok uint8[…]: written at `[:, at[i]]` and `[at[i]]`; ok is 0 for an empty window
"""

import numpy as np

from gnomon.kernels import active
from gnomon.kernels._jit import inline, njit
from gnomon.kernels.words import NAN_CODE, code_float

__all__ = ["between", "fold_quantiles", "place", "quantiles_of", "replay_quantiles", "slide_quantiles"]


@inline
def place(q, n):
    """Return `(⌊h⌋, f)` of quantile `q` among `n` values."""
    h = q * np.float64(n - 1)
    k = np.int64(np.floor(h))
    return k, h - np.float64(k)


@inline
def _value(c, floats):
    return code_float(c) if floats else np.float64(c)


@inline
def between(a, b, f):
    """Return the value at the fraction `f` of the way from `a` to `b`."""
    if f == 0.0 or a == b:
        return a
    value = a + (b - a) * f
    # Which of its many NaNs an operation gives is the processor's choice.
    return value if value == value else code_float(NAN_CODE)


@inline
def _smallest(words, base, counts, order, code, k, own_counts, own_code):
    """Return the code of the `k`-th smallest value of the set and, if it counts, the request's own row."""
    if not own_counts:
        return code[order[active.kth(words, base, counts, k)]]
    # With the own value among them, the k-th is the middle one of the own, the k-th and the one before it.
    if k < active.count(counts):
        c = code[order[active.kth(words, base, counts, k)]]
        if c <= own_code:
            return c
    if k > 0:
        c = code[order[active.kth(words, base, counts, k - 1)]]
        if c > own_code:
            return c
    return own_code


@inline
def _finish(words, base, counts, order, code, floats, qs, i, at, xcode, xok, out, ok):
    own_counts = xok.size > 0 and xok[i] != 0
    own_code = xcode[i] if own_counts else 0
    n = active.count(counts) + (1 if own_counts else 0)
    ok[at[i]] = 1 if n > 0 else 0
    for w in range(qs.size):
        if n == 0:
            out[w, at[i]] = 0.0
            continue
        k, f = place(qs[w], n)
        a = _value(_smallest(words, base, counts, order, code, k, own_counts, own_code), floats)
        b = a
        if f != 0.0:
            b = _value(_smallest(words, base, counts, order, code, k + 1, own_counts, own_code), floats)
        out[w, at[i]] = between(a, b, f)


@njit
def slide_quantiles(code, floats, order, rank, lo, hi, at, qs, xcode, xok, out, ok):
    """Write the quantiles `qs` of each window `[lo, hi)`.

    Cost:   O((rows in some window + q·w) · levels of the set); memory m/4 bytes.
    """
    words, base = active.make(code.size)
    counts = active.make_counts(words)
    start = 0
    end = 0
    for i in range(at.size):
        for p in range(start, min(lo[i], end)):
            active.remove_counted(words, base, counts, rank[p])
        start = lo[i]
        for p in range(max(start, end), hi[i]):
            active.add_counted(words, base, counts, rank[p])
        end = max(end, hi[i])
        _finish(words, base, counts, order, code, floats, qs, i, at, xcode, xok, out, ok)


@njit
def replay_quantiles(code, floats, order, rank, tape, tape_end, pos, at, qs, xcode, xok, out, ok):
    """Like `slide_quantiles`, for the rows that a tape adds and removes."""
    words, base = active.make(code.size)
    counts = active.make_counts(words)
    done = 0
    for i in range(at.size):
        for j in range(done, tape_end[i]):
            p = active.position(pos, tape[j] >> 1)
            if p < 0:
                continue
            if tape[j] & 1:
                active.remove_counted(words, base, counts, rank[p])
            else:
                active.add_counted(words, base, counts, rank[p])
        done = tape_end[i]
        _finish(words, base, counts, order, code, floats, qs, i, at, xcode, xok, out, ok)


# ----------------------------------------------------------------------------------------------------- online


@inline
def _select(x, m, k):
    """Reorder `x[:m]` so that `x[k]` is its k-th smallest: none before it is greater, none after it less."""
    left = 0
    right = m - 1
    # Pivots by a fixed pseudo-random walk: no order that data comes in by itself makes them bad again and
    # again.
    seed = np.uint64(0x9E3779B97F4A7C15)
    while right - left > 12:
        seed = seed * np.uint64(6364136223846793005) + np.uint64(1442695040888963407)
        pivot = x[left + np.int64((seed >> np.uint64(33)) % np.uint64(right - left + 1))]
        i = left
        j = right
        while i <= j:
            while x[i] < pivot:
                i += 1
            while x[j] > pivot:
                j -= 1
            if i <= j:
                x[i], x[j] = x[j], x[i]
                i += 1
                j -= 1
        if k <= j:
            right = j
        elif k >= i:
            left = i
        else:
            return
    for i in range(left + 1, right + 1):
        c = x[i]
        j = i
        while j > left and x[j - 1] > c:
            x[j] = x[j - 1]
            j -= 1
        x[j] = c


@njit
def quantiles_of(scratch, m, floats, qs, out):
    """Write the quantiles `qs` of the codes `scratch[:m]`, which lose their order; return whether there is any."""
    for w in range(qs.size):
        if m == 0:
            out[w] = 0.0
            continue
        k, f = place(qs[w], m)
        _select(scratch, m, k)
        a = _value(scratch[k], floats)
        b = a
        if f != 0.0:
            after = scratch[k + 1]
            for j in range(k + 2, m):
                after = min(after, scratch[j])
            b = _value(after, floats)
        out[w] = between(a, b, f)
    return m > 0


@njit
def fold_quantiles(code, floats, idx, m, qs, scratch, out):
    """Write the quantiles `qs` of the codes at `idx[:m]` to `out[:w]`; return whether there was any row.

    Shape:  scratch int64[m] or longer. The request's own row is one more position.
    Cost:   O(m·w) as expected.
    """
    for j in range(m):
        scratch[j] = code[idx[j]]
    return quantiles_of(scratch, m, floats, qs, out)
