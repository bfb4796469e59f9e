"""Functions of named columns: what they get, what they may return, and what they must not look at."""

from __future__ import annotations

import dataclasses
import threading
from typing import Any

import numpy as np
import polars as pl
import pytest

import gnomon as gn
from gnomon.errors import ComputeError, DefinitionError
from gnomon.flows.hands import Hands
from gnomon.flows.ondemand import call, call_by_row, probe

A, B = pl.Series("a", [1, 2]), pl.Series("b", [10, None])
BOTH = {"a": A, "b": B}


def declare(function: Any, returns: dict[str, Any]) -> gn.OnDemand:
    inputs = [gn.Request("a", pl.Int64), gn.Request("b", pl.Int64)]
    return gn.on_demand(inputs=inputs, returns=returns)(function)


def by_name(b: pl.Series, a: pl.Series) -> pl.Series:
    return a * 100 + b


def by_place(first: pl.Series, second: pl.Series) -> pl.Series:
    return first * 100 + second


def both(a: pl.Series, b: pl.Series) -> dict[str, pl.Series]:
    return {"difference": b - a, "total": a + b}


def in_order(a: pl.Series, b: pl.Series) -> tuple[pl.Series, pl.Series]:
    return a + b, b - a


def framed(a: pl.Series, b: pl.Series) -> pl.DataFrame:
    return pl.DataFrame({"difference": b - a, "total": a + b})


def arrayed(a: pl.Series, b: pl.Series) -> np.ndarray:
    return a.to_numpy() * 2.5


@pytest.mark.parametrize("function", [by_name, by_place])
def test_columns_come_by_name_where_all_names_match_and_else_in_order(function):
    (made,) = call(declare(function, {"x": pl.Int64}), function, BOTH, 2)
    assert made.equals(pl.Series("x", [110, None]))


@pytest.mark.parametrize("function", [both, in_order, framed])
def test_several_outputs_come_as_a_dict_a_tuple_or_a_frame(function):
    declared = declare(function, {"total": pl.Int64, "difference": pl.Int64})
    total, difference = call(declared, function, BOTH, 2)
    assert (total.to_list(), difference.to_list()) == ([11, None], [9, None])


def test_arrays_are_taken_and_results_have_the_declared_type():
    (made,) = call(declare(arrayed, {"x": pl.Float64}), arrayed, BOTH, 2)
    assert made.equals(pl.Series("x", [2.5, 5.0]))
    (made,) = call(declare(by_name, {"x": pl.Float64}), by_name, BOTH, 2)
    assert made.dtype == pl.Float64


def failing(a: pl.Series, b: pl.Series) -> pl.Series:
    raise KeyError("no such thing")


def short(a: pl.Series, b: pl.Series) -> pl.Series:
    return a.head(1)


def text(a: pl.Series, b: pl.Series) -> pl.Series:
    return a.cast(pl.String)


def nothing(a: pl.Series, b: pl.Series) -> None:
    return None


def misnamed(a: pl.Series, b: pl.Series) -> dict[str, pl.Series]:
    return {"y": a}


def too_many(a: pl.Series, b: pl.Series) -> tuple[pl.Series, ...]:
    return a, b, a


@pytest.mark.parametrize(
    ("function", "returns", "message"),
    [
        (failing, {"x": pl.Int64}, "`failing` failed: KeyError: 'no such thing'"),
        (short, {"x": pl.Int64}, "`short` returned 1 value.* of `x` for 2 rows"),
        (text, {"x": pl.Int64}, "`text` returned `x` as String, declared is Int64"),
        (nothing, {"x": pl.Int64}, "`nothing` returned a NoneType for `x`"),
        (misnamed, {"x": pl.Int64}, r"`misnamed` returned \['y'\], declared are \['x'\]"),
        (too_many, {"x": pl.Int64, "y": pl.Int64}, "`too_many` returned 3 outputs, declared are 2"),
        (by_name, {"x": pl.Int64, "y": pl.Int64}, "`by_name` returned one output, declared are x, y"),
    ],
)
def test_what_is_returned_wrongly_names_the_function(function, returns, message):
    with pytest.raises(ComputeError, match=message):
        call(declare(function, returns), function, BOTH, 2)


TYPES = {"a": pl.Int64(), "b": pl.Int64()}


def test_a_function_of_its_own_row_passes_the_probe():
    for function in (by_name, both, arrayed):
        returns = {"total": pl.Float64, "difference": pl.Float64} if function is both else {"x": pl.Float64}
        probe(declare(function, returns), function, TYPES)


def averaged(a: pl.Series, b: pl.Series) -> pl.Series:
    return a / a.mean()


def shifted(a: pl.Series, b: pl.Series) -> pl.Series:
    return a.shift(1)


def ranked(a: pl.Series, b: pl.Series) -> pl.Series:
    return a.rank("ordinal")


def numbered(a: pl.Series, b: pl.Series) -> pl.Series:
    return pl.Series(range(len(a)))


def filled_forward(a: pl.Series, b: pl.Series) -> pl.Series:
    return a.forward_fill()


@pytest.mark.parametrize("function", [averaged, shifted, ranked, numbered, filled_forward])
def test_a_function_that_looks_at_other_rows_is_refused_with_the_difference(function):
    with pytest.raises(
        DefinitionError, match=f"`{function.__name__}` gives `x` = .* for all rows at once and"
    ) as caught:
        probe(declare(function, {"x": pl.Float64}), function, TYPES)
    assert "a=" in caught.value.at
    assert "own row" in caught.value.hint


def test_a_function_that_fails_on_sound_values_is_refused_and_one_that_fails_on_nulls_is_not():
    with pytest.raises(DefinitionError, match="no such thing"):
        probe(declare(failing, {"x": pl.Int64}), failing, TYPES)
    probe(declare(strict, {"x": pl.Int64}), strict, TYPES)


def strict(a: pl.Series, b: pl.Series) -> pl.Series:
    if a.null_count():
        raise ValueError("no nulls, please")
    return a


def same(a: pl.Series, b: pl.Series) -> pl.Series:
    return a


@pytest.mark.parametrize(
    "dtype",
    [
        pl.Boolean(), pl.String(), pl.Binary(), pl.Date(), pl.Datetime("us", "UTC"), pl.Duration("us"), pl.Time(),
        pl.Float32(), pl.Float64(), pl.Int8(), pl.UInt64(), pl.Decimal(10, 2), pl.List(pl.String),
        pl.List(pl.List(pl.Int64)), pl.Array(pl.Int64, 2), pl.Struct({"x": pl.Int64}),
    ],
)  # fmt: skip
def test_inputs_of_every_type_are_probed(dtype):
    probe(declare(same, {"x": dtype}), same, {"a": dtype, "b": pl.Int64()})


def by_seven(a: pl.Series, b: pl.Series) -> pl.Series:
    if (a == 7).any():
        raise ValueError("seven")
    if (a == 8).any():
        return a.head(0)
    return a + b


def test_what_fails_by_row_leaves_the_other_rows_their_values():
    inputs = {"a": pl.Series([1, 7, 8, 2]), "b": pl.Series([1, 1, 1, 1])}
    found = call_by_row(declare(by_seven, {"x": pl.Int64}), by_seven, inputs, 4)
    assert found.columns == [[2, None, None, 3]]
    assert found.reasons.keys() == {1, 2}
    assert "`by_seven` failed: ValueError: seven - at `inputs a, b`" in found.reasons[1]


def panicking(a: pl.Series, b: pl.Series) -> pl.Series:
    raise pl.exceptions.PanicException("a bug below")


def test_a_panic_below_python_is_an_error_of_the_function_too():
    with pytest.raises(ComputeError, match="`panicking` failed: PanicException: a bug below"):
        call(declare(panicking, {"x": pl.Int64}), panicking, BOTH, 2)


@pytest.fixture
def gate():
    """Opens at the end of the test, so that no thread outlives it."""
    event = threading.Event()
    yield event
    event.set()


def test_a_call_beyond_its_timeout_is_an_error_of_all_rows_and_none_is_waited_for_twice(gate):
    calls = []

    def hanging(a: pl.Series, b: pl.Series) -> pl.Series:
        calls.append(len(a))
        gate.wait()
        return a

    declared = dataclasses.replace(declare(by_name, {"x": pl.Int64}), name="hanging", timeout=20_000)
    found = call_by_row(declared, hanging, BOTH, 2, Hands("h"))
    assert found.columns == [[None, None]]
    assert found.reasons[0] == found.reasons[1]
    assert "`hanging` took longer than it may - at `inputs a, b`" in found.reasons[0]
    assert "its timeout is 20ms" in found.reasons[0]
    assert calls == [2]


def test_rows_that_were_done_before_the_timeout_keep_their_values(gate):
    def hangs_at_the_third(a: pl.Series, b: pl.Series) -> pl.Series:
        if len(a) > 1:
            raise ValueError("one by one, please")
        if a[0] == 3:
            gate.wait()
        return a

    declared = dataclasses.replace(declare(by_name, {"x": pl.Int64}), timeout=200_000)
    inputs = {"a": pl.Series([1, 2, 3, 4]), "b": pl.Series([0, 0, 0, 0])}
    found = call_by_row(declared, hangs_at_the_third, inputs, 4, Hands("h"))
    assert found.columns == [[1, 2, None, None]]
    assert found.reasons.keys() == {2, 3}
