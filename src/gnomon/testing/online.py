"""Conformance of online stores: inherit a class, give it a store, and every promise of the seam is tried.

```python
class TestMine(OnlineStoreTests):
    @pytest.fixture
    def store(self):
        with MyStore(...) as store:
            yield store
```

A store whose `capabilities.durable` is set inherits `DurableOnlineStoreTests` as well, and gives it `reopen`.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import ClassVar, cast

import pytest

from gnomon.abc.online import NAME_BYTES, Merge, OnlineStore
from gnomon.errors import NotFound, UsageError
from gnomon.time import SECOND, system_clock

Value = bytes | memoryview | None

TABLE = "group@1"
BINARY_KEYS = [
    b"\0",
    b"\0\0",
    b"\xff",
    b"\xff\xff",
    b"a",
    b"a\0",
    b"a\0b",
    b"\n",
    bytes(range(256)),
    "ключ".encode(),
]
LONG_KEYS = [
    b"",
    *(bytes([65 + n % 3]) * n for n in (509, 510, 511, 512, 513, 1024, 5000)),
    b"k" * 600,
    b"k" * 601,
]


def put(store: OnlineStore, table: str, rows: dict[bytes, Value]) -> None:
    """Write values through `update`; None deletes."""
    values = list(rows.values())
    store.update(table, list(rows), lambda positions, old: [values[at] for at in positions])


def add_one(positions: Sequence[int], old: list[bytes | None]) -> list[Value]:
    """Merge that counts: the sum is short if any update was lost."""
    return [number(int.from_bytes(value or b"", "big") + 1) for value in old]


def number(n: int) -> bytes:
    return n.to_bytes(8, "big")


def in_threads(*works: Callable[[], object]) -> None:
    """Run all at the same time; raise what any of them raised."""
    barrier = threading.Barrier(len(works))

    def run(work: Callable[[], object]) -> None:
        barrier.wait()
        work()

    with ThreadPoolExecutor(len(works)) as pool:
        for done in [pool.submit(run, work) for work in works]:
            done.result()


def while_changing(change: Callable[[int], None], *looks: Iterator[None], times: int) -> int:
    """Call `change(1)`, `change(2)`, … in one thread, and take steps of each of `looks` in another.

    Each goes on until all have gone `times` steps, so that none of them is ever alone. Returns the last
    number.
    """
    steps = [0] * (1 + len(looks))
    failed = threading.Event()

    def repeat(index: int, step: Callable[[int], object]) -> None:
        ended_well = False
        try:
            while min(steps) < times and not failed.is_set():
                step(steps[index] + 1)
                steps[index] += 1
            ended_well = True
        finally:
            if not ended_well:
                failed.set()

    in_threads(
        lambda: repeat(0, change),
        *(lambda i=i, look=look: repeat(i, lambda _: next(look)) for i, look in enumerate(looks, 1)),
    )
    return steps[0]


class OnlineStoreTests:
    """What every online store does."""

    hot_updates: ClassVar[int] = 2_500
    """Updates of one key by each of four threads; fewer where each crosses a network several times."""
    many_keys: ClassVar[int] = 20_000
    """Keys of a large table; fewer where each is a request of its own."""
    rounds: ClassVar[int] = 200
    """How often writers and readers meet; less where each step is several requests."""

    @pytest.fixture
    def store(self) -> OnlineStore:
        raise NotImplementedError("override the fixture `store` with an empty store")

    # ---- read and update

    def test_unknown_keys_and_tables_read_as_none(self, store: OnlineStore) -> None:
        assert store.read(TABLE, [b"a", b"b"]) == [None, None]
        put(store, TABLE, {b"a": b"1"})
        assert store.read(TABLE, [b"a", b"b"]) == [b"1", None]

    def test_read_keeps_order_and_duplicates(self, store: OnlineStore) -> None:
        put(store, TABLE, {b"a": b"1", b"b": b"2", b"c": b"3"})
        assert store.read(TABLE, [b"c", b"a", b"x", b"c", b"b", b"a"]) == [b"3", b"1", None, b"3", b"2", b"1"]

    def test_many_tables_are_read_in_the_order_asked_and_then_a_document(self, store: OnlineStore) -> None:
        put(store, TABLE, {b"a": b"1", b"b": b"2"})
        put(store, "other", {b"a": b"3"})
        asked = [
            (TABLE, [b"b", b"x", b"b"]),
            ("other", [b"a"]),
            ("none", [b"a", b"b"]),
            (TABLE, []),
            (TABLE, [b"a"]),
        ]
        values = [[b"2", None, b"2"], [b"3"], [None, None], [], [b"1"]]
        assert store.read_many(asked, "progress") == (values, None)
        store.set_meta("progress", None, b"9")
        assert store.read_many(asked, "progress") == (values, b"9")
        assert store.read_many([], "progress") == ([], b"9")

    def test_a_document_is_read_after_the_values(self, store: OnlineStore) -> None:
        """Of what is told first and written then, nobody sees the value and not what was told."""
        put(store, TABLE, {b"a": number(0)})
        store.set_meta("told", None, number(0))

        def write(step: int) -> None:
            store.set_meta("told", number(step - 1), number(step))
            put(store, TABLE, {b"a": number(step)})

        def looking() -> Iterator[None]:
            while True:
                ((value,),), told = store.read_many([(TABLE, [b"a"])], "told")
                assert told is not None
                assert value is not None
                assert told >= value, "the document is older than the value"
                yield

        while_changing(write, looking(), looking(), times=self.rounds)

    def test_no_keys_are_no_values(self, store: OnlineStore) -> None:
        put(store, TABLE, {b"a": b"1"})
        assert store.read(TABLE, []) == []
        store.update(TABLE, [], lambda positions, old: pytest.fail("merge called for no keys"))
        store.delete(TABLE, [])
        assert store.read(TABLE, [b"a"]) == [b"1"]

    def test_values_come_back_as_bytes_whatever_they_were_written_as(self, store: OnlineStore) -> None:
        buffer = bytearray(b"xxvaluexx")
        put(store, TABLE, {b"a": memoryview(buffer)[2:7]})
        store.load(TABLE, [(b"b", memoryview(buffer)[2:7]), (b"", memoryview(buffer)[2:7])])
        buffer[:] = bytes(len(buffer))
        values = store.read(TABLE, [b"a", b"b", b""])
        assert values == [b"value"] * 3
        assert {type(value) for value in values} == {bytes}

    def test_an_empty_value_is_a_value(self, store: OnlineStore) -> None:
        put(store, TABLE, {b"a": b""})
        store.load(TABLE, [(b"b", b"")])
        assert store.read(TABLE, [b"a", b"b", b"c"]) == [b"", b"", None]

    def test_update_hands_merge_positions_and_stored_values(self, store: OnlineStore) -> None:
        put(store, TABLE, {b"b": b"2"})
        keys = [b"c", b"b", b"a"]
        calls: list[tuple[list[int], list[bytes | None]]] = []

        def merge(positions: Sequence[int], old: list[bytes | None]) -> list[Value]:
            calls.append((list(positions), list(old)))
            return [keys[at] + (value or b"-") for at, value in zip(positions, old, strict=True)]

        store.update(TABLE, keys, merge)
        assert store.read(TABLE, keys) == [b"c-", b"b2", b"a-"]
        stored = dict(zip(keys, [None, b"2", None], strict=True))
        for positions, old in calls:
            assert old == [stored[keys[at]] for at in positions]
        assert {at for positions, _ in calls for at in positions} == {0, 1, 2}

    def test_merge_deletes_with_none_and_leaves_with_the_same_object(self, store: OnlineStore) -> None:
        put(store, TABLE, {b"a": b"1", b"b": b"2", b"c": b"3"})
        store.update(
            TABLE,
            [b"a", b"b", b"x"],
            lambda at, old: [v if i == 0 else None for i, v in zip(at, old, strict=True)],
        )
        assert store.read(TABLE, [b"a", b"b", b"c", b"x"]) == [b"1", None, b"3", None]

    def test_a_key_twice_in_one_update_is_refused(self, store: OnlineStore) -> None:
        with pytest.raises(ValueError, match="twice"):
            store.update(TABLE, [b"a", b"b", b"a"], add_one)
        assert store.read(TABLE, [b"a", b"b"]) == [None, None]

    def test_merge_must_answer_for_each_key(self, store: OnlineStore) -> None:
        put(store, TABLE, {b"a": b"1", b"b": b"2"})
        for answers in ([], [b"x"] * 3):
            with pytest.raises(ValueError, match=rf"merge returned {len(answers)} values for \d keys"):
                store.update(TABLE, [b"a", b"b"], cast(Merge, lambda at, old, given=answers: given))
        assert store.read(TABLE, [b"a", b"b"]) == [b"1", b"2"]

    def test_a_failing_merge_changes_nothing_and_can_be_repeated(self, store: OnlineStore) -> None:
        put(store, TABLE, {b"a": number(1)})

        def fail(positions: Sequence[int], old: list[bytes | None]) -> list[Value]:
            raise ZeroDivisionError

        for _ in range(3):
            with pytest.raises(ZeroDivisionError):
                store.update(TABLE, [b"a"], fail)
        store.update(TABLE, [b"a"], add_one)
        assert store.read(TABLE, [b"a"]) == [number(2)]

    def test_an_update_of_many_keys_reaches_each(self, store: OnlineStore) -> None:
        n = 5 * self.many_keys // 2
        keys = [number(i * 7919 % n) for i in range(n)]
        values = [b"value of " + key for key in keys]
        store.update(TABLE, keys, lambda positions, old: [values[at] for at in positions])
        store.update(TABLE, keys[::2], lambda positions, old: [(value or b"") + b"!" for value in old])
        assert store.read(TABLE, keys) == [value + b"!" * (i % 2 == 0) for i, value in enumerate(values)]

    def test_concurrent_updates_of_one_key_lose_nothing(self, store: OnlineStore) -> None:
        def write() -> None:
            for _ in range(self.hot_updates):
                store.update(TABLE, [b"hot"], add_one)

        in_threads(write, write, write, write)
        assert store.read(TABLE, [b"hot"]) == [number(4 * self.hot_updates)]

    def test_concurrent_updates_of_overlapping_keys_lose_nothing(self, store: OnlineStore) -> None:
        keys = [number(i) for i in range(20)]

        def write(seed: int) -> None:
            chance = random.Random(seed)
            for _ in range(self.rounds):
                store.update(TABLE, chance.sample(keys, 10), add_one)

        in_threads(*(lambda seed=seed: write(seed) for seed in range(3)))
        counts = [int.from_bytes(value or b"", "big") for value in store.read(TABLE, keys)]
        assert sum(counts) == 3 * self.rounds * 10

    # ---- keys and values

    @pytest.mark.parametrize("keys", [BINARY_KEYS, LONG_KEYS], ids=["binary", "long"])
    def test_any_bytes_are_a_key_of_their_own(self, store: OnlineStore, keys: list[bytes]) -> None:
        put(store, TABLE, {key: b"updated %d" % i for i, key in enumerate(keys)})
        store.load(TABLE, [(key, b"loaded %d" % i) for i, key in enumerate(keys) if i % 2])
        want = {key: b"%s %d" % (b"loaded" if i % 2 else b"updated", i) for i, key in enumerate(keys)}
        assert store.read(TABLE, [*keys, *keys]) == [*want.values(), *want.values()]
        assert [store.read(TABLE, [key])[0] for key in keys] == [*want.values()]
        assert dict(store.scan(TABLE)) == want
        store.delete(TABLE, keys[::2])
        assert store.read(TABLE, keys) == [None if i % 2 == 0 else want[key] for i, key in enumerate(keys)]
        assert dict(store.scan(TABLE)) == {key: want[key] for key in keys[1::2]}

    def test_big_values_come_back_whole(self, store: OnlineStore) -> None:
        big = {number(i): random.Random(i).randbytes((1 << 20) + i) for i in range(4)}
        put(store, TABLE, dict(big))
        store.load(TABLE, [(b"loaded" + key, value) for key, value in big.items()])
        assert store.read(TABLE, list(big)) == list(big.values())
        assert store.read(TABLE, [b"loaded" + key for key in big]) == list(big.values())

    # ---- load, delete, drop, scan, tables

    def test_load_overwrites_and_keeps_the_rest(self, store: OnlineStore) -> None:
        put(store, TABLE, {b"a": b"1", b"b": b"2"})
        assert store.load(TABLE, iter([(b"b", b"22"), (b"c", b"33")])) == 2
        assert store.read(TABLE, [b"a", b"b", b"c"]) == [b"1", b"22", b"33"]

    def test_of_equal_keys_load_takes_the_last(self, store: OnlineStore) -> None:
        rows = [(number(i % 700), number(i)) for i in range(2_000)] + [(b"x" * 600, b"1"), (b"x" * 600, b"2")]
        assert store.load(TABLE, rows) == len(rows)
        assert dict(store.scan(TABLE)) == dict(rows)

    @pytest.mark.parametrize("order", ["sorted", "reversed", "shuffled"])
    def test_load_takes_rows_in_any_order(self, store: OnlineStore, order: str) -> None:
        rows = [(number(i), b"v%d" % i) for i in range(5_000)]
        given = {
            "sorted": rows,
            "reversed": rows[::-1],
            "shuffled": random.Random(1).sample(rows, len(rows)),
        }
        store.load(TABLE, given[order][:3_000])
        store.load(TABLE, given[order][3_000:])
        assert sorted(store.scan(TABLE)) == rows

    def test_a_load_that_breaks_leaves_whole_values_and_can_be_repeated(self, store: OnlineStore) -> None:
        rows = [(number(i), number(i) * 10) for i in range(1_000)]

        def broken() -> Iterator[tuple[bytes, bytes]]:
            yield from rows[:700]
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            store.load(TABLE, broken())
        assert set(store.scan(TABLE)) <= set(rows)
        store.load(TABLE, rows)
        assert sorted(store.scan(TABLE)) == rows

    def test_a_load_of_nothing_makes_the_table(self, store: OnlineStore) -> None:
        assert store.load(TABLE, []) == 0
        assert store.tables() == [TABLE]

    def test_delete_removes_what_is_there(self, store: OnlineStore) -> None:
        put(store, TABLE, {b"a": b"1", b"b": b"2"})
        store.delete(TABLE, [b"a", b"x", b"a"])
        store.delete("no such table", [b"a"])
        assert store.read(TABLE, [b"a", b"b"]) == [None, b"2"]
        assert store.tables() == [TABLE]

    def test_tables_are_apart(self, store: OnlineStore) -> None:
        names = ["a", "a@1", "A", "a/b", "é", "x" * NAME_BYTES, "table:a", "slot:0"]
        for name in names:
            put(store, name, {b"k": name.encode()})
        assert [store.read(name, [b"k"]) for name in names] == [[name.encode()] for name in names]
        assert store.tables() == sorted(names)

    def test_many_tables_can_exist(self, store: OnlineStore) -> None:
        names = [f"table {i:03}" for i in range(100)]
        for name in names:
            put(store, name, {b"k": name.encode()})
        for name in names[::2]:
            store.drop(name)
        assert store.tables() == names[1::2]
        assert [store.read(name, [b"k"])[0] for name in names] == [
            name.encode() if i % 2 else None for i, name in enumerate(names)
        ]

    @pytest.mark.parametrize("name", ["", "x" * (NAME_BYTES + 1)])
    def test_names_without_length_or_beyond_it_are_refused(self, store: OnlineStore, name: str) -> None:
        for call in (
            lambda: store.read(name, [b"a"]),
            lambda: store.read_many([(name, [b"a"])], "a"),
            lambda: store.read_many([], name),
            lambda: store.update(name, [b"a"], add_one),
            lambda: store.load(name, []),
            lambda: store.get_meta(name),
            lambda: store.set_meta(name, None, b"1"),
        ):
            with pytest.raises(UsageError, match="1 to 255 bytes"):
                call()

    def test_a_dropped_table_comes_back_empty(self, store: OnlineStore) -> None:
        put(store, TABLE, {b"a": b"1"})
        store.drop(TABLE)
        store.drop(TABLE)
        assert store.tables() == []
        assert store.read(TABLE, [b"a"]) == [None]
        put(store, TABLE, {b"b": b"2"})
        assert dict(store.scan(TABLE)) == {b"b": b"2"}

    def test_scan_gives_each_key_once(self, store: OnlineStore) -> None:
        rows = {number(i): bytes(i % 300) for i in range(self.many_keys)}
        store.load(TABLE, rows.items())
        scanned = list(store.scan(TABLE))
        assert len(scanned) == len(rows)
        assert dict(scanned) == rows
        assert list(store.scan("no such table")) == []

    def test_scan_goes_on_while_others_write(self, store: OnlineStore) -> None:
        kept = {number(i): b"kept" * 50 for i in range(0, self.many_keys, 2)}
        store.load(TABLE, kept.items())
        scan = store.scan(TABLE)
        seen = list(islice(scan, 100))
        put(store, TABLE, {number(i): b"new" for i in range(1, self.many_keys, 2)})
        for key, value in scan:
            seen.append((key, value))
            if len(seen) % 1_000 == 0:
                put(store, TABLE, {number(2 * self.many_keys + len(seen)): b"new"})
        given = dict(seen)
        assert len(given) == len(seen)
        assert {key: given.get(key) for key in kept} == kept
        assert {value for key, value in given.items() if key not in kept} <= {b"new"}

    # ---- swap

    def test_swap_publishes_a_table(self, store: OnlineStore) -> None:
        put(store, TABLE, {b"a": b"old", b"b": b"old"})
        store.load("rebuild", [(b"a", b"new")])
        store.swap("rebuild", TABLE)
        assert dict(store.scan(TABLE)) == {b"a": b"new"}
        assert store.tables() == [TABLE]
        assert store.read("rebuild", [b"a"]) == [None]
        store.load("rebuild", [])
        store.swap("rebuild", TABLE)
        assert list(store.scan(TABLE)) == []

    def test_swap_to_a_name_that_is_free_renames(self, store: OnlineStore) -> None:
        put(store, "rebuild", {b"a": b"1"})
        store.swap("rebuild", TABLE)
        store.swap(TABLE, TABLE)
        assert store.read(TABLE, [b"a"]) == [b"1"]

    def test_swap_of_no_table_is_refused(self, store: OnlineStore) -> None:
        put(store, TABLE, {b"a": b"1"})
        with pytest.raises(NotFound, match="rebuild"):
            store.swap("rebuild", TABLE)
        assert store.read(TABLE, [b"a"]) == [b"1"]

    def test_readers_never_see_half_a_swap(self, store: OnlineStore) -> None:
        keys = [number(i) for i in range(50)]
        store.load(TABLE, [(key, number(0)) for key in keys])

        def rebuild(generation: int) -> None:
            store.load("rebuild", [(key, number(generation)) for key in keys])
            store.swap("rebuild", TABLE)

        def looking() -> Iterator[None]:
            last = 0
            while True:
                values = set(store.read(TABLE, keys))
                assert len(values) == 1, "two generations, or a gap, in one read"
                generation = int.from_bytes(values.pop() or b"", "big")
                assert generation >= last, "an older generation after a newer"
                last = generation
                yield

        last = while_changing(rebuild, looking(), looking(), times=self.rounds)
        assert set(store.read(TABLE, keys)) == {number(last)}

    def test_a_read_is_of_one_moment(self, store: OnlineStore) -> None:
        """A writer moves one value from key to key; who sees it nowhere or twice has mixed two moments."""
        keys = [number(i) for i in range(30)]
        put(store, TABLE, {keys[1]: b"here"})

        def move(step: int) -> None:
            put(store, TABLE, {keys[step % 30]: None, keys[(step + 1) % 30]: b"here"})

        def looking() -> Iterator[None]:
            while True:
                assert store.read(TABLE, keys).count(b"here") == 1
                yield

        while_changing(move, looking(), looking(), times=self.rounds)

    # ---- documents

    def test_documents_change_only_from_what_was_expected(self, store: OnlineStore) -> None:
        assert store.get_meta("progress") is None
        assert not store.set_meta("progress", b"0", b"1")
        assert store.set_meta("progress", None, b"1")
        assert not store.set_meta("progress", None, b"2")
        assert not store.set_meta("progress", b"0", None)
        assert store.set_meta("progress", b"1", b"")
        assert store.get_meta("progress") == b""
        assert not store.set_meta("progress", None, b"2")
        assert store.set_meta("progress", b"", None)
        assert store.get_meta("progress") is None
        assert store.set_meta("progress", None, None)

    def test_documents_are_apart_from_tables(self, store: OnlineStore) -> None:
        store.set_meta("a", None, b"document")
        put(store, "a", {b"a": b"1"})
        store.set_meta("b", None, b"other")
        assert store.tables() == ["a"]
        store.drop("a")
        assert store.get_meta("a") == b"document"
        assert store.get_meta("b") == b"other"

    def test_of_concurrent_changes_of_a_document_one_wins(self, store: OnlineStore) -> None:
        store.set_meta("counter", None, number(0))

        def count() -> None:
            done = 0
            while done < 100:
                now = store.get_meta("counter") or b""
                done += store.set_meta("counter", now, number(int.from_bytes(now, "big") + 1))

        in_threads(count, count, count)
        assert store.get_meta("counter") == number(300)

    # ---- all together, and the end

    @pytest.mark.parametrize("seed", range(3))
    def test_any_sequence_of_calls_leaves_what_dictionaries_would_hold(
        self, store: OnlineStore, seed: int
    ) -> None:
        chance = random.Random(seed)
        model: dict[str, dict[bytes, bytes]] = {}
        names = ["a", "b", "c"]
        keys = [*(bytes([i]) * (i % 4 + 1) for i in range(12)), b"", b"k" * 511, b"k" * 512, b"k" * 513]
        for step in range(300):
            name = chance.choice(names)
            some = chance.sample(keys, chance.randint(1, 6))
            value = b"%d " % step * chance.choice([1, 10, 1_000])
            match chance.choice(["put", "put", "remove", "load", "delete", "drop", "swap"]):
                case "put":
                    put(store, name, dict.fromkeys(some, value))
                    model.setdefault(name, {}).update(dict.fromkeys(some, value))
                case "remove":
                    put(store, name, dict.fromkeys(some))
                    kept = model.setdefault(name, {})
                    for key in some:
                        kept.pop(key, None)
                case "load":
                    store.load(name, [(key, value) for key in some])
                    model.setdefault(name, {}).update(dict.fromkeys(some, value))
                case "delete":
                    store.delete(name, some)
                    for key in some:
                        model.get(name, {}).pop(key, None)
                case "drop":
                    store.drop(name)
                    model.pop(name, None)
                case "swap" if model:
                    new = chance.choice(sorted(model))
                    store.swap(new, name)
                    model[name] = model.pop(new)
            assert store.read(name, keys) == [model.get(name, {}).get(key) for key in keys]
        assert store.tables() == sorted(model)
        assert {name: dict(store.scan(name)) for name in model} == model

    def test_a_server_tells_the_time_of_its_own_clock(self, store: OnlineStore) -> None:
        """None is right for a store without a server; a server of the same machine has the same clock."""
        before, told, after = system_clock(), store.server_time(), system_clock()
        assert told is None or before - SECOND <= told <= after + SECOND

    def test_close_can_be_repeated_and_ends_all_use(self, store: OnlineStore) -> None:
        put(store, TABLE, {b"a": b"1"})
        with store as same:
            assert same is store
        store.close()
        for call in (
            lambda: store.read(TABLE, [b"a"]),
            lambda: store.read(TABLE, []),
            lambda: store.read("never used", [b"a"]),
            lambda: store.read_many([(TABLE, [b"a"])], "a"),
            lambda: store.read_many([], "a"),
            lambda: store.update(TABLE, [b"a"], add_one),
            lambda: store.update(TABLE, [], add_one),
            lambda: store.load(TABLE, [(b"a", b"1")]),
            lambda: store.delete(TABLE, [b"a"]),
            lambda: store.drop(TABLE),
            lambda: list(store.scan(TABLE)),
            store.tables,
            lambda: store.swap(TABLE, "other"),
            lambda: store.get_meta("a"),
            lambda: store.set_meta("a", None, b"1"),
        ):
            with pytest.raises(UsageError, match="closed"):
                call()


class DurableOnlineStoreTests:
    """What a store with `capabilities.durable` does besides."""

    @pytest.fixture
    def reopen(self) -> Callable[[], OnlineStore]:
        """A function that opens another store over what the fixture `store` holds."""
        raise NotImplementedError("override the fixture `reopen`")

    def test_another_store_over_the_same_data_sees_it_at_once(
        self, store: OnlineStore, reopen: Callable[[], OnlineStore]
    ) -> None:
        put(store, TABLE, {b"a": b"1"})
        with reopen() as other:
            assert other.read(TABLE, [b"a"]) == [b"1"]
            put(other, TABLE, {b"a": b"2"})
            assert store.read(TABLE, [b"a"]) == [b"2"]
        assert store.read(TABLE, [b"a"]) == [b"2"], "closing one store closed another"

    def test_all_that_was_written_is_there_after_closing(
        self, store: OnlineStore, reopen: Callable[[], OnlineStore]
    ) -> None:
        rows = {key: b"value of " + key[:10] for key in [*BINARY_KEYS, *LONG_KEYS]}
        put(store, TABLE, dict(rows))
        store.load("loaded", rows.items())
        store.load("rebuild", rows.items())
        store.swap("rebuild", "swapped")
        store.set_meta("document", None, b"1")
        store.close()
        with reopen() as other:
            assert other.tables() == sorted([TABLE, "loaded", "swapped"])
            for name in other.tables():
                assert dict(other.scan(name)) == rows
            assert other.get_meta("document") == b"1"
            assert not other.set_meta("document", None, b"2")
