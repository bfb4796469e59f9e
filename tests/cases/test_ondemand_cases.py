"""Cases of on-demand functions; numbers are those of the cases' list."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

import gnomon as gn
from gnomon.errors import ComputeError, DataError, DefinitionError
from gnomon.time import instant
from tests.cases.definitions import (
    SPENT,
    below_ten,
    centred,
    mistyped,
    peeking,
    several,
    share,
    short,
)

T = datetime(2026, 1, 10, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def store() -> Iterator[gn.Store]:
    with gn.Store(clock=lambda: instant(T)) as made:
        made.apply([SPENT, share, several, below_ten, peeking])
        made.insert(
            SPENT, {"user": [1, 1, 2], "at": [T - HOUR, T - 2 * HOUR, T - HOUR], "x": [0.1, 0.2, 7.0]}
        )
        made.materialize()
        yield made


def spine(n: int = 1, **columns: Any) -> pl.DataFrame:
    return pl.DataFrame({"user": [1] * n, "event_timestamp": [T] * n} | columns)


def test_58_a_function_sees_its_declared_inputs_only(store: gn.Store) -> None:
    given = spine(amount=[1.0], other=[2.0])
    found = store.get_historical_features(given, [SPENT, peeking]).to_polars()
    assert found["peeked"].to_list() == [1.0]


def test_58_a_missing_request_value_names_function_and_input_offline(store: gn.Store) -> None:
    with pytest.raises(DataError, match="amount") as raised:
        store.get_historical_features(spine(), [share])
    assert "share" in str(raised.value)


def test_58_a_missing_request_value_names_function_and_input_online(store: gn.Store) -> None:
    with pytest.raises(DataError, match="amount") as raised:
        store.get_online_features([share], [{"user": 1}])
    assert "share" in str(raised.value)


def test_58_an_unknown_entity_gives_null_in_and_the_functions_own_result_out(store: gn.Store) -> None:
    found = store.get_online_features([share, several], [{"user": 99}], request={"amount": 4.0})
    assert found.to_dict() == {"share": [None], "known": [False], "twice": [8.0]}
    assert found.statuses == [["NULL", "PRESENT", "PRESENT"]]
    trained = store.get_historical_features(
        spine(amount=[4.0]).with_columns(user=pl.lit(99, pl.Int64)), [share, several]
    )
    assert trained.to_polars().select("share", "known", "twice").rows() == [(None, False, 8.0)]


def test_58_an_exception_is_an_error_of_its_own_value(store: gn.Store) -> None:
    request = {"amount": [12.0, 13.0, 1.0]}
    found = store.get_online_features([below_ten, several], [{"user": 1}] * 3, request=request)
    assert found.to_dict()["below_ten"] == [10.0, None, 1.0]
    assert [row[0] for row in found.statuses] == ["PRESENT", "ERROR", "PRESENT"]
    assert found.to_dict()["twice"] == [24.0, 26.0, 2.0]
    assert "thirteen" in found.errors[1, "below_ten"]


def test_59_a_whole_column_gives_what_one_by_one_gives(store: gn.Store) -> None:
    n = 1_000_000
    draws = np.random.default_rng(11)
    amount = draws.normal(size=n)
    trained = store.get_historical_features(spine(n, amount=amount), [share]).to_polars()["share"]
    for i in draws.integers(0, n, 200).tolist():
        online = store.get_online_features([share], [{"user": 1}], request={"amount": float(amount[i])})
        assert online.to_dict()["share"] == [trained[i]]


def test_59_a_function_of_the_columns_mean_is_refused_with_the_difference() -> None:
    with gn.Store() as made, pytest.raises(DefinitionError, match="centred") as raised:
        made.apply([centred])
    assert "one by one" in str(raised.value)


@pytest.mark.parametrize(("function", "name"), [(short, "short"), (mistyped, "mistyped")])
def test_59_a_wrong_length_or_type_names_the_function(function: gn.OnDemand, name: str) -> None:
    with gn.Store() as made, pytest.raises((DefinitionError, ComputeError), match=name):
        made.apply([function])


@pytest.mark.parametrize(
    "text",
    ["AVG(x)", "ROW_NUMBER()", "NOW()", "SUM(x) OVER ()", "RANDOM()", "x - AVG(x)", "CURRENT_TIMESTAMP"],
)
@pytest.mark.parametrize("use", ["expr", "where"])
def test_59_expressions_that_are_not_row_by_row_are_refused_when_defined(text: str, use: str) -> None:
    with pytest.raises(DefinitionError):
        gn.sum(None if use == "expr" else "x", **{use: text})
    with pytest.raises(DefinitionError):
        gn.Feature("f", pl.Float64, expr=text)
