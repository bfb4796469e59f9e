"""DynamoStore beyond the conformance class: processes, a server that goes away, big values, layouts."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from gnomon import plugins
from gnomon.errors import Unavailable, UsageError
from gnomon.online.dynamodb import DynamoStore
from gnomon.online.dynamodb_items import ROOM, key_of
from gnomon.online.dynamodb_url import parse
from gnomon.online.dynamodb_wire import Wire
from gnomon.testing.online import add_one, number, put
from tests.online.between import between
from tests.online.calls import every_call
from tests.online.processes import in_children
from tests.online.test_dynamodb_wire import refusal
from tests.servers import Server

TABLE = "group@1"


def opened(url: str) -> DynamoStore:
    return DynamoStore.from_url(url, root=Path())


@pytest.fixture
def store(dynamodb_url: str) -> Iterator[DynamoStore]:
    with opened(dynamodb_url) as store:
        yield store


@pytest.fixture
def wire(dynamodb_url: str) -> Iterator[Wire]:
    wire = Wire(parse(dynamodb_url))
    yield wire
    wire.close()


def tables_of(wire: Wire) -> list[str]:
    return list(wire.call("list_tables")["TableNames"])


def test_its_scheme_finds_it() -> None:
    assert plugins.resolve("online", "dynamodb://shop") is DynamoStore


def test_updates_of_processes_and_forks_lose_nothing(dynamodb_url: str, store: DynamoStore) -> None:
    store.update(TABLE, [b"hot"], add_one)  # so that the children inherit connections
    store.read(TABLE, [number(i) for i in range(300)])  # and threads

    def with_the_parents_store() -> None:
        for _ in range(10):
            store.update(TABLE, [b"hot"], add_one)
        store.read(TABLE, [number(i) for i in range(300)])

    def with_its_own() -> None:
        with opened(dynamodb_url) as mine:
            for _ in range(10):
                mine.update(TABLE, [b"hot"], add_one)

    in_children(with_the_parents_store, with_its_own)
    store.update(TABLE, [b"hot"], add_one)
    assert store.read(TABLE, [b"hot"]) == [number(22)]


# ---- the server goes away


def test_opening_asks_nothing_of_the_server() -> None:
    """Training sets are made while the online store is away."""
    opened("dynamodb://127.0.0.1:1/shop").close()


def test_a_killed_server_is_unavailable_and_the_store_recovers_with_it(
    store: DynamoStore, dynamodb_server: Server
) -> None:
    put(store, TABLE, {b"a": b"1"})
    dynamodb_server.kill()
    for call in every_call(store):
        with pytest.raises(Unavailable, match="cannot be reached") as caught:
            call()
        assert str(dynamodb_server.port) in str(caught.value)
        assert caught.value.hint
    dynamodb_server.start()
    # This one holds nothing any more, not even our tables.
    assert store.read(TABLE, [b"a"]) == [None]
    put(store, TABLE, {b"a": b"2"})
    assert store.read(TABLE, [b"a"]) == [b"2"]


def test_a_server_that_hangs_is_unavailable_until_it_goes_on(
    dynamodb_url: str, dynamodb_server: Server
) -> None:
    with opened(f"{dynamodb_url}&timeout=1") as store:
        put(store, TABLE, {b"a": b"1"})
        dynamodb_server.pause()
        try:
            with pytest.raises(Unavailable, match="does not answer in time"):
                store.read(TABLE, [b"a"])
        finally:
            dynamodb_server.resume()
        assert store.read(TABLE, [b"a"]) == [b"1"]


@pytest.mark.parametrize("size", [8, ROOM + 1])
def test_a_write_whose_answer_is_lost_is_not_done_twice(
    dynamodb_url: str, dynamodb_server: Server, wire: Wire, size: int
) -> None:
    """The service wrote, and said that it failed: the request made again meets its own write."""
    with (
        between(dynamodb_server.port) as middle,
        opened(dynamodb_url.replace(str(dynamodb_server.port), str(middle.port))) as store,
    ):
        put(store, TABLE, {b"a": bytes(size)})
        turn = itertools.count()
        middle.after = lambda operation, body, answer: (
            refusal("InternalServerError", 500) if operation == "PutItem" and not next(turn) else answer
        )
        store.update(TABLE, [b"a"], lambda positions, old: [(old[0] or b"") + b"!"])
        assert next(turn) > 1
        assert store.read(TABLE, [b"a"]) == [bytes(size) + b"!"]
        place = next(name for name in tables_of(wire) if name.startswith("test."))
        assert sum(len(page) for page in wire.scan(place)) == 1 + 2 * (size > ROOM)


# ---- values in several items


def test_a_value_replaced_or_removed_leaves_no_chunks(store: DynamoStore, wire: Wire) -> None:
    big = bytes(3 * ROOM)
    put(store, TABLE, {b"a": big, b"b": big, b"c": big})
    put(store, TABLE, {b"a": big + b"!", b"b": b"small"})
    store.delete(TABLE, [b"c"])
    assert store.read(TABLE, [b"a", b"b", b"c"]) == [big + b"!", b"small", None]
    put(store, TABLE, {b"a": None})
    place = next(name for name in tables_of(wire) if name.startswith("test."))
    assert [key_of(item) for page in wire.scan(place) for item in page] == [b"b"]


def test_a_big_value_that_somebody_else_replaces_first_is_merged_with(store: DynamoStore, wire: Wire) -> None:
    values = [bytes([i]) * (ROOM + 1) for i in range(3)]
    put(store, TABLE, {b"a": values[0]})
    looked = []

    def merge(positions: object, old: list[bytes | None]) -> list[bytes | None]:
        # Another writer comes first, in the middle of this update.
        if not looked:
            looked.append(old[0])
            put(store, TABLE, {b"a": values[1]})
        return [values[2] if old[0] == values[1] else b"merged with what was gone"]

    store.update(TABLE, [b"a"], merge)
    assert looked == [values[0]]
    assert store.read(TABLE, [b"a"]) == [values[2]]
    place = next(name for name in tables_of(wire) if name.startswith("test."))
    assert sum(len(page) for page in wire.scan(place)) == 3, "what lost has left its chunks"


# ---- tables


def test_a_write_into_a_table_that_is_replaced_meanwhile_goes_to_the_new_one(
    dynamodb_url: str, store: DynamoStore
) -> None:
    put(store, TABLE, {b"a": number(1)})
    with opened(dynamodb_url) as other:
        turn = itertools.count()

        def merge(positions: object, old: list[bytes | None]) -> list[bytes | None]:
            if not next(turn):
                other.load("rebuild", [(b"a", number(10))])
                other.swap("rebuild", TABLE)
            return [number(int.from_bytes(old[0] or b"", "big") + 1)]

        store.update(TABLE, [b"a"], merge)
        assert other.read(TABLE, [b"a"]) == [number(11)]


def test_dropped_and_replaced_tables_are_gone_from_the_server(store: DynamoStore, wire: Wire) -> None:
    for name in ("a", "b"):
        put(store, name, {b"k": b"v"})
    store.swap("a", "b")
    assert len(tables_of(wire)) == 2
    store.drop("b")
    assert tables_of(wire) == ["test"]


def test_a_name_without_its_table_reads_as_empty_and_can_be_written(store: DynamoStore, wire: Wire) -> None:
    """What a process leaves that is killed while it makes a table."""
    put(store, TABLE, {b"a": b"1"})
    put(store, "other", {b"a": b"2"})
    (place,) = (name for name in tables_of(wire) if "group" in name)
    wire.drop_table(place)
    asked = [(TABLE, [b"a"]), ("other", [b"a"])]
    assert store.read_many(asked, "document") == ([[None], [b"2"]], None)
    assert list(store.scan(TABLE)) == []
    put(store, TABLE, {b"a": b"3"})
    assert store.read(TABLE, [b"a"]) == [b"3"]


def test_prefixes_are_apart(dynamodb_url: str, store: DynamoStore) -> None:
    put(store, TABLE, {b"a": b"1"})
    with opened(dynamodb_url.replace("/test", "/other")) as other:
        assert other.tables() == []
        other.set_meta("a", None, b"1")
    assert store.get_meta("a") is None


def test_another_layout_is_refused(dynamodb_url: str, store: DynamoStore, wire: Wire) -> None:
    store.set_meta("a", None, b"1")
    from_the_future = {"k": {"B": b"\0l"}, "n": {"B": b"n"}, "v": {"B": b"99"}}
    wire.write("test", [from_the_future])
    with opened(dynamodb_url) as other, pytest.raises(UsageError, match="layout `99`"):
        other.get_meta("a")
