"""One function for each aggregate, all with the same keywords."""

from __future__ import annotations

import inspect

import polars as pl
import pytest

import gnomon as gn
from gnomon.define import functions
from gnomon.define.aggregate import RULES, Aggregate
from gnomon.errors import DefinitionError

OWN = {"k", "ddof", "nulls", "distinct", "q", "half_life"}
NEEDED = {"quantile": {"q": 0.9}, "approx_quantile": {"q": 0.9}, "decayed_sum": {"half_life": 60_000_000}}
"""Own arguments that have no default."""
COMMON = {
    "expr": "x + 1",
    "windows": ["1h"],
    "where": "x > 0",
    "by": None,
    "limit": 3,
    "default": 7,
    "include_request": True,
    "name": "n",
}


def test_there_is_a_function_for_each_aggregate_and_no_other():
    made = {
        name
        for name, value in vars(functions).items()
        if inspect.getmodule(value) is functions and inspect.isfunction(value) and not name.startswith("_")
    }
    assert made == set(RULES)
    assert all(getattr(gn, name) is getattr(functions, name) for name in made)


@pytest.mark.parametrize("name", sorted(RULES))
def test_every_common_keyword_reaches_the_aggregate(name):
    needed = NEEDED.get(name, {})
    made = getattr(functions, name)(**COMMON, **needed)
    assert made == Aggregate(name, **{**COMMON, **defaults(name), **needed})
    assert getattr(functions, name)("x", windows=["1h"], offset="1h", **needed).column == "x"


def defaults(name: str) -> dict[str, object]:
    """The function's own arguments with their defaults."""
    parameters = inspect.signature(getattr(functions, name)).parameters
    return {p: parameters[p].default for p in parameters if p in OWN}


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("var", {"ddof": 1}),
        ("std", {"ddof": 1}),
        ("first", {"nulls": "skip"}),
        ("last", {"nulls": "skip"}),
        ("first_k", {"k": 1, "distinct": False}),
        ("last_k", {"k": 1, "distinct": False}),
        ("top_k", {"k": 1}),
        ("quantile", {"q": None}),
        ("decayed_sum", {"half_life": None}),
        ("count", {}),
        ("median", {}),
    ],
)
def test_own_arguments_have_the_defaults_of_the_contract(name, own):
    assert defaults(name) == own


def test_own_arguments_reach_the_aggregate():
    assert gn.std("x", ddof=0).ddof == 0
    assert gn.last("x", nulls="keep").nulls == "keep"
    assert (gn.last_k("x", 3, distinct=True).k, gn.last_k("x", 3, distinct=True).distinct) == (3, True)


@pytest.mark.parametrize("name", sorted(RULES))
def test_a_misspelt_keyword_is_an_error(name):
    with pytest.raises(DefinitionError, match="did you mean `windows`"):
        getattr(functions, name)("x", window="1h")


def test_a_keyword_of_another_aggregate_is_an_error():
    with pytest.raises(DefinitionError, match="no argument `ddof`"):
        gn.sum("x", ddof=1)  # type: ignore[call-arg]


def test_pythons_own_sum_is_not_meant():
    with pytest.raises(DefinitionError, match="named by text"):
        gn.sum([1, 2])  # type: ignore[arg-type]


def test_a_condition_is_text():
    with pytest.raises(DefinitionError, match="must be SQL text"):
        gn.count(where=pl.col("x") > 1)  # type: ignore[arg-type]


def test_names_that_python_has_too_are_not_imported_by_a_star():
    assert not {"sum", "min", "max", "any", "all"} & set(gn.__all__)
