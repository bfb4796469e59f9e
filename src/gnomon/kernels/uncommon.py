"""Folds that are asked for now and then: kept apart, so that they are compiled only where they are.

A kernel that is given None in the place of their scratch is compiled without them.
"""

from __future__ import annotations

import numpy as np

from gnomon.kernels import buckets, categories, decay, hyperloglog, lanes, sums
from gnomon.kernels._jit import inline, njit
from gnomon.kernels.work import CODE, EQUAL, EVERY, HASHES, ORDER, PICKED, SPARE, TABLE, TIMES

__all__ = ["fold_uncommon", "put_entry"]

MODE, TOP_K, HISTOGRAM, APPROX_N_DISTINCT, APPROX_QUANTILE, DECAYED_SUM = 32, 33, 34, 35, 36, 37

FIRST_UNCOMMON = MODE

SCRATCH = max(sums.SUM_SCRATCH, hyperloglog.SKETCH_SCRATCH)
"""Words of scratch that do not grow with the rows."""

ENTRY = 3
"""Lines of an entry in a list of values by key: the key, the value, its ok."""

_ALL_OF_THEM = 2**62


@inline
def put_entry(lists, line, key, key_second, word, second, ok):
    """Write an entry of a list of values by key."""
    lists[line, 0] = key
    lists[line, 1] = key_second
    lists[line + 1, 0] = word
    lists[line + 1, 1] = second
    lists[line + 2, 0] = ok
    lists[line + 2, 1] = 0


@njit
def fold_uncommon(
    function, parameter, kind, lane, idx, c, words, places, n, m, t, request, k, work, scratch, lists, used_lines
):  # fmt: skip
    """Return the word, second word and ok of a function over the positions `idx[:c]`; arguments as of `folds.fold`."""
    code, equal, order, spare = work[CODE], work[EQUAL], work[ORDER], work[SPARE]
    if function == APPROX_N_DISTINCT:
        return hyperloglog.fold_hashes(work[HASHES], idx, c, scratch), np.int64(0), 1
    if function == APPROX_QUANTILE:
        real = scratch[:2].view(np.float64)
        real[1] = np.int64(parameter).view(np.float64)
        found = buckets.fold_buckets(code, kind == lanes.FLOAT, idx, c, real[1:2], order, real[:1])
        return np.float64(real[0]).view(np.int64), np.int64(0), 1 if found else 0
    if function == DECAYED_SUM:
        word, ok = decay.fold_decayed(
            code, kind == lanes.FLOAT, work[TIMES], work[PICKED], t, parameter, idx, c, m, work[EVERY], spare, scratch
        )  # fmt: skip
        return word, np.int64(0), ok
    size = work.shape[1]
    table = work[TABLE : TABLE + 4].reshape(-1)
    picked, count = table[:size], table[size : 2 * size]
    most = 1 if function == MODE else (parameter if function == TOP_K else _ALL_OF_THEM)
    size = categories.fold_categories(
        equal, idx, c, most, function != HISTOGRAM, order, spare, table[2 * size :], picked, count
    )
    first = used_lines[0]
    for j in range(size):
        word, second = lanes.value_alike(
            words, places, kind, lane, n, work[PICKED], picked[j], m, request, k, equal
        )
        if function == MODE:
            return word, second, 1
        if function == TOP_K:
            lists[used_lines[0], 0] = word
            lists[used_lines[0], 1] = second
            used_lines[0] += 1
        else:
            put_entry(lists, used_lines[0], word, second, count[j], 0, 1)
            used_lines[0] += ENTRY
    return first, np.int64(size), 0 if function == MODE else 1
