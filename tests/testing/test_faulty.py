"""FaultyStore: a true store when it does not fail; else errors, and halves of writes, the same ones for a seed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import pytest

from gnomon.errors import Unavailable
from gnomon.online.memory import MemoryStore
from gnomon.testing.faulty import FaultyStore
from gnomon.testing.online import OnlineStoreTests, number, put

T = TypeVar("T")
TABLE = "group@1"
KEYS = [number(i) for i in range(20)]


class TestFaultyStoreWithoutFaultsIsAnOnlineStore(OnlineStoreTests):
    @pytest.fixture
    def store(self) -> FaultyStore:
        return FaultyStore(MemoryStore(), seed=1, failures=0.0)


def until_done(call: Callable[[], T]) -> T:
    for _ in range(1_000):
        try:
            return call()
        except Unavailable:
            continue
    pytest.fail("it never succeeds")


def test_what_is_tried_until_it_succeeds_has_happened() -> None:
    store = FaultyStore(MemoryStore(), seed=3, failures=0.5, delays=0.1, longest=0.001)
    for step in range(50):
        until_done(lambda step=step: put(store, TABLE, dict.fromkeys(KEYS, number(step))))
        assert until_done(lambda: store.read(TABLE, KEYS)) == [number(step)] * 20
    until_done(lambda: store.load("new", [(key, b"new") for key in KEYS]))
    assert until_done(lambda: dict(store.scan("new"))) == dict.fromkeys(KEYS, b"new")
    until_done(lambda: store.delete("new", KEYS))
    assert until_done(lambda: store.read_many([("new", KEYS)], "epoch")) == ([[None] * 20], None)
    assert store.failed > 30


def test_a_write_that_fails_has_happened_before_not_at_all_or_in_part() -> None:
    seen = set()
    for seed in range(200):
        inner = MemoryStore()
        store = FaultyStore(inner, seed=seed, failures=1.0)
        with pytest.raises(Unavailable, match="made to fail"):
            put(store, TABLE, dict.fromkeys(KEYS, b"1"))
        seen.add(len(list(inner.scan(TABLE))))
    assert {0, 20} < seen


def test_a_torn_scan_ends_with_an_error() -> None:
    inner = MemoryStore()
    inner.load(TABLE, [(number(i), b"") for i in range(2_000)])
    given = set()
    for seed in range(50):
        scan = FaultyStore(inner, seed=seed, failures=1.0).scan(TABLE)
        rows: list[object] = []
        with pytest.raises(Unavailable):
            rows.extend(scan)
        given.add(len(rows))
    assert len(given) > 5


def test_a_seed_gives_the_same_faults_again_and_healing_ends_them() -> None:
    def faults(seed: int) -> list[bool]:
        store = FaultyStore(MemoryStore(), seed=seed, failures=0.5)
        failed = []
        for _ in range(100):
            before = store.failed
            try:
                store.read(TABLE, KEYS)
            except Unavailable:
                assert store.failed == before + 1
            failed.append(store.failed > before)
        return failed

    assert faults(1) == faults(1) != faults(2)
    store = FaultyStore(MemoryStore(), seed=1, failures=1.0)
    store.heal()
    assert store.read(TABLE, [b"a"]) == [None]
