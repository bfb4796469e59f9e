"""PostgresStore beyond the conformance class: processes, restarts of the server, crossing writers, and rights."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from gnomon import plugins
from gnomon.errors import Unavailable, UsageError
from gnomon.online.postgres import PostgresStore
from gnomon.testing.online import add_one, in_threads, number, put
from tests.online.calls import every_call
from tests.online.processes import in_children
from tests.servers import Server

TABLE = "group@1"


def opened(url: str) -> PostgresStore:
    return PostgresStore.from_url(url, root=Path())


@pytest.fixture
def store(postgres_url: str) -> Iterator[PostgresStore]:
    with opened(postgres_url) as store:
        yield store


@pytest.fixture
def sql(postgres_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        yield connection


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_its_schemes_find_it(scheme: str) -> None:
    assert plugins.resolve("online", f"{scheme}://h/d") is PostgresStore


# ---- processes


def test_updates_of_processes_and_forks_lose_nothing(postgres_url: str, store: PostgresStore) -> None:
    store.update(TABLE, [b"hot"], add_one)  # so that the children inherit a connection

    def with_the_parents_store() -> None:
        for _ in range(100):
            store.update(TABLE, [b"hot"], add_one)

    def with_its_own() -> None:
        with opened(postgres_url) as mine:
            for _ in range(100):
                mine.update(TABLE, [b"hot"], add_one)

    in_children(with_the_parents_store, with_the_parents_store, with_its_own)
    store.update(TABLE, [b"hot"], add_one)
    assert store.read(TABLE, [b"hot"]) == [number(302)]


def test_tables_and_schema_are_made_once_however_many_begin(postgres_url: str) -> None:
    names = [f"table {i}" for i in range(4)]

    def begin() -> None:
        with opened(postgres_url) as mine:
            for name in names:
                mine.update(name, [b"k"], add_one)

    in_threads(*[begin] * 6)
    with opened(postgres_url) as store:
        assert store.tables() == names
        assert [store.read(name, [b"k"]) for name in names] == [[number(6)]] * 4


# ---- writers that cross each other


def test_a_key_that_another_adds_under_way_is_merged_with(postgres_url: str, store: PostgresStore) -> None:
    """Rows that do not exist cannot be locked: the one that comes second finds out and merges again."""
    store.load(TABLE, [(b"b", number(5))])
    seen: list[tuple[list[int], list[bytes | None]]] = []

    def merge(positions: Sequence[int], old: list[bytes | None]) -> list[bytes]:
        seen.append((list(positions), list(old)))
        if len(seen) == 1:
            with opened(postgres_url) as other:
                other.update(TABLE, [b"a"], add_one)
        return add_one(positions, old)

    store.update(TABLE, [b"c", b"a", b"b"], merge)
    assert store.read(TABLE, [b"a", b"b", b"c"]) == [number(2), number(6), number(1)]
    assert seen == [([0, 1, 2], [None, None, number(5)]), ([1], [number(1)])]


def test_writers_in_opposite_orders_do_not_wait_for_each_other(store: PostgresStore) -> None:
    keys = [number(i) for i in range(200)]
    store.load(TABLE, [(key, number(0)) for key in keys[::2]])

    def write(order: list[bytes]) -> None:
        for _ in range(10):
            store.update(TABLE, order, add_one)
            store.delete("other", order)
            store.load("other", [(key, b"v") for key in order])

    in_threads(lambda: write(keys), lambda: write(keys[::-1]), lambda: write(keys[100:] + keys[:100]))
    assert store.read(TABLE, keys) == [number(30)] * 200


def test_a_deadlock_with_somebody_else_is_resolved(
    postgres_url: str, store: PostgresStore, sql: psycopg.Connection
) -> None:
    """Another program that locks our rows in its own order: the database ends one of the two, and we try again."""
    put(store, TABLE, {b"a": number(1), b"b": number(1)})
    sql.execute("ALTER SYSTEM SET deadlock_timeout = '50ms'")
    sql.execute("SELECT pg_reload_conf()")
    place = f'gnomon."data:{TABLE}"'
    with psycopg.connect(postgres_url) as other:
        other.execute(f"SELECT FROM {place} WHERE key = 'b' FOR UPDATE")
        writer = threading.Thread(target=lambda: store.update(TABLE, [b"a", b"b"], add_one))
        writer.start()
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        end = time.monotonic() + 10
        while sql.execute(waiting).fetchone() == (0,) and time.monotonic() < end:
            time.sleep(0.01)
        with suppress(psycopg.errors.DeadlockDetected):
            other.execute(f"SELECT FROM {place} WHERE key = 'a' FOR UPDATE")
        other.rollback()
        writer.join()
    sql.execute("ALTER SYSTEM RESET deadlock_timeout")
    sql.execute("SELECT pg_reload_conf()")
    assert store.read(TABLE, [b"a", b"b"]) == [number(2), number(2)]


def test_load_into_a_table_with_rows_overwrites_and_keeps(store: PostgresStore) -> None:
    store.load(TABLE, [(number(i), b"old") for i in range(1_000)])
    assert store.load(TABLE, [(number(i), b"new") for i in range(500, 1_500)]) == 1_000
    assert dict(store.scan(TABLE)) == {number(i): b"old" if i < 500 else b"new" for i in range(1_500)}


def test_a_key_that_comes_again_in_a_later_part_of_a_load_overwrites(store: PostgresStore) -> None:
    rows = [(number(i % 60_000), number(i)) for i in range(70_000)]
    assert store.load(TABLE, iter(rows)) == 70_000
    assert dict(store.scan(TABLE)) == dict(rows)


# ---- the server goes away


def test_opening_asks_nothing_of_the_server() -> None:
    """Training sets are made while the online store is away."""
    with opened("postgresql://127.0.0.1:1/d") as store, pytest.raises(Unavailable, match=r"127\.0\.0\.1:1/d"):
        store.read(TABLE, [b"a"])


def test_a_killed_server_is_unavailable_and_the_store_recovers_with_it(
    store: PostgresStore, postgres_server: Server
) -> None:
    put(store, TABLE, {b"a": number(1)})
    postgres_server.kill()
    start = time.monotonic()
    for call in every_call(store):
        with pytest.raises(Unavailable, match="cannot be reached") as caught:
            call()
        assert str(postgres_server.port) in str(caught.value)
        assert caught.value.hint
    assert time.monotonic() - start < 5
    postgres_server.start()
    assert store.read(TABLE, [b"a"]) == [number(1)]
    store.update(TABLE, [b"a"], add_one)
    assert store.read(TABLE, [b"a"]) == [number(2)]


def test_idle_connections_of_a_restarted_server_fail_nobody(
    store: PostgresStore, postgres_server: Server
) -> None:
    put(store, TABLE, {b"a": number(1)})
    in_threads(*[lambda: store.read(TABLE, [b"a"])] * 8)
    postgres_server.kill()
    postgres_server.start()
    for _ in range(8):
        assert store.read(TABLE, [b"a"]) == [number(1)]


def test_writers_that_try_again_lose_nothing_over_restarts(
    postgres_url: str, postgres_server: Server
) -> None:
    stop = threading.Event()
    acknowledged = [0]

    def write() -> None:
        with opened(postgres_url) as mine:
            step = 1
            while not stop.is_set():
                try:
                    mine.update(TABLE, [b"k"], lambda _, old, step=step: [number(step)])
                except Unavailable:
                    time.sleep(0.01)
                else:
                    acknowledged.append(step)
                    step += 1

    def restart() -> None:
        try:
            for _ in range(2):
                seen, end = len(acknowledged), time.monotonic() + 20
                while len(acknowledged) < seen + 20 and time.monotonic() < end:
                    time.sleep(0.005)
                postgres_server.kill()
                time.sleep(0.05)
                postgres_server.start()
        finally:
            stop.set()

    in_threads(write, restart)
    assert len(acknowledged) > 40
    with opened(postgres_url) as store:
        assert store.read(TABLE, [b"k"])[0] in (number(acknowledged[-1]), number(acknowledged[-1] + 1))


# ---- how data is kept, and who may


def test_it_says_whether_the_server_keeps_what_it_was_given(
    store: PostgresStore, sql: psycopg.Connection
) -> None:
    reasons = store.capabilities.reasons
    assert not store.capabilities.durable
    assert "fsync is off" in reasons["durable"]
    assert (store.capabilities.atomic_swap, store.capabilities.multi_process) == (True, True)


def test_schemas_are_apart(postgres_url: str) -> None:
    with opened(postgres_url) as one, opened(f"{postgres_url}?schema=O%22ther%25") as two:
        for i, store in enumerate((one, two)):
            put(store, TABLE, {b"a": number(i)})
            store.set_meta("document", None, number(i))
        one.drop(TABLE)
        assert (one.read(TABLE, [b"a"]), two.read(TABLE, [b"a"])) == ([None], [number(1)])
        assert (one.tables(), two.tables()) == ([], [TABLE])
        assert two.get_meta("document") == number(1)


def test_who_may_only_read_can_read_and_is_told_what_is_missing(
    store: PostgresStore, sql: psycopg.Connection, postgres_url: str
) -> None:
    put(store, TABLE, {b"a": b"1"})
    sql.execute("DROP ROLE IF EXISTS reader")
    sql.execute("CREATE ROLE reader LOGIN")
    sql.execute("GRANT USAGE ON SCHEMA gnomon TO reader")
    sql.execute("GRANT SELECT ON ALL TABLES IN SCHEMA gnomon TO reader")
    with opened(postgres_url.replace("postgres@", "reader@")) as reader:
        assert reader.read_many([(TABLE, [b"a"])], "document") == ([[b"1"]], None)
        with pytest.raises(UsageError, match="permission denied"):
            reader.update(TABLE, [b"a"], add_one)
    sql.execute("DROP OWNED BY reader")
    sql.execute("DROP ROLE reader")


def test_a_schema_that_somebody_made_for_us_is_enough(sql: psycopg.Connection, postgres_url: str) -> None:
    sql.execute("DROP ROLE IF EXISTS owner")
    sql.execute("CREATE ROLE owner LOGIN")
    sql.execute("CREATE SCHEMA gnomon AUTHORIZATION owner")
    with opened(postgres_url.replace("postgres@", "owner@")) as store:
        put(store, TABLE, {b"a": b"1"})
        assert store.read(TABLE, [b"a"]) == [b"1"]
    sql.execute("DROP OWNED BY owner CASCADE")
    sql.execute("DROP ROLE owner")


def test_a_later_layout_is_refused(store: PostgresStore, sql: psycopg.Connection, postgres_url: str) -> None:
    put(store, TABLE, {b"a": b"1"})
    sql.execute("UPDATE gnomon.layout SET version = 2")
    with opened(postgres_url) as other, pytest.raises(UsageError, match="holds the layout 2"):
        other.read(TABLE, [b"a"])


def test_a_table_that_was_asked_for_often_may_go_and_come_back(store: PostgresStore) -> None:
    """Statements that were prepared for a table that is gone do not stand in the way of the next."""
    for round_ in range(4):
        for _ in range(8):
            put(store, TABLE, {b"a": number(round_)})
            assert store.read_many([(TABLE, [b"a"])], "document") == ([[number(round_)]], None)
        store.drop(TABLE)
        assert store.read_many([(TABLE, [b"a"])], "document") == ([[None]], None)
        assert store.read(TABLE, [b"a"]) == [None]


def test_a_table_that_is_missing_costs_no_connection_and_is_seen_when_it_comes(
    store: PostgresStore, sql: psycopg.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    put(store, TABLE, {b"a": b"1"})
    asked = [(TABLE, [b"a"]), ("none", [b"a"]), ("neither", [b"a", b"b"])]

    def processes() -> list[tuple[int]]:
        return sql.execute(
            "SELECT pid FROM pg_stat_activity WHERE application_name = 'gnomon' ORDER BY pid"
        ).fetchall()

    before = processes()
    for _ in range(8):
        assert store.read_many(asked, "document") == ([[b"1"], [None], [None, None]], None)
    assert processes() == before
    assert caplog.records == []
    put(store, "none", {b"a": b"2"})
    assert store.read_many(asked, "document") == ([[b"1"], [b"2"], [None, None]], None)


def test_a_table_that_was_removed_behind_the_directory_is_empty(
    store: PostgresStore, sql: psycopg.Connection
) -> None:
    put(store, TABLE, {b"a": b"1"})
    sql.execute(f'DROP TABLE gnomon."data:{TABLE}"')
    assert store.read_many([(TABLE, [b"a"])], "document") == ([[None]], None)
