"""The rows of one key in a window → the values of the features that ask for them: the online folds.

Numbers come from the `fold_*` functions of the other kernel modules; here stands only who calls whom.
"""

from __future__ import annotations

import numpy as np

from gnomon.kernels import decimals, distinct, extrema, lanes, moments, ordered, quantiles, sums
from gnomon.kernels._jit import inline
from gnomon.kernels.uncommon import FIRST_UNCOMMON, fold_uncommon
from gnomon.kernels.work import CODE, EQUAL, HIGH, LOW, ORDER, PICKED, SPARE, TABLE, TIMES

__all__ = ["fold"]

COUNT, SUM, MEAN, VAR, STD, MIN, MAX, FIRST, LAST, FIRST_K, LAST_K = 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
N_DISTINCT, QUANTILE, ANY, ALL, SINCE_FIRST, SINCE_LAST, RATE, COLUMN = 11, 12, 13, 14, 15, 16, 17, 18

SCRATCH = max(sums.SUM_SCRATCH, moments.MOMENT_SCRATCH, decimals.DECIMAL_SCRATCH)
"""Words of scratch that do not grow with the rows."""


@inline
def fold(
    functions, first, last, kind, lane, keep_nulls, window, idx, c, words, places, n, m, t, request, k,
    work, scratch, uncommon, lists, used_lines, made,
):  # fmt: skip
    """Write the word, second word and ok of features `first … last − 1` over the positions `idx[:c]` to `made`.

    functions: int64[F, 4], as `gnomon.kernels.answer` has them · kind, lane, keep_nulls: of the values
    work: int64[WORK, rows + 1 or more], of which TIMES, PICKED, EVERY (0, 1, 2, …) and the codes are filled
    scratch: int64[SCRATCH] · uncommon: int64[uncommon.SCRATCH], or None where no such function is asked for
    lists: int64[·, 2], of which `used_lines[0]` are taken
    made: int64[F, 3 or more]
    """
    code, equal, order, spare = work[CODE], work[EQUAL], work[ORDER], work[SPARE]
    table = work[TABLE : TABLE + 4].reshape(-1)
    summed = False
    total, total_low, mean = np.int64(0), np.int64(0), 0.0
    total_ok = mean_ok = 0
    for f in range(first, last):
        function, parameter = functions[f, 0], functions[f, 2]
        word, second, ok = np.int64(0), np.int64(0), 1 if c > 0 else 0
        at = np.int64(-1)
        if function >= FIRST_UNCOMMON:
            if uncommon is not None:
                word, second, ok = fold_uncommon(
                    function, parameter, kind, lane, idx, c, words, places, n, m, t, request, k, work, uncommon,
                    lists, used_lines,
                )  # fmt: skip
        elif function == COUNT:
            word, ok = np.int64(c), 1
        elif function == SUM or function == MEAN:
            if not summed:
                summed = True
                if kind == lanes.WIDE:
                    total, below, mean, total_ok, mean_ok = decimals.fold_decimals(
                        work[HIGH], work[LOW].view(np.uint64), parameter, idx, c, scratch
                    )
                    total_low = np.int64(below)
                else:
                    total, mean, total_ok, mean_ok = sums.fold_sums(
                        code, kind == lanes.FLOAT, idx, c, scratch
                    )
            if function == SUM:
                word, second, ok = total, total_low, total_ok
            else:
                word, ok = np.float64(mean).view(np.int64), mean_ok
        elif function == VAR or function == STD:
            var, std, ok = moments.fold_moments(code, kind == lanes.FLOAT, idx, c, parameter, scratch)
            word = np.float64(var if function == VAR else std).view(np.int64)
        elif function == MIN:
            at = extrema.fold_min(code, idx, c)
        elif function == MAX:
            at = extrema.fold_max(code, kind == lanes.FLOAT, idx, c)
        elif function == FIRST:
            at = ordered.fold_first(idx, c)
        elif function == LAST:
            at = ordered.fold_last(idx, c)
        elif function == N_DISTINCT:
            word, ok = distinct.fold_n_distinct(equal, idx, c, table), 1
        elif function == FIRST_K or function == LAST_K:
            second = ordered.fold_list(
                equal, idx, c, parameter, function == LAST_K, functions[f, 3] != 0, table, order
            )
            word, ok = used_lines[0], 1
            for j in range(second):
                a, b = lanes.value(words, places, kind, lane, n, work[PICKED], order[j], m, request, k)
                lists[word + j, 0] = a
                lists[word + j, 1] = b
            used_lines[0] += second
        elif function == QUANTILE:
            real = scratch[:2].view(np.float64)
            real[1] = np.int64(parameter).view(np.float64)
            quantiles.fold_quantiles(code, kind == lanes.FLOAT, idx, c, real[1:2], order, real[:1])
            word = np.float64(real[0]).view(np.int64)
        elif function == ANY or function == ALL:
            some, all_of_them = extrema.fold_any_all(code, idx, c)
            word = np.int64(some if function == ANY else all_of_them)
        elif function == RATE:
            spare[0] = c
            word, ok = np.float64(sums.rate(spare[:1], window)[0]).view(np.int64), 1
        elif c > 0:  # SINCE_FIRST, SINCE_LAST
            j = ordered.fold_first(idx, c) if function == SINCE_FIRST else ordered.fold_last(idx, c)
            if j < m:
                word = t - work[TIMES, work[PICKED, j]]
                ok = 1 if word >= 0 else 2  # beyond int64: its row is older than t
        if at >= 0:
            ok = 1
            if keep_nulls:
                ok = 0
                if request[lane, k, 0] if at == m else lanes.is_valid(words, places, lane, work[PICKED, at]):
                    ok = 1
            if ok:
                word, second = lanes.value(words, places, kind, lane, n, work[PICKED], at, m, request, k)
        made[f, 0] = word
        made[f, 1] = second
        made[f, 2] = ok
