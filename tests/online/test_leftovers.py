"""Leaves that no index names are found, whosever they are; leaves that are named never are."""

from __future__ import annotations

import polars as pl
import pytest

from gnomon.errors import CorruptValue
from gnomon.online import leftovers
from gnomon.online.index import leaves_table
from gnomon.online.leftovers import unnamed_leaves
from gnomon.online.memory import MemoryStore
from gnomon.online.writer import Target, load
from tests.online.hot import SMALL, TABLE
from tests.online.made import Row, flat, make_layout

LAYOUT = make_layout([pl.Int64()], id_kind="int")
LEAVES = leaves_table(TABLE)
KEYS = [b"", b"a", b"ab", b"b" * 16]


@pytest.fixture
def store() -> MemoryStore:
    made = MemoryStore()
    rows = [Row(k, i, i, i, (i,)) for k in range(len(KEYS)) for i in range(30)]
    load(made, Target(TABLE, LAYOUT, (), SMALL), KEYS, flat(LAYOUT, [pl.Int64()], rows, len(KEYS)))
    return made


@pytest.mark.parametrize("at_once", [1, 2, 256])
def test_leaves_without_an_index_are_found(
    store: MemoryStore, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leftovers, "_KEYS_AT_ONCE", at_once)
    assert not list(unnamed_leaves(store, LAYOUT, TABLE))
    strange = [key + bytes(16) for key in (*KEYS, b"nobody")]
    store.load(LEAVES, [(key, b"x") for key in strange])
    store.load(TABLE, [(b"nobody", b"not hot")])
    assert sorted(unnamed_leaves(store, LAYOUT, TABLE)) == sorted(strange)


def test_a_table_without_hot_keys_has_none_left_over() -> None:
    assert not list(unnamed_leaves(MemoryStore(), LAYOUT, TABLE))


def test_what_a_broken_index_names_is_not_guessed(store: MemoryStore) -> None:
    value = bytearray(store.read(TABLE, [b"a"])[0] or b"")
    value[80] ^= 1
    store.load(TABLE, [(b"a", bytes(value))])
    with pytest.raises(CorruptValue, match="checksum"):
        list(unnamed_leaves(store, LAYOUT, TABLE))
