"""Questions to hot keys: an index and t → the leaves that are needed → answers.

All keys are asked together: first `program.answer` for those whose value holds all their rows; then, for the others,
in rounds, what their indexes can tell (`kernels.tree`), each round with the leaves that the last one asked for. What an
index does not tell is answered from rows as ever: those of the leaves in its windows, laid side by side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np

from gnomon.abc.online import OnlineStore
from gnomon.kernels import leaves as kernel
from gnomon.kernels.rows import NO_LEAF
from gnomon.kernels.tree import FOUND, answer_tree
from gnomon.online import program as flat
from gnomon.online.arrays import Int64s
from gnomon.online.codec import MAX, MIN, Layout, join_values, nothing, pack, unpack
from gnomon.online.index import View, glance, is_index, leaf_key, leaves_table, tail_of
from gnomon.online.merge import merge
from gnomon.online.program import NO_REQUEST, Answers, Program, RequestRows, make_program
from gnomon.online.views import TreeProgram, make_tree_program
from gnomon.plan.layout import NONE, Output

__all__ = ["Changed", "HotAnswers", "Place", "answer"]

_NO_LISTS = np.empty((0, 2), np.int64)


class Changed(Exception):
    """A key got another value while its leaves were read: it must be read again."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where values were read from, and their leaves can be."""

    store: OnlineStore
    table: str
    keys: Sequence[bytes]


@dataclass(eq=False)
class HotAnswers:
    """The answers for K keys of which some are hot; to be read as `Answers` are."""

    base: Answers
    """Of all keys; of the hot ones it is nothing."""
    hot: list[_Hot]

    @property
    def statuses(self) -> Int64s:
        """[F, K]"""
        codes = self.base.statuses.copy()
        for one in self.hot:
            for part in one.parts:
                codes[part.slots, one.k] = part.answers.statuses[:, 0]
        return codes

    @property
    def event_times(self) -> Int64s:
        """[K]"""
        times = self.base.event_times.copy()
        for one in self.hot:
            times[one.k] = one.event_time
        return times

    @property
    def errors(self) -> Int64s:
        """[K]"""
        reasons = self.base.errors.copy()
        for one in self.hot:
            reasons[one.k] = one.error
        return reasons

    def columns(self) -> list[list[Any]]:
        """For each feature the Python values of all keys."""
        made = self.base.columns()
        for one in self.hot:
            for part in one.parts:
                for slot, column in zip(part.slots.tolist(), part.answers.columns(), strict=True):
                    made[slot][one.k] = column[0]
        return made


@dataclass(frozen=True, slots=True)
class _Part:
    """Some of the outputs, answered for one key."""

    slots: Int64s
    answers: Answers


@dataclass(slots=True)
class _Hot:
    """A hot key under way."""

    k: int
    value: bytes
    leaves: dict[int, bytes] = field(default_factory=dict)
    """Those that have been read."""
    wanted: list[int] = field(default_factory=list)
    sound: int = 0
    """Values that have been found sound: the index, then so many leaves."""
    parts: list[_Part] = field(default_factory=list)
    event_time: int = MIN
    error: int = 0


def answer(
    program: Program,
    values: Sequence[bytes | memoryview | None],
    t: Int64s,
    request: RequestRows = NO_REQUEST,
    place: Place | None = None,
) -> Answers | HotAnswers:
    """Answer for the values of K keys at t, as `program.answer` does, hot ones included.

    place: where to read leaves.
    Raises: Changed
    """
    found = flat.answer(program, values, t, request)
    if place is None or not (found.errors[0] if t.size == 1 else found.errors.any()):
        return found
    hot = [
        _Hot(k, bytes(values[k] or b"")) for k in np.flatnonzero(found.errors).tolist() if is_index(values[k])
    ]
    waiting = hot
    while waiting := [one for one in waiting if not _ask(program, one, int(t[one.k]), request)]:
        _fetch(place, waiting)
    return HotAnswers(found, hot) if hot else found


def _fetch(place: Place, waiting: Sequence[_Hot]) -> None:
    """Read the leaves that are wanted, of all keys at once."""
    named = [(one, leaf) for one in waiting for leaf in one.wanted]
    keys = [leaf_key(place.keys[one.k], name) for one in waiting for name in _names(one.value, one.wanted)]
    lost = {}
    for (one, leaf), value in zip(named, place.store.read(leaves_table(place.table), keys), strict=True):
        if value is None:
            lost[one.k] = one
        else:
            one.leaves[leaf] = value
    if lost:
        now = place.store.read(place.table, [place.keys[k] for k in lost])
        for one, value in zip(lost.values(), now, strict=True):
            if value != one.value:
                raise Changed
            one.error = NO_LEAF


def _names(value: bytes, leaves: Sequence[int]) -> list[bytes]:
    fields, _ = glance(value)
    return [fields[kernel.ID : kernel.ID + 2, leaf].tobytes() for leaf in leaves]


# ------------------------------------------------------------------------------------------------------ one key


def _ask(program: Program, one: _Hot, t: int, request: RequestRows) -> bool:
    """Answer for a hot key, or note which leaves are wanted; whether it is done."""
    layout = program.layout
    if not one.error:
        words, offsets = join_values([one.value, *one.leaves.values()])
        one.error = _check(layout, words, offsets, one.sound)
        one.sound = offsets.size - 1
    if one.error:
        # Asked as a value of rows, which it is not, it has the status ERROR throughout.
        found = flat.answer(program, [one.value], np.array([t]), _of_key(request, one.k))
        one.parts = [_Part(np.arange(len(program.outputs)), found)]
        return True
    fields, views = glance(one.value)
    leaf_at = np.full(fields.shape[1], -1)
    leaf_at[list(one.leaves)] = offsets[1:-1]
    plan = _planned(program, views)
    tree = plan.tree
    result = np.empty((3 * len(tree.slots) + 2, 1), np.int64)
    wanted = np.zeros(fields.shape[1], np.uint8)
    declared = layout.declared_known and layout.kind == "event"
    done = answer_tree(
        words, 0, t, layout.lag, declared, layout.form, tree.kinds, tree.views, tree.walks, tree.features, leaf_at,
        wanted, request.words, request.data, one.k, result,
    )  # fmt: skip
    newest = int(result[-2, 0])
    if done and plan.rest is not None:
        chosen = _leaves_of(plan.rest, fields, t, newest)
        wanted[chosen[leaf_at[chosen] < 0]] = 1
    if wanted.any():
        one.wanted = np.flatnonzero(wanted).tolist()
        return False
    one.event_time = newest
    one.parts = [_Part(tree.slots, Answers(plan.told, words, request, _NO_LISTS, result))]
    if plan.rest is not None:
        value = _side_by_side(
            layout, [one.leaves[leaf] for leaf in chosen.tolist()], one.value, done == FOUND
        )
        found = flat.answer(plan.rest, [value], np.array([t]), _of_key(request, one.k))
        one.parts.append(_Part(np.array(tree.rest, np.int64), found))
    return True


def _check(layout: Layout, words: Int64s, offsets: Int64s, sound: int) -> int:
    """0 if an index with its tail, and the leaves beside it, are sound; or the first reason why not.

    sound: of how many values that is known.
    """
    reason = 0
    for number, (first, last) in enumerate(pairwise(offsets.tolist())):
        if number < sound or reason:
            continue
        if number == 0:
            reason = int(kernel.verify_index(words, first, last, layout.digest))
            first += int(words[2])
        reason = reason or int(kernel.verify_rows(words, first, last, layout.digest, layout.form))
    return reason


def _of_key(request: RequestRows, k: int) -> RequestRows:
    """The request's own row of one key."""
    words = request.words
    return RequestRows(np.ascontiguousarray(words[:, k : k + 1]), request.data) if words.size else request


@dataclass(frozen=True, slots=True)
class _Plan:
    """A program, for indexes with certain views."""

    tree: TreeProgram
    told: Program
    """The outputs that the tree answers, in its order."""
    rest: Program | None
    """The others, if there are any."""


def _planned(program: Program, held: Sequence[int]) -> _Plan:
    """The plan for indexes that have certain views, made once. held: the words of these views."""
    known = program.plans.get(tuple(held))
    if known is None:
        known = program.plans[tuple(held)] = _plan(program, [View.of(word) for word in held])
    return known


def _plan(program: Program, views: Sequence[View]) -> _Plan:
    outputs, layout = program.outputs, program.layout
    tree = make_tree_program(layout, program.types, outputs, views)

    def of(chosen: Sequence[int]) -> Program:
        return make_program(layout, program.types, [outputs[slot] for slot in chosen], program.max_age)

    return _Plan(tree, of(tree.slots.tolist()), of(tree.rest) if tree.rest else None)


# --------------------------------------------------------------------------------------------------------- rows


def _leaves_of(program: Program, fields: Int64s, t: int, newest: int) -> Int64s:
    """The leaves whose rows a program must see at t; `newest`: event_time of the newest visible row, or MIN."""
    first, last = fields[kernel.FIRST_TIME], fields[kernel.LAST_TIME]
    if program.layout.kind == "state":
        chosen = (first <= newest) & (newest <= last)
    else:
        upper = max(_minus(t, output.offset) for output in program.outputs)
        lower = min(_lower(output, t) for output in program.outputs)
        chosen = (first < upper) & (last >= lower)
    return np.flatnonzero(chosen & (fields[kernel.BEGINS] <= t))


def _lower(output: Output, t: int) -> int:
    return MIN if output.window == NONE else _minus(_minus(t, output.offset), output.window)


def _minus(t: int, span: int) -> int:
    return max(t - span, MIN)


def _side_by_side(layout: Layout, leaves: Sequence[bytes], value: bytes, found: bool) -> memoryview:
    """A value of the rows of some leaves and of the tail. found: whether any row of the key ever counted."""
    rows = unpack(layout, [*leaves, tail_of(value)])
    n, tail = rows.n_rows, int(rows.key_start[-2])
    whole = replace(
        rows,
        key_start=np.array([0, n]),
        counter=rows.counter[-1:],
        first_activation=np.array([MIN if found else MAX]),
        newest_dropped=rows.newest_dropped[-1:],
    )
    if 0 < tail < n and rows.event_time[tail] <= rows.event_time[tail - 1]:
        # Rows of the tail stand among those of leaves.
        whole = merge(layout, nothing(layout, 1), whole).rows
    buffer, _ = pack(layout, whole)
    return buffer.data
