"""Row identity: what is content and what is not; the n-th equal row of a batch is the same row in every batch."""

from __future__ import annotations

import math
import struct
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import polars as pl
import pytest

import gnomon as gn
from gnomon.plan.identity import content_columns, content_hashes, row_hashes
from gnomon.plan.layout import make_layout
from gnomon.plan.normal import normalise

SCHEMA = {
    "k": pl.Int64(),
    "t": pl.Datetime("us"),
    "seen": pl.Datetime("us"),
    "id": pl.String(),
    "x": pl.Float64(),
}
T = datetime(2026, 1, 1, tzinfo=UTC).replace(tzinfo=None)


def hashes(*rows, known=True, dtype=None, id_=None, key_dtype=None, batches=None):
    """(content, row) hashes as pairs of ints; rows are (k, t, seen, id, x)."""
    schema = SCHEMA | {"x": dtype or SCHEMA["x"], "k": key_dtype or SCHEMA["k"]}
    group = gn.FeatureGroup(
        "g",
        entity=gn.Entity("e", keys={"k": schema["k"]}),
        features=[gn.last("x")],
        timestamp="t",
        known_at="seen" if known else None,
        event_id=id_,
    )
    layout = make_layout(group, schema)
    frame = pl.DataFrame([dict(zip(schema, row, strict=True)) for row in rows], schema=schema)
    normal = normalise(frame.lazy(), layout, inputs=(), with_content=True).collect()
    batch = None if batches is None else pl.Series(batches)
    found = content_hashes(normal, layout), row_hashes(normal, layout, batch)
    return [list(zip(h1.tolist(), h2.tolist(), strict=True)) for h1, h2 in found]


ROW = (1, T, T, "a", 0.5)


@pytest.mark.parametrize(
    "other",
    [
        (2, T, T, "a", 0.5),
        (1, T + timedelta(microseconds=1), T, "a", 0.5),
        (1, T, T + timedelta(microseconds=1), "a", 0.5),
        (1, T, None, "a", 0.5),
        (1, T, T, "a", -0.5),
        (1, T, T, "a", None),
    ],
    ids=["key", "time", "known_at", "unknown", "value", "null"],
)
def test_key_times_and_used_columns_are_content(other):
    content, rows = hashes(ROW, other)
    assert content[0] != content[1]
    assert rows[0] != rows[1]


def test_the_event_id_and_columns_nobody_uses_are_not_content():
    content, _ = hashes(ROW, (1, T, T, "b", 0.5), id_="id")
    assert content[0] == content[1]


def test_a_known_at_that_is_not_declared_is_not_content():
    content, _ = hashes(ROW, (1, T, None, "a", 0.5), known=False)
    assert content[0] == content[1]


def test_a_null_is_no_zero_and_minus_zero_is_no_zero():
    content, _ = hashes(*((1, T, T, "a", x) for x in (None, 0.0, -0.0)))
    assert len(set(content)) == 3


def test_every_nan_is_the_same_content():
    other = struct.unpack("<d", struct.pack("<Q", 0x7FF8_0000_0000_0001))[0]
    content, _ = hashes((1, T, T, "a", math.nan), (1, T, T, "a", other))
    assert content[0] == content[1]


@pytest.mark.parametrize("dtype", [pl.Int8(), pl.Int32(), pl.UInt16()])
def test_the_width_of_an_integer_is_not_content(dtype):
    narrow = hashes((5, T, T, "a", 7), dtype=dtype, key_dtype=dtype)
    wide = hashes((5, T, T, "a", 7), dtype=pl.Int64())
    assert narrow == wide


@pytest.mark.parametrize(
    ("dtype", "values"),
    [
        (pl.String(), ["", "a", "b", None]),
        (pl.Binary(), [b"", b"\0", b"\0\0", None]),
        (pl.Decimal(38, 2), [Decimal("0.01"), Decimal("-0.01"), Decimal("9" * 36), None]),
        (pl.List(pl.Int64), [[], [1], [1, None], None]),
        (pl.Boolean(), [True, False, None]),
        (pl.Date(), [date(2026, 1, 1), date(2026, 1, 2), None]),
        (pl.UInt64(), [2**64 - 1, 2**63, 0, None]),
        (pl.Struct({"a": pl.Int64}), [{"a": 1}, {"a": None}, None]),
    ],
    ids=str,
)
def test_values_of_every_type_are_told_apart(dtype, values):
    content, _ = hashes(*((1, T, T, "a", v) for v in values), dtype=dtype)
    assert len(set(content)) == len(values)


def test_equal_rows_of_a_batch_are_counted_and_another_batch_begins_anew():
    other = (2, T, T, "a", 0.5)
    together = hashes(ROW, ROW, other)[1]
    assert len(set(together)) == 3
    again = hashes(ROW, other, ROW, ROW, ROW, batches=["a", "a", "b", "b", "b"])[1]
    assert again[:2] == [together[0], together[2]]
    assert again[2:4] == together[:2]
    assert len(set(again)) == 4


def test_the_order_of_equal_rows_in_a_batch_does_not_matter():
    other = (2, T, T, "a", 0.5)
    assert sorted(hashes(ROW, other, ROW)[1]) == sorted(hashes(other, ROW, ROW)[1])


def test_content_columns_have_a_fixed_order():
    group = gn.FeatureGroup(
        "g",
        entity=gn.Entity("e", keys={"k": int}),
        features=[gn.last("x"), gn.count("id")],
        timestamp="t",
        known_at="seen",
    )
    assert content_columns(make_layout(group, SCHEMA)) == ["__k0", "__t", "__known", "__c0", "__c1"]


def test_hashes_are_those_that_are_stored():
    """They are the ids of rows in tables and online stores: another value would make every row a new one."""
    stored = [(17251009966071581146, 279113088223783980)]
    assert hashes((1, T, T, "a", 0.5)) == [stored, stored]
    stored = [(10671043835462843185, 9130340105473630874)]
    assert hashes((1, T, T, "a", "é"), dtype=pl.String(), known=False) == [stored, stored]
