"""Views: which choices of a key's rows the features of a group look at, and what of them an index must have.

What the records of leaves tell (`gnomon.kernels.states`) is enough for some aggregates. A *tree program* is made of
these; the others, the *rest*, look at rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from gnomon.kernels import folds, states
from gnomon.online.arrays import Int64s
from gnomon.online.codec import Layout
from gnomon.online.index import View, lane_kind
from gnomon.plan.layout import NONE, Output

__all__ = ["TreeProgram", "make_tree_program", "views_of"]

_NEEDS = {
    "count": (folds.COUNT, 0),
    "rate": (folds.RATE, 0),
    "sum": (folds.SUM, states.SUMS),
    "mean": (folds.MEAN, states.SUMS),
    "any": (folds.ANY, states.SUMS),
    "all": (folds.ALL, states.SUMS),
    "var": (folds.VAR, states.SUMS | states.SQUARES),
    "std": (folds.STD, states.SUMS | states.SQUARES),
    "min": (folds.MIN, states.EXTREMA),
    "max": (folds.MAX, states.EXTREMA),
    "first": (folds.FIRST, states.ENDS),
    "last": (folds.LAST, states.ENDS),
    "time_since_first": (folds.SINCE_FIRST, states.ENDS),
    "time_since_last": (folds.SINCE_LAST, states.ENDS),
    "n_distinct": (folds.N_DISTINCT, states.DISTINCT),
}
"""Aggregates that records tell: the number of the function, and what it needs."""

Choice = tuple[int, int, bool]
"""Lane, condition, whether nulls are kept."""


def views_of(outputs: Iterable[Output]) -> tuple[View, ...]:
    """The views of a group's features, and what its indexes are to have of them; a state group has none."""
    needs: dict[Choice, int] = {}
    for output in outputs:
        if _is_told(output):
            chosen = _choice(output)
            needs[chosen] = needs.get(chosen, 0) | _NEEDS[output.function][1]
    return tuple(View(*chosen, needs[chosen]) for chosen in sorted(needs))


def _is_told(output: Output) -> bool:
    return output.function in _NEEDS and output.limit == NONE and output.by == NONE


def _choice(output: Output) -> Choice:
    return output.input, output.where, output.keep_nulls


@dataclass(frozen=True)
class TreeProgram:
    """Which outputs an index can answer, planned for `kernels.tree`, and which it cannot."""

    slots: Int64s
    """Of each output that it answers: its position among all."""
    rest: tuple[int, ...]
    """The others' positions."""
    kinds: Int64s
    """[L]: how lanes are read."""
    views: Int64s
    """[V, 6]"""
    walks: Int64s
    """[W, 4]"""
    features: Int64s
    """[F, 3]"""


def make_tree_program(
    layout: Layout, types: Sequence[pl.DataType], outputs: Sequence[Output], held: Sequence[View]
) -> TreeProgram:
    """Plan the outputs for an index that has the views `held`. types: of the lanes."""
    place = {(view.lane, view.where, view.keeps_nulls): number for number, view in enumerate(held)}

    def is_held(output: Output) -> bool:
        number = place.get(_choice(output))
        return number is not None and not _NEEDS[output.function][1] & ~held[number].needs

    slots = [slot for slot, output in enumerate(outputs) if _is_told(output) and is_held(output)]
    slots.sort(key=lambda slot: (_choice(outputs[slot]), _walk(outputs[slot])))
    views: list[list[int]] = []
    walks: list[list[int]] = []
    features: list[list[int]] = []
    for number, slot in enumerate(slots):
        output = outputs[slot]
        function, needs = _NEEDS[output.function]
        chosen, walk = _choice(output), _walk(output)
        if not number or _choice(outputs[slots[number - 1]]) != chosen:
            views.append([*map(int, chosen), 0, place[chosen], 0])
            walks.append([*walk, 0])
        elif _walk(outputs[slots[number - 1]]) != walk:
            walks.append([*walk, 0])
        features.append([function, number, _parameter(output, types)])
        views[-1][3] |= needs
        views[-1][5] = len(walks)
        walks[-1][3] = len(features)
    return TreeProgram(
        slots=np.array(slots, np.int64),
        rest=tuple(sorted(set(range(len(outputs))) - set(slots))),
        kinds=np.array([lane_kind(layout, lane) for lane in range(len(layout.lanes))], np.int64),
        views=np.array(views, np.int64).reshape(-1, 6),
        walks=np.array(walks, np.int64).reshape(-1, 4),
        features=np.array(features, np.int64).reshape(-1, 3),
    )


def _walk(output: Output) -> tuple[int, int, int]:
    return output.window, output.offset, int(output.include_request)


def _parameter(output: Output, types: Sequence[pl.DataType]) -> int:
    if output.function in ("var", "std"):
        return output.ddof
    dtype = types[output.input] if output.input != NONE else None
    return dtype.scale or 0 if isinstance(dtype, pl.Decimal) else 0
