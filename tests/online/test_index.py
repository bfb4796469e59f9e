"""Index values: what is packed comes back, and what is broken is refused."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from gnomon.errors import CorruptValue
from gnomon.kernels import leaves, states
from gnomon.online.arrays import VarColumn
from gnomon.online.codec import Layout, nothing, unpack
from gnomon.online.index import (
    NO_LEAVES,
    Index,
    View,
    is_index,
    key_of_leaf,
    leaf_key,
    leaves_table,
    pack_index,
    read_index,
    tail_of,
    with_tail,
)
from gnomon.online.merge import KEEP_ALL
from gnomon.online.sealing import Grown, Sizes, grow
from gnomon.online.writer import _value
from tests.online.made import Row, flat, listed, make_layout

TYPES = [pl.Float64(), pl.String(), pl.Decimal(38, 2), pl.Boolean()]
ALL = states.SUMS | states.SQUARES | states.EXTREMA | states.ENDS | states.DISTINCT
VIEWS = [
    View(-1, -1, False, states.ENDS),
    View(0, -1, False, ALL),
    View(0, 3, True, states.ENDS),
    View(1, -1, False, states.EXTREMA | states.DISTINCT),
    View(2, -1, False, states.SUMS),
]


def grown(layout: Layout, n: int = 90) -> Grown:
    rows = [Row(0, i, i, i, (i / 8, f"text {i % 5}", None, i % 3 == 0)) for i in range(n)]
    new = flat(layout, TYPES, rows, 1)
    none, tail = nothing(layout, 0), nothing(layout, 1)
    return grow(layout, VIEWS, NO_LEAVES, [], none, tail, new, KEEP_ALL, Sizes(leaf=2, tail=1))


def all_of(index: Index) -> list[Any]:
    dictionaries = {
        lane: column.to_list() if isinstance(column, VarColumn) else column.words.tolist()
        for lane, column in index.dictionaries.items()
    }
    records = [(held.view, held.starts.tolist(), held.records.tolist()) for held in index.states]
    return [index.fields.tolist(), records, dictionaries]


@pytest.fixture
def layout() -> Layout:
    return make_layout(TYPES, id_kind="int")


def test_an_index_comes_back_as_it_was(layout: Layout) -> None:
    made = grown(layout)
    assert made.index.n_leaves == 44
    value = _value(layout, made)
    assert is_index(value)
    assert len(value) % 8 == 0
    assert all_of(read_index(layout, value, "here")) == all_of(made.index)
    assert listed(layout, TYPES, unpack(layout, [tail_of(value)])) == listed(layout, TYPES, made.tail)
    again = read_index(layout, value, "here")
    assert pack_index(layout, again, bytes(tail_of(value))) == value


def test_another_tail_leaves_the_leaves_as_they_are(layout: Layout) -> None:
    value = _value(layout, grown(layout))
    other = bytes(tail_of(_value(layout, grown(layout, 33))))
    changed = with_tail(value, other)
    assert bytes(tail_of(changed)) == other
    assert all_of(read_index(layout, changed, "here")) == all_of(read_index(layout, value, "here"))


def test_a_broken_index_is_refused_with_its_place(layout: Layout) -> None:
    value = bytearray(_value(layout, grown(layout)))
    value[200] ^= 1
    with pytest.raises(CorruptValue, match="checksum") as caught:
        read_index(layout, bytes(value), "table g@1#1, key b'k'")
    assert caught.value.at == "table g@1#1, key b'k'"
    with pytest.raises(CorruptValue, match="other columns"):
        read_index(make_layout(TYPES[:2], id_kind="int"), _value(layout, grown(layout)), "here")


def test_only_an_index_value_looks_like_one(layout: Layout) -> None:
    value = _value(layout, grown(layout))
    assert not is_index(None)
    assert not is_index(b"")
    assert not is_index(value[:40])
    assert not is_index(tail_of(value))
    assert is_index(memoryview(value))


def test_a_view_survives_as_a_word() -> None:
    for view in [*VIEWS, View(65_000, 64_000, True, 255)]:
        assert View.of(view.word) == view


def test_leaves_have_names_of_their_own_that_tell_the_key(layout: Layout) -> None:
    made = grown(layout)
    names = made.index.names(range(made.index.n_leaves))
    assert names == [leaf.name for leaf in made.made]
    assert len(set(names)) == len(names)
    assert [key_of_leaf(leaf_key(key, names[0])) for key in (b"", b"k", names[1])] == [b"", b"k", names[1]]
    assert leaves_table("g@1#7") == "g@1#7/leaves"
    assert made.index.fields.shape[0] == leaves.FIELDS
