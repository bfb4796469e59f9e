"""Views: what indexes are to have for a group's features, and which features that is enough for."""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from gnomon.kernels import states
from gnomon.online.index import View
from gnomon.online.sealing import LOST
from gnomon.online.views import make_tree_program, views_of
from gnomon.plan.layout import Output
from tests.online.made import make_layout

TYPES = [pl.Boolean(), pl.Float64(), pl.String()]
COUNT = Output("n", "count", pl.Int64())
SUM = Output("s", "sum", pl.Float64(), input=1, window=10)
VAR = Output("v", "var", pl.Float64(), input=1, window=20)
LAST = Output("l", "last", pl.String(), input=2)
KEPT = replace(LAST, keep_nulls=True)
DISTINCT = Output("d", "n_distinct", pl.Int64(), input=2, where=0)
MEDIAN = Output("m", "median", pl.Float64(), input=1)
LIMITED = replace(SUM, limit=3)
BY_SHOP = replace(SUM, by=2)


def test_features_that_look_at_the_same_rows_share_a_view() -> None:
    assert views_of([SUM, VAR, replace(SUM, window=99), COUNT, LAST, KEPT, DISTINCT]) == (
        View(-1, -1, False, 0),
        View(1, -1, False, states.SUMS | states.SQUARES),
        View(2, -1, False, states.ENDS),
        View(2, -1, True, states.ENDS),
        View(2, 0, False, states.DISTINCT),
    )


def test_what_records_cannot_tell_asks_for_no_view() -> None:
    assert views_of([MEDIAN, LIMITED, BY_SHOP, Output("c", "column", pl.String(), input=2)]) == ()


def test_a_program_takes_what_the_index_has_and_leaves_the_rest() -> None:
    layout = make_layout(TYPES)
    asked = [MEDIAN, VAR, SUM, LIMITED, LAST, COUNT]
    tree = make_tree_program(layout, TYPES, asked, views_of(asked))
    assert sorted(tree.slots.tolist()) == [1, 2, 4, 5]
    assert tree.rest == (0, 3)
    assert len(tree.views) == 3
    assert len(tree.walks) == 4
    assert tree.views[-1, 5] == 4
    assert tree.walks[-1, 3] == 4


def test_an_index_of_before_a_feature_does_not_answer_it() -> None:
    layout = make_layout(TYPES)
    asked = [VAR, SUM, DISTINCT]
    assert make_tree_program(layout, TYPES, asked, views_of([SUM])).rest == (0, 2)
    assert make_tree_program(layout, TYPES, asked, []).rest == (0, 1, 2)


def test_too_many_values_leave_the_other_features_of_the_view() -> None:
    layout = make_layout(TYPES)
    greatest = Output("g", "max", pl.String(), input=2, where=0)
    held = [View(2, 0, False, states.EXTREMA | LOST)]
    assert make_tree_program(layout, TYPES, [DISTINCT, greatest], held).rest == (0,)
