"""Chunks, views and walks: which rows are met, and what they are called in the whole part."""

from __future__ import annotations

import numpy as np
import polars as pl

from gnomon.columns import NO_WORDS
from gnomon.engines.lanes import Lane
from gnomon.engines.walks import Chunk, make_view, make_walk
from gnomon.plan.layout import Output
from tests.engines.chunks import KINDS, make_case


def chunk(**given) -> Chunk:
    """Rows 2, 3, 4 of a part of five, all of one key, at times 0, 1, 2; two questions."""
    made = {
        "first": 2,
        "code": np.zeros(3, np.int64),
        "time": np.arange(3),
        "known": NO_WORDS,
        "until": NO_WORDS,
        "q_code": np.zeros(2, np.int64),
        "q_t": np.array([2, 3]),
        "at": np.array([1, 0]),
        "n_part": 5,
    }
    return Chunk(**(made | given))


LANES = {0: Lane(pl.Series([9, 9, 5, None, 7, 100, 101]))}
SUM = Output("", "sum", pl.Int64(), input=0, window=10)


def test_a_view_leaves_out_nulls_and_knows_its_rows_by_their_numbers_in_the_part():
    view = make_view(chunk(), SUM, LANES, {})
    walk = make_walk(view, SUM, LANES, {})
    assert view.code.tolist() == [5, 7]
    assert walk.numbers.tolist() == [2, 4]
    assert list(zip(walk.lo.tolist(), walk.hi.tolist(), strict=True)) == [(0, 1), (0, 2)]


def test_a_chunk_of_rows_that_lie_apart_takes_them_by_number():
    apart = chunk(taken=np.array([4, 0, 2]))
    view = make_view(apart, SUM, LANES, {})
    assert view.code.tolist() == [7, 9, 5]
    assert make_walk(view, SUM, LANES, {}).numbers.tolist() == [4, 0, 2]


def test_the_requests_own_row_is_that_of_the_spine_row_and_not_of_where_the_answer_goes():
    own = Output("", "sum", pl.Int64(), input=0, window=10, include_request=True)
    walk = make_walk(make_view(chunk(), own, LANES, {}), own, LANES, {})
    assert walk.xcode.tolist() == [101, 100]
    moved = chunk(asked=np.array([0, 0]), own_ok=np.array([1, 0], np.uint8))
    walk = make_walk(make_view(moved, own, LANES, {}), own, LANES, {})
    assert walk.xcode.tolist() == [100, 100]
    assert walk.xok.tolist() == [1, 0]


def test_a_limit_counts_the_requests_own_row():
    own = Output("", "sum", pl.Int64(), input=0, window=10, limit=2, include_request=True)
    walk = make_walk(make_view(chunk(), own, LANES, {}), own, LANES, {})
    assert (walk.hi - walk.lo).tolist() == [1, 1]


def test_kinds_of_cases_are_what_they_are_called():
    contiguous = {kind: all(c.contiguous for c in make_case(kind, 1).chunks(1)) for kind in KINDS}
    assert contiguous == {"contiguous": True, "late": False, "replaced": False}
