"""Sorted rows and sorted queries → values of aggregates, one chunk of keys at a time.

Features that look at the same rows share the work: those of one view, then those of one walk over it
(`engines.walks`), then those that one pass computes together (`engines.families`).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from gnomon.columns import NO_FLAGS, NO_WORDS, Flags, Words
from gnomon.engines.families import FAMILY, categories_of, grouped
from gnomon.engines.lanes import Lane
from gnomon.engines.results import Lists, Result, make_result
from gnomon.engines.walks import Chunk, View, Walk, make_view, make_walk
from gnomon.kernels import order, ordered
from gnomon.plan.layout import NONE, Output


def solve(
    chunk: Chunk, tasks: Mapping[Output, Result], lanes: Mapping[int, Lane], wheres: Mapping[int, Flags]
) -> None:
    """Compute all tasks for a chunk, writing into their results.

    `lanes`: inputs of the part's sorted rows, then of the request's own rows by spine row. `wheres`:
    conditions alike.
    """
    whole = [task for task in tasks if task.by == NONE]
    for chosen in grouped(whole, lambda t: (t.input, t.where, t.keep_nulls)).values():
        view = make_view(chunk, chosen[0], lanes, wheres)
        for same in grouped(chosen, lambda t: (t.window, t.offset, t.limit, t.include_request)).values():
            walk = make_walk(view, same[0], lanes, wheres)
            for family, members in grouped(same, lambda t: FAMILY[t.function]).items():
                family(walk, {task: tasks[task] for task in members})
    apart = [task for task in tasks if task.by != NONE]
    for same in grouped(apart, lambda t: (t.by, t.where, t.window, t.offset, t.include_request)).values():
        _solve_by_category(chunk, {task: tasks[task] for task in same}, lanes, wheres)


def _solve_by_category(
    chunk: Chunk, tasks: Mapping[Output, Result], lanes: Mapping[int, Lane], wheres: Mapping[int, Flags]
) -> None:
    """Compute tasks that are alike but for what is computed of each category.

    A category of a key is asked like a key: each query becomes one question for each category that its window
    holds.
    """
    task = next(iter(tasks))
    lane = lanes[task.by]
    held = Output(
        "", "histogram", task.dtype, input=task.by, where=task.where, window=task.window, offset=task.offset,
        include_request=task.include_request,
    )  # fmt: skip
    view = make_view(chunk, held, lanes, wheres)
    offsets, found = categories_of(make_walk(view, held, lanes, wheres))
    query, category = np.repeat(np.arange(len(chunk.at)), np.diff(offsets)), found[:, 0].copy()
    questions = _by_key_and_category(chunk, view, lane, query, category)
    results = {one: make_result(one, len(query)) for one in dict.fromkeys(task.one for task in tasks)}
    solve(questions, results, lanes, wheres)
    for task, result in tasks.items():
        result.lists.append(Lists(chunk.at, offsets, lane.sample[category], results[task.one]))


def _by_key_and_category(chunk: Chunk, view: View, lane: Lane, query: Words, category: Words) -> Chunk:
    """The view's rows and questions about (query, category), each key taken apart by category.

    Question i is answered at place i.
    """
    codes, _ = lane.distinct
    local = view.local
    # One sort of rows and questions together numbers the pairs that either of them has.
    key = np.concatenate([chunk.code[local], chunk.q_code[query]])
    kind = np.concatenate([view.of(codes), category])
    by_pair = order.sort_rows(key, kind)
    pair = np.zeros(len(by_pair), np.int64)
    np.cumsum((np.diff(key[by_pair]) != 0) | (np.diff(kind[by_pair]) != 0), out=pair[1:])
    is_row = by_pair < len(local)
    rows, asked = local[by_pair[is_row]], by_pair[~is_row] - len(local)
    spine = chunk.spine[query[asked]]
    own_ok = NO_FLAGS
    if len(codes) > chunk.n_part:
        own = chunk.n_part + spine
        own_ok = (codes[own] == category[asked]).astype(np.uint8)
        if len(lane.valid):
            own_ok &= lane.valid[own]
    return Chunk(
        first=0,
        code=pair[is_row],
        time=chunk.time[rows],
        known=chunk.known[rows] if len(chunk.known) else NO_WORDS,
        until=chunk.until[rows] if len(chunk.until) else NO_WORDS,
        q_code=pair[~is_row],
        q_t=chunk.q_t[query[asked]],
        at=asked,
        n_part=chunk.n_part,
        taken=chunk.numbers(rows),
        asked=spine,
        own_ok=own_ok,
    )


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
