"""CachedStore: as old as declared and no older, own writes at once, documents after values, memory bounded."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from gnomon.abc.online import Merge, OnlineStore
from gnomon.errors import UsageError
from gnomon.online.lmdb import LmdbStore
from gnomon.online.memory import MemoryStore
from gnomon.online.wrappers.base import WrapperStore
from gnomon.online.wrappers.cache import CachedStore
from gnomon.testing.online import DurableOnlineStoreTests, OnlineStoreTests, add_one, in_threads, number, put
from gnomon.time import HOUR, SECOND

TABLE = "group@1"


class TestCachedStoreIsAnOnlineStore(OnlineStoreTests):
    @pytest.fixture
    def store(self) -> CachedStore:
        return CachedStore(MemoryStore(), HOUR)


class TestCachedStoreWithoutRoomIsAnOnlineStore(OnlineStoreTests):
    @pytest.fixture
    def store(self) -> CachedStore:
        return CachedStore(MemoryStore(), HOUR, memory=1_000)


class TestCachedStoreBeforeADurableOne(DurableOnlineStoreTests):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[CachedStore]:
        with CachedStore(LmdbStore(tmp_path), HOUR) as store:
            yield store

    @pytest.fixture
    def reopen(self, tmp_path: Path) -> Callable[[], OnlineStore]:
        return lambda: CachedStore(LmdbStore(tmp_path), HOUR)


class Counting(WrapperStore):
    """Counts questions, and calls `meanwhile` after each was answered and before the answer is returned."""

    def __init__(self, store: OnlineStore) -> None:
        super().__init__(store)
        self.questions: list[int] = []
        self.documents = 0
        self.meanwhile: Callable[[], object] = lambda: None

    def read_many(
        self, asked: Sequence[tuple[str, Sequence[bytes]]], document: str
    ) -> tuple[list[list[bytes | None]], bytes | None]:
        self.questions.append(sum(len(keys) for _, keys in asked))
        found = super().read_many(asked, document)
        self.meanwhile()
        return found

    def get_meta(self, name: str) -> bytes | None:
        self.documents += 1
        return super().get_meta(name)


class Now:
    """A clock that is set."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def now() -> Now:
    return Now()


@pytest.fixture
def inner() -> MemoryStore:
    """What another process would write to."""
    return MemoryStore()


@pytest.fixture
def counting(inner: MemoryStore) -> Counting:
    return Counting(inner)


@pytest.fixture
def store(counting: Counting, now: Now) -> CachedStore:
    return CachedStore(counting, 2 * SECOND, clock=now)


def ask(store: OnlineStore, *keys: bytes, table: str = TABLE) -> tuple[list[bytes | None], bytes | None]:
    (values,), document = store.read_many([(table, keys)], "epoch")
    return values, document


def test_a_value_is_answered_from_memory_until_it_is_as_old_as_declared(
    store: CachedStore, inner: MemoryStore, counting: Counting, now: Now
) -> None:
    put(inner, TABLE, {b"a": b"1"})
    inner.set_meta("epoch", None, b"7")
    assert ask(store, b"a", b"none") == ([b"1", None], b"7")
    put(inner, TABLE, {b"a": b"2", b"none": b"3"})
    now.seconds += 2.0
    assert ask(store, b"none", b"a") == ([None, b"1"], b"7")
    assert (counting.questions, counting.documents) == ([2], 0)
    now.seconds += 0.001
    assert ask(store, b"a", b"none") == ([b"2", b"3"], b"7")
    assert (store.hits, store.misses) == (2, 4)


def test_age_counts_from_before_the_value_was_read(
    store: CachedStore, inner: MemoryStore, counting: Counting, now: Now
) -> None:
    def slowly() -> None:
        now.seconds += 1.5

    counting.meanwhile = slowly
    assert ask(store, b"a") == ([None], None)
    put(inner, TABLE, {b"a": b"1"})
    now.seconds += 0.6
    assert ask(store, b"a") == ([b"1"], None)


def test_only_what_is_missing_is_asked_for(
    store: CachedStore, inner: MemoryStore, counting: Counting
) -> None:
    put(inner, TABLE, {b"a": b"1", b"b": b"2"})
    put(inner, "other", {b"a": b"3"})
    ask(store, b"a")
    asked = [(TABLE, [b"b", b"a", b"b"]), ("other", [b"a"]), (TABLE, []), (TABLE, [b"a"])]
    assert store.read_many(asked, "epoch") == ([[b"2", b"1", b"2"], [b"3"], [], [b"1"]], None)
    assert counting.questions == [1, 3]


def test_what_is_not_a_question_is_never_answered_from_memory(store: CachedStore, inner: MemoryStore) -> None:
    put(inner, TABLE, {b"a": b"1"})
    ask(store, b"a")
    put(inner, TABLE, {b"a": b"2"})
    inner.set_meta("epoch", None, b"1")
    assert store.read(TABLE, [b"a", b"b"]) == [b"2", None]
    assert store.get_meta("epoch") == b"1"
    # And questions know from now on what was seen.
    assert ask(store, b"a") == ([b"2"], b"1")
    put(inner, TABLE, {b"a": number(5)})
    store.update(TABLE, [b"a"], add_one)
    assert ask(store, b"a") == ([number(6)], b"1")


@pytest.mark.parametrize(
    ("write", "want"),
    [
        (lambda store: put(store, TABLE, {b"a": b"new"}), b"new"),
        (lambda store: store.load(TABLE, [(b"a", b"new")]), b"new"),
        (lambda store: store.delete(TABLE, [b"a"]), None),
        (lambda store: store.drop(TABLE), None),
        (lambda store: store.swap("rebuild", TABLE), b"rebuilt"),
    ],
    ids=["update", "load", "delete", "drop", "swap"],
)
def test_own_writes_are_seen_at_once_and_by_questions_under_way(
    store: CachedStore,
    counting: Counting,
    inner: MemoryStore,
    write: Callable[[OnlineStore], None],
    want: bytes | None,
) -> None:
    put(inner, TABLE, {b"a": b"old"})
    put(inner, "rebuild", {b"a": b"rebuilt"})
    turn = iter([True])
    counting.meanwhile = lambda: write(store) if next(turn, False) else None
    assert ask(store, b"a")[0] == [b"old"]  # read before the write
    assert ask(store, b"a")[0] == [want]
    put(inner, TABLE, {b"a": b"old"})
    put(inner, "rebuild", {b"a": b"rebuilt"})
    store.read(TABLE, [b"a"])
    write(store)
    assert ask(store, b"a")[0] == [want]


def test_own_documents_are_seen_at_once(store: CachedStore) -> None:
    ask(store, b"a")
    store.set_meta("epoch", None, b"1")
    assert ask(store, b"a") == ([None], b"1")


def test_a_failed_write_is_forgotten_too(store: CachedStore, inner: MemoryStore) -> None:
    """What it has written nobody knows."""

    def broken() -> Iterator[tuple[bytes, bytes]]:
        yield b"a", b"2"
        raise ZeroDivisionError

    put(inner, TABLE, {b"a": b"1"})
    ask(store, b"a")
    with pytest.raises(ZeroDivisionError):
        store.load(TABLE, broken())
    assert ask(store, b"a")[0] == [b"2"]


def test_a_document_older_than_a_value_is_read_again(
    store: CachedStore, inner: MemoryStore, counting: Counting, now: Now
) -> None:
    """Somebody publishes a table and drops the old one: who got a value of afterwards learns of it."""
    put(inner, TABLE, {b"a": b"1", b"b": b"2"})
    inner.set_meta("epoch", None, b"1")
    ask(store, b"a", b"b")
    now.seconds += 1
    inner.set_meta("epoch", b"1", b"2")
    inner.drop(TABLE)
    store.read(TABLE, [b"b"])  # such as who reads a hot key's value again
    assert ask(store, b"a") == ([b"1"], b"1"), "both of before"
    assert ask(store, b"a", b"b") == ([b"1", None], b"2")
    assert counting.documents == 1
    assert ask(store, b"a", b"c") == ([b"1", None], b"2")


def test_values_and_documents_are_as_of_a_moment_no_older_than_declared_whatever_happens() -> None:
    """A writer tells first and writes then; through the cache nobody sees the value and not what was told, and
    nobody sees what had been replaced for longer than declared.
    """
    now, inner = Now(), MemoryStore()
    store = CachedStore(inner, 2 * SECOND, clock=now, memory=3_000)
    chance = random.Random(5)
    keys = [number(i) for i in range(12)]
    history: dict[bytes, list[tuple[float, bytes | None]]] = {key: [(0.0, None)] for key in keys}
    inner.set_meta("epoch", None, number(0))
    for step in range(1, 3_000):
        now.seconds += chance.choice([0.0, 0.1, 0.5])
        if chance.random() < 0.3:
            key = chance.choice(keys)
            inner.set_meta("epoch", number(step_before(inner)), number(step))
            put(inner if chance.random() < 0.7 else store, TABLE, {key: number(step)})
            history[key].append((now.seconds, number(step)))
        if chance.random() < 0.1:
            store.read(TABLE, chance.sample(keys, 2))
        some = chance.sample(keys, 3)
        values, told = ask(store, *some)
        assert told is not None
        for key, value in zip(some, values, strict=True):
            assert value is None or told >= value
            later = [
                since for since, written in history[key] if written is not None and written > (value or b"")
            ]
            assert not later or now.seconds - later[0] <= 2.0 + 1e-9
    assert store.hits > store.misses > 100


def step_before(store: OnlineStore) -> int:
    return int.from_bytes(store.get_meta("epoch") or b"", "big")


def test_memory_is_bounded_and_what_was_not_asked_for_longest_goes(
    inner: MemoryStore, counting: Counting, now: Now
) -> None:
    store = CachedStore(counting, SECOND, memory=10_000, clock=now)
    keys = [number(i) for i in range(100)]
    put(inner, TABLE, dict.fromkeys(keys, bytes(100)))
    for key in keys:
        ask(store, key)
        ask(store, keys[0])
    assert 5_000 < store.size <= 10_000
    counting.questions.clear()
    ask(store, keys[0], keys[-1])
    assert counting.questions == []
    ask(store, keys[1])
    assert counting.questions == [1]
    put(store, TABLE, {b"huge": bytes(20_000)})
    assert ask(store, b"huge")[0] == [bytes(20_000)]
    assert store.size <= 10_000


def test_threads_that_write_and_ask_see_their_own_writes(inner: MemoryStore) -> None:
    store = CachedStore(inner, HOUR, memory=100_000)

    def work(name: int) -> None:
        for step in range(300):
            key = number(name)
            put(store, TABLE, {key: number(step)})
            assert ask(store, key)[0] == [number(step)]
            ask(store, *(number(other) for other in range(4)))

    in_threads(*(lambda name=name: work(name) for name in range(4)))


def test_a_reader_that_is_overtaken_by_a_write_leaves_nothing_old(inner: MemoryStore) -> None:
    entered, written = threading.Event(), threading.Event()

    class Slow(WrapperStore):
        def read_many(
            self, asked: Sequence[tuple[str, Sequence[bytes]]], document: str
        ) -> tuple[list[list[bytes | None]], bytes | None]:
            found = super().read_many(asked, document)
            entered.set()
            assert written.wait(10)
            return found

        def update(self, table: str, keys: Sequence[bytes], merge: Merge) -> None:
            super().update(table, keys, merge)

    store = CachedStore(Slow(inner), HOUR)

    def write() -> None:
        assert entered.wait(10)
        put(store, TABLE, {b"a": b"new"})
        written.set()

    in_threads(lambda: ask(store, b"a"), write)
    assert ask(store, b"a")[0] == [b"new"]


def test_says_what_it_cannot_promise(store: CachedStore) -> None:
    can = store.capabilities
    assert not can.one_moment
    assert not can.atomic_swap
    assert "2,000,000 µs" in can.reasons["one_moment"]
    assert can.batch_keys == MemoryStore.capabilities.batch_keys


def test_no_staleness_is_no_cache(inner: MemoryStore) -> None:
    with pytest.raises(UsageError, match="at least 1 µs"):
        CachedStore(inner, 0)
