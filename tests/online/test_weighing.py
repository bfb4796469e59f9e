"""WeighingStore is a store, and knows what it was filled with."""

from __future__ import annotations

from pathlib import Path

import pytest

from gnomon.errors import UsageError
from gnomon.online.memory import MemoryStore
from gnomon.online.weighing import WeighingStore
from gnomon.testing.online import OnlineStoreTests


class TestWeighingStoreIsAnOnlineStore(OnlineStoreTests):
    @pytest.fixture
    def store(self):
        return WeighingStore(MemoryStore())


def held(store: WeighingStore, *tables: str) -> int:
    return sum(len(key) + len(value) for table in tables for key, value in store.scan(table))


def test_grows_by_what_is_there_afterwards_and_was_not_before():
    store = WeighingStore(MemoryStore())
    store.load("a", [(b"k1", b"12345"), (b"k2", memoryview(b"123"))])
    assert store.grown == held(store, "a") == 12
    store.update("a", [b"k1", b"k3"], lambda positions, old: [b"1", b"1"])
    assert store.grown == held(store, "a") == 11
    store.update("b", [b"k1"], lambda positions, old: [b"1234"])
    store.update("a", [b"k3"], lambda positions, old: [None])
    assert store.grown == held(store, "a", "b")
    store.delete("a", [b"k1", b"k1", b"never there"])
    assert store.grown == held(store, "a", "b") == 11


def test_merge_that_is_asked_again_counts_once():
    class Retrying(MemoryStore):
        """Somebody else is always faster at first."""

        def update(self, table, keys, merge):
            merge(range(len(keys)), [None] * len(keys))
            super().update(table, keys, merge)

    store = WeighingStore(Retrying())
    store.update("a", [b"k", b"l"], lambda positions, old: [b"1234"] * len(positions))
    assert store.grown == held(store, "a") == 10


def test_has_no_url():
    with pytest.raises(UsageError, match="stands before another store"):
        WeighingStore.from_url("weighing://", root=Path())
