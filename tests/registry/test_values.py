"""Defaults as JSON: what comes back is equal and of the same type."""

from __future__ import annotations

import json
import math
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnomon.define.collect import comparable
from gnomon.errors import CorruptValue, DefinitionError
from gnomon.registry.values import from_json, to_json

ZONES = st.none() | st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30))])
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=["Cs"]))
    | st.binary()
    | st.dates()
    | st.times()
    | st.datetimes(timezones=ZONES)
    | st.timedeltas()
    | st.decimals(allow_nan=False)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


def through_json(value):
    text = json.dumps(to_json(value, "default"), allow_nan=False)
    return from_json(json.loads(text), "default")


@given(VALUES)
def test_value_comes_back_equal_and_of_the_same_type(value):
    assert comparable(through_json(value)) == comparable(value)


@pytest.mark.parametrize(
    "value",
    [
        *(math.nan, math.inf, -math.inf, -0.0, 1.0, 1, True, 2**63, -(2**63), 2**63 - 1, 10**30),
        *(
            Decimal("1.50"),
            date(2020, 1, 1),
            datetime(2020, 1, 1, tzinfo=UTC),
            time(1),
            b"",
            [],
            (),
            {},
            {"list": [1]},
        ),
    ],
)
def test_edge_comes_back(value):
    assert comparable(through_json(value)) == comparable(value)


def test_value_that_has_no_json_form_is_refused_with_its_place():
    with pytest.raises(DefinitionError, match="cannot be of type set") as caught:
        to_json([1, {2}], "group g.features[0].default")
    assert caught.value.at == "group g.features[0].default[1]"


@pytest.mark.parametrize(
    "raw",
    [
        {},
        [1],
        {"date": "x"},
        {"float": "x"},
        {"bytes": "?"},
        {"list": 3},
        {"decimal": "x"},
        {"other": 1},
        {"int": None},
    ],
)
def test_what_was_not_written_by_it_is_corrupt(raw):
    with pytest.raises(CorruptValue) as caught:
        from_json({"tuple": [1, raw]}, "default")
    assert caught.value.at == "default[1]"
