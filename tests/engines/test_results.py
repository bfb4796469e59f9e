"""Results become columns: nulls where nobody wrote, lists in the order of the spine."""

from __future__ import annotations

import math

import numpy as np
import polars as pl

from gnomon.columns import NO_WORDS
from gnomon.engines.lanes import Lane
from gnomon.engines.results import Lists, Result, column, failed, make_result
from gnomon.plan.layout import Output
from gnomon.testing.reference import same

LANES = {0: Lane(pl.Series([-0.0, 0.0, 2.5, math.nan]))}
FLOAT = pl.Float64()


def counts(*numbers: int) -> Result:
    return Result(np.array(numbers), ok=np.ones(len(numbers), np.uint8))


def test_results_are_null_where_nobody_writes():
    for function, dtype in (("mean", FLOAT), ("sum", pl.Decimal(38, 2)), ("any", pl.Boolean())):
        task = Output("x", function, dtype, input=0)
        assert column(task, make_result(task, 3), LANES, 3).to_list() == [None] * 3
    task = Output("x", "max", FLOAT, input=0)
    assert column(task, make_result(task, 3), LANES, 3).to_list() == [None] * 3


def test_what_could_not_be_computed_has_no_value_but_is_told():
    task = Output("x", "sum", FLOAT, input=0)
    result = make_result(task, 2)
    result.values[:], result.ok[:] = [1.5, 2.5], [1, 2]
    assert result.ok.tolist() == [1, 2]
    assert column(task, result, LANES, 2)[0] == 1.5


def test_selected_rows_keep_the_sign_of_a_zero_but_a_mode_stands_for_both_zeros():
    for function, want in (("last", [-0.0, 0.0]), ("mode", [0.0, 0.0])):
        task = Output("x", function, FLOAT, input=0)
        result = make_result(task, 2)
        result.values[:] = [0, 1]
        assert same(column(task, result, LANES, 2).to_list(), want)


def test_lists_of_chunks_are_put_into_the_order_of_the_spine():
    task = Output("x", "last_k", pl.List(FLOAT), input=0, k=2)
    result = make_result(task, 4)
    result.lists.append(Lists(np.array([3, 0]), np.array([0, 2, 3]), np.array([2, 1, 0])))
    result.lists.append(Lists(np.array([1]), np.array([0, 1]), np.array([2])))
    made = column(task, result, LANES, 4)
    assert same(made.to_list(), [[-0.0], [2.5], [], [2.5, 0.0]])
    assert made.dtype == pl.List(FLOAT)


def test_histograms_have_their_counts_beside_the_values():
    dtype = pl.List(pl.Struct({"key": FLOAT, "value": pl.Int64}))
    task = Output("x", "histogram", dtype, input=0)
    result = make_result(task, 3)
    result.lists.append(Lists(np.array([2, 1]), np.array([0, 0, 2]), np.array([0, 3]), counts(7, 2)))
    made = column(task, result, LANES, 3)
    assert same(made.to_list(), [[], [{"key": 0.0, "value": 7}, {"key": math.nan, "value": 2}], []])
    assert made.dtype == dtype


def test_a_value_by_category_fails_where_one_of_its_categories_does():
    dtype = pl.List(pl.Struct({"key": FLOAT, "value": FLOAT}))
    task = Output("x", "sum", dtype, input=0, by=0)
    result = make_result(task, 3)
    each = Result(np.array([1.0, 0.0, 2.0]), ok=np.array([1, 2, 0], np.uint8))
    result.lists.append(Lists(np.array([2, 0]), np.array([0, 1, 3]), np.array([0, 2, 3]), each))
    assert failed(result, 3).tolist() == [True, False, False]
    made = column(task, result, LANES, 3)
    assert same(made.to_list()[1:], [[], [{"key": 0.0, "value": 1.0}]])


def test_without_any_list_all_are_empty():
    task = Output("x", "top_k", pl.List(FLOAT), input=0)
    assert column(task, make_result(task, 2), LANES, 2).to_list() == [[], []]
    assert column(task, make_result(task, 0), LANES, 0).to_list() == []
    assert make_result(task, 2).values is NO_WORDS
