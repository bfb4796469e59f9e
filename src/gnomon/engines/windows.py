"""Sorted rows and sorted queries → values of aggregates, one chunk of keys at a time.

Features that look at the same rows share the work. A *view* is one choice of (input, condition, nulls) among
the chunk's rows; a *walk* is one choice of window over a view. Where the visible rows of every window lie
side by side the walk is two bounds, else a tape of comings and goings (`kernels.bounds`); the kernels of
both end in the same arithmetic.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gnomon.columns import NO_FLAGS, NO_WORDS, Flags, Words
from gnomon.engines.lanes import Lane
from gnomon.kernels import (
    active,
    bounds,
    decimals,
    distinct,
    extrema,
    moments,
    order,
    ordered,
    quantiles,
    sums,
)
from gnomon.plan.layout import NONE, Output

_NO_REALS: NDArray[np.float64] = np.empty(0, np.float64)
_NO_LOWS: NDArray[np.uint64] = np.empty(0, np.uint64)
_MEDIAN = np.array([0.5])

SELECTIONS = frozenset({"min", "max", "first", "last", "column"})
"""Functions whose value is the value of one row."""
LISTS = frozenset({"first_k", "last_k"})
_REALS = frozenset({"mean", "var", "std", "median"})


@dataclass
class Result:
    """Where a task's values are written, for all queries of a part, in the order of the spine."""

    values: NDArray[Any]
    """Physical numbers; row numbers (-1: none) for selections; the upper halves of Decimal sums."""
    low: NDArray[np.uint64] = field(default_factory=lambda: _NO_LOWS)
    """The lower halves of Decimal sums."""
    ok: Flags = field(default_factory=lambda: NO_FLAGS)
    """0 null, 1 a value, 2 could not be computed; not used by selections and lists."""
    lists: list[tuple[Words, Words, Words]] = field(default_factory=list)
    """(at, offsets, row numbers) of each chunk, for lists."""


def make_result(task: Output, n: int) -> Result:
    """Room for `n` values: null where nothing will be written."""
    if task.function in LISTS:
        return Result(NO_WORDS)
    if task.function in SELECTIONS:
        return Result(np.full(n, -1, np.int64))
    ok = np.zeros(n, np.uint8)
    if task.function in _REALS or (task.function == "sum" and task.dtype.is_float()):
        return Result(np.zeros(n, np.float64), ok=ok)
    if task.function in ("any", "all"):
        return Result(np.zeros(n, np.uint8), ok=ok)
    low = np.zeros(n, np.uint64) if isinstance(task.dtype, pl.Decimal) else _NO_LOWS
    return Result(np.zeros(n, np.int64), low, ok)


@dataclass(frozen=True)
class Chunk:
    """Some keys' sorted rows and sorted queries. Arrays of rows [n], of queries [q]."""

    first: int
    """The number of its first row in the whole part."""
    code: Words
    time: Words
    known: Words
    """Zero-length: each row is known at its event time."""
    until: Words
    """Zero-length: no row is ever replaced."""
    q_code: Words
    q_t: Words
    at: Words
    """Where each query's answer goes."""
    n_part: int
    """Rows of the whole part; `n_part + at` is the number of the request's own row."""
    inclusive: bool = False
    """State groups: windows are closed at both ends."""

    @cached_property
    def contiguous(self) -> bool:
        if not len(self.known) and not len(self.until):
            return True
        return bool(bounds.is_contiguous(self.code, self._known, self.until))

    @property
    def _known(self) -> Words:
        return self.known if len(self.known) else self.time

    def ranges(self, length: int, offset: int) -> tuple[Words, Words]:
        lo, hi = bounds.window_bounds(
            self.code, self.time, self.q_code, self.q_t, length, offset, self.inclusive
        )
        if len(self.known):
            hi = bounds.cap_known(lo, hi, self.code, self.known, self.q_code, self.q_t)
        return lo, hi

    def tape(self, length: int, offset: int) -> tuple[Words, Words]:
        return bounds.tape(
            self.code,
            self.time,
            self._known,
            self.until,
            self.q_code,
            self.q_t,
            length,
            offset,
            self.inclusive,
        )


@dataclass(frozen=True)
class View:
    """The rows of a chunk that pass a condition and have a value."""

    chunk: Chunk
    lane: Lane | None
    rows: Words
    """Which rows of the chunk; not read where all pass."""
    before: Words
    pos: Words
    """Zero-length where all pass."""

    def of(self, values: NDArray[Any]) -> NDArray[Any]:
        """A lane's values for the view's rows."""
        part = values[self.chunk.first : self.chunk.first + len(self.chunk.code)]
        return part[self.rows] if len(self.pos) else part

    @cached_property
    def code(self) -> Words:
        return self.of(self.lane.code) if self.lane is not None else NO_WORDS

    @cached_property
    def local(self) -> Words:
        """Numbers of the rows in the chunk."""
        return self.rows if len(self.pos) else np.arange(len(self.chunk.code))

    @cached_property
    def full_pos(self) -> Words:
        return self.pos if len(self.pos) else np.arange(len(self.chunk.code))


@dataclass(frozen=True)
class Walk:
    """How the rows of each window are met: ranges `lo, hi`, or a tape.

    Where a walk has rearranged the view's rows (for limits), `taken` are the places in the view that it
    stands on.
    """

    view: View
    lo: Words = field(default_factory=lambda: NO_WORDS)
    hi: Words = field(default_factory=lambda: NO_WORDS)
    tape: Words | None = None
    tape_end: Words = field(default_factory=lambda: NO_WORDS)
    taken: Words | None = None
    xok: Flags = field(default_factory=lambda: NO_FLAGS)
    """Whether the request's own row counts; zero-length where it never does."""

    def run(
        self, slide: Callable[..., Any], replay: Callable[..., Any], head: Sequence[Any], tail: Sequence[Any]
    ) -> Any:
        """Call the kernel that fits: its arguments are `head`, the walk, `tail`."""
        if self.tape is None:
            return slide(*head, self.lo, self.hi, *tail)
        return replay(*head, self.tape, self.tape_end, self.view.full_pos, *tail)

    def take(self, values: NDArray[Any]) -> NDArray[Any]:
        return values if self.taken is None else values[self.taken]

    @property
    def at(self) -> Words:
        return self.view.chunk.at

    def own(self, values: NDArray[Any]) -> NDArray[Any]:
        """The request's own values, by query; zero-length where there are none."""
        return values[self.view.chunk.n_part + self.at] if len(self.xok) else values[:0]

    @property
    def code(self) -> Words:
        return self.take(self.view.code)

    @property
    def xcode(self) -> Words:
        return self.own(self.view.lane.code) if self.view.lane is not None else NO_WORDS

    @cached_property
    def numbers(self) -> Words:
        """Row numbers in the whole part."""
        return self.take(self.view.local) + self.view.chunk.first

    def ranked(self, code: Words) -> tuple[Words, Words]:
        """Places sorted by (key, code), and the inverse."""
        by_value = order.sort_rows(self.take(self.view.chunk.code[self.view.local]), code)
        return by_value, active.ranks(by_value)


def solve(
    chunk: Chunk, tasks: Mapping[Output, Result], lanes: Mapping[int, Lane], wheres: Mapping[int, Flags]
) -> None:
    """Compute all tasks for a chunk, writing into their results.

    `lanes`: inputs of the part's sorted rows, then of the request's own rows by spine row. `wheres`:
    conditions alike.
    """
    for chosen in _grouped(tasks, lambda t: (t.input, t.where, t.keep_nulls)).values():
        view = _make_view(chunk, chosen[0], lanes, wheres)
        for same in _grouped(chosen, lambda t: (t.window, t.offset, t.limit, t.include_request)).values():
            walk = _make_walk(view, same[0], lanes, wheres)
            for family, members in _grouped(same, lambda t: _FAMILY[t.function]).items():
                family(walk, {task: tasks[task] for task in members})


def _grouped(tasks: Iterable[Output], by: Callable[[Output], Any]) -> dict[Any, list[Output]]:
    groups = defaultdict(list)
    for task in tasks:
        groups[by(task)].append(task)
    return groups


def _passes(task: Output, lanes: Mapping[int, Lane], wheres: Mapping[int, Flags], part: slice) -> Flags:
    """Which rows pass the condition and have a value; zero-length where all do."""
    mask = wheres[task.where][part] if task.where != NONE else NO_FLAGS
    if task.input != NONE and not task.keep_nulls and len(lanes[task.input].valid):
        valid = lanes[task.input].valid[part]
        mask = valid & mask if len(mask) else valid
    return mask


def _make_view(chunk: Chunk, task: Output, lanes: Mapping[int, Lane], wheres: Mapping[int, Flags]) -> View:
    mask = _passes(task, lanes, wheres, slice(chunk.first, chunk.first + len(chunk.code)))
    lane = lanes[task.input] if task.input != NONE else None
    if not len(mask) or mask.all():
        return View(chunk, lane, NO_WORDS, NO_WORDS, NO_WORDS)
    return View(chunk, lane, *bounds.compress(mask))


def _make_walk(view: View, task: Output, lanes: Mapping[int, Lane], wheres: Mapping[int, Flags]) -> Walk:
    chunk = view.chunk
    xok = NO_FLAGS
    if task.include_request:
        passes = _passes(task, lanes, wheres, slice(chunk.n_part, None))
        xok = passes[chunk.at] if len(passes) else np.ones(len(chunk.at), np.uint8)
    if not chunk.contiguous:
        tape, tape_end = chunk.tape(task.window, task.offset)
        if task.limit == NONE:
            return Walk(view, tape=tape, tape_end=tape_end, xok=xok)
        offsets, taken = bounds.active_lists(tape, tape_end, view.full_pos, task.limit)
        lo, hi = offsets[:-1], offsets[1:]
        return Walk(view, _newest(lo, hi, task.limit, xok), hi, taken=taken, xok=xok)
    lo, hi = chunk.ranges(task.window, task.offset)
    if len(view.pos):
        lo, hi = bounds.map_bounds(view.before, lo, hi)
    if task.limit == NONE:
        return Walk(view, lo, hi, xok=xok)
    if not len(xok):
        return Walk(view, bounds.limit_bounds(lo, hi, task.limit), hi)
    # The request's own row takes a place in some windows and not in others, so that lower bounds can fall:
    # windows are laid out one after another instead.
    lo = _newest(lo, hi, task.limit, xok)
    ends = np.cumsum(hi - lo)
    taken = np.arange(ends[-1] if len(ends) else 0) + np.repeat(hi - ends, hi - lo)
    return Walk(view, ends - (hi - lo), ends, taken=taken, xok=xok)


def _newest(lo: Words, hi: Words, limit: int, xok: Flags) -> Words:
    held: Words = np.maximum(lo, hi - (limit - xok.astype(np.int64) if len(xok) else limit))
    return held


# --- families: what is computed in one pass over a walk -----------------------------------------------------

Tasks = Mapping[Output, Result]


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
    for ddof, members in _grouped(tasks, lambda t: t.ddof).items():
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
        picked[walk.at] = np.where(mine >= n, n + walk.at, mine)


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
            picked[mine] = n + walk.at[picked[mine] - n]
        result.lists.append((walk.at, offsets, picked))


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


def _quantiles(walk: Walk, tasks: Tasks) -> None:
    lane = walk.view.lane
    assert lane is not None
    code = walk.code
    for result in tasks.values():
        out = result.values.reshape(1, -1)
        walk.run(
            quantiles.slide_quantiles,
            quantiles.replay_quantiles,
            (code, lane.floats, *walk.ranked(code)),
            (walk.at, _MEDIAN, walk.xcode, walk.xok, out, result.ok),
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


_FAMILY: dict[str, Callable[[Walk, Tasks], None]] = {
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
    "median": _quantiles,
    "any": _truths,
    "all": _truths,
    "time_since_last": _times,
    "time_since_first": _times,
}


def newest(chunk: Chunk, max_age: int, picked: Words) -> None:
    """State groups: write the number of the newest visible row of each query to `picked`, -1 for none."""
    view = View(chunk, None, NO_WORDS, NO_WORDS, NO_WORDS)
    if chunk.contiguous:
        walk = Walk(view, *chunk.ranges(max_age, 0))
    else:
        tape, tape_end = chunk.tape(max_age, 0)
        walk = Walk(view, tape=tape, tape_end=tape_end)
    walk.run(
        ordered.slide_ends,
        ordered.replay_ends,
        (),
        (walk.at, walk.numbers, chunk.n_part, walk.xok, NO_WORDS, picked),
    )
