"""Sorted rows and sorted queries → values of aggregates, one chunk of keys at a time.

Features that look at the same rows share the work: those of one view, then those of one walk over it
(`engines.walks`), then those that one pass computes together (`engines.families`).
"""

from __future__ import annotations

from collections.abc import Mapping

from gnomon.columns import NO_WORDS, Flags, Words
from gnomon.engines.families import FAMILY, grouped
from gnomon.engines.lanes import Lane
from gnomon.engines.results import Result
from gnomon.engines.walks import Chunk, View, Walk, make_view, make_walk
from gnomon.kernels import ordered
from gnomon.plan.layout import Output


def solve(
    chunk: Chunk, tasks: Mapping[Output, Result], lanes: Mapping[int, Lane], wheres: Mapping[int, Flags]
) -> None:
    """Compute all tasks for a chunk, writing into their results.

    `lanes`: inputs of the part's sorted rows, then of the request's own rows by spine row. `wheres`:
    conditions alike.
    """
    for chosen in grouped(tasks, lambda t: (t.input, t.where, t.keep_nulls)).values():
        view = make_view(chunk, chosen[0], lanes, wheres)
        for same in grouped(chosen, lambda t: (t.window, t.offset, t.limit, t.include_request)).values():
            walk = make_walk(view, same[0], lanes, wheres)
            for family, members in grouped(same, lambda t: FAMILY[t.function]).items():
                family(walk, {task: tasks[task] for task in members})


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
