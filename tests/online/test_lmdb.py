"""LmdbStore beyond the conformance class: many processes, forks, growth and sudden death."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b
from pathlib import Path

import lmdb
import pytest

from gnomon.errors import CorruptValue, NotFound, Unavailable, UsageError
from gnomon.online.lmdb import LmdbStore
from gnomon.online.lmdb_environment import Live, Transaction
from gnomon.testing.online import add_one, in_threads, number, put
from tests.online.processes import FORK, Reports, in_children, running

TABLE = "group@1"
SMALL_MAP = 1 << 17
KEYS = [number(i) for i in range(20)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "online"


@pytest.fixture
def store(path: Path) -> Iterator[LmdbStore]:
    with LmdbStore(path, sync=False) as store:
        yield store


def sealed(generation: int, key: bytes, size: int) -> bytes:
    """A value that shows whether it is whole and its key's own."""
    body = number(generation) + random.Random(generation).randbytes(size)
    return body + blake2b(key + body, digest_size=16).digest()


def generation_of(key: bytes, value: bytes | None) -> int:
    assert value is not None
    assert blake2b(key + value[:-16], digest_size=16).digest() == value[-16:], "not a whole value"
    return int.from_bytes(value[:8], "big")


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "waited for a minute"


# ---- processes


def test_updates_of_two_processes_lose_nothing(path: Path) -> None:
    def count() -> None:
        with LmdbStore(path, sync=False) as store:
            for _ in range(2_000):
                store.update(TABLE, [b"hot"], add_one)

    in_children(count, count)
    with LmdbStore(path) as store:
        assert store.read(TABLE, [b"hot"]) == [number(4_000)]


def test_other_processes_see_tables_that_are_made_after_they_opened(store: LmdbStore, path: Path) -> None:
    """More of them than there are slots that each process opens at once."""
    names = [f"table {i}" for i in range(40)]
    for name in names[:20]:
        put(store, name, {b"k": name.encode()})
    opened, made = FORK.Event(), FORK.Event()

    def other() -> None:
        with LmdbStore(path, sync=False) as mine:
            assert mine.read(names[0], [b"k"]) == [names[0].encode()]
            opened.set()
            assert made.wait(30)
            for name in names:
                assert mine.read(name, [b"k"]) == [name.encode()]
                assert list(mine.scan(name)) == [(b"k", name.encode())]
                put(mine, name, {b"k": b"changed"})

    with running(other):
        assert opened.wait(30)
        for name in names[20:]:
            put(store, name, {b"k": name.encode()})
        made.set()
    assert [store.read(name, [b"k"]) for name in names] == [[b"changed"]] * len(names)


def test_readers_do_not_wait_for_a_writer_of_another_process(store: LmdbStore, path: Path) -> None:
    put(store, TABLE, {b"k": b"before"})
    writing, looked = FORK.Event(), FORK.Event()

    def other() -> None:
        def slowly(positions: Sequence[int], old: list[bytes | None]) -> list[bytes]:
            writing.set()
            assert looked.wait(30)
            return [b"after"]

        with LmdbStore(path, sync=False) as mine:
            mine.update(TABLE, [b"k"], slowly)

    with running(other):
        assert writing.wait(30)
        assert store.read(TABLE, [b"k"]) == [b"before"]
        assert store.get_meta("document") is None
        looked.set()
    assert store.read(TABLE, [b"k"]) == [b"after"]


# ---- growth


def test_the_map_grows_under_reading_threads(path: Path) -> None:
    with LmdbStore(path, sync=False, map_size=SMALL_MAP) as store:
        put(store, TABLE, {key: sealed(1, key, 500) for key in KEYS})
        finished = threading.Event()
        reads = 0

        def grow() -> None:
            try:
                for batch in range(20):
                    keys = [number(batch << 32 | i) for i in range(400)]
                    put(store, "other", {key: sealed(batch, key, 4_000) for key in keys})
            finally:
                finished.set()

        def look() -> None:
            nonlocal reads
            while not finished.is_set():
                values = store.read(TABLE, KEYS)
                assert [generation_of(*pair) for pair in zip(KEYS, values, strict=True)] == [1] * len(KEYS)
                assert len(dict(store.scan(TABLE))) == len(KEYS)
                reads += 1

        in_threads(grow, look, look, look)
        assert reads
        assert (path / "data.mdb").stat().st_size > 200 * SMALL_MAP
        assert sum(generation_of(*row) >= 0 for row in store.scan("other")) == 8_000


def test_the_map_grows_under_another_reading_process(path: Path) -> None:
    with LmdbStore(path, sync=False, map_size=SMALL_MAP) as store:
        put(store, TABLE, {key: sealed(0, key, 2_000) for key in KEYS})
        opened = FORK.Event()
        last = 60

        def other() -> None:
            with LmdbStore(path, sync=False, map_size=SMALL_MAP) as mine:

                def look() -> None:
                    seen = 0
                    while seen < last:
                        values = mine.read(TABLE, KEYS)
                        generations = {generation_of(*pair) for pair in zip(KEYS, values, strict=True)}
                        assert len(generations) == 1
                        assert min(generations) >= seen
                        seen = generations.pop()
                        opened.set()

                in_threads(look, look, look)
                mine.update(TABLE, [b"the reader"], add_one)

        with running(other):
            assert opened.wait(30)
            for generation in range(1, last + 1):
                store.load("other", [(number(generation << 32 | i), bytes(2_000)) for i in range(100)])
                put(store, TABLE, {key: sealed(generation, key, 2_000) for key in KEYS})
        assert store.read(TABLE, [b"the reader"]) == [number(1)]
        assert (path / "data.mdb").stat().st_size > 50 * SMALL_MAP


def test_two_processes_let_the_map_grow_in_turn(path: Path) -> None:
    rows = [(number(i), sealed(7, number(i), 1_500)) for i in range(2_000)]

    def fill(name: str) -> None:
        with LmdbStore(path, sync=False, map_size=SMALL_MAP) as store:
            for start in range(0, len(rows), 50):
                store.load(name, rows[start : start + 50])
                put(store, name, {b"last": number(start)})

    in_children(lambda: fill("a"), lambda: fill("b"))
    with LmdbStore(path, map_size=SMALL_MAP) as store:
        for name in "ab":
            assert dict(store.scan(name)) == {**dict(rows), b"last": number(1_950)}


def test_a_map_that_cannot_grow_is_an_error_and_the_store_goes_on(store: LmdbStore) -> None:
    put(store, TABLE, {b"k": b"1"})
    with pytest.raises(Unavailable, match="memory"):
        store._environment.write(lambda live, txn: None, room=1 << 60)
    assert store.read(TABLE, [b"k"]) == [b"1"]
    put(store, TABLE, {b"k": b"2"})
    assert store.read(TABLE, [b"k"]) == [b"2"]


def test_a_merge_that_fails_is_undone_whatever_the_readers_do(store: LmdbStore) -> None:
    """py-lmdb's own abort waits for a moment without a reader, which does not come."""
    put(store, TABLE, dict.fromkeys(KEYS, b"whole"))
    finished = threading.Event()

    def fail(positions: Sequence[int], old: list[bytes | None]) -> list[bytes]:
        raise ZeroDivisionError

    def write() -> None:
        try:
            for _ in range(50):
                with pytest.raises(ZeroDivisionError):
                    store.update(TABLE, KEYS, fail)
        finally:
            finished.set()

    def look() -> None:
        while not finished.is_set():
            assert store.read(TABLE, KEYS) == [b"whole"] * len(KEYS)

    in_threads(write, look, look, look)


# ---- forks


def test_a_forked_child_uses_the_store_that_it_inherited(store: LmdbStore) -> None:
    put(store, TABLE, {b"hot": number(0)})
    finished = threading.Event()

    def child() -> None:
        before = int.from_bytes(store.read(TABLE, [b"hot"])[0] or b"", "big")
        for _ in range(20):
            store.update(TABLE, [b"hot"], add_one)
        assert int.from_bytes(store.read(TABLE, [b"hot"])[0] or b"", "big") >= before + 20

    def look() -> None:
        last = 0
        while not finished.is_set():
            now = int.from_bytes(store.read(TABLE, [b"hot"])[0] or b"", "big")
            assert now >= last
            last = now

    def write() -> None:
        for _ in range(300):
            store.update(TABLE, [b"hot"], add_one)

    with ThreadPoolExecutor(3) as pool:
        others = [pool.submit(work) for work in (look, look, write)]
        try:
            for _ in range(5):
                in_children(child, child)
        finally:
            finished.set()
        for done in others:
            done.result()
    assert store.read(TABLE, [b"hot"]) == [number(5 * 2 * 20 + 300)]


def test_a_child_can_open_its_own_store_over_the_inherited_one(store: LmdbStore, path: Path) -> None:
    put(store, TABLE, {b"k": b"1"})

    def child() -> None:
        with LmdbStore(path, sync=False) as mine:
            assert mine.read(TABLE, [b"k"]) == [b"1"]
            put(mine, TABLE, {b"k": b"2"})
        assert store.read(TABLE, [b"k"]) == [b"2"]
        store.close()

    in_children(child)
    assert store.read(TABLE, [b"k"]) == [b"2"]


def test_a_scan_goes_on_on_both_sides_of_a_fork(store: LmdbStore) -> None:
    rows = [(number(i), bytes(1_000)) for i in range(3_000)]
    store.load(TABLE, rows)
    scan = store.scan(TABLE)
    first = [next(scan) for _ in range(10)]

    def child() -> None:
        assert first + list(scan) == rows

    in_children(child)
    assert first + list(scan) == rows


def test_a_child_that_ends_like_any_program_leaves_its_parent_unharmed(path: Path) -> None:
    """In a fresh interpreter, whose end must not touch what the parent has in the lock file."""
    script = f"""
        import os, sys
        from gnomon.online.lmdb import LmdbStore
        store = LmdbStore({str(path)!r}, sync=False)
        store.load("t", [(b"k", b"1")])
        for _ in range(5):
            child = os.fork()
            if child == 0:
                assert store.read("t", [b"k"]) == [b"1"]
                sys.exit(0)
            assert store.read("t", [b"k"]) == [b"1"]
            assert os.waitpid(child, 0)[1] == 0
            store.load("t", [(b"k", b"1")])
            assert store.read("t", [b"k"]) == [b"1"]
    """
    source = str(Path(sys.modules["gnomon"].__file__ or "").parents[1])
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        env={**os.environ, "PYTHONPATH": source},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.returncode == 0, run.stderr


# ---- sudden death


def write_for_ever(path: Path, first: int, reports: Reports) -> None:
    with LmdbStore(path, sync=False, map_size=SMALL_MAP) as store:
        generation = first
        while True:
            generation += 1
            size = generation * 37 % 6_000
            put(store, TABLE, {key: sealed(generation, key, size) for key in KEYS})
            store.load("rebuild", [(key, sealed(generation, key, size)) for key in KEYS])
            store.swap("rebuild", "swapped")
            store.set_meta("progress", store.get_meta("progress"), number(generation))
            reports.tell(generation)


def test_a_writer_killed_at_any_moment_leaves_whole_values_and_all_it_had_told_of(path: Path) -> None:
    chance = random.Random(20240607)
    told = 0
    for _ in range(20):
        reports = Reports()
        process = FORK.Process(target=write_for_ever, args=(path, told, reports))
        process.start()
        first = reports.wait()  # so that each round gets further, however slow the machine
        time.sleep(chance.uniform(0, 0.04))
        process.kill()
        process.join()
        told = reports.last(before=first)
        with LmdbStore(path, sync=False, map_size=SMALL_MAP) as store:
            for table in (TABLE, "swapped"):
                values = store.read(table, KEYS)
                generations = {generation_of(*pair) for pair in zip(KEYS, values, strict=True)}
                assert len(generations) == 1
                assert told <= generations.pop() <= told + 1
            assert int.from_bytes(store.get_meta("progress") or b"", "big") in (told, told + 1)
            store.update(TABLE, [b"alive"], add_one)
            told = max(told, generation_of(KEYS[0], store.read(TABLE, KEYS[:1])[0]))
    with LmdbStore(path) as store:
        assert store.read(TABLE, [b"alive"]) == [number(20)]


def test_the_slot_of_a_killed_reader_is_cleared_and_its_pages_are_used_again(path: Path) -> None:
    with LmdbStore(path, sync=False, map_size=1 << 20) as store:
        put(store, TABLE, {key: bytes(10_000) for key in KEYS})
        opened = FORK.Event()

        def read_for_ever() -> None:
            def sleep(live: Live, txn: Transaction) -> None:
                opened.set()
                time.sleep(60)

            store._environment.look(sleep)

        process = FORK.Process(target=read_for_ever)
        process.start()
        assert opened.wait(30)
        put(store, TABLE, {b"k": b"the file is open for writing again, after the fork"})
        process.kill()
        process.join()
        assert str(process.pid) in store._environment.live.handle.readers()
        for i in range(50):  # 10 MB into a map of one: only with the reader's pages it is enough
            put(store, TABLE, {key: bytes([i]) * 10_000 for key in KEYS})
        assert str(process.pid) not in store._environment.live.handle.readers()
        assert (path / "data.mdb").stat().st_size <= 1 << 20


# ---- one file, one environment


def test_stores_of_one_file_share_it_whatever_path_led_there(store: LmdbStore, path: Path) -> None:
    link = path.with_name("link")
    link.symlink_to(path)
    with LmdbStore(link, sync=False) as other, LmdbStore(path, sync=False) as third:
        put(other, TABLE, {b"k": b"1"})
        assert third.read(TABLE, [b"k"]) == [b"1"]
    assert store.read(TABLE, [b"k"]) == [b"1"]


def test_one_file_with_two_settings_is_refused(store: LmdbStore, path: Path) -> None:
    with pytest.raises(UsageError, match="already open"):
        LmdbStore(path, sync=True)


def test_a_folder_made_anew_is_another_store(store: LmdbStore, path: Path) -> None:
    put(store, TABLE, {b"k": b"old"})
    path.rename(path.with_name("moved"))
    with LmdbStore(path, sync=False) as fresh:
        assert fresh.tables() == []
        put(fresh, TABLE, {b"k": b"new"})
        assert store.read(TABLE, [b"k"]) == [b"old"]


def test_threads_may_close_while_others_read(path: Path) -> None:
    for _ in range(20):
        store = LmdbStore(path, sync=False)
        store.load(TABLE, [(b"k", b"1")])

        def look(store: LmdbStore = store) -> None:
            while store.read(TABLE, [b"k"] * 50) == [b"1"] * 50:
                pass

        def look_until_closed(look: Callable[[], None] = look) -> None:
            with pytest.raises(UsageError, match="closed"):
                look()

        in_threads(look_until_closed, look_until_closed, store.close, store.close)


# ---- the file


@pytest.mark.parametrize("map_size", [SMALL_MAP, 1 << 30])
def test_a_file_of_something_else_is_refused_and_left_alone(path: Path, map_size: int) -> None:
    path.mkdir()
    with lmdb.open(str(path)) as foreign, foreign.begin(write=True) as txn:
        txn.put(b"theirs", b"1")
    with pytest.raises(UsageError, match="something else"):
        LmdbStore(path, map_size=map_size)
    with lmdb.open(str(path)) as foreign, foreign.begin() as txn:
        assert list(txn.cursor()) == [(b"theirs", b"1")]


def test_a_file_of_another_layout_is_refused(path: Path) -> None:
    path.mkdir()
    with lmdb.open(str(path)) as later, later.begin(write=True) as txn:
        txn.put(b"gnomon", b"2")
    with pytest.raises(CorruptValue, match="layout"):
        LmdbStore(path)


def test_a_damaged_file_is_refused(path: Path) -> None:
    path.mkdir()
    (path / "data.mdb").write_bytes(b"no LMDB file" * 1_000)
    with pytest.raises(CorruptValue, match="damaged"):
        LmdbStore(path)


def test_a_place_where_no_folder_can_be_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable, match="folder"):
        LmdbStore(tmp_path / "file" / "online")


def test_more_tables_than_allowed_are_an_error_that_leaves_the_rest(path: Path) -> None:
    with LmdbStore(path, sync=False, max_tables=20) as store:
        for i in range(20):
            put(store, f"t{i}", {b"k": b"%d" % i})
        for _ in range(2):
            with pytest.raises(UsageError, match="max_tables"):
                put(store, "one more", {b"k": b"1"})
        store.drop("t3")
        put(store, "one more", {b"k": b"1"})
        assert [store.read(f"t{i}", [b"k"]) for i in range(20)] == [
            [None if i == 3 else b"%d" % i] for i in range(20)
        ]


def test_a_merge_that_changes_nothing_writes_nothing(store: LmdbStore) -> None:
    put(store, TABLE, {b"a": b"1", b"b" * 600: b"2"})
    handle = store._environment.live.handle
    before = handle.info()["last_txnid"]
    store.update(TABLE, [b"a", b"b" * 600, b"c"], lambda positions, old: old)
    store.delete(TABLE, [b"x", b"y" * 600])
    assert handle.info()["last_txnid"] == before


def test_emptied_slots_are_used_again(store: LmdbStore, path: Path) -> None:
    for i in range(60):
        store.load("rebuild", [(number(j), bytes(100)) for j in range(1_000)])
        store.swap("rebuild", TABLE)
        store.load(f"t{i}", [(b"k", b"1")])
        store.drop(f"t{i}")
    assert (path / "data.mdb").stat().st_size < 3_000_000


# ---- the URL


def test_a_url_names_a_folder_of_the_project_or_of_the_machine(tmp_path: Path) -> None:
    with LmdbStore.from_url("lmdb://a/online?sync=off&max_tables=30", root=tmp_path) as store:
        put(store, TABLE, {b"k": b"1"})
    with LmdbStore.from_url(f"lmdb://{tmp_path}/a/online", root=Path("elsewhere")) as store:
        assert store.read(TABLE, [b"k"]) == [b"1"]


@pytest.mark.parametrize(
    ("url", "error", "says"),
    [
        ("lmdb://", UsageError, "no folder"),
        ("lmdb://a?max_table=3", NotFound, "max_tables"),
        ("lmdb://a?sync=perhaps", UsageError, "on or off"),
        ("lmdb://a?map_size=big", UsageError, "whole numbers"),
        ("lmdb://a?map_size=0", UsageError, "at least 1"),
    ],
)
def test_a_url_that_cannot_be_right_is_refused(
    tmp_path: Path, url: str, error: type[UsageError], says: str
) -> None:
    with pytest.raises(error, match=says):
        LmdbStore.from_url(url, root=tmp_path)
    assert not list(tmp_path.iterdir())
