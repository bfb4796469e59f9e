"""Rows → packed values → the same rows; whatever is not what was written is refused."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnomon.errors import CorruptValue
from gnomon.kernels import rows as kernel
from gnomon.online import codec
from gnomon.online.codec import MAX, MIN, FlatRows, Layout, join_values, pack, unpack
from tests.online.made import Row, columns_of, flat, listed, make_layout

TYPES: list[tuple[pl.DataType, list[Any]]] = [
    (pl.Int64(), [1, None, -(2**63), 2**63 - 1]),
    (pl.UInt64(), [1, None, 2**64 - 1, 0]),
    (pl.Boolean(), [True, None, False, True]),
    (pl.Float64(), [1.5, None, -0.0, float("inf")]),
    (pl.Float32(), [1.5, None, -0.0, float("-inf")]),
    (pl.String(), ["a", None, "", "é中😀"]),
    (pl.Binary(), [b"a", None, b"", b"\xff\x00"]),
    (pl.Decimal(38, 2), [Decimal("1.50"), None, Decimal("-0.01"), Decimal(10**36 - 1)]),
    (pl.Date(), [date(1, 1, 1), None, date(1969, 12, 31), date(9999, 12, 31)]),
    (pl.Time(), [time(0), None, time(23, 59, 59, 999_999), time(1, 2, 3)]),
    (
        pl.Datetime("us"),
        [datetime(1969, 1, 1, 0, 0, 0, 5), None, datetime(2026, 1, 1), datetime(1, 1, 1)],  # noqa: DTZ001
    ),
    (
        pl.Datetime("ms", "UTC"),
        [datetime(2026, 1, 1, tzinfo=UTC), None, datetime(1969, 1, 1, tzinfo=UTC)] * 2,
    ),
    (pl.Duration("us"), [timedelta(microseconds=-1), None, timedelta(days=9), timedelta(0)]),
    (pl.List(pl.Int64()), [[1, None], None, [], [2]]),
    (pl.List(pl.String()), [["a", None], None, [], ["", "bc"]]),
    (pl.Array(pl.Float32(), 2), [[1.5, 2.5], None, [-0.0, 1.0], [3.0, 4.0]]),
    (
        pl.Struct({"a": pl.Decimal(10, 2), "b": pl.List(pl.Date())}),
        [
            {"a": Decimal("1.20"), "b": [date(2020, 1, 1), None]},
            None,
            {"a": None, "b": None},
            {"a": None, "b": []},
        ],
    ),
]


def values_of(layout: Layout, rows: FlatRows) -> list[bytes]:
    buffer, offsets = pack(layout, rows)
    assert buffer.size == offsets[-1]
    return [buffer[a:b].tobytes() for a, b in itertools.pairwise(offsets)]


@pytest.mark.parametrize(
    ("dtype", "values"), TYPES, ids=lambda v: str(v) if isinstance(v, pl.DataType) else ""
)
@pytest.mark.parametrize("id_kind", ["hash", "int", "text"])
def test_every_type_comes_back_unchanged(dtype: pl.DataType, values: list[Any], id_kind: str) -> None:
    layout = make_layout([dtype], id_kind=id_kind)
    given_rows = [
        Row(i % 3, i, i, {"hash": None, "int": -i, "text": f"id{i}"}[id_kind], (v,))
        for i, v in enumerate(values)
    ]
    rows = flat(layout, [dtype], given_rows, 4)
    again = unpack(layout, values_of(layout, rows))
    assert columns_of(again) == columns_of(rows)
    assert listed(layout, [dtype], again) == sorted(given_rows, key=lambda row: row.key)


instants = st.sampled_from([MIN, -1, 0, 5, 100, MAX - 1])


@st.composite
def some_rows(draw: st.DrawFn) -> tuple[Layout, FlatRows]:
    types = draw(
        st.lists(st.sampled_from([pl.Int64(), pl.String(), pl.Decimal(38, 1), pl.Float64()]), max_size=3)
    )
    lag = draw(st.sampled_from([0, 7]))
    layout = make_layout(types, id_kind=draw(st.sampled_from(["hash", "int", "text"])), lag=lag)
    keys = draw(st.integers(0, 4))
    rows = []
    for key in range(keys):
        for i in range(draw(st.sampled_from([0, 1, 2, 70]))):
            at = draw(instants)
            known = draw(st.sampled_from([min(at + lag, MAX), 5, MAX]))
            values = tuple(
                draw(st.none() | st.just(v))
                for v in (
                    {pl.Int64: i, pl.String: "é" * i, pl.Float64: i / 3, pl.Decimal: Decimal(-i)}[type(t)]
                    for t in types
                )
            )
            rows.append(Row(key, at, known, i, values, dead=draw(st.booleans())))
    made = flat(layout, types, rows, keys)
    until = np.array([draw(st.sampled_from([MAX, 9])) for _ in rows], np.int64)
    counter = np.array([draw(st.integers(0, 2**62)) for _ in range(keys)], np.int64)
    return layout, replace(made, until=until, counter=counter, newest_dropped=counter - 3)


@settings(max_examples=60, deadline=None)
@given(some_rows())
def test_reading_what_was_written_gives_the_same_rows(case: tuple[Layout, FlatRows]) -> None:
    layout, rows = case
    assert columns_of(unpack(layout, values_of(layout, rows))) == columns_of(rows)


@settings(max_examples=30, deadline=None)
@given(some_rows())
def test_a_value_depends_on_its_own_key_alone(case: tuple[Layout, FlatRows]) -> None:
    layout, rows = case
    values = values_of(layout, rows)
    for k, value in enumerate(values):
        alone = unpack(layout, [value])
        assert values_of(layout, alone) == [value]
        assert alone.n_rows == rows.key_start[k + 1] - rows.key_start[k]


def test_columns_that_say_nothing_take_no_room() -> None:
    types = [pl.Int64()]
    layout = make_layout(types, lag=5)
    plain = flat(layout, types, [Row(0, i, i + 5, None, (i,)) for i in range(64)], 1)
    (value,) = values_of(layout, plain)
    assert len(value) == 8 * (7 + 64 * (1 + 2 + 1))
    nulls = flat(layout, types, [Row(0, i, i + 5, None, (i or None,)) for i in range(64)], 1)
    assert len(values_of(layout, nulls)[0]) == len(value) + 8
    known = flat(layout, types, [Row(0, i, i + 6, None, (i,)) for i in range(64)], 1)
    assert len(values_of(layout, known)[0]) == len(value) + 8 * 64


def test_missing_values_have_no_rows_and_no_updates() -> None:
    types = [pl.String()]
    layout = make_layout(types)
    (value,) = values_of(layout, flat(layout, types, [Row(0, 1, 1, None, ("a",))], 1))
    rows = unpack(layout, [None, value, None])
    assert rows.key_start.tolist() == [0, 0, 1, 1]
    assert rows.counter.tolist() == [0, 1, 0]
    assert rows.first_activation.tolist() == [MAX] * 3
    assert unpack(layout, []).n_keys == 0


def test_any_changed_byte_is_noticed() -> None:
    types = [pl.Int64(), pl.String()]
    layout = make_layout(types, id_kind="text")
    (value,) = values_of(
        layout, flat(layout, types, [Row(0, 1, 2, "id", (7, "abc")), Row(0, 3, 3, "x", (None, ""))], 1)
    )
    for i in range(len(value)):
        broken = bytearray(value)
        broken[i] ^= 1 << (i % 8)
        with pytest.raises(CorruptValue, match=r"checksum|format"):
            unpack(layout, [bytes(broken)])


@pytest.mark.parametrize("cut", [8, 40, 48, 56])
def test_a_value_cut_short_is_noticed(cut: int) -> None:
    types = [pl.Int64()]
    layout = make_layout(types)
    (value,) = values_of(layout, flat(layout, types, [Row(0, 1, 1, None, (7,))], 1))
    with pytest.raises(CorruptValue):
        unpack(layout, [value[:cut]])
    with pytest.raises(CorruptValue, match="whole number of words"):
        unpack(layout, [value[:-1]])


def test_an_unreadable_value_is_named() -> None:
    types = [pl.Int64()]
    layout = make_layout(types)
    (value,) = values_of(layout, flat(layout, types, [Row(0, 1, 1, None, (7,))], 1))
    with pytest.raises(CorruptValue) as caught:
        unpack(make_layout([pl.Float64()]), [None, value], "table `t`, key {}".format)
    assert caught.value.at == "table `t`, key 1"
    assert "other columns" in caught.value.what
    newer = value[:2] + b"\x02" + value[3:]
    with pytest.raises(CorruptValue, match="no format that this release knows"):
        unpack(layout, [newer])


@pytest.mark.parametrize(
    ("types", "lane"), [([pl.String()], "x0"), ([pl.Decimal(10, 2)], "x0"), ([pl.Int64(), pl.Int64()], None)]
)
def test_columns_that_are_not_those_of_the_layout_are_refused(
    types: list[pl.DataType], lane: str | None
) -> None:
    layout = make_layout([pl.Int64()])
    rows = flat(layout, types, [Row(0, 1, 1, None, tuple(None for _ in types))], 1)
    with pytest.raises(
        TypeError, match=f"lane `{lane}` is of kind word" if lane else "2 lanes for a layout of 1"
    ):
        pack(layout, rows)


def test_ids_that_are_not_those_of_the_layout_are_refused() -> None:
    rows = flat(make_layout([], id_kind="text"), [], [Row(0, 1, 1, "a")], 1)
    for kind in ("hash", "int"):
        with pytest.raises(TypeError, match=f"the row id is of kind {kind}"):
            pack(make_layout([], id_kind=kind), rows)


def test_layouts_differ_in_all_that_changes_the_meaning_of_bytes() -> None:
    layouts = [
        make_layout([pl.Int64()]),
        make_layout([pl.Float64()]),
        make_layout([pl.Int64(), pl.Int64()]),
        make_layout([pl.Int64()], kind="state"),
        make_layout([pl.Int64()], id_kind="int"),
        make_layout([pl.Int64()], declared=True),
        make_layout([pl.Int64()], lag=1),
        replace(make_layout([pl.Int64()]), lanes=(codec.Lane("y", "word"),)),
    ]
    assert len({layout.digest for layout in layouts}) == len(layouts)
    assert make_layout([pl.Int64()]).digest == layouts[0].digest


def test_large_batches_are_written_by_two_threads_as_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    types = [pl.Int64(), pl.String()]
    layout = make_layout(types)
    rows = flat(
        layout, types, [Row(k, i, i, None, (i, "x" * i)) for k in range(40) for i in range(k % 5)], 40
    )
    whole = values_of(layout, rows)
    monkeypatch.setattr(codec, "_SPLIT", 0)
    monkeypatch.setattr(codec, "_CHUNK", 16)
    assert values_of(layout, rows) == whole
    assert columns_of(unpack(layout, whole)) == columns_of(rows)


def test_values_are_joined_as_words() -> None:
    words, offsets = join_values([b"a" * 8, None, memoryview(b"b" * 16)])
    assert offsets.tolist() == [0, 1, 1, 3]
    assert words.view(np.uint8).tobytes() == b"a" * 8 + b"b" * 16
    assert join_values([None])[1].tolist() == [0, 0]


def test_the_format_is_one() -> None:
    types = [pl.Int64()]
    layout = make_layout(types)
    (value,) = values_of(layout, flat(layout, types, [Row(0, 1, 1, None, (7,))], 1))
    assert value[:3] == b"GN\x01"
    assert int.from_bytes(value[4:8], "little") == 1
    assert kernel.HEADER == 6
