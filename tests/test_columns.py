"""Columns lie in arrays as they did in Polars: nulls, bits and types come through."""

from __future__ import annotations

import math
import struct
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnomon import columns


@pytest.mark.parametrize(
    ("dtype", "kind"),
    [
        (pl.Int8(), "word"),
        (pl.UInt64(), "word"),
        (pl.Boolean(), "word"),
        (pl.Datetime("ns", "UTC"), "word"),
        (pl.Duration("ms"), "word"),
        (pl.Time(), "word"),
        (pl.Float32(), "float"),
        (pl.Decimal(10, 2), "wide"),
        (pl.String(), "bytes"),
        (pl.Binary(), "bytes"),
        (pl.List(pl.Int8), "bytes"),
        (pl.Struct({"a": pl.Int8}), "bytes"),
    ],
    ids=str,
)
def test_every_type_is_held_in_one_of_four_ways(dtype, kind):
    assert columns.kind_of(dtype) == kind


@pytest.mark.parametrize(
    ("column", "want"),
    [
        (pl.Series([-128, None, 127], dtype=pl.Int8), [-128, 0, 127]),
        (pl.Series([2**64 - 1, None, 1], dtype=pl.UInt64), [-1, 0, 1]),
        (pl.Series([True, None, False]), [1, 0, 0]),
        (pl.Series([date(1970, 1, 2), None]), [1, 0]),
        (pl.Series([-1, None]).cast(pl.Datetime("us")), [-1, 0]),
        (pl.Series([timedelta(milliseconds=-5)], dtype=pl.Duration("ms")), [-5]),
        (pl.Series([time(0, 0, 1)]), [10**9]),
    ],
)
def test_words_are_the_physical_numbers_and_nulls_are_zero(column, want):
    words = columns.words(column)
    assert words.dtype == np.int64
    assert words.tolist() == want


def test_floats_keep_their_bits_and_nulls_are_zero():
    given = [0.1, -0.0, math.nan, math.inf, 5e-324]
    made = columns.floats(pl.Series([*given, None]))
    assert [struct.pack("<d", v) for v in made] == [struct.pack("<d", v) for v in [*given, 0.0]]
    assert columns.floats(pl.Series([0.1], dtype=pl.Float32)).tolist() == [0.10000000149011612]


def test_flags_and_validity_are_bytes():
    column = pl.Series([True, None, False])
    assert columns.flags(column).tolist() == [1, 0, 0]
    assert columns.valid(column).tolist() == [1, 0, 1]
    assert columns.flags(pl.Series([False, True])).dtype == np.uint8


def test_validity_of_a_column_without_nulls_is_left_out():
    assert len(columns.valid(pl.Series([1, 2]))) == 0


@pytest.mark.parametrize(
    "made",
    [
        lambda: columns.words(pl.Series([1, 2])),
        lambda: columns.floats(pl.Series([1.0])),
        lambda: columns.flags(pl.Series([True])),
        lambda: columns.valid(pl.Series([1, None])),
        lambda: columns.halves(pl.Series([Decimal(1)]))[0],
    ],
)
def test_arrays_may_be_written_to_without_touching_the_column(made):
    assert made().flags.writeable
    column = pl.Series([1, 2, 3])
    columns.words(column)[0] = 9
    assert column.to_list() == [1, 2, 3]


DECIMALS = st.integers(-(10**38) + 1, 10**38 - 1)


@given(st.lists(st.none() | DECIMALS, max_size=20), st.sampled_from([0, 2, 38]))
def test_decimals_come_back_from_their_halves(numbers, scale):
    dtype = pl.Decimal(38, scale)
    values = [None if n is None else Decimal((n < 0, tuple(map(int, str(abs(n)))), -scale)) for n in numbers]
    column = pl.Series(values, dtype=dtype)
    high, low = columns.halves(column)
    assert [(h << 64) + lo for h, lo in zip(high.tolist(), low.tolist(), strict=True)] == [
        n or 0 for n in numbers
    ]
    back = columns.from_halves(high, low, dtype)
    assert back.dtype == dtype
    assert back.to_list() == column.fill_null(Decimal(0)).to_list()


def test_text_and_binary_lie_one_after_another():
    offsets, data = columns.to_bytes(pl.Series(["ab", None, "", "é"]))
    assert offsets.tolist() == [0, 2, 2, 2, 4]
    assert data.tobytes() == "abé".encode()
    offsets, data = columns.to_bytes(pl.Series([b"\0\xff", None]))
    assert (offsets.tolist(), data.tobytes()) == ([0, 2, 2], b"\0\xff")
    assert columns.to_bytes(pl.Series([], dtype=pl.String))[0].tolist() == [0]


def test_categories_are_their_text():
    categories = columns.to_bytes(pl.Series(["b", "a"], dtype=pl.Categorical))
    texts = columns.to_bytes(pl.Series(["b", "a"]))
    assert all((a == b).all() for a, b in zip(categories, texts, strict=True))


def test_nested_values_have_one_encoding_whatever_the_bits_of_nan():
    other_nan = struct.unpack("<d", struct.pack("<Q", 0x7FF8_0000_0000_0001))[0]
    assert columns.pack([math.nan]) == columns.pack([other_nan])
    assert columns.pack([0.0]) != columns.pack([-0.0])


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ([1, None], [1, 0]),
        ([], None),
        ([[], []], [[]]),
        (["ab"], ["a", "b"]),
        ([b"a"], ["a"]),
        ([date(2020, 1, 1)], [date(2020, 1, 2)]),
        ([time(0, 0, 0, 1)], [time(0, 0, 0, 2)]),
        ([timedelta(1)], [timedelta(2)]),
        ([Decimal("1.0")], [Decimal("1.1")]),
        ([datetime(2020, 1, 1, tzinfo=UTC)], [datetime(2020, 1, 1, 0, 0, 0, 1, tzinfo=UTC)]),
        ({"a": 1, "b": None}, {"a": None, "b": 1}),
    ],
)
def test_different_nested_values_have_different_encodings(a, b):
    assert columns.pack(a) != columns.pack(b)


def test_one_instant_in_two_zones_has_one_encoding():
    berlin = pl.Series([datetime(2026, 7, 1, tzinfo=UTC)]).dt.convert_time_zone("Europe/Berlin")
    assert columns.pack(berlin.to_list()) == columns.pack([datetime(2026, 7, 1, tzinfo=UTC)])
