"""Request values as people give them, online and in a spine: taken as they are, or refused by row."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import polars as pl
import pytest

import gnomon as gn
from gnomon.errors import DataError
from gnomon.flows.fields import Needed, Want
from tests.flows.small import USER, T

INT32, MOST = pl.Int32(), 2**63 - 1


def needed(dtype: pl.DataType, name: str = "minutes") -> Needed:
    return Needed((Want(name, dtype, "group `g`", "include_request"),))


NEEDED = needed(pl.Int64())


def read(dtype: pl.DataType, given: object, n: int = 2) -> pl.Series:
    return needed(dtype).read({"minutes": given}, n)["minutes", dtype]


@pytest.mark.parametrize(
    "given",
    [
        {"minutes": [3, 3]},
        {"minutes": 3},
        {"minutes": np.array([3, 3])},
        {"minutes": pl.Series([3, 3], dtype=pl.Int8)},
        pl.DataFrame({"minutes": [3, 3]}),
    ],
)
def test_request_values_are_one_for_all_or_one_each(given):
    assert NEEDED.read(given, 2)["minutes", pl.Int64()].equals(pl.Series("minutes", [3, 3]))


def test_a_null_is_a_request_value():
    assert read(pl.Int64(), None).to_list() == [None, None]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (None, r"group `g` \(include_request\) needs the request value `minutes`"),
        ({}, "needs the request value `minutes`"),
        ({"minutes": 1, "second": 2}, "unknown request value `second`"),
        ({"minutes": [1, 2, 3]}, "has 3 entries for 2 entities"),
        ({"minutes": pl.Series([1, 2, 3])}, "has 3 entries for 2 entities"),
        (pl.DataFrame({"minutes": [1]}), "has 1 row for 2 entities"),
        ({"minutes": [1, "2"]}, "`minutes` of row 1 is '2', of type str"),
        ({"minutes": [1, 1.5]}, "`minutes` of row 1 is 1.5, of type float"),
        ({"minutes": pl.Series(["1", "2"])}, "`minutes` is String, group `g` wants Int64"),
        ({"minutes": pl.Series([1.0, 1.5])}, "`minutes` is Float64"),
        ({"minutes": np.array([1.0, 1.5])}, "`minutes` is Float64"),
    ],
)
def test_request_values_that_do_not_fit_are_named(given, message):
    with pytest.raises(DataError, match=message):
        NEEDED.read(given, 2)


def test_where_nothing_is_needed_nothing_may_be_given():
    assert Needed(()).read(None, 2) == {}
    with pytest.raises(DataError, match="unknown request value `x`"):
        Needed(()).read({"x": 1}, 2)


BEYOND = [
    (pl.Int32(), [1, 2**40], "1099511627776, which Int32 does not hold"),
    (pl.Int8(), [1, -129], "-129, which Int8 does not hold"),
    (pl.UInt8(), [1, 300], "300, which UInt8 does not hold"),
    (pl.UInt16(), [1, -1], "-1, which UInt16 does not hold"),
    (pl.UInt64(), [1, -1], "-1, which UInt64 does not hold"),
]


@pytest.mark.parametrize(("dtype", "values", "says"), BEYOND, ids=str)
@pytest.mark.parametrize("kind", [list, tuple, np.array, pl.Series])
def test_a_value_beyond_its_type_is_named_with_row_and_bounds(dtype, values, says, kind):
    with pytest.raises(DataError) as caught:
        read(dtype, kind(values))
    assert caught.value.what == f"the request value `minutes` of row 1 is {says}"
    bounds = np.iinfo(str(dtype).lower())
    assert caught.value.hint == f"group `g` wants {dtype}, from {bounds.min} to {bounds.max}"


@pytest.mark.parametrize(("dtype", "values", "says"), BEYOND, ids=str)
def test_a_spine_is_refused_in_the_same_words(dtype, values, says):
    spine = pl.DataFrame({"minutes": values})
    with pytest.raises(DataError) as caught:
        needed(dtype).of_spine(spine)
    assert caught.value.what == f"the request value `minutes` of row 1 is {says}"


@pytest.mark.parametrize(
    ("dtype", "value", "says"),
    [(pl.Int64(), 2**63, "which Int64 does not hold"), (pl.Float32(), 1e300, r"1e\+300, which Float32 does not hold"),
     (pl.Decimal(10, 2), Decimal("1.234"), r"which Decimal\(10, 2\) does not hold"),
     (pl.Decimal(5, 2), Decimal(12345), r"which Decimal\(5, 2\) does not hold")],
)  # fmt: skip
def test_a_value_that_would_become_another_is_refused(dtype, value, says):
    with pytest.raises(DataError, match=says):
        read(dtype, [value, value])


@pytest.mark.parametrize(
    ("dtype", "values"),
    [(pl.Int8(), [-128, 127]), (pl.UInt64(), [0, 2**64 - 1]), (pl.Float32(), [0.5, float("inf")]),
     (pl.Float64(), [1, 1.5]), (pl.Decimal(10, 2), [Decimal("1.50"), None])],
)  # fmt: skip
def test_the_last_values_that_a_type_holds_are_taken(dtype, values):
    assert read(dtype, values).to_list() == values


def test_a_spine_column_that_is_missing_or_of_another_type_is_named():
    with pytest.raises(
        DataError, match=r"group `g` needs the spine column `minutes` \(include_request\)"
    ) as caught:
        NEEDED.of_spine(pl.DataFrame({"minuets": [1]}))
    assert "`minuets`" in caught.value.hint
    with pytest.raises(DataError, match="`minutes` is Float64, group `g` wants Int64"):
        NEEDED.of_spine(pl.DataFrame({"minutes": [1.5]}))


def test_the_first_row_that_does_not_fit_is_found_among_many():
    spine = pl.DataFrame({"minutes": [1] * 700 + [2**40] + [1] * 299 + [2**41]})
    with pytest.raises(DataError, match="of row 700 is 1099511627776"):
        needed(INT32).of_spine(spine)


# ------------------------------------------------------------------------------ the same on every path


def group(name: str, dtype: type[pl.DataType], *features: object) -> gn.FeatureGroup:
    return gn.FeatureGroup(name, entity=USER, timestamp="at", schema={"i": dtype}, features=list(features))


SMALL = group("small", pl.Int8, gn.sum(expr="i + i", name="twice", include_request=True))
LARGE = group("large", pl.Int64, gn.last(expr="i * i", name="square", include_request=True))
CONSTANT = group("constant", pl.Int8, gn.sum(expr="1", name="ones", include_request=True))


@pytest.fixture
def kept(bare: gn.Store) -> gn.Store:
    """A row of 100 in each group, and everything online."""
    bare.apply([SMALL, LARGE, CONSTANT])
    for one in (SMALL, LARGE, CONSTANT):
        bare.insert(one, {"user": [1], "at": [T.replace(hour=1)], "i": [100]})
    bare.materialize()
    return bare


def both(store: gn.Store, groups: list[gn.FeatureGroup], values: list[int]) -> list[dict[str, list[object]]]:
    """What training and online give for the same requests."""
    spine = pl.DataFrame({"user": [1] * len(values), "event_timestamp": [T] * len(values), "i": values})
    trained = store.get_historical_features(spine, groups).to_polars().drop(spine.columns)
    asked = store.get_online_features(groups, [{"user": 1}] * len(values), request={"i": values})
    return [trained.to_dict(as_series=False), asked.to_dict()]


def test_one_value_may_be_wanted_in_several_types(kept):
    want = {"twice": [400, 180], "square": [10**4, 100]}
    assert both(kept, [SMALL, LARGE], [100, -10]) == [want, want]
    assert both(kept, [LARGE, SMALL], [100, -10]) == [want, want]


def test_an_expression_without_columns_counts_in_every_request(kept):
    spine = pl.DataFrame({"user": [1, 2], "event_timestamp": [T, T]})
    assert kept.get_historical_features(spine, [CONSTANT]).to_polars()["ones"].to_list() == [2, 1]
    asked = kept.get_online_features([CONSTANT], [{"user": 1}, {"user": 2}])
    assert asked.to_dict() == {"ones": [2, 1]}


@pytest.mark.parametrize(
    ("chosen", "value", "says"),
    [
        (SMALL, 128, "the request value `i` of row 1 is 128, which Int8 does not hold"),
        (
            LARGE,
            2**32,
            "the request's row 1, which counts in group `large@1`: feature `square` cannot be computed: "
            "`i * i` comes to 18446744073709551616, which Int64 does not hold",
        ),
    ],
)
def test_a_request_that_does_not_fit_is_refused_alike(kept, chosen, value, says):
    spine = pl.DataFrame({"user": [1, 1], "event_timestamp": [T, T], "i": [1, value]})
    with pytest.raises(DataError) as training:
        kept.get_historical_features(spine, [chosen]).to_polars()
    with pytest.raises(DataError) as online:
        kept.get_online_features([chosen], [{"user": 1}] * 2, request={"i": [1, value]})
    assert training.value.what == online.value.what == says


def later(minutes: pl.Series) -> pl.Series:
    return minutes + 1


def test_a_functions_value_beyond_its_type_is_refused_alike(bare):
    function = gn.on_demand(inputs=[gn.Request("minutes", pl.Int32)], returns={"later": pl.Int32})(later)
    bare.apply([SMALL, function])
    says = r"`minutes` of row 0 is 1099511627776, which Int32 does not hold"
    spine = {"user": [1], "event_timestamp": [T], "minutes": [2**40]}
    with pytest.raises(DataError, match=says):
        bare.get_historical_features(spine, ["later"])
    with pytest.raises(DataError, match=says):
        bare.get_online_features(["later"], [{}], request={"minutes": 2**40})
