"""Sorted rows and sorted queries of some keys → how the rows of each window are met.

A *view* is one choice of (input, condition, nulls) among the chunk's rows; a *walk* is one choice of window
over a view. Where the visible rows of every window lie side by side the walk is two bounds, else a tape of
comings and goings (`kernels.bounds`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnomon.columns import NO_FLAGS, NO_WORDS, Flags, Words
from gnomon.engines.lanes import Lane
from gnomon.kernels import active, bounds, order
from gnomon.plan.layout import NONE, Output


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
    """Rows of the whole part; `n_part + spine` is the number of the request's own row."""
    inclusive: bool = False
    """State groups: windows are closed at both ends."""
    taken: Words = field(default_factory=lambda: NO_WORDS)
    """The numbers of its rows in the whole part, where they do not lie side by side."""
    asked: Words = field(default_factory=lambda: NO_WORDS)
    """The spine row of each query, where that is not where the answer goes."""
    own_ok: Flags = field(default_factory=lambda: NO_FLAGS)
    """Whether the request's own row is one of this query's key; zero-length where it always is."""

    @property
    def rows(self) -> slice | Words:
        """What takes its rows out of an array over the whole part."""
        return self.taken if len(self.taken) else slice(self.first, self.first + len(self.code))

    @property
    def spine(self) -> Words:
        return self.asked if len(self.asked) else self.at

    def numbers(self, local: Words) -> Words:
        """Numbers in the whole part of rows of the chunk."""
        return self.taken[local] if len(self.taken) else local + self.first

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
        part = values[self.chunk.rows]
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
        return values[self.view.chunk.n_part + self.view.chunk.spine] if len(self.xok) else values[:0]

    @property
    def code(self) -> Words:
        return self.take(self.view.code)

    @property
    def xcode(self) -> Words:
        return self.own(self.view.lane.code) if self.view.lane is not None else NO_WORDS

    @cached_property
    def numbers(self) -> Words:
        """Row numbers in the whole part."""
        return self.view.chunk.numbers(self.take(self.view.local))

    @property
    def keys(self) -> Words:
        return self.take(self.view.chunk.code[self.view.local])

    def ranked(self, code: Words) -> tuple[Words, Words]:
        """Places sorted by (key, code), and the inverse."""
        by_value = order.sort_rows(self.keys, code)
        return by_value, active.ranks(by_value)


def _passes(
    task: Output, lanes: Mapping[int, Lane], wheres: Mapping[int, Flags], part: slice | Words
) -> Flags:
    """Which rows pass the condition and have a value; zero-length where all do."""
    mask = wheres[task.where][part] if task.where != NONE else NO_FLAGS
    if task.input != NONE and not task.keep_nulls and len(lanes[task.input].valid):
        valid = lanes[task.input].valid[part]
        mask = valid & mask if len(mask) else valid
    return mask


def make_view(chunk: Chunk, task: Output, lanes: Mapping[int, Lane], wheres: Mapping[int, Flags]) -> View:
    """The rows that a task can count; `lanes` and `wheres` as of `windows.solve`."""
    mask = _passes(task, lanes, wheres, chunk.rows)
    lane = lanes[task.input] if task.input != NONE else None
    if not len(mask) or mask.all():
        return View(chunk, lane, NO_WORDS, NO_WORDS, NO_WORDS)
    return View(chunk, lane, *bounds.compress(mask))


def make_walk(view: View, task: Output, lanes: Mapping[int, Lane], wheres: Mapping[int, Flags]) -> Walk:
    """The windows of a task over its view."""
    chunk = view.chunk
    xok = NO_FLAGS
    if task.include_request:
        passes = _passes(task, lanes, wheres, slice(chunk.n_part, None))
        xok = passes[chunk.spine] if len(passes) else np.ones(len(chunk.at), np.uint8)
        if len(chunk.own_ok):
            xok = xok & chunk.own_ok
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
