"""Aggregates: their names, their windows, and what is refused when they are declared."""

from __future__ import annotations

from datetime import timedelta

import polars as pl
import pytest

import gnomon as gn
from gnomon.define.aggregate import RULES, Aggregate, Window
from gnomon.errors import DefinitionError
from gnomon.time import HOUR, MINUTE


def names(aggregate):
    return [name for name, _ in aggregate.names()]


@pytest.mark.parametrize(
    ("aggregate", "want"),
    [
        (lambda: gn.count(windows=["1h", "7d"]), ["count_1h", "count_7d"]),
        (lambda: gn.sum("x", windows=["90m"]), ["x_sum_90m"]),
        (lambda: gn.last("x"), ["x_last"]),
        (lambda: gn.last_k("x", 3, windows="1h"), ["x_last_k_1h"]),
        (lambda: gn.std("x", ddof=0, where="x > 0", limit=5, offset="1h"), ["x_std"]),
        (lambda: gn.sum(expr="x * 2", windows=["1h"]), ["sum_1h"]),
        (lambda: gn.count(windows=["1d"], name="late"), ["late_1d"]),
        (
            lambda: gn.mean("x", windows=[timedelta(days=7), timedelta(minutes=90)]),
            ["x_mean_7d", "x_mean_90m"],
        ),
        (lambda: gn.mean("x", windows=timedelta(hours=24)), ["x_mean_1d"]),
        (lambda: gn.mean("x", windows=[" 24h "]), ["x_mean_24h"]),
        (lambda: gn.mean("x", windows=HOUR), ["x_mean_1h"]),
        (lambda: gn.quantile("x", 0.9, windows=["1h"]), ["x_quantile_0_9_1h"]),
        (lambda: gn.quantile("x", 1), ["x_quantile_1"]),
        (lambda: gn.quantile("x", -0.0), ["x_quantile_0"]),
        (lambda: gn.quantile("x", 1e-05), ["x_quantile_0_00001"]),
        (lambda: gn.quantile(expr="x * 2", q=0.25), ["quantile_0_25"]),
        (lambda: gn.quantile("x", 0.9, name="p90", windows=["1h"]), ["p90_1h"]),
        (lambda: gn.approx_quantile("x", 0.9, windows=["1h"]), ["x_approx_quantile_0_9_1h"]),
        (lambda: gn.approx_n_distinct("x"), ["x_approx_n_distinct"]),
        (lambda: gn.decayed_sum("x", half_life="1d", windows=["30d"]), ["x_decayed_sum_30d"]),
        (lambda: gn.top_k("x", 3, windows=["1h"]), ["x_top_k_1h"]),
        (lambda: gn.histogram("x"), ["x_histogram"]),
        (lambda: gn.mean("x", by="c", windows=["1h"]), ["x_mean_1h"]),
    ],
)
def test_names_are_column_function_and_window_as_written(aggregate, want):
    assert names(aggregate()) == want


def test_windows_are_kept_as_length_and_text():
    assert gn.count(windows=["90m"]).windows == (Window(90 * MINUTE, "90m"),)
    assert gn.count().windows == gn.count(windows=None).windows == gn.count(windows=[]).windows == ()


def test_text_and_timedelta_of_one_length_are_equal_where_they_read_alike():
    assert gn.count(windows=["1d"]) == gn.count(windows=[timedelta(days=1)])
    assert gn.count(windows=["24h"]) != gn.count(windows=["1d"])


@pytest.mark.parametrize(
    ("make", "at", "what"),
    [
        (gn.sum, "column", "a column or an `expr` is needed"),
        (lambda: gn.sum("x", expr="y"), "expr", "`column` and `expr` exclude each other"),
        (lambda: gn.sum(expr="AVG(x)"), "expr", "`AVG` is not allowed"),
        (lambda: gn.count(where="x >"), "where", "cannot be read"),
        (lambda: gn.count(windows=["0s"]), "windows", "the window `0s` is not positive"),
        (lambda: gn.count(windows=[timedelta(days=-1)]), "windows", "is not positive"),
        (lambda: gn.count(windows=["1 month"]), "windows", "is not a duration"),
        (lambda: gn.count(windows=1.5), "windows", "is not a duration"),
        (gn.rate, "windows", "`rate` needs a window"),
        (lambda: gn.count(offset=timedelta(days=-1)), "offset", "an offset cannot be negative"),
        (lambda: gn.count(limit=0), "limit", "`limit` must be a whole number of at least 1"),
        (lambda: gn.count(limit=1.0), "limit", "`limit` must be a whole number of at least 1"),
        (lambda: gn.last_k("x", 0), "k", "`k` must be a whole number of at least 1"),
        (lambda: gn.first_k("x", True), "k", "`k` must be a whole number of at least 1"),
        (lambda: gn.top_k("x", 0), "k", "`k` must be a whole number of at least 1"),
        (lambda: gn.quantile("x"), "q", "a quantile needs its `q`"),
        (lambda: gn.quantile("x", 90), "q", "`q` must be a number from 0 to 1, found 90"),
        (lambda: gn.quantile("x", float("nan")), "q", "`q` must be a number from 0 to 1"),
        (lambda: gn.quantile("x", True), "q", "`q` must be a number from 0 to 1"),
        (lambda: gn.quantile("x", "0.9"), "q", "`q` must be a number from 0 to 1"),
        (lambda: gn.approx_quantile("x", windows=["1h"]), "q", "a quantile needs its `q`"),
        (lambda: gn.decayed_sum("x", half_life="1d"), "windows", "`decayed_sum` needs a window"),
        (lambda: gn.decayed_sum("x", windows=["1d"]), "half_life", "a decayed sum needs its `half_life`"),
        (
            lambda: gn.decayed_sum("x", half_life="0s", windows=["1d"]),
            "half_life",
            "the half-life `0s` is not positive",
        ),
        (
            lambda: gn.decayed_sum("x", half_life=-5, windows=["1d"]),
            "half_life",
            "the half-life `-5` is not positive",
        ),
        (lambda: gn.decayed_sum("x", half_life="soon", windows=["1d"]), "half_life", "is not a duration"),
        (lambda: gn.top_k("x", by="c"), "by", "`top_k` gives a list already"),
        (lambda: gn.last_k("x", by="c"), "by", "`last_k` gives a list already"),
        (lambda: gn.count(by=7), "by", "a column is named by text"),
        (lambda: gn.std("x", ddof=2), "ddof", "ddof must be 0 or 1"),
        (lambda: gn.last("x", nulls="drop"), "nulls", 'nulls must be "skip" or "keep"'),
        (lambda: gn.count(include_request=True, offset="1s"), "include_request", "exclude each other"),
        (lambda: gn.count(name="a b"), None, "is not a usable name"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_place(make, at, what):
    with pytest.raises(DefinitionError) as caught:
        make()
    (problem,) = caught.value.problems
    assert what in problem.what
    assert problem.at.startswith("gn.")
    assert at is None or problem.at.endswith(f").{at}")


def test_all_problems_of_one_call_are_told_at_once():
    with pytest.raises(DefinitionError) as caught:
        gn.last_k(None, 0, windows=["x", "0s"], limit=-1, offset="?")
    assert len(caught.value.problems) == 6


ALL_TYPES = [
    pl.Int8(), pl.Int64(), pl.UInt64(), pl.Float32(), pl.Float64(), pl.Decimal(10, 2), pl.Boolean(), pl.String(),
    pl.Binary(), pl.Date(), pl.Datetime("us", "UTC"), pl.Duration("us"), pl.Time(), pl.List(pl.Int64),
    pl.Array(pl.Int64, 2), pl.Struct({"a": pl.Int64}),
]  # fmt: skip
NUMBERS = {d for d in ALL_TYPES if d.is_numeric()} | {pl.Boolean()}
NESTED = {d for d in ALL_TYPES if d.is_nested()}


@pytest.mark.parametrize(
    ("functions", "accepted"),
    [
        ("count first last first_k last_k time_since_last time_since_first rate", set(ALL_TYPES)),
        ("min max n_distinct approx_n_distinct mode top_k histogram", set(ALL_TYPES) - NESTED),
        ("sum mean", NUMBERS),
        ("var std median quantile approx_quantile decayed_sum", NUMBERS - {pl.Decimal(10, 2)}),
        ("any all", {pl.Boolean()}),
    ],
)
def test_each_function_takes_its_types_and_no_others(functions, accepted):
    for function in functions.split():
        assert {d for d in ALL_TYPES if RULES[function].accepts(d)} == accepted, function
        assert not RULES[function].accepts(pl.Null()), function


def test_every_function_stands_in_the_table_above():
    named = test_each_function_takes_its_types_and_no_others.pytestmark[0].args[1]
    assert {f for functions, _ in named for f in functions.split()} == set(RULES)


@pytest.mark.parametrize(
    ("function", "given", "want"),
    [
        ("sum", pl.Int8(), pl.Int64()),
        ("sum", pl.Boolean(), pl.Int64()),
        ("sum", pl.Float32(), pl.Float64()),
        ("sum", pl.Decimal(10, 2), pl.Decimal(38, 2)),
        ("mean", pl.Decimal(10, 2), pl.Float64()),
        ("max", pl.Float32(), pl.Float32()),
        ("last", pl.Struct({"a": pl.Int64}), pl.Struct({"a": pl.Int64})),
        ("last_k", pl.Date(), pl.List(pl.Date())),
        ("count", pl.String(), pl.Int64()),
        ("mode", pl.Float32(), pl.Float32()),
        ("top_k", pl.Date(), pl.List(pl.Date())),
        ("histogram", pl.String(), pl.List(pl.Struct({"key": pl.String(), "value": pl.Int64()}))),
        ("quantile", pl.Int8(), pl.Float64()),
        ("approx_n_distinct", pl.String(), pl.Int64()),
        ("approx_quantile", pl.Float32(), pl.Float64()),
        ("decayed_sum", pl.Boolean(), pl.Float64()),
        ("time_since_last", pl.String(), pl.Duration("us")),
        ("rate", pl.String(), pl.Float64()),
    ],
)
def test_result_types_are_those_of_the_contract(function, given, want):
    assert RULES[function].returns(given) == want


def test_aggregates_print_as_they_differ_from_the_default():
    assert repr(Aggregate("count", limit=3)) == "Aggregate(function='count', limit=3)"
