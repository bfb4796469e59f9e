"""BigtableStore beyond the conformance class: processes, a server that goes away, limits, layouts."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

import gnomon.online.bigtable as module
from gnomon import plugins
from gnomon.errors import Unavailable, UsageError
from gnomon.online.bigtable import BigtableStore
from gnomon.online.bigtable_url import parse
from gnomon.online.bigtable_wire import Wire
from gnomon.testing.online import add_one, number, put
from tests.online.calls import every_call
from tests.online.processes import in_children
from tests.servers import Server

TABLE = "group@1"


def opened(url: str) -> BigtableStore:
    return BigtableStore.from_url(url, root=Path())


@pytest.fixture
def store(bigtable_url: str) -> Iterator[BigtableStore]:
    with opened(bigtable_url) as store:
        yield store


@pytest.fixture
def wire(bigtable_url: str) -> Iterator[Wire]:
    wire = Wire(parse(bigtable_url))
    yield wire
    wire.close()


def test_its_scheme_finds_it() -> None:
    assert plugins.resolve("online", "bigtable://my-project/instance") is BigtableStore


def test_updates_of_processes_and_forks_lose_nothing(bigtable_url: str, store: BigtableStore) -> None:
    store.update(TABLE, [b"hot"], add_one)  # so that the children inherit connections
    store.read(TABLE, [number(i) for i in range(3_000)])  # and threads

    def with_the_parents_store() -> None:
        for _ in range(20):
            store.update(TABLE, [b"hot"], add_one)
        store.read(TABLE, [number(i) for i in range(3_000)])

    def with_its_own() -> None:
        with opened(bigtable_url) as mine:
            for _ in range(20):
                mine.update(TABLE, [b"hot"], add_one)

    in_children(with_the_parents_store, with_its_own)
    store.update(TABLE, [b"hot"], add_one)
    assert store.read(TABLE, [b"hot"]) == [number(42)]


# ---- the server goes away


def test_opening_asks_nothing_of_the_server() -> None:
    """Training sets are made while the online store is away."""
    opened("bigtable://my-project/instance").close()


def test_a_killed_server_is_unavailable_and_the_store_recovers_with_it(
    bigtable_url: str, bigtable_server: Server
) -> None:
    with opened(f"{bigtable_url}?timeout=0.3") as store:
        put(store, TABLE, {b"a": b"1"})
        bigtable_server.kill()
        for call in every_call(store):
            with pytest.raises(Unavailable, match="cannot be reached") as caught:
                call()
            assert "test-project/instance" in str(caught.value)
            assert caught.value.hint
        bigtable_server.start()
        _wait_until_reached(store)
        # This one holds nothing any more, not even our table.
        assert store.read(TABLE, [b"a"]) == [None]
        put(store, TABLE, {b"a": b"2"})
        assert store.read(TABLE, [b"a"]) == [b"2"]


def _wait_until_reached(store: BigtableStore) -> None:
    """The driver lets some time pass before it connects again."""
    for _ in range(40):
        try:
            store.tables()
        except Unavailable:
            continue
        return
    pytest.fail("the store does not recover")


# ---- tables


def test_a_write_into_a_table_that_is_replaced_meanwhile_goes_to_the_new_one(
    bigtable_url: str, store: BigtableStore
) -> None:
    put(store, TABLE, {b"a": number(1)})
    with opened(bigtable_url) as other:
        turn = itertools.count()

        def merge(positions: object, old: list[bytes | None]) -> list[bytes | None]:
            if not next(turn):
                other.load("rebuild", [(b"a", number(10))])
                other.swap("rebuild", TABLE)
            return [number(int.from_bytes(old[0] or b"", "big") + 1)]

        store.update(TABLE, [b"a"], merge)
        assert other.read(TABLE, [b"a"]) == [number(11)]


def test_dropped_and_replaced_tables_leave_no_rows(store: BigtableStore, wire: Wire) -> None:
    for name in ("a", "b", "c"):
        put(store, name, {b"k": b"v", b"k" * 3_000: b"v"})
    assert len(list(wire.scan(b"\2", 100))) == 6
    store.swap("a", "b")
    store.drop("c")
    assert len(list(wire.scan(b"\2", 100))) == 2
    store.drop("b")
    assert list(wire.scan(b"\2", 100)) == []


def test_a_value_beyond_the_limit_is_refused_and_nothing_is_written(
    store: BigtableStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MAX_VALUE", 1_000)
    put(store, TABLE, {b"a": bytes(1_000)})
    for call in (
        lambda: put(store, TABLE, {b"b": bytes(1), b"a": bytes(1_001)}),
        lambda: store.load(TABLE, [(b"b", bytes(1)), (b"a", memoryview(bytes(1_001)))]),
        lambda: store.set_meta("a", None, bytes(1_001)),
    ):
        with pytest.raises(UsageError, match="a value of 1,001 bytes does not fit"):
            call()
    assert dict(store.scan(TABLE)) == {b"a": bytes(1_000)}


def test_tables_of_one_instance_are_apart(bigtable_url: str, store: BigtableStore) -> None:
    put(store, TABLE, {b"a": b"1"})
    with opened(f"{bigtable_url}-other") as other:
        assert other.tables() == []
        other.set_meta("a", None, b"1")
    assert store.get_meta("a") is None


def test_another_layout_is_refused(store: BigtableStore, wire: Wire) -> None:
    put(store, TABLE, {b"a": b"1"})
    wire.write([(b"\0", {b"l": b"99"})])
    for call in (
        lambda: store.read(TABLE, [b"a"]),
        lambda: store.update(TABLE, [b"a"], add_one),
        store.tables,
    ):
        with pytest.raises(UsageError, match="layout `99`"):
            call()
