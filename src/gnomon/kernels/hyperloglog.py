"""approx_n_distinct: how many different values a window holds, estimated from their hashes (HyperLogLog).

The first `PRECISION` bits of a value's 64-bit hash (`gnomon.kernels.hashing`) choose one of `REGISTERS`, the
place of the first 1 among the others is its *level*; a register holds the greatest level of its values. The
estimate is a function of the registers alone, so it does not depend on order, repetition or splits, and two
states are combined by the greater of each register.

A walk also counts how many rows have each (register, level), so that what leaves the window leaves no trace.

Bounds: the standard error is 1.04 / √REGISTERS = 1.6 % of many values, and n / √(2 REGISTERS) = n / 90 of few.
Source: Flajolet et al., HyperLogLog (2007); the estimator is the improved raw one of Ertl,
        arXiv:1702.01284 (2017), which needs no tables of bias and no switch to linear counting.
"""

import numpy as np

from gnomon.kernels import active
from gnomon.kernels._jit import inline, njit
from gnomon.kernels.words import bit_length

__all__ = ["REGISTERS", "SKETCH_SCRATCH", "estimate", "fold_hashes", "replay_hashes", "slide_hashes"]

PRECISION = 12
REGISTERS = 1 << PRECISION

_LEVELS = 64 - PRECISION + 1
"""The greatest level, of a hash whose other bits are all 0."""

SKETCH_SCRATCH = REGISTERS // 8 + _LEVELS + 1
"""Words of scratch that `fold_hashes` needs."""

_ALPHA = 0.7213475204444817  # 1 / (2 ln 2)


@inline
def _place(code):
    """A hash → (register, level in 1 … _LEVELS)."""
    word = np.uint64(code)
    rest = word & ((np.uint64(1) << np.uint64(64 - PRECISION)) - np.uint64(1))
    return np.int64(word >> np.uint64(64 - PRECISION)), _LEVELS - bit_length(rest)


@inline
def _sigma(x):
    if x == 1.0:
        return np.inf
    total = x
    weight = 1.0
    while True:
        x *= x
        before = total
        total += x * weight
        weight += weight
        if total == before:
            return total


@inline
def _tau(x):
    if x == 0.0 or x == 1.0:
        return 0.0
    total = 1.0 - x
    weight = 1.0
    while True:
        x = np.sqrt(x)
        before = total
        weight *= 0.5
        total -= (1.0 - x) * (1.0 - x) * weight
        if total == before:
            return total / 3.0


@njit
def estimate(levels):
    """int64[_LEVELS + 1], how many registers have each level (0: no value) → the number of values, rounded."""
    if levels[0] == REGISTERS:
        return np.int64(0)
    total = REGISTERS * _tau(1.0 - levels[_LEVELS] / REGISTERS)
    for level in range(_LEVELS - 1, 0, -1):
        total = 0.5 * (total + levels[level])
    total += REGISTERS * _sigma(levels[0] / REGISTERS)
    return np.int64(np.floor(_ALPHA * REGISTERS * REGISTERS / total + 0.5))


# A state of a walk: `count[64 register + level]` rows, `held[register]` with bit level − 1 set where there are
# some, and `levels`.


@inline
def _add(count, held, levels, code):
    register, level = _place(code)
    count[64 * register + level] += 1
    if count[64 * register + level] == 1:
        levels[bit_length(held[register])] -= 1
        held[register] |= np.uint64(1) << np.uint64(level - 1)
        levels[bit_length(held[register])] += 1


@inline
def _remove(count, held, levels, code):
    register, level = _place(code)
    count[64 * register + level] -= 1
    if count[64 * register + level] == 0:
        levels[bit_length(held[register])] -= 1
        held[register] &= ~(np.uint64(1) << np.uint64(level - 1))
        levels[bit_length(held[register])] += 1


@inline
def _with_own(count, held, levels, xcode, xok, i):
    """The estimate with the request's own row, if it counts."""
    if xok.size == 0 or xok[i] == 0:
        return estimate(levels)
    _add(count, held, levels, xcode[i])
    found = estimate(levels)
    _remove(count, held, levels, xcode[i])
    return found


@inline
def _empty():
    levels = np.zeros(_LEVELS + 1, np.int64)
    levels[0] = REGISTERS
    return np.zeros(64 * REGISTERS, np.int32), np.zeros(REGISTERS, np.uint64), levels


@njit
def slide_hashes(code, lo, hi, at, xcode, xok, out):
    """Write the estimate of each window `[lo, hi)` to `out[at[i]]`.

    Shape:  code int64[m] and xcode int64[q]: hashes; the others as of `gnomon.kernels.ordered`.
    Cost:   O(rows in some window + q · 64); 1.3 MB.
    """
    count, held, levels = _empty()
    start = 0
    end = 0
    for i in range(at.size):
        for p in range(start, min(lo[i], end)):
            _remove(count, held, levels, code[p])
        start = lo[i]
        for p in range(max(start, end), hi[i]):
            _add(count, held, levels, code[p])
        end = max(end, hi[i])
        out[at[i]] = _with_own(count, held, levels, xcode, xok, i)


@njit
def replay_hashes(code, tape, tape_end, pos, at, xcode, xok, out):
    """Like `slide_hashes`, for the rows that a tape adds and removes."""
    count, held, levels = _empty()
    done = 0
    for i in range(at.size):
        for j in range(done, tape_end[i]):
            p = active.position(pos, tape[j] >> 1)
            if p < 0:
                continue
            if tape[j] & 1:
                _remove(count, held, levels, code[p])
            else:
                _add(count, held, levels, code[p])
        done = tape_end[i]
        out[at[i]] = _with_own(count, held, levels, xcode, xok, i)


@njit
def fold_hashes(code, idx, m, scratch):
    """Return the estimate for the hashes at the positions `idx[:m]`.

    Shape:  scratch int64[SKETCH_SCRATCH], content irrelevant. The request's own row is one more position.
    """
    scratch[:] = 0
    registers = scratch[: REGISTERS // 8].view(np.uint8)
    levels = scratch[REGISTERS // 8 : SKETCH_SCRATCH]
    levels[0] = REGISTERS
    for j in range(m):
        register, level = _place(code[idx[j]])
        if level > registers[register]:
            levels[registers[register]] -= 1
            registers[register] = level
            levels[level] += 1
    return estimate(levels)
