"""Entities: typed keys that identify exactly."""

from __future__ import annotations

import polars as pl
import pytest

import gnomon as gn
from gnomon.errors import DefinitionError


def test_integer_keys_of_any_width_are_one_type():
    narrow, wide = gn.Entity("e", keys={"k": pl.UInt8}), gn.Entity("e", keys={"k": int})
    assert narrow == wide
    assert hash(narrow) == hash(wide)
    assert wide.keys == (("k", pl.Int64()),)


@pytest.mark.parametrize("zone", [None, "UTC"])
def test_datetime_keys_of_any_unit_are_one_type(zone):
    entities = [gn.Entity("e", keys={"k": pl.Datetime(unit, zone)}) for unit in ("ms", "us", "ns")]
    assert {entity.keys for entity in entities} == {(("k", pl.Datetime("us", zone)),)}


def test_keys_keep_their_order():
    entity = gn.Entity("e", keys={"b": str, "a": pl.Date})
    assert entity.key_names == ("b", "a")
    assert entity != gn.Entity("e", keys={"a": pl.Date, "b": str})


def test_an_entity_may_have_no_keys():
    assert gn.Entity("everything").key_names == ()


@pytest.mark.parametrize("dtype", [str, bytes, bool, pl.Date, pl.Datetime("ms"), pl.Categorical])
def test_what_identifies_exactly_may_be_a_key(dtype):
    assert gn.Entity("e", keys={"k": dtype}).key_names == ("k",)


def test_all_problems_are_told_at_once():
    with pytest.raises(DefinitionError) as caught:
        gn.Entity("1e", keys={"x": float, "l": pl.List(pl.Int64), "n": "Int65", "__k": int, "d": pl.Duration})
    assert [(p.at, p.what) for p in caught.value.problems] == [
        ("entity 1e", "`1e` is not a usable name"),
        ("entity 1e.keys[x]", "a key cannot be of type Float64"),
        ("entity 1e.keys[l]", "a key cannot be of type List(Int64)"),
        ("entity 1e.keys[n]", "`Int65` is not a type"),
        ("entity 1e.keys", "`__k` cannot be a key column"),
        ("entity 1e.keys[d]", "a key cannot be of type Duration(us)"),
    ]


@pytest.mark.parametrize("column", ["", 5, None])
def test_a_key_column_needs_a_name(column):
    with pytest.raises(DefinitionError, match="cannot be a key column"):
        gn.Entity("e", keys={column: int})
