"""RedisStore beyond the conformance class: processes, restarts of the server, how it keeps data, and layouts."""

from __future__ import annotations

import socket
import socketserver
import ssl
import threading
import time
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path

import pytest
import redis

import gnomon.online.redis as module
from gnomon import plugins
from gnomon.errors import Unavailable, UsageError
from gnomon.online.redis import RedisStore
from gnomon.testing.online import add_one, number, put
from tests.online.calls import every_call
from tests.online.processes import in_children
from tests.servers import Server

TABLE = "group@1"
SERVERS = ["redis", "valkey"]


def opened(url: str) -> RedisStore:
    return RedisStore.from_url(url, root=Path())


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest) -> Server:
    found: Server = request.getfixturevalue(f"{request.param}_server")
    return found


@pytest.fixture
def url(request: pytest.FixtureRequest, server: Server) -> str:
    found: str = request.getfixturevalue(f"{server_name(request, server)}_url")
    return found


def server_name(request: pytest.FixtureRequest, server: Server) -> str:
    return next(name for name in SERVERS if request.getfixturevalue(f"{name}_server") is server)


@pytest.fixture
def store(url: str) -> Iterator[RedisStore]:
    with opened(url) as store:
        yield store


@pytest.fixture
def client(url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(url) as client:
        yield client


@pytest.mark.parametrize(
    "scheme", ["redis", "rediss", "valkey", "valkeys", "redis+cluster", "rediss+cluster"]
)
def test_its_schemes_find_it(scheme: str) -> None:
    assert plugins.resolve("online", f"{scheme}://h") is RedisStore


# ---- processes


def test_updates_of_processes_and_forks_lose_nothing(url: str, store: RedisStore) -> None:
    store.update(TABLE, [b"hot"], add_one)  # so that the children inherit a connection

    def with_the_parents_store() -> None:
        for _ in range(300):
            store.update(TABLE, [b"hot"], add_one)

    def with_its_own() -> None:
        with opened(url) as mine:
            for _ in range(300):
                mine.update(TABLE, [b"hot"], add_one)

    in_children(with_the_parents_store, with_the_parents_store, with_its_own)
    store.update(TABLE, [b"hot"], add_one)
    assert store.read(TABLE, [b"hot"]) == [number(902)]


# ---- the server goes away


def test_opening_asks_nothing_of_the_server() -> None:
    """Training sets are made while the online store is away."""
    with (
        opened("redis://127.0.0.1:1") as store,
        pytest.raises(Unavailable, match=r"Redis at 127\.0\.0\.1:1/0"),
    ):
        store.read(TABLE, [b"a"])


def test_a_killed_server_is_unavailable_and_the_store_recovers_with_it(
    store: RedisStore, server: Server
) -> None:
    put(store, TABLE, {b"a": b"1"})
    server.kill()
    start = time.monotonic()
    for call in every_call(store):
        with pytest.raises(Unavailable, match="cannot be reached") as caught:
            call()
        assert str(server.port) in str(caught.value)
        assert caught.value.hint
    assert time.monotonic() - start < 5
    server.start()
    assert store.read(TABLE, [b"a"]) == [b"1"]
    put(store, TABLE, {b"a": b"2"})
    assert store.read(TABLE, [b"a"]) == [b"2"]


def test_idle_connections_of_a_restarted_server_fail_nobody(store: RedisStore, server: Server) -> None:
    barrier = threading.Barrier(8)

    def look() -> None:
        barrier.wait()
        store.read(TABLE, [b"a"])

    threads = [threading.Thread(target=look) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    server.kill()
    server.start()
    assert store.read(TABLE, [b"a"]) == [None]


def test_writers_that_try_again_lose_nothing_over_restarts(url: str, server: Server) -> None:
    """What was acknowledged is there. A merge that was not may have happened: this one tells by its own number."""
    stop = threading.Event()
    acknowledged: list[int] = []
    failed: list[BaseException] = []

    def write() -> None:
        with opened(url) as mine:
            step = 0
            while not stop.is_set():
                step += 1
                while not stop.is_set():
                    try:
                        mine.update(TABLE, [b"k"], lambda _, old, step=step: [number(step)])
                    except Unavailable:
                        time.sleep(0.01)
                    except BaseException as error:
                        failed.append(error)
                        raise
                    else:
                        acknowledged.append(step)
                        break

    thread = threading.Thread(target=write)
    thread.start()
    for _ in range(3):
        seen = len(acknowledged)
        end = time.monotonic() + 10
        while len(acknowledged) < seen + 20 and time.monotonic() < end:
            time.sleep(0.005)
        server.kill()
        time.sleep(0.05)
        server.start()
    stop.set()
    thread.join()
    assert not failed
    assert len(acknowledged) >= 60
    with opened(url) as store:
        value = store.read(TABLE, [b"k"])[0]
    assert value in (number(acknowledged[-1]), number(acknowledged[-1] + 1))


# ---- TLS

TLS = Path(__file__).parent / "tls"
"""`ca.pem`: an authority of our own. `server.pem`: what it says of 127.0.0.1, with the key."""


class TlsFront(socketserver.ThreadingTCPServer):
    """TLS before a server that has none, on a free port."""

    daemon_threads = True

    def __init__(self, behind: int) -> None:
        self.behind = behind
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(TLS / "server.pem")
        self.clients: list[str | None] = []
        """The version of TLS that each client who was let in speaks."""
        super().__init__(("127.0.0.1", 0), _Relay)


class _Relay(socketserver.BaseRequestHandler):
    server: TlsFront

    def handle(self) -> None:
        try:
            front = self.server.context.wrap_socket(self.request, server_side=True)
        except ssl.SSLError:
            return  # the client does not trust us
        with front, socket.create_connection(("127.0.0.1", self.server.behind)) as back:
            self.server.clients.append(front.version())
            other_way = threading.Thread(target=relay, args=(back, front), daemon=True)
            other_way.start()
            relay(front, back)
            other_way.join()


def relay(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(1 << 16):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # one of the two has gone


@pytest.fixture
def front(valkey_url: str, valkey_server: Server) -> Iterator[TlsFront]:
    with TlsFront(valkey_server.port) as front:
        thread = threading.Thread(target=front.serve_forever, args=(0.01,))
        thread.start()
        yield front
        front.shutdown()
        thread.join()


def test_rediss_speaks_tls_with_a_server_that_our_authority_knows(front: TlsFront) -> None:
    url = f"rediss://127.0.0.1:{front.server_address[1]}?ca=ca.pem"
    with RedisStore.from_url(url, root=TLS) as store:
        rows = {number(i): bytes(i) * 50 for i in range(200)}
        put(store, TABLE, dict(rows))
        assert store.read(TABLE, list(rows)) == list(rows.values())
        big = [(b"big", bytes(range(256)) * 8_000)]
        store.load(TABLE, big)
        assert store.read(TABLE, [b"big"]) == [big[0][1]]
    assert front.clients
    assert all(version is not None and version.startswith("TLS") for version in front.clients)


def test_a_server_that_nobody_vouches_for_is_not_spoken_to(front: TlsFront) -> None:
    url = f"rediss://127.0.0.1:{front.server_address[1]}"
    with opened(url) as store, pytest.raises(UsageError, match="certificate verify failed") as caught:
        store.read(TABLE, [b"a"])
    assert "`ca`" in str(caught.value.hint)
    assert front.clients == []


def test_another_name_than_the_certificates_is_not_spoken_to(front: TlsFront) -> None:
    url = f"rediss://localhost:{front.server_address[1]}?ca={TLS}/ca.pem"
    with opened(url) as store, pytest.raises(UsageError, match="certificate verify failed"):
        store.read(TABLE, [b"a"])
    assert front.clients == []


# ---- how data is kept


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"appendonly": "no"}, "appendonly is off"),
        ({"appendonly": "yes", "appendfsync": "everysec"}, "appendfsync is everysec"),
        ({"maxmemory-policy": "allkeys-lru"}, "throws tables away"),
        ({"appendonly": "yes", "appendfsync": "always"}, None),
    ],
)
def test_it_says_whether_the_server_keeps_what_it_was_given(
    url: str, client: redis.Redis, settings: dict[str, str], reason: str | None
) -> None:
    before = {
        name: client.config_get(name)[name] for name in ("appendonly", "appendfsync", "maxmemory-policy")
    }
    try:
        for name, value in settings.items():
            client.config_set(name, value)
        with opened(url) as store:
            able = store.capabilities
    finally:
        for name, value in before.items():
            client.config_set(name, value)
    assert able.durable is (reason is None)
    assert reason is None or reason in able.reasons["durable"]
    assert (able.atomic_swap, able.one_moment, able.multi_process) == (True, True, True)


def test_a_server_that_does_not_tell_is_not_called_durable(
    url: str, client: redis.Redis, server: Server
) -> None:
    client.acl_setuser("clerk", enabled=True, nopass=True, keys=["*"], commands=["+@all", "-config"])
    with opened(f"redis://clerk:x@127.0.0.1:{server.port}") as store:
        assert "does not tell" in store.capabilities.reasons["durable"]
    client.acl_deluser("clerk")


# ---- what lies in the server


def test_prefixes_and_databases_are_apart(url: str) -> None:
    with opened(url) as one, opened(f"{url}?prefix=other") as two, opened(f"{url[:-1]}3") as three:
        for i, store in enumerate((one, two, three)):
            put(store, TABLE, {b"a": number(i)})
            store.set_meta("document", None, number(i))
        one.drop(TABLE)
        assert [store.read(TABLE, [b"a"]) for store in (one, two, three)] == [
            [None],
            [number(1)],
            [number(2)],
        ]
        assert [store.tables() for store in (one, two, three)] == [[], [TABLE], [TABLE]]
        assert two.get_meta("document") == number(1)


def test_a_dropped_table_leaves_nothing_behind(store: RedisStore, client: redis.Redis) -> None:
    before = set(client.keys())
    store.load(TABLE, [(number(i), b"v") for i in range(1_000)])
    store.load("new", [(b"a", b"v")])
    store.swap("new", TABLE)
    store.drop(TABLE)
    assert set(client.keys()) - before == {b"gnomon:{0}:layout"}


def test_another_number_of_shards_is_refused(store: RedisStore, url: str) -> None:
    put(store, TABLE, {b"a": b"1"})
    with (
        opened(f"{url}?shards=4") as other,
        pytest.raises(UsageError, match=r"`1, shards: 1`.*`1, shards: 4`"),
    ):
        other.read(TABLE, [b"a"])


def test_a_later_layout_is_refused(store: RedisStore, client: redis.Redis) -> None:
    client.set("gnomon:{0}:layout", "2, shards: 1")
    with pytest.raises(UsageError, match="holds the layout `2, shards: 1`"):
        store.read(TABLE, [b"a"])


# ---- scan


@pytest.mark.parametrize("remembered", [10**6, 500])
def test_a_scan_gives_once_what_the_server_gives_twice(
    store: RedisStore, monkeypatch: pytest.MonkeyPatch, remembered: int
) -> None:
    """HSCAN gives some fields again when the hash shrinks under way; here it does so every time."""
    monkeypatch.setattr(module, "_SCAN_KEYS", remembered)
    rows = {number(i): b"v%d" % i for i in range(3_000)}
    store.load(TABLE, rows.items())
    once = store._fields
    monkeypatch.setattr(store, "_fields", lambda place: chain(once(place), islice(once(place), 900)))
    scanned = list(store.scan(TABLE))
    assert len(scanned) == len(rows)
    assert dict(scanned) == rows


def test_a_scan_misses_nothing_that_stays_while_the_hash_shrinks(store: RedisStore) -> None:
    n = 6_000
    store.load(TABLE, [(number(i), b"v" * 100) for i in range(n)])
    kept = {number(i) for i in range(0, n, 17)}
    seen = []
    for key, _ in store.scan(TABLE):
        seen.append(key)
        if len(seen) == n // 2:
            store.delete(TABLE, [number(i) for i in range(n) if number(i) not in kept])
    assert len(set(seen)) == len(seen)
    assert kept <= set(seen)
