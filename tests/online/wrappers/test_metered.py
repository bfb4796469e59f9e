"""MeteredStore is a store, and tells of every call."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gnomon import events
from gnomon.events import Event, OnlineCalled
from gnomon.online.memory import MemoryStore
from gnomon.online.wrappers.metered import MeteredStore
from gnomon.testing.online import OnlineStoreTests, put

TABLE = "group@1"


class TestMeteredStoreIsAnOnlineStore(OnlineStoreTests):
    @pytest.fixture
    def store(self) -> MeteredStore:
        return MeteredStore(MemoryStore())


def heard(*calls: object) -> list[tuple[str, int, str]]:
    """What is told of calls of a store."""
    told: list[Event] = []
    with events.listening(told.append):
        for call in calls:
            call()  # type: ignore[operator]
    calls_told = [event for event in told if isinstance(event, OnlineCalled)]
    assert all(event.seconds >= 0 for event in calls_told)
    return [(event.method, event.keys, event.failure) for event in calls_told]


def test_each_call_is_told_with_its_keys() -> None:
    store = MeteredStore(MemoryStore())
    assert heard(
        lambda: put(store, TABLE, {b"a": b"1", b"b": b"2"}),
        lambda: store.read(TABLE, [b"a"]),
        lambda: store.read_many([(TABLE, [b"a", b"b"]), (TABLE, [b"c"])], "epoch"),
        lambda: store.load("new", iter([(b"a", b"1")] * 5)),
        lambda: store.delete(TABLE, [b"a", b"b", b"c"]),
        lambda: store.swap("new", TABLE),
        lambda: list(store.scan(TABLE)),
        lambda: store.drop(TABLE),
        store.tables,
        lambda: store.get_meta("a"),
        lambda: store.set_meta("a", None, b"1"),
    ) == [
        ("update", 2, ""),
        ("read", 1, ""),
        ("read_many", 3, ""),
        ("load", 5, ""),
        ("delete", 3, ""),
        ("swap", 0, ""),
        ("scan", 0, ""),
        ("drop", 0, ""),
        ("tables", 0, ""),
        ("get_meta", 0, ""),
        ("set_meta", 0, ""),
    ]


def test_a_call_that_fails_is_told_with_its_error_and_still_raises() -> None:
    store = MeteredStore(MemoryStore())

    def broken() -> Iterator[tuple[bytes, bytes]]:
        yield b"a", b"1"
        raise ZeroDivisionError

    def load() -> None:
        with pytest.raises(ZeroDivisionError):
            store.load(TABLE, broken())

    assert heard(load) == [("load", 1, "ZeroDivisionError")]


def test_a_call_from_where_an_error_is_handled_is_none_that_failed() -> None:
    store = MeteredStore(MemoryStore())

    def look() -> None:
        try:
            raise ZeroDivisionError
        except ZeroDivisionError:
            store.get_meta("a")

    assert heard(look) == [("get_meta", 0, "")]
