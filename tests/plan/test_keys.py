"""Keys as bytes: columns and single values name a key alike, keys never meet, and order is kept."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnomon.errors import DataError
from gnomon.plan.keys import as_key, check_whole, encode_all, key_bytes, part_encoder

NAIVE = st.datetimes(datetime.fromisoformat("0001-01-02"), datetime.fromisoformat("9999-12-30"))
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
TYPES: dict[str, tuple[pl.DataType, st.SearchStrategy]] = {
    "int": (pl.Int64(), st.integers(-(2**63), 2**63 - 1)),
    "text": (pl.String(), TEXT | st.sampled_from(["", "\0", "a\0", "\0a"])),
    "bytes": (pl.Binary(), st.binary() | st.sampled_from([b"", b"\0", b"\0\0", b"\0\xff", b"\xff"])),
    "bool": (pl.Boolean(), st.booleans()),
    "date": (pl.Date(), st.dates()),
    "us": (pl.Datetime("us"), NAIVE),
    "utc": (pl.Datetime("us", "UTC"), NAIVE.map(lambda t: t.replace(tzinfo=UTC))),
    "zone": (pl.Datetime("us", "Asia/Kolkata"), NAIVE.map(lambda t: t.replace(tzinfo=UTC))),
}  # fmt: skip


@st.composite
def keys(draw, most=3, least=1):
    """Names of types, and rows of values of them."""
    names = draw(st.lists(st.sampled_from(sorted(TYPES)), min_size=least, max_size=most))
    rows = draw(st.lists(st.tuples(*(TYPES[name][1] for name in names)), min_size=1, max_size=12))
    return names, rows


def by_column(names, rows):
    columns = [
        pl.Series([row[i] for row in rows], dtype=TYPES[name][0], strict=True) for i, name in enumerate(names)
    ]
    return key_bytes(columns, len(rows))


def by_value(names, rows):
    encoders = [part_encoder(TYPES[name][0], i == len(names) - 1) for i, name in enumerate(names)]
    return [b"".join(encode(v) for encode, v in zip(encoders, row, strict=True)) for row in rows]


@given(keys())
def test_columns_and_single_values_name_a_key_alike(given_keys):
    names, rows = given_keys
    assert by_column(names, rows) == by_value(names, rows)


@given(keys())
def test_different_keys_have_different_names(given_keys):
    names, rows = given_keys
    assert len(set(by_column(names, rows))) == len(set(rows))


@given(keys(most=1))
def test_names_of_single_keys_order_as_the_keys(given_keys):
    names, rows = given_keys
    if names == ["text"]:
        in_order = sorted(rows, key=lambda row: row[0].encode())
    else:
        in_order = sorted(rows)
    assert sorted(by_column(names, rows)) == by_column(names, in_order)


@given(keys(least=2))
def test_keys_with_the_same_first_part_lie_side_by_side(given_keys):
    names, rows = given_keys
    ordered = [row[0] for _, row in sorted(zip(by_column(names, rows), rows, strict=True))]
    changes = sum(a != b for a, b in pairwise(ordered))
    assert changes == len(set(ordered)) - 1


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (("a", "bc"), ("ab", "c")),
        (("a", "b|c"), ("a|b", "c")),
        (("a\0", "b"), ("a", "\0b")),
        (("", "a"), ("a", "")),
        (("a\0\0", ""), ("a", "\0\0")),
    ],
)
def test_text_keys_are_not_joined(a, b):
    assert len(set(by_column(["text", "text"], [a, b]))) == 2


def test_without_columns_there_is_one_key():
    assert key_bytes([], 3) == [b"", b"", b""]


def test_numbers_order_across_zero():
    names = key_bytes([pl.Series([-(2**63), -1, 0, 1, 2**63 - 1])], 5)
    assert names == sorted(names)
    assert {len(name) for name in names} == {8}


def test_one_instant_of_two_zones_is_one_key():
    encode = part_encoder(pl.Datetime("us", "UTC"), True)
    noon = datetime(2026, 7, 1, 12, tzinfo=UTC)
    assert encode(noon) == encode(noon.astimezone(ZoneInfo("America/New_York")))


def test_every_width_of_an_integer_is_one_key():
    encode = part_encoder(pl.Int64(), True)
    assert encode(5) == encode(np.int8(5)) == encode(np.uint64(5)) == key_bytes([pl.Series([5])], 1)[0]


class Fine(datetime):
    """A datetime that knows nanoseconds, as those of pandas do."""

    nanosecond = 1


BEFORE = datetime(1969, 12, 31, 23, 59, 59, 999_999)  # noqa: DTZ001
NS = pl.Series("k", [BEFORE], dtype=pl.Datetime("ns"))


def test_nanoseconds_are_keys_where_they_are_whole_microseconds() -> None:
    us = pl.Datetime("us")
    assert NS.to_frame().select(as_key(pl.col("k"), NS.dtype, us)).to_series().to_list() == [BEFORE]
    check_whole(NS, "row")
    for fine in (NS + pl.duration(nanoseconds=1), NS - pl.duration(nanoseconds=1)):
        column = pl.select(fine).to_series()
        with pytest.raises(
            pl.exceptions.InvalidOperationError, match=r"999.* is finer than the microseconds"
        ):
            column.to_frame().lazy().select(as_key(pl.col("k"), column.dtype, us)).collect()
        with pytest.raises(DataError, match=r"the key column `k` has `1969-12-31 .*finer") as caught:
            check_whole(column, "spine row")
        assert caught.value.at == "spine row 0"
    with pytest.raises(ValueError, match="finer"):
        part_encoder(us, True)(Fine(2026, 1, 1))


@pytest.mark.parametrize(
    ("dtype", "value"),
    [
        (pl.Int64(), "5"),
        (pl.Int64(), 5.0),
        (pl.Int64(), True),
        (pl.Int64(), None),
        (pl.Int64(), 2**63),
        (pl.Int64(), np.float64(5)),
        (pl.String(), 5),
        (pl.String(), b"a"),
        (pl.String(), "\ud800"),
        (pl.Binary(), "a"),
        (pl.Boolean(), 1),
        (pl.Date(), datetime(2026, 1, 1, tzinfo=UTC)),
        (pl.Date(), "2026-01-01"),
        (pl.Datetime("us"), date(2026, 1, 1)),
        (pl.Datetime("us"), 5),
        (pl.Datetime("us"), timedelta(1)),
    ],
)
@pytest.mark.parametrize("last", [True, False])
def test_a_value_of_another_type_is_no_key(dtype, value, last):
    with pytest.raises((TypeError, ValueError)):
        part_encoder(dtype, last)(value)


@pytest.mark.parametrize("count", [0, 1, 5, 100])
@pytest.mark.parametrize("dtype", [pl.Int64(), pl.String(), pl.Boolean()])
def test_many_at_once_are_the_same_keys_as_one_by_one(dtype, count):
    pool = {pl.Int64(): [0, -1, 2**63 - 1, -(2**63), 77], pl.String(): ["", "a"], pl.Boolean(): [True, False]}
    values = (pool[dtype] * 50)[:count]
    encode = part_encoder(dtype, True)
    assert encode_all(encode, values) == [encode(value) for value in values]


@pytest.mark.parametrize("wrong", [True, 1.0, "1", None, 2**63, -(2**63) - 1])
def test_one_wrong_among_many_is_refused_as_alone(wrong):
    encode = part_encoder(pl.Int64(), True)
    with pytest.raises((TypeError, ValueError)) as alone:
        encode(wrong)
    with pytest.raises(alone.type) as among:
        encode_all(encode, [*range(60), wrong, *range(60)])
    assert str(among.value) == str(alone.value)
