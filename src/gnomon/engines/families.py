"""Walks → values: what is computed in one pass over the rows of a walk, and by which kernels.

A *family* is the functions that share such a pass. Kernels of ranges and of tapes end in the same arithmetic.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gnomon.columns import NO_FLAGS, NO_WORDS, Flags, Words
from gnomon.engines.results import Lists, Result
from gnomon.engines.walks import Walk
from gnomon.kernels import (
    buckets,
    categories,
    decay,
    decimals,
    distinct,
    extrema,
    hyperloglog,
    moments,
    ordered,
    quantiles,
    sums,
)
from gnomon.plan.layout import Output

__all__ = ["FAMILY", "grouped", "categories_of"]

Tasks = Mapping[Output, Result]

_NO_REALS: NDArray[np.float64] = np.empty(0, np.float64)
_NO_LOWS: NDArray[np.uint64] = np.empty(0, np.uint64)
_ALL = 2**62
"""More values than there can be."""


def grouped(tasks: Iterable[Output], by: Callable[[Output], Any]) -> dict[Any, list[Output]]:
    """The tasks that are alike in `by`, in their order."""
    groups = defaultdict(list)
    for task in tasks:
        groups[by(task)].append(task)
    return groups


def _one(tasks: Tasks, function: str) -> Result | None:
    """The result of the task of that function, if it is asked for. A family has at most one of each."""
    return next((result for task, result in tasks.items() if task.function == function), None)


def _reals(result: Result | None) -> tuple[NDArray[np.float64], Flags]:
    return (result.values, result.ok) if result is not None else (_NO_REALS, NO_FLAGS)


def _counts(walk: Walk, tasks: Tasks) -> None:
    for result in tasks.values():
        walk.run(sums.slide_count, sums.replay_count, (), (walk.at, walk.xok, result.values, result.ok))


def _sums(walk: Walk, tasks: Tasks) -> None:
    lane = walk.view.lane
    assert lane is not None
    total, (mean, ok_mean) = _one(tasks, "sum"), _reals(_one(tasks, "mean"))
    ok_sum = total.ok if total is not None else NO_FLAGS
    values = total.values if total is not None else NO_WORDS
    if isinstance(lane.column.dtype, pl.Decimal):
        low = total.low if total is not None else _NO_LOWS
        high_in, low_in = lane.halves
        walk.run(
            decimals.slide_decimals,
            decimals.replay_decimals,
            (walk.take(walk.view.of(high_in)), walk.take(walk.view.of(low_in)), lane.column.dtype.scale),
            (walk.at, walk.own(high_in), walk.own(low_in), walk.xok, values, low, ok_sum, mean, ok_mean),
        )
        return
    base, limbs = lane.grid
    walk.run(
        sums.slide_sums,
        sums.replay_sums,
        (walk.code, lane.floats, base, limbs),
        (walk.at, walk.xcode, walk.xok, values.view(np.int64), ok_sum, mean, ok_mean),
    )


def _moments(walk: Walk, tasks: Tasks) -> None:
    lane = walk.view.lane
    assert lane is not None
    base, limbs = lane.grid
    for ddof, members in grouped(tasks, lambda t: t.ddof).items():
        chosen = {task: tasks[task] for task in members}
        var, std = _reals(_one(chosen, "var")), _reals(_one(chosen, "std"))
        walk.run(
            moments.slide_moments,
            moments.replay_moments,
            (walk.code, lane.floats, base, limbs, ddof),
            (walk.at, walk.xcode, walk.xok, *var, *std),
        )


def _own_rows(walk: Walk, picked: Words) -> None:
    """Kernels number the request's own rows by query of the chunk; rows of the part are numbered by spine
    row.
    """
    if len(walk.xok):
        mine = picked[walk.at]
        n = walk.view.chunk.n_part
        picked[walk.at] = np.where(mine >= n, n + walk.view.chunk.spine, mine)


def _extrema(walk: Walk, tasks: Tasks) -> None:
    lane = walk.view.lane
    assert lane is not None
    least, greatest = _one(tasks, "min"), _one(tasks, "max")
    outs = [r.values if r is not None else NO_WORDS for r in (least, greatest)]
    tail = (walk.at, walk.numbers, walk.view.chunk.n_part, walk.xcode, walk.xok, *outs)
    code = walk.code
    if walk.tape is None:
        extrema.slide_extrema(code, lane.floats, walk.lo, walk.hi, *tail)
    else:
        by_value, rank = walk.ranked(code)
        extrema.replay_extrema(
            code, lane.floats, by_value, rank, walk.tape, walk.tape_end, walk.view.full_pos, *tail
        )
    for out in outs:
        if len(out):
            _own_rows(walk, out)


def _ends(walk: Walk, tasks: Tasks) -> None:
    outs = [r.values if r is not None else NO_WORDS for r in (_one(tasks, "first"), _one(tasks, "last"))]
    walk.run(
        ordered.slide_ends,
        ordered.replay_ends,
        (),
        (walk.at, walk.numbers, walk.view.chunk.n_part, walk.xok, *outs),
    )
    for out in outs:
        if len(out):
            _own_rows(walk, out)


def _times(walk: Walk, tasks: Tasks) -> None:
    chunk = walk.view.chunk
    for task, result in tasks.items():
        picked = np.empty(len(result.values), np.int64)
        outs = (picked, NO_WORDS) if task.function == "time_since_first" else (NO_WORDS, picked)
        local = walk.take(walk.view.local)
        walk.run(
            ordered.slide_ends, ordered.replay_ends, (), (walk.at, local, len(chunk.code), walk.xok, *outs)
        )
        ordered.time_since(picked, chunk.time, chunk.q_t, chunk.at, result.values, result.ok)


def _lists(walk: Walk, tasks: Tasks) -> None:
    n = walk.view.chunk.n_part
    here = np.arange(len(walk.at))
    for task, result in tasks.items():
        tail: tuple[Any, ...] = (here, len(here), task.k, task.function == "last_k", walk.numbers, n)
        if task.distinct:
            lane = walk.view.lane
            assert lane is not None
            code = walk.take(walk.view.of(lane.distinct[0]))
            offsets, picked = walk.run(
                ordered.slide_distinct_lists,
                ordered.replay_distinct_lists,
                (code, *walk.ranked(code)),
                (*tail, walk.own(lane.distinct[0]), walk.xok),
            )
        else:
            offsets, picked = walk.run(ordered.slide_lists, ordered.replay_lists, (), (*tail, walk.xok))
        if len(walk.xok) and len(picked):
            mine = picked >= n
            picked[mine] = n + walk.view.chunk.spine[picked[mine] - n]
        result.lists.append(Lists(walk.at, offsets, picked))


def _distinct(walk: Walk, tasks: Tasks) -> None:
    lane = walk.view.lane
    assert lane is not None
    codes, n_codes = lane.distinct
    for result in tasks.values():
        walk.run(
            distinct.slide_n_distinct,
            distinct.replay_n_distinct,
            (walk.take(walk.view.of(codes)), n_codes),
            (walk.at, walk.own(codes), walk.xok, result.values),
        )
        result.ok[walk.at] = 1


def _held(walk: Walk, ladder: tuple[Words, Words, Words], k: int) -> tuple[Words, Words]:
    """The first `k` values of each window: (offsets [q + 1], (code, count) [·, 2]), by value without a ladder."""
    lane = walk.view.lane
    assert lane is not None
    codes, n_codes = lane.distinct
    offsets, found = walk.run(
        categories.slide_categories,
        categories.replay_categories,
        (walk.take(walk.view.of(codes)), n_codes, *ladder),
        (k, walk.own(codes), walk.xok),
    )
    return offsets, found


def categories_of(walk: Walk) -> tuple[Words, Words]:
    """All values of each window, ascending, with their counts: (offsets [q + 1], (code, count) [·, 2])."""
    return _held(walk, (NO_WORDS, NO_WORDS, NO_WORDS), _ALL)


def _frequent(walk: Walk, tasks: Tasks) -> None:
    lane = walk.view.lane
    assert lane is not None
    code = walk.take(walk.view.of(lane.distinct[0]))
    order, _ = walk.ranked(code)
    ladder = categories.ladder(order, walk.keys, code)
    # One pass for all: the fewer most frequent values are the first of the more.
    offsets, found = _held(walk, ladder, max(task.k for task in tasks))
    rows = lane.sample[found[:, 0]]
    sizes = np.diff(offsets)
    place = np.arange(len(rows)) - np.repeat(offsets[:-1], sizes)
    for task, result in tasks.items():
        if task.function == "mode":
            some = sizes > 0
            result.values[walk.at[some]] = rows[offsets[:-1][some]]
        else:
            result.lists.append(Lists(walk.at, _ends_of(np.minimum(sizes, task.k)), rows[place < task.k]))


def _histograms(walk: Walk, tasks: Tasks) -> None:
    lane = walk.view.lane
    assert lane is not None
    offsets, found = categories_of(walk)
    counts = Result(found[:, 1], ok=np.ones(len(found), np.uint8))
    for result in tasks.values():
        result.lists.append(Lists(walk.at, offsets, lane.sample[found[:, 0]], counts))


def _ends_of(sizes: Words) -> Words:
    offsets = np.zeros(len(sizes) + 1, np.int64)
    np.cumsum(sizes, out=offsets[1:])
    return offsets


def _quantiles(walk: Walk, tasks: Tasks) -> None:
    ranked = walk.ranked(walk.code)
    _several_quantiles(walk, tasks, quantiles.slide_quantiles, quantiles.replay_quantiles, ranked)


def _approx_quantiles(walk: Walk, tasks: Tasks) -> None:
    _several_quantiles(walk, tasks, buckets.slide_buckets, buckets.replay_buckets, ())


def _several_quantiles(
    walk: Walk, tasks: Tasks, slide: Callable[..., Any], replay: Callable[..., Any], ranked: Sequence[Words]
) -> None:
    """One pass for all of them."""
    lane = walk.view.lane
    assert lane is not None
    here = np.arange(len(walk.at))
    out = np.empty((len(tasks), len(here)))
    ok = np.empty(len(here), np.uint8)
    walk.run(
        slide,
        replay,
        (walk.code, lane.floats, *ranked),
        (here, np.array([task.q for task in tasks]), walk.xcode, walk.xok, out, ok),
    )
    for values, result in zip(out, tasks.values(), strict=True):
        result.values[walk.at] = values
        result.ok[walk.at] = ok


def _sketches(walk: Walk, tasks: Tasks) -> None:
    lane = walk.view.lane
    assert lane is not None
    for result in tasks.values():
        walk.run(
            hyperloglog.slide_hashes,
            hyperloglog.replay_hashes,
            (walk.take(walk.view.of(lane.hashes)),),
            (walk.at, walk.own(lane.hashes), walk.xok, result.values),
        )
        result.ok[walk.at] = 1


def _decayed(walk: Walk, tasks: Tasks) -> None:
    lane, chunk = walk.view.lane, walk.view.chunk
    assert lane is not None
    time = walk.take(chunk.time[walk.view.local])
    for task, result in tasks.items():
        walk.run(
            decay.slide_decayed,
            decay.replay_decayed,
            (walk.code, lane.floats, time, chunk.q_t, task.half_life),
            (walk.at, walk.xcode, walk.xok, result.values, result.ok),
        )


def _truths(walk: Walk, tasks: Tasks) -> None:
    some, every = _one(tasks, "any"), _one(tasks, "all")
    given = some or every
    assert given is not None
    unwanted, ok = np.empty_like(given.values), given.ok
    outs = [r.values if r is not None else unwanted for r in (some, every)]
    walk.run(
        extrema.slide_any_all,
        extrema.replay_any_all,
        (walk.code,),
        (walk.at, walk.xcode, walk.xok, *outs, ok),
    )
    if some is not None and every is not None:
        every.ok[walk.at] = ok[walk.at]


FAMILY: dict[str, Callable[[Walk, Tasks], None]] = {
    "count": _counts,
    "rate": _counts,
    "sum": _sums,
    "mean": _sums,
    "var": _moments,
    "std": _moments,
    "min": _extrema,
    "max": _extrema,
    "first": _ends,
    "last": _ends,
    "first_k": _lists,
    "last_k": _lists,
    "n_distinct": _distinct,
    "mode": _frequent,
    "top_k": _frequent,
    "histogram": _histograms,
    "quantile": _quantiles,
    "median": _quantiles,
    "approx_n_distinct": _sketches,
    "approx_quantile": _approx_quantiles,
    "decayed_sum": _decayed,
    "any": _truths,
    "all": _truths,
    "time_since_last": _times,
    "time_since_first": _times,
}
"""By function: what computes it, and all others of the family that are asked for beside it."""
